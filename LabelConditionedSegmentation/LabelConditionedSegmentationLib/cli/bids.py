"""`lcs bids`: a BIDS app, from a data set to a data set of derivatives."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..core.errors import InputError, OutputError
from .bids_files import DESCRIPTION


def run(arguments: argparse.Namespace) -> int:
    """One of the two levels of analysis. Returns the exit status. Raises LCSError."""
    source, folder = Path(arguments.bids_dir), Path(arguments.output_dir)
    if not source.is_dir():
        raise InputError(f'There is no folder "{source}".')
    if folder.exists() and (not folder.is_dir() or folder.samefile(source)):
        raise OutputError(
            f'The results cannot be written to "{folder}"; give another folder, such as'
            f" {source / 'derivatives' / 'lcs'}."
        )
    if arguments.level == "participant":
        from .bids_participants import run_participants

        return run_participants(arguments, source, folder)
    if arguments.participant_label:
        raise InputError("The level group is about all participants; leave --participant-label out.")
    if not (folder / DESCRIPTION).is_file():
        raise InputError(f'"{folder}" holds no results; run the level participant first.')
    from .bids_group import run_group

    return run_group(arguments, source, folder)
