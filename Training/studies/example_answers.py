"""What is asked of a data set by example (labels that are shown on atlases, and looked for in other cases), and who
answers: a model, or a registration of the atlases.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from LabelConditionedSegmentationLib.core.errors import InputError
from LabelConditionedSegmentationLib.core.examples.example_prompt import ExamplePrompt, averaged
from LabelConditionedSegmentationLib.core.examples.painted_examples import Example
from LabelConditionedSegmentationLib.core.inference.features import Features
from LabelConditionedSegmentationLib.core.inference.segmenter import Segmenter
from LabelConditionedSegmentationLib.core.labels.label_tree import Label, LabelTree
from LabelConditionedSegmentationLib.core.scan.volume import Array, Volume

from ..data.datasets import CaseFiles, DataSet, read_data_set, read_labels
from ..data.targets import TargetCode, find_label, select
from ..evaluation.scan_evaluation import read_case
from .registration import carried, majority


@dataclass(frozen=True)
class Question:
    """Which labels are asked for, shown on which scans and looked for in which.

    labels: the tree whose leaves they are. scale: what the scans are enlarged by before anybody sees them, such as a
    mouse's brain to the size of a human one.
    """

    data_set: DataSet
    atlases: tuple[CaseFiles, ...]
    cases: tuple[CaseFiles, ...]
    labels: LabelTree
    scale: float

    @cached_property
    def code(self) -> TargetCode:
        """From the ids of the data set to the classes of `labels`."""
        return TargetCode(self.labels, self.data_set.table, self.data_set.ignored_ids)

    def read(self, case: CaseFiles) -> tuple[Volume, Array]:
        """A scan, enlarged, and its targets (k, j, i): classes of `labels`, IGNORE where they are unknown."""
        scan, targets = read_case(case, self.code)
        return Volume(scan.array, np.diag([self.scale] * 3 + [1.0]) @ scan.affine), targets

    def shown(self) -> list[Label]:
        """The labels that some atlas has."""
        there = set[int]().union(
            *(np.unique(self.code.encode(read_labels(atlas).array[0])).tolist() for atlas in self.atlases)
        )
        return [leaf for leaf in self.labels.leaves if self.labels.class_of[leaf.id] in there]


def ask(
    data: Path, atlases: Sequence[str], cases: Sequence[str], labels: Sequence[str] = (), scale: float = 1.0
) -> Question:
    """The question to a data set. SystemExit with a sentence where it makes no sense.

    labels: names; what lies under a named parent is one label with it. Without names, all leaves of the data set's
    table.
    """
    both = sorted(set(atlases) & set(cases))
    if both:
        raise SystemExit(f"{', '.join(both)} cannot be an atlas and a case; the answer would be known.")
    if not (math.isfinite(scale) and scale > 0):
        raise SystemExit(
            f"The scale {scale:g} is impossible; give a number above 0, such as 10 for a mouse's brain and a model of"
            " human ones."
        )
    data_set = read_data_set(data, [*atlases, *cases])
    names = [find_label(data_set.table, name, "--labels").name for name in labels]
    known = {case.name: case for case in data_set.cases}
    of_atlases, of_cases = (tuple(known[name] for name in dict.fromkeys(chosen)) for chosen in (atlases, cases))
    return Question(data_set, of_atlases, of_cases, select(data_set.table, names), scale)


class ExampleAnswers:
    """A model that is shown the labels of a question; the atlases are run once, when they are needed first."""

    def __init__(self, segmenter: Segmenter, question: Question) -> None:
        self.segmenter = segmenter
        self.question = question

    @cached_property
    def prompts(self) -> dict[int, ExamplePrompt]:
        """Class of the question's labels -> its prompt, the mean over the atlases that have it.

        Raises InputError where there is none, or where the model
        knows no examples.
        """
        return self._learned(pooled=False)

    @cached_property
    def pooled_prompts(self) -> dict[int, ExamplePrompt]:
        """As `prompts`, made by the network from pooled features, which not every model can."""
        return self._learned(pooled=True)

    def _learned(self, pooled: bool) -> dict[int, ExamplePrompt]:
        found: dict[int, list[ExamplePrompt]] = {}
        for atlas in self.question.atlases:
            scan, targets = self.question.read(atlas)
            classes = [n for n in np.unique(targets).tolist() if 0 < n < self.question.code.classes]
            if not classes:
                continue
            shown = (Example(self._name(n), targets == n) for n in classes)
            for n, prompt in zip(
                classes, self.segmenter.examples(scan, shown, self.told(atlas), pooled=pooled), strict=True
            ):
                found.setdefault(n, []).append(prompt)
        if not found:
            raise InputError("None of the labels is in any of the atlases; name other atlases, or other labels.")
        return {n: averaged(prompts) for n, prompts in sorted(found.items())}

    @cached_property
    def parents(self) -> dict[int, str]:
        """Class of the question's labels -> the nearest label above it that the model has too; those without one are
        left out.
        """
        tree, known = self.question.labels, {label.name.casefold() for label in self.segmenter.package.labels.labels}
        above = {
            n: (x.name for x in tree.ancestors(leaf) if x.name.casefold() in known)
            for n, leaf in enumerate(tree.leaves, start=1)
        }
        return {n: first for n, names in above.items() if (first := next(names, None)) is not None}

    def features(self, case: CaseFiles, scan: Volume) -> Features:
        """The network over a scan."""
        return self.segmenter.features(scan, self.told(case))

    def found(self, features: Features, prompts: Mapping[int, ExamplePrompt], inside: bool) -> Array:
        """The class of every voxel (k, j, i) of a scan. inside: every label only where the model finds the label above
        it, if it knows one.
        """
        prompts = {
            n: replace(prompt, parent=self.parents.get(n, "")) if inside else prompt for n, prompt in prompts.items()
        }
        classes: Array = features.by_example(list(prompts.values()), list(prompts)).segment().label_map.array[0]
        return classes

    def told(self, case: CaseFiles) -> dict[str, str]:
        """What is known of a case, as far as the model has a field for it."""
        names = {field.name for field in self.segmenter.package.metadata.fields}
        return {key: value for key, value in case.metadata.items() if key in names}

    def _name(self, number: int) -> str:
        """A label by example may not be called like one of the model's."""
        name = self.question.labels.leaves[number - 1].name
        return (
            f"{name}, by example"
            if name.casefold() in {label.name.casefold() for label in self.segmenter.package.labels.labels}
            else name
        )


def by_registration(question: Question, scan: Volume, way: str) -> Array:
    """The class of every voxel (k, j, i) of a scan, by the atlases registered to it: where they differ, what most of
    them say.

    way: one of Training.studies.registration.WAYS.
    """
    opinions = [carried(scan, *question.read(atlas), way) for atlas in question.atlases]
    return majority([np.where(opinion < question.code.classes, opinion, -1).astype(np.int16) for opinion in opinions])
