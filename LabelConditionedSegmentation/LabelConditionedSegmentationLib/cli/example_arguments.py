"""What is said of labels by example on the command line, checked before anything large is read."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from ..core.errors import InputError, LabelError, OutputError
from ..core.examples.example_prompt import SUFFIX
from ..core.scan.file_formats import LABEL_MAPS, OVERLAPPING, SEGMENTATION, suffix_of
from .jobs import Job

DEPENDENT = ("name", "segment", "inside", "save_label", "example_metadata")
"""Options that say something of --example, as argparse calls them."""


def check_words(arguments: argparse.Namespace) -> None:
    """Refuse options that contradict or need one another, and files that are not there.

    Raises InputError, LabelError or OutputError.
    """
    masks = [mask for _, mask in arguments.example]
    named = (arguments.name or "").strip()
    if (
        masks
        and not named
        and (arguments.name is not None or not all(mask.lower().endswith(SEGMENTATION) for mask in masks))
    ):
        raise LabelError("A structure shown with --example needs a name; say what it is called with --name.")
    if named and len(arguments.segment) > 1:
        raise InputError(
            "Several segments are several structures, which keep their own names; leave --name out, or give one"
            " --segment."
        )
    for option in DEPENDENT if not masks else ():
        if getattr(arguments, option):
            raise InputError(
                f"--{option.replace('_', '-')} belongs to a structure that is shown; show it with --example ATLAS MASK."
            )
    if arguments.save_label and not arguments.save_label.endswith(SUFFIX):
        raise OutputError(f'The label cannot be saved as "{arguments.save_label}"; use a name that ends in {SUFFIX}.')


def check_files(arguments: argparse.Namespace) -> None:
    """Raise InputError where a file that shows a structure is not there, or is of no kind that shows any."""
    for atlas, mask in arguments.example:
        for path in (Path(atlas), Path(mask)):
            if not path.exists():
                raise InputError(f'There is no file "{path}".')
        _check_mask(Path(mask), arguments.segment)


def _check_mask(path: Path, segments: Sequence[str]) -> None:
    """segments: which of its segments are asked for."""
    name = path.name.lower()
    if segments and not name.endswith(SEGMENTATION):
        raise InputError(
            f'"{path}" has no segments to choose from with --segment; give a {SEGMENTATION} file, or leave --segment'
            " out."
        )
    if not name.endswith((SEGMENTATION, *LABEL_MAPS)):
        raise InputError(
            f'"{path}" is no mask that can be read; give a file that ends in {SEGMENTATION}, {", ".join(LABEL_MAPS)}.'
        )


def refuse_label_maps(jobs: Sequence[Job]) -> None:
    """Where labels of the model and labels by example are asked for, since they do not compete with each other.

    Raises LabelError.
    """
    for job in jobs:
        if job.output is not None and suffix_of(job.output) not in OVERLAPPING:
            raise LabelError(
                f'Labels by example may overlap the labels of the model, which the label map "{job.output}" cannot'
                " hold; leave --labels out, or write a .seg.nrrd file."
            )
