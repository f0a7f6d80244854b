"""Writing results: every file of a scan appears whole or not at all."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
import slicerio

from ..core.errors import OutputError
from ..core.examples.example_prompt import ExamplePrompt, write_prompt
from ..core.inference.result import Result
from ..core.labels.label_tree import TERMINOLOGY, Label
from ..core.scan.file_names import openable
from ..core.scan.itk import LPS_TO_RAS, image_of
from ..core.scan.nifti import write_nifti
from .places import LABEL_MAPS, SEGMENTATION, resolved, suffix_of
from .written import check_written

Writer = Callable[[Path], None]

PROBE = 2**20
"""Bytes that are written to learn why a library could not write."""


def write_all(files: dict[Path, Writer]) -> None:
    """Write every file under a temporary name first; only when all are complete do they get their names.

    Raises OutputError, leaving nothing behind.

    A writer is given a plain path of the same format, since libraries choose the format by it and do not take every
    name.
    """
    with ExitStack() as folders:
        finished = {path: _written(path, write, folders) for path, write in files.items()}
        _put_in_place(finished)


def _written(path: Path, write: Writer, folders: ExitStack) -> Path:
    """The file under a temporary name, in a folder of its own beside its place that ends with `folders`."""
    with _told(path):
        place = resolved(path).parent
        place.mkdir(parents=True, exist_ok=True)
        folder = Path(folders.enter_context(tempfile.TemporaryDirectory(prefix=".lcs-", dir=place)))
        name = f"new{_format(path)}"
        with openable(folder) as (opened,):
            write(opened / name)
        return folder / name


def _format(path: Path) -> str:
    """What a name says of the format, in small letters where that matters."""
    return next((s for s in (SEGMENTATION, *LABEL_MAPS) if path.name.lower().endswith(s)), path.suffix)


def _put_in_place(finished: dict[Path, Path]) -> None:
    """The first file, which the others belong to, comes last: where it is seen, they are there."""
    new: list[Path] = []
    try:
        for path, file in reversed(finished.items()):
            place = resolved(path)
            is_new = not os.path.lexists(place)
            with _told(path):
                os.replace(file, place)
            new += [place] if is_new else []
    except OutputError:
        for place in new:
            place.unlink(missing_ok=True)
        raise


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """What goes wrong in the block, as an OutputError with the system's reason."""
    try:
        yield
    except (OSError, RuntimeError) as error:  # SimpleITK reports a failed write as RuntimeError
        raise OutputError(
            f'"{path}" could not be written ({_reason(error, path)}); nothing was left behind.'
        ) from error


def _reason(error: OSError | RuntimeError, path: Path) -> str:
    """Why a file could not be written.

    Image libraries do not say it, but the system does when bytes are written plainly beside what they have left.
    """
    try:
        if isinstance(error, OSError) and error.errno:
            raise error
        with tempfile.TemporaryFile(dir=resolved(path).parent) as probe:
            probe.write(bytes(PROBE))
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as plain:
        return os.strerror(plain.errno) if plain.errno else str(plain)
    return "the library that writes this format gives no reason"


def write_result(result: Result) -> Writer:
    """A writer of the segmentation, by the suffix of its path."""

    def write(path: Path) -> None:
        if suffix_of(path) == SEGMENTATION:
            _write_segmentation(path, result)
        else:
            _write_label_map(path, result)

    return write


def _write_label_map(path: Path, result: Result) -> None:
    volume = result.label_map
    if suffix_of(path) in (".nii", ".nii.gz"):
        write_nifti(path, volume)
    else:
        sitk.WriteImage(image_of(volume), str(path), useCompression=True)
    check_written(path, [volume])


def _write_segmentation(path: Path, result: Result) -> None:
    lps = LPS_TO_RAS @ result.layers[0].affine
    voxels = (
        np.stack([layer.array[0].T for layer in result.layers])
        if len(result.layers) > 1
        else result.layers[0].array[0].T
    )
    segments = []
    for entry in result.labels:
        segment: dict[str, Any] = {
            "id": f"label_{entry.label.id}",
            "name": entry.label.name if entry.label.name.isascii() else f"label_{entry.label.id}",
            "color": [round(c, 4) for c in entry.label.color],
            "labelValue": entry.value,
            "layer": entry.layer,
        }
        terminology = _terminology(entry.label)
        if terminology:
            segment["terminology"] = terminology
        segments.append(segment)
    segmentation = {
        "voxels": voxels,
        "ijkToLPS": lps,
        "segments": segments,
        "containedRepresentationNames": ["Binary labelmap"],
    }
    slicerio.write_segmentation(str(path), segmentation, compression_level=1)
    check_written(path, result.layers)
    _put_names(path, {n: entry.label.name for n, entry in enumerate(result.labels) if not entry.label.name.isascii()})


def _put_names(path: Path, names: dict[int, str]) -> None:
    """Names of segments (by their number) in UTF-8, as Slicer has them: what slicerio writes with knows ASCII only."""
    if not names:
        return
    header, blank, voxels = path.read_bytes().partition(b"\n\n")
    lines = header.split(b"\n")
    for number, name in names.items():
        field = f"Segment{number}_Name:=".encode()
        lines = [field + name.encode() if line.startswith(field) else line for line in lines]
    path.write_bytes(b"\n".join(lines) + blank + voxels)


def _terminology(label: Label) -> dict[str, Any] | None:
    """The codes of a label as slicerio takes them; None where no cited table gives any."""
    if label.category is None or label.type is None:
        return None
    entry: dict[str, Any] = {
        "contextName": TERMINOLOGY,
        "category": label.category.to_json(),
        "type": label.type.to_json(),
    }
    if label.modifier is not None:
        entry["typeModifier"] = label.modifier.to_json()
    return entry


def write_names(result: Result, label_map: Path) -> Writer:
    """A writer of the JSON that names the values of a label map, and says which file beside it that is."""
    values = {
        str(entry.value): {"name": entry.label.name, "color": [round(c, 4) for c in entry.label.color]}
        | ({"code": entry.label.type.to_json()} if entry.label.type else {})
        | ({"modifier": entry.label.modifier.to_json()} if entry.label.modifier else {})
        for entry in result.labels
    }
    content = {"model": result.report.model, "label_map": label_map.name, "background": 0, "values": values}
    return partial(_write_json, content)


def write_label(prompt: ExamplePrompt) -> Writer:
    """A writer of the file that keeps a label by example."""
    return partial(write_prompt, prompt)


def _write_json(content: dict[str, Any], path: Path) -> None:
    text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    path.write_text(text, encoding="utf-8", errors="backslashreplace")  # which JSON reads as the same name
