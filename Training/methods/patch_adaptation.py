"""Domain adaptation: a network of labelled scans of one kind, the source, that is to segment scans of another kind, the
target, which nobody labelled.

Tsai et al., "Domain adaptation for structured output via discriminative patch representations", ICCV 2019, arXiv
1901.05427, and output-space alignment, which it extends: Tsai et al., "Learning to adapt structured output space for
semantic segmentation", CVPR 2018, arXiv 1802.10349. A small head learns on the source to tell from the answer of the
network the mode of each patch; what it says of the target's patches, and the answer on the target as a whole, are made
such that discriminators take them for the source's. Only the segmenter is shipped.

With many labels everything but the segmenter's own loss sees the answer on a fixed basis of a few directions, which is
computed in tiles: memory is flat in the number of labels. Answers are those of the trunk's resolution.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from LabelConditionedSegmentationLib.core.network.model import LabelConditionedNetwork
from torch.utils.data import Dataset

from ..data.target_samples import TargetSamples
from ..data.training_samples import Samples
from ..engine.config import Config
from ..losses.alignment_losses import as_of_source, mode_loss, moment_distance
from ..losses.projected_scores import projected_probabilities
from ..losses.streamed_softmax import streamed_softmax_loss
from ..losses.truth import Truth
from .adaptation_watch import AdaptationWatch
from .all_labels import AllLabels
from .discriminators import Adversary, mean_over, output_discriminator, patch_discriminator
from .method import Batch, Method, Optimizers, Picture, Run
from .patch_modes import ModeHead, PatchModes, label_basis
from .patch_settings import PatchAdaptationSettings
from .points import at_points
from .registry import register

if TYPE_CHECKING:
    from ..data.prepared_cases import Case
    from ..engine.config import OptimizerConfig
    from ..engine.run_data import RunData

LEAST_TARGETS = 2
"""Scans: of a single one there is adaptation to one scan."""


class Seen(NamedTuple):
    """What the discriminators are shown of a step: name -> source and target, without gradients. modes (2, M): the
    share that each mode has of the known patches of the source, and of those of the target, as the head tells them; NaN
    where there is no patch.
    """

    answers: dict[str, tuple[torch.Tensor, torch.Tensor]]
    modes: torch.Tensor | None
    measured: dict[str, torch.Tensor]


@register("patch_adaptation", PatchAdaptationSettings)
class PatchAdaptation(AllLabels):
    """The segmenter with the loss of method=lcs and, as `patch_adaptation.align` says, the head of modes,
    discriminators of patches and of the whole answer, or moments that are to agree.
    """

    roles = ("target",)
    needs_label_maps = True
    basis: torch.Tensor
    members: torch.Tensor

    def __init__(self, network: LabelConditionedNetwork, config: Config, members: torch.Tensor) -> None:
        super().__init__(network, config.objective, members)
        self.own = config.own(PatchAdaptationSettings)
        self.highest_rate, self.seed = config.optimizer.learning_rate, config.seed
        self.learns_from_target = self.own.align != "none"
        self.strength = 1.0
        self.seen: Seen | None = None
        basis, stride = label_basis(self.own, members), config.network.output_stride
        self.register_buffer("basis", basis, persistent=False)
        self.modes: PatchModes | None = None
        self.mode_head: ModeHead | None = None
        self.adversaries = torch.nn.ModuleDict()
        if self.own.align in ("both", "patches"):
            self.modes = PatchModes(self.own, members, basis)
            self.mode_head = ModeHead(self.own, basis.shape[1], stride)
            told = patch_discriminator(self.own.modes, self.own.patch_widths)
            self.adversaries["patches"] = Adversary(told, self.own.learning_rate)
        if self.own.align in ("both", "output"):
            shape = [n // stride for n in config.data.patch]
            told = output_discriminator(basis.shape[1], self.own.output_widths, shape)
            self.adversaries["output"] = Adversary(told, self.own.learning_rate)
        self.watch = AdaptationWatch(list(self.adversaries), self.own.modes if self.modes is not None else 0)
        if self.adversaries:
            self.criterion_name = "sum of Dice and balance"

    @classmethod
    def check(cls, config: Config) -> None:
        objective, own = config.objective, config.own(PatchAdaptationSettings)
        if config.network.conditioning != "head" or (objective.labels, objective.loss) != ("all", "softmax"):
            raise SystemExit(
                "method=patch_adaptation has a softmax over all classes: network.conditioning has to be head,"
                " objective.labels all and objective.loss softmax."
            )
        if own.align == "none":
            return
        if not any(source.role == "target" for source in config.data.sources):
            raise SystemExit(
                f"patch_adaptation.align is {own.align}, but there is nothing to align: name the scans without labels"
                " as a source of the role target in data.sources, or set patch_adaptation.align=none."
            )
        if "trunk" in config.optimizer.freeze:
            raise SystemExit(
                "method=patch_adaptation adapts the trunk: take it out of optimizer.freeze, or set"
                " patch_adaptation.align=none."
            )
        _check_sizes(config, own)

    @classmethod
    def build(cls, network: LabelConditionedNetwork, config: Config, members: torch.Tensor) -> Method:
        return cls(network, config, members)

    def optimizers(self, settings: OptimizerConfig) -> Optimizers:
        """The segmenter's, which the head of modes shares, and one of each discriminator."""
        return super().optimizers(settings) | {name: each.optimizer for name, each in self._adversaries.items()}

    def begin(self, samples: Samples, data: RunData) -> None:
        """Look at the target and, in a run that begins, find the modes of the source."""
        if not self.learns_from_target:
            return
        _refuse_few(data.target, samples.config)
        _refuse_source_as_target(data.training, data.target)
        if self.modes is not None and not self.modes.fitted:
            self.modes.fit(data.training, self.seed)

    def drawn(self, samples: Samples, data: RunData) -> Dataset[Batch]:
        """Each sample with one of the target beside it."""
        if not self.learns_from_target:
            return samples
        return TargetSamples(samples, Samples(data.target, samples.code, samples.config, samples.device))

    def forward(self, batch: Batch) -> torch.Tensor:
        """Mean loss of the samples of a batch, each with a sample of the target, as `TargetSamples` has them; without
        those, what is learned from the source alone.
        """
        image, metadata, count = batch["image"], batch["metadata"], len(batch["image"])
        if self.learns_from_target and "target_image" in batch:
            image = torch.cat([image, batch["target_image"]])
            metadata = torch.cat([metadata, batch["target_metadata"]])
        features = self.network.trunk(image.contiguous(memory_format=torch.channels_last_3d), metadata)
        with torch.autocast(image.device.type, enabled=False):  # scores and their sums in float32
            features = features.to(self.network.bias.dtype)
            found = at_points(features[:count], batch["points"], image.shape[2:])
            losses = [
                self._loss(values.T, Truth(target, annotated, self.members))
                for values, target, annotated in zip(found, batch["target"], batch["annotated"], strict=True)
            ]
            return torch.stack(losses).mean() + self._alignment(batch, features[:count], features[count:])

    def training_step(self, batch: Batch, run: Run) -> torch.Tensor:
        """The discriminators learn from the answers that the loss was taken of."""
        self.strength = _strength(run.step, self.own)
        loss = run.model(batch)
        seen, self.seen = self.seen, None
        if seen is None:
            return loss
        share = run.learning_rate / self.highest_rate if self.highest_rate else 0.0
        mean, rate = mean_over(run.fabric), self.own.learning_rate * share
        told = {name: each.learn(*seen.answers[name], rate, mean) for name, each in self._adversaries.items()}
        run.measured |= {name: float(mean(value.float())) for name, value in seen.measured.items()}
        run.measured |= self.watch(told, seen.modes, mean, run.fabric.print)
        return loss

    def criterion(self, dice: float) -> float:
        """Of scans without labels there is no Dice: that of the source, and how little the discriminators know."""
        return dice + self.own.balance_weight * self.watch.balance if self.adversaries else dice

    @torch.no_grad()
    def on_validation(self, batch: Batch, picture: Picture) -> None:
        """The modes of the first source sample and, as they are told, of both samples."""
        if self.modes is None or self.mode_head is None:
            return
        first = slice(0, 1)
        sides = {"source": (batch["image"][first], batch["metadata"][first])}
        sides["target"] = (batch["target_image"][first], batch["target_metadata"][first])
        truth, known = self.modes.of_map(_labels_of(batch)[0], batch["annotated"][0])
        for name, (image, metadata) in sides.items():
            image, metadata = (each.to(self.network.bias.dtype) for each in (image, metadata))
            features = self.network.trunk(image.contiguous(memory_format=torch.channels_last_3d), metadata)
            found = self.mode_head(self._answer(features.to(self.network.bias.dtype)))[0].argmax(0).flatten()
            maps = [self._mode_map(found, image.shape[2:])]
            if name == "source":
                maps.insert(0, self._mode_map(truth.masked_fill(~known, -1), image.shape[2:]))
            title = "source, modes of its labels, modes found" if name == "source" else "target, modes found"
            picture(title, image[0, 0], maps)

    @property
    def _adversaries(self) -> dict[str, Adversary]:
        return {name: each for name, each in self.adversaries.items() if isinstance(each, Adversary)}

    def _loss(self, features: torch.Tensor, truth: Truth) -> torch.Tensor:
        prompts, bias = self.network.prompts, self.network.bias
        return streamed_softmax_loss(features, prompts, bias, truth, self.objective.dice_weight)

    def _alignment(self, batch: Batch, source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """What is added to the loss of the labels. source and target (batch, C, *coarse); the target may be empty."""
        zero, own = source.new_zeros(()), self.own
        if own.align == "none":
            return zero
        of_source = batch.get("is_source", torch.ones(len(source), device=source.device)).bool()
        if own.align == "moments":
            return zero if not len(target) else self._moments(batch, source, target, of_source)
        answers: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
        measured: dict[str, torch.Tensor] = {}
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.modes is not None):
            of_labels = self._answer(source)
        answer, shares, loss = self._answer(target), None, zero
        if self.modes is not None and self.mode_head is not None:
            told, other = self.mode_head(of_labels), self.mode_head(answer)
            cost, shares = self._modes_of_source(batch, told, other, of_source)
            loss, measured["mode_loss"] = own.mode_weight * cost, cost.detach()
            answers["patches"] = (told.softmax(1), other.softmax(1))
        if "output" in self.adversaries:
            answers["output"] = (of_labels, answer)
        if not len(target):
            return loss
        for name, weight in (("patches", own.patch_weight), ("output", own.output_weight)):
            if name in answers:
                cost = as_of_source(self.adversaries[name](answers[name][1]))
                loss = loss + self.strength * weight * cost
                measured[f"{name}_adversarial_loss"] = cost.detach()
        shown = {name: (one[of_source].detach(), two.detach()) for name, (one, two) in answers.items()}
        self.seen = Seen(shown, shares, measured)
        return loss

    def _modes_of_source(
        self, batch: Batch, told: torch.Tensor, other: torch.Tensor, of_source: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The loss of the head of modes, mean over the samples, and the shares of modes that `Seen` has."""
        assert self.modes is not None
        counts = torch.zeros(2, self.own.modes, device=told.device, dtype=told.dtype)
        costs = []
        for logits, labels, annotated, is_source in zip(
            told, _labels_of(batch), batch["annotated"], of_source, strict=True
        ):
            with torch.no_grad():
                modes, known = self.modes.of_map(labels, annotated)
            known = known & is_source
            costs.append(mode_loss(logits.flatten(1).T, modes, known))
            counts[0] += torch.bincount(modes[known], minlength=self.own.modes)
        counts[1] = torch.bincount(other.detach().argmax(1).flatten(), minlength=self.own.modes)
        return torch.stack(costs).mean(), counts / counts.sum(1, keepdim=True)

    def _moments(
        self, batch: Batch, source: torch.Tensor, target: torch.Tensor, of_source: torch.Tensor
    ) -> torch.Tensor:
        """Mean distance between the features of a source sample and of the target sample beside it, inside of the
        scans.
        """
        inside = [_coarser(batch[key], source.shape[2:]) for key in ("foreground", "target_foreground")]
        distances = [
            moment_distance(*(each[n][:, part[n]].T for each, part in zip((source, target), inside, strict=True)))
            for n in of_source.nonzero()[:, 0].tolist()
            if all(int(part[n].sum()) > 1 for part in inside)
        ]
        distance = torch.stack(distances).mean() if distances else 0 * source.sum()
        measured = distance.detach() if distances else distance.new_tensor(torch.nan)
        self.seen = Seen({}, None, {"moment_distance": measured})
        return self.strength * self.own.moment_weight * distance

    def _answer(self, features: torch.Tensor) -> torch.Tensor:
        """Features (batch, C, *coarse) -> probabilities of all labels in the basis, (batch, D, *coarse)."""
        rows = features.movedim(1, -1)
        prompts, bias, basis = self.network.prompts, self.network.bias, self.basis.to(features.dtype)
        flat = projected_probabilities(rows.reshape(-1, rows.shape[-1]), prompts, bias, basis)
        return flat.view(*rows.shape[:-1], basis.shape[1]).movedim(-1, 1)

    def _mode_map(self, modes: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
        """Modes of patches (P,), -1 for unknown -> (k, j, i), with colours of their own after those of the labels; -1
        beyond the whole patches.
        """
        assert self.modes is not None
        shown = torch.where(modes < 0, modes, modes + self.network.classes).view(self.modes.counts(shape))
        for axis, edge in enumerate(self.own.patch):
            shown = shown.repeat_interleave(edge, axis)
        missing = [n - have for n, have in zip(shape, shown.shape, strict=True)]
        return torch.nn.functional.pad(shown, [n for m in reversed(missing) for n in (0, m)], value=-1)


def _strength(step: int, own: PatchAdaptationSettings) -> float:
    """How much of their weight the losses of the target have at a step: none, rising, all."""
    if step < own.start:
        return 0.0
    return min(1.0, (step - own.start + 1) / (own.rise + 1))


def _labels_of(batch: Batch) -> torch.Tensor:
    """(batch, k, j, i): the targets of all voxels; of a batch without, whose points are all voxels in order, those."""
    return batch["labels"] if "labels" in batch else batch["target"].view(-1, *batch["image"].shape[2:])


def _coarser(foreground: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
    """(batch, k, j, i) bool -> (batch, *shape) bool: where most voxels are of it."""
    k, j, i = shape
    return torch.nn.functional.adaptive_avg_pool3d(foreground[:, None].float(), (k, j, i))[:, 0] > 0.5


def _check_sizes(config: Config, own: PatchAdaptationSettings) -> None:
    """SystemExit for patches that cannot be divided, or widths that are none."""
    if any(width < 1 for width in (*own.patch_widths, *own.output_widths)):
        raise SystemExit("Of patch_adaptation.patch_widths and output_widths, every number has to be at least 1.")
    if own.align not in ("both", "patches"):
        return
    multiple = own.subgrid * config.network.output_stride
    if any(edge < 1 or edge % multiple for edge in own.patch):
        raise SystemExit(
            f"patch_adaptation.patch is {list(own.patch)}; with patch_adaptation.subgrid={own.subgrid} and this network"
            f" every axis has to be a multiple of {multiple}."
        )
    if any(edge > n for edge, n in zip(own.patch, config.data.patch, strict=True)):
        raise SystemExit(
            f"patch_adaptation.patch is {list(own.patch)}, which does not fit into data.patch,"
            f" {list(config.data.patch)}; make it smaller."
        )


def _refuse_few(target: Sequence[Case], config: Config) -> None:
    if len(target) >= LEAST_TARGETS:
        return
    roots = ", ".join(f'"{source.root}"' for source in config.data.sources if source.role == "target")
    raise SystemExit(
        f"The target {roots} has {len(target)} scan, but what a kind of scan looks like takes {LEAST_TARGETS} at least:"
        " add scans, or adapt to the one scan when it is segmented (lcs segment --adapt)."
    )


def _refuse_source_as_target(training: Sequence[Case], target: Sequence[Case]) -> None:
    """SystemExit where a scan of the target is one of the labelled scans, whatever its file is called."""
    for case in target:
        for other in training:
            if other.map is None and _are_same(case.image, other.image):
                raise SystemExit(
                    f"The scan {case.name} of the target is the labelled scan {other.name}, so there is nothing to"
                    " adapt to: name scans of another kind as the target."
                )


def _are_same(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Of two images (channel, k, j, i); most pairs are told apart by their middle planes."""
    if one.shape != other.shape:
        return False
    middle = one.shape[1] // 2
    return torch.equal(one[:, middle], other[:, middle]) and torch.equal(one, other)
