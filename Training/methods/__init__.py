"""The training methods: each is a file of this folder, which registers it under a name; all else of a run is shared."""

from .registry import build_method, check_method

__all__ = ["build_method", "check_method"]
