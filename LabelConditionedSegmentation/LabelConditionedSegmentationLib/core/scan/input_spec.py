"""What a network expects of its input, as it stands in `model.json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ..errors import PackageFormatError

FOREGROUNDS = ("nonzero", "all")


@dataclass(frozen=True)
class InputSpec:
    """What a network expects of its input."""

    channels: tuple[str, ...] = ("T1",)
    """Name of every image channel."""
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Millimetres along R, A, S of the network's grid."""
    foreground: str = "nonzero"
    """nonzero where everything outside the structure of interest was set to one value, mostly 0 (as by
    skull-stripping), all elsewhere."""
    margin_mm: float = 2.0
    """Context kept around the foreground."""

    def __post_init__(self) -> None:
        if self.foreground not in FOREGROUNDS:
            raise PackageFormatError(f'The model\'s input has the unknown foreground rule "{self.foreground}".')
        if (
            len(self.spacing) != 3
            or not all(0.05 <= s <= 20 for s in self.spacing)
            or not self.channels
            or not 0 <= self.margin_mm <= 500
        ):
            raise PackageFormatError(
                "The model's input needs channels, a spacing of three lengths from 0.05 to 20 mm, and a margin."
            )

    def to_json(self) -> dict[str, Any]:
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @staticmethod
    def from_json(entry: Mapping[str, Any]) -> InputSpec:
        red, anterior, superior = (float(s) for s in entry["spacing"])
        return InputSpec(
            tuple(map(str, entry["channels"])),
            (red, anterior, superior),
            str(entry["foreground"]),
            float(entry["margin_mm"]),
        )
