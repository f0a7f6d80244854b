"""Train a segmentation network: python Training/train.py CONFIG.yaml [key=value ...]. Lightning Fabric places it on devices and processes."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from LabelConditionedSegmentationLib.core.errors import LCSError
from LabelConditionedSegmentationLib.core.geometry import Grid, resample
from LabelConditionedSegmentationLib.core.memory import is_out_of_memory
from LabelConditionedSegmentationLib.core.network.model import LabelConditionedNetwork
from LabelConditionedSegmentationLib.core.preprocessing import is_foreground, position_channels
from LabelConditionedSegmentationLib.core.scoring import best_classes
from lightning.fabric import Fabric
from torch.utils.data import DataLoader

from Training.checkpoint import load_checkpoint, read_facts, save_checkpoint
from Training.config import Config, OptimizerConfig, differences, read_config
from Training.data import Samples, StepBatches
from Training.export import write_package
from Training.methods import build_method
from Training.prepare import Case
from Training.run_data import load_data
from Training.run_log import RunLog
from Training.start import describe_start, package_to_start_from, settings_of_package, take_weights


def rate_at(step: int, settings: OptimizerConfig) -> float:
    """The learning rate of a step: linear warm-up, constant, linear decay."""
    rising = (step + 1) / max(settings.warmup, 1)
    falling = (settings.steps - step) / max(settings.decay, 1)
    return settings.rate * max(0.0, min(1.0, rising, falling))


def update_average(average: dict[str, torch.Tensor], network: torch.nn.Module, step: int, decay: float) -> None:
    """Exponential moving average of the weights, shorter at the start; it is what gets validated and shipped."""
    keep = min(decay, (1 + step) / (10 + step))
    for name, value in network.state_dict().items():
        average[name].lerp_(value, 1 - keep)


@torch.no_grad()
def find_classes(network: LabelConditionedNetwork, case: Case, device: torch.device) -> torch.Tensor:
    """The best class of every voxel of a prepared case, (k, j, i) on the network's grid."""
    image = case.image.float()
    if network.trunk.position is not None:
        image = torch.cat([image, position_channels(is_foreground(image))])
    features = network.features(image[None].to(device, memory_format=torch.channels_last_3d), case.metadata[None].to(device))[0]
    fine = Grid(np.eye(4), case.target.shape)  # type: ignore[arg-type]
    features = resample(features.float().movedim(0, -1), fine.coarser(network.trunk.architecture.output_stride), fine)
    return best_classes(features.reshape(-1, features.shape[-1]), network.prompts, network.bias).best_class.cpu().long().view(fine.shape)


def dice_of_classes(found: torch.Tensor, target: torch.Tensor, classes: int) -> np.ndarray:
    """Dice of every class but the background, (classes - 1,); NaN where it is absent from the truth. Voxels without a single class as target are left out."""
    truth = target.long()
    known = (truth >= 0) & (truth < classes)
    found, truth = found[known], truth[known]
    both, there = torch.bincount(truth[truth == found], minlength=classes), torch.bincount(truth, minlength=classes)
    dice = 2 * both / (there + torch.bincount(found, minlength=classes))
    dice[there == 0] = torch.nan
    return np.asarray(dice[1:].numpy())


def validate(network: LabelConditionedNetwork, cases: list[Case], fabric: Fabric) -> tuple[dict[str, np.ndarray], torch.Tensor | None]:
    """Dice of every leaf in every case on the network's grid, and what was found in the first case; every process does its share of the cases."""
    table = torch.zeros(len(cases), network.classes - 1)
    first = None
    for n in range(fabric.global_rank, len(cases), fabric.world_size):
        with fabric.autocast():
            found = find_classes(network, cases[n], fabric.device)
        table[n] = torch.from_numpy(dice_of_classes(found, cases[n].target, network.classes))
        first = found if n == 0 else first
    table = torch.as_tensor(fabric.all_reduce(table.to(fabric.device), reduce_op="sum")).cpu()
    return {case.name: row.numpy() for case, row in zip(cases, table, strict=True)}, first


def make_fabric(config: Config) -> Fabric:
    """Devices and processes: those of the configuration or, where `torchrun` or `fabric run` started this process, theirs."""
    if "LT_CLI_USED" in os.environ:
        return Fabric(precision=config.precision)  # type: ignore[arg-type]
    devices, nodes = config.devices, config.nodes
    if "TORCHELASTIC_RUN_ID" in os.environ:
        devices = int(os.environ["LOCAL_WORLD_SIZE"])
        nodes = int(os.environ["WORLD_SIZE"]) // devices
    return Fabric(accelerator=config.accelerator, devices=devices, num_nodes=nodes, precision=config.precision)  # type: ignore[arg-type]


def train(config: Config) -> None:
    """One run from its configuration to a model package."""
    fabric = make_fabric(config)
    fabric.launch()
    fabric.seed_everything(config.seed, verbose=False)
    output = Path(config.output)
    package = package_to_start_from(config)
    if package is not None:
        config = settings_of_package(config, package)
    with fabric.rank_zero_first():  # one process prepares, the others find it done
        data = load_data(config, package.labels if package else None)
    tree, training, validation = data.tree, data.training, data.validation
    batches = StepBatches(0, config.optimizer.steps, config.optimizer.batch, fabric.global_rank, fabric.world_size)
    fabric.print(f"{len(training)} cases for training, {len(validation)} for validation, {len(tree.leaves)} labels")

    network = LabelConditionedNetwork(config.network, len(tree.leaves) + 1, data.schema.fields)
    if package is not None:
        take_weights(network, tree, package)
    network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    method = build_method(network, config, data.code.members)
    average = {name: value.detach().clone() for name, value in network.state_dict().items()}
    optimizer = torch.optim.AdamW(network.parameters(), lr=config.optimizer.rate, weight_decay=config.optimizer.weight_decay)
    last, best = output / "last.safetensors", output / "best.safetensors"
    facts: dict[str, Any] = {"step": 0, "best": -1.0, "worse": 0, "history": describe_start(package) if package else []}
    if config.resume == "auto" and last.exists():
        _refuse_other_settings(last, config)
        facts |= load_checkpoint(last, network, average, optimizer)
        fabric.print(f"going on from step {facts['step']} of {last}")
    elif config.init_from and package is None:
        before = load_checkpoint(Path(config.init_from), network, average, optimizer)
        facts["history"] = [*before["history"], f"{before['step']} steps as in {config.init_from}"]
    facts["config"] = asdict(config)
    model, optimizer = fabric.setup(method, optimizer)
    average = {name: value.to(fabric.device) for name, value in average.items()}

    first, length = int(facts["step"]), config.optimizer.steps
    batches.steps = range(first, length)
    on_gpu = fabric.device.type == "cuda"
    samples = Samples(training, data.code, config, fabric.device if on_gpu else "cpu")
    workers = 0 if on_gpu else config.data.workers
    own_loader = DataLoader(samples, batch_sampler=batches, num_workers=workers, prefetch_factor=2 if workers else None)
    loader = fabric.setup_dataloaders(own_loader, use_distributed_sampler=False)
    asked_to_stop = _stop_on_interrupt()
    log = RunLog(output, first, length) if fabric.is_global_zero else None
    began = time.time()
    for step, batch in zip(batches.steps, loader, strict=True):
        for group in optimizer.param_groups:
            group["lr"] = rate_at(step, config.optimizer)
        loss = model(batch)
        _refuse_nan(loss, step, [samples.case_of(int(n)).name for n in batch["number"]], last)
        fabric.backward(loss)
        fabric.clip_gradients(model, optimizer, max_norm=config.optimizer.clip)
        optimizer.step()
        optimizer.zero_grad()
        update_average(average, network, step, config.optimizer.averaging)
        facts["step"] = step + 1
        mean_loss, stop = _of_all_processes(fabric, loss, asked_to_stop())

        scores = None
        is_last = step + 1 == length
        if validation and ((step + 1) % config.validate_every == 0 or is_last):
            running = {name: value.detach().clone() for name, value in network.state_dict().items()}
            network.load_state_dict(average)
            scores, found = validate(network, validation, fabric)
            network.load_state_dict(running)
            dice = float(np.nanmean(np.stack(list(scores.values()))))
            better = dice > facts["best"]
            facts |= {"best": dice, "worse": 0} if better else {"worse": facts["worse"] + 1}
            if log is not None:
                if better:
                    save_checkpoint(best, network, average, optimizer, facts)
                if found is not None:
                    log.picture(step, validation[0].image[0], validation[0].target.long(), found, tree)
        exhausted = 0 < config.early_stop <= facts["worse"]
        if log is not None:
            log.step(step, mean_loss, rate_at(step, config.optimizer), time.time() - began, scores, tree)
            if (step + 1) % config.save_every == 0 or is_last or stop or exhausted:
                save_checkpoint(last, network, average, optimizer, facts)
            if step + 1 == length - config.optimizer.decay:  # other runs may go on from here: longer ones, or with more cases
                save_checkpoint(output / "stable.safetensors", network, average, optimizer, facts)
        if stop:
            fabric.print(f"stopped after step {step + 1}; run the same command again to go on")
            break
        if exhausted:
            fabric.print(f"stopped early after step {step + 1}: {facts['worse']} validations without a better Dice than {facts['best']:.4f}")
            break
    if log is not None:
        log.close()
    fabric.barrier()
    if fabric.is_global_zero and (facts["step"] == length or 0 < config.early_stop <= facts["worse"]):
        if facts["step"] < length:  # ended early: the best weights, not the last ones
            facts |= load_checkpoint(best, network, average, None)
        network.load_state_dict(average)
        fabric.print(f"model package: {write_package(output / 'package', network, tree, data.schema, config, training, facts)}")


def _refuse_other_settings(checkpoint: Path, config: Config) -> None:
    """A run goes on only with the settings that it began with."""
    changed = differences(read_facts(checkpoint).get("config", {}), asdict(config))
    if changed:
        raise SystemExit(
            f'The checkpoint "{checkpoint}" belongs to a run with other settings: {"; ".join(changed)}. Put them back, or choose another output, or resume=never.'
        )


def _refuse_nan(loss: torch.Tensor, step: int, cases: list[str], last: Path) -> None:
    if not bool(torch.isfinite(loss)):
        kept = f"the last checkpoint, {last}, is intact" if last.exists() else "no checkpoint was written yet"
        raise SystemExit(f"The loss became {float(loss)} at step {step} on {', '.join(cases)}; {kept}. Look at that scan, or lower optimizer.rate.")


def _of_all_processes(fabric: Fabric, loss: torch.Tensor, stop: bool) -> tuple[float, bool]:
    """The mean loss of all processes, and whether one of them was asked to stop: they end at the same step."""
    told = torch.as_tensor(fabric.all_reduce(torch.stack([loss.detach().float(), loss.new_tensor(float(stop), dtype=torch.float32)]), reduce_op="mean"))
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
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="settings that replace those of the file, such as optimizer.steps=100")
    arguments = parser.parse_args()
    config = read_config(arguments.config, arguments.overrides)
    try:
        train(config)
    except LCSError as error:
        raise SystemExit(str(error)) from None
    except KeyboardInterrupt:
        sys.exit(130)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise SystemExit(
            f"Memory ran out. Lower, in this order, optimizer.batch ({config.optimizer.batch}), data.points ({config.data.points}), data.patch ({list(config.data.patch)}) "
            f"or network.widths ({list(config.network.widths)}); the run then starts anew."
        ) from None


if __name__ == "__main__":
    main()
