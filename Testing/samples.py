"""Small things that tests are made with: a scan-like volume, a label tree with sides and parents, a package with random weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from LabelConditionedSegmentationLib.core.input_spec import InputSpec
from LabelConditionedSegmentationLib.core.labels import Code, Label, LabelTree
from LabelConditionedSegmentationLib.core.metadata import Field, MetadataSchema
from LabelConditionedSegmentationLib.core.network.architecture import Architecture
from LabelConditionedSegmentationLib.core.network.model import LabelConditionedNetwork
from LabelConditionedSegmentationLib.core.package import ModelPackage, save_package
from LabelConditionedSegmentationLib.core.volume import Affine, Volume

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
"""Labelled scans that lie beside a developer's checkout; tests that need them skip where they are missing."""

SCHEMA = MetadataSchema(
    (
        Field("sex", "choice", choices=("F", "M"), dicom=("PatientSex",)),
        Field("age", "number", unit="years", possible=(0, 120), trained=(19, 34), dicom=("PatientAge",)),
    )
)

TINY = Architecture(widths=(4, 8), blocks=(1, 1), output_stride=2, feature_channels=8)


def scan(shape: tuple[int, int, int] = (36, 44, 40), affine: Affine | None = None, seed: int = 0) -> Volume:
    """A skull-stripped-looking scan: smooth random tissue in an ellipsoid, 0 outside; int16, axes along RAS at 1 mm by default."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 1, *(max(2, n // 5) for n in shape), generator=generator)
    tissue = torch.nn.functional.interpolate(coarse, size=shape, mode="trilinear", align_corners=True)[0, 0].numpy()
    axes = [np.linspace(-1, 1, n) for n in shape]
    radius = sum(a**2 for a in np.meshgrid(*axes, indexing="ij"))
    noise = np.random.default_rng(seed).normal(0, 5, shape)
    voxels = np.where(radius < 0.8, 200 + 700 * tissue + noise, 0).astype(np.int16)
    return Volume(voxels[None], np.diag([1.0, 1, 1, 1]) if affine is None else affine)


def label_tree(leaves: int = 6) -> LabelTree:
    """Two groups over left, right and midline leaves; ids are not consecutive; some labels have codes and synonyms."""
    labels = [Label(200, "Deep gray matter"), Label(201, "Rest")]
    anatomical = Code("SCT", "123037004", "Anatomical Structure")
    names = ["Hippocampus", "Amygdala", "Putamen", "Caudate", "Thalamus", "Pallidum"]
    for n in range(leaves):
        structure, side = (names[n // 2] if n // 2 < len(names) else f"Structure {n // 2}"), ("Left", "Right")[n % 2]
        parent = 200 if n < leaves // 2 + 1 else 201
        kind = Code("SCT", "5366008", "Hippocampus") if structure == "Hippocampus" else None
        modifier = (Code("SCT", "7771000", "Left") if n % 2 == 0 else Code("SCT", "24028007", "Right")) if kind else None
        color = ((0.37 * n) % 1, (0.61 * n + 0.2) % 1, (0.83 * n + 0.4) % 1)
        ident = 47 - n if n < 20 else 1000 + n
        labels.append(
            Label(ident, f"{side} {structure}", parent, (f"{structure} {side[0]}",), color, side.lower(), anatomical if kind else None, kind, modifier)
        )
    return LabelTree(tuple(labels))


def network(architecture: Architecture = TINY, tree: LabelTree | None = None, seed: int = 0) -> LabelConditionedNetwork:
    """A network with random weights whose labels all win somewhere."""
    torch.manual_seed(seed)
    tree = tree or label_tree()
    made = LabelConditionedNetwork(architecture, len(tree.leaves) + 1, SCHEMA.fields)
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if ".film.layers" in name:  # zero at the start, so that metadata would change nothing
                parameter.normal_(0, 0.3)
    return made.eval()


def package(
    folder: Path,
    architecture: Architecture = TINY,
    tree: LabelTree | None = None,
    patch: Sequence[int] = (32, 32, 32),
    flip: bool = False,
    spec: InputSpec | None = None,
    name: str = "tiny",
    statistics: dict[str, list[float]] | None = None,
) -> ModelPackage:
    """A complete model package with random weights in `folder`/`name`."""
    tree = tree or label_tree()
    about = {"title": "Tiny", "licence": "CC0", "intended_use": "tests", "provenance": {"training_cases": ["case_1"]}}
    return save_package(folder / name, network(architecture, tree), name, spec or InputSpec(), tree, SCHEMA, patch, "# Tiny\n", about, flip, statistics or {})
