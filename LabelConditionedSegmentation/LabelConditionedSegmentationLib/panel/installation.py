"""What the module needs beside Slicer, and its installation after the user has agreed."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import logging
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
    version = _version("torch")
    if version is None:
        return "PyTorch is not installed yet; press the button above to install it."
    if not _is_supported(version):
        return (
            f"PyTorch {version} is installed and {TORCH} is needed; uninstall it in the module PyTorch Utils, restart"
            " Slicer, and come back."
        )
    if _version("safetensors") is None:
        return "The Python package safetensors is not installed yet; press the button above to install it."
    return ""


def install(requirements: Path, confirm: Confirm) -> bool:
    """Install what is missing. Nothing happens where the user refuses (False). Raises InstallationError."""
    if _version("torch") is None:
        utilities = _pytorch_utilities()
        if not confirm(
            f"{NAME} needs PyTorch, which is not part of Slicer. It will now be downloaded (up to several gigabytes)"
            " and installed by the extension PyTorch, in the build that fits this computer. Nothing else is sent or"
            " changed. This may take some minutes."
        ):
            return False
        with _told("PyTorch"):
            utilities.PyTorchUtilsLogic().installTorch(askConfirmation=False, torchVersionRequirement=TORCH)
        importlib.invalidate_caches()
        if _version("torch") is None:
            raise InstallationError("PyTorch was not installed; the Python console says why.")
    return _version("safetensors") is not None or _install_requirements(requirements, confirm)


def _pytorch_utilities() -> Any:
    try:
        import PyTorchUtils
    except ModuleNotFoundError:
        raise InstallationError(
            "The extension PyTorch is not installed; install it in the Extensions Manager, restart Slicer, and come"
            " back."
        ) from None
    return PyTorchUtils


def _install_requirements(requirements: Path, confirm: Confirm) -> bool:
    try:
        from slicer import packaging  # Slicer 5.11 and later
    except ImportError:
        packaging = None
    if packaging is not None and hasattr(packaging, "pip_ensure"):
        try:
            with _told("The Python package safetensors"):
                packaging.pip_ensure(packaging.load_requirements(requirements), requester=NAME)
        except RuntimeError:  # how it says that the user refused
            return False
    elif confirm(
        f"{NAME} needs the Python package safetensors. It will now be downloaded and installed. Nothing else is"
        " changed."
    ):
        with _told("The Python package safetensors"):
            slicer.util.pip_install(["-r", str(requirements)])
    importlib.invalidate_caches()
    return _version("safetensors") is not None


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Makes a sentence of a failed installation; pip's own words are in the console."""
    try:
        yield
    except (subprocess.CalledProcessError, ImportError, OSError, ValueError) as error:
        logging.exception("%s could not be installed.", what)
        raise InstallationError(
            f"{what} could not be installed; look into the Python console, check the internet connection, and try"
            " again."
        ) from error


def _version(package: str) -> str | None:
    """The version of an installed Python package, which is not imported; None where it is not installed, or in part
    only.
    """
    if importlib.util.find_spec(package) is None:
        return None
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _is_supported(version: str) -> bool:
    """Whether a version of PyTorch meets TORCH; read from its first two numbers, since `packaging` is not part of every
    Slicer.
    """
    numbers = tuple(int(part) for part in version.split("+")[0].split(".")[:2] if part.isdecimal())
    return numbers >= (2, 6) and numbers != (2, 9)
