"""Labels by example: whether one belongs to a model, and their files, which appear whole or not at all."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from ..core.errors import InputError, OutputError
from ..core.examples.example_prompt import SUFFIX, ExamplePrompt, check_model, plain_name, read_prompt, write_prompt
from ..core.package.model_package import ModelPackage
from ..core.scan.whole_files import write_all

__all__ = ["SUFFIX", "belongs_to", "file_of_label", "load_label", "plain_name", "require_of_model", "save_label"]


def require_of_model(prompt: ExamplePrompt, package: ModelPackage) -> None:
    """Raise InputError where a label by example was made with another model."""
    check_model([prompt], package.name, package.weights_sha256, package.prompt_length)


def belongs_to(prompt: ExamplePrompt, package: ModelPackage) -> bool:
    """Whether a label by example was made with this very model."""
    try:
        require_of_model(prompt, package)
    except InputError:
        return False
    return True


def load_label(path: Path, package: ModelPackage) -> ExamplePrompt:
    """A label by example of this model from a file. Raises InputError or LabelError."""
    prompt = read_prompt(path)
    require_of_model(prompt, package)
    return prompt


def file_of_label(path: Path) -> Path:
    """Where a label by example is written that the user gave this name: with the suffix by which it is found again,
    where it has none.

    Raises OutputError where a file of that name would be replaced, which nobody has agreed to.
    """
    if path.suffix == ".json":
        return path
    whole = path.with_name(path.name + SUFFIX)
    if whole.exists():
        raise OutputError(f'"{whole}" exists already; choose it itself, or another name.')
    return whole


def save_label(prompt: ExamplePrompt, path: Path) -> None:
    """Write a label by example to a file. Raises OutputError, and then no file was written or changed."""
    if not path.parent.is_dir():
        raise OutputError(f'"{path}" could not be written: there is no folder "{path.parent}"; choose another one.')
    write_all({path: partial(write_prompt, prompt)})
