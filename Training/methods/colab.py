"""Context label learning (CoLab): the background is divided among context classes, so that the labels have fewer false
positives far away.

Li et al., "Context label learning: improving background class representations in semantic segmentation", IEEE TMI 2023,
arXiv 2212.08423. The segmenter is the network of a run with t - 1 context classes after its labels; a task generator
says how to divide the background, and learns that from how well the labels alone are found after one virtual step
of the segmenter (a bilevel problem). Only the segmenter is shipped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import NamedTuple

import torch
from LabelConditionedSegmentationLib.core.labels.label_tree import LabelTree
from LabelConditionedSegmentationLib.core.network.model import LabelConditionedNetwork
from lightning.fabric import Fabric
from torch.nn.functional import adaptive_avg_pool3d, adaptive_max_pool3d, interpolate
from torch.utils.data import default_collate

from ..data.training_samples import Samples
from ..engine.config import Config, OptimizerConfig
from ..engine.config_checks import refuse_twice
from ..engine.run_data import RunData
from ..losses.colab_losses import context_loss, distance_weight, roi_loss, soft_targets
from ..losses.truth import IGNORE, Truth
from .colab_settings import CoLabSettings
from .context_source import TaskGenerator, build_source, up_sampled, with_context_labels
from .hypergradient import Parameters, after_virtual_step, exact, finite_difference
from .method import Batch, Method, Optimizers, Picture, Run
from .registry import register

Scores = list[torch.Tensor]
"""(batch, K + t - 1, *space) a level, finest first."""
Loss = Callable[[Scores], torch.Tensor]

EPSILON = 1e-20
"""Of the generator's Adam.

The hypergradient carries the segmenter's learning rate and the outer loss, which soon is small: a parameter's share of
it falls below the usual 1e-8, which would then stop the generator long before it has learnt anything.
"""

COLLAPSED, FOR_STEPS = 0.99, 200
"""Share of the context above which one class has taken all of it, and for how many steps before there is a warning."""

ADVICE = (
    f"One context class has had more than {COLLAPSED:.0%} of the context for {FOR_STEPS} steps, so that the others"
    " learn nothing: raise colab.learning_rate, lower colab.tau or colab.margin, or lower network.context_classes."
)


class Scene(NamedTuple):
    """What is known of the samples of a batch: target (batch, k, j, i), annotated (batch, K), and the distance weight
    of their context (batch, k, j, i).
    """

    target: torch.Tensor
    annotated: torch.Tensor
    weight: torch.Tensor


@register("colab", CoLabSettings)
class CoLab(Method):
    """The segmenter, auxiliary heads for the coarser levels of its decoder, and the source of the context, which the
    segmenter's loss does not train.
    """

    trains_context_classes = True
    roles = ("meta",)
    collapsed_for: torch.Tensor
    members: torch.Tensor
    target_of: torch.Tensor

    def __init__(self, network: LabelConditionedNetwork, config: Config, members: torch.Tensor) -> None:
        """members (G, classes): as TargetCode has them; classes beyond the network's are labels that only the
        anatomical context distinguishes.
        """
        super().__init__(network)
        architecture, every_class = network.trunk.architecture, len(network.bias)
        self.own, self.dice_weight = config.own(CoLabSettings), config.objective.dice_weight
        coarser = (
            architecture.widths[1:-2] if self.own.deep_supervision else ()
        )  # the coarsest level of the decoder has the weight 0
        self.coarse_heads = torch.nn.ModuleList([torch.nn.Conv3d(width, every_class, 1) for width in coarser])
        self.outer_optimizer: torch.optim.Optimizer | None = None
        self.source = build_source(architecture, self.own, sum(members.shape) + 1)
        self.source.requires_grad_(False).to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        if isinstance(self.source, TaskGenerator):
            self.outer_optimizer = torch.optim.Adam(self.source.parameters(), lr=self.own.learning_rate, eps=EPSILON)
        self.meta: Samples | None = None
        self.register_buffer("collapsed_for", torch.zeros((), dtype=torch.long))
        self.register_buffer("members", members[:, : network.classes], persistent=False)
        self.register_buffer("target_of", _targets_of_labels(members, network.classes), persistent=False)

    @classmethod
    def check(cls, config: Config) -> None:
        settings, classes = config.own(CoLabSettings), config.network.context_classes
        objective = config.objective
        if config.network.conditioning != "head" or (objective.labels, objective.loss) != ("all", "softmax"):
            raise SystemExit(
                "method=colab has a softmax over all classes: network.conditioning has to be head, objective.labels all"
                " and objective.loss softmax."
            )
        if config.data.points:
            raise SystemExit(
                "method=colab takes its loss at every voxel, since it needs distances between them: set data.points=0"
                f" in place of {config.data.points}."
            )
        multiple = settings.stride * 2 ** (len(settings.widths) - 1)
        if any(n % multiple for n in config.data.patch):
            raise SystemExit(
                f"data.patch is {list(config.data.patch)}; with colab.widths and colab.stride every axis has to be a"
                f" multiple of {multiple}."
            )
        if classes and settings.source == "anatomy" and len(settings.anatomy) != classes:
            raise SystemExit(
                f"colab.anatomy names {len(settings.anatomy)} labels, each of them a context class; set"
                f" network.context_classes={len(settings.anatomy)}."
            )
        if config.optimizer.freeze:
            raise SystemExit("method=colab trains the whole network: leave optimizer.freeze out.")
        refuse_twice([*config.data.validation, *settings.meta_cases], "data.validation and colab.meta_cases")

    @classmethod
    def meta_cases(cls, config: Config) -> list[str]:
        return config.own(CoLabSettings).meta_cases

    @classmethod
    def labels_of_samples(cls, config: Config, tree: LabelTree, table: LabelTree) -> LabelTree:
        """With anatomy as context, the labels that divide the background too."""
        settings = config.own(CoLabSettings)
        is_divided = config.network.context_classes > 0 and settings.source == "anatomy"
        return with_context_labels(tree, table, settings.anatomy) if is_divided else tree

    @classmethod
    def build(cls, network: LabelConditionedNetwork, config: Config, members: torch.Tensor) -> Method:
        return cls(network, config, members)

    def optimizers(self, settings: OptimizerConfig) -> Optimizers:
        """The segmenter's, and that of the generator, which the outer loss trains."""
        outer = {} if self.outer_optimizer is None else {"outer": self.outer_optimizer}
        return super().optimizers(settings) | outer

    def begin(self, samples: Samples, data: RunData) -> None:
        """Fit what the source takes from the data, and keep the cases of the outer loss at hand."""
        self.source.begin(samples)
        self.meta = Samples(data.meta, samples.code, samples.config, samples.device) if data.meta else None

    def forward(self, batch: Batch, loss: Loss | None = None) -> torch.Tensor:
        """The segmenter's loss with the context as it is; or another loss of its scores."""
        image, shape = batch["image"].contiguous(memory_format=torch.channels_last_3d), batch["image"].shape[2:]
        levels = self.network.trunk.levels(image, batch["metadata"])
        features = self.network.trunk.to_features(levels[-1])
        if loss is None:
            scene = self._scene(batch)
            with torch.no_grad():
                context = self.source(batch)
            loss = lambda scores: self._inner(scores, scene, context)  # noqa: E731
        with torch.autocast(image.device.type, enabled=False):  # scores and their sums in float32
            dtype = self.network.bias.dtype
            scores = [up_sampled(self.network.head(features.to(dtype)), shape)]
            scores += [head(level.to(dtype)) for head, level in zip(self.coarse_heads, levels[-2::-1], strict=False)]
            return loss(scores)

    def training_step(self, batch: Batch, run: Run) -> torch.Tensor:
        """Every n-th step begins with one of the task generator."""
        if self.outer_optimizer is not None and run.step % self.own.every == 0:
            run.measured |= self.generator_step(batch, run.learning_rate, run.fabric)
        return run.model(batch)

    def generator_step(self, batch: Batch, learning_rate: float, fabric: Fabric) -> dict[str, float]:
        """Adam on the gradient of the outer loss after a virtual step of the segmenter; returns what was measured."""
        assert isinstance(self.source, TaskGenerator)
        assert self.outer_optimizer is not None
        batch = self._in_precision(batch)
        scene, phi = (
            self._scene(batch),
            {name: p.detach().requires_grad_() for name, p in self.source.named_parameters()},
        )
        with fabric.autocast():
            context = torch.func.functional_call(self.source, phi, (batch,))
        outer_loss, by_context = self.hypergradient(batch, scene, context.detach(), learning_rate, fabric)
        found = torch.autograd.grad(context, list(phi.values()), by_context)
        gradient = _mean_of_processes(fabric)(dict(zip(phi, found, strict=True)))
        for name, p in self.source.named_parameters():
            p.grad = gradient[name]
        self.outer_optimizer.step()
        self.outer_optimizer.zero_grad()
        size = float(torch.cat([g.flatten() for g in gradient.values()]).norm())
        shares = self._shares(scene, context.detach(), fabric)
        return {
            "outer_loss": outer_loss,
            "hypergradient": size,
            **{f"context_{n}": share for n, share in enumerate(shares)},
        }

    @torch.no_grad()
    def hypergradient(
        self, batch: Batch, scene: Scene, context: torch.Tensor, learning_rate: float, fabric: Fabric
    ) -> tuple[float, torch.Tensor]:
        """The outer loss after theta' = theta - learning_rate * grad L_seg, and its gradient by the context of this
        process: -learning_rate * d <grad L_seg, v> / d context with v = grad L_outer(theta').

        `first_order` lets the head alone take the virtual step: the features are then constants, and no derivative of
        the trunk is needed, neither a first nor a second. (Where the outer loss sees the generator's parameters through
        theta' alone, dropping all mixed derivatives, as first-order methods do elsewhere, would leave nothing.)
        """
        other = batch if self.meta is None else self._in_precision(self._drawn_alike(batch))
        outer_scene = scene if self.meta is None else self._scene(other)
        head_only = self.own.hypergradient == "first_order"
        with fabric.autocast():
            segment = self._from_features(batch) if head_only else self._from_image(batch)
            segment_other = (
                segment if other is batch else self._from_features(other) if head_only else self._from_image(other)
            )

        def inner(theta: Parameters, context: torch.Tensor) -> torch.Tensor:
            return segment(theta, lambda scores: self._inner(scores, scene, context))

        def outer(theta: Parameters) -> torch.Tensor:
            return segment_other(theta, lambda scores: self._outer(scores[0], outer_scene))

        trained = self.network.head if head_only else self
        theta = {name: p.detach() for name, p in trained.named_parameters() if p.requires_grad}
        mean = _mean_of_processes(fabric)
        # nearly equal passes differ by less than half precision can resolve, and its rounding would be in v too
        with _full_precision(context.device):
            value, v = after_virtual_step(inner, outer, theta, context, learning_rate, mean)
            if self.own.hypergradient == "finite_difference":
                mixed = finite_difference(inner, theta, context, v, self.own.eps)
            else:
                mixed = exact(inner, theta, context, v)
        return float(mean({"": value})[""]), -learning_rate * mixed

    def on_validation(self, batch: Batch, picture: Picture) -> None:
        if (divided := self.context_map(batch)) is not None:
            picture("sample, context", batch["image"][0, 0], [divided])

    @torch.no_grad()
    def context_map(self, batch: Batch) -> torch.Tensor | None:
        """(k, j, i): how the first sample of a batch is divided: labels, and context classes after them; None where the
        background is not divided.
        """
        if len(self.network.bias) == self.network.classes:
            return None
        scene, context = self._scene(batch), self.source(batch)
        target = soft_targets(self._truth(scene, 0), scene.weight[0].flatten(), context[0].flatten(1))
        return target.argmax(0).view(scene.weight[0].shape)

    def _from_image(self, batch: Batch) -> Callable[[Parameters, Loss], torch.Tensor]:
        """A loss of the scores as a function of all that the segmenter's loss trains."""
        return lambda theta, loss: torch.func.functional_call(self, theta, (batch, loss))

    def _from_features(self, batch: Batch) -> Callable[[Parameters, Loss], torch.Tensor]:
        """A loss of the finest scores as a function of the head's parameters, the features held."""
        features = self.network.trunk(
            batch["image"].contiguous(memory_format=torch.channels_last_3d), batch["metadata"]
        ).to(self.network.bias.dtype)
        shape, head = batch["image"].shape[2:], self.network.head
        return lambda theta, loss: loss([up_sampled(torch.func.functional_call(head, theta, (features,)), shape)])

    def _inner(self, scores: Scores, scene: Scene, context: torch.Tensor) -> torch.Tensor:
        """The segmenter's loss: the mean over samples, levels weighted 1/2^level; at a coarser one context is averaged,
        labels are the nearest, weights the least.
        """
        weights = [0.5**level for level in range(1 + len(self.coarse_heads))]
        losses = []
        for level, (weight, values) in enumerate(zip(weights, scores, strict=False)):
            k, j, i = values.shape[2:]
            at, given = _resized(scene, (k, j, i)), adaptive_avg_pool3d(context, (k, j, i)) if level else context
            for n, sample in enumerate(values.flatten(2)):
                truth = self._truth(at, n)
                soft = soft_targets(truth, at.weight[n].flatten().to(sample), given[n].flatten(1))
                loss = context_loss(sample, replace(truth, soft=soft), self.dice_weight)
                losses.append(weight * loss / sum(weights) / len(values))
        return torch.stack(losses).sum()

    def _outer(self, scores: torch.Tensor, scene: Scene) -> torch.Tensor:
        return torch.stack(
            [roi_loss(sample, self._truth(scene, n)) for n, sample in enumerate(scores.flatten(2))]
        ).mean()

    @torch.no_grad()
    def _scene(self, batch: Batch) -> Scene:
        target = self.target_of[batch["target"].long()].view(-1, *batch["image"].shape[2:])
        scene = Scene(
            target, batch["annotated"][:, : self.network.classes], torch.zeros(target.shape, device=target.device)
        )
        if len(self.network.bias) == self.network.classes:
            return scene
        rois = [self._truth(scene, n).visible.view(target.shape[1:]) > 0 for n in range(len(target))]
        return scene._replace(weight=torch.stack([distance_weight(roi, self.own.margin, self.own.tau) for roi in rois]))

    def _truth(self, scene: Scene, sample: int) -> Truth:
        return Truth(scene.target[sample].flatten(), scene.annotated[sample], self.members)

    def _in_precision(self, batch: Batch) -> Batch:
        """Numbers as the weights are; the wrapper around `forward` does that elsewhere."""
        return {
            key: value.to(self.network.bias.dtype) if value.is_floating_point() else value
            for key, value in batch.items()
        }

    def _drawn_alike(self, batch: Batch) -> Batch:
        """Samples of the cases of the outer loss, with the numbers of those in the batch."""
        assert self.meta is not None
        drawn: Batch = default_collate([self.meta[int(n)] for n in batch["number"]])
        return {key: value.to(batch["image"].device) for key, value in drawn.items()}

    def _shares(self, scene: Scene, context: torch.Tensor, fabric: Fabric) -> list[float]:
        """How much of the context each class has, over all processes; NaN where no sample has context.

        There is one warning of a collapse.
        """
        weight = scene.weight * (scene.target == 0)
        parts = torch.as_tensor(fabric.all_reduce((context * weight[:, None]).sum((0, 2, 3, 4)), reduce_op="sum"))
        shares = (parts / parts.sum()).tolist()
        before, has_collapsed = int(self.collapsed_for), max(shares) > COLLAPSED
        self.collapsed_for.fill_(before + self.own.every if has_collapsed else 0)
        if before < FOR_STEPS <= int(self.collapsed_for):
            fabric.print(ADVICE)
        return shares


def _targets_of_labels(members: torch.Tensor, classes: int) -> torch.Tensor:
    """(targets of the samples,) -> targets of the network's labels: further labels are background, and a parent that
    holds some of both kinds is unknown. IGNORE is last.
    """
    of_class = [n if n < classes else 0 for n in range(members.shape[1])]
    of_group = [
        classes + g if not row[classes:].any() else IGNORE if row[1:classes].any() else 0
        for g, row in enumerate(members)
    ]
    return torch.tensor([*of_class, *of_group, IGNORE])


def _resized(scene: Scene, shape: tuple[int, int, int]) -> Scene:
    """A scene at a coarser level: the nearest targets, the least weight."""
    if scene.target.shape[1:] == shape:
        return scene
    target = interpolate(scene.target[:, None].float(), size=shape, mode="nearest-exact")[:, 0].long()
    return scene._replace(target=target, weight=-adaptive_max_pool3d(-scene.weight, shape))


def _mean_of_processes(fabric: Fabric) -> Callable[[Parameters], Parameters]:
    """What makes one gradient of those of all processes."""

    def mean(values: Parameters) -> Parameters:
        if fabric.world_size == 1:
            return values
        flat = torch.as_tensor(
            fabric.all_reduce(torch.cat([value.flatten() for value in values.values()]), reduce_op="mean")
        )
        parts = torch.split(flat, [value.numel() for value in values.values()])
        return {name: part.view_as(value) for (name, value), part in zip(values.items(), parts, strict=True)}

    return mean


@contextmanager
def _full_precision(device: torch.device) -> Iterator[None]:
    with torch.autocast(device.type, enabled=False), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        yield
