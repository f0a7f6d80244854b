"""Where the images of a source of training data come from: files, so far. What makes them from label maps becomes an
entry of `IMAGES`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch

if TYPE_CHECKING:
    from .prepared_cases import Case


class ImageSource(Protocol):
    """Gives the image of a sample before it is varied."""

    def __call__(self, case: Case, generator: np.random.Generator) -> torch.Tensor:
        """(channel, k, j, i) of any floating dtype, on the grid of the case; generator: that of the sample, so that an
        image which is drawn is reproducible from (seed, n) as the sample is.
        """


def stored(case: Case, generator: np.random.Generator) -> torch.Tensor:  # noqa: ARG001
    """The image that was read from files; draws nothing."""
    return case.image


IMAGES: dict[str, ImageSource] = {"stored": stored}
"""By the name that `images` of a source gives."""
