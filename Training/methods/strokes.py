"""Learning from strokes: a few voxels of every structure and of the background have labels, all others are unknown.

Vernaza and Chandraker, "Learning random-walk label propagation for weakly-supervised semantic segmentation", CVPR 2017,
arXiv 1802.00470. A random walk from a voxel ends in the stroke that it hits first; the probabilities of the strokes'
labels are the voxel's soft target, which counts the more the surer it is. The walks are hindered by a boundary map,
which a small network draws; it learns, through the walks, to draw boundaries where the segmenter finds other structures
on both sides, while the segmenter learns where the walks end. Only the segmenter is shipped.
"""

from __future__ import annotations

import torch
from LabelConditionedSegmentationLib.core.network.architecture import Architecture
from LabelConditionedSegmentationLib.core.network.model import LabelConditionedNetwork
from LabelConditionedSegmentationLib.core.network.trunk import Trunk
from LabelConditionedSegmentationLib.core.strokes.grid_laplacian import Edges

from ..engine.config import Config
from ..losses.streamed_softmax import streamed_softmax_loss
from ..losses.stroke_walks import UNSEEN, boundary_conductances, hitting_probabilities, intensity_conductances
from ..losses.truth import IGNORE, Truth
from ..losses.walk_losses import certainty_weight, entropy_loss, walk_loss
from .context_source import up_sampled
from .method import Batch, Method, Picture, Run
from .registry import register
from .stroke_settings import StrokeSettings

LOW = -2.0
"""What is added to the boundary network's output before the sigmoid, so that walks are hindered little at first."""

OUTSIDE = 0.05
"""What the known voxels outside of the scan's foreground count together, beside those inside: they are easy, and beside
strokes they are so many that they would be all that counts."""


class BoundaryNetwork(torch.nn.Module):
    """Image (batch, channel, k, j, i) -> boundary map (batch, k, j, i), from 0 to `highest`."""

    def __init__(self, channels: int, settings: StrokeSettings) -> None:
        super().__init__()
        self.highest = settings.highest
        self.trunk = Trunk(_architecture(channels, settings))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        height: torch.Tensor = self.trunk(image)[:, 0].to(self.trunk.stem.weight.dtype)
        return self.highest * (height + LOW).sigmoid()


class Walks:
    """Where random walks from the unknown voxels of a sample end.

    targets: what its strokes are of, in order: classes, or groups as `Truth` has them. soft (targets, k, j, i): the
    probability of each.
    """

    def __init__(self, edges: Edges, inside: torch.Tensor, target: torch.Tensor) -> None:
        """inside (k, j, i) bool; target (k, j, i): IGNORE where it is unknown."""
        known = inside & (target != IGNORE)
        found, numbers = torch.unique(target[known], return_inverse=True)
        seeds = torch.full_like(target, UNSEEN).masked_scatter(known, numbers.to(target.dtype))
        self.targets: list[int] = found.tolist()
        self.soft = hitting_probabilities(edges, inside, seeds, len(found))


@register("strokes", StrokeSettings)
class LearnedFromStrokes(Method):
    """The segmenter and, where walks are learned, the boundary network, which one optimizer trains together."""

    members: torch.Tensor

    def __init__(self, network: LabelConditionedNetwork, config: Config, members: torch.Tensor) -> None:
        """members (G, K): as TargetCode has them."""
        super().__init__(network)
        self.own, self.dice_weight = config.own(StrokeSettings), config.objective.dice_weight
        self.channels, self.spacing = network.trunk.architecture.in_channels, config.input.spacing
        self.boundary = BoundaryNetwork(self.channels, self.own) if self.own.supervision == "joint" else None
        self.certainty = float("nan")
        self.register_buffer("members", members, persistent=False)

    @classmethod
    def check(cls, config: Config) -> None:
        objective, settings = config.objective, config.own(StrokeSettings)
        if config.network.conditioning != "head" or (objective.labels, objective.loss) != ("all", "softmax"):
            raise SystemExit(
                "method=strokes has a softmax over all classes: network.conditioning has to be head, objective.labels"
                " all and objective.loss softmax."
            )
        if config.data.points:
            raise SystemExit(
                "method=strokes needs every voxel of a sample, since walks go from voxel to voxel: set data.points=0 in"
                f" place of {config.data.points}."
            )
        if not settings.widths:
            raise SystemExit("strokes.widths names no stage; the boundary network has one at least, such as [8].")
        multiple = _architecture(1, settings).multiple
        if settings.supervision == "joint" and any(n % multiple for n in config.data.patch):
            raise SystemExit(
                f"data.patch is {list(config.data.patch)}; with strokes.widths every axis has to be a multiple of"
                f" {multiple}."
            )
        if config.optimizer.freeze:
            raise SystemExit("method=strokes trains the whole network: leave optimizer.freeze out.")

    @classmethod
    def build(cls, network: LabelConditionedNetwork, config: Config, members: torch.Tensor) -> Method:
        return cls(network, config, members)

    def forward(self, batch: Batch) -> torch.Tensor:
        """Mean loss of the samples of a batch, with the targets of all voxels."""
        image = batch["image"].contiguous(memory_format=torch.channels_last_3d)
        features = self.network.trunk(image, batch["metadata"])
        heights = None if self.boundary is None else self.boundary(image[:, : self.channels])
        with torch.autocast(image.device.type, enabled=False):  # scores, walks and their sums in float32
            features = up_sampled(features.to(self.network.bias.dtype), image.shape[2:])
            every = [
                self._loss_of(batch, n, features[n].flatten(1).T, None if heights is None else heights[n])
                for n in range(len(image))
            ]
        weights = [weight for _, weight in every if weight is not None]
        self.certainty = float(torch.stack(weights).mean()) if weights else float("nan")
        return torch.stack([loss for loss, _ in every]).mean()

    def training_step(self, batch: Batch, run: Run) -> torch.Tensor:
        """Measured is the mean weight of the voxels without a stroke, where there are walks."""
        loss = run.model(batch)
        if self.own.supervision in ("joint", "fixed"):
            run.measured["certainty"] = self.certainty
        return loss

    def on_validation(self, batch: Batch, picture: Picture) -> None:
        """The strokes of the first sample, and where most walks to them end."""
        if self.own.supervision not in ("joint", "fixed"):
            return
        target = _target_of(batch, 0)
        if not bool((batch["foreground"][0] & (target != IGNORE)).any()):
            return
        with torch.no_grad():
            image = batch["image"][:1].contiguous(memory_format=torch.channels_last_3d)
            heights = None if self.boundary is None else self.boundary(image[:, : self.channels])[0]
            walks = self._walks(batch, 0, heights)
        ends = torch.tensor(walks.targets, device=target.device)[walks.soft.argmax(0)]
        picture("sample, strokes, walks", image[0, 0], [target.clamp_min(0), ends])

    def _loss_of(
        self, batch: Batch, n: int, features: torch.Tensor, height: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The loss of sample n, features (V, C), and the mean certainty of its walks, where it has some."""
        truth = Truth(batch["target"][n], batch["annotated"][n], self.members)
        known, inside = truth.target != IGNORE, batch["foreground"][n].flatten()
        loss = self._loss_at(features[known], truth, known, inside)
        rest = (inside & ~known).nonzero()[:, 0]
        if self.own.supervision == "entropy" and len(rest):
            return loss + self.own.entropy_weight * entropy_loss(self._scores(features[rest])), None
        if self.own.supervision not in ("joint", "fixed"):
            return loss, None
        if height is not None:
            loss = loss + 0 * height.sum()  # a gradient for every parameter, whatever there is to walk
        if not len(rest) or len(torch.unique(truth.visible[known & inside])) < 2:
            return loss, None  # with strokes of one label all walks end there, sure and wrong
        walks = self._walks(batch, n, height)
        soft = walks.soft.flatten(1)[:, rest]
        weight = certainty_weight(soft, self.own.certainty)
        agreed = walk_loss(self._scores(features[rest]), soft, walks.targets, weight, truth, self.dice_weight)
        return loss + self.own.walk_weight * agreed, weight.mean()

    def _loss_at(self, features: torch.Tensor, truth: Truth, known: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
        """The loss at the known voxels: those of strokes or, with supervision=full, all."""
        near = inside[known]
        outer = OUTSIDE * near.sum().clamp_min(1) / (~near).sum().clamp_min(1)
        weight = torch.where(near, 1.0, outer.clamp_max(1).to(features.dtype))
        at = Truth(truth.target[known], truth.annotated, self.members, weight=weight)
        return streamed_softmax_loss(features, self.network.prompts, self.network.bias, at, self.dice_weight)

    def _walks(self, batch: Batch, n: int, height: torch.Tensor | None) -> Walks:
        inside, target = batch["foreground"][n], _target_of(batch, n)
        if height is None:
            image = batch["image"][n, : self.channels].float()
            edges = intensity_conductances(image, self.own.contrast, inside, self.spacing)
        else:
            edges = boundary_conductances(height, inside, self.spacing)
        visible = Truth(target.flatten(), batch["annotated"][n], self.members).visible.view(target.shape)
        return Walks(edges, inside, visible)

    def _scores(self, features: torch.Tensor) -> torch.Tensor:
        """features (V, C) -> scores (V, K)."""
        return torch.addmm(self.network.bias, features, self.network.prompts.T)


def _architecture(channels: int, settings: StrokeSettings) -> Architecture:
    """The boundary network: of the image alone, at its resolution, one channel."""
    return Architecture(
        in_channels=channels,
        widths=settings.widths,
        blocks=(1,) * len(settings.widths),
        output_stride=1,
        feature_channels=1,
        position=False,
        film="none",
    )


def _target_of(batch: Batch, n: int) -> torch.Tensor:
    """(k, j, i): the targets of sample n, whose points are all voxels in order."""
    return batch["target"][n].long().view(batch["foreground"].shape[1:])
