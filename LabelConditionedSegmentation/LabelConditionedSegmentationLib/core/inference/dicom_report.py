"""The volumes of a result as a DICOM structured report (DICOM PS3.16, TID 1500), which refers to the segmentation."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ...version import __version__
from ..labels.dicom_codes import PRIVATE_SCHEME, SIDES, dicom_codes, plain_text
from ..labels.label_tree import Code
from .dicom_limits import highdicom
from .dicom_segmentation import (
    MAKER,
    DicomSegmentation,
    Segment,
    concept,
    identity,
    write_dataset,
)

VOLUME = Code("SCT", "118565006", "Volume")
CUBIC_MILLIMETER = Code("UCUM", "mm3", "cubic millimeter")
IMAGING = Code("SCT", "363679005", "Imaging procedure")
"""DICOM PS3.16, CID 7469, CID 7462 and CID 100."""


def write_structured_report(segmentation: DicomSegmentation, millilitres: Mapping[int, float], path: Path) -> None:
    """Write the volume of every segment. millilitres: by label id.

    Raises InputError where the scan is no DICOM series.
    """
    hd, source = highdicom(), segmentation.sources[0]
    about = identity(source, segmentation.origin, segmentation.dataset.get("CodingSchemeIdentificationSequence") or ())
    document = hd.sr.Comprehensive3DSR(
        evidence=[*segmentation.sources, segmentation.dataset],
        content=_content(segmentation, millilitres)[0],
        is_complete=True,
        series_description=plain_text(f"{MAKER} {segmentation.origin.model}, volumes"),
        **about | {"series_number": about["series_number"] + 1},
    )
    write_dataset(document, path)


def _content(segmentation: DicomSegmentation, millilitres: Mapping[int, float]) -> Any:
    sr = highdicom().sr
    observer = sr.ObserverContext(
        observer_type=concept(Code("DCM", "121007", "Device")),
        observer_identifying_attributes=sr.DeviceObserverIdentifyingAttributes(
            uid=_device_uid(),
            name=MAKER,
            manufacturer_name=MAKER,
            model_name=plain_text(segmentation.origin.model),
        ),
    )
    measured = partial(_measured, segmentation, millilitres)
    return sr.MeasurementReport(
        observation_context=sr.ObservationContext(observer_device_context=observer),
        procedure_reported=concept(IMAGING),
        imaging_measurements=[measured(segment) for segment in segmentation.segments],
    )


def _measured(segmentation: DicomSegmentation, millilitres: Mapping[int, float], segment: Segment) -> Any:
    """TID 1411 of one segment."""
    sr, made, model = highdicom().sr, segmentation.dataset, segmentation.origin.model
    codes = dicom_codes(segment.label, model)
    side = next((concept(code) for code in codes.modifiers if code in SIDES.values()), None)
    part = next((concept(code) for code in codes.modifiers if code not in SIDES.values()), None)
    is_private = codes.type.scheme == PRIVATE_SCHEME
    return sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(segment.tracking_uid, segment.label.name),
        referenced_segment=sr.ReferencedSegment(
            sop_class_uid=made.SOPClassUID,
            sop_instance_uid=made.SOPInstanceUID,
            segment_number=segment.number,
            source_series=sr.SourceSeriesForSegmentation(segmentation.sources[0].SeriesInstanceUID),
        ),
        finding_category=concept(codes.category),
        finding_type=concept(codes.type),
        finding_sites=None if is_private or not codes.modifiers else [sr.FindingSite(concept(codes.type), side, part)],
        algorithm_id=sr.AlgorithmIdentification(name=plain_text(f"{MAKER} {model}"), version=__version__),
        measurements=[
            sr.Measurement(
                name=concept(VOLUME),
                value=round(1000 * millilitres[segment.label.id], 3),
                unit=concept(CUBIC_MILLIMETER),
            )
        ],
    )


def _device_uid() -> str:
    """The same for every report of one version."""
    from pydicom.uid import generate_uid

    return str(generate_uid(entropy_srcs=[MAKER, __version__]))
