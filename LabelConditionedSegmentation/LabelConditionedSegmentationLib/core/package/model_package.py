"""Model packages: a folder (or zip) with `model.json`, `weights.safetensors` and `MODEL_CARD.md`. Data, never code."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
import uuid
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import (
    InputError,
    LabelError,
    MetadataError,
    PackageFormatError,
    PackageInstallError,
    PackageIntegrityError,
    PackageNotFoundError,
)
from ..labels.label_tree import LabelTree
from ..network.architecture import Architecture
from ..scan.input_spec import InputSpec
from ..scan.metadata import MetadataSchema

if TYPE_CHECKING:
    from ..network.model import LabelConditionedNetwork

FORMAT = 1
DESCRIPTION, WEIGHTS, CARD = "model.json", "weights.safetensors", "MODEL_CARD.md"
MEMBERS = (DESCRIPTION, WEIGHTS, CARD)
LARGEST_DESCRIPTION = 16 * 2**20
LARGEST_WEIGHTS = 2 * 2**30
FOLDER_NAME = re.compile(r"\w([\w .+-]{0,98}\w)?")


@dataclass(frozen=True)
class ModelPackage:
    """What `model.json` says, checked; the weights are read by `build_network`.

    patch: largest window (k, j, i) in voxels. flip: average each scan with its left-right mirror image. statistics:
    ranges that scans like those of the training have, which findings are made from. advice: what to do about them, in
    words of what the model is for (see ADVICE). about: title, description, licence, citation, intended_use, not_for,
    and provenance (data, training cases, steps, date).
    """

    path: Path
    name: str
    architecture: Architecture
    input: InputSpec
    labels: LabelTree
    metadata: MetadataSchema
    patch: tuple[int, int, int]
    flip: bool
    weights_sha256: str
    statistics: dict[str, list[float]] = field(default_factory=dict)
    advice: dict[str, str] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=dict)

    @staticmethod
    def load(path: str | os.PathLike[str]) -> ModelPackage:
        """Read and check the description of a package; its weights are read by `build_network`.

        Args:
            path: A folder, or a zip that holds one.

        Returns:
            The description.

        Raises:
            PackageError: What is wrong with it, and where.

        Example:
            >>> from LabelConditionedSegmentationLib import ModelPackage
            >>> package = ModelPackage.load("Resources/Models/brain")
            >>> package.labels.find("left hippocampus").name
            'Left Hippocampus'
        """
        path = Path(path)
        entry = _parse_description(_read_member(path, DESCRIPTION, LARGEST_DESCRIPTION), path)
        try:
            architecture = Architecture.from_json(entry["architecture"])
            spec = InputSpec.from_json(entry["input"])
            if len(spec.channels) != architecture.in_channels:
                raise PackageFormatError(
                    f"The input has {len(spec.channels)} channels and the network {architecture.in_channels}; they have"
                    " to agree."
                )
            k, j, i = (int(n) for n in entry["patch"])
            if any(n < architecture.multiple or n % architecture.multiple or n > 1024 for n in (k, j, i)):
                raise PackageFormatError(
                    f"The patch size has to be made of multiples of {architecture.multiple}, up to 1024."
                )
            return ModelPackage(
                path=path,
                name=str(entry["name"]),
                architecture=architecture,
                input=spec,
                labels=LabelTree.from_json(entry["labels"]),
                metadata=MetadataSchema.from_json(entry["metadata"]),
                patch=(k, j, i),
                flip=bool(entry.get("flip", False)),
                weights_sha256=str(entry["weights_sha256"]),
                statistics={
                    str(key): [float(v) for v in values] for key, values in entry.get("statistics", {}).items()
                },
                advice=checked_advice(entry.get("advice", {})),
                about={key: value for key, value in entry.items() if key in ABOUT},
            )
        except KeyError as error:
            raise PackageFormatError(
                f'"{path / DESCRIPTION}" lacks the entry {error}; the package is incomplete.'
            ) from None
        except (TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
            raise PackageFormatError(f'"{path / DESCRIPTION}" holds a value of the wrong kind ({error}).') from None
        except (LabelError, MetadataError, PackageFormatError) as error:
            raise PackageFormatError(f'"{path / DESCRIPTION}": {error}') from None

    def build_network(self) -> LabelConditionedNetwork:
        """Read the weights. `Segmenter.from_package` does it for you.

        Returns:
            The network with the package's weights, in float32 and evaluation mode.

        Raises:
            PackageIntegrityError: The weights do not fit the description.

        Example:
            >>> network = ModelPackage.load("Resources/Models/brain").build_network()
        """
        from .weights import network_with  # torch: a description is read and shown without it

        data = _read_member(self.path, WEIGHTS, LARGEST_WEIGHTS)
        where = self.path / WEIGHTS
        if hashlib.sha256(data).hexdigest() != self.weights_sha256:
            raise PackageIntegrityError(
                f'"{where}" is not the file that model.json describes (its SHA-256 differs): damaged, truncated or'
                " exchanged. Install the model again."
            )
        return network_with(data, where, self.architecture, len(self.labels.leaves) + 1, self.metadata.fields)

    @property
    def prompt_length(self) -> int:
        """Channels of the features that are kept of a scan, and of a prompt: with flips, those of the mirrored scan
        beside its own.
        """
        return self.architecture.feature_channels * (2 if self.flip else 1)

    def require_examples(self, pooled: bool = False) -> None:
        """Raise InputError where the model cannot be shown further structures; pooled: in the way that needs a network
        which was trained for it.
        """
        if not (self.architecture.examples if pooled else self.architecture.learns_examples):
            raise InputError(
                f'The model "{self.name}" was not trained to learn labels from examples; choose one that was.'
            )

    @property
    def size_bytes(self) -> int:
        """Size of the package on disk."""
        if self.path.is_file():
            return self.path.stat().st_size
        return sum(f.stat().st_size for f in self.path.iterdir() if f.is_file())


ADVICE = ("too_large", "too_small", "contrast")
"""What a package may advise: where more, or less, of a scan counts than the training scans had, and where its contrast
is another one.
"""

LONGEST_ADVICE = 500
ABOUT = ("title", "description", "licence", "citation", "intended_use", "not_for", "provenance")


def save_package(
    path: Path,
    network: LabelConditionedNetwork,
    name: str,
    spec: InputSpec,
    labels: LabelTree,
    metadata: MetadataSchema,
    patch: Sequence[int],
    card: str,
    about: Mapping[str, Any],
    flip: bool = False,
    statistics: Mapping[str, Sequence[float]] | None = None,
    advice: Mapping[str, str] | None = None,
) -> ModelPackage:
    """Write a package with weights in half precision, whole or not at all; an existing one at `path` is replaced."""
    unknown = sorted(set(about) - set(ABOUT))
    if unknown:
        raise PackageFormatError(f"A package has no entries {', '.join(unknown)}.")
    from .weights import packed

    weights = packed(network, path)
    description = {
        "format": FORMAT,
        "name": name,
        **about,
        "architecture": network.trunk.architecture.to_json(),
        "input": spec.to_json(),
        "patch": list(patch),
        "flip": flip,
        "statistics": {key: [round(float(v), 4) for v in values] for key, values in (statistics or {}).items()},
        "advice": checked_advice(advice or {}),
        "metadata": metadata.to_json(),
        "labels": labels.to_json(),
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _new_folder_beside(path)
    try:
        (temporary / DESCRIPTION).write_text(
            json.dumps(description, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
        )
        (temporary / WEIGHTS).write_bytes(weights)
        (temporary / CARD).write_text(card, encoding="utf-8")
        _replace_folder(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return ModelPackage.load(path)


def checked_advice(entry: Mapping[str, Any]) -> dict[str, str]:
    """The advice that is known. Raises PackageFormatError where it is no text that can be shown."""
    known = {key: text for key, text in entry.items() if key in ADVICE}
    for key, text in known.items():
        if not isinstance(text, str) or not 0 < len(text) <= LONGEST_ADVICE:
            raise PackageFormatError(f'The advice "{key}" has to be a text of 1 to {LONGEST_ADVICE} characters.')
    return known


def find_packages(folders: Sequence[Path]) -> list[Path]:
    """Every package in these folders: sub-folders and zips with a `model.json`, sorted by name; earlier folders win
    over later ones of the same name.
    """
    found: dict[str, Path] = {}
    for folder in folders:
        if not folder.is_dir():
            continue
        for path in sorted(folder.iterdir()):
            if not path.name.startswith(".") and ((path / DESCRIPTION).is_file() or path.suffix == ".zip"):
                found.setdefault(path.name.removesuffix(".zip"), path)
    return [found[name] for name in sorted(found)]


def install_package(source: Path, folder: Path) -> ModelPackage:
    """Check a package (folder or zip) completely, then copy it into `folder` under its own name; nothing is there
    before everything was checked.
    """
    package = ModelPackage.load(source)
    package.build_network()
    if not FOLDER_NAME.fullmatch(package.name):
        raise PackageInstallError(f'The package calls itself "{package.name}", which cannot be the name of a folder.')
    target = folder / package.name
    if target.exists():
        raise PackageInstallError(f'A model "{package.name}" is already installed in "{folder}"; remove it first.')
    folder.mkdir(parents=True, exist_ok=True)
    temporary = _new_folder_beside(target)
    try:
        for member in MEMBERS:
            try:
                data = _read_member(source, member, LARGEST_WEIGHTS)
            except PackageFormatError:
                if member != CARD:
                    raise
                continue
            (temporary / member).write_bytes(data)
        os.replace(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return ModelPackage.load(target)


def _new_folder_beside(path: Path) -> Path:
    """A hidden folder next to `path`, open to whom any new folder there is."""
    folder = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    folder.mkdir()
    return folder


def _replace_folder(new: Path, path: Path) -> None:
    """Put a finished folder in the place of an older one; the older one is away only between two renames."""
    if path.exists():
        old = _new_folder_beside(path) / "package"
        os.replace(path, old)
        os.replace(new, path)
        shutil.rmtree(old.parent)
    else:
        os.replace(new, path)


def _parse_description(data: bytes, path: Path) -> dict[str, Any]:
    try:
        entry = json.loads(data.decode("utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError):
        raise PackageFormatError(f'"{path / DESCRIPTION}" is not readable as JSON; the package is damaged.') from None
    if not isinstance(entry, dict) or not isinstance(entry.get("format"), int):
        raise PackageFormatError(f'"{path / DESCRIPTION}" does not describe a model package.')
    if entry["format"] > FORMAT:
        raise PackageFormatError(
            f'The model package "{path}" has the format {entry["format"]}, this version reads up to {FORMAT}; update'
            " LabelConditionedSegmentation."
        )
    return entry


def _read_member(path: Path, member: str, largest: int) -> bytes:
    """One file of a package folder or zip, of bounded size."""
    if path.is_dir():
        file = path / member
        if not file.is_file():
            raise PackageFormatError(f'"{path}" is no complete model package: it has no {member}.')
        if file.stat().st_size > largest:
            raise PackageIntegrityError(f'"{file}" is larger than any model file may be ({largest >> 20} MiB).')
        return file.read_bytes()
    if not path.exists():
        raise PackageNotFoundError(f'There is no model package "{path}"; check its name, or install it again.')
    if not zipfile.is_zipfile(path):
        raise PackageFormatError(f'"{path}" is no model package: neither a folder nor a zip file.')
    try:
        with zipfile.ZipFile(path) as archive:
            names = _checked_members(archive, path)
            if member not in names:
                raise PackageFormatError(f'"{path}" is no complete model package: it has no {member}.')
            with archive.open(names[member]) as stream:
                data: bytes = stream.read(largest + 1)  # what a header says of a size is not believed
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        RuntimeError,
    ) as error:  # RuntimeError: encrypted, or packed in a way that Python does not know
        raise PackageFormatError(
            f'"{path}" is a zip file that cannot be unpacked: it is damaged, encrypted, or packed in an unknown way.'
        ) from error
    if len(data) > largest:
        raise PackageInstallError(
            f'"{path}": {member} unpacks to more than {largest >> 20} MiB; the archive is refused.'
        )
    return data


def _checked_members(archive: zipfile.ZipFile, path: Path) -> dict[str, zipfile.ZipInfo]:
    """The package's files in an archive, at its top or in one folder.

    Absolute paths, `..`, links and anything else refuse the whole archive.
    """
    members: dict[str, zipfile.ZipInfo] = {}
    tops = set()
    for info in archive.infolist():
        parts = info.filename.replace("\\", "/").split("/")
        if info.filename.startswith(("/", "\\")) or ".." in parts or ":" in parts[0]:
            raise PackageInstallError(
                f'"{path}" holds the path "{info.filename}", which leads out of the package; the archive is refused.'
            )
        if stat.S_ISLNK(info.external_attr >> 16):
            raise PackageInstallError(f'"{path}" holds the link "{info.filename}"; the archive is refused.')
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise PackageInstallError(
                f'"{path}" holds "{info.filename}", packed in an unusual way; the archive is refused.'
            )
        if info.is_dir():
            continue
        if len(parts) > 2 or parts[-1] not in MEMBERS or parts[-1] in members:
            raise PackageInstallError(
                f'"{path}" holds "{info.filename}", which is no part of a model package; the archive is refused.'
            )
        tops.add(parts[0] if len(parts) == 2 else "")
        members[parts[-1]] = info
    if len(tops) > 1:
        raise PackageInstallError(f'"{path}" holds files of more than one folder; the archive is refused.')
    if sum(info.file_size for info in members.values()) > LARGEST_WEIGHTS:
        raise PackageInstallError(f'"{path}" unpacks to more than {LARGEST_WEIGHTS >> 20} MiB; the archive is refused.')
    return members
