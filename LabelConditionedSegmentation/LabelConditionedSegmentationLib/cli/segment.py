"""`lcs segment`: one scan or a batch, from files to files."""

from __future__ import annotations

import argparse

from .plan import Plan, plan_for
from .status import DONE
from .terminal import say


def run(arguments: argparse.Namespace) -> int:
    """Check everything that can be checked, then load the model and segment. Returns the exit status."""
    plan = plan_for(arguments)
    tell(plan)
    if not plan.jobs:
        return DONE
    from .running import run_plan  # seconds, for torch

    return run_plan(plan)


def tell(plan: Plan) -> None:
    """What is left out of what was asked for."""
    if plan.results:
        say(f"no scans, but results of earlier runs: {plan.results} files, which are left out")
    if plan.done:
        say(f"{plan.done} of {plan.done + len(plan.jobs)} scans are left out: their results exist")
