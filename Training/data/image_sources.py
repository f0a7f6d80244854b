"""Where the image of a sample comes from: files, or a label map that an image is made from, anew for every sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol
from zlib import crc32

import numpy as np
import torch
from LabelConditionedSegmentationLib.core.scan.metadata import MetadataSchema
from LabelConditionedSegmentationLib.core.scan.preprocessing import BACKGROUND

from .acquisition import Acquisition
from .augmentation import Augmentation, View, crop_view, intensity_augmentation, vary_intensity
from .made_images import ImageMaker, thick_slices
from .prepared_cases import Case
from .tissue_curves import TissueCurve

VALIDATION_IMAGES = 4
"""Images that are made of every map that is kept for validation, each of another contrast."""


class ImageSource(Protocol):
    """Gives the image of a sample: what of a case is moved, and what is seen of it once it was moved."""

    def whole(self, case: Case, target: torch.Tensor, device: torch.device) -> View:
        """The case before it is moved. target (k, j, i) or (maps, k, j, i)."""

    def moved(self, view: View, case: Case, crop: float, generator: np.random.Generator) -> View:
        """What a sample sees of the moved case, with as many maps as its target had; a share `crop` of the samples has
        a short field of view.
        """

    def image(self, view: View, varied: bool, generator: np.random.Generator) -> torch.Tensor:
        """(channel, k, j, i): what the network gets; varied: whether intensities change."""

    def metadata(self, view: View, case: Case) -> torch.Tensor:
        """(fields,): what is known of the image, NaN for unknown."""


class StoredImages:
    """Images that were read from files; their intensities are varied."""

    def __init__(self, settings: Augmentation, spacing: tuple[float, float, float]) -> None:
        """spacing (i, j, k) mm of the voxels."""
        self._settings = settings
        self._steps = tuple(reversed(spacing))
        self._variation = intensity_augmentation(settings.curves)

    def whole(self, case: Case, target: torch.Tensor, device: torch.device) -> View:
        return View(case.image.to(device).float(), case.foreground.to(device).float(), target.to(device))

    def moved(self, view: View, case: Case, crop: float, generator: np.random.Generator) -> View:  # noqa: ARG002
        return crop_view(view, crop, generator)

    def image(self, view: View, varied: bool, generator: np.random.Generator) -> torch.Tensor:
        s = self._settings
        if varied and s.thick and generator.random() < s.thick:
            view = self._in_thick_slices(view, generator.uniform(*s.thickness_mm), int(generator.integers(3)))
        if varied:
            return vary_intensity(view, self._variation, generator)
        return view.image.masked_fill(~view.foreground, BACKGROUND)

    def metadata(self, view: View, case: Case) -> torch.Tensor:  # noqa: ARG002
        return case.metadata

    def _in_thick_slices(self, view: View, thickness_mm: float, axis: int) -> View:
        wanted = [max(step, thickness_mm) if n == axis else step for n, step in enumerate(self._steps)]
        thick = [thick_slices(channel, wanted, self._steps) for channel in view.image - BACKGROUND]
        return view._replace(image=torch.stack(thick) + BACKGROUND)


class MadeImages:
    """Images that are made from the moved map, each with a contrast, a resolution and a field of view of its own (see
    `made_images`).
    """

    def __init__(self, acquisition: Acquisition, spacing: tuple[float, float, float], schema: MetadataSchema) -> None:
        self._acquisition = acquisition
        self._spacing = spacing
        names = [each.name for each in schema.fields]
        self._place = names.index(acquisition.contrast_field) if acquisition.contrast_field in names else None
        self._values = () if self._place is None else schema.fields[self._place].choices

    def whole(self, case: Case, target: torch.Tensor, device: torch.device) -> View:
        """The generation classes are the last map, and there is no image yet."""
        assert case.map is not None
        maps = target if target.ndim == 4 else target[None]
        classes = case.map.classes.to(maps.dtype)[None]
        share = torch.ones(target.shape[-3:], device=device)
        return View(share.new_zeros(0, *share.shape), share, torch.cat([maps, classes]).to(device))

    def moved(self, view: View, case: Case, crop: float, generator: np.random.Generator) -> View:  # noqa: ARG002
        """The field of view is that of the made image, whatever `crop`; what it does not show has no label."""
        assert case.map is not None
        acquisition = self._acquisition
        tissues = TissueCurve(case.map, acquisition.tissues) if acquisition.contrasts or case.map.levels else None
        brain = case.map.within(acquisition.stripped_to)
        maker = ImageMaker(len(case.map.names), brain, self._spacing, acquisition, tissues)
        made = maker(view.target[-1].cpu(), generator)
        device = view.target.device
        outside = ~made.foreground.to(device)
        target = view.target[0] if len(view.target) == 2 else view.target[:-1]
        return View(
            made.image[None].to(device),
            made.foreground.to(device).float(),
            target.masked_fill(outside & (target > 0), 0),
            made.contrast,
        )

    def image(self, view: View, varied: bool, generator: np.random.Generator) -> torch.Tensor:  # noqa: ARG002
        """It was made varied."""
        return view.image

    def metadata(self, view: View, case: Case) -> torch.Tensor:
        """The contrast is that of the made image, whatever the scan has."""
        known = case.metadata.clone()
        if self._place is not None:
            has_it = view.contrast in self._values
            known[self._place] = float(self._values.index(view.contrast)) if has_it else torch.nan
        return known


def with_made_images(cases: Sequence[Case], source: MadeImages) -> list[Case]:
    """Cases for validation, each without images made into several of them, the same in every run: NAME#1, NAME#2 ..."""
    out = []
    for case in cases:
        if case.map is None:
            out.append(case)
            continue
        for n in range(1, VALIDATION_IMAGES + 1):
            name = f"{case.name}#{n}"
            generator = np.random.default_rng(crc32(name.encode()))
            view = source.whole(case, case.target.long(), torch.device("cpu"))
            view = source.moved(view, case, 0.0, generator)
            target = view.target.to(case.target.dtype)
            known = source.metadata(view, case)
            image, foreground = view.image.half(), view.foreground
            made = replace(case, name=name, image=image, foreground=foreground, target=target, metadata=known, map=None)
            out.append(made)
    return out
