"""Model packages that answer together: of one label tree, input and architecture, such as the folds of a
cross-validation.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from ..errors import PackageError
from .model_package import ModelPackage

AGREE = {
    "labels": "label trees",
    "input": "inputs (channels, grid, foreground or intensities)",
    "metadata": "metadata fields",
    "architecture": "architectures",
    "patch": "patch sizes",
    "flip": "use of mirror images",
}
"""What packages have to have in common, and its name in a sentence."""


def ensemble_of(packages: Sequence[ModelPackage]) -> ModelPackage:
    """What reports and labels by example say of the packages together: the names and the hash of all, and else the
    first one's description. Raises PackageError where they do not fit together.
    """
    if not packages:
        raise PackageError("No model was named; give at least one package.")
    first, *others = packages
    for other in others:
        for name, what in AGREE.items():
            if getattr(first, name) != getattr(other, name):
                raise PackageError(
                    f'The models "{first.path}" and "{other.path}" cannot answer together, since their {what} differ;'
                    " name models that were trained alike, such as the folds of a cross-validation."
                )
    if not others:
        return first
    hashes = "".join(package.weights_sha256 for package in packages)
    return replace(
        first,
        name=" + ".join(package.name for package in packages),
        weights_sha256=hashlib.sha256(hashes.encode()).hexdigest(),
        architecture=replace(first.architecture, examples=False),
        statistics_sha256="",  # those are of the features of one network
    )
