"""Settings of a run that exclude each other end the program with a sentence, before any data are read."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from LabelConditionedSegmentationLib.core.errors import PackageFormatError
from LabelConditionedSegmentationLib.core.package.model_package import ADVICE, FOLDER_NAME, checked_advice

from ..data.acquisition import OTHER
from ..data.sources import check_sources

if TYPE_CHECKING:
    from .config import Config

LEARNED = {"class": {"trunk", "head"}, "example": {"trunk", "examples"}, "both": {"trunk", "head", "examples"}}
"""objective.prompts -> the parts of a network that learn by them."""


def check_config(config: Config) -> None:
    """What can be said of a configuration by itself."""
    refuse_twice(config.data.validation, "data.validation")
    if not FOLDER_NAME.fullmatch(config.package.name):
        raise SystemExit(
            f'package.name is "{config.package.name}", which cannot be the name of a folder, as that of a model has'
            " to be."
        )
    check_sources(config.data)
    _check_contrasts(config)
    _check_teacher(config)
    _check_frozen(config)
    _check_advice(config)
    if not starts_from_package(config):
        check_network(config)


def refuse_twice(cases: list[str], setting: str) -> None:
    """SystemExit where a case is named more than once."""
    for name, times in Counter(cases).items():
        if times > 1:
            raise SystemExit(f"{name} is named twice in {setting}; name each case once.")


def starts_from_package(config: Config) -> bool:
    """Whether `init_from` names a model package, whose network and input the run takes over."""
    return bool(config.init_from) and Path(config.init_from).suffix != ".safetensors"


def check_network(config: Config) -> None:
    """Patches, channels and parts that the network cannot take."""
    multiple = config.network.multiple
    for patch, most, what in ((config.data.patch, None, "data.patch"), (config.package.patch, 1024, "package.patch")):
        if any(n < multiple or n % multiple or (most and n > most) for n in patch):
            limit = f", up to {most}" if most else ""
            raise SystemExit(
                f"{what} is {list(patch)}; with this network every axis has to be a multiple of {multiple}{limit}."
            )
    if len(config.input.channels) != config.network.in_channels:
        raise SystemExit(
            f"input.channels names {len(config.input.channels)} channel(s), but network.in_channels is"
            f" {config.network.in_channels}; make them agree."
        )
    if "examples" in config.optimizer.freeze and not config.network.examples:
        raise SystemExit('optimizer.freeze names "examples", which this network does not have; leave it out.')


def _check_contrasts(config: Config) -> None:
    """Contrasts of made images that the metadata field does not have, or that come too often."""
    made = config.acquisition
    if not made.contrasts:
        return
    if (total := sum(contrast.share for contrast in made.contrasts)) > 1 + 1e-6:
        raise SystemExit(f"The shares of acquisition.contrasts are {total:g} together; they cannot exceed 1.")
    field = next((field for field in config.metadata if field.name == made.contrast_field), None)
    if field is None:
        return
    for name in (*(contrast.name for contrast in made.contrasts), OTHER):
        if name not in field.choices:
            raise SystemExit(
                f'Made images have the contrast "{name}", but the metadata field "{field.name}" does not have it: add'
                " it to the choices."
            )


def _check_teacher(config: Config) -> None:
    """A teacher without scans to label, or scans without a teacher, or nothing that it does not label."""
    share = config.teacher.share
    if share == 0:
        return
    if share == 1:
        raise SystemExit("teacher.share is 1, which leaves no sample to the labelled scans; it has to be below 1.")
    if not any(source.role == "target" for source in config.data.sources):
        raise SystemExit(
            f"teacher.share is {share:g}, but none of data.sources has the role target: name the scans without labels"
            " as a source of that role, or leave teacher.share out."
        )
    if not (config.teacher.package or config.init_from):
        raise SystemExit(
            f"teacher.share is {share:g}, but there is no teacher: name a model package with teacher.package, or start"
            " from one with init_from."
        )


def _check_advice(config: Config) -> None:
    """Advice for a finding that there is not, or too much of it."""
    try:
        checked_advice(config.package.advice)
    except PackageFormatError as error:
        raise SystemExit(f"package.advice cannot be used: {error}") from None
    if strange := sorted(set(config.package.advice) - set(ADVICE)):
        raise SystemExit(f'package.advice names "{strange[0]}", but there is advice for {", ".join(ADVICE)}.')


def _check_frozen(config: Config) -> None:
    """What is frozen has to come from somewhere, and something has to be left to learn."""
    frozen = set(config.optimizer.freeze)
    if frozen and not config.init_from:
        raise SystemExit(
            "optimizer.freeze keeps parts of the network as they are: name the package or checkpoint that has them with"
            " init_from."
        )
    if LEARNED[config.objective.prompts] <= frozen:
        raise SystemExit(
            f"With objective.prompts={config.objective.prompts}, optimizer.freeze={list(config.optimizer.freeze)}"
            " leaves nothing to learn; name fewer parts."
        )
