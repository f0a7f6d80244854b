"""One run from a script, from start to end, with the application alive in between."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import slicer

from ..resources import model_folders
from ..scene.models import installed_models
from ..scene.volumes import check_nodes
from ..scene.words import InputError, LCSError, ModelPackage
from .live_segments import LiveSegments
from .runner import Runner, Task

DEFAULT_MODEL = "brain"
POLL_SECONDS = 0.02


def process(
    runner: Runner,
    volumes: Any,
    segmentation: Any,
    labels: Sequence[str] | None,
    metadata: Mapping[str, Any] | None,
    model: str | Path | None,
    device: str,
    progress: Callable[[float, str], None] | None,
) -> Any:
    """See LabelConditionedSegmentationLogic.process."""
    package = find_model(model)
    wanted = list(package.labels.leaves) if labels is None else list(dict.fromkeys(package.labels.find(str(name)) for name in labels))
    if not wanted:
        raise InputError("No label was asked for; name at least one.")
    parsed = {name: value for name, value in package.metadata.parse(metadata)[0].items() if value is not None}
    nodes = tuple(volumes) if isinstance(volumes, Sequence) else (volumes,)
    errors = [str(finding) for finding in check_nodes(nodes, package) if finding.level == "error"]
    if errors:
        raise InputError(" ".join(errors))
    task = Task(nodes, package, parsed, device)
    if not runner.answers(task):
        run_to_end(runner, task, progress)
    answer = runner.answer
    assert answer is not None
    live = LiveSegments()
    live.write(answer, wanted, segmentation)
    return live.node


def run_to_end(runner: Runner, task: Task, progress: Callable[[float, str], None] | None) -> None:
    """Run the network and wait, while the application stays alive. Raises LCSError where the run fails."""
    runner.start(task)
    while runner.running:
        for outcome in runner.poll():
            if outcome.kind == "run" and not outcome.ok:
                raise LCSError(outcome.text)
        if progress is not None:
            progress(runner.fraction, runner.text)
        slicer.app.processEvents()
        time.sleep(POLL_SECONDS)


def find_model(model: str | Path | None) -> ModelPackage:
    """A package by name or path; the shipped one for None. Raises InputError, or the error of a broken package."""
    packages, _findings = installed_models(model_folders())
    if model is None:
        model = DEFAULT_MODEL if DEFAULT_MODEL in packages else next(iter(packages), DEFAULT_MODEL)
    if str(model) in packages:
        return packages[str(model)]
    if Path(model).exists():
        return ModelPackage.load(Path(model))
    raise InputError(f'There is no model "{model}". Installed: {", ".join(packages) or "none"}.')
