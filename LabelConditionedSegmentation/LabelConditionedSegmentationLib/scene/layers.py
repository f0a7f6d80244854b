"""Label maps shared by segments: any number of structures that do not overlap lie in one layer, which views show as
fast as a single segment.

Layers are written in place, and only their scalars are marked as modified. An event of the label map itself would make
Slicer drop the closed surface of every segment in it; here the caller drops those of the segments that changed, and no
others.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import count
from typing import Any

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from ..core.inference.winners import Index, Winners
from ..core.scan.volume import Array

BINARY_LABELMAP = "Binary labelmap"


class Layers:
    """The layers that segments of one result lie in, each on the region that the model looked at, with
    room for more.
    """

    def __init__(self, segments: Any, ours: Iterable[Any], winners: Winners, volume_node: Any) -> None:
        """`ours`: the vtkSegments whose layers may be written to; layers of another place or extent are left as they
        are.
        """
        self._segments = segments
        self._start = winners.start
        self._shape = winners.classes.shape
        self._matrix = vtk.vtkMatrix4x4()
        volume_node.GetIJKToRASMatrix(self._matrix)
        self._images = [image for image in _images(ours) if self._fits(image)]

    def put(self, found: tuple[Array, Index] | None) -> tuple[Any, int]:
        """Write a mask (None is empty) into the first layer where it overlaps nothing; the layer's image and the mask's
        value, for a segment to take at once.
        """
        image = next(
            (image for image in self._images if found is None or not self._box(image, found)[found[0] != 0].any()), None
        )
        if image is None:
            image = self._new_layer()
            self._images.append(image)
        taken = _values(self._segments, image)
        value = next(n for n in count(1) if n not in taken)
        if found is not None:
            self._box(image, found)[found[0] != 0] = value
            image.GetPointData().GetScalars().Modified()
        return image, value

    def _box(self, image: Any, found: tuple[Array, Index]) -> Array:
        """The part of a layer, (k, j, i), that lies over the mask's box."""
        mask, first = found
        return voxels_of(image)[
            tuple(slice(a - b, a - b + n) for a, b, n in zip(first, self._start, mask.shape, strict=True))
        ]

    def _extent(self) -> tuple[int, ...]:
        return tuple(
            bound
            for first, n in zip(self._start[::-1], self._shape[::-1], strict=True)
            for bound in (first, first + n - 1)
        )

    def _fits(self, image: Any) -> bool:
        matrix = vtk.vtkMatrix4x4()
        image.GetImageToWorldMatrix(matrix)
        there, here = slicer.util.arrayFromVTKMatrix(matrix), slicer.util.arrayFromVTKMatrix(self._matrix)
        return (
            image.GetExtent() == self._extent()
            and image.GetScalarType() == vtk.VTK_SHORT
            and bool(np.allclose(there, here, rtol=0, atol=1e-6))
        )

    def _new_layer(self) -> Any:
        image = slicer.vtkOrientedImageData()
        image.SetExtent(self._extent())
        image.SetImageToWorldMatrix(self._matrix)
        image.GetPointData().SetScalars(numpy_to_vtk(np.zeros(self._shape, np.int16).ravel(), deep=True))
        return image


def erase(erased: Sequence[Any]) -> None:
    """Take the voxels of these vtkSegments out of the label maps that they share with others, and give each an empty
    one of its own.
    """
    for image in _images(erased):
        inside = [segment for segment in erased if segment.GetRepresentation(BINARY_LABELMAP) is image]
        voxels = voxels_of(image)
        voxels[np.isin(voxels, [segment.GetLabelValue() for segment in inside])] = 0
        image.GetPointData().GetScalars().Modified()
        for segment in inside:
            segment.AddRepresentation(BINARY_LABELMAP, _empty_image())


def _empty_image() -> Any:
    """No voxels, but of a type that closed surfaces can be made from."""
    image = slicer.vtkOrientedImageData()
    image.SetExtent(0, -1, 0, -1, 0, -1)
    image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
    return image


def _images(segments: Iterable[Any]) -> list[Any]:
    images = (segment.GetRepresentation(BINARY_LABELMAP) for segment in segments)
    return list({id(image): image for image in images if image is not None and not image.IsEmpty()}.values())


def _values(segments: Any, image: Any) -> set[int]:
    """The values that are taken in a label map, by whomever."""
    every = (segments.GetNthSegment(n) for n in range(segments.GetNumberOfSegments()))
    return {segment.GetLabelValue() for segment in every if segment.GetRepresentation(BINARY_LABELMAP) is image}


def voxels_of(image: Any) -> Array:
    """The voxels (k, j, i) of an image, not a copy."""
    voxels: Array = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(image.GetDimensions()[::-1])
    return voxels
