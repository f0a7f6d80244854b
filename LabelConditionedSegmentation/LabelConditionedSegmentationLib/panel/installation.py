"""What the module needs beside Slicer, and its installation after the user has agreed."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import slicer
import slicer.util

TORCH = ">=2.6,!=2.9.*"
NAME = "Label Conditioned Segmentation"

Confirm = Callable[[str], bool]


class InstallationError(Exception):
    """Something could not be installed; the text is a sentence for the user."""


def missing() -> str:
    """What has to be installed before the network can run, as a sentence; "" where nothing has to. Imports nothing."""
    if importlib.util.find_spec("torch") is None:
        return "PyTorch is not installed yet; press the button above to install it."
    version = importlib.metadata.version("torch")
    if not _is_supported(version):
        return f"PyTorch {version} is installed and {TORCH} is needed; uninstall it in the module PyTorch Utils, restart Slicer, and come back."
    if importlib.util.find_spec("safetensors") is None:
        return "The Python package safetensors is not installed yet; press the button above to install it."
    return ""


def install(requirements: Path, confirm: Confirm) -> bool:
    """Install what is missing. Nothing happens where the user refuses (False). Raises InstallationError."""
    if importlib.util.find_spec("torch") is None:
        utilities = _pytorch_utilities()
        if not confirm(
            f"{NAME} needs PyTorch, which is not part of Slicer. It will now be downloaded (up to several gigabytes) and installed by the extension PyTorch, "
            "in the build that fits this computer. Nothing else is sent or changed. This may take some minutes."
        ):
            return False
        if utilities.PyTorchUtilsLogic().installTorch(askConfirmation=False, torchVersionRequirement=TORCH) is None:
            raise InstallationError("PyTorch was not installed; the Python console of Slicer says why.")
    if importlib.util.find_spec("safetensors") is None and not _install_requirements(requirements, confirm):
        return False
    importlib.invalidate_caches()
    return True


def _pytorch_utilities() -> Any:
    try:
        import PyTorchUtils
    except ModuleNotFoundError:
        raise InstallationError("The extension PyTorch is not installed; install it in the Extensions Manager, restart Slicer, and come back.") from None
    return PyTorchUtils


def _install_requirements(requirements: Path, confirm: Confirm) -> bool:
    try:
        from slicer import packaging  # Slicer 5.11 and later
    except ImportError:
        packaging = None
    if packaging is not None and hasattr(packaging, "pip_ensure"):
        packaging.pip_ensure(packaging.load_requirements(requirements), requester=NAME)
    elif confirm(f"{NAME} needs the Python package safetensors. It will now be downloaded and installed. Nothing else is changed."):
        slicer.util.pip_install(f'-r "{requirements}"')
    importlib.invalidate_caches()
    return importlib.util.find_spec("safetensors") is not None


def _is_supported(version: str) -> bool:
    """Whether a version of PyTorch meets TORCH; read from its first two numbers, since `packaging` is not part of every Slicer."""
    numbers = tuple(int(part) for part in version.split("+")[0].split(".")[:2] if part.isdecimal())
    return numbers >= (2, 6) and numbers != (2, 9)
