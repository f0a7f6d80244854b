"""How far the data sets of a run pull its trunk apart: python -m Training.studies.gradient_conflict CONFIG.yaml
[key=value ...].

Of every source for training the gradient of the trunk is averaged over some samples that no step learns from; the table
has the cosine of each two of them, before the first step and, where the run has a checkpoint, after the last one. Below
0 a step for one data set undoes what the other one learned (the measure of Kim et al., UniSeg, ECCV 2022).
"""

from __future__ import annotations

import argparse
import copy
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import torch
from tqdm import tqdm

from ..data.sources import named
from ..engine.config import Config, read_config
from ..engine.loop import Trainer
from ..engine.processes import make_fabric
from ..engine.program import ends_with_a_sentence
from ..evaluation.markdown import markdown_table
from ..methods.method import Run

FIRST = 2**41
"""Number of the first sample: no step has one as high."""


@dataclass(frozen=True)
class Conflict:
    """The cosine of the gradients of two sources, -1 to 1."""

    one: str
    other: str
    cosine: float


def conflicts(trainer: Trainer, count: int) -> list[Conflict]:
    """Of each two sources for training; count: samples of each. The trainer's network keeps its weights."""
    names = [source.name for source in named(trainer.config.data.sources)]
    gradients = {names[n]: _gradient(trainer, n, count) for n in sorted({c.source for c in trainer.data.training})}
    return [
        Conflict(one, other, float(torch.nn.functional.cosine_similarity(gradients[one], gradients[other], dim=0)))
        for one, other in combinations(gradients, 2)
    ]


def _gradient(trainer: Trainer, source: int, count: int) -> torch.Tensor:
    """The gradient of the trunk, mean over samples of a source, as one vector."""
    numbers = (n for n in range(FIRST, FIRST + 2**30) if trainer.samples.case_of(n).source == source)
    step = int(trainer.state.facts["step"])
    parameters = [p for p in trainer.method.network.trunk.parameters() if p.requires_grad]
    total = torch.zeros(sum(p.numel() for p in parameters))
    for _, number in zip(tqdm(range(count), desc="gradients", disable=None), numbers, strict=False):
        batch = {key: value[None].to(trainer.fabric.device) for key, value in trainer.samples[number].items()}
        loss = trainer.method.training_step(batch, Run(trainer.fabric, trainer.model, step))
        found = torch.autograd.grad(loss, parameters, allow_unused=True)
        total += torch.cat(
            [(torch.zeros_like(p) if g is None else g).flatten().cpu() for p, g in zip(parameters, found, strict=True)]
        )
    return total / count


def before_and_after(config: Config, count: int) -> dict[str, list[Conflict]]:
    """By when: before the first step and, where there is a checkpoint in the output folder, after the last one.

    SystemExit for a run that has a single source.
    """
    if len({source.root for source in config.data.sources if source.role == "train"}) < 2:
        raise SystemExit("Gradients conflict between data sets: name two at least in data.sources.")
    fresh = copy.deepcopy(config)
    fresh.resume = "never"
    found = {"before": conflicts(Trainer(fresh, make_fabric(fresh)), count)}
    if (Path(config.output) / "last.safetensors").is_file():
        trainer = Trainer(config, make_fabric(config))
        found[f"after {trainer.state.facts['step']} steps"] = conflicts(trainer, count)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path, help="the configuration of a run, or the config.yaml in its folder")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="settings that replace those of the file")
    parser.add_argument("--samples", type=int, default=16, help="of every source (default: 16)")
    arguments = parser.parse_intermixed_args()
    with ends_with_a_sentence("Interrupted."):
        found = before_and_after(read_config(arguments.config, arguments.overrides), max(1, arguments.samples))
        pairs = next(iter(found.values()))
        rows = [
            [f"{pair.one}, {pair.other}", *(f"{conflict[n].cosine:.3f}" for conflict in found.values())]
            for n, pair in enumerate(pairs)
        ]
        print(markdown_table(["data sets", *found], rows))


if __name__ == "__main__":
    main()
