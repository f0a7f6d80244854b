"""The run report as a text node beside the segmentation, saved with the scene and replaced by the next run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .nodes import companion, is_present, remove_companion, require

ROLE = "LabelConditionedSegmentation.RunReport"


def attach_report(segmentation: Any, report: Mapping[str, Any]) -> Any:
    """Keep a run's report, as JSON, with its segmentation; the text node.

    Raises InputError where the segmentation was deleted.
    """
    return put_report_text(segmentation, json.dumps(report, indent=1, ensure_ascii=False))


def put_report_text(segmentation: Any, text: str | None) -> Any:
    """Keep what `report_of` gave, or nothing, with a segmentation; the text node or None.

    Raises InputError where the segmentation was deleted.
    """
    require(segmentation, "segmentation")
    if text is None:
        remove_companion(segmentation, ROLE)
        return None
    node = companion(segmentation, ROLE, "vtkMRMLTextNode", f"{segmentation.GetName()} run report")
    node.SetText(text)
    return node


def report_of(segmentation: Any) -> str | None:
    """The report of the run that made the segmentation, as JSON text; None where there is none."""
    if not is_present(segmentation):
        return None
    node = segmentation.GetNodeReference(ROLE)
    return str(node.GetText()) if is_present(node) else None
