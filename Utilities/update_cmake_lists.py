"""Writes the lists of scripts and resources in the module's CMakeLists.txt: python -m Utilities.update_cmake_lists."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

MODULE = "LabelConditionedSegmentation"
NOT_INSTALLED = "Screenshots"
BEGIN = "# lists: begin"
END = "# lists: end"


def files_under(folder: Path, pattern: str = "*") -> list[str]:
    """Every file that is meant to be there (no caches, nothing hidden), relative to `folder`, sorted."""
    found = (file.relative_to(folder) for file in folder.rglob(pattern) if file.is_file())
    return sorted(
        file.as_posix()
        for file in found
        if not any(part.startswith(".") or part == "__pycache__" for part in file.parts)
    )


def scripts(top: Path) -> list[str]:
    """The Python files of the module, relative to its folder."""
    return files_under(top / MODULE, "*.py")


def resources(top: Path) -> list[str]:
    """What is installed of `Resources`, relative to it; the screenshots are for web pages only."""
    return [file for file in files_under(top / "Resources") if not file.startswith(f"{NOT_INSTALLED}/")]


def up_to_date(top: Path) -> str:
    """The text of the module's CMakeLists.txt as the tree asks for it.

    Raises ValueError where the two marker lines are missing.
    """
    text = cmake_file(top).read_text(encoding="utf-8")
    lines = text.splitlines()
    markers = [
        next((row for row, line in enumerate(lines) if line.startswith(marker)), None) for marker in (BEGIN, END)
    ]
    begin, end = markers
    if begin is None or end is None or end < begin:
        raise ValueError(
            f'{cmake_file(top)} has no lines that begin with "{BEGIN}" and "{END}": put them around the lists.'
        )
    lists = [*_cmake_list("MODULE_PYTHON_SCRIPTS", scripts(top)), "", *_cmake_list("MODULE_RESOURCES", resources(top))]
    return "\n".join([*lines[: begin + 1], *lists, *lines[end:], ""])


def cmake_file(top: Path) -> Path:
    """The module's CMakeLists.txt."""
    return top / MODULE / "CMakeLists.txt"


def _cmake_list(name: str, values: Iterable[str]) -> list[str]:
    return [f"set({name}", *(f"  {value}" for value in values), "  )"]


if __name__ == "__main__":
    here = Path(__file__).resolve().parents[1]
    cmake_file(here).write_text(up_to_date(here), encoding="utf-8", newline="\n")
