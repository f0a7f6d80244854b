"""The training methods by name. A method is a module that turns a batch into a loss; everything else of a run is shared."""

from __future__ import annotations

from collections.abc import Callable

import torch
from LabelConditionedSegmentationLib.core.network.architecture import ATLAS_PAIR
from LabelConditionedSegmentationLib.core.network.model import LabelConditionedNetwork

from Training.config import Config
from Training.methods.all_labels import AllLabels
from Training.methods.by_example import ByExample
from Training.methods.colab import CoLab
from Training.methods.method import Method
from Training.methods.published_pair import PublishedPair
from Training.methods.sampled_labels import SampledLabels


def _baseline(network: LabelConditionedNetwork, config: Config, members: torch.Tensor) -> Method:
    """Multi-channel network: one output channel a class, all of them in memory; softmax, or sigmoid channels that are masked where not annotated."""
    if config.network.conditioning != "head" or config.objective.labels != "all":
        raise SystemExit(
            "method=baseline has one output channel a label: network.conditioning has to be head and objective.labels all."
        )
    return AllLabels(network, config.objective, members, streamed=False)


def _lcs(network: LabelConditionedNetwork, config: Config, members: torch.Tensor) -> Method:
    """Label conditioned segmentation (Ma, Lee and Sabuncu, MIDL 2022): a softmax over all labels that is never in memory, sampled labels with sigmoid losses, or examples."""
    if config.objective.labels == "sampled":
        if config.objective.loss != "sigmoid":
            raise SystemExit(
                "Sampled labels do not compete within a sample: set objective.loss=sigmoid with objective.labels=sampled."
            )
        return SampledLabels(network, config.objective, members)
    if config.network.conditioning == ATLAS_PAIR:
        if config.objective.loss != "sigmoid":
            raise SystemExit(
                "network.conditioning=atlas_pair decides each label alone, in a pass of its own: set objective.loss=sigmoid."
            )
        return PublishedPair(network, config.objective)
    if config.network.conditioning != "head":
        raise SystemExit(
            f"network.conditioning={config.network.conditioning} needs a pass a label; set objective.labels=sampled and objective.loss=sigmoid, or network.conditioning=head."
        )
    if config.objective.loss != "softmax":
        raise SystemExit(
            "method=lcs over all labels has a softmax loss; sigmoid channels of all labels are method=baseline."
        )
    if config.objective.prompts != "class":
        return ByExample(network, config.objective, members)
    return AllLabels(network, config.objective, members, streamed=True)


def _colab(network: LabelConditionedNetwork, config: Config, members: torch.Tensor) -> Method:
    """Context label learning (Li et al., TMI 2023): the background divided among context classes that a second network learns."""
    if config.network.conditioning != "head" or config.objective.labels != "all" or config.objective.loss != "softmax":
        raise SystemExit(
            "method=colab has a softmax over all classes: network.conditioning has to be head, objective.labels all and objective.loss softmax."
        )
    if config.data.points:
        raise SystemExit(
            f"method=colab takes its loss at every voxel, since it needs distances between them: set data.points=0 in place of {config.data.points}."
        )
    multiple = config.context.stride * 2 ** (len(config.context.widths) - 1)
    if any(n % multiple for n in config.data.patch):
        raise SystemExit(
            f"data.patch is {list(config.data.patch)}; with context.widths and context.stride every axis has to be a multiple of {multiple}."
        )
    return CoLab(network, config, members)


METHODS: dict[str, Callable[[LabelConditionedNetwork, Config, torch.Tensor], Method]] = {
    "baseline": _baseline,
    "lcs": _lcs,
    "colab": _colab,
}


def build_method(network: LabelConditionedNetwork, config: Config, members: torch.Tensor) -> Method:
    """The module of a run: batch -> loss. members (G, K): the classes under each parent, for voxels known only to lie in it. An unknown name ends the program."""
    if config.method not in METHODS:
        raise SystemExit(f'There is no method "{config.method}"; there are {", ".join(METHODS)}.')
    if config.network.context_classes and config.method != "colab":
        raise SystemExit(
            f"Only method=colab trains context classes: take it in place of {config.method}, or set network.context_classes=0."
        )
    if config.optimizer.freeze and config.method == "colab":
        raise SystemExit("method=colab trains the whole network: leave optimizer.freeze out.")
    by_example = config.objective.prompts != "class"
    if by_example and (config.method != "lcs" or config.objective.labels != "all"):
        raise SystemExit(
            "Only method=lcs with objective.labels=all learns from examples: take it, or set objective.prompts=class."
        )
    by_pair = config.network.conditioning == ATLAS_PAIR
    if by_pair and config.objective.prompts != "example":
        raise SystemExit(
            "network.conditioning=atlas_pair finds a label by another scan and its mask: set objective.prompts=example."
        )
    if by_example != (config.network.examples or by_pair):
        raise SystemExit(
            "network.examples=true and objective.prompts=example or both belong together: set both of them, or neither."
        )
    return METHODS[config.method](network, config, members)
