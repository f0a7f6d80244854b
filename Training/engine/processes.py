"""The devices and processes of a run, by Lightning Fabric."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
from LabelConditionedSegmentationLib.core.errors import OutputError
from lightning.fabric import Fabric

from .config import Config
from .run_folder import held_alone


def make_fabric(config: Config) -> Fabric:
    """Devices and processes: those of the configuration or, where `torchrun` or `fabric run` started this process,
    theirs.
    """
    if "LT_CLI_USED" in os.environ:
        return Fabric(precision=os.environ.get("LT_PRECISION", config.precision))  # type: ignore[arg-type]
    devices, nodes = config.devices, config.nodes
    if "TORCHELASTIC_RUN_ID" in os.environ:
        devices = int(os.environ["LOCAL_WORLD_SIZE"])
        nodes = int(os.environ["WORLD_SIZE"]) // devices
    try:
        fabric = Fabric(accelerator=config.accelerator, devices=devices, num_nodes=nodes, precision=config.precision)  # type: ignore[arg-type]
    except (ValueError, RuntimeError) as error:  # what is not there, or not known
        wanted = f"accelerator={config.accelerator}, devices={devices} and precision={config.precision}"
        raise SystemExit(f"This computer cannot train with {wanted}: {error}") from None
    fabric.launch()  # which `fabric run` has done already
    if fabric.is_global_zero and fabric.device.type == "cpu" and _lacks_bfloat16(config.precision):
        print(
            f"This processor has no instructions for bfloat16, so that precision={config.precision} may take several"
            " times as long as precision=32-true; set that for a faster run.",
            file=sys.stderr,
        )
    return fabric


def _lacks_bfloat16(precision: str) -> bool:
    """Whether the arithmetic of a run would be emulated by this processor, where that can be known."""
    able: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return precision.startswith("bf16") and able.get("architecture") == "x86_64" and not able.get("avx512_bf16", True)


@contextmanager
def only_run_in(folder: Path, fabric: Fabric) -> Iterator[None]:
    """One process holds the folder for all of the run; where another run has it, all of them end."""
    with ExitStack() as stack:
        refusal = ""
        if fabric.is_global_zero:
            try:
                stack.enter_context(held_alone(folder))
            except OutputError as error:
                refusal = str(error)
        if refusal := fabric.broadcast(refusal):
            raise OutputError(refusal)
        yield


def mean_and_any(fabric: Fabric, loss: torch.Tensor, stop: bool) -> tuple[float, bool]:
    """The mean loss of all processes, and whether one of them should stop: they end at the same step."""
    both = torch.as_tensor(
        fabric.all_reduce(
            torch.stack([loss.detach().float(), loss.new_tensor(float(stop), dtype=torch.float32)]), reduce_op="mean"
        )
    )
    return float(both[0]), bool(both[1] > 0)


def leave_together() -> None:
    """End the connection between processes, where there is one, once all are done: one that leaves early may abort, and
    its launcher then ends the one that still writes.
    """
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()
