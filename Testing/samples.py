"""Small things that tests are made with: a scan-like volume, a label tree with sides and parents, a package with random
weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from LabelConditionedSegmentationLib.core.labels.label_tree import Code, Label, LabelTree, Protocol
from LabelConditionedSegmentationLib.core.network.architecture import Architecture
from LabelConditionedSegmentationLib.core.network.model import LabelConditionedNetwork
from LabelConditionedSegmentationLib.core.package.model_package import ModelPackage, save_package
from LabelConditionedSegmentationLib.core.scan.input_spec import InputSpec
from LabelConditionedSegmentationLib.core.scan.metadata import Field, MetadataSchema
from LabelConditionedSegmentationLib.core.scan.volume import Affine, Array, Volume

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
"""Labelled scans that lie beside a developer's checkout; tests that need them skip where they are missing."""

SCHEMA = MetadataSchema(
    (
        Field("sex", "choice", choices=("F", "M"), dicom=("PatientSex",)),
        Field("age", "number", unit="years", possible=(0, 120), trained=(19, 34), dicom=("PatientAge",)),
    )
)

TINY = Architecture(widths=(4, 8), blocks=(1, 1), output_stride=2, feature_channels=8)

SEEING = Architecture(
    widths=(16,), blocks=(1,), output_stride=1, feature_channels=16, position=False, film="none", examples=True
)
"""Of `seeing_network`."""


def dice(one: Array, other: Array) -> float:
    """Dice of two masks of one shape, bool; 0 where both are empty."""
    either = int(one.sum()) + int(other.sum())
    return 2 * int((one & other).sum()) / max(either, 1)


def scan(shape: tuple[int, int, int] = (36, 44, 40), affine: Affine | None = None, seed: int = 0) -> Volume:
    """A skull-stripped-looking scan: smooth random tissue in an ellipsoid, 0 outside; int16, axes along RAS at 1 mm by
    default.
    """
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 1, *(max(2, n // 5) for n in shape), generator=generator)
    tissue = torch.nn.functional.interpolate(coarse, size=shape, mode="trilinear", align_corners=True)[0, 0].numpy()
    axes = [np.linspace(-1, 1, n) for n in shape]
    radius = sum(a**2 for a in np.meshgrid(*axes, indexing="ij"))
    noise = np.random.default_rng(seed).normal(0, 5, shape)
    voxels = np.where(radius < 0.8, 200 + 700 * tissue + noise, 0).astype(np.int16)
    return Volume(voxels[None], np.diag([1.0, 1, 1, 1]) if affine is None else affine)


def scan_of_parts(
    shape: tuple[int, int, int] = (36, 44, 40), affine: Affine | None = None, seed: int = 0
) -> tuple[Volume, dict[str, Array]]:
    """A scan whose tissue holds two balls of other brightness, and their masks (k, j, i) by name: "bright" and "dark".
    Places and sizes in parts of the shape.
    """
    axes = [np.linspace(-1, 1, n) for n in shape]
    k, j, i = np.meshgrid(*axes, indexing="ij")
    inside = k**2 + j**2 + i**2 < 0.8
    balls = {
        "bright": (k - 0.2) ** 2 + (j - 0.3) ** 2 + (i + 0.3) ** 2 < 0.1,
        "dark": (k + 0.2) ** 2 + (j + 0.3) ** 2 + (i - 0.3) ** 2 < 0.08,
    }
    voxels = np.where(inside, 500, 0) + 220 * balls["bright"] - 90 * balls["dark"]
    voxels = np.where(inside, voxels + np.random.default_rng(seed).normal(0, 8, shape), 0)
    return Volume(voxels.astype(np.int16)[None], np.eye(4) if affine is None else affine), balls


def label_tree(leaves: int = 6) -> LabelTree:
    """Two groups over left, right and midline leaves; ids are not consecutive; some labels have codes and synonyms."""
    labels = [Label(200, "Deep gray matter"), Label(201, "Rest")]
    anatomical = Code("SCT", "123037004", "Anatomical Structure")
    names = ["Hippocampus", "Amygdala", "Putamen", "Caudate", "Thalamus", "Pallidum"]
    for n in range(leaves):
        structure, side = (names[n // 2] if n // 2 < len(names) else f"Structure {n // 2}"), ("Left", "Right")[n % 2]
        parent = 200 if n < leaves // 2 + 1 else 201
        kind = Code("SCT", "5366008", "Hippocampus") if structure == "Hippocampus" else None
        modifier = (
            (Code("SCT", "7771000", "Left") if n % 2 == 0 else Code("SCT", "24028007", "Right")) if kind else None
        )
        color = ((0.37 * n) % 1, (0.61 * n + 0.2) % 1, (0.83 * n + 0.4) % 1)
        ident = 47 - n if n < 20 else 1000 + n
        labels.append(
            Label(
                ident,
                f"{side} {structure}",
                parent,
                (f"{structure} {side[0]}",),
                color,
                side.lower(),
                anatomical if kind else None,
                kind,
                modifier,
            )
        )
    return LabelTree(tuple(labels))


def two_protocols() -> LabelTree:
    """The labels of `label_tree`, as two ways to divide a scan: "deep" with four leaves and "rest" with two."""
    return LabelTree(label_tree().labels, (Protocol("deep", (200,)), Protocol("rest", (201,))))


def rival_protocols() -> LabelTree:
    """Two ways to divide a scan that have names in common, of which each has a label of its own: the labels of
    `label_tree` as "Fine", and as "Coarse" the hippocampi and the remainder.
    """
    fine = tuple(replace(x, synonyms=(*x.synonyms, f"{x.name} (Fine)")) for x in label_tree().labels)
    coarse = [
        Label(300 + n, f"{side} Hippocampus (Coarse)", None, (f"{side} Hippocampus",), laterality=side.lower())
        for n, side in enumerate(("Left", "Right"))
    ]
    protocols = Protocol("Fine", (200, 201)), Protocol("Coarse", (300, 301, 302))
    return LabelTree((*fine, *coarse, Label(302, "Remainder")), protocols)


def network(architecture: Architecture = TINY, tree: LabelTree | None = None, seed: int = 0) -> LabelConditionedNetwork:
    """A network with random weights whose labels all win somewhere."""
    torch.manual_seed(seed)
    tree = tree or label_tree()
    made = LabelConditionedNetwork(architecture, tree.classes, SCHEMA.fields)
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if ".film.layers" in name:  # zero at the start, so that metadata would change nothing
                parameter.normal_(0, 0.3)
    return made.eval()


def seeing_network(tree: LabelTree | None = None, seed: int = 0) -> LabelConditionedNetwork:
    """A network set by hand that provably finds by example what differs in brightness; its classes are random.

    Features: how near a voxel's brightness lies to each of a row of values (triangular bumps). Prompt: their mean
    inside the mask less their mean around it.
    """
    made = network(SEEING, tree, seed)
    weights, width = dict(made.named_parameters()), SEEING.widths[0]
    with torch.no_grad():
        for name, parameter in weights.items():
            if not name.startswith("head."):
                parameter.zero_()
        weights["trunk.stem.weight"][:, :, 1, 1, 1] = 1
        weights["trunk.stem_norm.weight"].fill_(1)
        weights["trunk.stem_norm.bias"].copy_(
            torch.linspace(2, -4.5, width)
        )  # after the activation: how far above each of these values
        for n in range(width - 2):
            weights["trunk.to_features.weight"][n, n : n + 3, 0, 0, 0] = (
                torch.tensor([1.0, -2.0, 1.0]) * (width - 1) / 6.5
            )
        weights["examples.norm.weight"].fill_(1)
        weights["examples.direct.weight"][:, 2 * width : 3 * width] = 10 * torch.eye(width)
        weights["examples.direct.weight"][:, 3 * width : 4 * width] = -10 * torch.eye(width)
        weights["examples.refined.bias"][-1] = -2
    return made


def bright_finder(folder: Path, name: str = "outer") -> ModelPackage:
    """A package whose first label, a group of `label_tree`, is what is far brighter than the rest of a scan."""
    tree = label_tree()
    made = seeing_network(tree)
    weights = dict(made.named_parameters())
    bright = tree.classes_under(tree.roots[0])[0]
    with torch.no_grad():
        weights["head.prompts"].zero_()
        weights["head.bias"].fill_(-100)
        weights["head.bias"][0] = 0
        weights["head.prompts"][bright, 6:14] = 8
        weights["head.bias"][bright] = -4
    return package(folder, SEEING, tree, name=name, made=made)


def package(
    folder: Path,
    architecture: Architecture = TINY,
    tree: LabelTree | None = None,
    patch: Sequence[int] = (32, 32, 32),
    flip: bool = False,
    spec: InputSpec | None = None,
    name: str = "tiny",
    statistics: dict[str, list[float]] | None = None,
    made: LabelConditionedNetwork | None = None,
) -> ModelPackage:
    """A complete model package in `folder`/`name`, of the network `made` or with random weights."""
    tree = tree or label_tree()
    about = {"title": "Tiny", "licence": "CC0", "intended_use": "tests", "provenance": {"training_cases": ["case_1"]}}
    return save_package(
        folder / name,
        made or network(architecture, tree),
        name,
        spec or InputSpec(),
        tree,
        SCHEMA,
        patch,
        "# Tiny\n",
        about,
        flip,
        statistics or {},
    )
