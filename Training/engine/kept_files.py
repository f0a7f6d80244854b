"""Files that appear whole or not at all, and folders whose work goes on where it was interrupted."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from LabelConditionedSegmentationLib.core.errors import OutputError


@contextmanager
def writing_to(folder: Path) -> Iterator[None]:
    """What cannot be written inside the block, since the disk is full or for another reason, raises OutputError with
    the folder.
    """
    try:
        yield
    except OSError as error:
        raise unwritable(folder, error) from None


def unwritable(folder: Path, error: OSError) -> OutputError:
    """The sentence for what could not be written. numpy and others leave `strerror` empty."""
    return OutputError(
        f'The folder "{folder}" cannot be written to: {error.strerror or error}. What was complete before is as it was:'
        " make room there, or choose another folder, and run the same command again."
    )


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A temporary name beside `path` to write to; what was written there takes the place of `path` when the block ends
    well, and goes when it does not.

    The file has the mode of any new file here, whatever wrote it: some libraries write through private ones. Raises
    OutputError where it cannot be written.
    """
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    with writing_to(path.parent):
        try:
            temporary.touch()
            mode = stat.S_IMODE(temporary.stat().st_mode)
            yield temporary
            temporary.chmod(mode)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def keep_to(folder: Path, question: Mapping[str, Any], kept: str) -> None:
    """Make the folder, or see to it that what it keeps (in words) answers the same question (plain values).

    SystemExit with a sentence where it does not.
    """
    path = folder / "question.json"
    with writing_to(folder):
        folder.mkdir(parents=True, exist_ok=True)
    before = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else question
    with written_whole(path) as temporary:
        temporary.write_text(json.dumps(before, indent=1, ensure_ascii=False), encoding="utf-8")
    other = [key for key, value in question.items() if before.get(key) != value]
    if other:
        raise SystemExit(
            f'"{folder}" keeps {kept} of another question (other {", ".join(other)}); name another folder, or ask the'
            " same."
        )
