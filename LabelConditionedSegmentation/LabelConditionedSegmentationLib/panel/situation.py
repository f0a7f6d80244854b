"""What the panel may do and says in every situation: plain decisions, without Qt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..core.findings import Finding
from ..core.scan.scan_checks import LABEL_MAP


@dataclass(frozen=True)
class Situation:
    """All that decides what may be pressed.

    missing: what has to be installed first, as a sentence, or "". model: title of the chosen model, or "". findings: of
    the chosen volumes. wanted: number of structures chosen. problems: sentences about what was entered of the scan.
    running, cancelling: a run goes on, and is asked to stop. is_answered: the network has seen these volumes with this
    model and these metadata, so that every structure is at hand without another pass. is_live: a segmentation follows
    the ticks.
    is_picking: a click into a view is waited for. learns_examples: the model was trained to learn labels from examples.
    """

    missing: str = ""
    model: str = ""
    findings: tuple[Finding, ...] = ()
    wanted: int = 0
    problems: tuple[str, ...] = ()
    running: bool = False
    cancelling: bool = False
    is_answered: bool = False
    is_live: bool = False
    is_picking: bool = False
    has_run_before: bool = False
    can_undo: bool = False
    has_report: bool = False
    learns_examples: bool = False

    @property
    def obstacle(self) -> str:
        """Why the network cannot run, as one sentence with what to do; "" where it can."""
        if self.missing:
            return self.missing
        if self.running:
            return "A run is going on; cancel it first."
        if not self.model:
            return "Choose a model, or add one."
        errors = [str(finding) for finding in self.findings if finding.level == "error"]
        return next(iter((*errors, *self.problems)), "")

    @property
    def may_be_scan(self) -> bool:
        """Whether a volume was taken for a label map, which the user can overrule."""
        return any(finding.fix == LABEL_MAP.fix for finding in self.findings)

    @property
    def can_apply(self) -> bool:
        """Whether Apply may be pressed."""
        return not self.obstacle and self.wanted > 0

    @property
    def apply_tip(self) -> str:
        """What Apply does, or why it cannot be pressed."""
        if self.obstacle:
            return self.obstacle
        if not self.wanted:
            return "Choose at least one structure."
        if self.wanted == 1:
            at_once = "Write 1 structure at once: the network has seen this volume already."
            return at_once if self.is_answered else f"Run {self.model} and write 1 structure."
        at_once = f"Write {self.wanted} structures at once: the network has seen this volume already."
        return at_once if self.is_answered else f"Run {self.model} and write {self.wanted} structures."

    @property
    def can_pick(self) -> bool:
        """Whether a point may be picked."""
        return not self.obstacle

    @property
    def pick_tip(self) -> str:
        """What picking does, or why it cannot be started."""
        if self.obstacle:
            return self.obstacle
        if self.is_answered:
            return "Click into a view; the structures that the model sees there are offered."
        return "The model runs once. Then: click into a view; the structures that the model sees there are offered."

    @property
    def can_show_examples(self) -> bool:
        """Whether the form for a new label by example may be opened."""
        return bool(self.model) and self.learns_examples

    @property
    def examples_tip(self) -> str:
        """What that form is for, or why it cannot be opened."""
        if not self.model:
            return "Choose a model, or add one."
        if not self.learns_examples:
            return f"{self.model} was not trained to learn labels from examples; choose a model that was."
        return (
            "Show the model a structure that it does not know, as a segment on a scan; afterwards it can be found in"
            " every scan."
        )

    @property
    def can_cancel(self) -> bool:
        """Whether Cancel may be pressed."""
        return self.running and not self.cancelling

    @property
    def advice(self) -> str:
        """What is said below Apply while nothing runs and nothing else was said."""
        if self.is_picking:
            return "Click into a view."
        if self.has_run_before and not self.is_answered and not self.obstacle:
            return "The volume, the model or what is known about the scan has changed: press Apply for a new run."
        if self.is_live and self.is_answered and not self.obstacle:
            return "A tick shows its structure at once."
        return self.apply_tip


def findings_text(findings: Sequence[Finding], volume_name: str, told: Callable[[str], str] = str) -> str:
    """The findings as the lines under the input; one with a tick where there is nothing to say. told: what they are in
    the user's language.
    """
    signs = {"error": "✖", "warning": "⚠", "note": "•"}
    ordered = sorted(findings, key=lambda finding: ("error", "warning", "note").index(finding.level))
    lines = [f"{signs[finding.level]} {told(str(finding))}" for finding in ordered]
    return "\n".join(lines) or f"✔ {told(f'{volume_name} can be segmented.')}"


def time_left(fraction: float, seconds: float) -> str:
    """The time left as it is shown, from the fraction done after so many seconds; "" while nothing sensible can be
    said.
    """
    if fraction < 0.03 or seconds < 1:
        return ""
    left = seconds * (1 - fraction) / fraction
    return f"about {left / 60:.0f} min left" if left > 100 else f"about {max(1, round(left)):d} s left"
