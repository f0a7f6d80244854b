"""Off-screen views show the scene."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from Testing.host import views
from Testing.host.application import Host


def reddish(pixels: Any) -> int:
    """How many pixels have the colour of the segment, lit or blended."""
    red, green, blue = (pixels[..., channel].astype(int) for channel in range(3))
    return int(np.count_nonzero((red > green + 40) & (red > blue + 40)))


def test_a_segment_is_seen_in_a_slice_and_in_3d(host: Host, tmp_path: Path) -> None:
    import slicer

    k, j, i = np.mgrid[:20, :24, :28]
    ball = ((i - 14) ** 2 + (j - 12) ** 2 + (k - 10) ** 2 < 49).astype(np.uint8)
    volume = slicer.util.addVolumeFromArray(ball.astype(np.int16) * 100)
    volume.CreateDefaultDisplayNodes()
    before = views.slice_view(host, volume, tmp_path / "empty.png"), views.view_3d(host, tmp_path / "empty3d.png")
    node = host.scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Result")
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    segment = node.GetSegmentation().AddEmptySegment("ball", "Ball", (0.9, 0.3, 0.2))
    slicer.util.updateSegmentBinaryLabelmapFromArray(ball, node, segment, volume)
    node.CreateClosedSurfaceRepresentation()
    shown = views.slice_view(host, volume, tmp_path / "slice.png"), views.view_3d(host, tmp_path / "view.png")
    assert [reddish(pixels) for pixels in before] == [0, 0]
    assert min(reddish(pixels) for pixels in shown) > 500
