"""The files that a data set of BIDS derivatives has beside label maps: descriptions, label tables, volumes."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.errors import OutputError
from ..core.scan.whole_files import as_json, write_all, write_text
from ..version import __version__

if TYPE_CHECKING:
    from ..core.inference.result import Result

BIDS_VERSION = "1.10.0"
DESCRIPTION = "dataset_description.json"
IGNORED = ("*_report.json", "*_volumes.tsv", "group_*.tsv", "group.html", "**/figures")
"""Files that BIDS has no names for, as .bidsignore tells validators."""

README = """Segmentations by LabelConditionedSegmentation, in the manner of BIDS derivatives.

*_dseg.nii.gz: label maps on the grid of the scan; *_dseg.tsv and *_dseg.json name their values.
*_probseg.nii.gz: where they were asked for, the probability of each label, in the order of LabelMap in the JSON file.
*_volumes.tsv: millilitres of each label. *_report.json: what ran, how, what was noticed, and how odd the answer is.
sub-*/figures: a picture of each scan. group_volumes.tsv, group_quality.tsv, group.html: all scans, the oddest first.

For research; not for diagnosis.
"""


def describe_data_set(folder: Path, source: Path) -> None:
    """Make a folder a data set of derivatives. Raises OutputError where it is one of something else."""
    there = folder / DESCRIPTION
    if there.exists():
        if not _is_ours(there):
            raise OutputError(
                f'"{folder}" holds a data set that this command has not made; give another folder for the results,'
                " such as derivatives/lcs in the data set."
            )
        return
    content = {
        "Name": "Segmentations by LabelConditionedSegmentation",
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": "LabelConditionedSegmentation", "Version": __version__}],
        "SourceDatasets": [{"URL": source.resolve().as_uri()}],
        "DatasetLinks": {"raw": source.resolve().as_uri()},
    }
    texts = {there: as_json(content), folder / ".bidsignore": "\n".join(IGNORED) + "\n", folder / "README": README}
    write_all({path: partial(write_text, text) for path, text in texts.items()})


def is_described(folder: Path) -> bool:
    """Whether a folder is a data set of derivatives that this command made."""
    return _is_ours(folder / DESCRIPTION)


def _is_ours(file: Path) -> bool:
    try:
        made_by = json.loads(file.read_text(encoding="utf-8"))["GeneratedBy"]
        return any(one["Name"] == "LabelConditionedSegmentation" for one in made_by)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def about_images(model: str, source: str) -> dict[str, Any]:
    """What the JSON file of a label map or of probabilities says for BIDS. source: the scan, from the data set on."""
    return {
        "Description": f"Segmentation by the model {model} on the grid of the scan",
        "SpatialReference": "orig",
        "Manual": False,
        "Sources": [f"bids:raw:{source}"],
        "snomed_ct": {"Description": "SNOMED CT code of the structure, where a cited table has one"},
    }


def label_table(result: Result) -> str:
    """The values of a label map: `_dseg.tsv`."""
    rows = [
        (
            entry.value,
            entry.label.name,
            "#" + "".join(f"{round(255 * part):02x}" for part in entry.label.color),
            entry.label.type.value if entry.label.type and entry.label.type.scheme == "SCT" else "n/a",
        )
        for entry in result.labels
    ]
    return as_tsv(("index", "name", "color", "snomed_ct"), rows)


def volume_table(result: Result) -> str:
    """The volumes of labels: `_volumes.tsv`."""
    volumes = result.millilitres()
    rows = [(entry.value, entry.label.name, f"{volumes[entry.label.id]:.3f}") for entry in result.labels]
    return as_tsv(("index", "name", "millilitres"), rows)


def as_tsv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table as BIDS has it. A tab or line break in a name becomes a space."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n", quoting=csv.QUOTE_NONE, quotechar=None)
    writer.writerow(columns)
    writer.writerows([" ".join(str(cell).split()) or "n/a" for cell in row] for row in rows)
    return text.getvalue()


def read_tsv(file: Path) -> list[dict[str, str]]:
    """The rows of a table that this command wrote. Raises OSError and ValueError."""
    text = file.read_text(encoding="utf-8")
    return list(csv.DictReader(io.StringIO(text), delimiter="\t", quoting=csv.QUOTE_NONE))
