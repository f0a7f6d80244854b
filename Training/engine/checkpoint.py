"""Checkpoints without pickle: one safetensors file, written whole or not at all, from which a run goes on exactly where
it was.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from ..methods.method import Method, Optimizers
from .kept_files import written_whole

MOMENTS = ("step", "exp_avg", "exp_avg_sq", "momentum_buffer")
"""What optimizers keep of a parameter: AdamW and Adam the first three, SGD the last."""


def save_checkpoint(
    path: Path,
    method: Method,
    average: dict[str, torch.Tensor],
    optimizers: Optimizers,
    facts: dict[str, Any],
) -> None:
    """Store the weights of a method, its network's averaged weights, the optimizers' moments and `facts` (JSON: step,
    configuration, best score ...).
    """
    tensors = dict(method.state_dict())
    tensors |= {f"average.{name}": t for name, t in average.items()}
    for prefix, optimizer in optimizers.items():
        state = optimizer.state_dict()["state"]
        for index, name in enumerate(_names_in(optimizer, method)):
            tensors |= {f"{prefix}.{key}.{name}": value for key, value in state.get(index, {}).items()}
    plain = {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
    with written_whole(path) as temporary:
        try:
            save_file(plain, temporary, metadata={"facts": json.dumps(facts)})
        except SafetensorError as error:  # in which the system's own error, such as a full disk, is text
            raise OSError(str(error).rpartition("I/O error: ")[2]) from None


def _names_in(optimizer: torch.optim.Optimizer, method: Method) -> list[str]:
    """The names of the parameters that an optimizer has, in its order."""
    names = {id(p): name.removeprefix("network.") for name, p in method.named_parameters()}
    return [names[id(p)] for group in optimizer.param_groups for p in group["params"]]


def read_facts(path: Path) -> dict[str, Any]:
    """The facts stored with a checkpoint. SystemExit where there is none at `path`."""
    if not path.is_file():
        raise SystemExit(f'There is no checkpoint "{path}".')
    try:
        with safe_open(path, framework="pt") as file:
            facts: dict[str, Any] = json.loads((file.metadata() or {})["facts"])
    except (SafetensorError, KeyError, json.JSONDecodeError) as error:
        raise SystemExit(f'"{path}" is no checkpoint of this program, or it is damaged ({error}).') from None
    return facts


def load_checkpoint(
    path: Path, method: Method, average: dict[str, torch.Tensor], optimizers: Optimizers
) -> dict[str, Any]:
    """Put a checkpoint back into method, average and the optimizers that are given; returns the facts.

    SystemExit where it is none, or one of another network.
    """
    facts = read_facts(path)
    with safe_open(path, framework="pt") as file:
        keys = set(file.keys())
        state = method.state_dict()
        strange = [
            name
            for name, t in state.items()
            if name not in keys or tuple(file.get_slice(name).get_shape()) != tuple(t.shape)
        ]
        if strange:
            what = strange[0].removeprefix("network.")
            raise SystemExit(
                f'The checkpoint "{path}" is of another network: it has no {what} of the shape'
                f" {tuple(state[strange[0]].shape)}."
            )
        method.load_state_dict({name: file.get_tensor(name) for name in state})
        for name in average:
            average[name].copy_(file.get_tensor(f"average.{name}"))
        for prefix, optimizer in optimizers.items():
            moments = [
                {key: file.get_tensor(full) for key in MOMENTS if (full := f"{prefix}.{key}.{name}") in keys}
                for name in _names_in(optimizer, method)
            ]
            groups = optimizer.state_dict()["param_groups"]
            kept = {n: found for n, found in enumerate(moments) if found}
            optimizer.load_state_dict({"state": kept, "param_groups": groups})
    return facts
