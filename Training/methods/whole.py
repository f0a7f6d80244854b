"""A prepared case as the network takes it: whole and unvaried."""

from __future__ import annotations

import torch
from LabelConditionedSegmentationLib.core.network.model import LabelConditionedNetwork
from LabelConditionedSegmentationLib.core.scan.preprocessing import position_channels


def input_of(network: LabelConditionedNetwork, image: torch.Tensor, foreground: torch.Tensor) -> torch.Tensor:
    """Image (channel, k, j, i) of any dtype and foreground (k, j, i) bool of a case -> (1, channel [+3], k, j, i)
    float32 on the network's device.

    Positions are appended where the network uses them.
    """
    image = image.float()
    if network.trunk.position is not None:
        image = torch.cat([image, position_channels(foreground)])
    return image[None].to(next(network.parameters()).device, memory_format=torch.channels_last_3d)
