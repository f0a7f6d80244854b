"""Model packages that another one needs: what its input lies inside of is found by them first."""

from __future__ import annotations

from ...resources import model_folders
from ..errors import LabelError, PackageError, PackageNotFoundError
from ..scan.input_spec import Inside
from .model_package import ModelPackage, packages_by_name


def needed_package(package: ModelPackage) -> ModelPackage | None:
    """The package that finds what the input of `package` lies inside of, None where it sees whole scans.

    It is looked for beside `package`, then among the installed ones. Those that it needs in turn are checked as well.
    Raises PackageError where one is missing, lacks the label, reads other channels, or where they need each other.
    """
    first = None
    chain = [package]
    while (inside := chain[-1].input.inside) is not None:
        found = _named(inside, chain[-1])
        if found.name in [one.name for one in chain]:
            raise PackageError(
                f"The models {', '.join(one.name for one in chain)} need each other, so none of them can begin; ask"
                " who made them for a repaired one."
            )
        first = first or found
        chain.append(found)
    return first


def _named(inside: Inside, package: ModelPackage) -> ModelPackage:
    """The package of a name, checked against what is wanted of it."""
    try:
        place = packages_by_name([package.path.parent, *model_folders()]).get(inside.package)
    except OSError as error:
        raise PackageError(
            f'What the model "{package.name}" needs cannot be looked for ({error.strerror}); ask for permission to read'
            " the folders of models."
        ) from None
    if place is None:
        raise PackageNotFoundError(
            f'The model "{package.name}" needs the model "{inside.package}", which finds "{inside.label}" for it, but'
            f' there is none beside it or among the installed ones; install "{inside.package}" as well.'
        )
    found = ModelPackage.load(place)
    try:
        found.labels.find(inside.label)
    except LabelError as error:
        raise PackageError(
            f'The model "{package.name}" looks inside the label "{inside.label}" of the model "{found.name}": {error}'
        ) from None
    if len(found.input.channels) > len(package.input.channels):
        raise PackageError(
            f'The model "{package.name}" needs the model "{found.name}", which reads {len(found.input.channels)}'
            f" channels, but it has only {len(package.input.channels)} to give; use models that fit together."
        )
    return found
