"""Where the image of a sample comes from: files, or a label map that an image is made from, anew for every sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol
from zlib import crc32

import numpy as np
import torch
from LabelConditionedSegmentationLib.core.scan.preprocessing import BACKGROUND

from .acquisition import Acquisition
from .augmentation import View, crop_view, intensity_augmentation, vary_intensity
from .made_images import ImageMaker
from .prepared_cases import Case

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


class StoredImages:
    """Images that were read from files; their intensities are varied."""

    def __init__(self) -> None:
        self._variation = intensity_augmentation()

    def whole(self, case: Case, target: torch.Tensor, device: torch.device) -> View:
        return View(case.image.to(device).float(), case.foreground.to(device).float(), target.to(device))

    def moved(self, view: View, case: Case, crop: float, generator: np.random.Generator) -> View:  # noqa: ARG002
        return crop_view(view, crop, generator)

    def image(self, view: View, varied: bool, generator: np.random.Generator) -> torch.Tensor:
        if varied:
            return vary_intensity(view, self._variation, generator)
        return view.image.masked_fill(~view.foreground, BACKGROUND)


class MadeImages:
    """Images that are made from the moved map, each with a contrast, a resolution and a field of view of its own (see
    `made_images`).
    """

    def __init__(self, acquisition: Acquisition, spacing: tuple[float, float, float]) -> None:
        self._acquisition = acquisition
        self._spacing = spacing

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
        maker = ImageMaker(
            *(len(case.map.names), case.map.within(self._acquisition.stripped_to), self._spacing, self._acquisition)
        )
        made = maker(view.target[-1].cpu(), generator)
        device = view.target.device
        outside = ~made.foreground.to(device)
        target = view.target[0] if len(view.target) == 2 else view.target[:-1]
        return View(
            made.image[None].to(device),
            made.foreground.to(device).float(),
            target.masked_fill(outside & (target > 0), 0),
        )

    def image(self, view: View, varied: bool, generator: np.random.Generator) -> torch.Tensor:  # noqa: ARG002
        """It was made varied."""
        return view.image


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
            out.append(
                replace(case, name=name, image=view.image.half(), foreground=view.foreground, target=target, map=None)
            )
    return out
