"""After a run: the ways that lead on from a result, its volumes, and what lies where in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..core.labels.label_tree import Label
from ..scene.nodes import is_present
from ..scene.segment_display import SegmentFlash, set_opacity, show_in_3d, show_outline
from ..scene.segmentations import segment_ids
from ..scene.slice_pointer import Point, SlicePointer, centre_slices
from ..scene.volumes import volume_of
from . import other_modules
from .answer_places import AnswerPlaces
from .runner import Answer
from .situation import Situation
from .tool import Frame
from .volume_rows import VolumeRow, millilitres, volume_rows

if TYPE_CHECKING:
    from .live_segments import LiveSegments
    from .result_view import ResultView
    from .structures_view import StructuresView


class ResultTool:
    """See `Tool`. live: the segmentation that follows the ticks. flash_later: has `flash_step` called a little later.

    The answer of the last run says what lies where, as long as it holds for the volume as it is now.
    """

    def __init__(
        self,
        frame: Frame,
        view: ResultView,
        structures: StructuresView,
        live: LiveSegments,
        flash_later: Callable[[Callable[[], None]], None],
    ) -> None:
        self._frame = frame
        self._view = view
        self._structures = structures
        self._live = live
        self._later = flash_later
        self._flash = SegmentFlash()
        self._pointer = SlicePointer(self._hovered)
        self._places: AnswerPlaces | None = None
        self._listed: tuple[Any, ...] = ()
        view.connect(self._edit, self._measure, self._show_3d, self._set_opacity, self._show_outline)
        structures.tree.on_chosen = self.look_at

    @property
    def node(self) -> Any:
        """The segmentation: that of the last run, or the chosen one."""
        live = self._live.node
        return live if is_present(live) else self._frame.ui.outputSelector.currentNode()

    def refresh(self, now: Situation) -> None:
        self._view.show(self.node)
        self._view.enable(not now.running)
        answer = self._frame.runner.answer if now.is_answered else None
        if answer is None or answer.refusal or not is_present(self._live.node):
            self._forget()
        else:
            if self._places is None or self._places.answer is not answer:
                self._places = AnswerPlaces(answer)
            self._pointer.start()
            self._list(answer)

    def advice(self, _now: Situation) -> str:
        return ""

    def stop(self) -> None:
        """The widgets may be gone already."""
        self._flash.stop()
        self._pointer.stop()
        self._places = None

    def look_at(self, label_id: int) -> None:
        """Centre the slices on a structure and flash its segments, where the last answer knows it."""
        answer = self._frame.runner.answer
        if self._places is None or answer is None or not self._frame.runner.answers(self._frame.task()):
            return
        winners = answer.competition_of(label_id)
        label = winners.labels[label_id] if winners is not None else None
        middle = self._places.middle(label) if label is not None else None
        if label is None or middle is None:
            self._frame.say(*([f"Not found in this volume: {label.name}."] if label is not None else []))
            return
        centre_slices(middle)
        self._flash.start(self._live.node, self._segments_of(label, answer))
        self._later(self._flash_step)

    def _segments_of(self, label: Label, answer: Answer) -> list[str]:
        """The segments of a label, or of what lies under it."""
        ids = segment_ids(self._live.node, answer.task.package.name)
        winners = answer.competition_of(label.id)
        under = [label.id, *(leaf.id for leaf in (winners.labels.leaves_under(label) if winners is not None else ()))]
        return [ids[known] for known in dict.fromkeys(under) if known in ids]

    def _flash_step(self) -> None:
        self._flash.step()
        if self._flash.is_going_on:
            self._later(self._flash_step)

    def _hovered(self, position: Point | None) -> None:
        """The mouse has moved in a slice view: the volume may have changed meanwhile, but not without a refresh."""
        labels = self._places.labels_at(position) if self._places is not None and position is not None else []
        self._view.show_under_pointer(", ".join(label.name for label in labels))

    def _list(self, answer: Answer) -> None:
        """Show the volumes of what is ticked; counted anew only where that, or the answer, is another."""
        wanted = tuple(self._structures.wanted)
        now = (answer.run, answer.examples is not None, wanted)
        if now != self._listed:
            self._listed = now
            self._view.list_volumes(rows_of(answer, wanted))

    def _forget(self) -> None:
        self._pointer.stop()
        self._places = None
        self._view.show_under_pointer("")
        if self._listed:
            self._listed = ()
            self._view.list_volumes([])

    def _edit(self) -> None:
        other_modules.edit_segments(self.node, self._volume)

    def _measure(self) -> None:
        other_modules.measure_segments(self.node, self._volume)

    @property
    def _volume(self) -> Any:
        """That the segmentation was made of."""
        return self.node.GetNodeReference(self.node.GetReferenceImageGeometryReferenceRole())

    def _show_3d(self, on: bool) -> None:
        show_in_3d(self.node, on)
        self._view.show(self.node)

    def _set_opacity(self, opacity: float) -> None:
        set_opacity(self.node, opacity)

    def _show_outline(self, on: bool) -> None:
        show_outline(self.node, on)


def rows_of(answer: Answer, wanted: Sequence[Label]) -> list[VolumeRow]:
    """The volumes of labels in an answer, as rows."""
    parts = answer.parts(wanted)
    counterparts = {
        label.id: winners.labels.mirrored(label).id for winners, labels in parts for label in labels
    }  # of a label in the middle it is the label itself
    voxel = volume_of(answer.task.nodes[:1]).voxel_millilitres
    return volume_rows(millilitres(parts, voxel), counterparts)
