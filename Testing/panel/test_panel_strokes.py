"""Strokes as the user of the panel sees them: painted with the application's brush, spread, accepted, undone, and what
goes wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer
import slicer.util
from LabelConditionedSegmentationLib.core.progress import CancelToken
from LabelConditionedSegmentationLib.core.scan.geometry import Grid
from LabelConditionedSegmentationLib.core.scan.volume import Volume
from LabelConditionedSegmentationLib.core.strokes import propagation
from LabelConditionedSegmentationLib.core.strokes.painted_strokes import Strokes
from LabelConditionedSegmentationLib.worker.in_process import InProcessWorker
from LabelConditionedSegmentationLib.worker.protocol import Event
from LabelConditionedSegmentationLib.worker.request import Request

from Testing.host.application import Host
from Testing.host.qt import unwrap
from Testing.panel.test_panel_faults import HeldWorker, assert_readable, contents, with_process
from Testing.panel.test_panel_output import read_scene, write_scene
from Testing.panel.user import PLACE, User, masks, segment_names
from Testing.scene import made_nodes as nodes
from Testing.worker.helpers import children

SHAPE = (20, 24, 22)
BALL = ((10, 12, 11), 5)


def ball() -> Any:
    """Where the structure lies (k, j, i)."""
    (k, j, i), radius = BALL
    away = np.indices(SHAPE) - np.array([k, j, i])[:, None, None, None]
    mask: Any = (away**2).sum(0) <= radius**2
    return mask


def voxels() -> Any:
    """A scan of a bright ball."""
    noise = np.random.default_rng(0).normal(0, 10, SHAPE)
    return (np.where(ball(), 800, 300) + noise).astype(np.int16)


def line(k: int, j: int, start: int, stop: int) -> Any:
    mask = np.zeros(SHAPE, dtype=bool)
    mask[k, j, start:stop] = True
    return mask


INSIDE, AROUND = line(10, 12, 8, 14), line(10, 2, 1, 20) | line(10, 21, 1, 20)


@pytest.fixture
def user(host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[User]:
    """A user without any model, who has opened the section."""
    (tmp_path / "none").mkdir()
    monkeypatch.setenv("LCS_MODELS", str(tmp_path / "none"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    made = User(host)
    made.ui.strokesSection.collapsed = False
    yield made
    made.panel.runner.close()
    assert children() == []


def begin(user: User) -> Any:
    """Choose a scan and press New; the scan."""
    scan = nodes.volume(user.host.scene, PLACE, voxels())
    user.ui.strokesScanSelector.setCurrentNode(scan)
    user.press("newStrokesButton")
    return scan


def strokes_of(user: User) -> Any:
    return user.panel.strokes.form.strokes


def draw(user: User, segment: str, mask: Any, erase: bool = False) -> None:
    """Choose a segment, and draw the brush over voxels."""
    editor = unwrap(user.ui.strokesEditor)
    editor.setCurrentSegmentID(strokes_of(user).GetSegmentation().GetSegmentIdBySegmentName(segment))
    editor.stroke(mask, erase)


def paint(user: User, segment: str, mask: Any, erase: bool = False) -> None:
    """Draw, and wait until it is shown what the strokes become."""
    draw(user, segment, mask, erase)
    settle(user)


def settle(user: User) -> None:
    """Until the last stroke has become what it becomes."""
    user.host.run_until(lambda: not user.panel.strokes.is_busy, 60)


def painted(user: User) -> Any:
    """A scan with strokes that have become a structure."""
    scan = begin(user)
    draw(user, "Structure", INSIDE)
    paint(user, "Background", AROUND)
    assert list(preview(user, scan)) == ["Structure"], user.said
    return scan


def hint(user: User) -> str:
    return str(user.ui.strokesHintLabel.text)


def preview(user: User, scan: Any) -> dict[str, Any]:
    node = user.panel.strokes.preview.node
    return {} if node is None else masks(node, scan)


def expected(*strokes: tuple[str, Any]) -> Any:
    """(k, j, i): which of the strokes core gives every voxel to."""
    seeds = np.zeros(SHAPE, dtype=np.uint16)
    for n, (_, mask) in enumerate(strokes, start=1):
        seeds[mask] = n
    scan = Volume(voxels()[None], PLACE)
    names = tuple(name for name, _ in strokes)
    return propagation.propagate(Strokes(Grid.of(scan), seeds, names), scan).label_map


def test_strokes_become_a_structure_without_a_model_and_are_accepted(user: User) -> None:
    assert "Choose the scan" in hint(user)
    scan = begin(user)
    assert "Paint a stroke" in hint(user)
    paint(user, "Structure", INSIDE)
    assert "Background" in hint(user)
    assert preview(user, scan) == {}
    assert not user.ui.acceptStrokesButton.enabled
    paint(user, "Background", AROUND)
    shown = preview(user, scan)
    np.testing.assert_array_equal(shown["Structure"], expected(("Structure", INSIDE), ("Background", AROUND)) == 1)
    assert (shown["Structure"] & ball()).sum() > 0.95 * ball().sum()
    assert "intensities" in hint(user)
    user.press("acceptStrokesButton")
    output = user.ui.outputSelector.currentNode()
    assert segment_names(output) == ["Structure"]
    np.testing.assert_array_equal(masks(output, scan)["Structure"], shown["Structure"])
    assert preview(user, scan) == {}
    assert user.said == f'Written into "{output.GetName()}": Structure.'
    assert_readable(user.said)
    user.press("undoStrokesButton")
    assert slicer.util.getNodesByClass("vtkMRMLSegmentationNode") == [strokes_of(user)]
    assert "taken back" in user.said
    assert not user.ui.undoStrokesButton.enabled


def test_accept_into_a_segmentation_is_one_step_that_keeps_the_rest_of_it(user: User) -> None:
    scan = painted(user)
    output = user.host.scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Mine")
    output.SetReferenceImageGeometryParameterFromVolumeNode(scan)
    output.GetSegmentation().AddEmptySegment("other", "Other")
    slicer.util.updateSegmentBinaryLabelmapFromArray(line(3, 3, 2, 9).astype(np.uint8), output, "other", scan)
    user.ui.outputSelector.setCurrentNode(output)
    before = masks(output, scan)
    user.press("acceptStrokesButton")
    first = masks(output, scan)
    assert list(first) == ["Other", "Structure"]
    np.testing.assert_array_equal(first["Other"], before["Other"])
    paint(user, "Background", line(10, 15, 8, 14))
    user.press("acceptStrokesButton")
    second = masks(output, scan)
    assert list(second) == ["Other", "Structure"]  # the same structure is replaced
    assert second["Structure"].sum() < first["Structure"].sum()
    user.press("undoStrokesButton")
    np.testing.assert_array_equal(masks(output, scan)["Structure"], first["Structure"])


def test_a_stroke_can_be_undone_and_erased_and_the_preview_follows(user: User) -> None:
    scan = painted(user)
    before = preview(user, scan)["Structure"]
    paint(user, "Background", line(10, 15, 8, 14))
    assert preview(user, scan)["Structure"].sum() < before.sum()
    unwrap(user.ui.strokesEditor).undo()
    settle(user)
    np.testing.assert_array_equal(preview(user, scan)["Structure"], before)
    paint(user, "Background", AROUND, erase=True)
    assert preview(user, scan) == {}
    assert "Background" in hint(user)


class CountingWorker(HeldWorker):
    """Remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[Request] = []

    def send(self, request: Request) -> int:
        self.sent.append(request)
        return super().send(request)


def test_strokes_painted_meanwhile_make_one_further_request_and_the_earlier_answer_is_left_aside(
    user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = begin(user)
    user.panel.runner.worker = worker = CountingWorker()
    draw(user, "Structure", INSIDE)
    draw(user, "Background", AROUND)
    user.host.run_until(lambda: user.panel.runner.fraction > 0)
    shown: list[Any] = []
    show = user.panel.strokes.preview.show

    def noted(*what: Any) -> None:
        shown.append(what)
        show(*what)

    monkeypatch.setattr(user.panel.strokes.preview, "show", noted)
    more = line(10, 15, 8, 14)
    draw(user, "Background", more)
    user.host.run_until(lambda: not user.panel.strokes.watch.is_unsettled)
    draw(user, "Structure", line(11, 12, 8, 14))
    worker.is_held = False
    settle(user)
    assert len(worker.sent) == 2
    assert len(shown) == 1
    inside = INSIDE | line(11, 12, 8, 14)
    wanted = expected(("Structure", inside), ("Background", AROUND | more)) == 1
    np.testing.assert_array_equal(preview(user, scan)["Structure"], wanted)


def test_discard_removes_the_preview_and_what_was_painted_stays(user: User) -> None:
    scan = painted(user)
    user.ui.certaintyBox.checked = True
    ids = contents()[0]
    user.press("discardStrokesButton")
    assert preview(user, scan) == {}
    assert len(contents()[0]) < len(ids)
    assert user.ui.outputSelector.currentNode() is None
    assert not user.ui.acceptStrokesButton.enabled
    assert_readable(user.said)
    paint(user, "Structure", line(11, 12, 8, 14))
    assert list(preview(user, scan)) == ["Structure"]


def test_certainty_lies_over_the_slices_while_it_is_wanted(user: User) -> None:
    composite = user.host.scene.AddNewNodeByClass("vtkMRMLSliceCompositeNode")
    scan = painted(user)
    composite.SetForegroundVolumeID(scan.GetID())
    composite.SetForegroundOpacity(0.2)
    user.ui.certaintyBox.checked = True
    overlay = user.host.scene.GetNodeByID(composite.GetForegroundVolumeID())
    assert overlay is not scan
    certainty = slicer.util.arrayFromVolume(overlay)
    result = user.panel.strokes._result
    cut = tuple(slice(a, a + n) for a, n in zip(result.start, certainty.shape, strict=True))
    assert certainty[INSIDE[cut]].min() == 100
    assert 0 < certainty.min() < 100
    place = slicer.util.arrayFromVTKMatrix(matrix_of(overlay))
    np.testing.assert_allclose(place[:, 3], PLACE @ [*result.start[::-1], 1])
    user.ui.certaintyBox.checked = False
    assert (composite.GetForegroundVolumeID(), composite.GetForegroundOpacity()) == (scan.GetID(), 0.2)
    assert not slicer.mrmlScene.IsNodePresent(overlay)


def matrix_of(node: Any) -> Any:
    import vtk

    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return matrix


def test_several_structures_keep_their_names_and_colours(user: User) -> None:
    scan = painted(user)
    segments = strokes_of(user).GetSegmentation()
    segments.AddEmptySegment("rim", "Rim", (0.1, 0.2, 0.3))
    settle(user)
    paint(user, "Rim", line(4, 12, 4, 18))
    segments.GetSegment("rim").SetName("Edge")
    settle(user)
    node = user.panel.strokes.preview.node
    assert segment_names(node) == ["Structure", "Edge"]
    assert node.GetSegmentation().GetNthSegment(1).GetColor() == (0.1, 0.2, 0.3)
    wanted = expected(("Structure", INSIDE), ("Background", AROUND), ("Edge", line(4, 12, 4, 18)))
    np.testing.assert_array_equal(preview(user, scan)["Edge"], wanted == 3)


# What goes wrong


def other_grid(user: User, scan: Any) -> None:
    scan.SetSpacing(1, 1, 1.5)


def other_transform(user: User, scan: Any) -> None:
    scan.SetAndObserveTransformNodeID(nodes.transform(user.host.scene, nodes.moved()).GetID())


def outside(user: User, scan: Any) -> None:
    scan.SetOrigin(400, 14, 26)


def not_finite(user: User, scan: Any) -> None:
    array = np.full(SHAPE, np.nan, dtype=np.float32)
    slicer.util.updateVolumeFromArray(scan, array)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (other_grid, "another grid"),
        (other_transform, "another transform"),
        (outside, "outside of the scan"),
        (not_finite, "NaN"),
    ],
)
def test_strokes_that_do_not_fit_the_scan_are_refused_with_a_sentence(
    user: User, change: Callable[[User, Any], None], text: str
) -> None:
    scan = painted(user)
    change(user, scan)
    user.panel.refresh()
    settle(user)
    said = user.said if text == "NaN" else hint(user)
    assert text in said
    assert_readable(said)
    assert user.panel.strokes.preview.node is None
    assert not user.ui.acceptStrokesButton.enabled


def test_a_box_larger_than_the_memory_is_refused_and_smaller_strokes_work(
    user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = begin(user)
    monkeypatch.setattr(propagation, "free_memory", lambda _device: 1000)
    draw(user, "Structure", INSIDE)
    paint(user, "Background", AROUND)
    assert "larger than the memory" in user.said
    assert_readable(user.said)
    monkeypatch.undo()
    paint(user, "Structure", line(11, 12, 8, 14))
    assert list(preview(user, scan)) == ["Structure"]


class CancellingWorker(InProcessWorker):
    """Cancels what it does as soon as the solver has made a step."""

    is_on = True

    def poll(self) -> list[Event]:
        events: list[Event] = []
        if self._pending:
            call, _ = self._pending.pop(next(iter(self._pending)))
            token = CancelToken()

            def emit(event: Event) -> None:
                events.append(event)
                if self.is_on and event.text == "random walks" and event.fraction > 0.11:
                    token.cancel()

            self._server.serve(call, emit, token)
        return events


def test_cancel_inside_the_solver_changes_nothing_and_the_next_stroke_works(user: User) -> None:
    scan = begin(user)
    user.panel.runner.worker = worker = CancellingWorker()
    draw(user, "Structure", INSIDE)
    paint(user, "Background", AROUND)
    assert user.said == "Cancelled; nothing was changed."
    assert preview(user, scan) == {}
    worker.is_on = False
    paint(user, "Structure", line(11, 12, 8, 14))
    assert list(preview(user, scan)) == ["Structure"]


def test_a_scan_that_goes_while_strokes_spread_leaves_nothing_behind(user: User) -> None:
    scan = begin(user)
    user.panel.runner.worker = worker = HeldWorker()
    draw(user, "Structure", INSIDE)
    draw(user, "Background", AROUND)
    user.host.run_until(lambda: user.panel.runner.fraction > 0)
    user.host.scene.RemoveNode(scan)
    before = contents()
    worker.is_held = False
    settle(user)
    assert contents() == before
    assert "gone" in user.said
    assert_readable(user.said)
    assert "Choose the scan" in hint(user)


def test_a_scan_that_changes_while_strokes_spread_is_told_and_makes_another_result(user: User) -> None:
    scan = begin(user)
    user.panel.runner.worker = worker = HeldWorker()
    draw(user, "Structure", INSIDE)
    draw(user, "Background", AROUND)
    user.host.run_until(lambda: user.panel.runner.fraction > 0)
    slicer.util.arrayFromVolumeModified(scan)
    worker.is_held = False
    user.host.run_until(lambda: not user.panel.runner.running)
    assert "left aside" in user.said
    assert_readable(user.said)
    settle(user)
    assert list(preview(user, scan)) == ["Structure"]


def test_a_scan_that_changes_while_a_preview_is_shown_makes_another_one(user: User) -> None:
    scan = painted(user)
    before = preview(user, scan)["Structure"]
    slicer.util.arrayFromVolume(scan)[:] = slicer.util.arrayFromVolume(scan)[:, ::-1].copy() // 3
    slicer.util.arrayFromVolumeModified(scan)
    user.panel.refresh()
    settle(user)
    assert (preview(user, scan)["Structure"] != before).any()


def test_strokes_that_go_take_the_preview_with_them(user: User) -> None:
    painted(user)
    user.host.scene.RemoveNode(strokes_of(user))
    settle(user)
    assert user.panel.strokes.preview.node is None
    assert "Press New" in hint(user)
    assert "gone" in user.said


def test_the_output_is_no_place_to_paint_in(user: User) -> None:
    painted(user)
    user.ui.outputSelector.setCurrentNode(strokes_of(user))
    user.panel.strokes.watch.changed()
    settle(user)
    assert "is the output" in hint(user)
    assert_readable(hint(user))
    assert user.panel.strokes.preview.node is None


def test_the_scene_closes_and_the_section_is_as_new(user: User) -> None:
    painted(user)
    user.ui.certaintyBox.checked = True
    user.host.scene.Clear(0)
    assert slicer.util.getNodesByClass("vtkMRMLSegmentationNode") == []
    assert not user.ui.acceptStrokesButton.enabled
    painted(user)


def test_the_brush_is_put_away_when_the_user_leaves(user: User) -> None:
    begin(user)
    editor = unwrap(user.ui.strokesEditor)
    assert editor._observes_views
    assert editor.effectNameOrder() == ["Paint", "Erase"]
    user.widget.exit()
    assert not editor._observes_views
    user.widget.enter()
    assert editor._observes_views
    user.ui.strokesSection.collapsed = True
    assert not editor._observes_views


def test_a_saved_scene_brings_the_strokes_back_without_the_preview(user: User, tmp_path: Path) -> None:
    painted(user)
    user.ui.certaintyBox.checked = True
    write_scene(user.host.scene, tmp_path / "scene.mrb")
    user.host.scene.Clear(0)
    read_scene(user.host.scene, tmp_path / "scene.mrb")
    settle(user)
    (scan,) = (node for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode") if not node.GetHideFromEditors())
    assert segment_names(strokes_of(user)) == ["Structure", "Background"]
    assert list(preview(user, scan)) == ["Structure"]  # made anew
    assert len(slicer.util.getNodesByClass("vtkMRMLSegmentationNode")) == 2


@pytest.mark.slow
def test_strokes_spread_in_a_process_of_their_own(user: User, tmp_path: Path) -> None:
    with_process(user, tmp_path)
    scan = painted(user)
    wanted = expected(("Structure", INSIDE), ("Background", AROUND)) == 1
    np.testing.assert_array_equal(preview(user, scan)["Structure"], wanted)
    children()[0].kill()
    paint(user, "Structure", line(11, 12, 8, 14))
    assert list(preview(user, scan)) == ["Structure"]
