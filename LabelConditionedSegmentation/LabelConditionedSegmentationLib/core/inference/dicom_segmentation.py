"""A result as a DICOM segmentation (DICOM PS3.3, A.51): a segment a label, on the images of the series itself.

Written by highdicom (C. P. Bridge et al., Journal of Digital Imaging 35, 2022, doi:10.1007/s10278-022-00683-y).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ...version import __version__
from ..errors import LabelError
from ..labels.dicom_codes import PRIVATE_SCHEME, PRIVATE_SCHEME_NAME, dicom_codes, plain_text
from ..labels.label_tree import Code, Label
from ..scan.dicom_source import source_images
from ..scan.volume import Array, Volume
from .dicom_limits import check_dicom, highdicom

MOST_STACKED = 2**32
"""Bytes of segments that overlap, a byte a voxel and segment."""

MAKER = "LabelConditionedSegmentation"

_SERIES_NUMBER = 1000
"""What the number of a derived series is larger by than that of the scan's."""


@dataclass(frozen=True)
class Origin:
    """What made a result. model: its name. sha256: of its weights; empty where no network ran. is_interactive: a person
    painted what decided it.
    """

    model: str
    sha256: str = ""
    is_interactive: bool = False


@dataclass(frozen=True)
class Segment:
    """A label as a segment. tracking_uid: by which the segment is found again in a report on it."""

    number: int
    label: Label
    tracking_uid: str


@dataclass(frozen=True)
class DicomSegmentation:
    """Labels that are to be written.

    voxels: (k, j, i) of segment numbers, 0 is none; or (k, j, i, segment), true and false where segments overlap, and 0
    to 1 for probabilities. scan: any volume that knows the series which was segmented. origin: what found the labels.
    """

    voxels: Array
    labels: tuple[Label, ...]
    scan: Volume
    origin: Origin

    def __post_init__(self) -> None:
        check_dicom(len(self.labels))

    @cached_property
    def segments(self) -> tuple[Segment, ...]:
        """In the order of the labels."""
        uid = highdicom().UID
        return tuple(Segment(number, label, uid()) for number, label in enumerate(self.labels, start=1))

    @cached_property
    def sources(self) -> list[Any]:
        """The headers of the images. Raises InputError where there are none that can be referred to."""
        return source_images(self.scan, "The scan")

    @cached_property
    def dataset(self) -> Any:
        """The object, as highdicom has it. Raises InputError where the scan is no series that it could refer to."""
        hd, first = highdicom(), self.sources[0]
        is_fractional = self.voxels.dtype.kind == "f"
        what = "probabilities" if is_fractional else "structures"
        with _values_as_they_are():
            return hd.seg.Segmentation(
                source_images=self.sources,
                pixel_array=self._planes(),
                segmentation_type="FRACTIONAL" if is_fractional else "BINARY",
                segment_descriptions=[self._description(segment) for segment in self.segments],
                content_label="LCS",
                content_description=plain_text(f"{len(self.labels)} {what} by {self.origin.model}"),
                series_description=plain_text(f"{MAKER} {self.origin.model}, {what}"),
                **identity(first, self.origin, self._schemes()),
            )

    def write(self, path: Path) -> None:
        """Write the file. Raises InputError as `dataset` does, and RuntimeError where the file does not hold it."""
        write_dataset(self.dataset, path)

    def _planes(self) -> Array:
        """The voxels in the order of the images: of slices that of k, of a multi-frame file that of its frames."""
        place = self.scan.dicom_place
        assert place is not None
        if len(self.sources) > 1:
            return self.voxels
        planes = np.zeros((int(self.sources[0].NumberOfFrames), *self.voxels.shape[1:]), dtype=self.voxels.dtype)
        planes[list(place.frames)] = self.voxels
        return planes

    def _description(self, segment: Segment) -> Any:
        hd, codes = highdicom(), dicom_codes(segment.label, self.origin.model)
        description = hd.seg.SegmentDescription(
            segment_number=segment.number,
            segment_label=plain_text(segment.label.name),
            segmented_property_category=concept(codes.category),
            segmented_property_type=concept(codes.type),
            algorithm_type="SEMIAUTOMATIC" if self.origin.is_interactive else "AUTOMATIC",
            algorithm_identification=_algorithm(self.origin),
            tracking_uid=segment.tracking_uid,
            tracking_id=segment.label.name,
            display_color=hd.color.CIELabColor.from_rgb(*(255 * part for part in segment.label.color)),
        )
        if codes.modifiers:
            kind = description.SegmentedPropertyTypeCodeSequence[0]
            kind.SegmentedPropertyTypeModifierCodeSequence = [concept(code) for code in codes.modifiers]
        return description

    def _schemes(self) -> list[Any]:
        schemes = {dicom_codes(label, self.origin.model).type.scheme for label in self.labels}
        return [private_scheme()] if PRIVATE_SCHEME in schemes else []


def of_layers(layers: Sequence[Volume], labels: Sequence[tuple[int, int, Label]], origin: Origin) -> DicomSegmentation:
    """Of label maps on one grid. labels: the layer, the value in it, and the label that it means, of each segment.

    Raises LabelError where there are more segments than can be written.
    """
    check_dicom(len(labels))
    if len(layers) == 1:
        values = np.array([value for _, value, _ in labels])
        order = np.argsort(values)
        flat = layers[0].array[0]
        nearest = np.searchsorted(values[order], flat).clip(max=len(values) - 1)
        numbers = (order + 1).astype(np.uint8)[nearest]
        voxels = np.where(values[order][nearest] == flat, numbers, np.uint8(0))
    else:
        shape = (*layers[0].shape, len(labels))
        if np.prod(shape, dtype=float) > MOST_STACKED:
            raise LabelError(
                f"{len(labels)} labels that overlap are too much for one DICOM segmentation of a scan of this size: ask"
                " for fewer with --labels, or write a .seg.nrrd file."
            )
        voxels = np.zeros(shape, dtype=np.uint8)
        for n, (layer, value, _) in enumerate(labels):
            voxels[..., n] = layers[layer].array[0] == value
    return DicomSegmentation(voxels, tuple(label for _, _, label in labels), layers[0], origin)


def of_maps(maps: Volume, labels: Sequence[Label], origin: Origin) -> DicomSegmentation:
    """Of probabilities (label, k, j, i), which are kept in steps of 1/255. Raises LabelError as `of_layers`."""
    return DicomSegmentation(np.moveaxis(maps.array, 0, -1).clip(0, 1), tuple(labels), maps, origin)


def concept(code: Code) -> Any:
    """A code as highdicom has it."""
    return highdicom().sr.CodedConcept(code.value, code.scheme, plain_text(code.meaning))


def private_scheme() -> Any:
    """What the codes of labels without a SNOMED CT code are."""
    from highdicom.coding_schemes import CodingSchemeIdentificationItem

    return CodingSchemeIdentificationItem(PRIVATE_SCHEME, name=PRIVATE_SCHEME_NAME, responsible_organization=MAKER)


def identity(source: Any, origin: Origin, schemes: Sequence[Any]) -> dict[str, Any]:
    """What every object that is derived from an image says of itself, as arguments of highdicom."""
    uid = highdicom().UID
    return {
        "series_instance_uid": uid(),
        "series_number": int(source.get("SeriesNumber") or 0) + _SERIES_NUMBER,
        "sop_instance_uid": uid(),
        "instance_number": 1,
        "manufacturer": MAKER,
        "manufacturer_model_name": plain_text(origin.model),
        "software_versions": __version__,
        "device_serial_number": origin.sha256[:16] or __version__,
        "specific_character_set": "ISO_IR 192",
        **({"coding_schemes": schemes} if schemes else {}),
    }


def write_dataset(dataset: Any, path: Path) -> None:
    """Write a DICOM file and read it again. Raises RuntimeError where it does not hold what was written."""
    import pydicom

    with _values_as_they_are():
        dataset.save_as(path, enforce_file_format=True)
        if pydicom.dcmread(path).get("PixelData") != dataset.get("PixelData"):
            raise RuntimeError("what was read back is not what was written")


def _algorithm(origin: Origin) -> Any:
    from pydicom.sr.codedict import codes

    family = codes.cid7162.ArtificialIntelligence if origin.sha256 else codes.cid7162.NeighborhoodAnalysis
    return highdicom().AlgorithmIdentificationSequence(
        name=plain_text(f"{MAKER} {origin.model}"),
        family=family,
        version=__version__,
        source=MAKER,
        parameters={"model": origin.model, **({"weights_sha256": origin.sha256} if origin.sha256 else {})},
    )


def _values_as_they_are() -> Any:
    """While this lasts values that are against the standard, such as an age of "31", are taken over from the images
    without a word: the patient has to stay the same.
    """
    from pydicom.config import disable_value_validation

    return disable_value_validation()
