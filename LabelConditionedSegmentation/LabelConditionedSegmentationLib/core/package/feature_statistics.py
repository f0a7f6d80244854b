"""Statistics of a trunk's features over the training scans, as a model package carries them: small, and typed.

They are what the features of one scan are compared with, and aligned to, where it differs from the training scans.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save as dump_tensors

from ..errors import PackageIntegrityError
from .weights import tensors_of


@dataclass(frozen=True, eq=False)
class LevelStatistics:
    """`mean` and `variance` of every channel of one level of the trunk, each (channels,) float32."""

    mean: torch.Tensor
    variance: torch.Tensor


def packed_statistics(
    statistics: Mapping[str, LevelStatistics], path: Path, level_channels: Mapping[str, int]
) -> bytes:
    """Statistics of named levels as a safetensors file.

    Raises PackageIntegrityError, which names the package `path`, where they do not fit the network's levels.
    """
    tensors = {
        f"{level}.{name}": values.detach().cpu().float().contiguous()
        for level, of_level in statistics.items()
        for name, values in (("mean", of_level.mean), ("variance", of_level.variance))
    }
    data: bytes = dump_tensors(tensors)
    statistics_from(data, path, level_channels)
    return data


def statistics_from(data: bytes, where: Path, level_channels: Mapping[str, int]) -> dict[str, LevelStatistics]:
    """The statistics that `data` (the file `where`) holds, in the order of `level_channels`: name of every level of the
    network -> its channels.

    Raises PackageIntegrityError where they do not fit these levels, or are no means and variances.
    """
    tensors = tensors_of(data, where)
    expected = {f"{level}.{name}": level for level in level_channels for name in ("mean", "variance")}
    unknown = sorted(set(tensors) - set(expected))
    if unknown:
        raise PackageIntegrityError(f'"{where}" holds "{unknown[0]}", which is no statistic of a level of the network.')
    for name, values in tensors.items():
        channels = level_channels[expected[name]]
        if values.dtype != torch.float32 or values.shape != (channels,):
            raise PackageIntegrityError(
                f'"{where}": {name} has to hold {channels} float32 numbers, one a channel, and holds'
                f" {tuple(values.shape)} of the kind {values.dtype}."
            )
        if not bool(torch.isfinite(values).all()) or (name.endswith(".variance") and bool((values < 0).any())):
            raise PackageIntegrityError(f'"{where}": {name} holds values that no mean or variance has.')
    levels = [level for level in level_channels if f"{level}.mean" in tensors or f"{level}.variance" in tensors]
    lacking = [level for level in levels if not {f"{level}.mean", f"{level}.variance"} <= set(tensors)]
    if lacking or not levels:
        what = f"of the level {lacking[0]}" if lacking else "of any level"
        raise PackageIntegrityError(f'"{where}" lacks the mean or the variance {what}.')
    return {level: LevelStatistics(tensors[f"{level}.mean"], tensors[f"{level}.variance"]) for level in levels}
