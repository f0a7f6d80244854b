"""What of the panel is stored in the scene, so that a saved scene brings the panel back."""

from typing import Any

from slicer import vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode
from slicer.parameterNodeWrapper import parameterNodeWrapper


@parameterNodeWrapper
class PanelParameters:
    """model: name of the package. labels, metadata: JSON text of the ticks and of the form. myLabels: JSON text of the
    labels by example, of all models. stripped: whether the scan is skull-stripped: auto, yes or no. adapt: whether the
    network is adapted to the scan.

    output: the segmentation, None for a new one. strokes, strokesScan: the segmentation that strokes are painted in,
    and the scan, None for that of the input. mend: whether strokes mend the last answer.

    The input volumes are node references `Input0`, `Input1`, ... of the parameter node, one a channel.
    """

    model: str
    labels: str
    myLabels: str  # noqa: N815  as the other names
    metadata: str
    device: str = "auto"
    stripped: str = "auto"
    adapt: bool = False
    output: vtkMRMLSegmentationNode
    volumesTable: bool = False  # noqa: N815  as the .ui file names it
    strokes: vtkMRMLSegmentationNode
    strokesScan: vtkMRMLScalarVolumeNode  # noqa: N815  as the .ui file names it
    mend: bool = False


INPUT_ROLE = "Input"


def parameters_of(node: Any, before: PanelParameters | None) -> PanelParameters:
    """The parameters in a node; those of before where they are of the same one, since what observes it
    stays with it.
    """
    same = before is not None and before.parameterNode is node  # type: ignore[attr-defined]
    return before if before is not None and same else PanelParameters(node)  # type: ignore[call-arg]  # the wrapper gives it both


def holds_output(parameters: Any) -> bool:
    """Whether something is chosen of the output that is not so by itself."""
    return bool(
        parameters.output is not None or parameters.volumesTable or parameters.adapt or parameters.device != "auto"
    )
