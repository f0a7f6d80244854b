"""`lcs propagate`: from strokes to structures, one scan or several."""

from __future__ import annotations

import argparse

from .status import DONE
from .stroke_plan import stroke_plan_for
from .terminal import say


def run(arguments: argparse.Namespace) -> int:
    """Check everything that can be checked, then spread the strokes. Returns the exit status."""
    plan = stroke_plan_for(arguments)
    if not plan.jobs:
        say("all scans are left out: their results exist")
        return DONE
    from .propagating import run_strokes  # seconds, for torch

    return run_strokes(plan)
