"""The `lcs` command: what a user reads when something is wrong, and the exit status.

Nothing here imports torch before it is needed.
"""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Callable, Sequence

from ..core.errors import Cancelled, LCSError
from .options import build_parser
from .status import INTERRUPTED, REFUSED
from .terminal import forgiving, say

Command = Callable[[argparse.Namespace], int]


def main(words: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status: 0 done, 1 a batch with failures, 2 refused with one sentence, 130
    interrupted.
    """
    with forgiving():
        return _run(words)


def _run(words: Sequence[str] | None) -> int:
    arguments = argparse.Namespace(debug=False)
    try:
        build_parser().parse_args(words, arguments)
        return _command(arguments.command)(arguments)
    except Cancelled as error:
        say(f"lcs: {error}")
        return INTERRUPTED
    except LCSError as error:
        if arguments.debug:
            traceback.print_exc()
        say(f"lcs: {error}")
        return REFUSED
    except KeyboardInterrupt:
        say("lcs: Interrupted; nothing half-written was left.")
        return INTERRUPTED


def _command(name: str) -> Command:
    """Imported when it is asked for, so that the help, and what is wrong with the words, is told at once."""
    if name in ("segment", "brain"):
        from .segment import run

        return run
    if name == "bids":
        from .bids import run as run_bids

        return run_bids
    if name == "propagate":
        from .propagate import run as run_propagate

        return run_propagate
    if name == "relations":
        from .relations import run as run_relations

        return run_relations
    from .listing import print_labels, print_models

    return {"labels": print_labels, "models": print_models}[name]


if __name__ == "__main__":
    sys.exit(main())
