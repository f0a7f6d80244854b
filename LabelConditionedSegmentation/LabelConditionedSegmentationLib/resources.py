"""Where the resources lie: in the source tree, in the installed extension, or in the installed wheel."""

from __future__ import annotations

import os
import sys
from pathlib import Path

_HERE = Path(__file__).resolve().parent

MODELS_VARIABLE = "LCS_MODELS"
"""Environment variable: a further folder of model packages, searched first."""


DEFAULT_MODEL = "brain"
"""The model package that is shipped."""


def resources_folder() -> Path:
    """The folder `Resources`: inside the library (wheel), beside it (installed extension), or at the top of the source
    tree.
    """
    candidates = (_HERE / "Resources", _HERE.parent / "Resources", _HERE.parent.parent / "Resources")
    for folder in candidates:
        if (folder / "Models").is_dir():
            return folder
    raise FileNotFoundError(
        f"The installation is incomplete: there is no Resources folder at {', '.join(map(str, candidates))}."
    )


def sample_scan(name: str) -> Path:
    """One of the scans that are shipped; see the README beside them."""
    return resources_folder() / "SampleData" / name


def user_models_folder() -> Path:
    """Where a user's own model packages lie."""
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return base / "LabelConditionedSegmentation" / "Models"


def model_folders() -> list[Path]:
    """Every folder that is searched for model packages, in order."""
    own = os.environ.get(MODELS_VARIABLE)
    return [*([Path(own)] if own else []), user_models_folder(), resources_folder() / "Models"]
