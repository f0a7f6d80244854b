"""Data sets on disk: which files belong to which case, and what is known about it, in the nnU-Net raw layout, a MONAI
datalist, BIDS or, of scans without labels, a plain folder.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from LabelConditionedSegmentationLib.core.labels.label_tree import LabelTree
from LabelConditionedSegmentationLib.core.scan.channel_stack import stacked

from .catalogue import label_table, names_table, read_rows, tree_of_rows

if TYPE_CHECKING:
    from LabelConditionedSegmentationLib.core.scan.volume import Volume

    from .class_maps import MapSettings

BIDS_CONTRASTS = ("T1w", "T2w", "FLAIR")
"""The order of channels in a BIDS folder; other contrasts follow by name."""

SCANS = (".nii.gz", ".nii", ".nrrd", ".mha", ".mhd", ".mgz")
"""Files of a plain folder that are scans, one a file."""

LABEL_WORDS = re.compile(r"(?:^|[._-])(?:d?seg|labels?|labelmap|mask|aseg|aparc\+aseg)$", re.IGNORECASE)
"""How the names of files that are no scans but label maps end, before the suffix."""


@dataclass(frozen=True)
class CaseFiles:
    """One scan on disk.

    images: one file a channel, in order. label: its label map, None of a scan without labels. metadata: field -> text;
    unknown fields are absent. annotated: names of the labels that somebody looked for in this case; None stands for all
    of the data set's table.
    """

    name: str
    images: tuple[Path, ...]
    label: Path | None
    metadata: dict[str, str]
    annotated: tuple[str, ...] | None

    @property
    def files(self) -> tuple[Path, ...]:
        """All that is read of the case: its images, then its label map."""
        return self.images if self.label is None else (*self.images, self.label)


@dataclass(frozen=True)
class DataSet:
    """Scans with one table of labels.

    cases: sorted by name. table: every usable label, parents among them. ignored_ids: ids that are no label; voxels
    with them are unknown, neither background nor a class (those that the table ignores, and those given to parents that
    it does not list). made: how images are made of the label maps, None where the stored ones are taken.
    """

    root: Path
    cases: tuple[CaseFiles, ...]
    table: LabelTree
    ignored_ids: frozenset[int]
    made: MapSettings | None = None
    protocol: str = ""


Table = tuple[LabelTree, frozenset[int]]


def read_data_set(root: Path, names: Sequence[str] = ()) -> DataSet:
    """The data set at `root`, all its cases or those named.

    That its files exist and fit together is not looked at (see `Training.data.data_checks`).

    root: a folder in the raw layout of nnU-Net (labelsTr), a MONAI datalist (.json with "training"), or a BIDS folder
    (sub-* with derivatives/*/sub-*). A labels.csv beside the data wins over the label table of the layout. SystemExit
    with a sentence for anything else, and for names that are not there.
    """
    layout = _layout_of(root, labelled=True)
    cases, (table, ignored_ids) = layout.cases(root, True), layout.table(root)
    if not cases:
        raise SystemExit(f'The data set "{root}" has no labelled case.')
    return DataSet(root, _chosen(root, cases, names), table, ignored_ids)


def read_scans(root: Path, table: LabelTree, names: Sequence[str] = ()) -> DataSet:
    """As `read_data_set`, without labels: whether or not there are label maps, none is read, and nothing counts as
    annotated.

    Of the raw layout of nnU-Net imagesTr is enough, of a datalist entries with "image", of BIDS the folders sub-*. A
    folder with files of one scan each will do as well; files there that are called as label maps are left out.
    table: the labels that nobody looked for.
    """
    cases = [replace(case, label=None, annotated=()) for case in _layout_of(root, labelled=False).cases(root, False)]
    if not cases:
        raise SystemExit(f'"{root}" has no scan.')
    return DataSet(root, _chosen(root, cases, names), table, frozenset())


def has_labels(root: Path) -> bool:
    """Whether there is something at a root that looks like label maps."""
    if root.suffix == ".json":
        return any("label" in entry for entry in _entries(root, ("image",)))
    return (
        (root / "labelsTr").is_dir()
        or any((root / "derivatives").glob("*/sub-*/**/anat/[!.]*_dseg.nii*"))
        or any(_is_called_labels(path) for path in _images_in(root))
    )


def _chosen(root: Path, cases: Sequence[CaseFiles], names: Sequence[str]) -> tuple[CaseFiles, ...]:
    """The named cases, or all, sorted by name."""
    missing = sorted(set(names) - {case.name for case in cases})
    if missing:
        raise SystemExit(f'The data set "{root}" has no case called {", ".join(missing)}.')
    return tuple(sorted((case for case in cases if not names or case.name in names), key=lambda case: case.name))


def read_image(case: CaseFiles) -> Volume:
    """The channels of a case as one volume (channel, k, j, i).

    InputError where a file cannot be read, or where a channel lies on another grid than the first.
    """
    from LabelConditionedSegmentationLib.core.scan.image_io import read_volume

    return stacked([read_volume(path) for path in case.images], case.images)


def read_labels(case: CaseFiles) -> Volume:
    """The label map of a case that has one, ids as stored. InputError where it cannot be read."""
    from LabelConditionedSegmentationLib.core.scan.image_io import read_volume

    assert case.label is not None
    return read_volume(case.label)


def _nnunet_cases(root: Path, labelled: bool) -> list[CaseFiles]:
    """labelsTr/CASE.nii.gz, imagesTr/CASE_0000.nii.gz (and _0001 ...), and participants.tsv for metadata."""
    about = _description(root)
    ending = str(about.get("file_ending", ".nii.gz"))
    stated = about.get("channel_names", about.get("modality", {}))
    people = _read_participants(root / "participants.tsv")
    present = {path.name for path in (root / "imagesTr").glob("*")}
    folder, last = ("labelsTr", ending) if labelled else ("imagesTr", f"_0000{ending}")
    cases = []
    for path in (root / folder).glob(f"[!.]*{last}"):
        name = path.name.removesuffix(last)
        found = sum(f"{name}_{n:04d}{ending}" in present for n in range(100))
        images = tuple(root / "imagesTr" / f"{name}_{n:04d}{ending}" for n in range(len(stated) or max(found, 1)))
        cases.append(CaseFiles(name, images, path if labelled else None, *_known(people.get(name, {}))))
    _check_people(root / "participants.tsv", people, [case.name for case in cases])
    return cases


def _nnunet_table(root: Path) -> Table:
    """labels.csv, or the labels of dataset.json."""
    return _table(root, root / "dataset.json", _description(root))


def _description(root: Path) -> dict[str, Any]:
    return _read_json(root / "dataset.json") if (root / "dataset.json").is_file() else {}


def _datalist_cases(path: Path, labelled: bool) -> list[CaseFiles]:
    """A MONAI datalist: "training" and "validation" with image, label and, beside them, what is known."""
    needed = ("image", "label") if labelled else ("image",)
    entries = _entries(path, needed)
    named = [Path(_paths(entry[needed[-1]])[0]) for entry in entries]
    stems = [file.name.partition(".")[0] for file in named]
    if len(set(stems)) < len(set(named)):  # the folders tell the cases apart
        stems = ["_".join((*file.parent.parts, stem)) for file, stem in zip(named, stems, strict=True)]
    return [_entry_case(path, entry, stem, labelled) for entry, stem in zip(entries, stems, strict=True)]


def _entries(path: Path, needed: Sequence[str]) -> list[dict[str, Any]]:
    """The cases of a datalist, each with the files that are needed."""
    about = _read_json(path)
    entries = [entry for part in ("training", "validation") for entry in about.get(part) or []]
    wanted = " or ".join(f'"{key}"' for key in needed)
    for entry in entries:
        is_case = isinstance(entry, dict) and all(_paths(entry.get(key)) for key in needed)
        if not is_case or ("label" in needed and not isinstance(entry["label"], str)):
            raise SystemExit(f'An entry of the datalist "{path}" lacks {wanted}: {json.dumps(entry)[:200]}.')
    if not entries:
        wanted = " and ".join(f'"{key}"' for key in needed)
        raise SystemExit(f'The datalist "{path}" has no list "training" of cases with {wanted}.')
    return entries


def _entry_case(path: Path, entry: Mapping[str, Any], stem: str, labelled: bool) -> CaseFiles:
    """The case of one entry of a datalist; stem: its name, where the entry gives it none."""
    facts = {
        key: str(value) for key, value in entry.items() if key not in ("image", "label", "name") and value is not None
    }
    metadata, annotated = _known(facts)
    if isinstance(entry.get("annotated"), list):
        annotated = tuple(map(str, entry["annotated"]))
    images = tuple(path.parent / image for image in _paths(entry["image"]))
    label = path.parent / entry["label"] if labelled else None
    return CaseFiles(str(entry.get("name", stem)), images, label, metadata, annotated)


def _datalist_table(path: Path) -> Table:
    """A labels.csv beside the datalist, or its "labels"."""
    return _table(path.parent, path, _read_json(path))


def _bids_cases(root: Path, labelled: bool) -> list[CaseFiles]:
    """sub-XX[/ses-YY]/anat/*_T1w.nii.gz, and the same below derivatives/* for *_dseg.nii.gz; the channels are the
    contrasts that every case has.
    """
    people = _read_participants(root / "participants.tsv")
    labels = _bids_labels(root) if labelled else {path.relative_to(root): [] for path in root.glob("sub-*/**/anat")}
    images = {place: sorted((root / place).glob("[!.]*.nii*")) for place in labels}
    order = _common_contrasts(root, images, "with a *_dseg.nii.gz " if labelled else "")
    cases = []
    for place, found in labels.items():
        channels = [
            _only_one(place, [path for path in images[place] if _contrast(path) == contrast]) for contrast in order
        ]
        facts = people.get(place.parts[0], {})
        label = _only_one(place, found) if labelled else None
        cases.append(CaseFiles("_".join(place.parts[:-1]), tuple(channels), label, *_known(facts)))
    _check_people(root / "participants.tsv", people, [place.parts[0] for place in labels])
    return cases


def _bids_labels(root: Path) -> dict[Path, list[Path]]:
    """Place of a case, such as sub-01/ses-02/anat, -> its label maps."""
    labels: dict[Path, list[Path]] = {}
    for path in sorted((root / "derivatives").glob("*/sub-*/**/anat/[!.]*_dseg.nii*")):
        labels.setdefault(Path(*path.relative_to(root / "derivatives").parts[1:-1]), []).append(path)
    if not labels:
        raise SystemExit(f'"{root}" has no labelled case: there is no derivatives/*/sub-*/anat/*_dseg.nii.gz.')
    return labels


def _common_contrasts(root: Path, images: Mapping[Path, Sequence[Path]], which: str) -> list[str]:
    """The contrasts that every case has, in the order of channels."""
    contrasts = [{_contrast(path) for path in paths} for paths in images.values()]
    order = sorted(
        set.intersection(*contrasts) if contrasts else (),
        key=lambda name: (BIDS_CONTRASTS.index(name) if name in BIDS_CONTRASTS else len(BIDS_CONTRASTS), name),
    )
    if not order:
        raise SystemExit(f'In "{root}" there is no contrast (such as T1w) that every case {which}has.')
    return order


def _folder_cases(root: Path, labelled: bool) -> list[CaseFiles]:  # noqa: ARG001  it never has labels
    """CASE.nii.gz, of one channel each, and participants.tsv, which knows a case by its name or by what comes before
    the first "_" of it, as in sub-01_T1w.nii.gz.
    """
    people = _read_participants(root / "participants.tsv")
    scans = [path for path in _images_in(root) if not _is_called_labels(path)]
    if twice := [name for name, times in Counter(map(_stem, scans)).items() if times > 1]:
        raise SystemExit(f'Two scans of "{root}" are called {twice[0]}; give each a name of its own.')
    persons = [_stem(path) if _stem(path) in people else _stem(path).partition("_")[0] for path in scans]
    _check_people(root / "participants.tsv", people, persons)
    return [
        CaseFiles(_stem(path), (path,), None, *_known(people.get(person, {})))
        for path, person in zip(scans, persons, strict=True)
    ]


def _images_in(root: Path) -> list[Path]:
    """The images that lie directly in a folder, label maps among them."""
    files = root.glob("[!.]*") if root.is_dir() else ()
    return sorted(path for path in files if path.is_file() and path.name.lower().endswith(SCANS))


def _is_called_labels(path: Path) -> bool:
    return LABEL_WORDS.search(_stem(path)) is not None


def _stem(path: Path) -> str:
    """sub-01_T1w of sub-01_T1w.nii.gz."""
    suffix = next(suffix for suffix in SCANS if path.name.lower().endswith(suffix))
    return path.name[: -len(suffix)]


def _bids_table(root: Path) -> Table:
    """labels.csv, or a dseg.tsv with index and name."""
    if (root / "labels.csv").is_file():
        return label_table(root / "labels.csv")
    tables = [
        path
        for folder in (root, *sorted((root / "derivatives").glob("*")))
        for path in sorted(folder.glob("*dseg.tsv"))
    ]
    if not tables:
        raise SystemExit(
            f'The labels of "{root}" have no names: there is neither a labels.csv nor a dseg.tsv with the columns index'
            " and name."
        )
    columns = {"index": "id", "name": "name", "abbreviation": "synonyms", "color": "color"}
    rows = [
        {columns[key]: cell for key, cell in row.items() if key in columns}
        for row in read_rows(tables[0], ("index", "name"), "\t")
    ]
    return tree_of_rows(rows, tables[0])


class _Layout(NamedTuple):
    """How the files of a data set lie: what reads its cases, with label maps or without, and what its table."""

    cases: Callable[[Path, bool], list[CaseFiles]]
    table: Callable[[Path], Table]


def _layout_of(root: Path, labelled: bool) -> _Layout:
    """SystemExit with a sentence where there is no data set."""
    if not root.exists():
        raise SystemExit(
            f'There is no data set "{root}". Name yours with data.root; Training/DATA.md says where those of the'
            " shipped experiments are had, and where they go."
        )
    if root.suffix == ".json" and root.is_file():
        return _Layout(_datalist_cases, _datalist_table)
    if (root / ("labelsTr" if labelled else "imagesTr")).is_dir():
        return _Layout(_nnunet_cases, _nnunet_table)
    if ((root / "derivatives").is_dir() or not labelled) and any(path.is_dir() for path in root.glob("sub-*")):
        return _Layout(_bids_cases, _bids_table)
    if not labelled and _images_in(root):
        return _Layout(_folder_cases, _nnunet_table)
    needed = ("labelsTr", " and derivatives", "") if labelled else ("imagesTr", "", ", and no image lies in it")
    raise SystemExit(
        f'"{root}" is no data set: it has no folder {needed[0]} (raw layout of nnU-Net), it is no .json file with'
        f' "training" (MONAI datalist), and it has no folders sub-*{needed[1]} (BIDS){needed[2]}.'
    )


def _contrast(path: Path) -> str:
    """T1w of sub-01_ses-02_T1w.nii.gz."""
    return path.name.partition(".")[0].rpartition("_")[2]


def _only_one(place: Path, paths: Sequence[Path]) -> Path:
    if len(paths) > 1:
        raise SystemExit(
            f'"{place}" has several files that could be meant: {", ".join(map(str, paths))}; keep one, or write a'
            " datalist that names it."
        )
    return paths[0]


def _table(folder: Path, source: Path, about: Mapping[str, Any]) -> Table:
    """labels.csv in the folder, else "labels" of a JSON file: {"name": id} or {"id": "name"}; nnU-Net's label "ignore"
    is no label.
    """
    if (folder / "labels.csv").is_file():
        return label_table(folder / "labels.csv")
    labels = about.get("labels")
    if not isinstance(labels, dict) or not labels:
        raise SystemExit(
            f'The labels of "{folder}" have no names: there is neither a labels.csv nor an entry "labels" in'
            f" {source.name}."
        )
    names: dict[int, str] = {}
    for key, value in labels.items():
        label_id, name = (key, value) if isinstance(value, str) and key.isdecimal() else (value, key)
        if isinstance(label_id, list):
            raise SystemExit(
                f'"{source}" makes "{name}" of several ids; write a labels.csv with the column "parent" in its place.'
            )
        if not str(label_id).isdecimal():
            raise SystemExit(
                f'"{source}" gives the label "{name}" the id {json.dumps(label_id)}; a whole number is needed.'
            )
        if int(label_id) in names:
            raise SystemExit(f'"{source}" gives the id {label_id} to both "{names[int(label_id)]}" and "{name}".')
        names[int(label_id)] = str(name)
    ignored = {label_id for label_id, name in names.items() if name.casefold() == "ignore"}
    tree, ignored_ids = names_table(
        {label_id: name for label_id, name in names.items() if label_id not in ignored}, source
    )
    return tree, ignored_ids | ignored


def _read_participants(path: Path) -> dict[str, dict[str, str]]:
    """`participants.tsv` (BIDS): participant -> its fields; empty where there is no such file."""
    if not path.exists():
        return {}
    rows = read_rows(path, ("participant_id",), "\t")
    twice = [name for name, times in Counter(row.get("participant_id", "") for row in rows).items() if times > 1]
    if twice:
        raise SystemExit(f'"{path}" has more than one line for {", ".join(twice)}.')
    return {row.pop("participant_id", ""): row for row in rows}


def _check_people(path: Path, people: Mapping[str, Any], wanted: Sequence[str]) -> None:
    if people and wanted and not set(wanted) & set(people):
        raise SystemExit(
            f'"{path}" says nothing about any case: its participant_id are like "{next(iter(people))}", the cases like'
            f' "{min(wanted)}".'
        )


def _known(facts: Mapping[str, str]) -> tuple[dict[str, str], tuple[str, ...] | None]:
    """Metadata without what is unknown, and the annotated labels."""
    known = {key: value for key, value in facts.items() if value.strip().lower() not in ("", "n/a")}
    annotated = tuple(name.strip() for name in known.pop("annotated", "").split(";") if name.strip())
    return known, annotated or None


def _paths(image: Any) -> list[str]:
    """The files of an "image" in a datalist, one or a list; none where it is something else."""
    paths = image if isinstance(image, list) else [image]
    return paths if all(isinstance(path, str) and path for path in paths) else []


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise SystemExit(f'"{path}" is no valid JSON: {error}.') from None
    if not isinstance(content, dict):
        raise SystemExit(f'"{path}" holds no JSON object ({{"name": ...}}).')
    return content
