"""What a training step of context label learning costs: the arms of the comparison taken in turn in one process, so
that a busy machine slows all of them alike.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import torch
from LabelConditionedSegmentationLib.core.network.model import LabelConditionedNetwork
from lightning.fabric import Fabric

from Training.engine.config import Config, read_config
from Training.engine.optimizers import make_optimizer
from Training.evaluation.markdown import markdown_table
from Training.methods import build_method
from Training.methods.colab_settings import CoLabSettings
from Training.methods.method import Batch, Method, Run
from Training.studies.compare import read_experiment

EXPERIMENT = Path(__file__).resolve().parents[2] / "Training/experiments/compare_colab.yaml"

ROUNDS = 12
"""Each of as many steps as there are from one update of the generator to the next.

Anatomy is left out: its samples need the labels of real scans.
"""

REFERENCE = "none"


def run() -> str:
    """Seconds a step, the median over rounds, and against the arm without context."""
    experiment = read_experiment(EXPERIMENT)
    runs = {
        arm.name: _ArmRun(arm.settings, EXPERIMENT.parent / experiment.base)
        for arm in experiment.arms
        if arm.name != "anatomy"
    }
    for one in runs.values():  # the first round, in which memory is found, does not count
        one.round()
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(ROUNDS):
        for name, one in runs.items():
            began = time.perf_counter()
            steps = one.round()
            seconds[name].append((time.perf_counter() - began) / steps)
    ratios = {
        name: statistics.median(a / b for a, b in zip(found, seconds[REFERENCE], strict=True))
        for name, found in seconds.items()
    }
    return markdown_table(
        ["arm", "seconds a step", "against none"],
        [[name, f"{statistics.median(seconds[name]):.3f}", f"{ratios[name]:.2f}"] for name in runs],
    )


class _ArmRun:
    """A training on noise with a ball for the labels: what a step costs does not depend on what the scans show."""

    def __init__(self, settings: list[str], base: Path) -> None:
        config = read_config(base, settings)
        torch.manual_seed(0)
        self.every = config.own(CoLabSettings).every
        self.learning_rate = config.optimizer.learning_rate
        self.fabric = Fabric(accelerator="cpu", devices=1, precision=config.precision)  # type: ignore[arg-type]
        network = LabelConditionedNetwork(config.network, len(config.data.labels) + 1)
        network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        self.method: Method = build_method(
            network, config, torch.zeros(0, len(config.data.labels) + 1, dtype=torch.bool)
        )
        self.model, self.optimizer = self.fabric.setup(
            self.method, make_optimizer(self.method.parameters(), config.optimizer)
        )
        self.batch = _batch(config)
        self.step = 0

    def round(self) -> int:
        """The steps from one update of the generator to the next; returns how many."""
        for _ in range(self.every):
            run = Run(self.fabric, self.model, self.step, self.learning_rate)
            self.fabric.backward(self.method.training_step(self.batch, run))
            self.optimizer.step()
            self.optimizer.zero_grad()
            self.step += 1
        return self.every


def _batch(config: Config) -> Batch:
    """As Training.data.training_samples.Samples makes them: an image of noise, and in its middle a ball, each label a
    half of it.
    """
    k, j, i = torch.meshgrid(*(torch.arange(n) - n / 2 for n in config.data.patch), indexing="ij")
    target = ((k**2 + j**2 + i**2).sqrt() < min(config.data.patch) / 6) * (1 + (i > 0).long())
    number = config.optimizer.batch
    return {
        "image": torch.randn(number, config.network.input_channels, *config.data.patch),
        "target": target.flatten().repeat(number, 1),
        "annotated": torch.ones(number, len(config.data.labels) + 1, dtype=torch.bool),
        "metadata": torch.zeros(number, 0),
        "number": torch.arange(number),
    }
