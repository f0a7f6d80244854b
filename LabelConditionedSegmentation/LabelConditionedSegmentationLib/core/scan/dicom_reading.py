"""Reading a DICOM series: where every slice lies is checked before they are taken for a volume."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..errors import InputError
from ..findings import Finding
from .dicom import DicomSeries, DicomSlice, SlicePlace, choose_series, find_series, series_of
from .file_names import openable
from .itk import LPS_TO_RAS, without_itk_warnings
from .placed_array import DicomPlace
from .stored_image import StoredImage
from .volume import Affine, Array

EVEN = 0.1
"""Voxels that a slice may lie off its place in an even row of slices: headers are rounded."""

PARALLEL = 1e-3
"""How much the directions of two slices may differ, as cosines."""

SAME_PLACE = 1e-3
"""Of the usual distance: slices that are nearer to each other lie at one place."""

_Placed = tuple[DicomSlice, SlicePlace]


@dataclass(frozen=True)
class _Row:
    """Slices in order, the first one's directions and spacing, and where each lies on an even lattice of `count`
    places, `step` (3,) in LPS mm apart, from `start` on.
    """

    slices: Sequence[DicomSlice]
    place: SlicePlace
    places: Array
    count: int
    start: Array
    step: Array


def read_folder(folder: Path, wanted: str | None, fill_gaps: bool) -> StoredImage:
    """A DICOM series of a folder: the only one, or the one of this number or UID. Raises InputError where its slices
    are no volume.
    """
    return _read(choose_series(folder, find_series(folder), wanted), f'The DICOM series in "{folder}"', fill_gaps)


def read_file(path: Path, fill_gaps: bool) -> StoredImage:
    """A multi-frame DICOM file. Raises InputError for a single slice, which is no scan."""
    found = series_of(path.parent, [path])
    if not found:
        raise InputError(f'"{path}" holds no image, or is damaged; give a DICOM file or folder that holds a scan.')
    if sum(len(one.slices) for one in found) == 1:
        raise InputError(f'"{path}" is a single slice of a DICOM series; give the folder that holds the whole series.')
    return _read(choose_series(path, found, None), f'The DICOM file "{path}"', fill_gaps)


def _read(series: DicomSeries, what: str, fill_gaps: bool) -> StoredImage:
    slices, findings = _each_once(series.slices)
    findings += _unreadable(series)
    row = _in_a_row(_placed(slices, what), what, fill_gaps)
    voxels = _voxels(row.slices, what)
    place = DicomPlace(tuple(one.file for one in row.slices), tuple(one.frame for one in row.slices))
    if row.count > len(row.slices) or not _is_even(row.places):
        place = DicomPlace((), ())
        findings.append(
            Finding.warning(
                f"The series has {len(row.slices)} slices for {row.count} even places; what is missing between them was"
                " interpolated.",
                "Do not trust labels there.",
            )
        )
        voxels = _interpolated(voxels, row)
    affine = _affine(row)
    spacing = tuple(np.linalg.norm(affine[:3, :3], axis=0).tolist())
    return StoredImage(voxels, affine, spacing, findings=tuple(findings), dicom_place=place)


def _each_once(slices: Sequence[DicomSlice]) -> tuple[list[DicomSlice], list[Finding]]:
    once = list({(one.uid, one.frame): one for one in slices}.values())
    doubled = len(slices) - len(once)
    note = Finding.note(f"{doubled} slices of the series lie in the folder twice; each was taken once.")
    return once, [note] if doubled else []


def _unreadable(series: DicomSeries) -> list[Finding]:
    if not series.unreadable:
        return []
    text = (
        f"{len(series.unreadable)} files beside the series are DICOM and damaged, such as"
        f' "{series.unreadable[0].name}".'
    )
    return [Finding.warning(text, "If they belong to it, slices are missing at its ends: copy it again.")]


def _placed(slices: Sequence[DicomSlice], what: str) -> list[_Placed]:
    """The slices with their places.

    Raises InputError unless all say where they lie, and are of one size and direction.
    """
    placed = [(one, one.place) for one in slices if one.place is not None]
    unplaced = [one for one in slices if one.place is None]
    if unplaced:
        raise InputError(
            f"{what} has {len(unplaced)} slices that do not say where they lie, such as "
            f'"{unplaced[0].file.name}" (a secondary capture, or a converted picture); export the original series.'
        )
    directions = np.array([(*place.row, *place.column) for _, place in placed])
    if np.abs(directions - directions[0]).max() > PARALLEL:
        kinds = len(np.unique(np.rint(directions / (10 * PARALLEL)), axis=0))
        raise InputError(
            f"{what} holds slices in {kinds} different directions (a localizer), which are no one volume; "
            "choose another series."
        )
    spacings = np.array([place.spacing for _, place in placed])
    if len({one.size for one in slices}) > 1 or np.ptp(spacings, axis=0).max() > 1e-4:
        raise InputError(f"{what} holds slices of different sizes or pixel spacings, which are no one volume.")
    if len({one.scale for one in slices}) > 1 and slices[0].file == slices[-1].file:
        raise InputError(f"{what} holds frames whose values are scaled differently; export it as one file a slice.")
    return placed


def _in_a_row(slices: Sequence[_Placed], what: str, fill_gaps: bool) -> _Row:
    """The slices in the order in which they lie.

    Raises InputError where two lie at one place, or, unless gaps are to be filled, where they lie unevenly.
    """
    first = slices[0][1]
    normal = np.cross(np.array(first.row), np.array(first.column))
    placed = sorted(slices, key=lambda one: float(np.array(one[1].position) @ normal))
    ordered = [one for one, _ in placed]
    here = np.array([place.position for _, place in placed])
    heights = here @ normal
    steps = np.diff(heights)
    if len(ordered) == 1:
        return _Row(ordered, first, np.zeros(1), 1, here[0], normal)
    usual = float(np.median(steps))
    if steps.min() < SAME_PLACE * max(usual, SAME_PLACE):
        raise InputError(
            f"{what} holds several slices at one place (repeated or dynamic images), and nothing in their headers "
            "tells them apart; export one volume of it."
        )
    count = round((heights[-1] - heights[0]) / usual) + 1
    step = (here[-1] - here[0]) / (count - 1)
    places = (heights - heights[0]) / (heights[-1] - heights[0]) * (count - 1)
    off_line = np.linalg.norm(here - here[0] - places[:, None] * step, axis=1).max()
    if off_line > EVEN * min(*first.spacing, usual):
        raise InputError(f"{what} holds slices that do not lie behind each other on a straight line; export it again.")
    if not fill_gaps:
        _refuse_gaps(ordered, heights, places, usual, count, what)
    return _Row(ordered, first, places, count, here[0], step)


def _is_even(places: Array) -> bool:
    return bool(np.abs(places - np.rint(places)).max() <= EVEN)


def _refuse_gaps(
    slices: Sequence[DicomSlice], heights: Array, places: Array, usual: float, count: int, what: str
) -> None:
    """Raise InputError where slices are missing or unevenly spaced."""
    more = "export it again, or interpolate there with --fill-gaps."
    if not _is_even(places):
        low, high = np.diff(heights).min(), np.diff(heights).max()
        raise InputError(f"{what} has unevenly spaced slices, {low:.3g} to {high:.3g} mm apart; {more}")
    if count > len(slices):
        widest = int(np.diff(places).argmax())
        between = f'"{slices[widest].file.name}" and "{slices[widest + 1].file.name}"'
        raise InputError(
            f"{what} lacks {count - len(slices)} of its slices, between {between} for one (a gap of "
            f"{heights[widest + 1] - heights[widest]:.3g} mm where {usual:.3g} are usual); {more}"
        )


def _affine(row: _Row) -> Affine:
    """(4, 4) voxel index (i, j, k, 1) to RAS mm.

    The step from slice to slice need not be at right angles to them: a tilted gantry.
    """
    affine = np.eye(4)
    affine[:3, 0] = np.array(row.place.row) * row.place.spacing[1]
    affine[:3, 1] = np.array(row.place.column) * row.place.spacing[0]
    affine[:3, 2] = row.step
    affine[:3, 3] = row.start
    out: Affine = LPS_TO_RAS @ affine
    return out


def _voxels(slices: Sequence[DicomSlice], what: str) -> Array:
    """(k, j, i), rescaled as the headers say. Raises InputError where a file is damaged."""
    frames: dict[Path, Array] = {}
    planes = []
    for one in slices:
        if one.file not in frames:
            frames = {
                one.file: _frames(one.file, what)
            }  # of one file at a time: those of a multi-frame file follow each other
        planes.append(frames[one.file][one.frame])
    return np.stack(planes)


def _frames(file: Path, what: str) -> Array:
    """(frame, row, column) of a file."""
    try:
        with openable(file) as (opened,), without_itk_warnings():
            voxels: Array = sitk.GetArrayFromImage(sitk.ReadImage(str(opened)))
    except RuntimeError as error:
        raise InputError(f'{what} cannot be read: "{file.name}" is damaged, or packed in an unknown way.') from error
    return voxels if voxels.ndim == 3 else voxels.reshape(-1, *voxels.shape[-2:])


def _interpolated(voxels: Array, row: _Row) -> Array:
    """Linear interpolation along k at the even places: (count, j, i) float32."""
    wanted = np.arange(row.count, dtype=np.float64)
    above = np.clip(np.searchsorted(row.places, wanted), 1, len(row.places) - 1)
    low, high = row.places[above - 1], row.places[above]
    weight = np.clip((wanted - low) / (high - low), 0, 1).astype(np.float32)[:, None, None]
    out: Array = voxels[above - 1].astype(np.float32) * (1 - weight) + voxels[above].astype(np.float32) * weight
    return out
