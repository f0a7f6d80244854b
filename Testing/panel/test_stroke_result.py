"""What strokes became, as labels: classes of their own, or a mended answer on its region or beyond it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from LabelConditionedSegmentationLib.core.errors import LabelError
from LabelConditionedSegmentationLib.core.inference.winners import Winners
from LabelConditionedSegmentationLib.core.package.model_package import ModelPackage
from LabelConditionedSegmentationLib.panel.runner import Answer, Task
from LabelConditionedSegmentationLib.panel.stroke_result import mended_by, structures_of
from LabelConditionedSegmentationLib.scene.segment_strokes import SegmentStrokes

from Testing import samples

SHAPE = (6, 8, 10)
RED, BLUE = (1.0, 0.0, 0.0), (0.0, 0.0, 1.0)


def strokes(*names: str) -> SegmentStrokes:
    colors = tuple((RED, BLUE)[n % 2] for n in range(len(names)))
    return SegmentStrokes(np.zeros(SHAPE, np.uint16), names, colors, tuple(f"s{n}" for n in range(len(names))))


def whole(winners: Winners, label: Any) -> Any:
    """The mask (k, j, i) of a label on the scan."""
    out = np.zeros(SHAPE, dtype=bool)
    found = winners.mask(label)
    if found is not None:
        mask, start = found
        out[tuple(slice(a, a + n) for a, n in zip(start, mask.shape, strict=True))] = mask != 0
    return out


def test_the_background_is_no_structure_wherever_it_was_painted() -> None:
    box = np.array([[[0, 1, 2, 3]]])
    found = structures_of(strokes("A", "background", "B"), "owner", None, box, box, (2, 3, 4))
    assert [(label.name, label.color) for label in found.labels] == [("A", RED), ("B", RED)]
    assert [np.argwhere(whole(found.winners, label)).tolist() for label in found.labels] == [[[2, 3, 5]], [[2, 3, 7]]]
    assert found.answer is None


def test_a_structure_keeps_its_label_when_others_come_and_go() -> None:
    first, second = strokes("A", "B"), strokes("C", "A")
    second = SegmentStrokes(second.seeds, second.names, second.colors, ("new", first.ids[0]))
    assert first.structures.find("A").id == second.structures.find("A").id


@pytest.fixture
def answer(tiny_package: Path) -> Answer:
    """Of a region that is a part of the scan: the first leaf everywhere."""
    package = ModelPackage.load(tiny_package)
    classes = np.ones((3, 4, 5), dtype=np.uint8)
    task = Task((None,), package, {}, "cpu")
    return Answer(task, (), 7, (Winners(package.labels, classes, (1, 2, 3), SHAPE),), {}, True)


@pytest.mark.parametrize("start", [(1, 2, 3), (0, 0, 0), (2, 5, 6)])
def test_a_mended_answer_differs_in_the_box_alone(answer: Answer, start: tuple[int, int, int]) -> None:
    (winners,) = answer.winners
    first, second, third = winners.labels.leaves[:3]
    box = np.array([[[2, 2, 0]]], dtype=np.uint8)
    found = mended_by(strokes(third.name, "Background"), answer, box, box, start)
    before = whole(winners, first)
    k, j, i = start
    after = before.copy()
    after[k, j, i : i + 3] = False
    np.testing.assert_array_equal(whole(found.winners, first), after)
    assert np.argwhere(whole(found.winners, second)).tolist() == [[k, j, i], [k, j, i + 1]]
    given = before[k, j, i : i + 3].any()
    assert {label.name for label in found.labels} == {third.name, second.name} | ({first.name} if given else set())
    assert found.labels[0] is third
    assert found.answer is not None
    assert (found.answer.run, found.answer.winners) == (7, (found.winners,))
    assert (winners.classes == 1).all()


def test_mending_a_protocol_leaves_the_answers_of_the_others(tiny_package: Path) -> None:
    tree = samples.two_protocols()
    package = replace(ModelPackage.load(tiny_package), labels=tree)
    winners = tuple(Winners(part, np.ones((3, 4, 5), np.uint8), (1, 2, 3), SHAPE) for part in tree.parts.values())
    answer = Answer(Task((None,), package, {}, "cpu"), (), 7, winners, {}, True)
    first, second = tree.parts["rest"].leaves
    box = np.array([[[2, 0]]], dtype=np.uint8)
    found = mended_by(strokes(second.name, "Background"), answer, box, box, (1, 2, 3))
    assert found.labels == (second, first)
    assert np.argwhere(whole(found.winners, second)).tolist() == [[1, 2, 3]]
    assert found.answer is not None
    assert found.answer.winners == (winners[0], found.winners)
    with pytest.raises(LabelError, match="mend one of them at a time"):
        mended_by(strokes(first.name, tree.parts["deep"].leaves[0].name), answer, box, box, (1, 2, 3))
    with pytest.raises(LabelError, match="paint a stroke of a label as well, of deep or rest"):
        mended_by(strokes("Background"), answer, box, box, (1, 2, 3))
