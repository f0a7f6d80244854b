"""The training methods by name.

A method registers itself when its module is imported. Those of this folder are found by themselves; one that stands
elsewhere is there for who imports it.
"""

from __future__ import annotations

import difflib
import pkgutil
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from LabelConditionedSegmentationLib.core.network.architecture import ATLAS_PAIR
from LabelConditionedSegmentationLib.core.network.model import LabelConditionedNetwork

from ..data.sources import check_roles

if TYPE_CHECKING:
    from ..engine.config import Config
    from .method import Method

M = TypeVar("M", bound="type[Method]")

_METHODS: dict[str, type[Method]] = {}


def register(name: str, settings: type[Any] | None = None) -> Callable[[M], M]:
    """Make a method known as `method=name`. settings: a dataclass of what it alone can be set to, in a configuration
    the section of that name; it has a default for everything, and below each setting a docstring for users.
    """

    def add(method: M) -> M:
        method.settings = settings
        _METHODS[name] = method
        return method

    return add


def registered() -> Mapping[str, type[Method]]:
    """All methods by name, in alphabetical order."""
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        import_module(f"{__package__}.{module.name}")
    return dict(sorted(_METHODS.items()))


def method_of(config: Config) -> type[Method]:
    """The method that a configuration names. SystemExit, with the nearest one, where there is none of that name."""
    methods = registered()
    if config.method not in methods:
        near = difflib.get_close_matches(config.method, methods, n=1)
        hint = f' Did you mean "{near[0]}"?' if near else ""
        raise SystemExit(f'There is no method "{config.method}"; there are {", ".join(methods)}.{hint}')
    return methods[config.method]


def check_method(config: Config) -> None:
    """SystemExit for what the settings alone say against a method, before any data are read."""
    method = method_of(config)
    if config.network.context_classes and not method.trains_context_classes:
        able = _those(lambda kind: kind.trains_context_classes)
        raise SystemExit(
            f"Only {able} trains context classes: take it in place of {config.method}, or set"
            " network.context_classes=0."
        )
    taken = (*method.roles, "target") if config.teacher.share else method.roles
    check_roles(config.data.sources, taken, config.method)
    if not method.keeps_protocols and any(source.protocol for source in config.data.sources):
        able = _those(lambda kind: kind.keeps_protocols)
        raise SystemExit(
            f"Only {able} keeps protocols; with method={config.method} labels are joined by name: leave the protocol of"
            " data.sources out."
        )
    _check_prompts(config, method)
    method.check(config)


def _check_prompts(config: Config, method: type[Method]) -> None:
    """Examples are learned by methods that can, and by networks that can take them."""
    by_example = config.objective.prompts != "class"
    if by_example and (not method.learns_from_examples or config.objective.labels != "all"):
        able = _those(lambda kind: kind.learns_from_examples)
        raise SystemExit(
            f"Only {able} with objective.labels=all learns from examples: take it, or set objective.prompts=class."
        )
    by_pair = config.network.conditioning == ATLAS_PAIR
    if by_pair and config.objective.prompts != "example":
        raise SystemExit(
            "network.conditioning=atlas_pair finds a label by another scan and its mask: set objective.prompts=example."
        )
    if by_example != (config.network.examples or by_pair):
        raise SystemExit(
            "network.examples=true and objective.prompts=example or both belong together: set both of them, or neither."
        )


def _those(is_able: Callable[[type[Method]], bool]) -> str:
    return " or ".join(f"method={name}" for name, method in registered().items() if is_able(method))


def build_method(network: LabelConditionedNetwork, config: Config, members: torch.Tensor) -> Method:
    """The module of a run whose settings were checked: batch -> loss. members (G, K): the classes under each parent,
    for voxels known only to lie in it.
    """
    return method_of(config).build(network, config, members)
