"""What a run is made of between two steps: weights, their moving average, the optimizers' moments and the facts, and
how they are kept on disk.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..methods.method import Method, Optimizers
from .checkpoint import load_checkpoint, read_facts, save_checkpoint
from .config import Config, as_content
from .config_differences import differences


class RunState:
    """The state of a run and its checkpoints in the output folder: `last`, `best` (by validation) and `stable` (before
    the learning rate falls).

    facts: step (how many were made), best (the criterion of the best validation), worse (validations since then),
    history (what came before this run) and the configuration.
    """

    def __init__(self, method: Method, optimizers: Optimizers, config: Config, history: list[str]) -> None:
        self.method = method
        self.network = method.network
        self.optimizers = optimizers
        self.config = config
        self.average = {name: value.detach().clone() for name, value in self.network.state_dict().items()}
        self.facts: dict[str, Any] = {"step": 0, "best": -1.0, "worse": 0, "history": history}

    def begin(self, start: Path | None) -> str:
        """Take what `checkpoint_to_start_from` found; returns what was done, in words."""
        note = ""
        if start == self.path("last"):
            self.facts |= load_checkpoint(start, self.method, self.average, self.optimizers)
            note = f"going on from step {self.facts['step']} of {start}"
        elif start is not None:
            before = load_checkpoint(start, self.method, self.average, self.optimizers)
            self.facts["history"] = [*before["history"], f"{before['step']} steps as in {start}"]
        self.facts["config"] = as_content(self.config)
        return note

    def path(self, name: str) -> Path:
        """Where a checkpoint is kept."""
        return _path(self.config, name)

    def save(self, name: str) -> None:
        """Write a checkpoint, whole or not at all."""
        save_checkpoint(self.path(name), self.method, self.average, self.optimizers, self.facts)

    def after_step(self, step: int) -> None:
        """Count the step and let the moving average follow; it is shorter at the start."""
        keep = min(self.config.optimizer.averaging, (1 + step) / (10 + step))
        for name, value in self.network.state_dict().items():
            self.average[name] = self.average[name].to(value.device).lerp_(value, 1 - keep)
        self.facts["step"] = step + 1

    def after_validation(self, value: float) -> bool:
        """Note the criterion of a validation; returns whether it was the best so far."""
        is_best = value > self.facts["best"]
        self.facts |= {"best": value, "worse": 0} if is_best else {"worse": self.facts["worse"] + 1}
        return bool(is_best)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Inside, the network has the averaged weights; afterwards its own again."""
        running = {name: value.detach().clone() for name, value in self.network.state_dict().items()}
        self.network.load_state_dict(self.average)
        yield
        self.network.load_state_dict(running)

    @property
    def is_exhausted(self) -> bool:
        """Whether early stopping ends the run."""
        return 0 < self.config.early_stop <= int(self.facts["worse"])

    @property
    def is_finished(self) -> bool:
        """Whether all steps were made, or early stopping ends the run."""
        return self.facts["step"] >= self.config.optimizer.steps or self.is_exhausted

    def take_final_weights(self) -> None:
        """Give the network the weights that are shipped: the averaged ones, of the best validation where the run ended
        early.
        """
        if self.facts["step"] < self.config.optimizer.steps:
            self.facts |= load_checkpoint(self.path("best"), self.method, self.average, {})
        self.network.load_state_dict(self.average)


def checkpoint_to_start_from(config: Config) -> Path | None:
    """The last checkpoint of the run itself, else the one that `init_from` names.

    SystemExit, before any data are read, where the run cannot go on from it.
    """
    last, start = _path(config, "last"), Path(config.init_from)
    if config.resume == "auto" and last.exists():
        _refuse_other_settings(last, config)
        return last
    if start.suffix == ".safetensors":
        _refuse_other_optimizer(start, config)
        return start
    return None


def _path(config: Config, name: str) -> Path:
    return Path(config.output) / f"{name}.safetensors"


def _refuse_other_settings(checkpoint: Path, config: Config) -> None:
    """A run goes on only with the settings that it began with."""
    changed = differences(read_facts(checkpoint).get("config", {}), as_content(config))
    if changed:
        raise SystemExit(
            f'The checkpoint "{checkpoint}" belongs to a run with other settings: {"; ".join(changed)}. Put them back,'
            " or choose another output, or resume=never."
        )


def _refuse_other_optimizer(checkpoint: Path, config: Config) -> None:
    """Every optimizer keeps something else of a parameter."""
    settings = read_facts(checkpoint).get("config", {})
    before = settings.get("optimizer", {}).get("name", Config().optimizer.name)
    if before != config.optimizer.name:
        raise SystemExit(
            f'The checkpoint "{checkpoint}" holds what optimizer.name={before} goes on from, and'
            f" optimizer.name={config.optimizer.name} cannot: set optimizer.name={before}, or start from the package of"
            " that run, which holds weights alone."
        )
