"""Packages that are installed already: exchanged for another version, or removed. Whole or not at all."""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path

from ..errors import PackageError, PackageInstallError
from .model_package import ModelPackage, copy_package, verified_package


def update_package(source: Path, installed: Path) -> ModelPackage:
    """Check a package (folder or zip) completely, then put it in the place of the installed one of the same name, which
    stays until that was done.

    Raises PackageError where it cannot be used or is another model, and OSError where the folder cannot be written.
    """
    package = verified_package(source)
    name = _name_of(installed)
    if package.name != name:
        raise PackageInstallError(f'This is the model "{package.name}" and no version of "{name}"; add it as a model.')
    target = installed.with_name(installed.name.removesuffix(".zip"))
    copy_package(package, target, replace=True)
    if installed != target:
        installed.unlink()  # the folder is found in its place
    return ModelPackage.load(target)


def remove_package(installed: Path) -> None:
    """Remove an installed package, folder or zip. Raises OSError where that is not allowed."""
    if installed.is_dir():
        away = installed.with_name(f".{installed.name}.{uuid.uuid4().hex}")
        installed.rename(away)  # from here on it is not found any more, whatever happens to the rest
        shutil.rmtree(away)
    else:
        installed.unlink()


def _name_of(installed: Path) -> str:
    """What an installed package is called; by its file name, where it is damaged."""
    try:
        return ModelPackage.load(installed).name
    except PackageError:
        return installed.name.removesuffix(".zip")
