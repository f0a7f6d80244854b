"""LayeredFeatures: the features of a model with several protocols, each of which divides the scan on its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any, NoReturn, TypeVar

import numpy as np

from ..errors import LabelError
from ..progress import CancelToken, Progress, ProgressCallback
from ..scan.volume import Array
from .features import Features, RankedLabel, resolve_labels
from .probability_maps import ProbabilityMaps
from .result import Result

T = TypeVar("T")


class LayeredFeatures(Features):
    """One pass of the network over a scan, from which the labels of every protocol are decided among themselves, and
    against a background of their own.

    The winner map of each protocol is computed when it is needed, and kept.
    """

    def __init__(self, whole: Features, winners: Sequence[Array], maps: Mapping[int, Array]) -> None:
        """whole: with the labels and prompts of all protocols. winners, maps: a winner map for each protocol, in order,
        and probabilities by label id, where the features were not kept.
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
            dicom_place=whole._dicom_place,
        )
        known = dict(zip(whole.labels.parts, winners, strict=True)) if winners else {}
        self._parts = {name: self._part(name, known.get(name), maps) for name in whole.labels.parts}

    @property
    def parts(self) -> Mapping[str, Features]:
        """Name of a protocol -> the same features, asked for its labels alone."""
        return self._parts

    def _part(self, protocol: str, winners: Array | None, maps: Mapping[int, Array]) -> Features:
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
            dicom_place=self._dicom_place,
            maps=maps,
        )

    def segment(
        self,
        labels: Sequence[str] | str | None = None,
        progress: ProgressCallback | None = None,
        cancel: CancelToken | None = None,
    ) -> Result:
        """As `Features.segment`; the labels of every protocol are layers of their own."""
        return reduce(Result.beside, self._by_protocol(Features.segment, labels, progress, cancel))

    def probabilities(
        self,
        labels: Sequence[str] | str | None = None,
        progress: ProgressCallback | None = None,
        cancel: CancelToken | None = None,
    ) -> ProbabilityMaps:
        """As `Features.probabilities`; the labels of every protocol sum to 1 with the background of their own."""
        found = reduce(ProbabilityMaps.beside, self._by_protocol(Features.probabilities, labels, progress, cancel))
        return found.of(resolve_labels(self.labels, labels))

    def _by_protocol(
        self,
        ask: Callable[[Features, Sequence[str], ProgressCallback, CancelToken | None], T],
        labels: Sequence[str] | str | None,
        progress: ProgressCallback | None,
        cancel: CancelToken | None,
    ) -> list[T]:
        """What the features of each protocol answer for those of the labels that belong to it."""
        wanted: dict[str, list[str]] = {}
        for label in resolve_labels(self.labels, labels):
            wanted.setdefault(self.labels.protocol_of(label).name, []).append(str(label.id))
        steps, answers = Progress(progress, cancel), []
        for n, (protocol, ids) in enumerate(wanted.items()):
            start, stop = n / len(wanted), (n + 1) / len(wanted)

            def on_progress(done: float, text: str, start: float = start, stop: float = stop) -> None:
                steps.update(start, stop, done, text)

            answers.append(ask(self.parts[protocol], ids, on_progress, cancel))
        return answers

    def at(self, position_ras: tuple[float, float, float] | Array, count: int = 10) -> list[RankedLabel]:
        """As `Features.at`; a probability is that among the labels of the same protocol and its background."""
        found = [ranked for part in self.parts.values() for ranked in part.at(np.asarray(position_ras), count)]
        return sorted(found, key=lambda ranked: ranked.probability, reverse=True)[:count]

    def winner_map(self, progress: Progress | None = None) -> NoReturn:  # noqa: ARG002
        """There is one for each protocol: `parts[name].winner_map()`. Raises LabelError."""
        self._score()

    def _score(self, *_: Any) -> NoReturn:
        names = ", ".join(f'"{name}"' for name in self.parts)
        raise LabelError(f"The model divides a scan in several ways ({names}), each of which has a map of its own.")
