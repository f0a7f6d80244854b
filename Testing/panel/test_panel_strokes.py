"""Strokes as the user of the panel sees them: painted with the application's brush, spread, accepted, undone, and what
goes wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer
import slicer.util
from LabelConditionedSegmentationLib.core.scan.geometry import Grid
from LabelConditionedSegmentationLib.core.scan.volume import Volume
from LabelConditionedSegmentationLib.core.strokes.painted_strokes import Strokes
from LabelConditionedSegmentationLib.core.strokes.propagation import propagate

from Testing.host.application import Host
from Testing.host.qt import unwrap
from Testing.panel.test_panel_faults import assert_readable, contents
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
    """A user without any model, with a scan, who has opened the section."""
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


def paint(user: User, segment: str, mask: Any, erase: bool = False) -> None:
    """Choose a segment, draw the brush over voxels, and wait until all has settled."""
    node = user.panel.strokes.form.strokes
    editor = unwrap(user.ui.strokesEditor)
    editor.setCurrentSegmentID(node.GetSegmentation().GetSegmentIdBySegmentName(segment))
    editor.stroke(mask, erase)
    settle(user)


def settle(user: User) -> None:
    """Until the last stroke has become what it becomes."""
    tool = user.panel.strokes
    user.host.run_until(lambda: not tool.is_busy, 60)


def hint(user: User) -> str:
    return str(user.ui.strokesHintLabel.text)


def preview(user: User, scan: Any) -> dict[str, Any]:
    node = user.panel.strokes.preview.node
    return {} if node is None else masks(node, scan)


def expected(*painted: tuple[str, Any]) -> Any:
    """(k, j, i): which of the strokes core gives every voxel to."""
    seeds = np.zeros(SHAPE, dtype=np.uint16)
    for n, (_, mask) in enumerate(painted, start=1):
        seeds[mask] = n
    scan = Volume(voxels()[None], PLACE)
    return propagate(Strokes(Grid.of(scan), seeds, tuple(name for name, _ in painted)), scan).label_map


def test_strokes_become_a_structure_without_a_model_and_are_accepted(user: User) -> None:
    scan = begin(user)
    assert "Paint a stroke" in hint(user)
    paint(user, "Structure", INSIDE)
    assert "Background" in hint(user)
    assert preview(user, scan) == {}
    paint(user, "Background", AROUND)
    shown = preview(user, scan)
    assert list(shown) == ["Structure"], user.said
    np.testing.assert_array_equal(shown["Structure"], expected(("Structure", INSIDE), ("Background", AROUND)) == 1)
    assert (shown["Structure"] & ball()).sum() > 0.95 * ball().sum()
    user.press("acceptStrokesButton")
    output = user.ui.outputSelector.currentNode()
    assert segment_names(output) == ["Structure"]
    np.testing.assert_array_equal(masks(output, scan)["Structure"], shown["Structure"])
    assert preview(user, scan) == {}
    assert user.said == f'Written into "{output.GetName()}": Structure.'
    assert_readable(user.said)
    before = contents()
    user.press("undoStrokesButton")
    assert not slicer.mrmlScene.IsNodePresent(output)
    assert contents() != before
