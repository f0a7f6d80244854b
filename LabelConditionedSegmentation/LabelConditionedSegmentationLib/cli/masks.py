"""Structures that files show on an atlas: a mask, or segments of a Slicer segmentation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..core.errors import InputError
from ..core.examples.painted_examples import mask_on
from ..core.scan.file_formats import SEGMENTATION
from ..core.scan.file_names import openable
from ..core.scan.itk import affine_of
from ..core.scan.volume import Affine, Array, Volume
from .reading import Reading
from .terminal import say

Color = tuple[float, float, float]


@dataclass(frozen=True)
class Structure:
    """A structure on an atlas. bits: its mask, packed, since there may be many. shape (k, j, i) of the atlas. color: of
    its segment, where the file tells one.
    """

    name: str
    bits: Array
    shape: tuple[int, int, int]
    color: Color | None

    @property
    def mask(self) -> Array:
        """(k, j, i) bool on the atlas's voxels."""
        return np.unpackbits(self.bits, count=int(np.prod(self.shape))).reshape(self.shape).view(bool)


def read_structures(
    path: Path, atlas: Volume, name: str, segments: Sequence[str], reading: Reading
) -> tuple[Structure, ...]:
    """What a file shows on an atlas: one structure of this name; without a name the segments of a segmentation, all or
    those named. Raises InputError.
    """
    if not path.name.lower().endswith(SEGMENTATION):
        mask = reading.image(path)
        for finding in mask.findings:
            say(f"{finding.level}: {path}: {finding}")
        return (_structure(name, atlas, mask, f'mask "{path}"', None),)
    file = SegmentationFile(path)
    chosen = [file.the_one(segments[0] if segments else None, name)] if name else file.several(segments)
    return tuple(
        _structure(
            name or file.names[key], atlas, file.mask(key), f'segment "{file.names[key]}" of "{path}"', file.color(key)
        )
        for key in chosen
    )


def _structure(name: str, atlas: Volume, mask: Volume, what: str, color: Color | None) -> Structure:
    return Structure(name, np.packbits(mask_on(atlas, mask, what)), atlas.shape, color)


class SegmentationFile:
    """A .seg.nrrd file, its segments by their keys in the header ("Segment0").

    Read by ITK, since slicerio loses letters beyond ASCII.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with openable(path) as (file,):
                image = sitk.ReadImage(str(file))
        except RuntimeError as error:
            raise InputError(
                f'"{path}" cannot be read as a segmentation: it is damaged, empty, or of a format that is not known.'
            ) from error
        self._fields = {key: image.GetMetaData(key).strip() for key in image.GetMetaDataKeys()}
        keys = [key.removesuffix("_ID") for key in self._fields if key.startswith("Segment") and key.endswith("_ID")]
        if image.GetDimension() != 3 or not keys:
            raise InputError(
                f'"{path}" holds no segments; save the segmentation in Slicer again, or give a mask as an image.'
            )
        keys.sort(key=lambda key: (len(key), key))
        self.names: dict[str, str] = {key: self._fields.get(f"{key}_Name", key) for key in keys}
        self._affine: Affine = affine_of(image)
        layers = sitk.GetArrayFromImage(image)
        self._layers = layers[None] if layers.ndim == 3 else np.moveaxis(layers, -1, 0)

    def the_one(self, wanted: str | None, name: str) -> str:
        """The key of the segment that shows a structure: the one that was asked for; else the one that is called as the
        structure; else the only one.
        """
        found = self._called(wanted or name)
        if found:
            return found[0]
        if wanted:
            raise self._unknown(wanted)
        if len(self.names) > 1:
            raise InputError(
                f'"{self.path}" has several segments, and none is called "{name}"; choose one of {self._list()} with'
                " --segment, or leave --name out to take all."
            )
        return next(iter(self.names))

    def several(self, wanted: Sequence[str]) -> list[str]:
        """The keys of the segments of these names; all where none is named."""
        keys = []
        for name in wanted or self.names.values():
            found = self._called(name)
            if not found:
                raise self._unknown(name)
            keys += found
        return list(dict.fromkeys(keys))

    def mask(self, key: str) -> Volume:
        """A segment, on the file's own, perhaps cropped, grid.

        Raises InputError where the file describes it in a way that is not understood.
        """
        older = (
            list(self.names).index(key) if len(self._layers) > 1 else 0
        )  # files that have a layer a segment and say nothing of it
        try:
            layer, value = int(self._fields.get(f"{key}_Layer", older)), int(self._fields.get(f"{key}_LabelValue", 1))
            mask = self._layers[layer] == value
        except (ValueError, IndexError):
            raise self._not_understood() from None
        return Volume(mask[None], self._affine)

    def color(self, key: str) -> Color | None:
        """Of a segment, in [0, 1]; None where the file tells none."""
        try:
            values = [min(1.0, max(0.0, float(value))) for value in self._fields.get(f"{key}_Color", "").split()]
        except ValueError:
            raise self._not_understood() from None
        return (values[0], values[1], values[2]) if len(values) == 3 else None

    def _called(self, name: str) -> list[str]:
        """The keys of the segments of a name, none or one. Raises InputError where there are more."""
        found = [key for key, called in self.names.items() if called.casefold() == name.strip().casefold()]
        if len(found) > 1:
            raise InputError(
                f'"{self.path}" has {len(found)} segments called "{self.names[found[0]]}"; give them different names.'
            )
        return found

    def _unknown(self, wanted: str) -> InputError:
        return InputError(f'"{self.path}" has no segment "{wanted}"; it has {self._list()}.')

    def _not_understood(self) -> InputError:
        return InputError(
            f'"{self.path}" describes its segments in a way that is not understood; save the segmentation in Slicer'
            " again."
        )

    def _list(self) -> str:
        return ", ".join(f'"{name}"' for name in self.names.values())
