"""Checkpoints without pickle: one safetensors file, written whole or not at all, from which a run goes on exactly where it was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from Training.whole_files import written_whole


def save_checkpoint(path: Path, network: torch.nn.Module, average: dict[str, torch.Tensor], optimizer: torch.optim.Optimizer, facts: dict[str, Any]) -> None:
    """Store weights, averaged weights, the optimizer's moments and `facts` (JSON: step, configuration, best score ...)."""
    tensors = {f"network.{name}": t for name, t in network.state_dict().items()}
    tensors |= {f"average.{name}": t for name, t in average.items()}
    names = [name for name, _ in network.named_parameters()]
    state = optimizer.state_dict()["state"]
    for index, name in enumerate(names):
        for key, value in state.get(index, {}).items():
            tensors[f"optimizer.{key}.{name}"] = value
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as temporary:
        save_file({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, temporary, metadata={"facts": json.dumps(facts)})


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


def load_checkpoint(path: Path, network: torch.nn.Module, average: dict[str, torch.Tensor], optimizer: torch.optim.Optimizer | None) -> dict[str, Any]:
    """Put a checkpoint back into network, average and (where given) optimizer; returns the facts. SystemExit where it is none, or one of another network."""
    facts = read_facts(path)
    names = [name for name, _ in network.named_parameters()]
    moments: dict[int, dict[str, torch.Tensor]] = {}
    with safe_open(path, framework="pt") as file:
        keys = set(file.keys())
        state = network.state_dict()
        strange = [name for name, t in state.items() if f"network.{name}" not in keys or tuple(file.get_slice(f"network.{name}").get_shape()) != tuple(t.shape)]
        if strange:
            raise SystemExit(f'The checkpoint "{path}" is of another network: it has no {strange[0]} of the shape {tuple(state[strange[0]].shape)}.')
        network.load_state_dict({name: file.get_tensor(f"network.{name}") for name in state})
        for name in average:
            average[name].copy_(file.get_tensor(f"average.{name}"))
        for index, name in enumerate(names):
            for key in ("step", "exp_avg", "exp_avg_sq"):
                if f"optimizer.{key}.{name}" in keys:
                    moments.setdefault(index, {})[key] = file.get_tensor(f"optimizer.{key}.{name}")
    if optimizer is not None:
        optimizer.load_state_dict({"state": moments, "param_groups": optimizer.state_dict()["param_groups"]})
    return facts
