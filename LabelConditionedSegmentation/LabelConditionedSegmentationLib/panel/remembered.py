"""What the application remembers from one start to the next: the model, acknowledged licences, recent sets of
structures.
"""

from __future__ import annotations

import slicer

from ..core.package.model_package import ModelPackage

GROUP = "LabelConditionedSegmentation"


class Memory:
    """Over the application's settings file."""

    def __init__(self) -> None:
        self._settings = slicer.app.userSettings()

    @property
    def model(self) -> str:
        """Name of the model that was chosen last, or ""."""
        return self._read("Model")

    @model.setter
    def model(self, name: str) -> None:
        self._write("Model", name)

    def is_acknowledged(self, package: ModelPackage) -> bool:
        """Whether the licence of these very weights was acknowledged."""
        return self._read(f"Licence/{package.weights_sha256}") == "acknowledged"

    def acknowledge(self, package: ModelPackage) -> None:
        """Remember that the licence was acknowledged."""
        self._write(f"Licence/{package.weights_sha256}", "acknowledged")

    @property
    def recent_sets(self) -> str:
        """The recent sets of all models, as the text that RecentSets reads and writes."""
        return self._read("RecentSets")

    @recent_sets.setter
    def recent_sets(self, text: str) -> None:
        self._write("RecentSets", text)

    def _read(self, key: str) -> str:
        return str(self._settings.value(f"{GROUP}/{key}", "") or "")

    def _write(self, key: str, value: str) -> None:
        self._settings.setValue(f"{GROUP}/{key}", value)


def needs_acknowledgement(package: ModelPackage) -> bool:
    """Whether the licence restricts what the model may be used for."""
    licence = str(package.about.get("licence", "")).lower()
    return "non-commercial" in licence or "noncommercial" in licence or "by-nc" in licence
