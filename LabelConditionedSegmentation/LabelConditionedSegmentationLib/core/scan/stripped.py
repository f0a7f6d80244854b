"""Whether a scan shows nothing but a brain, the skull being taken away before."""

from __future__ import annotations

from enum import StrEnum

import numpy as np

from ..errors import InputError
from .foreground import foreground_mask
from .volume import Volume

LARGEST_BRAIN_ML = 2200.0
"""More foreground than that is no brain alone."""

BORDER_SHARE = 0.02
"""Of the border of a stripped scan that is foreground, at most; a head goes on beyond it."""


class Stripped(StrEnum):
    """Whether a scan counts as skull-stripped: that is found out, or the user says so."""

    AUTO = "auto"
    YES = "yes"
    NO = "no"

    @classmethod
    def of(cls, word: str) -> Stripped:
        """The choice of this word. Raises InputError for one that says nothing of the skull."""
        try:
            return cls(word)
        except ValueError:
            raise InputError(f'stripped has to be {", ".join(cls)}, and is "{word}".') from None


def looks_stripped(volume: Volume) -> bool:
    """Whether the foreground of a scan (all that is not background in some channel) is of the size of a brain, and
    hardly touches the border. A head is larger, or its neck is cut off by the border, or noise fills its air.
    """
    foreground = foreground_mask(volume.array, "nonzero")
    border = np.concatenate([np.take(foreground, end, axis).ravel() for axis in range(3) for end in (0, -1)])
    is_of_size = 0 < foreground.sum() * volume.voxel_millilitres <= LARGEST_BRAIN_ML
    return bool(is_of_size and border.mean() <= BORDER_SHARE)
