"""The settings of a run as it has them and writes them down, checked against the package that it starts from and by its
method.
"""

from __future__ import annotations

from LabelConditionedSegmentationLib.core.package.model_package import ModelPackage

from ..methods import check_method
from .config import Config
from .start import package_to_start_from, settings_of_package


def settled(config: Config) -> tuple[Config, ModelPackage | None]:
    """The configuration with what the package of `init_from` settles, and that package, if there is one.

    SystemExit for settings that exclude each other.
    """
    package = package_to_start_from(config)
    if package is not None:
        config = settings_of_package(config, package)
    check_method(config)
    return config, package
