"""Example prompts: what a structure that was painted on a scan becomes inside a model, and the small file that keeps
it. Read without torch.
"""

from __future__ import annotations

import json
import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from operator import mul
from pathlib import Path
from typing import Any

from ..errors import InputError, LabelError
from ..labels.label_tree import Label, LabelTree
from ..scan.whole_files import as_json, write_text

FORMAT = 1
SUFFIX = ".lcs-label.json"
LARGEST_FILE = 16 * 2**20
LARGEST_NUMBER = 1e6


@dataclass(frozen=True)
class ExamplePrompt:
    """What stands for a structure that a model was shown on a scan.

    vector: what the features are multiplied with. bias: what is added; the background's score is 0. package,
    weights_sha256: the model that it belongs to; no other can use it. parent: a label of that model inside which the
    structure lies; empty for anywhere. color: red, green, blue in [0, 1]. examples: what is known of each scan it was
    shown on (plain values: scan, grid, millilitres of the mask, metadata, date, findings).
    """

    name: str
    vector: tuple[float, ...]
    bias: float
    package: str
    weights_sha256: str
    parent: str = ""
    color: tuple[float, float, float] = (0.9, 0.6, 0.1)
    examples: tuple[dict[str, Any], ...] = ()

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise LabelError("A label by example needs a name.")
        if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in self.name):  # no file's header could hold it
            raise LabelError(
                f"The name {self.name!a} of a label by example holds a line break or another character that cannot be"
                " written; choose another one."
            )
        if not all(math.isfinite(value) and abs(value) < LARGEST_NUMBER for value in (*self.vector, self.bias)):
            raise InputError(
                f'The label "{self.name}" holds numbers that no model makes; make it again from its example.'
            )

    @property
    def count(self) -> int:
        """How many examples it was made from: those of which something is known, at least 1."""
        return max(1, len(self.examples))

    def to_json(self) -> dict[str, Any]:
        """As stored in a file and in a scene."""
        return {
            "format": FORMAT,
            "name": self.name,
            "package": self.package,
            "weights_sha256": self.weights_sha256,
            **({"parent": self.parent} if self.parent else {}),
            "color": [round(c, 4) for c in self.color],
            "examples": list(self.examples),
            "vector": list(self.vector),  # with all digits: a label from its file finds the same voxels
            "bias": self.bias,
        }

    @staticmethod
    def from_json(entry: Any) -> ExamplePrompt:
        """Inverse of `to_json`. Raises InputError or LabelError."""
        try:
            if entry["format"] > FORMAT:
                raise InputError(
                    f'The label "{entry["name"]}" has the format {entry["format"]}, this version reads up to {FORMAT};'
                    " update LabelConditionedSegmentation."
                )
            red, green, blue = (min(1.0, max(0.0, float(c))) for c in entry["color"])
            return ExamplePrompt(
                name=str(entry["name"]).strip(),
                vector=tuple(float(value) for value in entry["vector"]),
                bias=float(entry["bias"]),
                package=str(entry["package"]),
                weights_sha256=str(entry["weights_sha256"]),
                parent=str(entry.get("parent", "")),
                color=(red, green, blue),
                examples=tuple(dict(known) for known in entry["examples"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise InputError(
                f"This is no label by example: it lacks something, or holds a value of the wrong kind ({error})."
            ) from None


def averaged(prompts: Sequence[ExamplePrompt]) -> ExamplePrompt:
    """One prompt from several of the same structure: its score is the mean over all their examples, so that a prompt
    weighs as much as the examples it was made from.

    Name, parent and colour are the first one's. Raises InputError.
    """
    first = prompts[0]
    if any((p.weights_sha256, len(p.vector)) != (first.weights_sha256, len(first.vector)) for p in prompts):
        raise InputError(
            f'The examples of "{first.name}" were made with different models; make them all with the same one.'
        )
    counts = [p.count for p in prompts]
    *vector, bias = (
        math.fsum(map(mul, values, counts)) / sum(counts)
        for values in zip(*((*p.vector, p.bias) for p in prompts), strict=True)
    )
    known = tuple(example for p in prompts for example in p.examples)
    return replace(first, vector=tuple(vector), bias=bias, examples=known)


def plain_name(name: str) -> str:
    """A label's name as a part of a file's, of letters that every system takes."""
    return "".join(letter if letter.isalnum() or letter in " -_" else "_" for letter in name)


def read_prompt(path: Path) -> ExamplePrompt:
    """A label by example from its file. Raises InputError with a sentence that names the file."""
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise InputError(f'"{path}" is larger than any label by example.')
        entry = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f'"{path}" cannot be read ({error.strerror or error}).') from None
    except (ValueError, RecursionError):  # no text, no JSON, or a number of thousands of digits
        raise InputError(f'"{path}" is no label by example: it is not readable as JSON.') from None
    try:
        return ExamplePrompt.from_json(entry)
    except (InputError, LabelError) as error:
        raise InputError(f'"{path}": {error}') from None


def write_prompt(prompt: ExamplePrompt, path: Path) -> None:
    """A prompt as a file of some kilobytes; the caller sees to it that the file appears whole. Raises OSError."""
    write_text(as_json(prompt.to_json()), path)


def check_model(prompts: Sequence[ExamplePrompt], model: str, weights_sha256: str, length: int) -> None:
    """Raise InputError where a prompt was made with another model than this one, whose prompts have
    `length` numbers.
    """
    for prompt in prompts:
        if (prompt.weights_sha256, len(prompt.vector)) != (weights_sha256, length):
            raise InputError(
                f'The label "{prompt.name}" was made with another model ({prompt.package}) than "{model}"; make it'
                " again from its example, or use that model."
            )


def tree_of_prompts(prompts: Sequence[ExamplePrompt], known: LabelTree, ids: Sequence[int] | None = None) -> LabelTree:
    """Labels by example as a tree without parents, in their order. ids: of the labels; by default the first ones above
    those of `known`, the model's labels.

    Raises LabelError where two are called the same, or one like a label of the model, or where a parent is none.
    """
    taken = {label.name.casefold() for label in known.labels}
    for prompt in prompts:
        if prompt.name.casefold() in taken:
            raise LabelError(f'There is a label "{prompt.name}" already; give the one by example another name.')
        taken.add(prompt.name.casefold())
        if prompt.parent:
            known.find(prompt.parent)
    first = max(label.id for label in known.labels) + 1
    numbers = range(first, first + len(prompts)) if ids is None else ids
    return LabelTree(
        tuple(Label(number, prompt.name, color=prompt.color) for number, prompt in zip(numbers, prompts, strict=True))
    )
