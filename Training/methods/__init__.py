"""The training methods by name. A method is a module that turns a batch into a loss; everything else of a run is shared."""

from __future__ import annotations

from collections.abc import Callable

import torch
from LabelConditionedSegmentationLib.core.network.model import LabelConditionedNetwork

from Training.config import Config
from Training.methods.all_labels import AllLabels
from Training.methods.sampled_labels import SampledLabels


def _baseline(network: LabelConditionedNetwork, config: Config, members: torch.Tensor) -> torch.nn.Module:
    """Multi-channel network: one output channel a class, all of them in memory; softmax, or sigmoid channels that are masked where not annotated."""
    if config.network.conditioning != "head" or config.objective.labels != "all":
        raise SystemExit("method=baseline has one output channel a label: network.conditioning has to be head and objective.labels all.")
    return AllLabels(network, config.objective, members, streamed=False)


def _lcs(network: LabelConditionedNetwork, config: Config, members: torch.Tensor) -> torch.nn.Module:
    """Label conditioned segmentation (Ma, Lee and Sabuncu, MIDL 2022): a softmax over all labels that is never in memory, or sampled labels with sigmoid losses."""
    if config.objective.labels == "sampled":
        if config.objective.loss != "sigmoid":
            raise SystemExit("Sampled labels do not compete within a sample: set objective.loss=sigmoid with objective.labels=sampled.")
        return SampledLabels(network, config.objective, members)
    if config.network.conditioning != "head":
        raise SystemExit(
            f"network.conditioning={config.network.conditioning} needs a pass a label; set objective.labels=sampled and objective.loss=sigmoid, or network.conditioning=head."
        )
    if config.objective.loss != "softmax":
        raise SystemExit("method=lcs over all labels has a softmax loss; sigmoid channels of all labels are method=baseline.")
    return AllLabels(network, config.objective, members, streamed=True)


METHODS: dict[str, Callable[[LabelConditionedNetwork, Config, torch.Tensor], torch.nn.Module]] = {"baseline": _baseline, "lcs": _lcs}


def build_method(network: LabelConditionedNetwork, config: Config, members: torch.Tensor) -> torch.nn.Module:
    """The module of a run: batch -> loss. members (G, K): the classes under each parent, for voxels known only to lie in it. An unknown name ends the program."""
    if config.method not in METHODS:
        raise SystemExit(f'There is no method "{config.method}"; there are {", ".join(METHODS)}.')
    return METHODS[config.method](network, config, members)
