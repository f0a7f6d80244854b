"""From a data set's `labels.csv` to a label tree: compartments, groups, structures, with codes from the cited table and distinct colours."""

from __future__ import annotations

import colorsys
import csv
from pathlib import Path

from LabelConditionedSegmentationLib.core.labels import Code, Label, LabelTree
from LabelConditionedSegmentationLib.resources import resources_folder

SNOMED_TABLE = resources_folder() / "Labels" / "snomed.csv"

PRETTY = {
    "ventricles_csf": "Ventricles and CSF",
    "deep_gray": "Deep gray matter",
    "brainstem_dc": "Brain stem and ventral diencephalon",
    "white_matter": "Cerebral white matter and optic chiasm",
    "cerebellum": "Cerebellum",
    "cortex": "Cerebral cortex",
    "cingulate": "Cingulate cortex",
    "insula": "Insular cortex",
    "frontal": "Frontal cortex",
    "parietal": "Parietal cortex",
    "temporal": "Temporal cortex",
    "occipital": "Occipital cortex",
}
UNDIVIDED = {
    "Left Insula": ("Left AIns anterior insula", "Left PIns posterior insula"),
    "Right Insula": ("Right AIns anterior insula", "Right PIns posterior insula"),
}
"""Labels that some cases carry in place of their parts: parents in the tree."""


def read_table(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file; a missing one ends the program with a sentence."""
    if not path.is_file():
        raise SystemExit(
            f'There is no table "{path}"; a data set needs a labels.csv with the columns id, name, structure, hemisphere, group, compartment, scored.'
        )
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def brain_tree(labels_csv: Path, snomed_csv: Path = SNOMED_TABLE) -> LabelTree:
    """The label tree of the MICCAI 2012 whole-brain protocol: compartment > group > (undivided structure >) leaf, only scored structures as leaves."""
    rows = [row for row in read_table(labels_csv) if row["scored"] == "1" or row["name"] in UNDIVIDED]
    codes = _codes(snomed_csv)
    free_ids = iter(sorted(set(range(1, 256)) - {int(row["id"]) for row in read_table(labels_csv)}, reverse=True))
    labels: list[Label] = []
    group_ids: dict[tuple[str, str], int] = {}
    for compartment in dict.fromkeys(row["compartment"] for row in rows):
        group_ids[compartment, compartment] = next(free_ids)
        labels.append(_group(group_ids[compartment, compartment], compartment, None, codes))
        for group in dict.fromkeys(row["group"] for row in rows if row["compartment"] == compartment):
            if group != compartment:
                group_ids[compartment, group] = next(free_ids)
                labels.append(_group(group_ids[compartment, group], group, group_ids[compartment, compartment], codes))
    by_name = {row["name"]: int(row["id"]) for row in rows}
    undivided = {part: whole for whole, parts in UNDIVIDED.items() if whole in by_name for part in parts}
    structures = list(dict.fromkeys(row["structure"] for row in rows))
    for row in rows:
        above = undivided.get(row["name"])
        parent = by_name[above] if above else group_ids[row["compartment"], row["group"]]
        labels.append(_structure(row, parent, structures, codes))
    return LabelTree(tuple(labels))


def _codes(snomed_csv: Path) -> dict[tuple[str, str], tuple[Code | None, Code | None]]:
    """(kind, structure) -> (category, type), both None where the table has no code."""
    out = {}
    for row in read_table(snomed_csv):
        known = bool(row["code"])
        category = Code("SCT", row["category_code"], row["category_meaning"]) if known and row["category_code"] else None
        out[row["kind"], row["structure"]] = (category, Code("SCT", row["code"], row["meaning"]) if known else None)
    return out


def _group(label_id: int, name: str, parent: int | None, codes: dict[tuple[str, str], tuple[Code | None, Code | None]]) -> Label:
    category, kind = codes.get(("compartment" if parent is None else "group", name), (None, None))
    red, green, blue = colorsys.hsv_to_rgb((label_id * 0.381966) % 1, 0.35, 0.85)
    return Label(label_id, PRETTY.get(name, name), parent, color=(red, green, blue), category=category, type=kind)


def _structure(row: dict[str, str], parent: int, structures: list[str], codes: dict[tuple[str, str], tuple[Code | None, Code | None]]) -> Label:
    category, kind = codes.get(("label", row["structure"]), (None, None))
    side = row["hemisphere"]
    modifier = codes[("modifier", side)][1] if kind and side in ("left", "right") else None
    order = structures.index(row["structure"])
    if row["structure"].endswith("White Matter"):  # pale, so that the many small structures around it stand out
        red, green, blue = 0.93, 0.91, 0.86
    else:
        red, green, blue = colorsys.hsv_to_rgb((order * 0.618034) % 1, 0.55 + 0.35 * (order % 3) / 2, 0.95 - 0.25 * (order % 2))
    return Label(
        int(row["id"]), row["name"], parent, _synonyms(row), (red, green, blue), side if side in ("left", "right", "midline") else "", category, kind, modifier
    )


def _synonyms(row: dict[str, str]) -> tuple[str, ...]:
    """ "Right ACgG anterior cingulate gyrus" -> "Right anterior cingulate gyrus", "Right ACgG"."""
    side = row["hemisphere"].capitalize() + " " if row["hemisphere"] in ("left", "right") else ""
    first, _, rest = row["structure"].partition(" ")
    is_abbreviation = rest[:1].islower() and sum(c.isupper() for c in first) >= 1
    return (f"{side}{rest}", f"{side}{first}") if is_abbreviation else ()
