"""Train a segmentation network: python Training/train.py CONFIG.yaml [key=value ...]. Lightning Fabric places it on
devices and processes.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from LabelConditionedSegmentationLib.core.errors import LCSError, OutputError
from LabelConditionedSegmentationLib.core.inference.memory_ladder import is_out_of_memory
from LabelConditionedSegmentationLib.core.network.model import LabelConditionedNetwork
from lightning.fabric import Fabric
from torch.utils.data import DataLoader

from ..data.samples import Samples, StepBatches
from ..methods import build_method
from ..methods.method import Method
from .config import Config, OptimizerConfig, read_config, write_config
from .export import write_package
from .gradients import clip_gradients, load_scaler, scaler_state
from .run_data import load_data
from .run_folder import held_alone
from .run_log import RunLog
from .run_settings import settled
from .run_state import RunState, checkpoint_to_start_from
from .start import describe_start, freeze, take_weights
from .validation import validate


def rate_at(step: int, settings: OptimizerConfig) -> float:
    """The learning rate of a step: linear warm-up, constant, linear decay; or a polynomial from the first step on."""
    if settings.schedule == "poly":
        return settings.rate * float((1 - step / settings.steps) ** 0.9)
    rising = (step + 1) / max(settings.warmup, 1)
    falling = (settings.steps - step) / max(settings.decay, 1)
    return settings.rate * max(0.0, min(1.0, rising, falling))


def make_optimizer(method: Method, settings: OptimizerConfig) -> torch.optim.Optimizer:
    """What moves the parameters that the loss has a gradient for."""
    trained = [p for p in method.parameters() if p.requires_grad]
    if settings.name == "sgd":
        return torch.optim.SGD(
            trained,
            settings.rate,
            settings.momentum,
            weight_decay=settings.weight_decay,
            nesterov=settings.momentum > 0,
        )
    return torch.optim.AdamW(trained, lr=settings.rate, weight_decay=settings.weight_decay)


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
        asked = f"accelerator={config.accelerator}, devices={devices} and precision={config.precision}"
        raise SystemExit(f"This computer cannot train with {asked}: {error}") from None
    fabric.launch()  # which `fabric run` has done already
    return fabric


def train(config: Config) -> None:
    """One run from its configuration to a model package."""
    fabric = make_fabric(config)
    with _only_run_in(Path(config.output), fabric), _signals_restored():
        _train(config, fabric)


def _train(config: Config, fabric: Fabric) -> None:
    fabric.seed_everything(config.seed, verbose=False)
    config, package = settled(config)
    start = checkpoint_to_start_from(config)
    batches = StepBatches(config.optimizer.batch, fabric.global_rank, fabric.world_size)
    with fabric.rank_zero_first():  # one process prepares, the others find it done
        data = load_data(config, package.labels if package else None)
    tree = data.tree
    fabric.print(
        f"{len(data.training)} cases for training, {len(data.validation)} for validation, {len(tree.leaves)} labels"
    )

    network = LabelConditionedNetwork(config.network, len(tree.leaves) + 1, data.schema.fields)
    if package is not None:
        take_weights(network, tree, package)
    network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    freeze(network, config.optimizer.freeze)
    method = build_method(network, config, data.code.members)
    moved = make_optimizer(method, config.optimizer)
    model, optimizer = fabric.setup(method, moved)
    state = RunState(method, moved, config, describe_start(package) if package else [])
    if said := state.begin(start):
        fabric.print(said)
    load_scaler(fabric, state.facts.get("scaler", {}))

    first, length = int(state.facts["step"]), config.optimizer.steps
    batches.steps = range(first, first if state.is_finished else length)
    samples = Samples(data.training, data.code, config, fabric.device if fabric.device.type == "cuda" else "cpu")
    method.begin(samples, data.meta)
    loader = _loader(samples, batches, config, fabric)
    asked_to_stop = _stop_on_interrupt()
    log = RunLog(Path(config.output), first, length, method.columns) if fabric.is_global_zero else None
    if log is not None:
        write_config(config, Path(config.output) / "config.yaml")
    began, stop = time.time(), False
    for step, batch in zip(batches.steps, loader, strict=False):
        rate = rate_at(step, config.optimizer)
        for group in optimizer.param_groups:
            group["lr"] = rate
        measured = method.before_step(step, batch, rate, fabric)
        loss = model(batch)
        cases = [samples.case_of(int(n)).name for n in batch["number"]]
        _refuse_nan("loss", loss, step, cases, state.path("last"))
        fabric.backward(loss)
        norm = clip_gradients(fabric, model, optimizer, config.optimizer.clip)
        _refuse_nan("gradient", norm, step, cases, state.path("last"))
        optimizer.step()
        optimizer.zero_grad()
        state.after_step(step)
        state.facts["scaler"] = scaler_state(fabric)
        mean_loss, stop = _of_all_processes(fabric, loss, asked_to_stop())

        scores = None
        is_last = step + 1 == length
        if data.validation and method.answers_for_classes and ((step + 1) % config.validate_every == 0 or is_last):
            with state.averaged():
                method.finish(data.training)
                scores, found = validate(network, data.validation, config.package.patch, fabric)
            is_best = state.after_validation(float(np.nanmean(np.stack(list(scores.values())))))
            if log is not None and is_best:
                state.save("best")
            if log is not None and found is not None:
                log.picture(step, data.validation[0].image[0], data.validation[0].target.long(), found, tree)
                if (divided := method.context_map(batch)) is not None:
                    log.context(step, batch["image"][0, 0].cpu(), divided.cpu(), tree)
        if log is not None:
            log.step(step, mean_loss, rate, time.time() - began, scores, tree, measured)
            if (step + 1) % config.save_every == 0 or is_last or stop or state.is_exhausted:
                state.save("last")
            if (
                step + 1 == length - config.optimizer.decay and config.optimizer.schedule == "constant"
            ):  # other runs may go on from here: longer ones, or with more cases
                state.save("stable")
        if stop or state.is_exhausted:
            break
    if log is not None:
        log.close()
    fabric.barrier()
    if not state.is_finished:
        fabric.print(f"stopped after step {state.facts['step']}; run the same command again to go on")
        return
    if state.is_exhausted:
        fabric.print(
            f"stopped early after step {state.facts['step']}: {state.facts['worse']} validations without a better Dice"
            f" than {state.facts['best']:.4f}"
        )
    if fabric.is_global_zero:
        state.take_final_weights()
        if not method.answers_for_classes:
            fabric.print(
                "no model package: this network needs a labelled scan at every pass; its weights are in"
                f" {state.path('last')}"
            )
            return
        method.finish(data.training)
        learned = data.training + data.meta
        written = write_package(
            Path(config.output) / "package", network, tree, data.schema, config, learned, state.facts
        )
        fabric.print(f"model package: {written}")


@contextmanager
def _only_run_in(folder: Path, fabric: Fabric) -> Iterator[None]:
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


@contextmanager
def _signals_restored() -> Iterator[None]:
    """Who calls `train` has the handlers of before when it ends."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def leave_together() -> None:
    """End the connection between processes, where there is one, once all are done: one that leaves early may abort, and
    its launcher then ends the one that still writes.
    """
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()


def _loader(samples: Samples, batches: StepBatches, config: Config, fabric: Fabric) -> Any:
    """Samples are made by worker processes; on a GPU in this one, where the GPU varies them."""
    workers = 0 if samples.device.type == "cuda" else config.data.workers
    loader = DataLoader(
        samples,
        batch_sampler=batches,
        num_workers=workers,
        prefetch_factor=2 if workers else None,
        worker_init_fn=_leave_signals,
    )
    return fabric.setup_dataloaders(loader, use_distributed_sampler=False)


def _leave_signals(_worker: int) -> None:
    """A Ctrl-C reaches all processes of a terminal, a SIGTERM all of a job; the main one decides when its
    workers end.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def _refuse_nan(what: str, value: torch.Tensor, step: int, cases: list[str], last: Path) -> None:
    if not bool(torch.isfinite(value)):
        kept = f"the last checkpoint, {last}, is intact" if last.exists() else "no checkpoint was written yet"
        raise SystemExit(
            f"The {what} became {float(value.detach())} at step {step} on {', '.join(cases)}; {kept}. "
            "Look at that scan, lower optimizer.rate or, with precision=16-mixed, take bf16-mixed."
        )


def _of_all_processes(fabric: Fabric, loss: torch.Tensor, stop: bool) -> tuple[float, bool]:
    """The mean loss of all processes, and whether one of them was asked to stop: they end at the same step."""
    told = torch.as_tensor(
        fabric.all_reduce(
            torch.stack([loss.detach().float(), loss.new_tensor(float(stop), dtype=torch.float32)]), reduce_op="mean"
        )
    )
    return float(told[0]), bool(told[1] > 0)


def _stop_on_interrupt() -> Callable[[], bool]:
    """Ctrl-C and SIGTERM end the run after the current step, with a checkpoint; a second one ends it at once."""
    asked: list[int] = []

    def handle(number: int, _frame: Any) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handle)
    return lambda: bool(asked)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path, help="a YAML file; the shipped ones are in Training/experiments/")
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="key=value",
        help="settings that replace those of the file, such as optimizer.steps=100",
    )
    arguments = parser.parse_args()
    config = read_config(arguments.config, arguments.overrides)
    try:
        train(config)
        leave_together()
    except LCSError as error:
        raise SystemExit(str(error)) from None
    except KeyboardInterrupt:
        sys.exit(130)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise SystemExit(
            f"Memory ran out. Lower, in this order, optimizer.batch ({config.optimizer.batch}), data.points"
            f" ({config.data.points}), data.patch ({list(config.data.patch)}) or network.widths"
            f" ({list(config.network.widths)}); the run then starts anew."
        ) from None
