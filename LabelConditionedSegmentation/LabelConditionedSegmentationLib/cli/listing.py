"""`lcs labels` and `lcs models`: what can be asked for."""

from __future__ import annotations

import argparse
import sys

from ..core.errors import PackageError
from ..core.labels import Label
from ..core.package import ModelPackage
from .models import installed_models, resolve_model


def print_labels(arguments: argparse.Namespace) -> int:
    """The label tree, indented by depth, or the labels that match `--search`."""
    package = ModelPackage.load(resolve_model(arguments.model))
    if arguments.search is None:
        for label in package.labels.walk():
            print("  " * package.labels.depth(label) + _line(label))
        return 0
    found = package.labels.search(arguments.search)
    for label in found:
        above = " > ".join(parent.name for parent in reversed(package.labels.ancestors(label)))
        print(_line(label) + (f"   in {above}" if above else ""))
    if not found:
        print(f'No label of "{package.name}" matches "{arguments.search}".', file=sys.stderr)
    return 0


def _line(label: Label) -> str:
    code = f"  [{label.type.scheme} {label.type.value}]" if label.type else ""
    also = f"  ({', '.join(label.synonyms)})" if label.synonyms else ""
    return f"{label.id:>4}  {label.name}{also}{code}"


def print_models(_arguments: argparse.Namespace) -> int:
    """One paragraph a package: name, size, labels, licence, place."""
    for name, path in installed_models().items():
        try:
            package = ModelPackage.load(path)
        except PackageError as error:
            print(f"{name}\n  cannot be used: {error}\n")
            continue
        fields = ", ".join(f"{field.name} ({field.allowed})" for field in package.metadata.fields) or "none"
        print(f"{name}: {package.about.get('title') or package.name}")
        print(f"  labels    {len(package.labels.leaves)} structures, {len(package.labels)} with their groups")
        print(
            f"  input     {', '.join(package.input.channels)} at {' x '.join(f'{s:g}' for s in package.input.spacing)} mm"
        )
        print(f"  metadata  {fields}")
        print(
            f"  examples  {'learns further labels from examples' if package.architecture.learns_examples else 'knows its own labels only'}"
        )
        print(f"  licence   {package.about.get('licence') or 'not stated'}")
        print(f"  use       {package.about.get('intended_use') or 'not stated'}")
        print(f"  size      {package.size_bytes / 2**20:.1f} MB, {path}\n")
    return 0
