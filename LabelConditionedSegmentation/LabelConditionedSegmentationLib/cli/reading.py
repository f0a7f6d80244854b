"""Scans from their files, in the way that a command asks for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..core.errors import InputError
from ..core.scan.channel_stack import stacked
from ..core.scan.image_io import read_volume
from ..core.scan.volume import Volume
from .scan import Scan


@dataclass(frozen=True)
class Reading:
    """What a command says of its images, as `read_volume` takes it."""

    assume_orientation: str | None = None
    fill_gaps: bool = False

    def image(self, path: Path, series: str | None = None) -> Volume:
        """One image. Raises InputError."""
        try:
            return read_volume(path, self.assume_orientation, series, self.fill_gaps)
        except OSError as error:
            raise InputError(f'"{path}" cannot be read ({error.strerror or error}).') from error

    def scan(self, scan: Scan) -> Volume:
        """All channels of a scan as one volume. Raises InputError."""
        if scan.problem:
            raise InputError(scan.problem)
        return stacked([self.image(path, scan.series) for path in scan.images], scan.images)
