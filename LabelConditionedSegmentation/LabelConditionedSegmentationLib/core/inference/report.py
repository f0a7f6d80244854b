"""The run report: what ran, where, how long, with what memory, what was given up on the way, and what was noticed."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy
import SimpleITK
import torch

from ...version import __version__
from ..findings import Finding


@dataclass
class RunReport:
    """Filled while a run goes on; `to_json` is what is stored and shown.

    timings: seconds a stage. fallbacks: steps of the out-of-memory ladder that were taken. peak_memory_mb: of the
    process and, where there is one, the GPU. metadata_sources: field -> who or what says it. inside: what the model
    looked inside of, as a stage before it has found it; empty where it sees whole scans. adaptation: what became of
    adapting the network to the scan; empty where that was not asked for. is_interactive: a person painted what decided.
    answer: how far it is from the usual ones (`answer_checks.measures_of`, `oddness_of`); empty where that is unknown.
    """

    model: str
    package_sha256: str
    device: str
    metadata: dict[str, Any] = field(default_factory=dict)
    grid: dict[str, Any] = field(default_factory=dict)
    inside: dict[str, Any] = field(default_factory=dict)
    adaptation: dict[str, Any] = field(default_factory=dict)
    timings: dict[str, float] = field(default_factory=dict)
    trunk_passes: int = 0
    peak_memory_mb: dict[str, float] = field(default_factory=dict)
    fallbacks: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    metadata_sources: Mapping[str, str] = field(default_factory=dict)
    is_interactive: bool = False
    answer: Mapping[str, float] = field(default_factory=dict)

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add the time that the block takes to a stage."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.timings[stage] = self.timings.get(stage, 0.0) + time.perf_counter() - began

    def to_json(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "model": self.model,
            "package_sha256": self.package_sha256,
            "device": self.device,
            "versions": versions(),
            "metadata": {key: "unknown" if value is None else value for key, value in self.metadata.items()},
            "metadata_sources": dict(self.metadata_sources),
            "grid": self.grid,
            **({"inside": self.inside} if self.inside else {}),
            **({"adaptation": self.adaptation} if self.adaptation else {}),
            **({"answer": {name: round(value, 4) for name, value in self.answer.items()}} if self.answer else {}),
            "timings_s": {stage: round(seconds, 3) for stage, seconds in self.timings.items()},
            "trunk_passes": self.trunk_passes,
            "peak_memory_mb": {where: round(size, 1) for where, size in self.peak_memory_mb.items()},
            "fallbacks": list(self.fallbacks),
            "findings": [finding.to_json() for finding in self.findings],
        }


def versions() -> dict[str, str]:
    """Versions of what the result depends on."""
    return {
        "LabelConditionedSegmentation": __version__,
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "SimpleITK": SimpleITK.Version.VersionString(),
        "python": platform.python_version(),
        "system": platform.platform(),
    }
