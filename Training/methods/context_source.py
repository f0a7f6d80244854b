"""Where the context of CoLab comes from: a network that learns it, or, as controls, anatomical labels, clusters of
voxels, or none at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from LabelConditionedSegmentationLib.core.labels.label_tree import LabelTree
from LabelConditionedSegmentationLib.core.network.architecture import POSITION_CHANNELS, Architecture
from LabelConditionedSegmentationLib.core.network.trunk import Trunk
from LabelConditionedSegmentationLib.core.scan.preprocessing import position_channels
from scipy.cluster.vq import kmeans2

from ..data.targets import find_label, select
from ..engine.start import joined_tree
from ..losses.colab_losses import distance_weight
from .colab_settings import CoLabSettings
from .method import Batch

if TYPE_CHECKING:
    from ..data.training_samples import Samples

VOXELS_A_SAMPLE = 2000
"""Voxels of every case that clusters are fitted to."""


class ContextSource(torch.nn.Module):
    """Batch -> context (batch, t, k, j, i): for every voxel the probabilities of the background class and of the t - 1
    context classes.
    """

    def begin(self, samples: Samples) -> None:
        """Called once before the first step."""


class NoContext(ContextSource):
    """The background is one class."""

    def forward(self, batch: Batch) -> torch.Tensor:
        return torch.ones_like(batch["image"][:, :1])


class TaskGenerator(ContextSource):
    """A second U-Net that looks at the image and is trained by the outer loss alone."""

    def __init__(self, network: Architecture, classes: int, settings: CoLabSettings) -> None:
        super().__init__()
        widths = settings.widths
        self.trunk = Trunk(
            Architecture(
                dimensions=network.dimensions,
                in_channels=network.in_channels,
                widths=widths,
                blocks=(1,) * len(widths),
                output_stride=settings.stride,
                feature_channels=classes,
                position=network.position,
                film="none",
            )
        )

    def forward(self, batch: Batch) -> torch.Tensor:
        image = batch["image"].contiguous(memory_format=torch.channels_last_3d)
        scores = self.trunk(image)
        with torch.autocast(image.device.type, enabled=False):
            return up_sampled(scores.to(self.trunk.stem.weight.dtype), image.shape[2:]).softmax(1)


class Anatomy(ContextSource):
    """Labels of the data set as context classes, as in BackSplit: each stands for what lies under it and is no label of
    the network.
    """

    class_of: torch.Tensor

    def __init__(self, names: list[str], targets: int) -> None:
        """targets: how many targets a TargetCode has, unknown included."""
        super().__init__()
        self.names = names
        self.register_buffer("class_of", torch.zeros(targets, dtype=torch.long), persistent=False)

    def begin(self, samples: Samples) -> None:
        code = samples.code
        for n, name in enumerate(self.names, start=1):
            inside = set(code.tree.classes_under(find_label(code.tree, name, "colab.anatomy")))
            groups = [
                code.classes + g for g, row in enumerate(code.members) if set(row.nonzero()[:, 0].tolist()) <= inside
            ]
            self.class_of[[*inside, *groups]] = n

    def forward(self, batch: Batch) -> torch.Tensor:
        context = self.class_of[batch["target"].long()]
        return _one_hot(context.view(-1, *batch["image"].shape[2:]), len(self.names) + 1, batch["image"].dtype)


class Clusters(ContextSource):
    """Clusters of intensity and position (k-means), fitted once to background voxels near the labels; the largest
    cluster is the background class.
    """

    middle: torch.Tensor
    spread: torch.Tensor
    centres: torch.Tensor

    def __init__(self, network: Architecture, classes: int, settings: CoLabSettings) -> None:
        super().__init__()
        channels = network.in_channels + POSITION_CHANNELS
        self.image_channels = network.in_channels
        self.margin = settings.margin
        self.register_buffer("middle", torch.zeros(channels), persistent=False)
        self.register_buffer("spread", torch.ones(channels), persistent=False)
        self.register_buffer("centres", torch.zeros(classes, channels), persistent=False)

    def begin(self, samples: Samples) -> None:
        generator = np.random.default_rng([samples.config.seed, 3])
        found = []
        for number in range(len(samples.cases)):
            sample = samples[number]
            batch = {key: sample[key][None].cpu() for key in ("image", "foreground", "target")}
            target = batch["target"].view(batch["foreground"].shape[1:])
            near = (distance_weight(target > 0, self.margin, 1.0) == 1) & (target == 0)
            voxels = self.measured(batch)[0].flatten(1).T[near.flatten()]
            found.append(voxels[generator.permutation(len(voxels))[:VOXELS_A_SAMPLE]])
        voxels = torch.cat(found)
        if len(voxels) < len(self.centres):
            raise SystemExit(
                "There is no background near the labels to be divided into clusters; raise colab.margin, or take"
                " another colab.source."
            )
        self.middle.copy_(voxels.mean(0))
        self.spread.copy_(voxels.std(0).clamp_min(1e-3))
        scaled = ((voxels - voxels.mean(0)) / voxels.std(0).clamp_min(1e-3)).double().numpy()
        centres, nearest = kmeans2(scaled, len(self.centres), minit="++", seed=generator)
        order = np.argsort(-np.bincount(nearest, minlength=len(centres)), kind="stable")
        self.centres.copy_(torch.from_numpy(centres[order]))

    def measured(self, batch: Batch) -> torch.Tensor:
        """(batch, image channels + 3, k, j, i): intensities and positions."""
        image = batch["image"]
        if image.shape[1] > self.image_channels:
            return image
        positions = torch.stack([position_channels(one).to(image) for one in batch["foreground"]])
        return torch.cat([image, positions], dim=1)

    def forward(self, batch: Batch) -> torch.Tensor:
        voxels = (self.measured(batch).movedim(1, -1) - self.middle) / self.spread
        distance = torch.stack([((voxels - centre) ** 2).sum(-1) for centre in self.centres], dim=-1)
        return _one_hot(distance.argmin(-1), len(self.centres), batch["image"].dtype)


def build_source(network: Architecture, settings: CoLabSettings, targets: int) -> ContextSource:
    """The source that a configuration names, for t = `network.context_classes` + 1 classes."""
    classes = network.context_classes + 1
    if classes == 1:
        return NoContext()
    if settings.source == "anatomy":
        return Anatomy(settings.anatomy, targets)
    return (Clusters if settings.source == "kmeans" else TaskGenerator)(network, classes, settings)


def with_context_labels(tree: LabelTree, table: LabelTree, names: list[str]) -> LabelTree:
    """The labels of a network followed by those of a data set's table that lie under the named ones: what samples are
    prepared with where anatomy is the context.
    """
    in_table = {label.name.casefold(): label for label in table.labels}
    own = [in_table[leaf.name.casefold()] for leaf in tree.leaves if leaf.name.casefold() in in_table]
    taken = {below.id for label in own for below in table.leaves_under(label)}
    found = [leaf for name in names for leaf in table.leaves_under(find_label(table, name, "colab.anatomy"))]
    return joined_tree(tree, select(table, [leaf.name for leaf in found if leaf.id not in taken]))


def up_sampled(values: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    """(batch, channels, *coarse) -> the same on a finer grid over the same space, linearly."""
    return (
        values
        if values.shape[2:] == shape
        else torch.nn.functional.interpolate(values, size=tuple(shape), mode="trilinear", align_corners=False)
    )


def _one_hot(classes: torch.Tensor, count: int, dtype: torch.dtype) -> torch.Tensor:
    """(batch, k, j, i) -> (batch, count, k, j, i)."""
    return torch.stack([classes == n for n in range(count)], dim=1).to(dtype)
