"""A stand-in of PythonSlicer: a launcher, which starts Python as a process of its own and ends with status 1 where that
was killed.
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

SCRIPT = """#!/bin/sh
{python} "$@"
status=$?
[ $status -lt 128 ] || exit 1
exit $status
"""


def python_slicer(folder: Path) -> list[str]:
    """The command of the launcher, which is written to a folder."""
    script = folder / "PythonSlicer"
    script.write_text(SCRIPT.format(python=shlex.quote(sys.executable)), encoding="utf-8")
    script.chmod(0o755)
    return [str(script)]
