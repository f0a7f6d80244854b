"""The teacher of a run: the trained model that labels its scans without labels."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from LabelConditionedSegmentationLib.core.errors import InputError
from LabelConditionedSegmentationLib.core.inference.devices import choose_device
from LabelConditionedSegmentationLib.core.inference.segmenter import EXAMPLE_BUDGET, Segmenter
from LabelConditionedSegmentationLib.core.labels.label_tree import LabelTree
from LabelConditionedSegmentationLib.core.network.model import LabelConditionedNetwork
from LabelConditionedSegmentationLib.core.package.model_package import ModelPackage
from LabelConditionedSegmentationLib.core.package.needed import needed_package
from safetensors import safe_open

from ..data.targets import TargetCode, can_be_flipped
from .checkpoint import read_facts
from .config import Config


@dataclass(frozen=True)
class Teacher:
    """A trained model, with the classes of the run in place of its own.

    package: what it is; of a checkpoint one that has no folder. classes: for every class of the run those of the
    teacher that it consists of, the background (context classes among it) first. needed: the package that finds what
    the teacher looks inside of. device: where it runs; by name.
    """

    package: ModelPackage
    classes: list[list[int]]
    needed: ModelPackage | None
    device: str

    @property
    def name(self) -> str:
        """What it is called, for people."""
        return self.package.name

    @property
    def identity(self) -> list[object]:
        """All of it that its answers depend on, as JSON."""
        packages = [self.package] if self.needed is None else [self.package, self.needed]
        return [[one.weights_sha256, one.input.to_json(), one.patch, one.flip] for one in packages] + [self.classes]

    @cached_property
    def segmenter(self) -> Segmenter:
        """The model, loaded when it is needed; it keeps the features of scans of any usual size."""
        if self.package.path.suffix == ".safetensors":
            network = _averaged_network(self.package)
        else:
            network = self.package.build_network()
        return Segmenter(self.package, network, choose_device(self.device), EXAMPLE_BUDGET, needed=self.needed)

    def close(self) -> None:
        """Free the memory of the model, where it was loaded."""
        if "segmenter" in vars(self):
            self.segmenter.close()


def teacher_of(config: Config, code: TargetCode) -> Teacher:
    """The teacher that a configuration names. code: what the targets of the run mean.

    SystemExit where it cannot teach this run.
    """
    path = Path(config.teacher.package or config.init_from)
    package = _of_checkpoint(path, config, code.tree) if path.suffix == ".safetensors" else ModelPackage.load(path)
    if len(package.labels.protocols) > 1:
        raise SystemExit(f'The teacher "{package.name}" has several protocols; take a model that has one.')
    if len(package.input.channels) != len(config.input.channels):
        raise SystemExit(
            f'The teacher "{package.name}" reads {len(package.input.channels)} channel(s)'
            f" ({', '.join(package.input.channels)}), but input.channels names {len(config.input.channels)}; take a"
            " teacher of the same channels."
        )
    flips = (package.flip or config.augmentation.flip) and can_be_flipped(package.labels)
    device = {"cpu": "cpu", "cuda": "cuda", "mps": "mps"}.get(config.accelerator, "auto")
    package = replace(package, flip=flips)
    return Teacher(package, _classes_of_run(package, code.tree), needed_package(package), device)


def _classes_of_run(package: ModelPackage, tree: LabelTree) -> list[list[int]]:
    """For every class of the run the teacher's that it consists of. SystemExit where the teacher lacks a label."""
    by_name, leaves = TargetCode(tree, package.labels), package.labels.leaves
    targets = by_name.encode(np.array([leaf.id for leaf in leaves]))
    found = [[n for n, of in enumerate(targets.tolist(), start=1) if of == target] for target in range(by_name.classes)]
    lacking = [leaf.name for leaf, theirs in zip(tree.leaves, found[1:], strict=True) if not theirs]
    if lacking:
        more = f" and {len(lacking) - 5} more" if len(lacking) > 5 else ""
        raise SystemExit(
            f'The teacher "{package.name}" does not know {", ".join(lacking[:5])}{more}, which this run learns; take'
            " a teacher that knows all of its labels, or name fewer in the labels of the sources."
        )
    classes, context = package.labels.classes, package.architecture.context_classes
    return [[0, *found[0], *range(classes, classes + context)], *found[1:]]


def _of_checkpoint(path: Path, config: Config, tree: LabelTree) -> ModelPackage:
    """What a checkpoint of the network of this run would be as a package."""
    read_facts(path)  # says so where it is none
    if config.objective.prompts == "example":
        raise SystemExit(
            f'The teacher "{path}" learns from examples alone and does not answer for labels; take a model package.'
        )
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return ModelPackage(
        *(path, path.stem, config.network, config.input, tree, config.schema, config.package.patch, False, sha256)
    )


def _averaged_network(package: ModelPackage) -> LabelConditionedNetwork:
    """The network of a checkpoint with its averaged weights. Raises InputError where it is of another one."""
    network = LabelConditionedNetwork(package.architecture, package.labels.classes, package.metadata.fields)
    with safe_open(package.path, framework="pt") as file, torch.no_grad():
        keys = set(file.keys())
        for name, value in network.state_dict().items():
            stored = f"average.{name}"
            if stored not in keys or tuple(file.get_slice(stored).get_shape()) != tuple(value.shape):
                raise InputError(
                    f'The teacher "{package.path}" is a checkpoint of another network: it has no {name} of the shape'
                    f" {tuple(value.shape)}; take a checkpoint of this one, or a model package."
                )
            value.copy_(file.get_tensor(stored))
    return network
