"""How a program of Training ends that could not go on."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from LabelConditionedSegmentationLib.core.errors import LCSError

INTERRUPTED = 130
"""Exit status after Ctrl-C."""


@contextmanager
def ends_with_a_sentence(interrupted: str = "") -> Iterator[None]:
    """An expected error in the block ends the program with its sentence, Ctrl-C with its own status and, where there is
    one, the sentence `interrupted`.
    """
    try:
        yield
    except LCSError as error:
        raise SystemExit(str(error)) from None
    except KeyboardInterrupt:
        if interrupted:
            print(interrupted, file=sys.stderr)
        raise SystemExit(INTERRUPTED) from None
