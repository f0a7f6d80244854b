"""Labelled scans for training: the nnU-Net raw layout with `labels.csv` and `participants.tsv`, read once and kept in memory on the network's grid."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from LabelConditionedSegmentationLib.core.checks import input_statistics
from LabelConditionedSegmentationLib.core.geometry import Grid, resample
from LabelConditionedSegmentationLib.core.image_io import read_volume
from LabelConditionedSegmentationLib.core.labels import LabelTree
from LabelConditionedSegmentationLib.core.metadata import MetadataSchema
from LabelConditionedSegmentationLib.core.preprocessing import InputSpec, is_foreground, position_channels, prepare
from torch.utils.data import Dataset

from Training.augmentation import Augmentation, SpatialAugmentation, intensity_augmentation, vary_intensity
from Training.losses.streamed_softmax import IGNORE


@dataclass(frozen=True)
class CaseFiles:
    """One labelled scan on disk, with what is known about it."""

    name: str
    image: Path
    label: Path
    metadata: dict[str, str]


@dataclass(frozen=True)
class Case:
    """One labelled scan in memory, on the network's grid.

    image (channel, k, j, i) float16 without position channels; target (k, j, i) uint8: class + 1, so that 0 is "unknown";
    annotated (classes,) bool; metadata (fields,) float32 with NaN for unknown; statistics: what `core.checks` measures of a scan.
    """

    name: str
    image: torch.Tensor
    target: torch.Tensor
    annotated: torch.Tensor
    metadata: torch.Tensor
    statistics: dict[str, float]


def find_cases(root: Path, names: Sequence[str] = ()) -> list[CaseFiles]:
    """The cases of a data set in the nnU-Net raw layout, all of them or those named, sorted by name."""
    if not (root / "labelsTr").is_dir():
        raise SystemExit(f'"{root}" is no data set in the raw layout of nnU-Net: it has no folder labelsTr.')
    people = read_participants(root / "participants.tsv")
    cases = []
    for label in sorted((root / "labelsTr").glob("*.nii.gz")):
        name = label.name.removesuffix(".nii.gz")
        if not names or name in names:
            cases.append(CaseFiles(name, root / "imagesTr" / f"{name}_0000.nii.gz", label, people.get(name, {})))
    missing = sorted(set(names) - {case.name for case in cases})
    missing += [str(case.image) for case in cases if not case.image.exists()]
    if missing or not cases:
        raise SystemExit(f"The data set {root} lacks: {', '.join(missing) or 'any case (labelsTr/*.nii.gz)'}.")
    return cases


def read_participants(path: Path) -> dict[str, dict[str, str]]:
    """`participants.tsv` (BIDS): participant -> its fields; empty where there is no such file. "n/a" is unknown."""
    if not path.exists():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    return {row["participant_id"]: {k: v for k, v in row.items() if k != "participant_id" and v != "n/a"} for row in rows}


def load_case(files: CaseFiles, spec: InputSpec, tree: LabelTree, schema: MetadataSchema, multiple: int) -> Case:
    """Read a case, put it on the network's grid and turn label ids into classes. Ids that are no leaf of the tree become unknown."""
    label_volume = read_volume(files.label)
    network_input = prepare(read_volume(files.image), spec, multiple, with_position=False)
    ids = torch.from_numpy(label_volume.array.astype(np.int32))
    on_grid = resample(ids.movedim(0, -1), Grid.of(label_volume), network_input.grid, nearest=True)[..., 0].numpy()
    table = np.zeros(max(int(on_grid.max()), 255) + 1, dtype=np.uint8)
    table[0] = 1
    for leaf_id, cls in tree.class_of.items():
        table[leaf_id] = cls + 1
    parsed, _ = schema.parse({f.name: files.metadata.get(f.name) for f in schema.fields})
    return Case(
        files.name,
        network_input.image.half(),
        torch.from_numpy(table[on_grid]),
        torch.ones(len(tree.leaves) + 1, dtype=torch.bool),
        torch.from_numpy(schema.encode(parsed)),
        input_statistics(network_input),
    )


class Samples(Dataset[dict[str, torch.Tensor]]):
    """Sample number n of a training run: reproducible from (seed, n) alone, whichever process makes it and wherever a run was resumed.

    A sample: image (channel [+3], k, j, i) float32; points (P, 3) in normalised (i, j, k) coordinates of the patch; target (P,) classes or IGNORE;
    annotated (classes,) bool; metadata (fields,).
    """

    def __init__(
        self,
        cases: Sequence[Case],
        tree: LabelTree,
        patch: tuple[int, int, int],
        points: int,
        seed: int,
        length: int,
        augmentation: Augmentation,
        with_position: bool,
        field_dropout: float,
    ) -> None:
        self.cases = cases
        self.points = points
        self.seed = seed
        self.length = length
        self.augmentation = augmentation
        self.with_position = with_position
        self.field_dropout = field_dropout
        self.spatial = SpatialAugmentation(augmentation, patch, tree.mirrored_classes)
        self.intensity = intensity_augmentation()

    def __len__(self) -> int:
        return self.length

    def case_of(self, number: int) -> Case:
        """Every case once an epoch, in an order shuffled anew each time."""
        epoch, place = divmod(number, len(self.cases))
        order = np.random.default_rng([self.seed, 1, epoch]).permutation(len(self.cases))
        return self.cases[int(order[place])]

    def __getitem__(self, number: int) -> dict[str, torch.Tensor]:
        generator = np.random.default_rng([self.seed, 2, number])
        case = self.case_of(number)
        image, target = self.spatial(case.image.float(), case.target.long() - 1, generator)
        if self.augmentation.intensity:
            image = vary_intensity(image, self.intensity, generator)
        points, classes = draw_points(target, self.points, generator)
        if self.with_position:
            image = torch.cat([image, position_channels(is_foreground(image))])
        dropped = torch.from_numpy(generator.random(case.metadata.shape[0]) < self.field_dropout)
        metadata = torch.where(dropped, torch.full_like(case.metadata, torch.nan), case.metadata)
        return {"image": image, "points": points, "target": classes, "annotated": case.annotated, "metadata": metadata, "number": torch.tensor(number)}


def draw_points(target: torch.Tensor, count: int, generator: np.random.Generator, background: float = 0.1) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw voxels where the loss is taken: mostly structures, a share of background, never unknown ones.

    target (k, j, i). Returns normalised (i, j, k) coordinates (count, 3) as `grid_sample` takes them, and the classes (count,).
    """
    flat = target.reshape(-1).numpy()
    structures, rest = np.flatnonzero(flat > 0), np.flatnonzero(flat == 0)
    if structures.size == 0 or rest.size == 0:
        structures = rest = np.flatnonzero(flat != IGNORE)
    few = int(count * background)
    chosen = np.concatenate([generator.choice(structures, count - few), generator.choice(rest, few)])
    index = np.stack(np.unravel_index(chosen, target.shape), axis=1)[:, ::-1]
    size = np.array(target.shape[::-1])
    points = torch.from_numpy((2 * (index + 0.5) / size - 1).astype(np.float32))
    return points, torch.from_numpy(flat[chosen].astype(np.int64))
