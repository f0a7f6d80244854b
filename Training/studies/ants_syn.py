"""Symmetric normalisation (SyN) by ANTs, which needs the package antspyx.

B. Avants et al., "Symmetric diffeomorphic image registration with cross-correlation", Medical Image Analysis 2008.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import SimpleITK as sitk
from LabelConditionedSegmentationLib.core.errors import InputError

FULL, QUICK = "antsRegistrationSyN[s]", "antsRegistrationSyNQuick[s]"
"""The settings of the two scripts that ANTs recommends: rigid and affine by mutual information, then SyN.

The full one compares by cross-correlation, down to the resolution of the images, which takes about an hour for two
heads of 1 mm; the quick one by mutual information down to half of that, in minutes.
"""

SEED = 1


def load_ants() -> Any:
    """The package. Raises InputError where it is not there."""
    try:
        import ants
    except ImportError as error:
        raise InputError(
            f"Registration by SyN needs the package antspyx, which cannot be loaded ({error}); "
            "install it in an environment of its own (pip install .[training,registration]), or leave syn out."
        ) from None
    return ants


def register(fixed: sitk.Image, moving: sitk.Image, settings: str = FULL) -> sitk.Transform:
    """The transform that takes points of the fixed image to the moving one, by FULL or QUICK settings.

    Raises InputError where ANTs is missing.
    """
    ants = load_ants()
    ants.config.set_ants_deterministic(
        on=True, seed_value=SEED
    )  # on one thread: on several it found something else each time
    with tempfile.TemporaryDirectory(prefix="lcs-syn-") as folder:
        images = (ants.from_sitk(image) for image in (fixed, moving))
        found = ants.registration(*images, type_of_transform=settings, outprefix=str(Path(folder) / "syn"))
        warp, linear = found["fwdtransforms"]
        field = sitk.DisplacementFieldTransform(sitk.ReadImage(warp, sitk.sitkVectorFloat64))
        return sitk.CompositeTransform([sitk.ReadTransform(linear), field])
