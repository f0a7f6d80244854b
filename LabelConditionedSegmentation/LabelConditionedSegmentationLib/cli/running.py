"""Running a plan: the model is loaded, then each scan is read, segmented and written."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ..core.examples.example_prompt import ExamplePrompt
from ..core.inference.segmenter import EXAMPLE_BUDGET, FEATURE_BUDGET, Segmenter
from ..core.signals import cancel_on_interrupt
from . import example_masks as examples
from .batch import overlapping
from .division import on_processes
from .plan import Plan
from .reading import Reading
from .scan_steps import Answer, ReadScan, Results, Run, Work
from .status import DONE
from .terminal import progress_bar, say


def run_plan(plan: Plan, kind: type[Run] | None = None) -> int:
    """Segment all scans of a plan. kind: what is done with each of them; by default its files are written.

    Returns the exit status. Raises LCSError; in a batch only for what concerns every scan.
    """
    reading = Reading(plan.arguments.assume_orientation, plan.arguments.fill_gaps)
    asked = examples.read_asked(plan.arguments, reading)
    saved = examples.label_files(plan.arguments.save_label, asked)
    plan.check_outputs(saved)
    if asked:
        examples.check_asked(asked, plan.package)
    work = Work(plan, kind or Run, reading, asked.made, EXAMPLE_BUDGET if asked else FEATURE_BUDGET)
    is_divided = on_processes(plan.arguments)
    segmenter = None if is_divided and not asked.shown else _loaded(work)
    with cancel_on_interrupt() as cancel:
        if segmenter is not None:
            prompts = examples.learn(asked, segmenter, plan.metadata_of_atlas, cancel, work.overruled)
            work = replace(work, by_example=tuple(prompts))
        results = Results(plan.tables, _to_save(plan, saved, work.by_example))
        if segmenter is not None and not is_divided:
            return _here(work.run(segmenter, cancel), results)
        if segmenter is not None:
            segmenter.close()
        from .dividing import divide  # and with it Dask, which is an extra

        return divide(work, results, cancel)


def _loaded(work: Work) -> Segmenter:
    began = time.perf_counter()
    segmenter = work.segmenter(work.plan.arguments.device)
    took = time.perf_counter() - began
    say(f"model {segmenter.package.name} on {segmenter.plan.device.type}, loaded in {took:.1f} s")
    return segmenter


def _to_save(plan: Plan, saved: Sequence[Path], prompts: Sequence[ExamplePrompt]) -> dict[Path, ExamplePrompt]:
    """The labels that are shown, which come before those from files, with their places; those that an earlier run has
    saved stay.
    """
    pairs = zip(saved, prompts, strict=False)
    return {path: prompt for path, prompt in pairs if plan.arguments.overwrite or not path.exists()}


def _here(run: Run, results: Results) -> int:
    """All scans in this process: those of a batch whatever becomes of the others; what is wrong with the only one is
    raised.
    """
    plan = run.work.plan

    def answer(scan: ReadScan) -> Answer:
        with progress_bar(scan.job.scan.title.rpartition("/")[2]) as progress:
            return run.answer(scan, progress)

    def write(found: Answer) -> None:
        for line in run.write(found, results.write).lines:
            say(line)

    if not plan.is_batch:
        write(answer(run.read(plan.jobs[0])))
        return DONE
    holds_two = not plan.arguments.probabilities  # which may be larger than all the rest
    return overlapping(plan.jobs, (run.read, answer, write), lambda job: job.scan.title, holds_two)
