"""What is wrong with a data set, all of it at once, before a training run finds it case by case."""

from __future__ import annotations

import hashlib
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from LabelConditionedSegmentationLib.core.errors import InputError, LabelError, MetadataError
from LabelConditionedSegmentationLib.core.scan.channel_stack import grid_difference
from LabelConditionedSegmentationLib.core.scan.image_io import read_volume
from LabelConditionedSegmentationLib.core.scan.label_map_likeness import looks_like_label_map
from LabelConditionedSegmentationLib.core.scan.metadata import MetadataSchema
from LabelConditionedSegmentationLib.core.scan.volume import Array, Volume
from tqdm import tqdm

from .datasets import CaseFiles, DataSet
from .sources import Source

if TYPE_CHECKING:
    from ..engine.config import Config

MOST_LISTED = 10
"""Ids, or cases, that one sentence names."""


def refuse_problems(data_sets: Sequence[DataSet], config: Config, progress: bool = True) -> None:
    """SystemExit with all problems of data sets, where they have any; what is only worth knowing of their metadata is
    said on the terminal.
    """
    problems = []
    for data_set in data_sets:
        where = f"{data_set.root}: " if len(data_sets) > 1 else ""
        found = check_data_set(data_set, len(config.input.channels), config.schema, progress)
        problems += [where + problem for problem in found]
    raise_problems(problems)
    for text in metadata_notes([case for one in data_sets for case in one.cases], config.schema):
        print(text, file=sys.stderr)


def check_data_set(data_set: DataSet, spec_channels: int, schema: MetadataSchema, progress: bool = True) -> list[str]:
    """Read every image and label file; returns one sentence for each problem, none where all is well.

    Found are: metadata that a field of the schema cannot take;
    missing, unreadable and truncated files; another number of channels than `spec_channels`; channels or labels on
    another grid than the first image (see `core.channels.SAME_PLACE`); label values that are no whole numbers or that
    the table does not know; cases of one name; annotated labels that the table does not know.
    """
    times = Counter(case.name for case in data_set.cases)
    problems = [
        f"{count} cases are called {name}; give each a name of its own." for name, count in times.items() if count > 1
    ]
    known = np.array(
        [0, *({label.id for label in data_set.table.labels} ^ data_set.ignored_ids)]
    )  # ids of parents that were made are in both
    for case in tqdm(data_set.cases, desc="checking cases", disable=not (progress and sys.stderr.isatty())):
        found = [
            *_channel_problems(case, spec_channels),
            *_annotation_problems(case, data_set),
            *_metadata_problems(case, schema),
            *_file_problems(case, known),
        ]
        problems += [f"{case.name}: {problem}" for problem in found]
    return problems


def refuse_shared_scans(sources: Sequence[Source], data_sets: Sequence[DataSet]) -> None:
    """SystemExit where a scan that counts as one without labels is another source's with labels."""
    labelled = {
        path.resolve(): source.root
        for source, data_set in zip(sources, data_sets, strict=True)
        if source.role != "target"
        for case in data_set.cases
        for path in case.images
    }
    for source, data_set in zip(sources, data_sets, strict=True):
        for case in data_set.cases if source.role == "target" else ():
            if root := next((labelled[path.resolve()] for path in case.images if path.resolve() in labelled), ""):
                raise SystemExit(
                    f'The case {case.name} of "{source.root}" is to be learned without labels, but "{root}" has the'
                    " same scan with labels: name other scans, or take it out of one of the two with cases."
                )


def without_label_maps(data_set: DataSet) -> DataSet:
    """A data set of scans without labels, without those of its files that are label maps by what they hold, which is
    said.
    """
    kept = []
    for case in data_set.cases:
        found = next((path for path in case.images if looks_like_label_map(read_volume(path).array[0])), None)
        if found is not None:
            print(f'"{found}" is left out: it looks like a label map.', file=sys.stderr)
        else:
            kept.append(case)
    return replace(data_set, cases=tuple(kept))


def refuse_same_scans(sources: Sequence[Source], data_sets: Sequence[DataSet], keeps_protocols: bool) -> None:
    """SystemExit where one scan, by the bytes of its first image, is in two data sets: it would be learned twice as
    often as others or, worse, be validated on. Only where protocols live side by side may it be labelled by two of
    them; scans that are taken without labels may be any.
    """
    seen: dict[tuple[int, str], tuple[Source, str]] = {}
    for source, case, mark in _marks_of_scans(sources, data_sets):
        other, name = seen.setdefault(mark, (source, case))
        both_ways = keeps_protocols and other.role == source.role and other.protocol != source.protocol
        if other.root == source.root or both_ways:
            continue
        raise SystemExit(
            f'"{other.root}" and "{source.root}" have the same scan: {name} there is {case} here. Leave it out of one'
            " of them, by naming the cases of that source."
        )


def _marks_of_scans(
    sources: Sequence[Source], data_sets: Sequence[DataSet]
) -> Iterator[tuple[Source, str, tuple[int, str]]]:
    """Source, case and what tells a scan from all others: the length and, where two have one length, the hash of its
    first file.
    """
    files = [
        (source, case.name, case.images[0])
        for source, data_set in zip(sources, data_sets, strict=True)
        for case in data_set.cases
        if source.role != "target" and case.images and case.images[0].is_file()
    ]
    lengths = [path.stat().st_size for _, _, path in files]
    several = {length for length, times in Counter(lengths).items() if times > 1}
    for (source, name, path), length in zip(files, lengths, strict=True):
        if length in several:
            with path.open("rb") as file:
                yield source, name, (length, hashlib.file_digest(file, "sha256").hexdigest())


def raise_problems(problems: Sequence[str]) -> None:
    """End the program with all problems, where there are any."""
    if problems:
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise SystemExit("\n- ".join([f"The data set cannot be used as it is; {count}:", *problems]))


def metadata_problems(cases: Sequence[CaseFiles], schema: MetadataSchema) -> list[str]:
    """One sentence for every value of any case that its field cannot take."""
    return [f"{case.name}: {problem}" for case in cases for problem in _metadata_problems(case, schema)]


def _metadata_problems(case: CaseFiles, schema: MetadataSchema) -> list[str]:
    problems = []
    for field in schema.fields:
        try:
            field.parse(case.metadata.get(field.name))
        except MetadataError as error:
            problems.append(str(error))
    return problems


def metadata_notes(cases: Sequence[CaseFiles], schema: MetadataSchema) -> list[str]:
    """What the network makes of metadata that it can take, but not as they stand: a sentence a value, with the cases
    that have it.
    """
    told: dict[str, list[str]] = {}
    for case in cases:
        for finding in schema.parse({field.name: case.metadata.get(field.name) for field in schema.fields})[1]:
            told.setdefault(finding.text, []).append(case.name)
    return [f"{text} ({_listed(names)})" for text, names in told.items()]


def _channel_problems(case: CaseFiles, spec_channels: int) -> list[str]:
    if len(case.images) == spec_channels or not case.images:  # without images, they are made
        return []
    names = ", ".join(path.name for path in case.images)
    return [
        f"has {len(case.images)} image channel(s) ({names}), but the network's input.channels names {spec_channels}."
    ]


def _annotation_problems(case: CaseFiles, data_set: DataSet) -> list[str]:
    problems = []
    for name in case.annotated or ():
        try:
            data_set.table.find(name)
        except LabelError as error:
            problems.append(f'"{name}" is said to be annotated, but the table has no such label. {error}')
    return problems


def _file_problems(case: CaseFiles, known: Array) -> list[str]:
    problems: list[str] = []
    first = _read(case.images[0], problems) if case.images else None
    for path in case.images[1:]:
        problems += _grid_problems(case, first, path, _read(path, problems))
    if case.label is None:
        return problems
    labels = _read(case.label, problems)
    problems += _grid_problems(case, first, case.label, labels)
    return problems if labels is None else problems + _value_problems(case.label, labels.array, known)


def _read(path: Path, problems: list[str]) -> Volume | None:
    try:
        volume = read_volume(path)
    except InputError as error:
        problems.append(str(error))
        return None
    for finding in volume.findings:
        tqdm.write(f"{finding.level}: {path}: {finding}", file=sys.stderr)
    return volume


def _grid_problems(case: CaseFiles, first: Volume | None, path: Path, volume: Volume | None) -> list[str]:
    difference = grid_difference(first, volume) if first is not None and volume is not None else ""
    return [f'"{path.name}" does not lie on the grid of "{case.images[0].name}": {difference}.'] if difference else []


def _value_problems(path: Path, array: Array, known: Array) -> list[str]:
    values, counts = np.unique(array, return_counts=True)
    whole = values == np.rint(values)
    if not whole.all():
        return [
            f'"{path.name}" holds {counts[~whole].sum()} voxels that are no whole numbers, such as'
            f" {values[~whole][0]:g}; is it a label map?"
        ]
    strange = ~np.isin(values, known)
    if not strange.any():
        return []
    listed = [f"{int(value)} ({count} voxels)" for value, count in zip(values[strange], counts[strange], strict=True)]
    return [
        f'"{path.name}" holds label ids that the table of labels does not know: {_listed(listed)}; '
        "give them lines in a labels.csv, with scored = 0 to ignore them."
    ]


def _listed(items: Sequence[str]) -> str:
    more = f" and {len(items) - MOST_LISTED} more" if len(items) > MOST_LISTED else ""
    return ", ".join(items[:MOST_LISTED]) + more
