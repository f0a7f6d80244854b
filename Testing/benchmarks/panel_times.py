"""What the user of the panel waits for, on the stand-in for the application: the sample scan and the shipped model.

Goal: 0.2 s a label on the screen.
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
from LabelConditionedSegmentationLib.resources import resources_folder

from Testing import samples
from Training.evaluation.markdown import markdown_table

SHAPE = (160, 200, 165)
"""(k, j, i) of the scan: the middle of the sample scan."""


def run() -> str:
    """Seconds from a click until its effect is drawn."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_DATA_HOME"] = folder  # a log of its own
        return _run(Path(folder))


def _run(folder: Path) -> str:
    from Testing.host.application import Host

    host = Host(folder)
    times: dict[str, list[float]] = {}
    widget, seconds = _timed(host.open_module)
    times["opening the module"] = [seconds]
    panel = widget.panel
    volume = _scan(host)
    widget.enter()
    host.run_until(lambda: not panel.runner.is_waiting, 120)
    panel.memory.acknowledge(panel.package)
    panel.ticks.sides_together = False
    leaves = [leaf for leaf in panel.package.labels.leaves if leaf.laterality != "right"]
    click(panel, leaves[0])
    times["Apply, first run (the network)"] = [_timed(partial(_apply, host, panel))[1]]
    view = _view(host, volume)
    times |= _ticks(panel, view, leaves[1:21])
    times["a picked point, until its structures are listed"] = _picks(host, panel)
    times["Cancel in the middle of the network"] = [_cancel(host, panel)]
    view.close()
    times["search, a key in a tree of 500 structures"] = _search(host, panel)
    host.close()
    rows = [[name, f"{np.median(found):.3f}", f"{max(found):.3f}"] for name, found in times.items()]
    return markdown_table(["what the user does", "median s", "slowest s"], rows)


def _apply(host: Any, panel: Any) -> None:
    panel.ui.applyButton.click()
    host.run_until(lambda: not panel.runner.running, 900)


def _ticks(panel: Any, view: Any, leaves: list[Any]) -> dict[str, list[float]]:
    """Seconds until a slice view shows what was ticked, by what was done; all structures are ticked at the end."""

    def show(label: Any, on: bool = True) -> None:
        click(panel, label, on)
        view.window.Render()

    def show_all() -> None:
        panel.ui.allButton.click()
        view.window.Render()

    def seconds(*more: bool) -> list[float]:
        return [_timed(partial(show, leaf, *more))[1] for leaf in leaves]

    node = panel.segment.live.node
    times = {f"a further tick, until the slice view shows it ({len(leaves)} structures)": seconds()}
    times["an untick"] = seconds(False)
    node.CreateClosedSurfaceRepresentation()
    times["a further tick with surfaces shown in 3D"] = seconds()
    node.GetSegmentation().RemoveRepresentation("Closed surface")
    times["All: the other structures at once"] = [_timed(show_all)[1]]
    return times


def _picks(host: Any, panel: Any) -> list[float]:
    def pick() -> None:
        panel.pick._point_picked((-25.0, -20.0, -12.0))
        host.run_until(lambda: not panel.runner.running, 30)

    return [_timed(pick)[1] for _ in range(10)]


def _cancel(host: Any, panel: Any) -> float:
    """Seconds until a run that is under way has ended."""
    panel.runner.forget()
    panel.ui.applyButton.click()
    host.run_until(lambda: panel.runner.fraction > 0.2, 300)

    def cancel() -> None:
        panel.ui.cancelButton.click()
        host.run_until(lambda: not panel.runner.running, 60)

    return _timed(cancel)[1]


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    began = time.perf_counter()
    result = work()
    return result, time.perf_counter() - began


def click(panel: Any, label: Any, on: bool = True) -> None:
    """Click the box of a label."""
    import qt

    panel.tree.item(label.id).setCheckState(0, qt.Qt.Checked if on else qt.Qt.Unchecked)


def _scan(host: Any) -> Any:
    """The middle of the sample scan as a volume node."""
    import slicer
    import vtk

    whole = slicer.modules.volumes.logic().AddArchetypeVolume(
        str(resources_folder() / "SampleData" / "mni152_t1_brain.nii.gz"), "whole"
    )
    array = slicer.util.arrayFromVolume(whole)
    start = [max(0, (n - m) // 2) for n, m in zip(array.shape, SHAPE, strict=True)]
    matrix = vtk.vtkMatrix4x4()
    whole.GetIJKToRASMatrix(matrix)
    matrix_array = slicer.util.arrayFromVTKMatrix(matrix)
    matrix_array[:3, 3] += matrix_array[:3, :3] @ np.array(start[::-1])
    box = tuple(slice(a, a + n) for a, n in zip(start, SHAPE, strict=True))
    node = slicer.util.addVolumeFromArray(
        np.ascontiguousarray(array[box]), ijkToRAS=slicer.util.vtkMatrixFromArray(matrix_array), name="Scan"
    )
    host.scene.RemoveNode(whole)
    return node


def _view(host: Any, volume: Any) -> Any:
    from Testing.host.views import SliceView

    view = SliceView(host, volume, "Axial", 4.0)
    view.window.Render()
    return view


def _search(host: Any, panel: Any) -> list[float]:
    from LabelConditionedSegmentationLib.panel.label_ticks import LabelTicks

    panel.tree.show(LabelTicks(samples.label_tree(500)))

    def search(text: str) -> None:
        panel.ui.searchBox.text = text
        host.qapplication.processEvents()

    return [
        _timed(partial(search, text))[1]
        for text in ("s", "st", "struct", "structure 1", "structure 12", "left 12", "", "hippo", "5366008", "")
    ]
