"""The model packages that are installed, read without torch; those that cannot be used become findings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..core.errors import PackageError
from ..core.findings import Finding
from ..core.package.model_package import ModelPackage, find_packages
from ..core.package.needed import needed_package


def installed_models(folders: Sequence[Path]) -> tuple[dict[str, ModelPackage], list[Finding]]:
    """Name -> package for every usable package in these folders, and a warning for every other one.

    Earlier folders win over later ones of the same name.
    """
    models: dict[str, ModelPackage] = {}
    findings = []
    for folder in folders:
        try:
            paths = find_packages([folder])
        except OSError as error:
            findings.append(
                Finding.warning(
                    f'The folder of models "{folder}" cannot be read ({error.strerror}).',
                    "Ask for permission to read it.",
                )
            )
            continue
        for path in paths:
            try:
                package = ModelPackage.load(path)
            except (PackageError, OSError) as error:
                findings.append(Finding.warning(f'The model "{path.name}" cannot be used: {error}'))
                continue
            models.setdefault(package.name, package)
    return models, findings


def lack_of(package: ModelPackage) -> str:
    """What a package needs and does not find, as a sentence; "" where nothing is amiss. Reads descriptions only."""
    try:
        needed_package(package)
    except PackageError as error:
        return str(error)
    return ""
