"""The network that a run starts with: a new one, or that of a model package to which the labels of a data set are
added.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from LabelConditionedSegmentationLib.core.labels.label_tree import LabelTree
from LabelConditionedSegmentationLib.core.network.head import ClassEmbeddings
from LabelConditionedSegmentationLib.core.network.model import LabelConditionedNetwork
from LabelConditionedSegmentationLib.core.package.model_package import ModelPackage

from ..data.protocol_trees import plain_name
from ..methods.registry import method_of
from .config import Config
from .config_checks import check_network, starts_from_package


def package_to_start_from(config: Config) -> ModelPackage | None:
    """The model package that `init_from` names, None where it names nothing or a checkpoint."""
    return ModelPackage.load(Path(config.init_from)) if starts_from_package(config) else None


def settings_of_package(config: Config, package: ModelPackage) -> Config:
    """The configuration with the network, input and metadata of the package, and its advice where it has none of its
    own. SystemExit where the configuration asks for others.

    Only the encoder of examples comes and goes with what is learned: a trunk that is trained without it leaves it
    behind.
    """
    config = copy.deepcopy(config)
    plain = Config()
    network = replace(package.architecture, examples=config.network.examples or config.objective.prompts != "class")
    for key, there, allowed in (
        ("network", network, (plain.network, replace(plain.network, examples=True), package.architecture, network)),
        ("input", package.input, (plain.input, package.input)),
    ):
        if getattr(config, key) not in allowed:
            raise SystemExit(
                f"A fine-tuned package keeps its {key}: leave the section {key} out of the configuration, or make it"
                f" {there.to_json()}."
            )
        setattr(config, key, there)
    known = list(package.metadata.fields)
    if config.metadata and config.metadata[: len(known)] != known:
        raise SystemExit(
            "A fine-tuned package keeps its metadata fields: leave the section metadata out of the configuration, or"
            " begin it with the fields of the package and add others."
        )
    config.metadata = config.metadata or known
    config.package.advice = dict(package.advice) | config.package.advice
    check_network(config)
    return config


def joined_tree(known: LabelTree, added: LabelTree) -> LabelTree:
    """The labels of a package followed by those of a data set that it does not know, matched by name; ids that are
    taken are exchanged for free ones.

    A new label under a known leaf makes that leaf a parent. A new parent of which every leaf is known already is left
    out: it would have nothing under it.
    """
    names = {label.name.casefold(): label.id for label in known.labels}
    taken = {label.id for label in known.labels}
    ids: dict[int, int] = {}
    labels = list(known.labels)
    for label in added.walk():
        same = names.get(label.name.casefold())
        if same is None and all(leaf.name.casefold() in names for leaf in added.leaves_under(label)):
            continue
        if same is None:
            same = label.id if label.id not in taken else max(taken | {x.id for x in added.labels}) + 1
            taken.add(same)
            parent = None if label.parent is None else ids[label.parent]
            labels.append(replace(label, id=same, parent=parent))
        ids[label.id] = same
    return LabelTree(tuple(labels))


@torch.no_grad()
def take_weights(network: LabelConditionedNetwork, tree: LabelTree, package: ModelPackage) -> None:
    """Copy the weights of a package: trunk, the encoder of examples where both have one, and the prompt of every label
    that it knows; a new label starts with the prompt of the nearest known label above it. A new metadata field changes
    nothing at first.
    """
    source = package.build_network()
    network.trunk.load_state_dict(_with_new_fields(network.trunk.state_dict(), source.trunk.state_dict()))
    if network.examples is not None and source.examples is not None:
        network.examples.load_state_dict(source.examples.state_dict())
    rows = _known_rows(tree, known_protocols(tree, package))
    rows |= {network.classes + n: source.classes + n for n in range(package.architecture.context_classes)}
    here, there = list(rows), list(rows.values())
    if isinstance(network.head, ClassEmbeddings) and isinstance(source.head, ClassEmbeddings):
        network.head.prompts[here] = source.head.prompts[there]
        network.head.bias[here] = source.head.bias[there]
        return
    parameters, before = dict(network.head.named_parameters()), dict(source.head.named_parameters())
    for name, value in parameters.items():
        if name == "codes":
            value[[n - 1 for n in here[1:]]] = before[name][[n - 1 for n in there[1:]]]
        else:
            value.copy_(before[name])


def _known_rows(tree: LabelTree, known: LabelTree) -> dict[int, int]:
    """Class of a network -> the class of the one before whose prompt it starts with, inside each protocol that both
    have.
    """
    rows = {}
    for protocol, part in tree.parts.items():
        if protocol not in known.parts:
            continue
        before, after = known.class_slices[protocol].start, tree.class_slices[protocol].start
        there = {plain_name(leaf, protocol).casefold(): n for n, leaf in enumerate(known.parts[protocol].leaves, 1)}
        rows[after] = before
        for n, leaf in enumerate(part.leaves, start=1):
            names = (plain_name(label, protocol).casefold() for label in (leaf, *part.ancestors(leaf)))
            if (name := next((name for name in names if name in there), None)) is not None:
                rows[after + n] = before + there[name]
    return rows


def known_labels(config: Config, package: ModelPackage) -> LabelTree:
    """The labels of a package that is fine-tuned; where protocols are kept, its only one has the name of the package.

    SystemExit where a method that knows no protocols would have to go on with several.
    """
    tree = package.labels
    if method_of(config).keeps_protocols and config.data.sources:
        return _named_protocol(tree, package)
    if len(tree.protocols) > 1:
        raise SystemExit(
            f'The package "{package.name}" divides a scan in several ways ({", ".join(tree.parts)}), which'
            f" method={config.method} cannot go on with: take method=protocols and data.sources."
        )
    return tree


def known_protocols(tree: LabelTree, package: ModelPackage) -> LabelTree:
    """The labels of a package, whose only protocol is called as that is in the tree that goes on from it."""
    return package.labels if "" in tree.parts else _named_protocol(package.labels, package)


def _named_protocol(tree: LabelTree, package: ModelPackage) -> LabelTree:
    return LabelTree(tree.labels, (replace(tree.protocols[0], name=package.name),)) if tree.is_plain else tree


def _with_new_fields(fresh: Mapping[str, torch.Tensor], known: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The weights of a trunk whose FiLM takes further metadata fields after those that it knows: what is known of the
    fields stays, and the code of the new ones weighs nothing in the first layer.
    """
    weights = {}
    for name, value in fresh.items():
        before = known.get(name, value)
        if before.shape != value.shape:
            wider = torch.zeros_like(value) if name == "film.shared.0.weight" else value.clone()
            wider[tuple(slice(n) for n in before.shape)] = before
            before = wider
        weights[name] = before
    return weights


def freeze(network: LabelConditionedNetwork, parts: Sequence[str]) -> None:
    """Parts of the network keep their weights.

    A frozen trunk costs no backward pass either, since nothing below its features has a gradient.
    """
    for name in parts:
        getattr(network, name).requires_grad_(False)


def describe_start(package: ModelPackage) -> list[str]:
    """The history that a fine-tuned package carries."""
    provenance: dict[str, Any] = package.about.get("provenance", {})
    cases = ", ".join(provenance.get("training_cases", [])) or "unknown cases"
    return [
        *provenance.get("history", []),
        f'{provenance.get("steps", "?")} steps of the package "{package.name}" on {cases}',
    ]
