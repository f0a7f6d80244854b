"""Finder: the stage before a model that looks inside of a label, which another model finds for it."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import SimpleITK as sitk
import torch

from ..errors import InputError
from ..labels.label_tree import in_a_sentence
from ..progress import Progress
from ..scan.foreground import foreground_mask
from ..scan.geometry import Grid, resample
from ..scan.input_spec import Inside
from ..scan.stripped import Stripped, looks_stripped
from ..scan.volume import Array, Volume

if TYPE_CHECKING:
    from .segmenter import Segmenter

FAR_MM = 1000.0
"""From anything."""

MOST_OUTSIDE = 0.3
"""Share of the foreground of a stripped scan that the other model places outside of the label, at most."""


@dataclass(frozen=True)
class Found:
    """What a stage found in a scan.

    mask: (k, j, i) bool, the voxels that the next model sees; None where it sees the foreground of the scan as it is.
    about: for the report.
    """

    mask: Array | None
    about: dict[str, Any]


def found_at_once(volume: Volume, stripped: Stripped) -> Found | None:
    """What a stage finds without its network, where a scan is stripped by its looks or by what the user says; None
    where the network has to look.
    """
    if stripped is Stripped.YES:
        return Found(None, {"stripped": "yes", "because": "the user says so"})
    if stripped is Stripped.AUTO and looks_stripped(volume):
        return Found(None, {"stripped": "yes", "because": "its foreground has the size of a brain"})
    return None


class Finder:
    """Finds the label that a model looks inside of, in scans that show more than that; keeps its last answer."""

    def __init__(self, segmenter: Segmenter, inside: Inside) -> None:
        self.segmenter = segmenter
        self.inside = inside
        self._last: tuple[str, Found] | None = None

    def find(self, volume: Volume, stripped: Stripped, steps: Progress) -> Found:
        """What of a scan counts that shows more than the label, as far as is known (see `found_at_once`). Raises
        InputError where the label is not found.
        """
        key = _fingerprint(volume, stripped)
        if self._last is None or self._last[0] != key:
            self._last = key, self._found(volume, stripped, steps)
        return self._last[1]

    def _found(self, volume: Volume, stripped: Stripped, steps: Progress) -> Found:
        began = time.perf_counter()
        field, grid, passes = self._distance(volume, steps)
        on_scan = resample(field[..., None], grid, Grid.of(volume))[..., 0].numpy()
        mask = np.asarray(on_scan < self.inside.margin_mm)
        about = {
            "model": self.segmenter.package.name,
            "label": self.inside.label,
            "ml": round(float((on_scan < 0).sum()) * volume.voxel_millilitres, 1),
            "seconds": round(time.perf_counter() - began, 2),
            "trunk_passes": passes,
        }
        if not (on_scan < 0).any():
            raise InputError(self.nothing_found)
        if stripped is Stripped.AUTO and _is_all_inside(volume, mask):
            return Found(
                None, about | {"stripped": "yes", "because": f"hardly anything lies outside {self.inside.label}"}
            )
        return Found(mask, about | {"stripped": "no"})

    @property
    def nothing_found(self) -> str:
        """What to say where there is nothing."""
        return (
            f'The model "{self.segmenter.package.name}" finds no "{self.inside.label}" in this scan; check that it'
            " shows one, or say that it shows nothing else: --stripped yes, or in Slicer the choice below the volume."
        )

    def _distance(self, volume: Volume, steps: Progress) -> tuple[torch.Tensor, Grid, int]:
        """Millimetres from the surface of the label's largest piece, (k, j, i) float32, negative inside of it; the grid
        that they lie on, which is that of the other model; and the passes of the network.
        """
        segmenter, package = self.segmenter, self.segmenter.package
        scan = replace(volume, array=volume.array[: len(package.input.channels)])
        prepared, metadata, report = segmenter.prepared(scan, None, not_a_label_map=True, steps=steps)
        label = package.labels.find(self.inside.label)
        classes = package.labels.classes_under(label)
        doing = f"finding the {in_a_sentence(label.name)}"
        with segmenter.network_pass.from_the_top():
            gathered = segmenter.network_pass.with_ladder(
                lambda: segmenter.network_pass.gather(
                    prepared,
                    metadata,
                    prepared.grid,
                    0,
                    segmenter.feature_dtype,
                    lambda done, _text: steps.update(0.0, 1.0, done, doing),
                    [[classes]],
                ),
                report.fallbacks.append,
            )
        return _signed_distance(gathered.probabilities[0][0], prepared.grid), prepared.grid, gathered.passes


def _signed_distance(probability: Array, grid: Grid) -> torch.Tensor:
    """Of the largest piece where the probability (k, j, i) is above one half, without holes. Between voxels the surface
    lies where the probability is one half.
    """
    image = sitk.GetImageFromArray(probability)
    image.SetSpacing([float(step) for step in np.linalg.norm(grid.affine[:3, :3], axis=0)])
    pieces = sitk.RelabelComponent(sitk.ConnectedComponent(image > 0.5))
    piece = sitk.BinaryFillhole(pieces == 1)
    is_inside = sitk.GetArrayFromImage(piece) > 0
    if not is_inside.any():
        return torch.full(grid.shape, FAR_MM)
    clean = np.where(is_inside, probability.clip(min=0.501), probability.clip(max=0.499))
    surface = sitk.GetImageFromArray(clean)
    surface.CopyInformation(image)
    beside = sitk.GetArrayFromImage(sitk.IsoContourDistance(surface, levelSetValue=0.5, farValue=FAR_MM))
    beyond = sitk.GetArrayFromImage(sitk.SignedMaurerDistanceMap(piece, squaredDistance=False, useImageSpacing=True))
    distance = np.where(np.abs(beside) < FAR_MM, -beside, beyond)
    return torch.from_numpy(distance.astype(np.float32))


def _is_all_inside(volume: Volume, mask: Array) -> bool:
    foreground = foreground_mask(volume.array, "nonzero")
    return bool((foreground & ~mask).sum() <= MOST_OUTSIDE * foreground.sum())


def _fingerprint(volume: Volume, stripped: Stripped) -> str:
    digest = hashlib.sha256(np.ascontiguousarray(volume.array).data)
    digest.update(volume.affine.tobytes() + stripped.encode())
    return digest.hexdigest()
