"""The list of Qt, CTK and qMRML members that the module may use (members.csv), and the check that it uses no other."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from types import FrameType
from typing import NamedTuple

LIST = Path(__file__).with_name("members.csv")
SOURCE = Path(__file__).resolve().parents[2] / "LabelConditionedSegmentation"
MODULE_FOLDERS = {str(SOURCE)}
"""Where files of the module lie: callers from there may use listed members only.

`Host.open_module` adds and removes the folder that it opens.
"""


class Member(NamedTuple):
    """One line of the list; a signal is named with its signature."""

    class_name: str
    member: str
    kind: str
    page: str


@cache
def listed() -> list[Member]:
    """All lines of the list."""
    with LIST.open(newline="", encoding="utf-8") as file:
        return [Member(*row) for row in list(csv.reader(file))[1:] if row]


@cache
def _allowed() -> frozenset[tuple[str, str]]:
    """Class and member, a signal both with its signature and by its bare name."""
    return frozenset((row.class_name, name) for row in listed() for name in (row.member, row.member.split("(")[0]))


def is_listed(class_names: Iterable[str], member: str) -> bool:
    """Whether the class, or one of its bases, stands in the list with this member."""
    return any((name, member) in _allowed() for name in class_names)


def check(class_names: list[str], member: str, caller: FrameType) -> None:
    """Raise AttributeError where a file of the module uses a member that is not in the list; every other caller is
    free.
    """
    if not is_listed(class_names, member) and caller.f_code.co_filename.startswith(tuple(MODULE_FOLDERS)):
        place = f"{caller.f_code.co_filename}:{caller.f_lineno}"
        raise AttributeError(
            f"{class_names[0]}.{member} is used in {place} but is not in {LIST.name}: add it with its documentation"
            " page."
        )
