"""From a table of labels (`labels.csv`, or plain ids and names) to a label tree with codes from the cited table and
distinct colours.
"""

from __future__ import annotations

import colorsys
import csv
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain, count
from pathlib import Path

from LabelConditionedSegmentationLib.core.errors import LabelError
from LabelConditionedSegmentationLib.core.labels.label_tree import LATERALITIES, Code, Label, LabelTree
from LabelConditionedSegmentationLib.resources import resources_folder

Row = Mapping[str, str]
"""One line of a table: column -> text; what is absent or empty is not known."""


def label_table(path: Path) -> tuple[LabelTree, frozenset[int]]:
    """The label tree of a `labels.csv`, and the ids that are no label of it: voxels with them are unknown.

    Columns: `id` and `name`; each of the others may be missing or empty.
    `parent`: the name of the label that contains this one; a parent without a line of its own is made. `compartment`,
    `group`: parents that are made, the outer and the inner one, where there is no `parent`. `hemisphere`: left, right
    or midline (else a leading "Left" or "Right" of the name says it).
    `structure`: the name without its side. `scored`: 0 for what is to be ignored, unless it is the parent of something
    scored. `synonyms`: separated by ";".
    `color`: #rrggbb. `instances`: 1 for labels whose connected pieces are things of their own, such as lesions.
    Further columns are not read.

    The ids that made parents are given are among the ignored ones, for no voxel may carry them. Ends the program with a
    sentence where the table cannot be used.
    """
    return tree_of_rows(read_rows(path, ("id", "name")), path)


def names_table(names: Mapping[int, str], source: Path) -> tuple[LabelTree, frozenset[int]]:
    """As `label_table`, from the ids and names that `source` holds."""
    return tree_of_rows([{"id": str(label_id), "name": name} for label_id, name in names.items()], source)


def read_rows(path: Path, needed: Sequence[str], delimiter: str = ",") -> list[dict[str, str]]:
    """The lines of a CSV (or TSV) file, without empty cells.

    Ends the program with a sentence where it is missing, no text, or lacks a needed column.
    """
    if not path.is_file():
        raise SystemExit(f'There is no table "{path}".')
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, delimiter=delimiter)
            columns = [column.strip() for column in reader.fieldnames or ()]
            reader.fieldnames = columns
            rows = [
                {column: cell.strip() for column, cell in row.items() if isinstance(cell, str) and cell.strip()}
                for row in reader
            ]
    except (UnicodeDecodeError, csv.Error):
        raise SystemExit(f'The table "{path}" is no UTF-8 text; save it again as CSV in UTF-8.') from None
    lacking = [column for column in needed if column not in columns]
    if lacking:
        separator = "tabs" if delimiter == "\t" else "commas"
        raise SystemExit(
            f'The table "{path}", separated by {separator}, has no column "{lacking[0]}"; its columns are:'
            f" {', '.join(columns) or 'none'}."
        )
    return [row for row in rows if row]


def tree_of_rows(rows: Sequence[Row], source: Path) -> tuple[LabelTree, frozenset[int]]:
    """As `label_table`, of lines that were read from `source`; a line of id 0 is the background and no label."""
    try:
        return _Builder(rows).build()
    except LabelError as error:
        raise SystemExit(f'The label table "{source}" cannot be used: {error}') from None


class _Builder:
    """Turns the lines of one table into a tree: made compartments, groups and parents first, then the lines in their
    order.
    """

    def __init__(self, rows: Sequence[Row]) -> None:
        rows = [row for row in rows if _id_of(row) != 0]
        self.ids = {row["name"]: _id_of(row) for row in rows}
        self.above = {row["name"]: row.get("parent") or self._usual_parent(row["name"]) for row in rows}
        self.rows = self._usable(rows)
        _check_unique("id", [str(_id_of(row)) for row in rows])
        _check_unique("name", [row["name"].casefold() for row in self.rows])
        self.ignored = {_id_of(row) for row in rows} - {_id_of(row) for row in self.rows}
        self.free_ids = _free_ids({_id_of(row) for row in rows})
        self.structures = list(dict.fromkeys(_structure_of(row) for row in self.rows))
        self.made: dict[str, Label] = {}

    def build(self) -> tuple[LabelTree, frozenset[int]]:
        self._make_groups()
        for row in self.rows:
            above = self.above[row["name"]]
            if above and above not in self.ids and above not in self.made:
                self._make(above, above, self._group_of(row), "label")
        leaves = [self._label(row) for row in self.rows]
        made = tuple(self.made.values())
        return LabelTree((*made, *leaves)), frozenset(self.ignored | {label.id for label in made})

    def _usual_parent(self, name: str) -> str:
        parent = _pairs("parents.csv", "name", "parent").get(name, "")
        return parent if parent in self.ids else ""

    def _usable(self, rows: Sequence[Row]) -> list[Row]:
        """The scored lines and those above them."""
        scored = [row for row in rows if row.get("scored", "1") != "0"]
        parents: set[str] = set()
        for row in scored:
            above = self.above[row["name"]]
            while above and above not in parents:
                parents.add(above)
                above = self.above.get(above, "")
        return [row for row in rows if row in scored or row["name"] in parents]

    def _make_groups(self) -> None:
        """Compartments in the order of the table, each followed by its groups.

        A line below another line asks for no group.
        """
        tops = [row for row in self.rows if self.above[row["name"]] not in self.ids]
        for compartment in dict.fromkeys(row.get("compartment", "") for row in tops):
            outer = self._make(compartment, _title(compartment), None, "compartment") if compartment else None
            for group in dict.fromkeys(
                row.get("group", "") for row in tops if row.get("compartment", "") == compartment
            ):
                if group and group != compartment:
                    self._make(f"{compartment}/{group}", _title(group), outer, "group")

    def _group_of(self, row: Row) -> Label | None:
        compartment, group = row.get("compartment", ""), row.get("group", "")
        return self.made.get(f"{compartment}/{group}") or self.made.get(compartment)

    def _make(self, key: str, name: str, parent: Label | None, kind: str) -> Label:
        label_id = next(self.free_ids)
        known = _codes().get((kind, _key_of_code(kind, key)), _Codes())
        red, green, blue = colorsys.hsv_to_rgb((label_id * 0.381966) % 1, 0.35, 0.85)
        self.made[key] = Label(
            label_id,
            name,
            None if parent is None else parent.id,
            color=(red, green, blue),
            category=known.category,
            type=known.type,
        )
        return self.made[key]

    def _label(self, row: Row) -> Label:
        structure, side = _structure_of(row), _side_of(row)
        known = _codes().get(("label", structure.casefold()), _Codes())
        modifier = _codes()["modifier", side].type if known.type and side in ("left", "right") else None
        color = _color_of(row) or _structure_color(structure, self.structures.index(structure))
        synonyms = (
            tuple(word.strip() for word in row["synonyms"].split(";") if word.strip())
            if "synonyms" in row
            else _abbreviation(structure, side)
        )
        return Label(
            *(self.ids[row["name"]], row["name"], self._parent_id(row), synonyms, color, side),
            *(known.category, known.type, modifier, known.broader, known.position),
            instances=row.get("instances", "0") == "1",
        )

    def _parent_id(self, row: Row) -> int | None:
        above = self.above[row["name"]]
        if above in self.ids:
            return self.ids[above]
        made = self.made[above] if above else self._group_of(row)
        return None if made is None else made.id


def _check_unique(column: str, cells: Sequence[str]) -> None:
    for cell, times in Counter(cells).items():
        if times > 1:
            raise LabelError(
                f'{times} of its lines have the {column} "{cell}"; give each its own, or scored = 0 to those that are'
                " no labels."
            )


def _id_of(row: Row) -> int:
    if "name" not in row or not row.get("id", "").isdecimal():
        raise LabelError(f'The line "{", ".join(row.values())}" needs an id, a whole number, and a name.')
    return int(row["id"])


def _free_ids(taken: set[int]) -> Iterator[int]:
    """Ids for made parents: the highest that fit into a byte, then those above all."""
    return chain(sorted(set(range(1, 256)) - taken, reverse=True), count(max(256, max(taken, default=0) + 1)))


def _side_of(row: Row) -> str:
    side = row.get("hemisphere", "").lower()
    if side not in LATERALITIES:
        raise LabelError(f'The hemisphere "{row["hemisphere"]}" of "{row["name"]}" is none of left, right and midline.')
    first = row["name"].split()[0].lower()
    return side or (first if first in ("left", "right") else "")


def _structure_of(row: Row) -> str:
    """The name without its side."""
    return row.get("structure") or re.sub(r"^(left|right)\s+(?=\S)", "", row["name"], flags=re.IGNORECASE)


def _color_of(row: Row) -> tuple[float, float, float] | None:
    text = row.get("color", "")
    if text and not re.fullmatch("#[0-9a-fA-F]{6}", text):
        raise LabelError(f'The color "{text}" of "{row["name"]}" is not of the form #rrggbb.')
    return (int(text[1:3], 16) / 255, int(text[3:5], 16) / 255, int(text[5:], 16) / 255) if text else None


def _structure_color(structure: str, order: int) -> tuple[float, float, float]:
    """Both sides of a structure have one colour; neighbours in the table differ."""
    if structure.endswith("White Matter"):  # pale, so that the many small structures around it stand out
        return 0.93, 0.91, 0.86
    return colorsys.hsv_to_rgb((order * 0.618034) % 1, 0.55 + 0.35 * (order % 3) / 2, 0.95 - 0.25 * (order % 2))


def _abbreviation(structure: str, side: str) -> tuple[str, ...]:
    """ "ACgG anterior cingulate gyrus" on the right -> "Right anterior cingulate gyrus", "Right ACgG".

    An abbreviation has letters of what follows it only.
    """
    first, _, rest = structure.partition(" ")
    if not (rest[:1].islower() and first != first.lower() and set(first.lower()) <= set(rest)):
        return ()
    prefix = side.capitalize() + " " if side in ("left", "right") else ""
    return f"{prefix}{rest}", f"{prefix}{first}"


def _title(group: str) -> str:
    return _pairs("group_names.csv", "name", "title").get(group, group)


def _key_of_code(kind: str, key: str) -> str:
    return (key.rpartition("/")[2] if kind == "group" else key).casefold()


@cache
def _pairs(table: str, key: str, value: str) -> dict[str, str]:
    """Two columns of a table of the resources."""
    return {row[key]: row[value] for row in read_rows(resources_folder() / "Labels" / table, (key, value))}


@dataclass(frozen=True)
class _Codes:
    """Of a structure; those that the cited table has not are None. broader, position: see `Label`."""

    category: Code | None = None
    type: Code | None = None
    broader: Code | None = None
    position: Code | None = None

    @staticmethod
    def of(row: Row) -> _Codes:
        if "code" not in row:
            return _Codes()
        category = Code("SCT", row["category_code"], row["category_meaning"]) if "category_code" in row else None
        concept = Code(row["scheme"], row["code"], row["meaning"])
        if row["match"] == "exact":
            return _Codes(category, concept)
        return _Codes(category, None, concept, Code("SCT", row["modifier_code"], row["modifier_meaning"]))


@cache
def _codes() -> dict[tuple[str, str], _Codes]:
    """(kind, structure in lower case) -> its codes."""
    rows = read_rows(resources_folder() / "Labels" / "snomed.csv", ("kind", "structure", "code"))
    return {(row["kind"], row["structure"].casefold()): _Codes.of(row) for row in rows}
