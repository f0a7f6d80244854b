"""The weights of a model package: safetensors that have to fit the network which `model.json` describes."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as dump_tensors

from ..errors import PackageIntegrityError
from ..network.architecture import Architecture
from ..network.model import LabelConditionedNetwork
from ..scan.metadata import Field

WEIGHT_TYPES = (torch.float16, torch.bfloat16, torch.float32)


def network_with(
    data: bytes, where: Path, architecture: Architecture, classes: int, fields: Sequence[Field]
) -> LabelConditionedNetwork:
    """The network with the weights that `data` (the file `where`) holds, in float32 and evaluation mode.

    Raises PackageIntegrityError where they do not fit.
    """
    tensors = tensors_of(data, where)
    with torch.device("meta"):  # nothing of the described size is allocated before the weights are known to fit it
        network = LabelConditionedNetwork(architecture, classes, fields)
    wanted = network.state_dict()
    missing, extra = sorted(set(wanted) - set(tensors)), sorted(set(tensors) - set(wanted))
    if missing or extra:
        what = "; ".join(
            f"{word} {', '.join(names[:3])}"
            for word, names in (("lacks", missing), ("has the unknown", extra))
            if names
        )
        raise PackageIntegrityError(f'"{where}" does not fit the network that model.json describes: it {what}.')
    for name, tensor in tensors.items():
        if tensor.shape != wanted[name].shape:
            raise PackageIntegrityError(
                f'"{where}": {name} has the shape {tuple(tensor.shape)} where the network has'
                f" {tuple(wanted[name].shape)}."
            )
        if tensor.dtype not in WEIGHT_TYPES:
            raise PackageIntegrityError(
                f'"{where}": {name} holds numbers of the kind {tensor.dtype}, which no weights of this version are.'
            )
        if not bool(torch.isfinite(tensor).all()):
            raise PackageIntegrityError(f'"{where}": {name} holds values that are not finite.')
    network.load_state_dict({name: tensor.float() for name, tensor in tensors.items()}, assign=True)
    return network.eval()


def packed(network: LabelConditionedNetwork, path: Path) -> bytes:
    """The weights of a network in half precision, as a safetensors file.

    Raises PackageIntegrityError, which names the package `path`, where one is not finite.
    """
    tensors = {key: value.detach().cpu().half().contiguous() for key, value in network.state_dict().items()}
    broken = [key for key, value in tensors.items() if not bool(torch.isfinite(value).all())]
    if broken:
        raise PackageIntegrityError(
            f'"{path}" is not written: {broken[0]} of the network holds values that are not finite in half precision.'
        )
    return dump_tensors(tensors)


def tensors_of(data: bytes, where: Path) -> dict[str, torch.Tensor]:
    """The tensors of a safetensors file `where`. Raises PackageIntegrityError where it is none."""
    _check_safetensors(data, where)
    try:
        tensors: dict[str, torch.Tensor] = load_tensors(data)
    except SafetensorError as error:
        raise PackageIntegrityError(f'"{where}" is no valid safetensors file ({error}).') from None
    return tensors


def _check_safetensors(data: bytes, where: Path) -> None:
    """Name the usual suspects: a pickle or zip under a safetensors name, and a file that ends early or late."""
    if data[:2] in (b"PK", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"):
        raise PackageIntegrityError(
            f'"{where}" is a pickled PyTorch file under a safetensors name; pickles can run code and are never opened.'
        )
    if len(data) < 8 or struct.unpack("<Q", data[:8])[0] > len(data) - 8:
        raise PackageIntegrityError(f'"{where}" is no valid safetensors file: it is truncated.')
