"""Runs that an earlier call made: they are taken over only where they have the very settings that are asked for."""

from __future__ import annotations

from pathlib import Path

from LabelConditionedSegmentationLib.core.package.package_files import DESCRIPTION

from .config import Config, as_content, read_config
from .config_differences import PLACES, differences
from .run_settings import settled


def is_finished(folder: Path) -> bool:
    """Whether the run in a folder has ended with its package."""
    return (folder / "package" / DESCRIPTION).is_file()


def refuse_other_run(folder: Path, config: Config) -> None:
    """SystemExit, with every difference, where a folder holds a finished run that had other settings than `config`."""
    if not is_finished(folder):
        return  # one that goes on looks at that itself
    before = read_config(folder / "config.yaml")
    if changed := differences(as_content(before), as_content(settled(config)[0]), PLACES):
        raise SystemExit(
            f'"{folder}" holds a finished run with other settings: {"; ".join(changed)}. '
            "Put them back, delete that folder to train anew, or choose another output."
        )
