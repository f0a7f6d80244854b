"""Writing results: every file of a scan appears whole or not at all."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
import slicerio

from ..core.errors import OutputError
from ..core.example_prompt import ExamplePrompt, write_prompt
from ..core.itk import LPS_TO_RAS, image_of
from ..core.labels import TERMINOLOGY, Label
from ..core.nifti import write_nifti
from ..core.result import Result
from .written import check_written

SEGMENTATION = ".seg.nrrd"
LABEL_MAPS = (".nii.gz", ".nii", ".nrrd", ".mha")

NAME = "{name}"
"""In a path, for the name of what is written."""

Writer = Callable[[Path], None]


def suffix_of(path: Path) -> str:
    """The output format a path asks for, as its suffix. Raises OutputError where it is none of those known."""
    for suffix in (SEGMENTATION, *LABEL_MAPS):
        if path.name.lower().endswith(suffix) and len(path.name) > len(suffix):
            return suffix
    raise OutputError(
        f'"{path}" is no output that can be written; use a name that ends in {SEGMENTATION}, {", ".join(LABEL_MAPS)}.'
    )


def names_file(path: Path) -> Path:
    """The JSON file beside a label map that names its values."""
    return path.with_name(path.name[: -len(suffix_of(path))] + ".json")


def check_writable(paths: Sequence[Path], overwrite: bool) -> None:
    """Refuse before any work what could not be written after it. Raises OutputError."""
    for path in paths:
        if path.is_dir():
            raise OutputError(f'"{path}" is a folder; give the name of a file in it.')
        if path.exists() and not overwrite:
            raise OutputError(f'"{path}" exists; use --overwrite to replace it.')
        folder = next(p for p in path.absolute().parents if p.exists())
        if not folder.is_dir() or not os.access(folder, os.W_OK):
            raise OutputError(f'"{path}" cannot be written: "{folder}" is not a folder that you may write to.')


def write_all(files: dict[Path, Writer]) -> None:
    """Write every file under a temporary name first; only when all are complete do they get their names. Raises OutputError, leaving nothing behind."""
    temporary: dict[Path, Path] = {}
    folders: list[Path] = []
    try:
        for path, write in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            folder = Path(tempfile.mkdtemp(prefix=".lcs-", dir=path.parent))
            folders.append(folder)
            temporary[path] = folder / path.name  # the same name, since writers choose the format by it
            write(temporary[path])
        for path, finished in temporary.items():
            os.replace(finished, path)
    except (OSError, RuntimeError) as error:  # SimpleITK reports a failed write as RuntimeError
        what = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else "the disk may be full"
        raise OutputError(
            f'"{next(reversed(temporary), next(iter(files)))}" could not be written ({what}); nothing was left behind.'
        ) from error
    finally:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)


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


def write_names(result: Result) -> Writer:
    """A writer of the JSON that names the values of a label map."""
    values = {
        str(entry.value): {"name": entry.label.name, "color": [round(c, 4) for c in entry.label.color]}
        | ({"code": entry.label.type.to_json()} if entry.label.type else {})
        | ({"modifier": entry.label.modifier.to_json()} if entry.label.modifier else {})
        for entry in result.labels
    }
    return write_json({"model": result.report.model, "background": 0, "values": values})


def write_label(prompt: ExamplePrompt) -> Writer:
    """A writer of the file that keeps a label by example."""
    return partial(write_prompt, prompt)


def write_json(content: Any) -> Writer:
    """A writer of JSON."""
    return _write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def write_volumes(rows: Sequence[tuple[str, Result]]) -> Writer:
    """A writer of the table of volumes: one row a scan and label."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["scan", "id", "label", "millilitres", "code"])
    for scan, result in rows:
        volumes = result.millilitres()
        for entry in result.labels:
            code = f"{entry.label.type.scheme} {entry.label.type.value}" if entry.label.type else ""
            table.writerow([scan, entry.label.id, entry.label.name, f"{volumes[entry.label.id]:.3f}", code])
    return _write_text(text.getvalue())


def _write_text(text: str) -> Writer:
    def write(path: Path) -> None:
        path.write_text(text, encoding="utf-8")

    return write
