"""The training loop, from a configuration to a model package."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from LabelConditionedSegmentationLib.core.network.model import LabelConditionedNetwork
from LabelConditionedSegmentationLib.core.package.model_package import ModelPackage
from LabelConditionedSegmentationLib.core.signals import signals_restored
from lightning.fabric import Fabric
from torch.utils.data import DataLoader

from ..data.prepared_cases import Case
from ..data.training_samples import Samples, StepBatches
from ..methods import build_method
from ..methods.method import MAIN, Batch, Method, Run
from .config import Config, write_config
from .export import write_package
from .gradients import clip_gradients, load_scaler, scaler_state
from .optimizers import learning_rate_at
from .processes import make_fabric, mean_and_any, only_run_in
from .run_data import RunData, load_data
from .run_log import RunLog
from .run_settings import settled
from .run_state import RunState, checkpoint_to_start_from
from .start import describe_start, freeze, known_labels, take_weights
from .stop_signals import leave_signals, stop_on_interrupt
from .validation import validate


def train(config: Config) -> None:
    """One run from its configuration to a model package."""
    fabric = make_fabric(config)
    with only_run_in(Path(config.output), fabric), signals_restored():
        trainer = Trainer(config, fabric)
        trainer.train()
        fabric.barrier()
        trainer.conclude()


class Trainer:
    """A run between its beginning and its package: what it learns from, the method and its state, and the log, which
    the first process alone writes.
    """

    def __init__(self, config: Config, fabric: Fabric) -> None:
        fabric.seed_everything(config.seed, verbose=False)
        self.fabric = fabric
        self.config, package = settled(config)
        start = checkpoint_to_start_from(self.config)
        self.batches = StepBatches(self.config.optimizer.batch, fabric.global_rank, fabric.world_size)
        self.data = self._load(package)
        self.method = self._build(package)
        optimizers = self.method.optimizers(self.config.optimizer)
        self.model, self.optimizer = fabric.setup(self.method, optimizers[MAIN])
        self.state = RunState(self.method, optimizers, self.config, describe_start(package) if package else [])
        if note := self.state.begin(start):
            fabric.print(note)
        load_scaler(fabric, self.state.facts.get("scaler", {}))
        device = fabric.device if fabric.device.type == "cuda" else "cpu"
        taught = self.data.target if self.config.teacher.share else []
        maps = self.method.needs_label_maps
        self.samples = Samples(self.data.training, self.data.code, self.config, device, taught, maps)
        self.method.begin(self.samples, self.data)

    def _load(self, package: ModelPackage | None) -> RunData:
        with self.fabric.rank_zero_first():  # one process prepares, the others find it done
            data = load_data(self.config, known_labels(self.config, package) if package else None)
        unlabelled = f" and {len(data.target)} without labels" if data.target else ""
        self.fabric.print(
            f"{len(data.training)} cases{unlabelled} for training, {len(data.validation)} for validation,"
            f" {len(data.tree.leaves)} labels"
        )
        return data

    @property
    def unlabelled(self) -> list[Case]:
        """The scans without labels that the run learns from: as a teacher labelled them, or as the method takes
        them.
        """
        return self.data.target if self.config.teacher.share or self.method.learns_from_target else []

    def _build(self, package: ModelPackage | None) -> Method:
        network = LabelConditionedNetwork(self.config.network, self.data.tree.classes, self.data.schema.fields)
        if package is not None:
            take_weights(network, self.data.tree, package)
        network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        freeze(network, self.config.optimizer.freeze)
        return build_method(network, self.config, self.data.code.members)

    def train(self) -> None:
        """All steps that are left, or those until somebody ends the run."""
        first, length = int(self.state.facts["step"]), self.config.optimizer.steps
        self.batches.steps = range(first, first if self.state.is_finished else length)
        loader, should_stop = self._loader(), stop_on_interrupt()
        log = RunLog(Path(self.config.output), first, length, self.data.tree) if self.fabric.is_global_zero else None
        if log is not None:
            write_config(self.config, Path(self.config.output) / "config.yaml")
        began = time.time()
        for step, batch in zip(self.batches.steps, loader, strict=False):
            run = Run(self.fabric, self.model, step, self._set_learning_rate(step))
            loss = self._step(batch, run)
            mean_loss, stop = mean_and_any(self.fabric, loss, should_stop())
            scores = self._validate(batch, run, log) if self._is_validated_after(step) else None
            if log is not None:
                log.step(step, mean_loss, run.learning_rate, time.time() - began, scores, run.measured)
                self._save(step, stop)
            if stop or self.state.is_exhausted:
                break
        if log is not None:
            log.close()

    def _loader(self) -> Iterator[Batch]:
        """Samples are made by worker processes; on a GPU in this one, where the GPU varies them."""
        workers = 0 if self.samples.device.type == "cuda" else self.config.data.workers
        loader = DataLoader(
            self.method.drawn(self.samples, self.data),
            batch_sampler=self.batches,
            num_workers=workers,
            prefetch_factor=2 if workers else None,
            worker_init_fn=leave_signals,
        )
        placed: Any = self.fabric.setup_dataloaders(loader, use_distributed_sampler=False)
        return iter(placed)

    def _set_learning_rate(self, step: int) -> float:
        learning_rate = learning_rate_at(step, self.config.optimizer)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        return learning_rate

    def _step(self, batch: Batch, run: Run) -> torch.Tensor:
        """One step of gradient descent; returns the loss before it."""
        loss = self.method.training_step(batch, run)
        self._refuse_nan("loss", loss, batch, run.step)
        self.fabric.backward(loss)
        norm = clip_gradients(self.fabric, self.model, self.optimizer, self.config.optimizer.clip)
        self._refuse_nan("gradient", norm, batch, run.step)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.state.after_step(run.step)
        self.state.facts["scaler"] = scaler_state(self.fabric)
        return loss

    def _refuse_nan(self, what: str, value: torch.Tensor, batch: Batch, step: int) -> None:
        if bool(torch.isfinite(value)):
            return
        cases, last = [self.samples.case_of(int(n)).name for n in batch["number"]], self.state.path("last")
        kept = f"the last checkpoint, {last}, is intact" if last.exists() else "no checkpoint was written yet"
        raise SystemExit(
            f"The {what} became {float(value.detach())} at step {step} on {', '.join(cases)}; {kept}. "
            "Look at that scan, lower optimizer.learning_rate or, with precision=16-mixed, take bf16-mixed."
        )

    def _is_validated_after(self, step: int) -> bool:
        is_due = (step + 1) % self.config.validate_every == 0 or step + 1 == self.config.optimizer.steps
        return is_due and bool(self.data.validation) and self.method.answers_for_classes

    def _validate(self, batch: Batch, run: Run, log: RunLog | None) -> dict[str, np.ndarray]:
        """Dice of every leaf in every case, with the averaged weights, of which the best are kept."""
        cases = self.data.validation
        with self.state.averaged():
            self.method.finish(self.data.training)
            scores, found = validate(
                self.method.network, cases, self.config.package.patch, self.fabric, self.data.tree.class_slices
            )
        dice = float(np.nanmean(np.stack(list(scores.values()))))
        value = self.method.criterion(dice)
        if value != dice:
            run.measured["criterion"] = value
        is_best = self.state.after_validation(value)
        if log is not None and is_best:
            self.state.save("best")
        if log is not None and found is not None:
            picture = log.pictures_after(run.step)
            picture("scan, truth, found", cases[0].image[0], [cases[0].target.long(), found])
            self.method.on_validation(batch, picture)
        return scores

    def _save(self, step: int, stop: bool) -> None:
        """The checkpoints that are due after a step."""
        done, settings = step + 1, self.config.optimizer
        if done % self.config.save_every == 0 or done == settings.steps or stop or self.state.is_exhausted:
            self.state.save("last")
        if done == settings.steps - settings.decay and settings.schedule == "constant":
            self.state.save("stable")  # other runs may go on from here: longer ones, or with more cases

    def conclude(self) -> None:
        """Say how the run ended and, where it is finished, write its package."""
        state, say = self.state, self.fabric.print
        if not state.is_finished:
            say(f"stopped after step {state.facts['step']}; run the same command again to go on")
            return
        if state.is_exhausted:
            say(
                f"stopped early after step {state.facts['step']}: {state.facts['worse']} validations without a better"
                f" {self.method.criterion_name} than {state.facts['best']:.4f}"
            )
        if self.fabric.is_global_zero:
            state.take_final_weights()
            if self.method.answers_for_classes:
                say(f"model package: {self._write_package()}")
            else:
                say(
                    "no model package: this network needs a labelled scan at every pass; its weights are in"
                    f" {state.path('last')}"
                )

    def _write_package(self) -> Path:
        data = self.data
        self.method.finish(data.training)
        return write_package(
            Path(self.config.output) / "package",
            self.method.network,
            data.tree,
            data.schema,
            self.config,
            data.training + data.meta + self.unlabelled,
            self.state.facts,
        )
