"""Writes data sets that a study makes, in the raw layout of nnU-Net."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import SimpleITK as sitk
from LabelConditionedSegmentationLib.core.errors import OutputError
from LabelConditionedSegmentationLib.core.labels.label_tree import LabelTree
from LabelConditionedSegmentationLib.core.scan.itk import image_of
from LabelConditionedSegmentationLib.core.scan.volume import Volume

from ..engine.kept_files import writing_to, written_whole

COLUMNS = ("id", "name", "parent", "hemisphere", "synonyms", "color", "scored")


def write_case(folder: Path, name: str, scan: Volume, labels: Volume) -> None:
    """Scan and label map of a case, which stand on one grid. Raises OutputError."""
    files = ((folder / "imagesTr" / f"{name}_0000.nii.gz", scan), (folder / "labelsTr" / f"{name}.nii.gz", labels))
    for path, volume in files:
        with writing_to(path.parent):
            path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as temporary:
            try:
                sitk.WriteImage(image_of(volume), str(temporary), useCompression=True)
            except RuntimeError as error:  # how SimpleITK reports a failed write
                raise OutputError(
                    f'"{path}" could not be written; the disk may be full. Free some space and run the same command'
                    " again."
                ) from error


def rows_of(tree: LabelTree) -> Iterator[tuple[object, ...]]:
    """The lines of a table of COLUMNS, as `label_table` reads them."""
    for each in tree.labels:
        parent = "" if each.parent is None else tree[each.parent].name
        color = "" if each.color is None else "#" + "".join(f"{round(255 * value):02x}" for value in each.color)
        yield each.id, each.name, parent, each.laterality, ";".join(each.synonyms), color, 1


def write_tables(folder: Path, tree: LabelTree, ignored_ids: Sequence[int], channel: str) -> None:
    """labels.csv, with the ids that are no label, and dataset.json; channel: what the scans are."""
    with (
        written_whole(folder / "labels.csv") as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(rows_of(tree))
        known = {each.id for each in tree.labels}
        writer.writerows((ident, f"unknown {ident}", "", "", "", "", 0) for ident in ignored_ids if ident not in known)
    about = {
        "channel_names": {"0": channel},
        "labels": {"background": 0} | {leaf.name: leaf.id for leaf in tree.leaves},
        "file_ending": ".nii.gz",
    }
    with written_whole(folder / "dataset.json") as temporary:
        temporary.write_text(json.dumps(about, indent=1, ensure_ascii=False), encoding="utf-8")
