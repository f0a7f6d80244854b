"""A prepared case as the network takes it: whole and unvaried."""

from __future__ import annotations

import torch
from LabelConditionedSegmentationLib.core.network.model import LabelConditionedNetwork
from LabelConditionedSegmentationLib.core.preprocessing import is_foreground, position_channels


def input_of(network: LabelConditionedNetwork, image: torch.Tensor) -> torch.Tensor:
    """image (channel, k, j, i) of any dtype -> (1, channel [+3], k, j, i) float32, with the positions where the network uses them, on the network's device."""
    image = image.float()
    if network.trunk.position is not None:
        image = torch.cat([image, position_channels(is_foreground(image))])
    return image[None].to(next(network.parameters()).device, memory_format=torch.channels_last_3d)
