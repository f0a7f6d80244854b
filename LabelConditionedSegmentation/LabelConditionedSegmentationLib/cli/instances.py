"""`--instances`: labels whose connected pieces are numbered, and the files that hold the numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ..core.errors import LabelError, OutputError
from ..core.labels.label_tree import Label, LabelTree
from ..core.scan.file_formats import suffix_of
from .arguments import ALL, split_names
from .jobs import Job


def with_instances(jobs: Sequence[Job], words: str, tree: LabelTree, asked: list[str] | str) -> tuple[Job, ...]:
    """Jobs that number the pieces of labels as well. asked: the labels that are segmented.

    Raises LabelError for labels that have no pieces of their own or are not asked for, and OutputError where there is
    no place beside which the files could go.
    """
    labels = list(dict.fromkeys(tree.find(name) for name in split_names(words, tree)))
    if not labels:
        raise LabelError("--instances names no label; name at least one.")
    for label in labels:
        tree.check_instances(label)
        _check_asked(tree, label, asked)
    return tuple(replace(job, instances=tuple((label.name, _place(job, label)) for label in labels)) for job in jobs)


def _check_asked(tree: LabelTree, label: Label, asked: list[str] | str) -> None:
    if asked == ALL:
        return
    found = [tree.find(name) for name in asked]
    if label not in found and not set(tree.leaves_under(label)) <= set(found):
        raise LabelError(f'The pieces of "{label.name}" are asked for, but not the label; name it in --labels as well.')


def _place(job: Job, label: Label) -> Path:
    """Beside the segmentation, named like it and the label."""
    if job.output is None:
        raise OutputError("The files of --instances lie beside the segmentation; name a place for that with -o.")
    stem = job.output.name[: -len(suffix_of(job.output))]
    slug = re.sub(r"\W+", "_", label.name.lower()).strip("_") or str(label.id)
    return job.output.with_name(f"{stem}_{slug}_instances.nii.gz")
