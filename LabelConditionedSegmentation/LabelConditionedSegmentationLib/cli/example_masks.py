"""Labels by example on the command line: structures that files show on atlases, and label files made earlier."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..core.errors import InputError, OutputError
from ..core.examples.example_prompt import (
    ExamplePrompt,
    averaged,
    check_model,
    plain_name,
    read_prompt,
    tree_of_prompts,
)
from ..core.examples.painted_examples import Example
from ..core.findings import Finding
from ..core.inference.segmenter import Segmenter
from ..core.package.model_package import ModelPackage
from ..core.progress import CancelToken
from ..core.scan.volume import Volume
from .known import Knowing, Known
from .masks import Structure, read_structures
from .places import NAME
from .reading import Reading
from .terminal import progress_bar, say


@dataclass(frozen=True)
class Shown:
    """An atlas and what is shown on it, read and checked."""

    path: Path
    atlas: Volume
    structures: tuple[Structure, ...]


@dataclass(frozen=True)
class Asked:
    """The labels by example of a command: those that are shown now, inside the model's label `inside` (empty:
    anywhere), and those from files.
    """

    inside: str
    shown: tuple[Shown, ...]
    made: tuple[ExamplePrompt, ...]

    def __bool__(self) -> bool:
        return bool(self.shown or self.made)

    @property
    def names(self) -> tuple[str, ...]:
        """Of what is shown, each once, whatever the case of its letters and on however many atlases."""
        names: dict[str, str] = {}
        for shown in self.shown:
            for structure in shown.structures:
                names.setdefault(structure.name.casefold(), structure.name)
        return tuple(names.values())


def read_asked(arguments: argparse.Namespace, reading: Reading) -> Asked:
    """Read and check all files that show structures. Raises InputError or LabelError."""
    name = (arguments.name or "").strip()
    made = tuple(read_prompt(Path(file)) for file in arguments.label_file)
    shown = []
    for atlas, mask in ((Path(a), Path(m)) for a, m in arguments.example):
        scan = reading.image(atlas)
        shown.append(Shown(atlas, scan, read_structures(mask, scan, name, arguments.segment, reading)))
    return Asked((arguments.inside or "").strip(), tuple(shown), made)


def label_files(template: str | None, asked: Asked) -> list[Path]:
    """Where the labels that are shown are kept, in the order of `Asked.names`; none where they are not.

    Raises OutputError where several would go to one.
    """
    if not template:
        return []
    if len(asked.names) > 1 and NAME not in template:
        raise OutputError(
            f'{len(asked.names)} labels cannot all be saved as "{template}"; use a name with {NAME} in it.'
        )
    return [Path(template.replace(NAME, plain_name(name))) for name in asked.names]


def check_asked(asked: Asked, package: ModelPackage) -> None:
    """Refuse before the network runs what it could not be asked for. Raises InputError or LabelError."""
    if asked.shown:
        package.require_examples()
    check_model(asked.made, package.name, package.weights_sha256, package.prompt_length)
    shown = [
        ExamplePrompt(name, (), 0.0, package.name, package.weights_sha256, asked.inside) for name in asked.names
    ]  # only names and place are known yet
    tree_of_prompts([*shown, *asked.made], package.labels)


def learn(
    asked: Asked,
    segmenter: Segmenter,
    metadata: Knowing,
    cancel: CancelToken,
    overruled: Mapping[str, Any],
) -> list[ExamplePrompt]:
    """The labels that are shown, in the order of `Asked.names`, then those from files: the network runs once over every
    atlas. metadata: of the atlases.

    What is odd about an atlas is told. overruled: what the user knows better than a check or guess, as
    `Segmenter.examples` takes it. Raises as `Segmenter.examples`.
    """
    found: dict[str, list[ExamplePrompt]] = {name.casefold(): [] for name in asked.names}
    for shown in asked.shown:
        examples = (Example(structure.name, structure.mask) for structure in shown.structures)
        known = metadata.of([shown.path])
        try:
            with progress_bar(shown.path.name) as progress:
                prompts = segmenter.examples(shown.atlas, examples, known.values, progress, cancel, **overruled)
        except InputError as error:
            raise InputError(f'"{shown.path}": {error}') from error
        _tell(shown.path, known, [Finding(**finding) for finding in prompts[0].examples[0].get("findings", ())])
        for structure, prompt in zip(shown.structures, prompts, strict=True):
            from_scan = tuple({"scan": shown.path.resolve().name, **known} for known in prompt.examples)
            whole = replace(
                prompt, parent=_parent(asked, segmenter), examples=from_scan, color=structure.color or prompt.color
            )
            found[structure.name.casefold()].append(whole)
    return [*(averaged(prompts) for prompts in found.values()), *asked.made]


def _tell(atlas: Path, known: Known, findings: Sequence[Finding]) -> None:
    """What is known about an atlas, and what is odd about it."""
    if known.values:
        say(f"{atlas}: {known}")
    for finding in (*known.findings, *findings):
        say(f"{finding.level}: {atlas}: {finding}")


def _parent(asked: Asked, segmenter: Segmenter) -> str:
    """The model's own name for the label that was given with --inside."""
    return segmenter.package.labels.find(asked.inside).name if asked.inside else ""


def described(prompts: Sequence[ExamplePrompt]) -> list[dict[str, Any]]:
    """Labels by example as the run report tells them."""
    return [{"name": p.name, "inside": p.parent or "anywhere", "examples": list(p.examples)} for p in prompts]
