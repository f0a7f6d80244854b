"""My labels: the labels by example of a scene, of all models, and their branch of the label tree. Without Qt."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..core.errors import InputError, LabelError
from ..core.examples.example_prompt import ExamplePrompt, tree_of_prompts
from ..core.labels.label_tree import Label, LabelTree, Protocol
from ..core.package.model_package import ModelPackage
from ..scene.example_labels import belongs_to, require_of_model
from .stored_text import read_object

BRANCH = "My labels"


@dataclass(frozen=True)
class ExampleChoice:
    """What was chosen for a label by example. volumes: of the atlas, one a channel. segment: id in the segmentation.
    inside: a label of the model, or "".

    of: the label that this is another example of; None for a new one.
    """

    volumes: tuple[Any, ...]
    segmentation: Any
    segment: str
    name: str
    inside: str
    of: ExamplePrompt | None = None

    @property
    def problem(self) -> str:
        """What is missing, as a sentence; "" where nothing is."""
        if None in self.volumes:
            return "Choose the scan that the structure was painted on."
        if self.segmentation is None or not self.segment:
            return "Choose the segment that shows the structure."
        return "" if self.name else "Give the label a name."


class MyLabels:
    """Labels by example.

    Those of other models are kept and not shown; those of one model have names of their own among themselves and the
    model's labels.
    """

    def __init__(self, prompts: Sequence[ExamplePrompt] = ()) -> None:
        self._keep(prompts)

    def of(self, package: ModelPackage) -> list[ExamplePrompt]:
        """The labels of a model.

        What cannot stand in its tree, because somebody has changed the scene's file, is passed over.
        """
        return list(self._fitting(package)[0])

    def branch(self, package: ModelPackage) -> LabelTree | None:
        """The labels of a model below one parent, which stands for all of them together, as they compete; None where
        there are none.
        """
        return self._fitting(package)[1]

    def tree(self, package: ModelPackage) -> LabelTree:
        """What can be ticked: the labels of the model, then the branch."""
        branch = self.branch(package)
        return package.labels if branch is None else _joined(package.labels, branch)

    def get(self, label_id: int | None, package: ModelPackage) -> ExamplePrompt | None:
        """The label of an id in the branch; None for the branch itself and for labels of the model."""
        prompts, branch = self._fitting(package)
        leaves = branch.leaves if branch is not None else ()
        return next((prompt for leaf, prompt in zip(leaves, prompts, strict=True) if leaf.id == label_id), None)

    def named(self, name: str, package: ModelPackage) -> ExamplePrompt | None:
        """The label of a model that is called so."""
        return next((prompt for prompt in self.of(package) if prompt.name == name), None)

    def check(self, choice: ExampleChoice, package: ModelPackage) -> None:
        """Raise LabelError where a new label cannot be called so, or does not know what it is inside of."""
        if choice.of is None:
            _branch(
                [
                    *self.of(package),
                    ExamplePrompt(choice.name, (), 0.0, package.name, package.weights_sha256, choice.inside),
                ],
                package.labels,
            )

    def add(self, prompt: ExamplePrompt, package: ModelPackage) -> None:
        """Add a label of a model.

        Raises InputError where it belongs to another one, LabelError where its name is taken.
        """
        require_of_model(prompt, package)
        _branch([*self.of(package), prompt], package.labels)
        self._keep((*self._prompts, prompt))

    def replace(self, prompt: ExamplePrompt, other: ExamplePrompt, package: ModelPackage) -> tuple[Label, Label]:
        """Put another label of the same model in the place of one; returns both as the tree has them, which differ in
        their id. Raises as `add`, and nothing is changed.
        """
        require_of_model(other, package)
        prompts = self.of(package)
        if prompt not in prompts:
            raise LabelError(f'There is no label "{prompt.name}" in My labels any more.')
        place = prompts.index(prompt)
        before, after = (
            _branch(among, package.labels).leaves[place]
            for among in (prompts, [*prompts[:place], other, *prompts[place + 1 :]])
        )
        self._keep(other if kept == prompt else kept for kept in self._prompts)
        return before, after

    def remove(self, prompt: ExamplePrompt) -> None:
        """Remove a label."""
        self._keep(other for other in self._prompts if other != prompt)

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

    def _keep(self, prompts: Iterable[ExamplePrompt]) -> None:
        self._prompts = tuple(prompts)
        self._last: tuple[ModelPackage, list[ExamplePrompt], LabelTree | None] | None = None

    def _fitting(self, package: ModelPackage) -> tuple[list[ExamplePrompt], LabelTree | None]:
        """The labels of a model and their branch; made once, since the panel asks whenever it shows anything."""
        if self._last is None or self._last[0] is not package:
            fitting: list[ExamplePrompt] = []
            branch = None
            for prompt in self._prompts:
                if belongs_to(prompt, package):
                    try:
                        branch = _branch([*fitting, prompt], package.labels)
                    except LabelError:
                        continue
                    fitting.append(prompt)
            self._last = package, fitting, branch
        return self._last[1:]


def _branch(prompts: Sequence[ExamplePrompt], known: LabelTree) -> LabelTree:
    """The tree of labels by example below their parent.

    Raises LabelError where a name is taken or what a label lies in is not known.
    """
    first = max(label.id for label in known.labels) + 1
    labels = tree_of_prompts(prompts, known, [_label_id(prompt, first + 1) for prompt in prompts])
    branch = LabelTree(
        (Label(first, BRANCH, color=ExamplePrompt.color), *(replace(label, parent=first) for label in labels.labels))
    )
    _joined(known, branch)  # the parent's name may be taken too
    return branch


def _joined(known: LabelTree, branch: LabelTree) -> LabelTree:
    """The labels of a model, then the branch: beside its protocols, where they have names. Raises LabelError."""
    labels = (*known.labels, *branch.labels)
    if known.is_plain:
        return LabelTree(labels)
    return LabelTree(labels, (*known.protocols, Protocol(BRANCH, tuple(label.id for label in branch.roots))))


def _label_id(prompt: ExamplePrompt, first: int) -> int:
    """An id that belongs to this label in every scene and is never given to another, so that a segment is never taken
    for that of a label that came later.
    """
    stored = prompt.to_json()
    what = json.dumps([stored["name"], stored.get("parent"), stored["vector"], stored["bias"]])
    return first + zlib.crc32(what.encode("ascii")) % 2**30
