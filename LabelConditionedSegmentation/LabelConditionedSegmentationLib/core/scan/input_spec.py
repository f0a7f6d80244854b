"""What a network expects of its input, as it stands in `model.json`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from ..errors import PackageFormatError

FOREGROUNDS = ("nonzero", "all")
SCHEMES = ("z-score", "window", "percentiles")


@dataclass(frozen=True)
class Intensity:
    """The scheme by which the values of every channel become what the network sees.

    `z-score`: clipped to the 0.5 to 99.5 percentile of the foreground, then of mean 0 and deviation 1 there. `window`:
    the values `low` and `high` of the scan (for CT in Hounsfield units) become -1 and 1, and values beyond are clipped.
    `percentiles`: the same for the percentiles `low` and `high` of the foreground.
    """

    scheme: str = "z-score"
    """z-score, window or percentiles."""
    low: float | None = None
    """Becomes -1: a value of the scan, or a percentile."""
    high: float | None = None
    """Becomes 1."""

    def __post_init__(self) -> None:
        if self.scheme not in SCHEMES:
            raise PackageFormatError(
                f'The model\'s input has the unknown intensity scheme "{self.scheme}" (known: {", ".join(SCHEMES)}).'
            )
        if self.scheme == "z-score":
            if self.low is not None or self.high is not None:
                raise PackageFormatError("The intensity scheme z-score takes neither low nor high; leave them out.")
            return
        low, high = self.limits
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise PackageFormatError(f"The intensity scheme {self.scheme} needs a low that is less than its high.")
        if self.scheme == "percentiles" and not 0 <= low < high <= 100:
            raise PackageFormatError("The intensity scheme percentiles needs a low and a high from 0 to 100.")

    @property
    def limits(self) -> tuple[float, float]:
        """`low` and `high`; NaN where they are not given."""
        return (math.nan if self.low is None else self.low), (math.nan if self.high is None else self.high)

    @staticmethod
    def from_json(entry: Mapping[str, Any]) -> Intensity:
        """Raises PackageFormatError."""
        _refuse_unknown(entry, Intensity, "intensity")
        low, high = (None if entry.get(key) is None else float(entry[key]) for key in ("low", "high"))
        return Intensity(str(entry["scheme"]), low, high)


@dataclass(frozen=True)
class Inside:
    """The part of a scan that a network sees, as another model finds it: the label `label` of the package `package`,
    and `margin_mm` around it.
    """

    package: str
    """Name of the other model."""
    label: str
    """One of its labels."""
    margin_mm: float = 0.0
    """What is kept around it."""

    def __post_init__(self) -> None:
        if not self.package.strip() or not self.label.strip() or not 0 <= self.margin_mm <= 500:
            raise PackageFormatError(
                "What a model's input lies inside needs a package, a label of it, and a margin from 0 to 500 mm."
            )

    @staticmethod
    def from_json(entry: Mapping[str, Any]) -> Inside:
        """Raises PackageFormatError."""
        _refuse_unknown(entry, Inside, "inside")
        return Inside(str(entry["package"]), str(entry["label"]), float(entry.get("margin_mm", 0.0)))


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
    intensity: Intensity = field(default_factory=Intensity)
    """How values are normalised."""
    inside: Inside | None = None
    """What another model has to find first, and the network sees alone."""
    focus: str = ""
    """A label of the model itself: of a scan that is larger than its window, the window around that label is all that
    it looks at in the end, so that it sees as much of the surroundings as in training."""

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

    @property
    def is_plain(self) -> bool:
        """Whether it has nothing that packages of format 1 do not have."""
        return self.intensity == Intensity() and self.inside is None and not self.focus

    def to_json(self) -> dict[str, Any]:
        """As stored in `model.json`; the intensity scheme is left out where it is `z-score`, and `inside` where the
        network sees the whole scan, so that versions that do not know them read the package.
        """
        entry: dict[str, Any] = {
            "channels": list(self.channels),
            "spacing": list(self.spacing),
            "foreground": self.foreground,
            "margin_mm": self.margin_mm,
        }
        if self.intensity != Intensity():
            entry["intensity"] = {key: value for key, value in asdict(self.intensity).items() if value is not None}
        if self.inside is not None:
            entry["inside"] = asdict(self.inside)
        if self.focus:
            entry["focus"] = self.focus
        return entry

    @staticmethod
    def from_json(entry: Mapping[str, Any]) -> InputSpec:
        """Inverse of `to_json`. Raises PackageFormatError."""
        red, anterior, superior = (float(s) for s in entry["spacing"])
        return InputSpec(
            tuple(map(str, entry["channels"])),
            (red, anterior, superior),
            str(entry["foreground"]),
            float(entry["margin_mm"]),
            Intensity.from_json(entry["intensity"]) if "intensity" in entry else Intensity(),
            Inside.from_json(entry["inside"]) if "inside" in entry else None,
            str(entry.get("focus", "")),
        )


def _refuse_unknown(entry: Mapping[str, Any], kind: type[Intensity | Inside], name: str) -> None:
    unknown = sorted(set(entry) - {known.name for known in fields(kind)})
    if unknown:
        raise PackageFormatError(f'"{name}" of the model\'s input has the unknown entry "{unknown[0]}".')
