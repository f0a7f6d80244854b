"""What the section Strokes has to know and say in every situation: plain decisions, without Qt."""

from __future__ import annotations

from dataclasses import dataclass

from ..scene.segment_strokes import is_background
from .situation import Situation


@dataclass(frozen=True)
class StrokesSituation(Situation):
    """scan: name of the scan that is painted on, or "". has_strokes: a segmentation for strokes is chosen. painted:
    names of what was painted in it. problem: why that cannot be used, as a sentence, or "". wants_mend: the user wants
    the last answer mended. is_kept: what the network found in this scan is at hand. has_preview: a result is shown.
    can_undo: the last Accept can be taken back. has_accepted: something was accepted. learns_examples: the model was
    trained to learn labels from examples.
    """

    scan: str = ""
    has_strokes: bool = False
    painted: tuple[str, ...] = ()
    problem: str = ""
    wants_mend: bool = False
    is_kept: bool = False
    has_preview: bool = False
    can_undo: bool = False
    has_accepted: bool = False
    learns_examples: bool = False

    @property
    def lack_of_strokes(self) -> str:
        """What there has to be before strokes can be spread, as a sentence with what to do; "" where nothing is."""
        if self.missing:
            return self.missing
        if not self.scan:
            return "Choose the scan that is to be painted on."
        if not self.has_strokes:
            return "Press New to begin, or choose the segmentation that strokes are painted in."
        if self.problem:
            return self.problem
        if self.wants_mend and not self.is_kept:
            return "There is no answer of the model for this scan that could be mended: press Apply first."
        return self._unpainted

    @property
    def _unpainted(self) -> str:
        structures = [name for name in self.painted if not is_background(name)]
        if self.wants_mend:
            return "" if self.painted else "Paint a stroke where the answer is wrong, in the segment of what is there."
        if not self.painted:
            return "Paint a stroke on the structure, and one in the segment Background around it."
        if not structures:
            return "Paint a stroke on a structure as well; only the background is painted."
        if len(self.painted) < 2:
            return f'Paint another class as well, such as Background: all strokes are of "{structures[0]}".'
        return ""

    @property
    def hint(self) -> str:
        """What is said in the section."""
        if self.lack_of_strokes:
            return self.lack_of_strokes
        if self.wants_mend:
            return "Every stroke mends the answer in the preview; Accept writes it."
        if self.is_kept:
            return "Every stroke spreads over what the network found in the scan; Accept writes the preview."
        return "Every stroke spreads over the intensities of the scan; Accept writes the preview."

    @property
    def can_begin(self) -> bool:
        """Whether new strokes may be begun."""
        return bool(self.scan) and not self.missing

    @property
    def can_mend(self) -> bool:
        """Whether the last answer may be chosen to be mended; what was chosen can always be taken back."""
        return self.is_kept or self.wants_mend

    @property
    def can_accept(self) -> bool:
        """Whether the preview may be written."""
        return self.has_preview and not self.running

    @property
    def can_make_label(self) -> bool:
        """Whether what was accepted may be shown to the model as an example."""
        return self.has_accepted and self.learns_examples and not self.running

    @property
    def label_tip(self) -> str:
        """What that does, or why it cannot be done."""
        if not self.has_accepted:
            return "Accept a result first."
        if not self.learns_examples:
            return f"{self.model or 'The model'} was not trained to learn labels from examples; choose one that was."
        return (
            "Fill in the form of a label by example with the accepted structure, so that it is found in the next scan."
        )
