"""One scan after the other: what happens where one of them fails, or is cancelled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from ..core.errors import Cancelled, LabelError, LCSError, MetadataError
from .status import DONE, FAILED
from .terminal import say

T = TypeVar("T")


def over_batch(jobs: Sequence[T], work: Callable[[T], None], title: Callable[[T], str]) -> int:
    """Every scan, whatever becomes of the others; returns the exit status.

    Those that failed are told as they come and once more at the end. title: what a scan is called. Raises what concerns
    every scan: LabelError, MetadataError, and Cancelled, which says how far it got.
    """
    failures: list[str] = []
    for done, job in enumerate(jobs):
        try:
            work(job)
        except Cancelled as error:
            raise _cancelled(done - len(failures), len(jobs)) from error
        except (LabelError, MetadataError):
            raise
        except LCSError as error:
            failures.append(f"{title(job)}: {error}")
            say(f"FAILED {failures[-1]}")
    for failure in failures:
        say(f"lcs: {failure}")
    if failures:
        say(f"lcs: {len(failures)} of {len(jobs)} scans failed; the others are done.")
    return FAILED if failures else DONE


def _cancelled(done: int, count: int) -> Cancelled:
    if not done:
        return Cancelled("Cancelled; nothing was written.")
    return Cancelled(
        f"Cancelled; {done} of {count} scans are done, and the same command with --skip-existing goes on with the"
        " others."
    )
