"""The settings of a training run, with their defaults; a YAML file and `key=value` words on the command line change
them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import yaml
from LabelConditionedSegmentationLib.core.errors import PackageFormatError
from LabelConditionedSegmentationLib.core.network.architecture import Architecture
from LabelConditionedSegmentationLib.core.package.model_package import ADVICE, FOLDER_NAME, checked_advice
from LabelConditionedSegmentationLib.core.scan.input_spec import InputSpec
from LabelConditionedSegmentationLib.core.scan.metadata import Field, MetadataSchema

from ..data.augmentation import Augmentation
from ..data.sources import Source, check_sources
from .settings import read_settings
from .whole_files import written_whole


@dataclass
class DataConfig:
    """What is learned from.

    root: a data set (the raw layout of nnU-Net, a MONAI datalist, BIDS) or a folder made by prepare.py. cache: where
    prepared cases are kept.
    validation: cases kept out of training. train: the training cases (empty: all the others). labels: what is learned
    (empty: the whole table; a parent stands for the union of its children). annotated: case -> the labels that somebody
    looked for in it, where that is not all. patch: voxels (k, j, i). points: voxels a sample at which the loss is taken
    (0: all). workers: processes that make samples on a CPU; on a GPU they are made there.
    sources: several data sets in place of root, train, validation, labels and annotated.
    """

    root: str = ""
    sources: list[Source] = field(default_factory=list)
    cache: str = "runs/cache"
    validation: list[str] = field(default_factory=list)
    train: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    annotated: dict[str, list[str]] = field(default_factory=dict)
    patch: tuple[int, int, int] = (144, 192, 144)
    points: int = 100_000
    workers: int = 1

    @property
    def names(self) -> list[str]:
        """The cases of the data set that a run reads; none named stands for all of them."""
        return [*self.train, *self.validation] if self.train else []


@dataclass
class ObjectiveConfig:
    """What the loss asks for.

    loss: `softmax` (labels compete) or `sigmoid` (each label alone). labels: `all` in every sample, or `sampled`:
    `labels_per_sample` of them, drawn evenly whatever their size, a share `unions` of them being unions of two labels
    or parents. dice_weight: weight of the soft Dice beside the cross entropy.
    prompts: what stands for a label: `class`, a learned prompt each; `example`, its mask on another scan; or `both`. Of
    examples, at most `examples_per_sample` are asked for, a share `unions` of them unions of two labels, and a share
    `splits` cut into parts.
    """

    loss: str = "softmax"
    labels: str = "all"
    labels_per_sample: int = 8
    unions: float = 0.25
    dice_weight: float = 1.0
    prompts: str = "class"
    examples_per_sample: int = 24
    splits: float = 0.5


@dataclass
class ContextConfig:
    """How method=colab divides the background among `network.context_classes` (t - 1 of the paper; 0: not at all) and
    the background itself.

    source: `generator` (a network that the outer loss trains), or a control: `anatomy` (the labels named there, one a
    context class) or `kmeans`.
    margin, tau: voxels (of the network's grid) from the ROI up to which the context counts fully, and over which it
    then fades. deep_supervision: a loss at the coarser levels of the decoder too.
    Of the generator: every: steps from one of its updates to the next. hypergradient: `finite_difference` (published;
    eps as there), `exact`, or `first_order`, where only the segmenter's head takes the virtual step. widths, stride:
    channels of its stages, and its finest resolution (1: that of the image). rate: of its Adam.
    meta_cases: cases of the data set that are kept for the outer loss (none: it is taken on the batch itself).
    """

    source: str = "generator"
    anatomy: list[str] = field(default_factory=list)
    margin: float = 30.0
    tau: float = 20.0
    deep_supervision: bool = True
    every: int = 5
    hypergradient: str = "finite_difference"
    eps: float = 0.01
    widths: tuple[int, ...] = (8, 16, 32, 64)
    stride: int = 2
    rate: float = 3e-4
    meta_cases: list[str] = field(default_factory=list)


@dataclass
class OptimizerConfig:
    """name: `adamw`, or `sgd` with Nesterov's `momentum`. schedule: with `constant` the rate rises over `warmup` steps,
    stays, and falls linearly to 0 over the last `decay` steps: a run can be lengthened at will before it decays; with
    `poly` it falls from the first step as (1 - step / steps) ** 0.9.

    batch: samples a step, over all processes together. averaging: decay of the moving average of the weights, which is
    what gets validated and shipped.
    freeze: parts of the network (`trunk`, `head`, `examples`) that stay as `init_from` has them.
    """

    name: str = "adamw"
    momentum: float = 0.99
    schedule: str = "constant"
    rate: float = 1e-3
    weight_decay: float = 1e-2
    clip: float = 1.0
    steps: int = 2000
    warmup: int = 50
    decay: int = 500
    averaging: float = 0.995
    batch: int = 1
    freeze: list[str] = field(default_factory=list)


@dataclass
class PackageConfig:
    """What the model package says about itself. advice: what to do about an odd scan (`core.package.ADVICE`), in words
    of what the model is for.
    """

    name: str = "model"
    title: str = ""
    description: str = ""
    licence: str = ""
    citation: list[str] = field(default_factory=list)
    intended_use: str = ""
    not_for: str = ""
    data: str = ""
    advice: dict[str, str] = field(default_factory=dict)
    patch: tuple[int, int, int] = (160, 208, 160)
    flip: bool = False


@dataclass
class Config:
    """One training run.

    method: a name of Training.methods. resume: `auto` goes on from `output`/last.safetensors. init_from: a checkpoint,
    or a model package to fine-tune.
    early_stop: end after this many validations without a better one (0: never).
    """

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
    early_stop: int = 0
    field_dropout: float = 0.2
    data: DataConfig = field(default_factory=DataConfig)
    input: InputSpec = field(default_factory=InputSpec)
    network: Architecture = field(default_factory=Architecture)
    metadata: list[Field] = field(default_factory=list)
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    context: ContextConfig = field(default_factory=ContextConfig)
    augmentation: Augmentation = field(default_factory=Augmentation)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    package: PackageConfig = field(default_factory=PackageConfig)

    def __post_init__(self) -> None:
        MetadataSchema(tuple(self.metadata))  # tells two fields of one name

    @property
    def schema(self) -> MetadataSchema:
        """What can be known about a scan."""
        return MetadataSchema(tuple(self.metadata))


PLACES = (
    *("output", "accelerator", "devices", "nodes", "resume", "save_every"),
    *("data.cache", "data.workers"),
)
"""Settings that say where and in which pieces a run is made, not what comes out."""

FREE = (
    *PLACES,
    *("init_from", "validate_every", "early_stop", "package", "data.root", "optimizer.steps", "optimizer.decay"),
)
"""Settings that may change between a checkpoint and the run that goes on from it."""


def differences(
    before: dict[str, Any],
    now: dict[str, Any],
    free: Sequence[str] = FREE,
    prefix: str = "",
    plain: dict[str, Any] | None = None,
) -> list[str]:
    """The settings, other than free ones, in which two configurations differ, as "key: before -> now".

    A setting that did not exist before had its default.
    """
    plain = asdict(Config()) if plain is None else plain
    out = []
    for key in sorted(before.keys() | now.keys()):
        old, new, full = before.get(key, plain.get(key)), now.get(key), prefix + key
        if full in free:
            continue
        if isinstance(old, dict) and isinstance(new, dict):
            out += differences(old, new, free, full + ".", plain.get(key) or {})
        elif not _are_same(full, old, new):
            out.append(f"{full}: {old} -> {new}")
    return out


def _are_same(key: str, old: Any, new: Any) -> bool:
    if key == "metadata":  # what a field leaves out may have been written down or not
        return MetadataSchema.from_json(old or ()) == MetadataSchema.from_json(new or ())
    if key == "data.sources":  # which may lie elsewhere
        old, new = ([{**source, "root": ""} for source in sources or ()] for sources in (old, new))
    return bool(_plain(old) == _plain(new))


def _plain(value: Any) -> Any:
    """Tuples as lists, as JSON gives them back, and dictionaries without what says nothing."""
    if isinstance(value, dict):
        return {key: _plain(v) for key, v in value.items() if v is not None}
    return [_plain(v) for v in value] if isinstance(value, list | tuple) else value


def read_config(path: Path, words: Sequence[str] = ()) -> Config:
    """Defaults < file < `key=value` words.

    A key or value that does not fit ends the program with one sentence and the nearest valid key.
    """
    config = read_settings(path, Config, words)
    _check(config)
    return config


def write_config(config: Config, path: Path) -> None:
    """The resolved configuration as YAML, which `read_config` reads again; whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as temporary:
        temporary.write_text(yaml.safe_dump(_plain(asdict(config)), sort_keys=False), encoding="utf-8")


def _check(config: Config) -> None:
    """Settings that exclude each other end the program with a sentence."""
    for value, allowed, what in (
        (config.objective.loss, ("softmax", "sigmoid"), "objective.loss"),
        (config.objective.labels, ("all", "sampled"), "objective.labels"),
        (config.objective.prompts, ("class", "example", "both"), "objective.prompts"),
        (config.resume, ("auto", "never"), "resume"),
        (config.optimizer.name, ("adamw", "sgd"), "optimizer.name"),
        (config.optimizer.schedule, ("constant", "poly"), "optimizer.schedule"),
        (config.context.source, ("generator", "anatomy", "kmeans"), "context.source"),
        (config.context.hypergradient, ("finite_difference", "exact", "first_order"), "context.hypergradient"),
    ):
        if value not in allowed:
            raise SystemExit(f'{what} is "{value}", but has to be {" or ".join(allowed)}.')
    _check_paths(config)
    _check_numbers(config)
    twice = [
        name for name, times in Counter([*config.data.validation, *config.context.meta_cases]).items() if times > 1
    ]
    if twice:
        raise SystemExit(
            f"{twice[0]} is named twice in data.validation and context.meta_cases; name each case once in one of them."
        )
    if not FOLDER_NAME.fullmatch(config.package.name):
        raise SystemExit(
            f'package.name is "{config.package.name}", which cannot be the name of a folder, as that of a model has'
            " to be."
        )
    check_sources(config.data)
    _check_frozen(config)
    _check_advice(config)
    if not starts_from_package(config):
        check_network(config)


def _check_advice(config: Config) -> None:
    """Advice for a finding that there is not, or too much of it."""
    try:
        checked_advice(config.package.advice)
    except PackageFormatError as error:
        raise SystemExit(f"package.advice cannot be used: {error}") from None
    if strange := sorted(set(config.package.advice) - set(ADVICE)):
        raise SystemExit(f'package.advice names "{strange[0]}", but there is advice for {", ".join(ADVICE)}.')


def _check_paths(config: Config) -> None:
    """Names of files that are no text, which some libraries that read or write there cannot take."""
    for path, what in (
        (config.output, "output"),
        (config.data.root, "data.root"),
        *((source.root, "root of data.sources") for source in config.data.sources),
        (config.data.cache, "data.cache"),
        (config.init_from, "init_from"),
    ):
        if any("\ud800" <= letter <= "\udfff" for letter in path):
            raise SystemExit(f"{what} is {path!a}, which is no name in UTF-8; rename that file or folder.")


def _check_numbers(config: Config) -> None:
    """Every number within its bounds. One that is no number (nan) is within none."""
    optimizer, objective, data, context = config.optimizer, config.objective, config.data, config.context
    for number, least, what in (
        (optimizer.steps, 1, "optimizer.steps"),
        (optimizer.batch, 1, "optimizer.batch"),
        (optimizer.warmup, 0, "optimizer.warmup"),
        (optimizer.decay, 0, "optimizer.decay"),
        (optimizer.rate, 0, "optimizer.rate"),
        (optimizer.clip, 0, "optimizer.clip"),
        (optimizer.weight_decay, 0, "optimizer.weight_decay"),
        (objective.labels_per_sample, 1, "objective.labels_per_sample"),
        (objective.examples_per_sample, 1, "objective.examples_per_sample"),
        (objective.dice_weight, 0, "objective.dice_weight"),
        (config.seed, 0, "seed"),
        (config.devices, 1, "devices"),
        (config.nodes, 1, "nodes"),
        (config.validate_every, 1, "validate_every"),
        (config.save_every, 1, "save_every"),
        (config.early_stop, 0, "early_stop"),
        (data.points, 0, "data.points"),
        (data.workers, 0, "data.workers"),
        (config.augmentation.warp_spacing, 1, "augmentation.warp_spacing"),
        (context.every, 1, "context.every"),
        (context.margin, 0, "context.margin"),
    ):
        if not number >= least:
            raise SystemExit(f"{what} is {number:g}, but has to be at least {least}.")
    for share, what in (
        (objective.unions, "objective.unions"),
        (objective.splits, "objective.splits"),
        (optimizer.averaging, "optimizer.averaging"),
        (config.field_dropout, "field_dropout"),
        (config.augmentation.crop, "augmentation.crop"),
    ):
        if not 0 <= share <= 1:
            raise SystemExit(f"{what} is {share:g}, but is a share, from 0 to 1.")
    if not (context.tau > 0 and context.eps > 0):
        raise SystemExit(f"context.tau is {context.tau} and context.eps {context.eps}, but both have to be above 0.")


def _check_frozen(config: Config) -> None:
    """What is frozen has to come from somewhere, and something has to be left to learn."""
    frozen, parts = set(config.optimizer.freeze), ("trunk", "head", "examples")
    if strange := sorted(frozen - set(parts)):
        raise SystemExit(f'optimizer.freeze names "{strange[0]}", but the parts of a network are {", ".join(parts)}.')
    if frozen and not config.init_from:
        raise SystemExit(
            "optimizer.freeze keeps parts of the network as they are: name the package or checkpoint that has them with"
            " init_from."
        )
    learned = {"class": {"trunk", "head"}, "example": {"trunk", "examples"}, "both": set(parts)}.get(
        config.objective.prompts, set()
    )
    if learned <= frozen:
        raise SystemExit(
            f"With objective.prompts={config.objective.prompts}, optimizer.freeze={list(config.optimizer.freeze)}"
            " leaves nothing to learn; name fewer parts."
        )


def starts_from_package(config: Config) -> bool:
    """Whether `init_from` names a model package, whose network and input the run takes over."""
    return bool(config.init_from) and Path(config.init_from).suffix != ".safetensors"


def check_network(config: Config) -> None:
    """Patches, channels and parts that the network cannot take end the program with a sentence, before any data are
    read.
    """
    _check_sizes(config)
    if "examples" in config.optimizer.freeze and not config.network.examples:
        raise SystemExit('optimizer.freeze names "examples", which this network does not have; leave it out.')


def _check_sizes(config: Config) -> None:
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
