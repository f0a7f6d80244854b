"""What `brain` loses where a scan is not as those that it learned from: worse, thicker, turned, cut, and of other
contrasts, made and real.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from LabelConditionedSegmentationLib.core.inference.segmenter import Segmenter
from LabelConditionedSegmentationLib.core.labels.label_tree import LabelTree
from LabelConditionedSegmentationLib.core.scan.geometry import Grid, resample
from LabelConditionedSegmentationLib.core.scan.image_io import read_volume
from LabelConditionedSegmentationLib.core.scan.volume import Array, Volume
from LabelConditionedSegmentationLib.resources import resources_folder

from Testing.samples import dice
from Training.data.catalogue import label_table
from Training.data.class_maps import ClassMap, divided_by_intensity, generation_classes
from Training.data.made_images import ImageMaker, thick_slices
from Training.data.tissue_curves import TissueCurve
from Training.engine.config import read_config
from Training.evaluation.markdown import markdown_table

SCANS = Path(os.environ.get("LCS_MALC2012", "../shared/data/malc2012"))
PATIENT = Path(os.environ.get("LCS_HEADS", "../shared/data/heads")) / "ms"
MODEL = Path(os.environ.get("LCS_MODEL", resources_folder() / "Models" / "brain"))
RECIPE = Path("brain_contrasts.yaml")
CASES = os.environ.get("LCS_SHIFT_CASES", "malc_1002 malc_1009 malc_1013").split()
SEED = 7

Truth = tuple[Volume, Volume]
"""A scan and its label map on the same grid."""

Metadata = Mapping[str, str]
"""What is told of a scan: field -> value."""


def run() -> str:
    """Markdown of this section."""
    parts = []
    with Segmenter.from_package(MODEL, "cpu") as segmenter:
        if SCANS.is_dir():
            head = ["scan", "Dice, 134 labels", "groups", "lost", "contrast told", "told wrongly"]
            parts.append(markdown_table(head, list(_shifted(segmenter))))
        if PATIENT.is_dir():
            parts.append("\n".join(_patient(segmenter)))
    return "\n\n".join(parts)


def _shifted(segmenter: Segmenter) -> Iterator[list[str]]:
    """A row for every shift: the mean over the scans with nothing told, what is lost by it, and the same scans with
    their contrast told, and with another one told (T2 of a T1 scan, T1 of every other).
    """
    truths = [truth_of(name) for name in CASES]
    tells = reads_contrast(segmenter)
    plain = 0.0
    for name, shift in SHIFTS.items():
        shifted = [shift(*truth) for truth in truths]
        contrast = CONTRASTS.get(name, "T1")
        told = [{}, {"contrast": contrast}, {"contrast": "T2" if contrast == "T1" else "T1"}] if tells else [{}]
        found = [np.mean([_dice_of(segmenter, *each, metadata) for each in shifted], axis=0) for metadata in told]
        plain = plain or float(found[0][0])
        further = [f"{dice_told[0]:.3f}" for dice_told in found[1:]] or ["-", "-"]
        yield [name, f"{found[0][0]:.3f}", f"{found[0][1]:.3f}", f"{plain - found[0][0]:.3f}", *further]


def reads_contrast(segmenter: Segmenter) -> bool:
    """Whether its model may be told the contrast of a scan."""
    return any(field.name == "contrast" for field in segmenter.package.metadata.fields)


def truth_of(name: str) -> Truth:
    scan = read_volume(SCANS / "imagesTr" / f"{name}_0000.nii.gz")
    return scan, read_volume(SCANS / "labelsTr" / f"{name}.nii.gz")


def _dice_of(segmenter: Segmenter, scan: Volume, truth: Volume, told: Metadata) -> tuple[float, float]:
    """Mean Dice over the leaves, and over the groups at the top of the tree, with this told of the scan."""
    found = segmenter.segment(scan, metadata=told, stripped="yes").label_map.array[0]
    return agreement(segmenter.package.labels, found, truth.array[0])


def agreement(tree: LabelTree, found: Array, truth: Array) -> tuple[float, float]:
    """Mean Dice of two label maps (k, j, i) over the leaves that the truth has, and over the top of the tree."""
    top = [[leaf.id for leaf in tree.leaves_under(root)] for root in tree.roots]
    known = np.isin(truth, [0, *(leaf.id for leaf in tree.leaves)])  # the others are unknown
    leaves = [[leaf.id] for leaf in tree.leaves if bool((truth == leaf.id).any())]
    means = []
    for wanted in (leaves, top):
        masks = [(np.isin(found, ids) & known, np.isin(truth, ids)) for ids in wanted]
        means.append(float(np.mean([dice(one, other) for one, other in masks])))
    return means[0], means[1]


def _inside(scan: Volume, change: Callable[[Array], Array]) -> Volume:
    """The scan with its foreground changed, from 0 to 1, and its background as it is."""
    array = scan.array[0].astype(np.float32)
    inside = array > 0
    high = np.quantile(array[inside], 0.99)
    changed = 1 + 999 * change(array / high).clip(0, 1.5)  # never 0, which is outside
    return scan.with_array(np.where(inside, changed, 0)[None].astype(np.float32))


def _noise(scan: Volume, truth: Volume) -> Truth:
    generator = np.random.default_rng(SEED)
    return _inside(
        scan, lambda image: np.hypot(*(image * n + generator.normal(0, 0.07, image.shape) for n in (1, 0)))
    ), truth


def _bias(scan: Volume, truth: Volume) -> Truth:
    knots = torch.from_numpy(np.random.default_rng(SEED).normal(0, 0.35, (1, 1, 4, 4, 4))).float()
    field = torch.nn.functional.interpolate(knots, size=scan.shape, mode="trilinear", align_corners=False)
    return _inside(scan, lambda image: image * field[0, 0].exp().numpy()), truth


def _gamma(exponent: float) -> Callable[[Volume, Volume], Truth]:
    return lambda scan, truth: (_inside(scan, lambda image: image**exponent), truth)


def _inverted(scan: Volume, truth: Volume) -> Truth:
    return _inside(scan, lambda image: 1.1 - image.clip(0, 1.1)), truth


def _constant_background(scan: Volume, truth: Volume) -> Truth:
    array = scan.array.astype(np.float32)
    return scan.with_array(np.where(array > 0, array + 100, 100)), truth


def _cut(scan: Volume, truth: Volume) -> Truth:
    """Without the lowest 30 % of the brain."""
    up = int(np.abs(scan.affine[2, :3]).argmax())
    axis = 3 - up  # of (channel, k, j, i)
    filled = np.flatnonzero(scan.array.any(axis=tuple(n for n in range(4) if n != axis)))
    first, last = int(filled[0]), int(filled[-1]) + 1
    lost = round(0.3 * (last - first))
    rising = scan.affine[2, up] > 0
    gone = slice(first, first + lost) if rising else slice(last - lost, last)
    cut = [volume.array.copy() for volume in (scan, truth)]
    for array in cut:
        array[(slice(None),) * axis + (gone,)] = 0
    return scan.with_array(cut[0]), truth.with_array(cut[1])


VOXELS = {
    "2 x 2 x 4 mm": (4, 2, 2),
    "1 x 1 x 5 mm": (5, 1, 1),
    "1 x 5 x 1 mm": (1, 5, 1),
    "5 x 1 x 1 mm": (1, 1, 5),
}
"""Shifts to coarse voxels, of these mm along the scan's (k, j, i)."""


def _thick(wanted: tuple[int, int, int]) -> Callable[[Volume, Volume], Truth]:
    """As scanned with coarse voxels, and put back on the grid of the scan."""

    def shift(scan: Volume, truth: Volume) -> Truth:
        spacing = np.linalg.norm(scan.affine[:3, :3], axis=0)[::-1]
        image = torch.from_numpy(scan.array[0].astype(np.float32))
        thick = thick_slices(image, wanted, spacing.tolist()).numpy()
        return scan.with_array(np.where(thick > 0.25 * thick[scan.array[0] > 0].mean(), thick, 0)[None]), truth

    return shift


def _turned(scan: Volume, truth: Volume) -> Truth:
    """A head that was turned by 20 degrees about two axes, on a grid of the same voxels."""
    angle = np.deg2rad(20)
    c, s = np.cos(angle), np.sin(angle)
    turn = np.eye(4)
    turn[:3, :3] = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    centre = scan.affine @ np.array([*((n - 1) / 2 for n in scan.shape[::-1]), 1.0])
    turn[:3, 3] = centre[:3] - turn[:3, :3] @ centre[:3]
    here = Grid.of(scan)
    wide = here.box(tuple(-25 for _ in range(3)), tuple(n + 25 for n in scan.shape))  # type: ignore[arg-type]
    source = Grid(turn @ scan.affine, scan.shape)
    padded = [np.pad(volume.array[0], 1) for volume in (scan, truth)]  # beyond the scan there is 0
    source = source.box((-1, -1, -1), tuple(n + 1 for n in scan.shape))  # type: ignore[arg-type]
    image, labels = (
        resample(torch.from_numpy(array.astype(kind))[..., None], source, wide, nearest=nearest)[..., 0].numpy()
        for array, kind, nearest in zip(padded, (np.float32, np.int32), (False, True), strict=True)
    )
    image = np.where(image > 0.25 * image[labels > 0].mean(), image, 0)
    return Volume(image[None], wide.affine), Volume(labels[None], wide.affine)


def _made(contrast: str) -> Callable[[Volume, Volume], Truth]:
    """An image of a contrast made from the label map, whose classes the scan divides; no other fault."""

    def shift(scan: Volume, truth: Volume) -> Truth:
        settings = read_config(RECIPE).acquisition
        wanted = [replace(each, share=1.0) for each in settings.contrasts if each.name == contrast]
        calm = replace(
            settings, contrasts=wanted, around=0, cropped=0, sharp=1, noise=0.02, bias=0.2, gamma=0, divided=0
        )
        table, _ = label_table(SCANS / "labels.csv")
        names, classes = generation_classes(truth.array[0], table, ["Cerebral cortex"])
        image = scan.array[0].astype(np.float32)
        divided, names, levels = divided_by_intensity(classes, names, image, image > 0, 4)
        whole = ClassMap(torch.from_numpy(divided), tuple(frozenset(each) for each in names), tuple(levels))
        spacing = tuple(np.linalg.norm(scan.affine[:3, :3], axis=0).tolist())
        maker = ImageMaker(len(names), (), spacing, calm, TissueCurve(whole, calm.tissues))
        made = maker(whole.classes, np.random.default_rng(SEED))
        shown = np.where(made.foreground, 1000 + 300 * made.image.numpy().clip(-3, 6), 0)
        return scan.with_array(shown[None].astype(np.float32)), truth

    return shift


SHIFTS: dict[str, Callable[[Volume, Volume], Truth]] = {
    "as it is": lambda scan, truth: (scan, truth),
    "noise, 7 % of the range": _noise,
    "bias field": _bias,
    "gamma 0.6": _gamma(0.6),
    "gamma 1.6": _gamma(1.6),
    **{name: _thick(voxel) for name, voxel in VOXELS.items()},
    "turned by 20 degrees": _turned,
    "lowest 30 % cut off": _cut,
    "constant background": _constant_background,
    "inverted": _inverted,
    "made T1": _made("T1"),
    "made T2": _made("T2"),
    "made FLAIR": _made("FLAIR"),
    "made PD": _made("PD"),
}
"""What is done to a scan and its label map."""

CONTRASTS = {
    "inverted": "other",
    "made T2": "T2",
    "made FLAIR": "FLAIR",
    "made PD": "PD",
}
"""The contrast of a shifted scan, where it is no longer T1."""


def _patient(segmenter: Segmenter) -> Iterator[str]:
    """T2 and FLAIR of one person against the answer on the T1, and what becomes of the lesions."""
    yield "| scan of the patient | contrast | Dice with the answer on the T1 | groups | lesion voxels in white matter |"
    yield "| --- | --- | --- | --- | --- |"
    tree = segmenter.package.labels
    white = [leaf.id for leaf in tree.leaves if "White Matter" in leaf.name and "Cerebral" in leaf.name]
    lesions = read_volume(PATIENT / "patient07_lesions.nii.gz").array[0] > 0
    tells = reads_contrast(segmenter)
    reference: Array | None = None
    for contrast in ("T1", "T2", "FLAIR"):
        scan = read_volume(PATIENT / f"patient07_{contrast}.nii.gz")
        for told in [{"contrast": contrast}, {}] if tells else [{}]:
            found = segmenter.segment(scan, metadata=told, stripped="yes").label_map.array[0]
            reference = found if reference is None else reference
            leaves, groups = agreement(tree, found, reference)
            stays = float(np.isin(found[lesions], white).mean())
            said = "told" if told else "not told"
            yield f"| {contrast} | {said} | {leaves:.3f} | {groups:.3f} | {100 * stays:.0f} % |"
