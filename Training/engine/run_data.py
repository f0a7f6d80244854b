"""The cases of a run: found, checked, prepared, and divided into those to train on and those to validate with."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from LabelConditionedSegmentationLib.core.labels.label_tree import LabelTree
from LabelConditionedSegmentationLib.core.scan.metadata import MetadataSchema

from ..data.prepared_cases import Case, is_prepared, open_prepared, prepare_cases
from ..data.targets import TargetCode, find_label, select
from ..methods.registry import method_of
from .config import Config
from .start import joined_tree


@dataclass(frozen=True)
class RunData:
    """What a run learns from. tree: the labels of the network. code: what the targets of training mean, which name
    further labels where anatomy is the context.
    meta: the cases that are kept for an outer loss.
    """

    tree: LabelTree
    code: TargetCode
    schema: MetadataSchema
    training: list[Case]
    validation: list[Case]
    meta: list[Case]


def load_data(config: Config, known: LabelTree | None = None) -> RunData:
    """Read `data.root`. known: the labels of a package that is fine-tuned.

    SystemExit, with all problems at once, where the data cannot be used.
    """
    root, meta_cases = Path(config.data.root), method_of(config).meta_cases(config)
    names = [*config.data.names, *meta_cases] if config.data.names else []
    read = _prepared if is_prepared(root) else _prepared_now
    tree, code, cases = read(config, names, known)
    held_out = [*config.data.validation, *meta_cases]
    _named([case.name for case in cases], held_out, root)
    training = [case for case in cases if case.name not in held_out]
    if not training:
        raise SystemExit(
            f'No case of "{root}" is left to train on: all of them are kept for validation or an outer loss.'
        )
    blank = sorted(case.name for case in cases if not bool(case.annotated[1:].any()))
    if blank:
        raise SystemExit(
            f'Of "{root}", nobody looked for any of the labels that are learned in {", ".join(blank)}; leave such cases'
            " out, or correct data.annotated."
        )
    validation, meta = ([case for case in cases if case.name in kept] for kept in (config.data.validation, meta_cases))
    return RunData(tree, code, config.schema, training, validation, meta)


def _prepared(
    config: Config, names: Sequence[str], known: LabelTree | None
) -> tuple[LabelTree, TargetCode, list[Case]]:
    """Cases of a folder that was prepared before: their tree, what their targets mean, and they."""
    root = Path(config.data.root)
    if known is not None:
        raise SystemExit(
            f'A package is fine-tuned on a data set, but "{root}" is a prepared folder; set data.root to the data set'
            " itself."
        )
    prepared = open_prepared(
        root, config.input, config.schema, config.network.multiple, config.data.labels, names, config.data.annotated
    )
    if method_of(config).labels_of_samples(config, prepared.tree, prepared.table) != prepared.tree:
        raise SystemExit(
            f"method={config.method} needs further labels of the data set itself with these settings, but"
            f' "{root}" is a prepared folder; set data.root to the data set.'
        )
    return prepared.tree, TargetCode(prepared.tree, prepared.table), prepared.cases


def _prepared_now(
    config: Config, names: Sequence[str], known: LabelTree | None
) -> tuple[LabelTree, TargetCode, list[Case]]:
    """Cases of a data set, checked and prepared.

    What the names of labels and cases say against it comes before any image is read.
    """
    from ..data.data_checks import refuse_problems  # and with it what reads images
    from ..data.datasets import read_data_set

    root = Path(config.data.root)
    data_set = read_data_set(root, names)
    _named([case.name for case in data_set.cases], [*config.data.validation, *config.data.annotated], root)
    tree = select(data_set.table, config.data.labels)
    tree = tree if known is None else joined_tree(known, tree)
    wider = method_of(config).labels_of_samples(config, tree, data_set.table)
    code = TargetCode(wider, data_set.table, data_set.ignored_ids)
    for name in chain.from_iterable(config.data.annotated.values()):
        find_label(data_set.table, name, "data.annotated")
    refuse_problems(data_set, config, sys.stderr.isatty())
    settings = (config.input, config.schema, config.network.multiple, Path(config.data.cache), config.data.annotated)
    cases = prepare_cases(data_set, tree, *settings)
    if wider != tree:
        divided = {case.name: case for case in prepare_cases(data_set, wider, *settings)}
        cases = [case if case.name in config.data.validation else divided[case.name] for case in cases]
    return tree, code, cases


def _named(there: Sequence[str], wanted: Sequence[str], root: Path) -> None:
    """A mistyped case is an error, not none at all."""
    missing = sorted(set(wanted) - set(there))
    if missing:
        raise SystemExit(
            f'"{root}" has no case called {", ".join(missing)}; its cases are'
            f" {', '.join(sorted(there)[:20])}{' ...' if len(there) > 20 else ''}."
        )
