"""The files of a result that know its labels: a segmentation that Slicer opens with names, colours and terminology, and
the JSON beside a label map that names its values.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DependencyError
from ..labels.label_tree import PROTOCOL_TAG, TERMINOLOGY, Label
from ..scan.file_formats import SEGMENTATION
from ..scan.itk import LPS_TO_RAS
from ..scan.volume import Volume
from ..scan.whole_files import as_json, write_text
from ..scan.written import check_written
from .segmented_label import SegmentedLabel


def write_segmentation(layers: Sequence[Volume], labels: Sequence[SegmentedLabel], path: Path) -> None:
    """Write a .seg.nrrd file. Raises DependencyError where slicerio is missing."""
    slicerio = _slicerio()
    lps = LPS_TO_RAS @ layers[0].affine
    voxels = np.stack([layer.array[0].T for layer in layers]) if len(layers) > 1 else layers[0].array[0].T
    segments = []
    for entry in labels:
        segment: dict[str, Any] = {
            "id": f"label_{entry.label.id}",
            "name": entry.label.name if entry.label.name.isascii() else f"label_{entry.label.id}",
            "color": [round(c, 4) for c in entry.label.color],
            "labelValue": entry.value,
            "layer": entry.layer,
        }
        if entry.protocol:
            segment["tags"] = {PROTOCOL_TAG: re.sub(r"[^\w .+-]", "_", entry.protocol, flags=re.ASCII)}
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
    check_written(path, layers)
    _put_names(path, {n: entry.label.name for n, entry in enumerate(labels) if not entry.label.name.isascii()})


def _slicerio() -> Any:
    """The library that writes segmentations of Slicer. Raises DependencyError where it is missing."""
    try:
        import slicerio
    except ImportError:
        raise DependencyError(
            f"A {SEGMENTATION} file is written by the package slicerio, which is not installed: pip install slicerio."
        ) from None
    return slicerio


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


def names_of(labels: Sequence[SegmentedLabel], model: str, label_map: Path) -> dict[str, Any]:
    """What the JSON beside a label map says: what its values mean, and which file that is."""
    values = {
        str(entry.value): {"name": entry.label.name, "color": [round(c, 4) for c in entry.label.color]}
        | ({"protocol": entry.protocol} if entry.protocol else {})
        | ({"code": entry.label.type.to_json()} if entry.label.type else {})
        | ({"modifier": entry.label.modifier.to_json()} if entry.label.modifier else {})
        for entry in labels
    }
    return {"model": model, "label_map": label_map.name, "background": 0, "values": values}


def write_names(labels: Sequence[SegmentedLabel], model: str, label_map: Path, path: Path) -> None:
    """Write the JSON that names the values of a label map, and says which file beside it that is."""
    write_text(as_json(names_of(labels, model, label_map)), path)
