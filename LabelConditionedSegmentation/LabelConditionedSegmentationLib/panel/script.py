"""One run from a script, from start to end, with the application alive in between."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import slicer

from ..resources import DEFAULT_MODEL, model_folders
from ..scene.models import installed_models
from ..scene.segmentations import check_target
from ..scene.volumes import check_nodes
from ..scene.words import InputError, LCSError, ModelPackage
from .live_segments import LiveSegments
from .runner import Runner, Task

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
    names = [labels] if isinstance(labels, str) else labels
    wanted = list(package.labels.leaves) if names is None else list(dict.fromkeys(package.labels.find(str(name)) for name in names))
    if not wanted:
        raise InputError("No label was asked for; name at least one.")
    package.metadata.parse(metadata)
    given = {field.name: field.parse((metadata or {}).get(field.name)) for field in package.metadata.fields}
    known = {name: value for name, value in given.items() if value is not None}  # the run itself says which of them the model was not trained on
    nodes = tuple(volumes) if isinstance(volumes, Sequence) else (volumes,)
    check_number(nodes, package)
    errors = [str(finding) for finding in check_nodes(nodes, package) if finding.level == "error"]
    if errors:
        raise InputError(" ".join(errors))
    if segmentation is not None:
        check_target(segmentation, nodes[0])
    task = Task(nodes, package, known, device)
    if not runner.answers(task):
        run_to_end(runner, task, progress)
    answer = runner.answer
    assert answer is not None
    live = LiveSegments()
    live.write(answer, wanted, segmentation)
    return live.node


def check_number(nodes: Sequence[Any], package: ModelPackage) -> None:
    """Raise InputError unless there is one volume for each channel."""
    channels = package.input.channels
    if len(nodes) != len(channels):
        volumes, were = ("volume" if len(channels) == 1 else "volumes"), ("was" if len(nodes) == 1 else "were")
        raise InputError(f'The model "{package.name}" takes {len(channels)} {volumes}, {" and ".join(channels)}; {len(nodes)} {were} given.')


def run_to_end(runner: Runner, task: Task, progress: Callable[[float, str], None] | None) -> None:
    """Run the network and wait, while the application stays alive. Raises LCSError where the run fails."""
    while runner.is_waiting and not runner.running:  # what the panel has asked in the background is answered to the panel
        slicer.app.processEvents()
        time.sleep(POLL_SECONDS)
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
