"""In which settings two runs differ, and which of them may."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from LabelConditionedSegmentationLib.core.scan.metadata import MetadataSchema

from .config import FORMER_NAMES, Config, as_content, method_sections, plain
from .settings import with_present_names

PLACES = (
    *("output", "accelerator", "devices", "nodes", "resume", "save_every"),
    *("data.cache", "data.workers"),
)
"""Settings that say where and in which pieces a run is made, not what comes out."""

FREE = (
    *PLACES,
    *("init_from", "teacher.package", "validate_every", "early_stop", "package"),
    *("data.root", "optimizer.steps", "optimizer.decay"),
)
"""Settings that may change between a checkpoint and the run that goes on from it."""


def differences(before: dict[str, Any], now: dict[str, Any], free: Sequence[str] = FREE) -> list[str]:
    """The settings, other than free ones, in which two configurations differ, as "key: before -> now". Both are as
    `as_content` gives them, or gave them in an earlier version.

    A setting that did not exist before had its default.
    """
    own = {name: kind() for name, kind in method_sections().items()}
    method = now.get("method", Config().method)
    defaults = as_content(Config(method=method, method_settings=own.get(method)))
    strange = own.keys() - {method}  # sections of other methods, which change nothing
    then, now = (
        {key: value for key, value in with_present_names(content, FORMER_NAMES).items() if key not in strange}
        for content in (before, now)
    )
    return _differences(then, now, free, "", defaults)


def _differences(
    before: dict[str, Any], now: dict[str, Any], free: Sequence[str], prefix: str, defaults: dict[str, Any]
) -> list[str]:
    out = []
    for key in sorted(before.keys() | now.keys()):
        old, new, full = before.get(key, defaults.get(key)), now.get(key), prefix + key
        if full in free:
            continue
        if isinstance(old, dict) and isinstance(new, dict):
            out += _differences(old, new, free, full + ".", defaults.get(key) or {})
        elif not _are_same(full, old, new):
            out.append(f"{full}: {old} -> {new}")
    return out


def _are_same(key: str, old: Any, new: Any) -> bool:
    if key == "metadata":  # what a field leaves out may have been written down or not
        return MetadataSchema.from_json(old or ()) == MetadataSchema.from_json(new or ())
    if key == "data.sources":  # which may lie elsewhere
        old, new = ([{**source, "root": ""} for source in sources or ()] for sources in (old, new))
    return bool(plain(old) == plain(new))
