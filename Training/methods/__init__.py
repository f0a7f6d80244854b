"""The training methods by name.

A method is a module that turns a batch into a loss; everything else of a run is shared.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass

import torch
from LabelConditionedSegmentationLib.core.network.architecture import ATLAS_PAIR
from LabelConditionedSegmentationLib.core.network.model import LabelConditionedNetwork

from ..data.sources import check_roles
from ..engine.config import Config
from .all_labels import AllLabels
from .atlas_pair import PublishedPair
from .by_example import ByExample
from .colab import CoLab
from .method import Method
from .sampled_labels import SampledLabels


@dataclass(frozen=True)
class Recipe:
    """check: SystemExit, from the settings alone, for those that exclude each other. build: the module from a network,
    the settings, and the classes under each parent.
    """

    check: Callable[[Config], None]
    build: Callable[[LabelConditionedNetwork, Config, torch.Tensor], Method]


def _check_baseline(config: Config) -> None:
    if config.network.conditioning != "head" or config.objective.labels != "all":
        raise SystemExit(
            "method=baseline has one output channel a label: network.conditioning has to be head and objective.labels"
            " all."
        )


def _baseline(network: LabelConditionedNetwork, config: Config, members: torch.Tensor) -> Method:
    """Multi-channel network: one output channel a class, all of them in memory; softmax, or sigmoid channels that are
    masked where not annotated.
    """
    return AllLabels(network, config.objective, members, streamed=False)


def _check_lcs(config: Config) -> None:
    objective, conditioning = config.objective, config.network.conditioning
    if objective.labels == "sampled":
        if objective.loss != "sigmoid":
            raise SystemExit(
                "Sampled labels do not compete within a sample: set objective.loss=sigmoid with"
                " objective.labels=sampled."
            )
    elif conditioning == ATLAS_PAIR:
        if objective.loss != "sigmoid":
            raise SystemExit(
                "network.conditioning=atlas_pair decides each label alone, in a pass of its own: set"
                " objective.loss=sigmoid."
            )
    elif conditioning != "head":
        raise SystemExit(
            f"network.conditioning={conditioning} needs a pass a label; set objective.labels=sampled and"
            " objective.loss=sigmoid, or network.conditioning=head."
        )
    elif objective.loss != "softmax":
        raise SystemExit(
            "method=lcs over all labels has a softmax loss; sigmoid channels of all labels are method=baseline."
        )


def _lcs(network: LabelConditionedNetwork, config: Config, members: torch.Tensor) -> Method:
    """Label conditioned segmentation (Ma, Lee and Sabuncu, MIDL 2022): a softmax over all labels that is never in
    memory, sampled labels with sigmoid losses, or examples.
    """
    if config.objective.labels == "sampled":
        return SampledLabels(network, config.objective, members)
    if config.network.conditioning == ATLAS_PAIR:
        return PublishedPair(network, config.objective)
    if config.objective.prompts != "class":
        return ByExample(network, config.objective, members)
    return AllLabels(network, config.objective, members, streamed=True)


def _check_colab(config: Config) -> None:
    context, classes = config.context, config.network.context_classes
    if config.network.conditioning != "head" or config.objective.labels != "all" or config.objective.loss != "softmax":
        raise SystemExit(
            "method=colab has a softmax over all classes: network.conditioning has to be head, objective.labels all and"
            " objective.loss softmax."
        )
    if config.data.points:
        raise SystemExit(
            "method=colab takes its loss at every voxel, since it needs distances between them: set data.points=0 in"
            f" place of {config.data.points}."
        )
    multiple = context.stride * 2 ** (len(context.widths) - 1)
    if any(n % multiple for n in config.data.patch):
        raise SystemExit(
            f"data.patch is {list(config.data.patch)}; with context.widths and context.stride every axis has to be a"
            f" multiple of {multiple}."
        )
    if classes and context.source == "anatomy" and len(context.anatomy) != classes:
        raise SystemExit(
            f"context.anatomy names {len(context.anatomy)} labels, each of them a context class; set"
            f" network.context_classes={len(context.anatomy)}."
        )
    if config.optimizer.freeze:
        raise SystemExit("method=colab trains the whole network: leave optimizer.freeze out.")


def _colab(network: LabelConditionedNetwork, config: Config, members: torch.Tensor) -> Method:
    """Context label learning (Li et al., TMI 2023): the background divided among context classes that a second network
    learns.
    """
    return CoLab(network, config, members)


METHODS = {
    "baseline": Recipe(_check_baseline, _baseline),
    "lcs": Recipe(_check_lcs, _lcs),
    "colab": Recipe(_check_colab, _colab),
}


def check_method(config: Config) -> None:
    """What the settings alone say against a method, before any data are read.

    SystemExit with a sentence; a mistyped method is told with the nearest one.
    """
    if config.method not in METHODS:
        near = difflib.get_close_matches(config.method, METHODS, n=1)
        hint = f' Did you mean "{near[0]}"?' if near else ""
        raise SystemExit(f'There is no method "{config.method}"; there are {", ".join(METHODS)}.{hint}')
    if config.network.context_classes and config.method != "colab":
        raise SystemExit(
            f"Only method=colab trains context classes: take it in place of {config.method}, or set"
            " network.context_classes=0."
        )
    check_roles(config.data.sources, ("meta",) if config.method == "colab" else (), config.method)
    _check_prompts(config)
    METHODS[config.method].check(config)


def _check_prompts(config: Config) -> None:
    """Examples are learned by one method, and by networks that can take them."""
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


def build_method(network: LabelConditionedNetwork, config: Config, members: torch.Tensor) -> Method:
    """The module of a run whose settings were checked: batch -> loss. members (G, K): the classes under each parent,
    for voxels known only to lie in it.
    """
    return METHODS[config.method].build(network, config, members)
