"""My labels: the labels by example of a scene, of all models, and their branch of the label tree. Without Qt."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..scene.example_labels import belongs_to, require_of_model
from ..scene.words import ExamplePrompt, InputError, Label, LabelError, LabelTree, ModelPackage, tree_of_prompts
from .stored_text import read_object

BRANCH = "My labels"
COLOR = (0.9, 0.6, 0.1)


@dataclass(frozen=True)
class ExampleChoice:
    """What was chosen for a new label by example. volumes: of the atlas, one a channel. segment: id in the segmentation. inside: a label of the model, or ""."""

    volumes: tuple[Any, ...]
    segmentation: Any
    segment: str
    name: str
    inside: str

    @property
    def problem(self) -> str:
        """What is missing, as a sentence; "" where nothing is."""
        if None in self.volumes:
            return "Choose the scan that the structure was painted on."
        if self.segmentation is None or not self.segment:
            return "Choose the segment that shows the structure."
        return "" if self.name else "Give the label a name."


class MyLabels:
    """Labels by example. Those of other models are kept and not shown; those of one model have names of their own among themselves and the model's labels."""

    def __init__(self, prompts: Sequence[ExamplePrompt] = ()) -> None:
        self._prompts = tuple(prompts)

    def of(self, package: ModelPackage) -> list[ExamplePrompt]:
        """The labels of a model. What cannot stand in its tree, because somebody has changed the scene's file, is passed over."""
        fitting: list[ExamplePrompt] = []
        for prompt in self._prompts:
            if belongs_to(prompt, package):
                try:
                    _branch([*fitting, prompt], package.labels)
                except LabelError:
                    continue
                fitting.append(prompt)
        return fitting

    def branch(self, package: ModelPackage) -> LabelTree | None:
        """The labels of a model below one parent, which stands for all of them together, as they compete; None where there are none."""
        prompts = self.of(package)
        return _branch(prompts, package.labels) if prompts else None

    def tree(self, package: ModelPackage) -> LabelTree:
        """What can be asked for: the labels of the model, then the branch."""
        branch = self.branch(package)
        return package.labels if branch is None else LabelTree((*package.labels.labels, *branch.labels))

    def get(self, label_id: int | None, package: ModelPackage) -> ExamplePrompt | None:
        """The label of an id in the branch; None for the branch itself and for labels of the model."""
        branch = self.branch(package)
        leaves = branch.leaves if branch is not None else ()
        return next((prompt for leaf, prompt in zip(leaves, self.of(package), strict=False) if leaf.id == label_id), None)

    def check(self, choice: ExampleChoice, package: ModelPackage) -> None:
        """Raise LabelError where a new label cannot be called so, or does not know what it is inside of."""
        _branch([*self.of(package), ExamplePrompt(choice.name, (), 0.0, package.name, package.weights_sha256, choice.inside)], package.labels)

    def add(self, prompt: ExamplePrompt, package: ModelPackage) -> None:
        """Add a label of a model. Raises InputError where it belongs to another one, LabelError where its name is taken."""
        require_of_model(prompt, package)
        _branch([*self.of(package), prompt], package.labels)
        self._prompts = (*self._prompts, prompt)

    def remove(self, prompt: ExamplePrompt) -> None:
        """Remove a label."""
        self._prompts = tuple(other for other in self._prompts if other != prompt)

    def to_text(self) -> str:
        """As stored in a scene (JSON); "" where there are none."""
        return json.dumps({"labels": [prompt.to_json() for prompt in self._prompts]}) if self._prompts else ""

    @staticmethod
    def from_text(text: str) -> MyLabels:
        """Inverse of `to_text`; what cannot be read is passed over."""
        stored = read_object(text).get("labels")
        prompts = []
        for entry in stored if isinstance(stored, list) else []:
            try:
                prompts.append(ExamplePrompt.from_json(entry))
            except (InputError, LabelError):
                continue
        return MyLabels(prompts)


def _branch(prompts: Sequence[ExamplePrompt], known: LabelTree) -> LabelTree:
    """The tree of labels by example below their parent. Raises LabelError where a name is taken or what a label lies in is not known."""
    first = max(label.id for label in known.labels) + 1
    labels = tree_of_prompts(prompts, known, [_label_id(prompt, first + 1) for prompt in prompts])
    branch = LabelTree((Label(first, BRANCH, color=COLOR), *(replace(label, parent=first) for label in labels.labels)))
    LabelTree((*known.labels, *branch.labels))  # the parent's name may be taken too
    return branch


def _label_id(prompt: ExamplePrompt, first: int) -> int:
    """An id that belongs to this label in every scene and is never given to another, so that a segment is never taken for that of a label that came later."""
    stored = prompt.to_json()
    what = json.dumps([stored["name"], stored.get("parent"), stored["vector"], stored["bias"]])
    return first + zlib.crc32(what.encode("ascii")) % 2**30
