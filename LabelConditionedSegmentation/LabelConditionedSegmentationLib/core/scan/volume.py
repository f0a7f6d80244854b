"""Volume: an image array together with its place in space. Geometry never travels apart from voxels."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from .placed_array import Affine, Array, NiftiPlace, PlacedArray

if TYPE_CHECKING:
    import nibabel
    import SimpleITK as sitk

__all__ = ["Affine", "Array", "NiftiPlace", "Volume"]


@dataclass(frozen=True)
class Volume(PlacedArray):
    """An image and its place in space, from and to the arrays and images of other libraries.

    Axes of arrays are in the order (channel, k, j, i), as SimpleITK gives them; i runs fastest. nibabel has them the
    other way round, (i, j, k). Positions are in right-anterior-superior (RAS) millimetres, as nibabel and 3D Slicer
    have them; SimpleITK and DICOM count left and posterior (LPS). The conversions here turn both round.

    Attributes:
        array: Voxels (channel, k, j, i) of any real type; an image of one channel has an axis of length 1 for it.
        affine: (4, 4) float64, from voxel indices (i, j, k, 1) to RAS millimetres. Its columns may lean against each
            other (a tilted gantry).
        findings: What was noticed when the scan was read.
        nifti_place: How a NIfTI header said where the scan lies, in both its forms, so that a result says the same.
        dicom_place: The slices of the DICOM series that the scan was read from, so that a result refers to them.

    Examples:
        >>> import numpy as np
        >>> from LabelConditionedSegmentationLib import Volume
        >>> volume = Volume.from_numpy(np.zeros((40, 50, 60)), spacing=(1.0, 1.0, 2.0), orientation="RAS")
        >>> volume.shape, volume.spacing
        ((40, 50, 60), (1.0, 1.0, 2.0))
    """

    @classmethod
    def from_numpy(
        cls,
        array: npt.ArrayLike,
        affine: npt.ArrayLike | None = None,
        *,
        spacing: Sequence[float] | None = None,
        orientation: str | None = None,
    ) -> Volume:
        """A volume of an array, which is not copied, and where it lies: an affine, or spacing and orientation.

        Args:
            array: Voxels (k, j, i) or (channel, k, j, i), real numbers. An array of nibabel, (i, j, k), has to be
                transposed: `array.T`.
            affine: (4, 4), from voxel indices (i, j, k, 1) to RAS millimetres, as nibabel has it.
            spacing: In place of the affine: millimetres between voxels along (i, j, k).
            orientation: With spacing: the sides that the axes i, j and k run to, in three letters such as "LPS". The
                volume then lies around the point (0, 0, 0).

        Returns:
            The volume.

        Raises:
            InputError: The array is no image, or it is not said, or not possible, where it lies.

        Examples:
            >>> import numpy as np
            >>> from LabelConditionedSegmentationLib import Volume
            >>> Volume.from_numpy(np.zeros((40, 50, 60)), np.diag([1.0, 1.0, 2.0, 1.0])).spacing
            (1.0, 1.0, 2.0)
        """
        voxels = np.asarray(array)
        if voxels.ndim not in (3, 4) or not voxels.size:
            raise InputError(
                "An array with the axes (k, j, i) or (channel, k, j, i) is needed; this one has the shape"
                f" {voxels.shape}."
            )
        if voxels.dtype.kind not in "buif":
            raise InputError(f"An array of real numbers is needed; this one holds {voxels.dtype}.")
        voxels = voxels if voxels.ndim == 4 else voxels[None]
        return cls(voxels, _affine(affine, spacing, orientation, voxels.shape[1:]))

    @classmethod
    def from_sitk(cls, image: sitk.Image) -> Volume:
        """A volume of a SimpleITK image; the components of its voxels are channels.

        Args:
            image: A 3D image of real numbers.

        Returns:
            The volume, with its own copy of the voxels.

        Raises:
            InputError: The image is not 3D, or holds complex numbers.

        Examples:
            >>> import SimpleITK as sitk
            >>> from LabelConditionedSegmentationLib import Volume
            >>> Volume.from_sitk(sitk.Image(60, 50, 40, sitk.sitkInt16)).shape
            (40, 50, 60)
        """
        import SimpleITK as sitk

        from .itk import affine_of

        if image.GetDimension() != 3:
            raise InputError(f"A 3D image is needed; this one is {image.GetDimension()}D.")
        array = sitk.GetArrayFromImage(image)
        return cls.from_numpy(np.moveaxis(array, -1, 0) if array.ndim == 4 else array, affine_of(image))

    @classmethod
    def from_nibabel(cls, image: nibabel.spatialimages.SpatialImage) -> Volume:
        """A volume of a nibabel image; a fourth axis becomes channels.

        Where a NIfTI header says twice where the scan lies, both are kept, and what disagrees is in `findings`, as
        `read_volume` has it.

        Args:
            image: An image (i, j, k) or (i, j, k, channel), as `nibabel.load` gives it.

        Returns:
            The volume.

        Raises:
            InputError: The image is not 3D or 4D, or does not say left from right (ANALYZE, or NIfTI whose codes are
                both 0).

        Examples:
            >>> import nibabel
            >>> import numpy as np
            >>> from LabelConditionedSegmentationLib import Volume
            >>> Volume.from_nibabel(nibabel.Nifti1Image(np.zeros((60, 50, 40)), np.eye(4))).shape
            (40, 50, 60)
        """
        from .nibabel_images import stored_of

        stored = stored_of(image)
        placed = cls.from_numpy(stored.array, stored.affine)
        return cls(placed.array, placed.affine, stored.findings, stored.nifti_place)

    def to_numpy(self) -> Array:
        """The voxels, which are not copied.

        Returns:
            (k, j, i), or (channel, k, j, i) where there are several channels.

        Examples:
            >>> import numpy as np
            >>> from LabelConditionedSegmentationLib import Volume
            >>> Volume.from_numpy(np.zeros((40, 50, 60)), np.eye(4)).to_numpy().shape
            (40, 50, 60)
        """
        return self.array if len(self.array) > 1 else self.array[0]

    def to_sitk(self) -> sitk.Image:
        """A SimpleITK image on the same place (LPS); several channels are the components of its voxels, and masks
        become 0 and 1.

        Returns:
            The image, with its own copy of the voxels.

        Examples:
            >>> import numpy as np
            >>> from LabelConditionedSegmentationLib import Volume
            >>> Volume.from_numpy(np.zeros((40, 50, 60)), np.eye(4)).to_sitk().GetSize()
            (60, 50, 40)
        """
        from .itk import image_of

        return image_of(self)

    def to_nibabel(self) -> nibabel.Nifti1Image:
        """A NIfTI image of nibabel, (i, j, k) or (i, j, k, channel); masks become 0 and 1.

        Its header says in both forms what the header said that the volume came from; a volume from elsewhere says its
        affine in both.

        Returns:
            The image, which shares its voxels with the volume.

        Examples:
            >>> import numpy as np
            >>> from LabelConditionedSegmentationLib import Volume
            >>> Volume.from_numpy(np.zeros((40, 50, 60)), np.eye(4)).to_nibabel().shape
            (60, 50, 40)
        """
        from .nibabel_images import nibabel_of

        return nibabel_of(self)

    def save(self, path: str | os.PathLike[str], overwrite: bool = False) -> None:
        """Write the volume to a file, which appears whole or not at all.

        Several channels are the fourth axis of a NIfTI file, else the components of each voxel.

        Args:
            path: Ends in .nii.gz, .nii, .nrrd or .mha, which is the format.
            overwrite: Replace a file that exists.

        Raises:
            OutputError: The name says no format, the file exists, cannot be written, or cannot say where the volume
                lies.

        Examples:
            >>> import numpy as np
            >>> from LabelConditionedSegmentationLib import Volume
            >>> Volume.from_numpy(np.zeros((40, 50, 60)), np.eye(4)).save("empty.nii.gz")
        """
        from .file_formats import check_image_name
        from .image_writing import write_image
        from .whole_files import save_all

        check_image_name(Path(path))
        save_all({Path(path): partial(write_image, self)}, overwrite)


def _affine(
    affine: npt.ArrayLike | None, spacing: Sequence[float] | None, orientation: str | None, shape: tuple[int, ...]
) -> Affine:
    """Where an array of the shape (k, j, i) lies, as `Volume.from_numpy` takes it. Raises InputError."""
    if (affine is None) == (spacing is None) or (spacing is None) != (orientation is None):
        raise InputError(
            "It is not clear where the array lies: give an affine, or a spacing together with an orientation such as"
            ' "LPS".'
        )
    if spacing is not None:
        from .orientation import affine_from_letters

        if len(spacing) != 3 or not all(np.isfinite(step) and step > 0 for step in spacing):
            raise InputError(f"A spacing is three lengths in mm above 0, along (i, j, k); this one is {spacing}.")
        return affine_from_letters(str(orientation), spacing, shape)
    matrix = np.array(affine, dtype=np.float64)
    if matrix.shape != (4, 4) or not np.isfinite(matrix).all() or not np.array_equal(matrix[3], [0, 0, 0, 1]):
        raise InputError(
            f"An affine is a 4x4 matrix of numbers whose last row is 0 0 0 1; this one is {matrix.tolist()}."
        )
    if abs(np.linalg.det(matrix[:3, :3])) < 1e-12:
        raise InputError("The affine has an impossible spacing: one of its axes has no length, or two are one.")
    return matrix
