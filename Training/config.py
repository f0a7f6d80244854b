"""The settings of a training run, with their defaults; a YAML file and `key=value` words on the command line change them."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from LabelConditionedSegmentationLib.core.network.architecture import Architecture
from LabelConditionedSegmentationLib.core.preprocessing import InputSpec
from omegaconf import OmegaConf
from omegaconf.errors import ConfigKeyError, OmegaConfBaseException

from Training.augmentation import Augmentation


@dataclass
class DataConfig:
    """root: a data set in the nnU-Net raw layout. validation: cases kept out of training. train: the training cases (empty: all the others)."""

    root: str = ""
    validation: list[str] = field(default_factory=list)
    train: list[str] = field(default_factory=list)
    patch: tuple[int, int, int] = (144, 192, 144)
    points: int = 100_000
    workers: int = 1


@dataclass
class OptimizerConfig:
    """AdamW. The rate rises over `warmup` steps, stays, and falls linearly to 0 over the last `decay` steps: a run can be lengthened at will before it decays."""

    rate: float = 1e-3
    weight_decay: float = 1e-2
    clip: float = 1.0
    steps: int = 2000
    warmup: int = 50
    decay: int = 500
    averaging: float = 0.995
    dice_weight: float = 1.0
    chunk: int = 32


@dataclass
class PackageConfig:
    """What the model package says about itself."""

    name: str = "model"
    title: str = ""
    description: str = ""
    licence: str = ""
    citation: list[str] = field(default_factory=list)
    intended_use: str = ""
    not_for: str = ""
    data: str = ""
    patch: tuple[int, int, int] = (160, 208, 160)
    flip: bool = False


@dataclass
class Config:
    """One training run."""

    method: str = "lcs"
    output: str = "runs/model"
    seed: int = 0
    accelerator: str = "auto"
    devices: int = 1
    nodes: int = 1
    precision: str = "bf16-mixed"
    resume: str = "auto"
    init_from: str = ""
    validate_every: int = 200
    save_every: int = 100
    field_dropout: float = 0.2
    data: DataConfig = field(default_factory=DataConfig)
    input: InputSpec = field(default_factory=InputSpec)
    network: Architecture = field(default_factory=Architecture)
    metadata: list[dict[str, Any]] = field(default_factory=list)
    augmentation: Augmentation = field(default_factory=Augmentation)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    package: PackageConfig = field(default_factory=PackageConfig)


def read_config(path: Path, overrides: list[str]) -> Config:
    """Defaults < file < overrides. A key or value that does not fit ends the program with one sentence and the nearest valid key."""
    schema = OmegaConf.structured(Config)
    try:
        merged = OmegaConf.merge(schema, OmegaConf.load(path), OmegaConf.from_dotlist(overrides))
        config = OmegaConf.to_object(merged)
    except FileNotFoundError:
        raise SystemExit(f'There is no configuration "{path}"; the shipped ones are in Training/experiments/.') from None
    except ConfigKeyError as error:
        key = str(error.full_key or error.key)
        near = difflib.get_close_matches(key, list(_keys(schema)), n=1)
        raise SystemExit(f'"{key}" is no setting of a training run.' + (f' Did you mean "{near[0]}"?' if near else "")) from None
    except OmegaConfBaseException as error:
        first = re.sub(r"\s+", " ", str(error).splitlines()[0])
        raise SystemExit(f'The setting "{error.full_key}" cannot be used: {first}.') from None
    assert isinstance(config, Config)
    return config


def _keys(node: Any, prefix: str = "") -> list[str]:
    out: list[str] = []
    for key in node:
        full = f"{prefix}{key}"
        out.append(full)
        if OmegaConf.is_dict(node[key]):
            out += _keys(node[key], full + ".")
    return out
