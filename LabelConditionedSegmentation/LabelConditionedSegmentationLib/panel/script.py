"""One run from a script, from start to end, with the application alive in between."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import slicer

from ..core.errors import InputError, LCSError
from ..core.labels.label_tree import Label
from ..core.package.model_package import ModelPackage
from ..core.scan.stripped import Stripped
from ..resources import DEFAULT_MODEL, model_folders
from ..scene.example_labels import load_label
from ..scene.installed_models import installed_models
from ..scene.segmentations import check_target
from ..scene.volumes import check_nodes, declare_scan
from .live_segments import LiveSegments
from .my_labels import MyLabels
from .runner import CHANGED, Answer, Runner, Task

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
    examples: Sequence[str | Path],
    not_a_label_map: bool = False,
    stripped: str = Stripped.AUTO,
    force: bool = False,
) -> Any:
    """See LabelConditionedSegmentationLogic.process."""
    package = find_model(model)
    of_model = labels_of_model(labels, package)
    mine = labels_by_example([examples] if isinstance(examples, str | Path) else examples, package)
    branch = mine.branch(package)
    wanted = [*of_model, *(branch.leaves if branch else ())]
    if not wanted:
        raise InputError("No label was asked for; name at least one.")
    known = known_metadata(metadata, package)
    nodes = tuple(volumes) if isinstance(volumes, Sequence) else (volumes,)
    check_volumes(nodes, package, not_a_label_map)
    if segmentation is not None:
        check_target(segmentation, nodes[0])
    answer = answer_of(Task(nodes, package, known, device, Stripped.of(stripped)), mine, runner, progress)
    if answer.refusal and not force:
        raise InputError(f"{' '.join(answer.refusal)} Nothing was written; force=True writes it nevertheless.")
    live = LiveSegments()
    live.write(answer, wanted, segmentation)
    return live.node


def answer_of(
    task: Task, mine: MyLabels, runner: Runner, progress: Callable[[float, str], None] | None = None
) -> Answer:
    """The answer to a task, with who wins among labels by example, from a run unless it is there already. Raises
    LCSError.
    """
    branch = mine.branch(task.package)
    if not runner.answers(task):
        run_to_end(runner, lambda: runner.start(task), progress)
    if branch is not None and runner.lacks_examples(branch):
        prompts = mine.of(task.package)  # the network, and its progress, is done
        run_to_end(runner, lambda: runner.rank_examples(branch, prompts), None)
    if runner.answer is None or not runner.answers(task):
        raise InputError(CHANGED)
    return runner.answer


def labels_of_model(labels: Sequence[str] | None, package: ModelPackage) -> list[Label]:
    """The labels of a model by their names, each once; all leaves for None. Raises LabelError."""
    if labels is None:
        return list(package.labels.leaves)
    names = [labels] if isinstance(labels, str) else labels
    return list(dict.fromkeys(package.labels.find(str(name)) for name in names))


def known_metadata(metadata: Mapping[str, Any] | None, package: ModelPackage) -> dict[str, str | float]:
    """What is known of the fields of a model; the run itself says which of them the model was not trained on.

    Raises MetadataError.
    """
    package.metadata.parse(metadata)
    given = {field.name: field.parse((metadata or {}).get(field.name)) for field in package.metadata.fields}
    return {name: value for name, value in given.items() if value is not None}


def check_volumes(nodes: Sequence[Any], package: ModelPackage, not_a_label_map: bool) -> None:
    """Raise InputError where a model cannot segment these volumes; not_a_label_map: they are scans, whatever they look
    like.
    """
    check_number(nodes, package)
    if not_a_label_map:
        for node in nodes:
            if node is not None:
                declare_scan(node)
    errors = [str(finding) for finding in check_nodes(nodes, package) if finding.level == "error"]
    if errors:
        raise InputError(" ".join(errors))


def labels_by_example(paths: Sequence[str | Path], package: ModelPackage) -> MyLabels:
    """The labels of a model from their files.

    Raises InputError or LabelError where one cannot be used, or a name is taken.
    """
    mine = MyLabels()
    for path in paths:
        mine.add(load_label(Path(path), package), package)
    return mine


def check_number(nodes: Sequence[Any], package: ModelPackage) -> None:
    """Raise InputError unless there is one volume for each channel."""
    channels = package.input.channels
    if len(nodes) != len(channels):
        volumes, were = ("volume" if len(channels) == 1 else "volumes"), ("was" if len(nodes) == 1 else "were")
        raise InputError(
            f'The model "{package.name}" takes {len(channels)} {volumes}, {" and ".join(channels)}; {len(nodes)} {were}'
            " given."
        )


def run_to_end(runner: Runner, send: Callable[[], int], progress: Callable[[float, str], None] | None) -> None:
    """Send a request and wait, while the application stays alive. Raises LCSError where it fails."""
    while (
        runner.is_waiting and not runner.running
    ):  # what the panel has sent in the background is answered to the panel
        slicer.app.processEvents()
        time.sleep(POLL_SECONDS)
    number = send()
    while runner.running:
        for outcome in runner.poll():
            if outcome.number == number and not outcome.ok:
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
