"""Labels by example on the command line: a structure that masks show on atlases, and label files made earlier."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from ..core.errors import InputError, LabelError, OutputError
from ..core.example_prompt import SUFFIX, ExamplePrompt, averaged, check_model, read_prompt, tree_of_prompts
from ..core.examples import Example, mask_on
from ..core.findings import Finding
from ..core.image_io import affine_of, read_volume
from ..core.package import ModelPackage
from ..core.progress import CancelToken, ProgressCallback
from ..core.segmenter import Segmenter
from ..core.volume import Array, Volume
from .outputs import LABEL_MAPS, SEGMENTATION

DEPENDENT = ("segment", "inside", "save_label", "example_metadata")
"""Options that say something of --example, as argparse calls them."""


@dataclass(frozen=True)
class Shown:
    """A structure on an atlas, read and checked. mask (k, j, i) bool on the atlas's voxels. color: of its segment, where the file tells one."""

    path: Path
    atlas: Volume
    mask: Array
    color: tuple[float, float, float] | None


@dataclass(frozen=True)
class Asked:
    """The labels by example of a command: at most one that is shown now, called `name`, inside the model's label `inside` (empty: anywhere), and those from files."""

    name: str
    inside: str
    shown: tuple[Shown, ...]
    made: tuple[ExamplePrompt, ...]

    def __bool__(self) -> bool:
        return bool(self.shown or self.made)


def check_words(arguments: argparse.Namespace) -> None:
    """Refuse options that contradict or need one another, before anything is read. Raises InputError, LabelError or OutputError."""
    if arguments.example and not (arguments.name or "").strip():
        raise LabelError("A structure shown with --example needs a name; say what it is called with --name.")
    if not arguments.example:
        for option in ("name", *DEPENDENT):
            if getattr(arguments, option):
                raise InputError(f"--{option.replace('_', '-')} belongs to a structure that is shown; show it with --example ATLAS MASK.")
    if arguments.save_label and not arguments.save_label.endswith(SUFFIX):
        raise OutputError(f'The label cannot be saved as "{arguments.save_label}"; use a name that ends in {SUFFIX}.')


def read_asked(arguments: argparse.Namespace) -> Asked:
    """Read and check all files that show structures. Raises InputError or LabelError."""
    name = (arguments.name or "").strip()
    made = tuple(read_prompt(Path(file)) for file in arguments.label_file)
    return Asked(name, (arguments.inside or "").strip(), tuple(_shown(Path(a), Path(m), arguments.segment, name) for a, m in arguments.example), made)


def _shown(atlas: Path, mask: Path, segment: str | None, name: str) -> Shown:
    for path in (atlas, mask):  # before the larger of both is read
        if not path.exists():
            raise InputError(f'There is no file "{path}".')
    if mask.name.lower().endswith(SEGMENTATION):
        volume, what, color = _read_segment(mask, segment, name)
    elif segment:
        raise InputError(f'"{mask}" has no segments to choose from with --segment; give a {SEGMENTATION} file, or leave --segment out.')
    elif mask.name.lower().endswith(LABEL_MAPS):
        volume, what, color = read_volume(mask), f'mask "{mask}"', None
    else:
        raise InputError(f'"{mask}" is no mask that can be read; give a file that ends in {SEGMENTATION}, {", ".join(LABEL_MAPS)}.')
    scan = read_volume(atlas)
    return Shown(atlas, scan, mask_on(scan, volume, what), color)


def _read_segment(path: Path, wanted: str | None, name: str) -> tuple[Volume, str, tuple[float, float, float] | None]:
    """A segment of a Slicer segmentation as a mask on its own, perhaps cropped, grid; what to call it; its colour. By ITK, since slicerio loses letters beyond ASCII."""
    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError as error:
        raise InputError(f'"{path}" cannot be read as a segmentation: it is damaged, empty, or of a format that is not known.') from error
    fields = {key: image.GetMetaData(key).strip() for key in image.GetMetaDataKeys()}
    numbers = [key.removesuffix("_ID") for key in fields if key.startswith("Segment") and key.endswith("_ID")]
    if image.GetDimension() != 3 or not numbers:
        raise InputError(f'"{path}" holds no segments; save the segmentation in Slicer again, or give a mask as an image.')
    numbers.sort(key=lambda number: (len(number), number))
    segment = _chosen(path, {number: fields.get(f"{number}_Name", number) for number in numbers}, wanted, name)
    layers = sitk.GetArrayFromImage(image)
    layers = layers[None] if layers.ndim == 3 else np.moveaxis(layers, -1, 0)
    try:
        layer = int(
            fields.get(f"{segment}_Layer", numbers.index(segment) if len(layers) > 1 else 0)
        )  # older files have a layer a segment and say nothing of it
        value = int(fields.get(f"{segment}_LabelValue", 1))
        color = tuple(min(1.0, max(0.0, float(c))) for c in fields.get(f"{segment}_Color", "").split())
        mask = layers[layer] == value
    except (ValueError, IndexError):
        raise InputError(f'"{path}" describes its segments in a way that is not understood; save the segmentation in Slicer again.') from None
    shown = Volume(mask[None], affine_of(image))
    return shown, f'segment "{fields.get(f"{segment}_Name", segment)}" of "{path}"', (color[0], color[1], color[2]) if len(color) == 3 else None


def _chosen(path: Path, names: dict[str, str], wanted: str | None, name: str) -> str:
    """Which segment is shown: the one that was asked for; else the one that is called as the structure; else the only one. names: key in the header -> name."""
    there = ", ".join(f'"{n}"' for n in names.values())
    found = [number for number, called in names.items() if called.casefold() == (wanted or name).strip().casefold()]
    if len(found) > 1:
        raise InputError(f'"{path}" has {len(found)} segments called "{names[found[0]]}"; give them different names.')
    if found:
        return found[0]
    if wanted:
        raise InputError(f'"{path}" has no segment "{wanted}"; it has {there}.')
    if len(names) > 1:
        raise InputError(f'"{path}" has several segments, and none is called "{name}"; choose one of {there} with --segment.')
    return next(iter(names))


def check_asked(asked: Asked, package: ModelPackage) -> None:
    """Refuse before the network runs what it could not be asked for. Raises InputError or LabelError."""
    if asked.shown:
        package.require_examples()
    check_model(asked.made, package.name, package.weights_sha256, package.prompt_length)
    shown = (
        [ExamplePrompt(asked.name, (), 0.0, package.name, package.weights_sha256, asked.inside)] if asked.shown else []
    )  # only its name and place are known yet
    tree_of_prompts([*shown, *asked.made], package.labels)


def learn(
    asked: Asked,
    segmenter: Segmenter,
    metadata: dict[str, str],
    bar: Callable[[str], AbstractContextManager[ProgressCallback | None]],
    say: Callable[[str], None],
    cancel: CancelToken,
) -> list[ExamplePrompt]:
    """The label that is shown, if there is one, then those from files: the network runs once over every atlas. metadata: of the atlases.

    bar: a progress bar for an atlas of this name. say: told what was odd about an atlas. Raises as `Segmenter.examples`.
    """
    prompts = []
    for shown in asked.shown:
        try:
            with bar(shown.path.name) as progress:
                (prompt,) = segmenter.examples(shown.atlas, [Example(asked.name, shown.mask)], metadata, progress, cancel)
        except InputError as error:
            raise InputError(f'"{shown.path}": {error}') from error
        for known in prompt.examples:
            for finding in known.get("findings", ()):
                say(f"{finding['level']}: {shown.path}: {Finding(**finding)}")
        from_scan = tuple({"scan": shown.path.resolve().name, **known} for known in prompt.examples)
        prompts.append(replace(prompt, parent=_parent(asked, segmenter), examples=from_scan, color=shown.color or prompt.color))
    return [*([averaged(prompts)] if prompts else []), *asked.made]


def _parent(asked: Asked, segmenter: Segmenter) -> str:
    """The model's own name for the label that was given with --inside."""
    return segmenter.package.labels.find(asked.inside).name if asked.inside else ""


def described(prompts: Sequence[ExamplePrompt]) -> list[dict[str, Any]]:
    """Labels by example as the run report tells them."""
    return [{"name": p.name, "inside": p.parent or "anywhere", "examples": list(p.examples)} for p in prompts]
