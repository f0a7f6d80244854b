"""Where a structure lies, and what lies at a point, looked up in made-up winner maps."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from LabelConditionedSegmentationLib.core.inference.winners import Winners
from LabelConditionedSegmentationLib.panel import answer_places
from LabelConditionedSegmentationLib.panel.answer_places import AnswerPlaces
from LabelConditionedSegmentationLib.panel.runner import Answer

from Testing import samples
from Testing.host.application import Host
from Testing.scene import made_nodes

TREE = samples.label_tree()
LEAF = TREE.leaves[0]
AFFINE = np.array([[0, 0, 2.0, 5], [-1, 0, 0, 7], [0, 1.5, 0, -3], [0, 0, 0, 1]])
"""IJK to RAS with exchanged axes."""

START = (3, 2, 1)


def places(host: Host, classes: Any) -> AnswerPlaces:
    """An answer whose region begins at START."""
    shape = tuple(n + 5 for n in classes.shape)
    node = made_nodes.volume(host.scene, AFFINE, np.zeros(shape, np.int16))
    winners = Winners(TREE, classes, START, shape)
    task: Any = SimpleNamespace(nodes=(node,))
    return AnswerPlaces(Answer(task, (), 1, (winners,), {}, True))


def ras(k: int, j: int, i: int) -> tuple[float, float, float]:
    """World position of a voxel of the region."""
    x, y, z, _ = AFFINE @ [i + START[2], j + START[1], k + START[0], 1]
    return float(x), float(y), float(z)


def test_the_label_at_a_point_is_that_of_the_nearest_voxel(host: Host) -> None:
    classes = np.zeros((6, 7, 8), np.uint8)
    classes[2, 3, 4] = 1
    found = places(host, classes)
    x, y, z = ras(2, 3, 4)
    assert found.labels_at((x + 0.9, y + 0.4, z - 0.7)) == [LEAF]
    assert found.labels_at(ras(2, 3, 5)) == []
    assert found.labels_at(ras(6, 3, 4)) == []  # outside of the region
    assert found.labels_at(ras(-1, -1, -1)) == []


@pytest.mark.parametrize("most", [500_000, 20])
def test_the_middle_lies_in_the_structure_near_its_centre(
    host: Host, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(answer_places, "MOST_VOXELS", most)
    classes = np.zeros((9, 9, 9), np.uint8)
    classes[1:8, 1:8, 1:8] = 1
    found = places(host, classes)
    middle = found.middle(LEAF)
    assert middle is not None
    assert found.labels_at(middle) == [LEAF]
    assert np.abs(np.subtract(middle, ras(4, 4, 4))).max() <= (0.01 if most > 20 else 3)


def test_the_middle_of_a_ring_lies_on_the_ring(host: Host) -> None:
    classes = np.zeros((9, 9, 9), np.uint8)
    classes[4, 1:8, 1:8] = 1
    classes[4, 2:7, 2:7] = 0
    found = places(host, classes)
    middle = found.middle(LEAF)
    assert middle is not None
    assert found.labels_at(middle) == [LEAF]


def test_a_thin_structure_in_a_large_box_is_found(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer_places, "MOST_VOXELS", 1)
    classes = np.zeros((9, 9, 9), np.uint8)
    classes[1, 1, 2] = classes[7, 7, 7] = classes[2, 1, 1] = 1
    found = places(host, classes)
    middle = found.middle(LEAF)
    assert middle is not None
    assert found.labels_at(middle) == [LEAF]


def test_a_structure_without_a_voxel_has_no_middle(host: Host) -> None:
    assert places(host, np.zeros((4, 4, 4), np.uint8)).middle(LEAF) is None


def test_every_protocol_has_its_own_label_at_a_point(host: Host) -> None:
    node = made_nodes.volume(host.scene, AFFINE, np.zeros((8, 8, 8), np.int16))
    parts = samples.two_protocols().parts.values()
    maps = tuple(Winners(part, np.full((3, 3, 3), n, np.uint8), START, (8, 8, 8)) for n, part in enumerate(parts, 1))
    task: Any = SimpleNamespace(nodes=(node,))
    found = AnswerPlaces(Answer(task, (), 1, maps, {}, True))
    assert found.labels_at(ras(1, 1, 1)) == [part.leaves[n] for n, part in enumerate(parts)]
    assert found.middle(maps[1].labels.leaves[1]) == pytest.approx(ras(1, 1, 1))
    assert found.middle(maps[1].labels.leaves[0]) is None
