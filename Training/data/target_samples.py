"""Samples of labelled scans, each with one of a scan without labels beside it."""

from __future__ import annotations

import torch
from torch.utils.data import Dataset

from .training_samples import Samples

FIRST_TARGET = 2**41
"""Number of the sample that stands beside number 0: the two are varied each on its own."""


class TargetSamples(Dataset[dict[str, torch.Tensor]]):
    """Sample number n of a training run as `Samples` has it and, by names that begin with target_, image, foreground
    and metadata of a sample of the target. is_source: whether the first one is of a scan of the source, not of one that
    a teacher labelled.
    """

    def __init__(self, samples: Samples, target: Samples) -> None:
        self.samples = samples
        self.target = target
        self.of_target = {case.source for case in target.cases}

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, number: int) -> dict[str, torch.Tensor]:
        other = self.target[FIRST_TARGET + number]
        beside = {f"target_{key}": other[key] for key in ("image", "foreground", "metadata")}
        is_source = self.samples.case_of(number).source not in self.of_target
        return self.samples[number] | beside | {"is_source": torch.tensor(is_source)}
