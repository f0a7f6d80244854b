"""What the words of a command mean: labels, metadata and adaptation."""

from __future__ import annotations

import argparse
import codecs
import re
from collections.abc import Sequence
from pathlib import Path

from ..core.adaptation.adapters import DEFAULT_ADAPTER, DEFAULT_STEPS, Adaptation
from ..core.errors import InputError, LabelError, MetadataError
from ..core.labels.label_tree import LabelTree
from ..core.package.model_package import ModelPackage
from ..core.scan.file_formats import OVERLAPPING, suffix_of
from .jobs import Job

ALL = "all"
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def wanted_labels(arguments: argparse.Namespace, tree: LabelTree) -> list[str] | str:
    """The labels of the model, which knows them, inside the protocol that was asked for, if one was; none where only
    labels by example are asked for.

    Raises InputError or LabelError.
    """
    if arguments.protocol is not None:
        part = tree.part_of(arguments.protocol)
        found = _named_labels(arguments, part)
        labels = part.leaves if found == ALL else [part.find(name) for name in found]
        return [str(label.id) for label in labels]
    return _named_labels(arguments, tree)


def refuse_two_protocols(wanted: list[str] | str, tree: LabelTree, jobs: Sequence[Job]) -> None:
    """Raises LabelError where labels of several protocols would have to share the voxels of a label map."""
    maps = [job.output for job in jobs if job.output is not None and suffix_of(job.output) not in OVERLAPPING]
    if len(tree.protocols) == 1 or not maps:
        return
    labels = tree.leaves if wanted == ALL else [tree.find(name) for name in wanted]
    names = list(dict.fromkeys(tree.protocol_of(label).name for label in labels))
    if len(names) > 1:
        raise LabelError(
            f"The labels asked for belong to {len(names)} protocols ({', '.join(names)}), each of which divides the"
            f' whole scan, and the label map "{maps[0]}" holds one of them: ask for one with --protocol {names[0]}, or'
            " write a .seg.nrrd file."
        )


def _named_labels(arguments: argparse.Namespace, tree: LabelTree) -> list[str] | str:
    """What --labels or --labels-file name, all of which the tree knows. Raises InputError or LabelError."""
    if arguments.labels is None and not arguments.labels_file:
        return [] if arguments.example or arguments.label_file else ALL
    if arguments.labels_file:
        lines = _text(arguments.labels_file).splitlines()
        names = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    else:
        names = split_names(arguments.labels, tree)
    if not names:
        raise LabelError("No label was asked for; name at least one, or all.")
    if [name.casefold() for name in names] == [ALL]:
        return ALL
    for name in names:
        tree.find(name)
    return names


_IN_QUOTES = re.compile(r'(?:^|,)\s*"([^"]*)"\s*(?=,|$)')
"""A name in quotes, between commas; quotes within a name are letters of it."""


def split_names(text: str, tree: LabelTree) -> list[str]:
    """Names of labels separated by commas, which may hold commas themselves: as much is one name as the tree knows, and
    what stands in quotes.
    """
    names: list[str] = []
    for n, part in enumerate(_IN_QUOTES.split(text)):
        names += [part] if n % 2 else _split_known(part.split(","), tree)
    return [name.strip() for name in names if name.strip()]


def _split_known(pieces: list[str], tree: LabelTree) -> list[str]:
    names = []
    while pieces:
        counts = range(len(pieces), 1, -1)
        joined = (glue.join(piece.strip() for piece in pieces[:n]) for n in counts for glue in (", ", ","))
        name = next((words for words in joined if tree.knows(words)), pieces[0])
        names.append(name)
        del pieces[: name.count(",") + 1]
    return names


def _text(file: str) -> str:
    """The text of a file in UTF-8 or, as the Notepad of Windows writes it, with a byte-order mark in UTF-8 or UTF-16.
    Raises InputError.
    """
    try:
        data = Path(file).read_bytes()
        return data.decode("utf-16" if data.startswith(_UTF16) else "utf-8-sig")
    except (OSError, UnicodeDecodeError):
        raise InputError(f'The labels file "{file}" cannot be read as text.') from None


def wanted_adaptation(arguments: argparse.Namespace, package: ModelPackage) -> Adaptation | None:
    """How scans are adapted to; None where that is not asked for. Raises InputError where it is not possible."""
    if not arguments.adapt:
        for option in ("adapter", "adapt_steps"):
            if getattr(arguments, option) is not None:
                raise InputError(
                    f"--{option.replace('_', '-')} says how to adapt to a scan; ask for that with --adapt."
                )
        return None
    steps = DEFAULT_STEPS if arguments.adapt_steps is None else arguments.adapt_steps
    adaptation = Adaptation(arguments.adapter or DEFAULT_ADAPTER, steps)
    adaptation.check(package)
    return adaptation


def metadata_of(words: Sequence[str]) -> dict[str, str]:
    """Field -> value of words KEY=VALUE. Raises MetadataError."""
    values: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise MetadataError(f'"{word}" is not of the form KEY=VALUE, such as age=31.')
        if key in values:
            raise MetadataError(f'The metadata field "{key}" was given twice.')
        values[key] = value
    return values
