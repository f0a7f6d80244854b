"""Labels carried from an atlas to a scan by registration: what labels by example are compared with
(Training/studies/labels_by_example.py).

The settings are in millimetres and meant for heads of human size. The scans' outside is 0 (skull-stripped). The seed is
fixed, so that the same scans give the same labels on one thread; several add up in any order, which moves a point by
some nanometres.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import SimpleITK as sitk
from LabelConditionedSegmentationLib.core.errors import InputError
from LabelConditionedSegmentationLib.core.scan.itk import image_of
from LabelConditionedSegmentationLib.core.scan.volume import Array, Volume

from . import ants_syn

MARGIN_MM = 10.0
"""Kept around the foreground of both images."""

WORKING_MM = 2.0
"""The resolution at which mutual information is measured."""

BINS, SAMPLED, SEED = 32, 0.25, 1
"""Of the mutual information: bins of the histogram, share of the voxels that is looked at, and what the lattice of
these is shifted by.
"""

DEMONS_LEVELS = ((8.0, 100), (4.0, 100), (2.0, 60), (1.0, 20))
"""Resolution in mm and iterations, coarse to fine."""

DEMONS_SMOOTHING, DEMONS_STEP = 1.0, 2.0
"""In voxels of each level: standard deviation of the smoothing of the displacements after every iteration, and by how
much one iteration changes them at most.
"""


def affine(fixed: sitk.Image, moving: sitk.Image) -> sitk.Transform:
    """From points of the fixed image to points of the moving one: twelve parameters, from the moments of both images,
    by mutual information at 8, 4 and 2 mm.
    """
    coarse_fixed, coarse_moving = (_resampled(_around_foreground(image), WORKING_MM) for image in (fixed, moving))
    moments = sitk.CenteredTransformInitializer(
        coarse_fixed, coarse_moving, sitk.AffineTransform(3), sitk.CenteredTransformInitializerFilter.MOMENTS
    )
    transform = sitk.AffineTransform(moments)
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(BINS)
    method.SetMetricSamplingStrategy(method.REGULAR)
    method.SetMetricSamplingPercentage(SAMPLED, SEED)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetShrinkFactorsPerLevel([4, 2, 1])
    method.SetSmoothingSigmasPerLevel([4.0, 2.0, 0.0])
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=2.0, minStep=1e-3, numberOfIterations=100, relaxationFactor=0.6
    )
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetInitialTransform(transform, inPlace=True)
    method.Execute(coarse_fixed, coarse_moving)
    return transform


def demons(fixed: sitk.Image, moving: sitk.Image) -> sitk.Transform:
    """After the affine registration demons with symmetric forces, from coarse to fine, on images with the same
    histogram.

    T. Vercauteren et al., "Diffeomorphic demons: efficient non-parametric image registration", NeuroImage 2009 (the
    additive variant of section 3).
    """
    before = affine(fixed, moving)
    whole_fixed, whole_moving = _around_foreground(fixed), _around_foreground(moving)
    field: sitk.Image | None = None
    for spacing, iterations in DEMONS_LEVELS:
        level = _resampled(whole_fixed, spacing)
        aligned = sitk.Resample(_smoothed(whole_moving, spacing), level, before, sitk.sitkLinear, 0.0, sitk.sitkFloat32)
        aligned = sitk.HistogramMatching(
            aligned, level, numberOfHistogramLevels=256, numberOfMatchPoints=15, thresholdAtMeanIntensity=True
        )
        method = sitk.FastSymmetricForcesDemonsRegistrationFilter()
        method.SetNumberOfIterations(iterations)
        method.SetSmoothDisplacementField(True)
        method.SetStandardDeviations(DEMONS_SMOOTHING)
        method.SetMaximumUpdateStepLength(DEMONS_STEP)
        if field is None:
            field = method.Execute(level, aligned)
        else:
            field = method.Execute(
                level,
                aligned,
                sitk.Resample(field, level, sitk.Transform(), sitk.sitkLinear, 0.0, sitk.sitkVectorFloat64),
            )
    return sitk.CompositeTransform([before, sitk.DisplacementFieldTransform(sitk.Cast(field, sitk.sitkVectorFloat64))])


def syn(fixed: sitk.Image, moving: sitk.Image) -> sitk.Transform:
    """Symmetric normalisation by ANTs, an affine registration of its own before it: see Training.studies.ants_syn."""
    return ants_syn.register(_around_foreground(fixed), _around_foreground(moving))


def syn_quick(fixed: sitk.Image, moving: sitk.Image) -> sitk.Transform:
    """The same by the quick settings of ANTs."""
    return ants_syn.register(_around_foreground(fixed), _around_foreground(moving), ants_syn.QUICK)


WAYS: dict[str, Callable[[sitk.Image, sitk.Image], sitk.Transform]] = {
    "affine": affine,
    "demons": demons,
    "syn": syn,
    "syn_quick": syn_quick,
}
"""Fixed and moving image, both float32 -> the transform that takes points of the fixed image to the moving one."""


def require(ways: Sequence[str]) -> None:
    """Raise InputError where one of WAYS needs a package that is not there, before anything is computed for it."""
    if {"syn", "syn_quick"} & set(ways):
        ants_syn.load_ants()


def carried(scan: Volume, atlas: Volume, values: Array, way: str) -> Array:
    """Values on an atlas's voxels (k, j, i), such as labels, on a scan's voxels (k, j, i), 0 outside of the atlas; the
    first channels are registered.

    way: one of WAYS. Nearest neighbour: no value arises that is not there. Raises InputError where one of the two is
    empty.
    """
    fixed, moving = (sitk.Cast(image_of(volume), sitk.sitkFloat32) for volume in (scan, atlas))
    transform = WAYS[way](fixed, moving)
    out: Array = sitk.GetArrayFromImage(
        sitk.Resample(image_of(atlas.with_array(values)), fixed, transform, sitk.sitkNearestNeighbor, 0.0)
    )
    return out


def majority(opinions: Sequence[Array]) -> Array:
    """What most say of every voxel, all of one shape; values below 0 are no opinion, and 0 where there is none.

    With as many voices the earlier one counts.
    """
    best, most = np.zeros_like(opinions[0]), np.zeros(opinions[0].shape, dtype=np.int16)
    for opinion in opinions:
        voices = sum((other == opinion).astype(np.int16) for other in opinions) * (opinion >= 0)
        wins = voices > most
        best[wins], most[wins] = opinion[wins], voices[wins]
    return best


def _around_foreground(image: sitk.Image) -> sitk.Image:
    """Cut, or filled up with 0, to the box of the voxels that are not 0 and a margin."""
    shape = sitk.LabelShapeStatisticsImageFilter()
    shape.Execute(image != 0)
    if not shape.HasLabel(1):
        raise InputError("The scan is empty: every voxel is 0. Check that the right file was chosen.")
    box = shape.GetBoundingBox(1)
    margin = [math.ceil(MARGIN_MM / spacing) for spacing in image.GetSpacing()]
    low = [start - m for start, m in zip(box[:3], margin, strict=True)]
    high = [start + length + m for start, length, m in zip(box[:3], box[3:], margin, strict=True)]
    below = [max(0, -n) for n in low]
    above = [max(0, n - size) for n, size in zip(high, image.GetSize(), strict=True)]
    padded = sitk.ConstantPad(image, below, above, 0.0)
    return padded[tuple(slice(a + b, z + b) for a, z, b in zip(low, high, below, strict=True))]


def _smoothed(image: sitk.Image, spacing: float) -> sitk.Image:
    """Without what a grid of this spacing (mm) cannot hold; as `geometry.smooth_for`."""
    variance = [max(0.0, (0.425 * spacing) ** 2 - (0.425 * own) ** 2) for own in image.GetSpacing()]
    return (
        sitk.DiscreteGaussian(image, variance, maximumKernelWidth=64, maximumError=0.01, useImageSpacing=True)
        if max(variance) > 0
        else image
    )


def _resampled(image: sitk.Image, spacing: float) -> sitk.Image:
    """On a grid of cubes of this spacing (mm) that covers the image."""
    size = [math.ceil((n - 1) * own / spacing) + 1 for n, own in zip(image.GetSize(), image.GetSpacing(), strict=True)]
    return sitk.Resample(
        _smoothed(image, spacing),
        size,
        sitk.Transform(),
        sitk.sitkLinear,
        image.GetOrigin(),
        [spacing] * 3,
        image.GetDirection(),
        0.0,
        sitk.sitkFloat32,
    )
