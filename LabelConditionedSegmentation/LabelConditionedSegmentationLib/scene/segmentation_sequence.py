"""A segmentation for every frame of a sequence, as a sequence that is browsed together with it."""

from __future__ import annotations

from typing import Any

import slicer

from .nodes import is_present, place_beside, remove
from .run_report import put_report_text

ROLE = "LabelConditionedSegmentation.Source"


def put_frame(result: Any, sequence: Any, frame: int, segmentation: Any) -> Any:
    """Move a segmentation node into the result of a sequence, at the place of a frame; the result, which is made where
    it is None.
    """
    scene = sequence.GetScene()
    if not is_present(result):
        result = scene.AddNewNodeByClass("vtkMRMLSequenceNode", f"{sequence.GetName()} segmentation")
        for copied in ("IndexName", "IndexUnit", "IndexType"):
            getattr(result, f"Set{copied}")(getattr(sequence, f"Get{copied}")())
        result.SetNodeReferenceID(ROLE, sequence.GetID())
        place_beside(result, sequence)
    put_report_text(segmentation, None)  # the report of a frame has no place in a sequence
    result.SetDataNodeAtValue(segmentation, sequence.GetNthIndexValue(frame))
    remove(segmentation)
    return result


def remove_result(result: Any) -> None:
    """Remove the result of a sequence, with the segmentation that shows its current frame."""
    browser = slicer.modules.sequences.logic().GetFirstBrowserNodeForSequenceNode(result)
    if browser is not None:
        shown = browser.GetProxyNode(result)
        browser.RemoveSynchronizedSequenceNode(result.GetID())
        if is_present(shown):
            remove(shown)
    result.GetScene().RemoveNode(result)


def browse_together(result: Any, sequence: Any) -> Any:
    """Let the result be shown with the frames of its sequence; the segmentation node that shows the current one."""
    logic = slicer.modules.sequences.logic()
    browser = logic.GetFirstBrowserNodeForSequenceNode(sequence)
    if browser is None:
        return None
    if not browser.IsSynchronizedSequenceNodeID(result.GetID()):
        browser.AddSynchronizedSequenceNode(result)
    logic.UpdateProxyNodesFromSequences(browser)
    return browser.GetProxyNode(result)
