"""Which label of one protocol is which part of another, as a trained network sees it: python -m
Training.studies.relations PACKAGE SCAN [SCAN ...] [-o STEM].

Of a package of several protocols the scans need no labels: they are divided by every protocol. The relation of label a
of one to label b of another is the mean probability of b, among the labels of its protocol, in the voxels where a wins;
beside it stands the overlap, the share of these voxels where b wins. Of a package of one protocol, such as one of
method=uniseg, the relation is the mean cosine of the features of the voxels of a to the prompt of b, and there is no
overlap, since its labels exclude each other. STEM.csv has all relations from --least on, STEM.png shows them.
"""

from __future__ import annotations

import argparse
import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from LabelConditionedSegmentationLib.core.inference.features import Features
from LabelConditionedSegmentationLib.core.inference.scoring import TILE
from LabelConditionedSegmentationLib.core.inference.segmenter import Segmenter
from LabelConditionedSegmentationLib.core.labels.label_tree import Label, LabelTree
from LabelConditionedSegmentationLib.core.scan.image_io import read_volume
from LabelConditionedSegmentationLib.core.scan.volume import Array
from LabelConditionedSegmentationLib.core.scan.whole_files import write_all
from matplotlib.figure import Figure
from tqdm import tqdm

from ..engine.program import ends_with_a_sentence
from ..engine.threads import use_threads

COLUMNS = ("protocol", "label", "other_protocol", "other_label", "relation", "overlap")


@dataclass(frozen=True)
class Relation:
    """How far a label is part of another one, 0 to 1. overlap: NaN where the labels exclude each other."""

    label: Label
    other: Label
    relation: float
    overlap: float


@dataclass(frozen=True)
class ClassRelations:
    """Of the classes of a network: (K, K) sums over the voxels that a class (row) won, how many those are (K,), and the
    tree that names them. overlap: None where there is one protocol.
    """

    tree: LabelTree
    sums: Array
    overlap: Array | None
    voxels: Array

    @property
    def leaves(self) -> list[tuple[int, Label]]:
        """The leaves with their classes among those of the network."""
        return [(self.tree.network_classes_under(leaf)[0], leaf) for leaf in self.tree.leaves]

    def between(self, label: Label, other: Label) -> Relation | None:
        """None where no voxel is the label, and inside a protocol whose labels compete."""
        row, column = (self.tree.network_classes_under(leaf)[0] for leaf in (label, other))
        if label == other or not self.voxels[row]:
            return None
        if self.overlap is None:
            return Relation(label, other, float(self.sums[row, column] / self.voxels[row]), float("nan"))
        if self.tree.protocol_of(label) == self.tree.protocol_of(other):
            return None
        found = (float(values[row, column] / self.voxels[row]) for values in (self.sums, self.overlap))
        return Relation(label, other, *found)

    def of(self, label: Label, least: float) -> list[Relation]:
        """The relations of a leaf to all others, from `least` on, the highest first."""
        found = (self.between(label, other) for other in self.tree.leaves)
        return sorted((r for r in found if r is not None and r.relation >= least), key=lambda r: -r.relation)


def measure(segmenter: Segmenter, scans: Sequence[Path]) -> ClassRelations:
    """The relations on all voxels of scans, on the grid of the features. Raises InputError where their features do not
    fit into memory.
    """
    tree = segmenter.package.labels
    sums, overlap = np.zeros((tree.classes, tree.classes)), np.zeros((tree.classes, tree.classes))
    voxels = np.zeros(tree.classes)
    for path in tqdm(scans, desc="relating labels", unit="scan"):
        for winners, values in _tiles(segmenter.features(read_volume(path)), tree):
            won = winners.double()
            sums += (won.T @ values.double()).numpy()
            overlap += (won.T @ won).numpy()
            voxels += won.sum(0).numpy()
    return ClassRelations(tree, sums, overlap if len(tree.protocols) > 1 else None, voxels)


def _tiles(features: Features, tree: LabelTree) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Of some voxels at a time: which classes win them, one a protocol, as (V, K) of 0 and 1, and (V, K) the
    probability of every class inside its protocol or, of a single one, its cosine.
    """
    stored = features.kept("relate its labels")
    prompts = features.prompts.part(slice(0, tree.classes))
    vectors, bias = prompts.vectors.cpu(), prompts.bias.cpu()
    for tile in torch.split(stored.reshape(-1, stored.shape[-1]).cpu().float(), TILE):
        scores = torch.addmm(bias, tile, vectors.T)
        winners, values = torch.zeros_like(scores), torch.zeros_like(scores)
        for part in tree.class_slices.values():
            winners[:, part].scatter_(1, scores[:, part].argmax(1, keepdim=True), 1)
            values[:, part] = scores[:, part].softmax(1)
        if len(tree.protocols) == 1:
            normalize = torch.nn.functional.normalize
            values = normalize(tile, dim=1) @ normalize(vectors, dim=1).T
        yield winners, values


def csv_of(found: ClassRelations, least: float) -> str:
    """A line a relation, those of a label one below the other."""
    text = io.StringIO(newline="")
    table = csv.writer(text)
    table.writerow(COLUMNS)
    for _, leaf in found.leaves:
        for relation in found.of(leaf, least):
            names = (name for x in (leaf, relation.other) for name in (found.tree.protocol_of(x).name, x.name))
            overlap = "" if np.isnan(relation.overlap) else f"{relation.overlap:.4f}"
            table.writerow([*names, f"{relation.relation:.4f}", overlap])
    return text.getvalue()


def figure_of(found: ClassRelations, least: float) -> Figure:
    """Labels of one protocol as rows, and of the next one as columns, ordered so that what belongs together lies on the
    diagonal; labels without a relation from `least` on are left out. Of a single protocol its labels are both.
    """
    parts = list(found.tree.parts.values())
    pairs = list(pairwise(parts)) or [(parts[0], parts[0])]
    tables = [_table(found, rows.leaves, columns.leaves, least) for rows, columns in pairs]
    inches = [0.14 * max(len(rows), 8) + 2.5 for rows, _, _ in tables]
    width = max(0.14 * max(len(columns), 8) + 4 for _, columns, _ in tables)
    figure = Figure(figsize=(width, sum(inches)), layout="constrained")
    places = figure.subplots(len(tables), 1, squeeze=False, height_ratios=inches)[:, 0]
    for axes, (rows, columns, values), (one, other) in zip(places, tables, pairs, strict=True):
        shown = axes.imshow(values, vmin=0, vmax=1, cmap="viridis", aspect="equal", interpolation="nearest")
        axes.set_yticks(range(len(rows)), [label.name for label in rows], fontsize=6, parse_math=False)
        axes.set_xticks(range(len(columns)), [x.name for x in columns], fontsize=6, rotation=90, parse_math=False)
        axes.set_ylabel(one.protocols[0].name)
        axes.set_xlabel(other.protocols[0].name)
    figure.colorbar(shown, ax=list(places), shrink=0.5, label="mean cosine" if len(parts) == 1 else "mean probability")
    return figure


def _table(
    found: ClassRelations, rows: Sequence[Label], columns: Sequence[Label], least: float
) -> tuple[list[Label], list[Label], Array]:
    """The labels that have relations, and those (rows, columns), NaN where there is none."""
    relations = {(row.id, column.id): found.between(row, column) for row in rows for column in columns}
    values = np.array([[r.relation if (r := relations[a.id, b.id]) else np.nan for b in columns] for a in rows])
    known = np.nan_to_num(values, nan=-1.0)
    kept = [n for n in range(len(rows)) if known[n].max() >= least]
    kept.sort(key=lambda n: (int(known[n].argmax()), -known[n].max()))
    among = [n for n in range(len(columns)) if known[:, n].max() >= least]
    return [rows[n] for n in kept], [columns[n] for n in among], values[np.ix_(kept, among)]


def print_best(found: ClassRelations, least: float) -> None:
    """Every leaf that has one with its closest relation."""
    for _, leaf in found.leaves:
        for relation in found.of(leaf, least)[:1]:
            overlap = "" if np.isnan(relation.overlap) else f"  (overlap {relation.overlap:.2f})"
            print(f"{leaf.name:45s} {relation.relation:5.2f}  {relation.other.name}{overlap}")


def _write_text(text: str, path: Path) -> None:
    path.write_text(text, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", type=Path, help="a model package")
    parser.add_argument("scans", type=Path, nargs="+", help="scans on which its labels are related")
    parser.add_argument("-o", "--output", type=Path, metavar="STEM", help="write STEM.csv and STEM.png")
    parser.add_argument("--least", type=float, default=0.1, help="the least relation that is told (default: 0.1)")
    parser.add_argument("--device", default="auto", help="auto (the default: a GPU if there is one), cpu, cuda:0, mps")
    parser.add_argument("--threads", type=int, help="of the network")
    arguments = parser.parse_args()
    use_threads(arguments.threads)
    with ends_with_a_sentence("Interrupted."):
        found = measure(Segmenter.from_package(arguments.package, arguments.device), arguments.scans)
        print_best(found, arguments.least)
        if arguments.output:
            stem, least = arguments.output, arguments.least
            text, figure = csv_of(found, least), figure_of(found, least)

            def write_table(path: Path) -> None:
                path.write_text(text, encoding="utf-8")

            pictures = partial(figure.savefig, dpi=150, format="png")
            write_all({stem.with_name(stem.name + ".csv"): write_table, stem.with_name(stem.name + ".png"): pictures})


if __name__ == "__main__":
    main()
