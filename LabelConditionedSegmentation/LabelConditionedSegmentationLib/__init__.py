"""Label conditioned segmentation: a network that is told which structure to find and what is known about the scan.

What scripts need is here, and imported when it is first used: importing the library loads no PyTorch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .version import __version__

if TYPE_CHECKING:
    from .core.errors import LCSError
    from .core.inference.segmenter import Segmenter
    from .core.package.model_package import ModelPackage
    from .core.scan.image_io import read_volume
    from .core.scan.volume import Volume

__all__ = ["LCSError", "ModelPackage", "Segmenter", "Volume", "__version__", "read_volume"]


def __getattr__(name: str) -> Any:
    """A name of `__all__`, from the file that it lives in."""
    match name:
        case "LCSError":
            from .core.errors import LCSError

            return LCSError
        case "ModelPackage":
            from .core.package.model_package import ModelPackage

            return ModelPackage
        case "Segmenter":
            from .core.inference.segmenter import Segmenter

            return Segmenter
        case "Volume":
            from .core.scan.volume import Volume

            return Volume
        case "read_volume":
            from .core.scan.image_io import read_volume

            return read_volume
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
