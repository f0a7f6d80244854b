"""Instances: the connected pieces of a label, each of which is a thing of its own, such as a lesion or a nucleus."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from ..labels.label_tree import Label
from ..scan.file_formats import check_image_name, names_file
from ..scan.image_writing import write_image
from ..scan.volume import Volume
from ..scan.whole_files import Writer, as_json, save_all, write_text


@dataclass(frozen=True)
class Instance:
    """One piece of a label.

    Attributes:
        number: Its value in the map, from 1; the largest piece is 1.
        name: The label's name and the number, such as "Lesion 3".
        ml: Its volume in millilitres.
        centre: Of its mass, in millimetres, right-anterior-superior (RAS).
    """

    number: int
    name: str
    ml: float
    centre: tuple[float, float, float]


@dataclass(frozen=True)
class Instances:
    """The pieces of one label.

    Attributes:
        volume: A map (1, k, j, i) of the smallest unsigned integer type on the input grid: 0 outside of the label, and
            in a piece its number.
        label: Whose pieces they are.
        pieces: From the largest to the smallest one.

    Examples:
        >>> lesions = result.instances("Lesion")
        >>> millilitres = [piece.ml for piece in lesions.pieces]
        >>> lesions.save("lesions.nii.gz")
    """

    volume: Volume
    label: Label
    pieces: tuple[Instance, ...]

    def save(self, path: str | os.PathLike[str], overwrite: bool = False) -> None:
        """Write the map, and beside it a .json file with the volume and centre of each piece; both appear whole, or
        none.

        Args:
            path: Ends in .nii.gz, .nii, .nrrd or .mha, which is the format.
            overwrite: Replace files that exist.

        Raises:
            OutputError: The name says no format, a file exists, cannot be written, or cannot say where the scan lies.

        Examples:
            >>> result.instances("Lesion").save("pieces.nii.gz")
        """
        check_image_name(Path(path))
        save_all(self.files(Path(path)), overwrite)

    def files(self, path: Path) -> dict[Path, Writer]:
        """The files that `save` writes for this name, and what writes each."""
        return {path: partial(write_image, self.volume), names_file(path): partial(self._write_names, path)}

    def _write_names(self, label_map: Path, path: Path) -> None:
        values: dict[str, Any] = {
            str(piece.number): {
                "name": piece.name,
                "ml": round(piece.ml, 6),
                "centre_ras_mm": [round(place, 3) for place in piece.centre],
            }
            for piece in self.pieces
        }
        names = {"label_map": label_map.name, "instances_of": self.label.name, "background": 0, "values": values}
        write_text(as_json(names), path)


def instances_of(mask: Volume, label: Label) -> Instances:
    """The connected pieces of a label, numbered from the largest one.

    Voxels that share a face, an edge or a corner are connected.

    Args:
        mask: (1, k, j, i), true inside of the label.
        label: The label.
    """
    inside = sitk.GetImageFromArray(np.ascontiguousarray(mask.array[0], dtype=np.uint8))
    numbered = sitk.RelabelComponent(sitk.ConnectedComponent(inside, True))
    shape = sitk.LabelShapeStatisticsImageFilter()
    shape.ComputePerimeterOff()
    shape.Execute(numbered)
    pieces = tuple(
        Instance(
            number,
            f"{label.name} {number}",
            shape.GetNumberOfPixels(number) * mask.voxel_millilitres,
            _placed(mask, shape.GetCentroid(number)),
        )
        for number in sorted(shape.GetLabels())
    )
    smallest = np.min_scalar_type(len(pieces))
    return Instances(mask.with_array(sitk.GetArrayFromImage(numbered).astype(smallest)), label, pieces)


def _placed(volume: Volume, index: tuple[float, ...]) -> tuple[float, float, float]:
    """Where a voxel (i, j, k) lies, in millimetres."""
    x, y, z = (volume.affine @ (*index, 1.0))[:3]
    return float(x), float(y), float(z)
