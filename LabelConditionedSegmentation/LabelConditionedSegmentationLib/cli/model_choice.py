"""Which model a command means: a name, a path, or the shipped one."""

from __future__ import annotations

import difflib
from pathlib import Path

from ..core.errors import PackageNotFoundError
from ..core.package.model_package import packages_by_name
from ..resources import DEFAULT_MODEL, model_folders


def installed_models() -> dict[str, Path]:
    """Name -> path of every package in the searched folders."""
    return packages_by_name(model_folders())


def resolve_model(name: str | None) -> Path:
    """The package that was asked for; the shipped one where none was.

    Raises PackageNotFoundError with the nearest names.
    """
    if name and (Path(name).exists() or "/" in name or "\\" in name or name.endswith(".zip")):
        return Path(name)
    models = installed_models()
    wanted = name or (DEFAULT_MODEL if DEFAULT_MODEL in models else next(iter(models), DEFAULT_MODEL))
    if wanted in models:
        return models[wanted]
    near = difflib.get_close_matches(wanted, models, n=1)
    hint = f' Did you mean "{near[0]}"?' if near else f" Installed: {', '.join(models) or 'none'}."
    raise PackageNotFoundError(f'There is no model "{wanted}".{hint}')
