"""Which case a sample is of: its source drawn by weight, then every case of the source in turn; a share of the samples
are of scans that a teacher labelled.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from .prepared_cases import Case

if TYPE_CHECKING:
    from ..engine.config import Config


class CaseDraw:
    """The case of sample number n, reproducible from (seed, n) alone.

    A source is drawn by the weights of `data.sources`, however many cases each has. With a single source every case
    comes once an epoch, in an order shuffled anew each time; with several an epoch of a source is one of the numbers,
    of which it gets its share. The same goes, with `teacher.share`, for the labelled cases and those that a teacher
    labelled.
    """

    def __init__(self, cases: Sequence[Case], config: Config, taught: Sequence[Case] = ()) -> None:
        """taught: the cases that a teacher labelled, of which `teacher.share` of the samples are."""
        self.seed = config.seed
        self.labelled = _Pool(cases, config)
        self.taught = _Pool(taught, config) if taught else self.labelled
        self.taught_share = config.teacher.share if taught else 0.0

    def case_of(self, number: int) -> Case:
        """The case of sample number n."""
        return (self.taught if self._is_taught(number) else self.labelled).case_of(number)

    def _is_taught(self, number: int) -> bool:
        if self.taught_share == 0:
            return False
        return bool(np.random.default_rng([self.seed, 5, number]).random() < self.taught_share)


class _Pool:
    """Cases of one or several sources, drawn as `CaseDraw` says."""

    def __init__(self, cases: Sequence[Case], config: Config) -> None:
        self.seed = config.seed
        numbers = sorted({case.source for case in cases})
        self.groups = [[case for case in cases if case.source == number] for number in numbers]
        weights = np.array([config.data.sources[n].weight if config.data.sources else 1.0 for n in numbers])
        self.shares = weights / weights.sum()

    def case_of(self, number: int) -> Case:
        cases = self.groups[self._source_of(number)]
        epoch, place = divmod(number, len(cases))
        order = np.random.default_rng([self.seed, 1, epoch]).permutation(len(cases))
        return cases[int(order[place])]

    def _source_of(self, number: int) -> int:
        if len(self.groups) == 1:
            return 0
        return int(np.random.default_rng([self.seed, 4, number]).choice(len(self.groups), p=self.shares))
