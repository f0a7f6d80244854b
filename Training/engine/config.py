"""The settings of a training run, with their defaults; a YAML file and `key=value` overrides on the command line change
them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml
from LabelConditionedSegmentationLib.core.network.architecture import Architecture
from LabelConditionedSegmentationLib.core.scan.input_spec import InputSpec
from LabelConditionedSegmentationLib.core.scan.metadata import Field, MetadataSchema

from ..data.acquisition import Acquisition
from ..data.augmentation import Augmentation
from ..data.sources import Source
from ..methods.registry import registered
from .config_checks import check_config
from .kept_files import written_whole
from .setting_types import Amount, Count, FilePath, Share, Whole
from .settings import Keys, keys_of, read_content, validated

Own = TypeVar("Own")

OWN = "method_settings"
"""The field of `Config` that holds the section of its method, which in a file has the method's name."""

FORMER_NAMES = {"context": "colab", "colab.rate": "colab.learning_rate", "optimizer.rate": "optimizer.learning_rate"}
"""What settings were called before -> what they are called now; older files, overrides and checkpoints have those."""


@dataclass
class DataConfig:
    """What is learned from."""

    root: FilePath = ""
    """A data set (raw layout of nnU-Net, MONAI datalist, BIDS) or a folder made by prepare.py."""
    sources: list[Source] = field(default_factory=list)
    """Several data sets in place of root, train, validation, labels and annotated."""
    cache: FilePath = "runs/cache"
    """Folder where prepared cases are kept."""
    validation: list[str] = field(default_factory=list)
    """Cases kept out of training."""
    train: list[str] = field(default_factory=list)
    """The training cases; none named: all the others."""
    labels: list[str] = field(default_factory=list)
    """What is learned; none named: the whole table. A parent stands for the union of its children."""
    annotated: dict[str, list[str]] = field(default_factory=dict)
    """Case -> the labels that somebody looked for in it, where that is not all."""
    patch: tuple[int, int, int] = (144, 192, 144)
    """Voxels (k, j, i) of a sample."""
    points: Whole = 100_000
    """Voxels a sample at which the loss is taken; 0: all."""
    workers: Whole = 1
    """Processes that make samples on a CPU; on a GPU they are made there."""

    @property
    def names(self) -> list[str]:
        """The cases of the data set that a run reads; none named stands for all of them."""
        return [*self.train, *self.validation] if self.train else []


@dataclass
class ObjectiveConfig:
    """What the loss asks for. It decides what a sample holds, so that all methods share it."""

    loss: Literal["softmax", "sigmoid"] = "softmax"
    """Labels compete (softmax), or each is decided alone (sigmoid)."""
    labels: Literal["all", "sampled"] = "all"
    """All labels in every sample, or some, drawn evenly whatever their size."""
    labels_per_sample: Count = 8
    """How many labels a sample has with labels=sampled."""
    unions: Share = 0.25
    """Share of sampled labels, or of examples, that are unions of two labels or parents."""
    dice_weight: Amount = 1.0
    """Weight of the soft Dice beside the cross entropy."""
    prompts: Literal["class", "example", "both"] = "class"
    """What stands for a label: a learned prompt (class), its mask on another scan (example), or both."""
    examples_per_sample: Count = 24
    """The most examples that a sample has."""
    splits: Share = 0.5
    """Share of the examples that are cut into parts."""


@dataclass
class TeacherConfig:
    """Learning from scans without labels: a trained model, the teacher, labels the sources of the role target once, and
    what it is sure of becomes their truth; whatever it is not sure of is unknown. It looks at the mirrored scan as
    well, where left and right can be exchanged. The run sees these scans as varied as all others (noisy student, Xie et
    al., CVPR 2020, arXiv 1911.04252).
    """

    share: Share = 0.0
    """Share of the samples that are of scans which the teacher labelled; 0: there is no teacher."""
    package: FilePath = ""
    """The teacher: a model package, or a checkpoint of this network, whose averaged weights count; empty: what
    init_from names."""
    least_probability: Share = 0.9
    """Voxels that the teacher gives a label, or the background, with less probability are unknown."""
    least_margin: Share = 0.0
    """Voxels whose best label is not so much more probable than the second one are unknown."""


@dataclass
class OptimizerConfig:
    """How the weights follow the gradients."""

    name: Literal["adamw", "sgd"] = "adamw"
    """AdamW, or SGD with Nesterov's momentum."""
    momentum: float = 0.99
    """Of SGD."""
    schedule: Literal["constant", "poly"] = "constant"
    """The learning rate rises, stays and falls linearly to 0, so that a run can be lengthened before it decays; or it
    falls from the first step as (1 - step / steps) ** 0.9."""
    learning_rate: Amount = 1e-3
    """The highest learning rate."""
    weight_decay: Amount = 1e-2
    """Decoupled in AdamW, a part of the gradient in SGD."""
    clip: Amount = 1.0
    """The largest norm of a gradient."""
    steps: Count = 2000
    """Steps of the whole run."""
    warmup: Whole = 50
    """Steps over which the learning rate rises."""
    decay: Whole = 500
    """Steps at the end over which it falls to 0."""
    averaging: Share = 0.995
    """Decay of the moving average of the weights, which is what gets validated and shipped."""
    batch: Count = 1
    """Samples a step, over all processes together."""
    freeze: list[Literal["trunk", "head", "examples"]] = field(default_factory=list)
    """Parts of the network that stay as `init_from` has them."""


@dataclass
class PackageConfig:
    """What the model package says about itself."""

    name: str = "model"
    """Name of the package and of its folder."""
    title: str = ""
    """What users see; the name where empty."""
    description: str = ""
    """What the model does."""
    licence: str = ""
    """Licence of the weights."""
    citation: list[str] = field(default_factory=list)
    """Works to cite."""
    intended_use: str = ""
    """What the model is for."""
    not_for: str = ""
    """What it must not be used for."""
    data: str = ""
    """What it was trained on, in words."""
    advice: dict[str, str] = field(default_factory=dict)
    """What to do about an odd scan: too_large, too_small or contrast -> a text in words of what the model is for."""
    patch: tuple[int, int, int] = (160, 208, 160)
    """Voxels (k, j, i) of the windows of inference."""
    flip: bool = False
    """Whether inference also looks at the mirrored scan."""


@dataclass
class Config:
    """One training run."""

    method: str = "lcs"
    """How it learns: a method of Training/methods."""
    output: FilePath = "runs/model"
    """Folder of the run: log, checkpoints and package."""
    seed: Whole = 0
    """Of weights, samples and their order."""
    accelerator: str = "auto"
    """Kind of device, as Lightning Fabric calls it: auto, cpu, cuda or mps."""
    devices: Count = 1
    """Devices a node, a process each."""
    nodes: Count = 1
    """Computers of the run."""
    precision: str = "bf16-mixed"
    """Of the arithmetic, as Lightning Fabric calls it: 32-true, bf16-mixed, 16-mixed or 64-true."""
    resume: Literal["auto", "never"] = "auto"
    """Go on from OUTPUT/last.safetensors where it is there, or begin anew."""
    init_from: FilePath = ""
    """A checkpoint to start from, or a model package to fine-tune."""
    validate_every: Count = 200
    """Steps from one validation to the next."""
    save_every: Count = 100
    """Steps from one checkpoint to the next."""
    early_stop: Whole = 0
    """End after this many validations without a better one; 0: never."""
    field_dropout: Share = 0.2
    """Share of the metadata that are withheld from a sample."""
    data: DataConfig = field(default_factory=DataConfig)
    input: InputSpec = field(default_factory=InputSpec)
    network: Architecture = field(default_factory=Architecture)
    metadata: list[Field] = field(default_factory=list)
    """What can be known about a scan: the fields of the form."""
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    augmentation: Augmentation = field(default_factory=Augmentation)
    acquisition: Acquisition = field(default_factory=Acquisition)
    teacher: TeacherConfig = field(default_factory=TeacherConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    package: PackageConfig = field(default_factory=PackageConfig)
    method_settings: Any = None
    """Settings of the method alone; in a file they stand in a section of its name."""

    def __post_init__(self) -> None:
        MetadataSchema(tuple(self.metadata))  # refuses two fields of one name

    @property
    def schema(self) -> MetadataSchema:
        """What can be known about a scan."""
        return MetadataSchema(tuple(self.metadata))

    def own(self, kind: type[Own]) -> Own:
        """The settings of the method alone, of the class that it was registered with."""
        return self.method_settings if isinstance(self.method_settings, kind) else kind()


def method_sections() -> dict[str, type[Any]]:
    """The settings of every registered method that has some of its own, by the name of their section."""
    return {name: method.settings for name, method in registered().items() if method.settings is not None}


def configuration_keys() -> Keys:
    """Every setting of a configuration with its type, those of all methods included."""
    keys = keys_of(Config)
    del keys[OWN]
    for name, kind in method_sections().items():
        keys |= {name: kind} | keys_of(kind, f"{name}.")
    return keys


def read_config(path: Path, overrides: Sequence[str] = ()) -> Config:
    """Defaults < file < `key=value` overrides.

    A key or value that does not fit ends the program with one sentence and the nearest valid key.
    """
    content = read_content(path, overrides, configuration_keys(), "configuration", FORMER_NAMES)
    source = f'The configuration "{path}"'
    own = {
        name: validated(content.pop(name, {}), kind, source, name) for name, kind in method_sections().items()
    }  # a section of a method that this run does not take is checked as well
    config = validated(content, Config, source)
    config.method_settings = own.get(config.method)
    check_config(config)
    return config


def as_content(config: Config) -> dict[str, Any]:
    """Plain values under the keys of a file: what checkpoints keep, and `read_config` reads."""
    content = asdict(config)
    own = content.pop(OWN)
    return content | ({config.method: own} if own is not None else {})


def write_config(config: Config, path: Path) -> None:
    """The resolved configuration as YAML, which `read_config` reads again; whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as temporary:
        temporary.write_text(yaml.safe_dump(plain(as_content(config)), sort_keys=False), encoding="utf-8")


def plain(value: Any) -> Any:
    """Tuples as lists, as JSON gives them back, and dictionaries without what says nothing."""
    if isinstance(value, dict):
        return {key: plain(v) for key, v in value.items() if v is not None}
    return [plain(v) for v in value] if isinstance(value, list | tuple) else value
