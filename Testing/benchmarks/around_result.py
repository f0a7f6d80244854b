"""What the user of the panel waits for around a result, with a model of 500 labels: opening the module, the structure
under the mouse, going to a structure. `python -m Testing.benchmarks.around_result` prints the table.

Goals: 0.4 s until the module is open, 20 ms a move of the mouse, 50 ms until the slices are at a structure. Measured is
the time that this process computes: it waits for nothing, and others that share the machine do not count.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from LabelConditionedSegmentationLib.core.inference.winners import Winners
from LabelConditionedSegmentationLib.core.package.model_package import ModelPackage

from Testing import samples
from Training.evaluation.markdown import markdown_table

LABELS = 500
SHAPE = (256, 256, 256)
"""(k, j, i) of the scan."""

MOVES, JUMPS, OPENINGS = 1000, 100, 5


def run() -> str:
    """Seconds of computing from what the user does until the panel has dealt with it."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_DATA_HOME"] = folder  # a log of its own
        os.environ["LCS_MODELS"] = str(Path(folder) / "models")
        package = samples.package(Path(folder) / "models", tree=samples.label_tree(LABELS))
        return _run(Path(folder), package)


def _run(folder: Path, package: ModelPackage) -> str:
    rows: list[list[str]] = []

    def note(name: str, *times: float) -> None:
        rows.append([name, f"{np.median(times):.4f}", f"{max(times):.4f}"])

    openings = [_opening(folder / f"opening_{n}") for n in range(OPENINGS)]
    note(f"opening the module, {LABELS} labels, the first time (with imports)", openings[0])
    note(f"opening the module, {LABELS} labels, again", *openings[1:])

    from Testing.host.application import Host

    place = folder / "host"
    place.mkdir()
    host = Host(place)
    crosshair = host.scene.AddNewNodeByClass("vtkMRMLCrosshairNode")
    for orientation in ("Axial", "Sagittal", "Coronal"):
        host.scene.AddNewNodeByClass("vtkMRMLSliceNode").SetOrientation(orientation)
    panel = host.open_module().panel
    answer = _answered(host, panel, package)
    points = np.random.default_rng(0).uniform(-20, max(SHAPE) + 20, (MOVES, 3))
    note(
        f"a move of the mouse, {MOVES} of them",
        *(_timed(partial(crosshair.SetCursorPositionRAS, [float(n) for n in point])) for point in points),
    )

    def jump(label_id: int) -> None:
        panel.result.look_at(label_id)
        host.qapplication.processEvents()

    tree = answer.task.package.labels
    leaves = tree.leaves[:JUMPS]
    note(f"a click on a structure, {JUMPS} of them", *(_timed(partial(jump, leaf.id)) for leaf in leaves))
    groups = [label for label in tree.labels if label.id in tree.children]
    note("a click on a group of structures", *(_timed(partial(jump, group.id)) for group in groups[:20]))
    host.close()
    return markdown_table(["what the user does", "median s", "slowest s"], rows)


def _opening(folder: Path) -> float:
    """Seconds until the module of a fresh application is open."""
    from Testing.host.application import Host

    folder.mkdir()
    host = Host(folder)
    seconds = _timed(host.open_module)
    host.close()
    return seconds


def _answered(host: Any, panel: Any, package: ModelPackage) -> Any:
    """The state after a run: every voxel of a large scan belongs to one of the labels, half of which are shown."""
    import slicer

    from Testing.scene import made_nodes

    array = np.random.default_rng(0).integers(0, 2000, SHAPE, dtype=np.int16)
    volume = made_nodes.volume(host.scene, np.eye(4), array, name="Scan")
    panel.choose_volume(volume)
    runner_module = __import__(
        "LabelConditionedSegmentationLib.panel.runner", fromlist=["Answer"]
    )  # as the module that was opened has it
    classes = np.arange(array.size, dtype=np.int64).reshape(SHAPE) * (LABELS + 1) // array.size
    winners = Winners(panel.package.labels, classes.astype(np.uint16), (0, 0, 0), SHAPE)
    task = panel.task()
    report = {"fallbacks": [], "timings_s": {"network": 1.0}, "device": "cpu", "findings": []}
    panel.runner.answer = runner_module.Answer(task, task.key, 1, winners, report, True)
    panel.ticks.choose([leaf.name for leaf in list(panel.package.labels.leaves)[: LABELS // 2]])
    panel.segment.apply(False)
    host.run_until(lambda: not panel.runner.running, 60)
    assert panel.segment.live.node is not None, slicer.mrmlScene
    return panel.runner.answer


def _timed(work: Callable[[], Any]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


if __name__ == "__main__":
    print(run())
