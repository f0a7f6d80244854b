"""Train a label conditioned segmentation network: python Training/train.py CONFIG.yaml [key=value ...]."""

from __future__ import annotations

import argparse
import csv
import signal
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from LabelConditionedSegmentationLib.core.errors import LCSError
from LabelConditionedSegmentationLib.core.geometry import Grid, resample
from LabelConditionedSegmentationLib.core.metadata import MetadataSchema
from LabelConditionedSegmentationLib.core.network.model import LabelConditionedNetwork
from LabelConditionedSegmentationLib.core.preprocessing import is_foreground, position_channels
from LabelConditionedSegmentationLib.core.scoring import best_classes
from lightning.fabric import Fabric
from torch.utils.data import DataLoader
from tqdm import tqdm

from Training.catalogue import brain_tree
from Training.checkpoint import load_checkpoint, save_checkpoint
from Training.config import Config, OptimizerConfig, read_config
from Training.data import Case, Samples, find_cases, load_case
from Training.export import write_package
from Training.losses.streamed_softmax import streamed_softmax_loss


class TrainingStep(torch.nn.Module):
    """Network and loss as one module, so that a distributed wrapper sees everything that has gradients."""

    def __init__(self, network: LabelConditionedNetwork, settings: OptimizerConfig) -> None:
        super().__init__()
        self.network = network
        self.settings = settings

    def forward(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """Mean loss of the samples of a batch, taken at the drawn points of the up-sampled features."""
        image = batch["image"].to(memory_format=torch.channels_last_3d)
        features = self.network.trunk(image, batch["metadata"]).float()
        at_points = torch.nn.functional.grid_sample(features, batch["points"][:, None, None], padding_mode="border", align_corners=False)[:, :, 0, 0]
        with torch.autocast(image.device.type, enabled=False):  # scores and their sums in float32
            losses = [
                streamed_softmax_loss(
                    at_points[n].T,
                    self.network.head.prompts,
                    self.network.head.bias,
                    batch["target"][n],
                    batch["annotated"][n],
                    self.settings.chunk,
                    self.settings.dice_weight,
                )
                for n in range(image.shape[0])
            ]
        return torch.stack(losses).mean()


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
def validate(network: LabelConditionedNetwork, cases: list[Case], device: torch.device) -> dict[str, np.ndarray]:
    """Dice of every leaf in every case on the network's grid: case -> (classes - 1,), NaN where a label is absent from the truth."""
    scores = {}
    classes = network.head.bias.shape[0]
    for case in cases:
        image = case.image.float()
        if network.trunk.position is not None:
            image = torch.cat([image, position_channels(is_foreground(image))])
        features = network.trunk(image[None].to(device, memory_format=torch.channels_last_3d), case.metadata[None].to(device))[0].float()
        fine = Grid(np.eye(4), case.target.shape)  # type: ignore[arg-type]
        features = resample(features.movedim(0, -1), fine.coarser(network.trunk.architecture.output_stride), fine)
        found = best_classes(features.reshape(-1, features.shape[-1]), network.head.prompts, network.head.bias).best_class.cpu().long()
        truth = case.target.reshape(-1).long() - 1
        known = truth >= 0
        both = torch.bincount(truth[known & (truth == found)], minlength=classes)
        dice = 2 * both / (torch.bincount(truth[known], minlength=classes) + torch.bincount(found[known], minlength=classes))
        dice[torch.bincount(truth[known], minlength=classes) == 0] = torch.nan
        scores[case.name] = dice[1:].numpy()
    return scores


def train(config: Config) -> None:
    """One run from its configuration to a model package."""
    fabric = Fabric(accelerator=config.accelerator, devices=config.devices, num_nodes=config.nodes, precision=config.precision)  # type: ignore[arg-type]
    fabric.launch()
    fabric.seed_everything(config.seed, verbose=False)
    output, root = Path(config.output), Path(config.data.root)

    find_cases(root, config.data.validation)  # a mistyped name is told, not taken as nothing to validate
    files = find_cases(root, [*config.data.train, *config.data.validation] if config.data.train else [])
    tree = brain_tree(root / "labels.csv")
    schema = MetadataSchema.from_json(config.metadata)
    cases = [load_case(f, config.input, tree, schema, config.network.multiple) for f in tqdm(files, desc="reading cases", disable=not sys.stderr.isatty())]
    validation = [c for c in cases if c.name in config.data.validation]
    training = [c for c in cases if c not in validation]
    fabric.print(f"{len(training)} cases for training, {len(validation)} for validation, {len(tree.leaves)} labels")

    network = LabelConditionedNetwork(config.network, len(tree.leaves) + 1, schema.fields)
    network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    average = {name: value.detach().clone() for name, value in network.state_dict().items()}
    optimizer = torch.optim.AdamW(network.parameters(), lr=config.optimizer.rate, weight_decay=config.optimizer.weight_decay)
    facts: dict[str, Any] = {"step": 0, "history": []}
    last = output / "last.safetensors"
    if config.resume == "auto" and last.exists():
        facts = load_checkpoint(last, network, average, optimizer)
        fabric.print(f"going on from step {facts['step']} of {last}")
    elif config.init_from:
        before = load_checkpoint(Path(config.init_from), network, average, optimizer)
        facts["history"] = [*before["history"], f"{before['step']} steps as in {config.init_from}"]
    model, optimizer = fabric.setup(TrainingStep(network, config.optimizer), optimizer)
    average = {name: value.to(fabric.device) for name, value in average.items()}

    first = int(facts["step"])
    length = config.optimizer.steps
    samples = Samples(
        training, tree, config.data.patch, config.data.points, config.seed, length, config.augmentation, config.network.position, config.field_dropout
    )
    loader = fabric.setup_dataloaders(
        DataLoader(samples, batch_size=1, sampler=range(first, length), num_workers=config.data.workers, prefetch_factor=2 if config.data.workers else None)
    )
    stopped = _stop_on_interrupt()
    facts |= {"config": asdict(config)}
    log = _Log(output / "log.csv") if fabric.is_global_zero else None
    began, shown = time.time(), tqdm(total=length, initial=first, desc="training", disable=not sys.stderr.isatty())
    for step, batch in zip(range(first, length), loader, strict=False):
        for group in optimizer.param_groups:
            group["lr"] = rate_at(step, config.optimizer)
        loss = model(batch)
        if not torch.isfinite(loss):
            case = samples.case_of(int(batch["number"][0])).name
            raise SystemExit(f"The loss became {float(loss)} at step {step} on {case}; the last checkpoint, {last}, is intact. Lower optimizer.rate.")
        fabric.backward(loss)
        fabric.clip_gradients(model, optimizer, max_norm=config.optimizer.clip)
        optimizer.step()
        optimizer.zero_grad()
        update_average(average, network, step, config.optimizer.averaging)
        facts["step"] = step + 1
        shown.update()
        dice = float("nan")
        if validation and ((step + 1) % config.validate_every == 0 or step + 1 == length):
            dice = _validated_with_average(network, average, validation, fabric.device)
        if log is not None:
            log.write(step=step, loss=float(loss.detach()), rate=rate_at(step, config.optimizer), dice=dice, seconds=round(time.time() - began, 1))
            if (step + 1) % config.save_every == 0 or step + 1 == length or stopped():
                save_checkpoint(last, network, average, optimizer, facts)
            if step + 1 == length - config.optimizer.decay:  # other runs may go on from here: longer ones, or with more cases
                save_checkpoint(output / "stable.safetensors", network, average, optimizer, facts)
        if stopped():
            fabric.print(f"stopped after step {step + 1}; run the same command again to go on")
            return
    network.load_state_dict(average)
    path = write_package(output / "package", network, tree, schema, config, training, facts)
    fabric.print(f"model package: {path}")


def _validated_with_average(network: LabelConditionedNetwork, average: dict[str, torch.Tensor], cases: list[Case], device: torch.device) -> float:
    """Mean Dice of the averaged weights; the running weights come back unchanged."""
    running = {name: value.detach().clone() for name, value in network.state_dict().items()}
    network.load_state_dict(average)
    scores = validate(network, cases, device)
    network.load_state_dict(running)
    return float(np.nanmean(np.stack(list(scores.values()))))


class _Log:
    """One CSV line a step, flushed, so that a killed run keeps its curve."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.file = path.open("a", newline="", encoding="utf-8")
        self.writer: csv.DictWriter[str] | None = None

    def write(self, **row: float) -> None:
        if self.writer is None:
            self.writer = csv.DictWriter(self.file, list(row))
            if self.file.tell() == 0:
                self.writer.writeheader()
        self.writer.writerow(row)
        self.file.flush()


def _stop_on_interrupt() -> Any:
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
    try:
        train(read_config(arguments.config, arguments.overrides))
    except LCSError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
