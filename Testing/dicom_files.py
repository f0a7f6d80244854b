"""DICOM files for tests, made in code: series of slices with the faults that scanners and archives give them, and
enhanced multi-frame files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from LabelConditionedSegmentationLib.core.scan.volume import Affine, Array
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID, EnhancedMRImageStorage, ExplicitVRLittleEndian, MRImageStorage, generate_uid

LPS = np.array([[0.9, 0, 0, -40], [0, 1.1, 0, -50], [0, 0, 2, -30], [0, 0, 0, 1.0]])
"""Voxel index (i, j, k) to LPS millimetres of a plain axial series."""


def voxels(shape: tuple[int, int, int] = (12, 20, 18), seed: int = 0) -> Array:
    """(k, j, i) int16, no two slices alike."""
    return np.random.default_rng(seed).integers(0, 1000, shape).astype(np.int16)


def dataset(array: Array, sop_class: UID = MRImageStorage, **fields: Any) -> FileDataset:
    """One file with these pixels, (row, column) or (frame, row, column)."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, sop_class
    meta.MediaStorageSOPInstanceUID = fields.pop("SOPInstanceUID", None) or generate_uid()
    out = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    out.SOPClassUID, out.SOPInstanceUID, out.Modality = sop_class, meta.MediaStorageSOPInstanceUID, "MR"
    out.PatientID, out.StudyInstanceUID = "someone", generate_uid(entropy_srcs=["study"])
    out.Rows, out.Columns, out.SamplesPerPixel, out.PhotometricInterpretation = *array.shape[-2:], 1, "MONOCHROME2"
    out.BitsAllocated = out.BitsStored = 16
    out.HighBit, out.PixelRepresentation = 15, 1
    out.PixelData = array.astype("<i2").tobytes()
    for keyword, value in fields.items():
        if value is not None:
            setattr(out, keyword, value)
    return out


def place(lps: Affine, k: float) -> dict[str, list[float]]:
    """What a slice says of where it lies."""
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    return {
        "ImagePositionPatient": [round(float(n), 4) for n in (lps @ [0, 0, k, 1])[:3]],
        "ImageOrientationPatient": [float(n) for n in (lps[:3, :2] / spacing[:2]).T.ravel()],
        "PixelSpacing": [float(spacing[1]), float(spacing[0])],
    }


def write_series(
    folder: Path,
    array: Array | None = None,
    lps: Affine = LPS,
    heights: Sequence[float] | None = None,
    uid: str = "",
    prefix: str = "IM",
    of_slice: Mapping[int, Mapping[str, Any]] | None = None,
    **fields: Any,
) -> Path:
    """A series, its slices under names in another order than they lie. heights: where slice n lies, in steps of the
    affine; of_slice: fields of single slices.
    """
    folder.mkdir(parents=True, exist_ok=True)
    array = voxels() if array is None else array
    common = {"SeriesInstanceUID": uid or generate_uid(), "SeriesNumber": 1, "SeriesDescription": "T1", **fields}
    for n, plane in enumerate(array):
        own = {**common, **place(lps, n if heights is None else heights[n]), **(of_slice or {}).get(n, {})}
        name = f"{prefix}{(7 * n + 3) % 1009:04d}.dcm"
        dataset(plane, **own).save_as(folder / name, enforce_file_format=True)
    return folder


def write_enhanced(
    path: Path, array: Array | None = None, lps: Affine = LPS, order: Sequence[int] | None = None
) -> Path:
    """An enhanced multi-frame file, its frames in this order."""
    array = voxels() if array is None else array
    order = list(range(len(array))) if order is None else list(order)
    path.parent.mkdir(parents=True, exist_ok=True)
    frames, shared = [], Dataset()
    where = place(lps, 0)
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = [Dataset()], [Dataset()]
    shared.PlaneOrientationSequence[0].ImageOrientationPatient = where["ImageOrientationPatient"]
    shared.PixelMeasuresSequence[0].PixelSpacing = where["PixelSpacing"]
    shared.PixelMeasuresSequence[0].SliceThickness = 2
    for k in order:
        frame = Dataset()
        frame.PlanePositionSequence, frame.FrameContentSequence = [Dataset()], [Dataset()]
        frame.PlanePositionSequence[0].ImagePositionPatient = place(lps, k)["ImagePositionPatient"]
        frames.append(frame)
    out = dataset(
        array[order],
        EnhancedMRImageStorage,
        SeriesInstanceUID=generate_uid(),
        SeriesNumber=1,
        NumberOfFrames=len(order),
    )
    out.SharedFunctionalGroupsSequence, out.PerFrameFunctionalGroupsSequence = [shared], frames
    out.save_as(path, enforce_file_format=True)
    return path
