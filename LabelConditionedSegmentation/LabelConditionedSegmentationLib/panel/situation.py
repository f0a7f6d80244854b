"""What all of the panel has to know and say in every situation: plain decisions, without Qt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..core.findings import Finding
from ..core.scan.scan_checks import LABEL_MAP


@dataclass(frozen=True)
class Situation:
    """What every tool has to know before anything may be pressed; a tool extends it by what it alone knows.

    missing: what has to be installed first, as a sentence, or "". model: title of the chosen model, or "". lack: what
    that model needs and has not, as a sentence, or "". findings: of the chosen volumes. problems: sentences about
    what was entered of the scan. running, cancelling: a run goes on, and
    is to stop. is_answered: the network has seen these volumes with this model and these metadata, so that every
    structure is at hand without another pass. has_run_before: there is an answer, perhaps of something else.
    """

    missing: str = ""
    model: str = ""
    lack: str = ""
    findings: tuple[Finding, ...] = ()
    problems: tuple[str, ...] = ()
    running: bool = False
    cancelling: bool = False
    is_answered: bool = False
    has_run_before: bool = False

    @property
    def obstacle(self) -> str:
        """Why the network cannot run, as one sentence with what to do; "" where it can."""
        if self.missing:
            return self.missing
        if self.running:
            return "A run is going on; cancel it first."
        if not self.model:
            return "Choose a model, or add one."
        if self.lack:
            return self.lack
        errors = [str(finding) for finding in self.findings if finding.level == "error"]
        return next(iter((*errors, *self.problems)), "")

    @property
    def may_be_scan(self) -> bool:
        """Whether a volume was taken for a label map, which the user can overrule."""
        return any(finding.fix == LABEL_MAP.fix for finding in self.findings)

    @property
    def can_cancel(self) -> bool:
        """Whether Cancel may be pressed."""
        return self.running and not self.cancelling


def findings_text(findings: Sequence[Finding], volume_name: str, translated: Callable[[str], str] = str) -> str:
    """The findings as the lines under the input; one with a tick where there is nothing to say. translated: what
    they are in the user's language.
    """
    signs = {"error": "✖", "warning": "⚠", "note": "•"}
    ordered = sorted(findings, key=lambda finding: ("error", "warning", "note").index(finding.level))
    lines = [f"{signs[finding.level]} {translated(str(finding))}" for finding in ordered]
    return "\n".join(lines) or f"✔ {translated(f'{volume_name} can be segmented.')}"


def time_left(fraction: float, seconds: float) -> str:
    """The time left as it is shown, from the fraction done after so many seconds; "" while nothing sensible can be
    said.
    """
    if fraction < 0.03 or seconds < 1:
        return ""
    left = seconds * (1 - fraction) / fraction
    return f"about {left / 60:.0f} min left" if left > 100 else f"about {max(1, round(left)):d} s left"
