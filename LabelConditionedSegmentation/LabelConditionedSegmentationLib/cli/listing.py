"""`lcs labels` and `lcs models`: what can be asked for."""

from __future__ import annotations

import argparse

from ..core.labels.label_tree import Label, LabelTree
from ..core.package.model_package import ModelPackage
from ..core.package.package_list import ListedPackage, list_packages
from ..resources import model_folders
from .model_choice import resolve_model
from .status import DONE
from .terminal import answer, say


def print_labels(arguments: argparse.Namespace) -> int:
    """The label tree, indented by depth, or the labels that match `--search`."""
    package = ModelPackage.load(resolve_model(arguments.model))
    tree = package.labels
    if arguments.search is None:
        answer("\n".join(line for name, part in tree.parts.items() for line in _lines(name, part)))
        return DONE
    found = tree.search(arguments.search)
    if found:
        answer("\n".join(_line_with_parents(tree, label) for label in found))
    else:
        say(f'No label of "{package.name}" matches "{arguments.search}".')
    return DONE


def _lines(protocol: str, part: LabelTree) -> list[str]:
    """The labels of a protocol, indented by depth, below its name where it has one."""
    lines = ["  " * (part.depth(label) + bool(protocol)) + _line(label) for label in part.walk()]
    return [f"protocol {protocol}", *lines] if protocol else lines


def _line_with_parents(tree: LabelTree, label: Label) -> str:
    names = [f"protocol {tree.protocol_of(label).name}"] if not tree.is_plain else []
    above = " > ".join([*names, *(parent.name for parent in reversed(tree.ancestors(label)))])
    return _line(label) + (f"   in {above}" if above else "")


def _line(label: Label) -> str:
    code = f"  [{label.type.scheme} {label.type.value}]" if label.type else ""
    also = f"  ({', '.join(label.synonyms)})" if label.synonyms else ""
    return f"{label.id:>4}  {label.name}{also}{code}"


def print_models(_arguments: argparse.Namespace) -> int:
    """One paragraph a package: name, size, labels, licence, place."""
    answer("\n".join(map(_paragraph, list_packages(model_folders()))))
    return DONE


def _ways(package: ModelPackage) -> str:
    names = [name for name in package.labels.parts if name]
    return f", in the protocols {', '.join(names)}" if len(names) > 1 else ""


def _paragraph(listed: ListedPackage) -> str:
    package = listed.package
    if package is None:
        return f"{listed.name}\n  cannot be used: {listed.problem}\n"
    channels, spacing = ", ".join(package.input.channels), " x ".join(f"{s:g}" for s in package.input.spacing)
    learns = package.architecture.learns_examples
    lines = {
        "labels": f"{len(package.labels.leaves)} structures, {len(package.labels)} with their groups{_ways(package)}",
        "input": f"{channels} at {spacing} mm",
        "metadata": ", ".join(f"{field.name} ({field.allowed})" for field in package.metadata.fields) or "none",
        "examples": "learns further labels from examples" if learns else "knows its own labels only",
        "licence": listed.licence,
        "use": package.about.get("intended_use") or "not stated",
        "version": listed.version,
        "size": f"{listed.size}, {listed.path}",
    }
    title = f"{listed.name}: {listed.title}\n"
    return title + "".join(f"  {what:8}  {said}\n" for what, said in lines.items())
