"""Modes of patches: clusters of what patches of label maps look like, and the head that tells the mode of a patch from
the answer of a network there.

Tsai et al., "Domain adaptation for structured output via discriminative patch representations", ICCV 2019, arXiv
1901.05427.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.cluster.vq import kmeans2

from ..losses.truth import IGNORE, Truth
from .patch_settings import PatchAdaptationSettings

if TYPE_CHECKING:
    from ..data.prepared_cases import Case

LEAST_KNOWN = 0.5
"""Share of the voxels of every part of a patch that have to be known for the patch to have a mode."""

MOST_PATCHES = 20_000
"""That clusters are fitted to."""

PROJECTION_SEED = 1901_05427
"""Of the random projection, which is the same in every run."""

ITERATIONS = 30
"""Of k-means."""


def label_basis(settings: PatchAdaptationSettings, members: torch.Tensor) -> torch.Tensor:
    """(K, D): what every class is in the basis that histograms and answers are told in. members (G, K): the classes
    under each parent.

    A random projection keeps distances between histograms but for a factor near 1 (Johnson and Lindenstrauss, 1984).
    """
    classes = members.shape[1]
    if settings.basis == "groups":
        return _top_groups(members)
    if classes <= settings.basis_size:
        return torch.eye(classes)
    generator = torch.Generator().manual_seed(PROJECTION_SEED)
    return torch.randn(classes, settings.basis_size, generator=generator) / math.sqrt(settings.basis_size)


def _top_groups(members: torch.Tensor) -> torch.Tensor:
    """(K, D): the background, then one direction for every parent that no other one contains, and for every class that
    has no parent.
    """
    tops = [
        row
        for n, row in enumerate(members)
        if not any(_contains(other, row) for m, other in enumerate(members) if m != n)
    ]
    alone = torch.eye(members.shape[1], dtype=torch.bool)
    inside = torch.stack(tops).any(0) if tops else torch.zeros(members.shape[1], dtype=torch.bool)
    return torch.stack([*alone[~inside], *tops], dim=1).float()


def _contains(other: torch.Tensor, row: torch.Tensor) -> bool:
    """Whether a parent has all classes of another one, and more."""
    return bool((other | ~row).all()) and bool((other & ~row).any())


class PatchModes(torch.nn.Module):
    """Label map -> the mode of each of its patches. It is fitted once, and kept in checkpoints.

    centres (modes, parts * D), largest cluster first; infinite where label maps have fewer modes than there may be.
    """

    members: torch.Tensor
    centres: torch.Tensor
    row_of: torch.Tensor

    def __init__(self, settings: PatchAdaptationSettings, members: torch.Tensor, basis: torch.Tensor) -> None:
        """members (G, K): the classes under each parent; basis (K, D)."""
        super().__init__()
        self.patch, self.subgrid, self.modes = settings.patch, settings.subgrid, settings.modes
        self.register_buffer("members", members, persistent=False)
        self.register_buffer("centres", torch.full((settings.modes, self.subgrid**3 * basis.shape[1]), torch.inf))
        rows = [basis, *(basis[row].mean(0, keepdim=True) for row in members), torch.zeros_like(basis[:1])]
        self.register_buffer("row_of", torch.cat(rows), persistent=False)

    @property
    def fitted(self) -> int:
        """How many modes there are."""
        return int(self.centres.isfinite().all(1).sum())

    def counts(self, shape: Sequence[int]) -> tuple[int, int, int]:
        """How many whole patches fit into a label map (k, j, i)."""
        k, j, i = (n // edge for n, edge in zip(shape, self.patch, strict=True))
        return k, j, i

    def visible(self, target: torch.Tensor, annotated: torch.Tensor) -> torch.Tensor:
        """Targets (k, j, i) -> what is known of them for sure: a voxel without a label is unknown where somebody may
        have left a label out.
        """
        truth = Truth(target.flatten().long(), annotated, self.members)
        seen = truth.visible if bool(annotated[1:].all()) else truth.visible.masked_fill(truth.visible == 0, IGNORE)
        return seen.view(target.shape)

    def histograms(self, target: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Targets (k, j, i) -> of its P whole patches the histograms of their parts in the basis (P, parts * D), and
        which of them are known (P,) bool.

        Voxels are counted target by target first, so that no array of voxels x directions is needed.
        """
        counts, parts, targets = self.counts(target.shape), self.subgrid**3, len(self.row_of)
        k, j, i = (n * edge for n, edge in zip(counts, self.patch, strict=True))
        inside = target[:k, :j, :i].long()
        number = self._part_numbers(counts, inside.device) * targets + torch.where(inside < 0, targets - 1, inside)
        total = int(np.prod(counts)) * parts
        found = torch.bincount(number.flatten(), minlength=total * targets).view(total, targets)
        known = found[:, :-1].sum(1)
        voxels = int(np.prod(self.patch)) // parts
        rows = found.to(self.row_of.dtype) @ self.row_of / known.clamp_min(1)[:, None]
        is_known = (known >= LEAST_KNOWN * voxels).view(-1, parts).all(1)
        return rows.view(-1, parts * self.row_of.shape[1]), is_known

    def _part_numbers(self, counts: Sequence[int], device: torch.device) -> torch.Tensor:
        """(k, j, i): the number of the part that a voxel lies in, those of a patch side by side."""
        patch, part = torch.zeros((), dtype=torch.long, device=device), torch.zeros((), dtype=torch.long, device=device)
        for axis, (count, edge) in enumerate(zip(counts, self.patch, strict=True)):
            place = torch.arange(count * edge, device=device).view([-1 if n == axis else 1 for n in range(3)])
            patch = patch * count + place // edge
            part = part * self.subgrid + place % edge // (edge // self.subgrid)
        return patch * self.subgrid**3 + part

    def nearest(self, histograms: torch.Tensor) -> torch.Tensor:
        """(P, parts * D) -> (P,): the mode of each patch."""
        return ((histograms[:, None] - self.centres[None]) ** 2).sum(2).argmin(1)

    def of_map(self, target: torch.Tensor, annotated: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Targets (k, j, i) -> the mode of every patch (P,), and whether it is known (P,) bool."""
        histograms, known = self.histograms(self.visible(target, annotated))
        return self.nearest(histograms), known

    def fit(self, cases: Iterable[Case], seed: int) -> None:
        """Cluster the patches of the label maps of cases. SystemExit where they are all alike."""
        generator = np.random.default_rng([seed, 6])
        found = torch.cat([self._patches_of(case) for case in cases]).double().cpu().numpy()
        found = found[np.sort(generator.permutation(len(found))[:MOST_PATCHES])]
        distinct = len(np.unique(found.round(6), axis=0))
        if distinct < 2:
            raise SystemExit(
                "The label maps have no two different patches that could be told apart by"
                f" patch_adaptation.modes={self.modes}; lower patch_adaptation.patch, or set patch_adaptation.align to"
                " output."
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # an empty cluster is left out below
            centres, nearest = kmeans2(found, min(self.modes, distinct), ITERATIONS, minit="++", seed=generator)
        sizes = np.bincount(nearest, minlength=len(centres))
        order = np.argsort(-sizes, kind="stable")[: int((sizes > 0).sum())]
        self.centres.fill_(torch.inf)
        self.centres[: len(order)] = torch.from_numpy(centres[order]).to(self.centres)

    def _patches_of(self, case: Case) -> torch.Tensor:
        """Histograms of the known patches of a case: side by side, and again half a patch further on. A map that is
        smaller than a patch goes on as background.
        """
        target = self.visible(case.target.to(self.centres.device), case.annotated.to(self.centres.device))
        parts = []
        for shift in (0, 1):
            part = target[tuple(slice(shift * edge // 2, None) for edge in self.patch)]
            missing = [max(0, edge - n) for n, edge in zip(part.shape, self.patch, strict=True)]
            if shift and any(missing):
                continue
            padded = torch.nn.functional.pad(part, [side for n in reversed(missing) for side in (0, n)])
            histograms, known = self.histograms(padded)
            parts.append(histograms[known])
        return torch.cat(parts)


class ModeHead(torch.nn.Module):
    """The answer in the basis, (batch, D, *coarse) -> logits of modes (batch, modes, *patches): each patch by its own
    parts alone.
    """

    def __init__(self, settings: PatchAdaptationSettings, directions: int, stride: int) -> None:
        super().__init__()
        k, j, i = (n // stride for n in settings.patch)
        self.edges = (k, j, i)
        self.layers = torch.nn.Sequential(
            torch.nn.AvgPool3d((k // settings.subgrid, j // settings.subgrid, i // settings.subgrid)),
            torch.nn.Conv3d(directions, settings.mode_width, settings.subgrid, settings.subgrid),
            torch.nn.LeakyReLU(0.2),
            torch.nn.Conv3d(settings.mode_width, settings.modes, 1),
        )

    def forward(self, answer: torch.Tensor) -> torch.Tensor:
        k, j, i = (n // edge * edge for n, edge in zip(answer.shape[2:], self.edges, strict=True))
        logits: torch.Tensor = self.layers(answer[:, :, :k, :j, :i])
        return logits
