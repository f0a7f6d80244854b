"""The cases of a run: found, checked, prepared, and divided by what they are for."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from LabelConditionedSegmentationLib.core.labels.label_tree import LabelTree
from LabelConditionedSegmentationLib.core.scan.metadata import MetadataSchema

from ..data.class_maps import MapSettings
from ..data.datasets import CaseFiles, DataSet, has_labels, read_data_set, read_scans
from ..data.image_sources import MadeImages, with_made_images
from ..data.prepared_cases import Case, is_prepared, open_prepared, prepare_cases
from ..data.protocol_trees import plain_part, say_exchanged, tree_of_protocols
from ..data.sources import Source, cases_of, domains_of, sources_of
from ..data.targets import TargetCode, find_label, select
from ..methods.registry import method_of
from .config import Config
from .start import joined_tree
from .teacher import Teacher, teacher_of


@dataclass(frozen=True)
class RunData:
    """What a run learns from. tree: the labels of the network. code: what the targets of training mean, which name
    further labels where anatomy is the context; of several sources it is that of the first one, and its tree, members
    and mirrored targets are those of all. meta: the cases that are kept for an outer loss. target: those without
    labels; with a teacher (`teacher.share`) what it is sure of is their truth.
    """

    tree: LabelTree
    code: TargetCode
    schema: MetadataSchema
    training: list[Case]
    validation: list[Case]
    meta: list[Case]
    target: list[Case]


def load_data(config: Config, known: LabelTree | None = None) -> RunData:
    """Read `data.root` or `data.sources`. known: the labels of a package that is fine-tuned.

    SystemExit, with all problems at once, where the data cannot be used.
    """
    sources = sources_of(config.data, method_of(config).meta_cases(config))
    read = _prepared if is_prepared(Path(sources[0].root)) else _prepared_now
    tree, code, cases = read(config, sources, known)
    for source, its in zip(sources, cases, strict=True):
        blank = sorted(case.name for case in its if not bool(case.annotated[1:].any()))
        if blank and source.role != "target":
            raise SystemExit(
                f'Of "{source.root}", nobody looked for any of the labels that are learned in {", ".join(blank)}; leave'
                " such cases out, or correct data.annotated."
            )
    training, validation, meta, target = (
        [case for source, its in zip(sources, cases, strict=True) if source.role == role for case in its]
        for role in ("train", "validate", "meta", "target")
    )
    return RunData(tree, code, config.schema, training, validation, meta, target)


Loaded = tuple[LabelTree, TargetCode, list[list[Case]]]
"""The labels of the network, what targets mean, and the cases of every source."""


def _prepared(config: Config, sources: Sequence[Source], known: LabelTree | None) -> Loaded:
    """The cases of a folder that was prepared before."""
    root = Path(sources[0].root)
    if config.data.sources:
        raise SystemExit(
            f'"{root}" is a prepared folder, which holds the labels of one data set: name data sets in data.sources,'
            " or the folder alone with data.root."
        )
    if known is not None:
        raise SystemExit(
            f'A package is fine-tuned on a data set, but "{root}" is a prepared folder; set data.root to the data set'
            " itself."
        )
    data = config.data
    prepared = open_prepared(
        root, config.input, config.schema, config.network.multiple, data.labels, annotated=data.annotated
    )
    if method_of(config).labels_of_samples(config, prepared.tree, prepared.table) != prepared.tree:
        raise SystemExit(
            f"method={config.method} needs further labels of the data set itself with these settings, but"
            f' "{root}" is a prepared folder; set data.root to the data set.'
        )
    there = {case.name: case for case in prepared.cases}
    cases = [[there[name] for name in cases_of(sources, n, list(there))] for n in range(len(sources))]
    return prepared.tree, TargetCode(prepared.tree, prepared.table), cases


def _prepared_now(config: Config, sources: Sequence[Source], known: LabelTree | None) -> Loaded:
    """The cases of data sets, checked and prepared.

    What the names of labels and cases say against them comes before any image is read.
    """
    from ..data.data_checks import (  # and with them what reads images
        refuse_problems,
        refuse_same_scans,
        refuse_shared_scans,
    )

    labelled = {source.root: read_data_set(Path(source.root)) for source in sources if source.role != "target"}
    learned = [source for source in sources if source.role == "train"]
    keeps_protocols = method_of(config).keeps_protocols
    joined = _tree_of_protocols if keeps_protocols and config.data.sources else _joined_by_name
    tree = joined(learned, [labelled[source.root] for source in learned], known)
    first = labelled[learned[0].root]
    wider = method_of(config).labels_of_samples(config, tree, first.table)
    if wider != tree and config.data.sources:
        raise SystemExit(
            f"method={config.method} needs further labels of one data set with these settings: name it with data.root."
        )
    data_sets = [_part(sources, n, labelled.get(source.root), tree) for n, source in enumerate(sources)]
    refuse_shared_scans(sources, data_sets)
    teacher = teacher_of(config, TargetCode(tree, first.table)) if config.teacher.share else None
    if keeps_protocols and config.data.sources:
        data_sets = [
            replace(one, protocol=_known_protocol(source, tree)) for source, one in zip(sources, data_sets, strict=True)
        ]
    refuse_problems(_by_root(data_sets), config, sys.stderr.isatty())
    refuse_same_scans(sources, data_sets, keeps_protocols)
    domains = domains_of(sources)
    cases = []
    for n, (source, data_set) in enumerate(zip(sources, data_sets, strict=True)):
        learned_tree = tree if source.role == "validate" else wider
        prepared = _prepared_cases(data_set, source, learned_tree, config, teacher)
        prefix = f"{source.name}/" if source.name else ""
        _check_maps(prepared, source, config)
        its = [replace(case, name=prefix + case.name, source=n, domain=domains[n]) for case in prepared]
        if source.role == "validate":
            its = with_made_images(its, MadeImages(config.acquisition, config.input.spacing, config.schema))
        cases.append(its)
    if teacher is not None:
        teacher.close()
    return tree, TargetCode(wider, first.table, first.ignored_ids), cases


def _prepared_cases(
    data_set: DataSet, source: Source, tree: LabelTree, config: Config, teacher: Teacher | None
) -> list[Case]:
    """The cases of one source, of scans without labels with what the teacher says, where there is one."""
    if teacher is not None and source.role == "target":
        from ..data.taught_cases import taught_cases

        return taught_cases(data_set, teacher, config)
    if source.role == "target":
        from ..data.data_checks import without_label_maps

        data_set = without_label_maps(data_set)
    cache, multiple = Path(config.data.cache), config.network.multiple
    return prepare_cases(data_set, tree, config.input, config.schema, multiple, cache, source.annotated)


def _joined_by_name(learned: Sequence[Source], data_sets: Sequence[DataSet], known: LabelTree | None) -> LabelTree:
    """The labels of all tables in one protocol: those of one name are one label."""
    tree = known
    for source, data_set in zip(learned, data_sets, strict=True):
        added = select(data_set.table, source.labels)
        before, tree = tree, added if tree is None else joined_tree(tree, added)
        if before is not None:
            _say_other_meanings(before, tree, added, source)
    assert tree is not None
    return tree


def _say_other_meanings(before: LabelTree, tree: LabelTree, added: LabelTree, source: Source) -> None:
    """Two tables may give one id to different names: the label that comes later has another one in the network."""
    named = {label.name.casefold(): label.id for label in tree.labels}
    new = [leaf for leaf in added.leaves if leaf.name.casefold() not in {x.name.casefold() for x in before.labels}]
    say_exchanged(
        f'"{source.root}"', new, {x.id: named[x.name.casefold()] for x in new}, {x.id: x for x in before.labels}
    )


def _tree_of_protocols(learned: Sequence[Source], data_sets: Sequence[DataSet], known: LabelTree | None) -> LabelTree:
    """The labels of the sources of each protocol joined by name, and the protocols side by side: first those of a
    package that is fine-tuned, which stay as they are.
    """
    kept = {} if known is None else {name: plain_part(known, name) for name in known.parts}
    parts = dict(kept)
    for source, data_set in zip(learned, data_sets, strict=True):
        added = select(data_set.table, source.labels)
        before = parts.get(source.protocol)
        if before is None:
            parts[source.protocol] = added
            continue
        _refuse_other_meanings(before, added, source)
        joined = joined_tree(before, added)
        if source.protocol in kept and joined != before:
            raise SystemExit(
                f'"{source.root}" has labels that the protocol {source.protocol} of the package lacks, such as'
                f' "{next(label for label in joined.labels if label not in before.labels).name}": name those that it'
                " has with the source's labels, or give it a protocol of its own."
            )
        parts[source.protocol] = joined
    return tree_of_protocols(parts)


def _refuse_other_meanings(before: LabelTree, added: LabelTree, source: Source) -> None:
    """Data sets that share a protocol agree about what an id means; a parent may have one that was made."""
    known = {leaf.id: leaf for leaf in before.leaves}
    for label in added.leaves:
        other = known.get(label.id)
        if other is not None and other.name.casefold() != label.name.casefold():
            raise SystemExit(
                f'The id {label.id} is "{label.name}" in "{source.root}", but "{other.name}" in another source of the'
                f" protocol {source.protocol}: give each a protocol of its own, or correct one of the tables."
            )


def _known_protocol(source: Source, tree: LabelTree) -> str:
    """The protocol of a source's labels. SystemExit for one that no source for training has."""
    if source.role != "target" and source.protocol not in tree.parts:
        raise SystemExit(
            f'No source is trained on for the protocol {source.protocol}, which "{source.root}" has; there are'
            f" {', '.join(tree.parts)}. Name one of them with its protocol."
        )
    return source.protocol


def _part(sources: Sequence[Source], n: int, whole: DataSet | None, tree: LabelTree) -> DataSet:
    """What source n takes of its data set; whole: the labelled data set at its root, if it has labels."""
    source = sources[n]
    is_target = source.role == "target"
    data_set = read_scans(Path(source.root), tree) if is_target or whole is None else whole
    if is_target and has_labels(data_set.root):
        print(f'The labels of "{source.root}" are not read: its role is target.', file=sys.stderr)
    names = cases_of(sources, n, [case.name for case in data_set.cases])
    for name in (label for labels in source.annotated.values() for label in labels):
        find_label(data_set.table, name, "data.annotated")
    cases = tuple(case for case in data_set.cases if case.name in names)
    if source.metadata:
        cases = tuple(replace(case, metadata={**source.metadata, **case.metadata}) for case in cases)
    if source.images == "stored":
        return replace(data_set, cases=cases)
    made = MapSettings(tuple(source.alike), source.parts)
    if made.parts == 1:  # no image is needed
        cases = tuple(replace(case, images=()) for case in cases)
    return replace(data_set, cases=cases, made=made)


def _check_maps(cases: Sequence[Case], source: Source, config: Config) -> None:
    """SystemExit where images are made from maps that lack a label which the settings name."""
    made = config.acquisition
    wanted = {"stripped_to": made.stripped_to} if made.stripped > 0 else {}
    if made.contrasts or source.parts > 1:
        wanted |= {f"tissues.{tissue}": name for tissue, name in asdict(made.tissues).items()}
    why = {"stripped_to": ", of which nothing else is left where the skull is taken away from made images"}
    for setting, name in wanted.items():
        if any(case.map is not None and not case.map.within(name) for case in cases):
            other = ", or set acquisition.stripped=0" if setting == "stripped_to" else ""
            raise SystemExit(
                f'A map of "{source.root}" has no label "{name}"'
                f"{why.get(setting, ', which shows how bright a tissue is')}: name one with"
                f" acquisition.{setting}{other}."
            )


def _by_root(data_sets: Sequence[DataSet]) -> list[DataSet]:
    """The parts of one data set put together again, each case once, with its images where a part has them."""
    parts: dict[tuple[Path, bool], dict[str, CaseFiles]] = {}
    for data_set in data_sets:
        for case in data_set.cases:
            its = parts.setdefault((data_set.root, case.label is None), {})
            if case.images or case.name not in its:
                its[case.name] = case
    heads = {(one.root, one.cases[0].label is None): one for one in data_sets}
    return [replace(heads[key], cases=tuple(its[name] for name in sorted(its))) for key, its in parts.items()]
