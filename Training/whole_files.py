"""Files that appear whole or not at all, and folders whose work goes on where it was interrupted."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A temporary name beside `path` to write to; what was written there takes the place of `path` when the block ends well, and goes when it does not."""
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def keep_to(folder: Path, question: Mapping[str, Any], kept: str) -> None:
    """Make the folder, or see to it that what it keeps (in words) answers the same question (plain values). SystemExit with a sentence where it does not."""
    path = folder / "question.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        before = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else question
        with written_whole(path) as temporary:
            temporary.write_text(json.dumps(before, indent=1, ensure_ascii=False), encoding="utf-8")
    except OSError as error:
        raise SystemExit(f'The folder "{folder}" cannot be written to ({error.strerror}).') from None
    other = [key for key, value in question.items() if before.get(key) != value]
    if other:
        raise SystemExit(
            f'"{folder}" keeps {kept} of another question (other {", ".join(other)}); name another folder, or ask the same.'
        )
