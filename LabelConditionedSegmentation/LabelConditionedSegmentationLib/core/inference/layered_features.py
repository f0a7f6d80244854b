"""LayeredFeatures: the features of a model with several protocols, each of which divides the scan on its own."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any, NoReturn

import numpy as np

from ..errors import LabelError
from ..examples.example_prompt import ExamplePrompt
from ..progress import CancelToken, Progress, ProgressCallback
from ..scan.volume import Array
from .features import Features, RankedLabel, resolve_labels
from .result import Result


class LayeredFeatures(Features):
    """One pass of the network over a scan, from which the labels of every protocol are decided among themselves, and
    against a background of their own.

    parts: name of a protocol -> the same features, asked for its labels alone. The winner map of each is computed when
    it is needed, and kept.
    """

    def __init__(self, whole: Features, winners: Sequence[Array]) -> None:
        """whole: with the labels and prompts of all protocols. winners: a winner map for each protocol, in order, where
        the features were not kept.
        """
        super().__init__(
            whole.labels,
            whole.prompts,
            whole.input_grid,
            whole.region,
            whole.feature_grid,
            whole.plan,
            whole.report,
            whole.stored,
            None,
            nifti_place=whole._nifti_place,
        )
        known = dict(zip(whole.labels.parts, winners, strict=True)) if winners else {}
        self.parts = {name: self._part(name, known.get(name)) for name in whole.labels.parts}

    def _part(self, protocol: str, winners: Array | None) -> Features:
        return Features(
            self.labels.parts[protocol],
            self.prompts.part(self.labels.class_slices[protocol]),
            self.input_grid,
            self.region,
            self.feature_grid,
            self.plan,
            self.report,
            self.stored,
            winners,
            nifti_place=self._nifti_place,
        )

    def segment(
        self,
        labels: Sequence[str] | str | None = None,
        progress: ProgressCallback | None = None,
        cancel: CancelToken | None = None,
    ) -> Result:
        """As `Features.segment`; the labels of every protocol are layers of their own."""
        wanted: dict[str, list[str]] = {}
        for label in resolve_labels(self.labels, labels):
            wanted.setdefault(self.labels.protocol_of(label).name, []).append(str(label.id))
        steps, results = Progress(progress, cancel), []
        for n, (protocol, ids) in enumerate(wanted.items()):
            start, stop = n / len(wanted), (n + 1) / len(wanted)

            def on_progress(done: float, text: str, start: float = start, stop: float = stop) -> None:
                steps.update(start, stop, done, text)

            results.append(self.parts[protocol].segment(ids, on_progress, cancel))
        return reduce(Result.beside, results)

    def at(self, position_ras: tuple[float, float, float] | Array, count: int = 10) -> list[RankedLabel]:
        """As `Features.at`; a probability is that among the labels of the same protocol and its background."""
        found = [ranked for part in self.parts.values() for ranked in part.at(np.asarray(position_ras), count)]
        return sorted(found, key=lambda ranked: ranked.probability, reverse=True)[:count]

    def by_example(
        self, examples: Sequence[ExamplePrompt], ids: Sequence[int] | None = None, divide: bool = False
    ) -> Features:
        """As `Features.by_example`; parents have to belong to one protocol. Raises LabelError where they do not."""
        parents = [self.labels.find(example.parent) for example in examples if example.parent]
        protocols = list(dict.fromkeys(self.labels.protocol_of(parent).name for parent in parents))
        if len(protocols) > 1:
            raise LabelError(
                f'Labels by example inside of both "{parents[0].name}" and labels of another protocol cannot compete;'
                " look for those of one protocol at a time."
            )
        return self.parts[(protocols or list(self.parts))[0]].by_example(examples, ids, divide)

    def winner_map(self, progress: Progress | None = None) -> NoReturn:  # noqa: ARG002
        """There is one for each protocol: `parts[name].winner_map()`. Raises LabelError."""
        self._score()

    def _score(self, *_: Any) -> NoReturn:
        names = ", ".join(f'"{name}"' for name in self.parts)
        raise LabelError(f"The model divides a scan in several ways ({names}), each of which has a map of its own.")
