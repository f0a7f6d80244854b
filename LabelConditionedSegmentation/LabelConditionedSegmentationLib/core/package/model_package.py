"""Model packages: a folder (or zip) with `model.json`, `weights.safetensors`, `MODEL_CARD.md` and, where there are
statistics of features, `statistics.safetensors`. Data, never code.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import uuid
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
)
from ..labels.label_tree import LabelTree
from ..network.architecture import Architecture
from ..scan.input_spec import InputSpec
from ..scan.metadata import MetadataSchema
from .package_files import CARD, DESCRIPTION, STATISTICS, WEIGHTS, read_member
from .usual_answers import UsualAnswers

if TYPE_CHECKING:
    from ..network.model import LabelConditionedNetwork
    from .feature_statistics import LevelStatistics

FORMAT = 2
"""The newest format that this version reads. A package that needs nothing of format 2 (statistics of features, another
intensity scheme than z-score, an input inside of a label, several protocols) is written as format 1, which older
versions read.
"""

FOLDER_NAME = re.compile(r"\w([\w .+-]{0,98}\w)?")


@dataclass(frozen=True)
class ModelPackage:
    """What `model.json` says, checked; the weights are read by `build_network`.

    patch: largest window (k, j, i) in voxels. flip: average each scan with its left-right mirror image. statistics:
    ranges that scans like those of the training have, which findings are made from. advice: what to do about them, in
    terms of what the model is for (see ADVICE). about: title, version, description, licence, citation, intended_use,
    not_for, and provenance (data, training cases, steps, date). statistics_sha256: of the file that
    `feature_statistics` reads, empty where there is none. usual: what the model finds where it works; None where that
    was not looked at.
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
    statistics_sha256: str = ""
    usual: UsualAnswers | None = None

    @staticmethod
    def load(path: str | os.PathLike[str]) -> ModelPackage:
        """Read and check the description of a package; its weights are read by `build_network`.

        Args:
            path: A folder, or a zip that holds one.

        Returns:
            The description.

        Raises:
            PackageError: What is wrong with it, and where.

        Examples:
            >>> from LabelConditionedSegmentationLib import ModelPackage
            >>> package = ModelPackage.load("Resources/Models/brain")
            >>> package.labels.find("left hippocampus").name
            'Left Hippocampus'
        """
        path = Path(path)
        entry = _parse_description(read_member(path, DESCRIPTION), path)
        try:
            return _package_from(entry, path)
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

        Examples:
            >>> network = ModelPackage.load("Resources/Models/brain").build_network()
        """
        from .weights import network_with  # torch: a description is read and shown without it

        data = _verified(self.path, WEIGHTS, self.weights_sha256)
        return network_with(data, self.path / WEIGHTS, self.architecture, self.labels.classes, self.metadata.fields)

    def feature_statistics(self) -> dict[str, LevelStatistics]:
        """Statistics of the features over the training scans: name of a level of the trunk -> those of its channels, in
        the order of `Architecture.level_channels`.

        Raises InputError where the package has none, PackageIntegrityError where its file does not fit the description.
        """
        from .feature_statistics import statistics_from

        if not self.statistics_sha256:
            raise InputError(f'The model "{self.name}" has no statistics of its features; choose one that has.')
        data = _verified(self.path, STATISTICS, self.statistics_sha256)
        return statistics_from(data, self.path / STATISTICS, self.architecture.level_channels)

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

SHA256_OF = {WEIGHTS: "weights_sha256", STATISTICS: "statistics_sha256"}
"""File of a package -> the entry of the description that vouches for it."""

LONGEST_ADVICE = 500
ABOUT = ("title", "version", "description", "licence", "citation", "intended_use", "not_for", "provenance")


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
    feature_statistics: Mapping[str, LevelStatistics] | None = None,
    usual: UsualAnswers | None = None,
) -> ModelPackage:
    """Write a package with weights in half precision, whole or not at all; an existing one at `path` is replaced."""
    unknown = sorted(set(about) - set(ABOUT))
    if unknown:
        raise PackageFormatError(f"A package has no entries {', '.join(unknown)}.")
    members = _tensor_files(path, network, feature_statistics)
    description = {
        "format": 1 if spec.is_plain and labels.is_plain and STATISTICS not in members else FORMAT,
        "name": name,
        **about,
        "architecture": network.trunk.architecture.to_json(),
        "input": spec.to_json(),
        "patch": list(patch),
        "flip": flip,
        "statistics": {key: [round(float(v), 4) for v in values] for key, values in (statistics or {}).items()},
        "advice": checked_advice(advice or {}),
        **({"answers": usual.to_json()} if usual else {}),
        "metadata": metadata.to_json(),
        "labels": labels.to_json(),
        **{SHA256_OF[member]: hashlib.sha256(data).hexdigest() for member, data in members.items()},
    }
    text = json.dumps(description, indent=1, ensure_ascii=False) + "\n"
    _write_whole(path, members | {DESCRIPTION: text.encode(), CARD: card.encode()})
    return ModelPackage.load(path)


def _tensor_files(
    path: Path, network: LabelConditionedNetwork, feature_statistics: Mapping[str, LevelStatistics] | None
) -> dict[str, bytes]:
    """The files of a package that hold numbers: name -> what is in them."""
    from .feature_statistics import packed_statistics
    from .weights import packed

    members = {WEIGHTS: packed(network, path)}
    if feature_statistics:
        channels = network.trunk.architecture.level_channels
        members[STATISTICS] = packed_statistics(feature_statistics, path, channels)
    return members


def add_feature_statistics(
    package: ModelPackage, feature_statistics: Mapping[str, LevelStatistics], ranges: Mapping[str, Sequence[float]]
) -> ModelPackage:
    """Write statistics of features, and ranges beside those of `ModelPackage.statistics`, into a package folder that
    was made without them, or in the place of older ones. Its weights and what else it says stay as they are.

    Raises InputError for a zip, PackageError where the package is damaged or the statistics do not fit it.
    """
    from .feature_statistics import packed_statistics

    if not package.path.is_dir():
        raise InputError(f'"{package.path}" is no folder; unpack the package, and zip it again afterwards.')
    members = {member: read_member(package.path, member) for member in (DESCRIPTION, WEIGHTS)}
    if (package.path / CARD).is_file():
        members[CARD] = read_member(package.path, CARD)
    data = packed_statistics(feature_statistics, package.path, package.architecture.level_channels)
    entry = _parse_description(members[DESCRIPTION], package.path)
    entry["format"] = FORMAT
    entry["statistics"] = entry.get("statistics", {}) | {
        name: [round(float(value), 4) for value in values] for name, values in ranges.items()
    }
    entry[SHA256_OF[STATISTICS]] = hashlib.sha256(data).hexdigest()
    text = json.dumps(entry, indent=1, ensure_ascii=False) + "\n"
    _write_whole(package.path, members | {DESCRIPTION: text.encode(), STATISTICS: data})
    return ModelPackage.load(package.path)


def _write_whole(path: Path, members: Mapping[str, bytes]) -> None:
    """Put a folder of these files at `path`, or leave what was there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _new_folder_beside(path)
    try:
        for member, data in members.items():
            (temporary / member).write_bytes(data)
        _replace_folder(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def checked_advice(entry: Mapping[str, Any]) -> dict[str, str]:
    """The advice that is known. Raises PackageFormatError where it is no text that can be shown."""
    known = {key: text for key, text in entry.items() if key in ADVICE}
    for key, text in known.items():
        if not isinstance(text, str) or not 0 < len(text) <= LONGEST_ADVICE:
            raise PackageFormatError(f'The advice "{key}" has to be a text of 1 to {LONGEST_ADVICE} characters.')
    return known


def packages_by_name(folders: Sequence[Path]) -> dict[str, Path]:
    """Name -> path of every package in these folders: sub-folders and zips with a `model.json`, sorted by name; earlier
    folders win over later ones of the same name.
    """
    found: dict[str, Path] = {}
    for folder in folders:
        if not folder.is_dir():
            continue
        for path in sorted(folder.iterdir()):
            if not path.name.startswith(".") and ((path / DESCRIPTION).is_file() or path.suffix == ".zip"):
                found.setdefault(path.name.removesuffix(".zip"), path)
    return {name: found[name] for name in sorted(found)}


def find_packages(folders: Sequence[Path]) -> list[Path]:
    """The paths that `packages_by_name` finds."""
    return list(packages_by_name(folders).values())


def install_package(source: Path, folder: Path) -> ModelPackage:
    """Check a package (folder or zip) completely, then copy it into `folder` under its own name; nothing is there
    before everything was checked.
    """
    package = verified_package(source)
    target = folder / package.name
    if target.exists():
        raise PackageInstallError(
            f'A model "{package.name}" is already installed in "{folder}"; update it, or remove it first.'
        )
    folder.mkdir(parents=True, exist_ok=True)
    copy_package(package, target, replace=False)
    return ModelPackage.load(target)


def verified_package(source: Path) -> ModelPackage:
    """A package whose files were all checked, and which can be installed under its name. Raises PackageError."""
    package = ModelPackage.load(source)
    package.build_network()
    if package.statistics_sha256:
        package.feature_statistics()
    if not FOLDER_NAME.fullmatch(package.name):
        raise PackageInstallError(f'The package calls itself "{package.name}", which cannot be the name of a folder.')
    return package


def copy_package(package: ModelPackage, target: Path, replace: bool) -> None:
    """Put the files of a package into a folder of their own. replace: in the place of one that is there."""
    temporary = _new_folder_beside(target)
    try:
        for member in (DESCRIPTION, WEIGHTS, CARD, *([STATISTICS] if package.statistics_sha256 else [])):
            try:
                data = read_member(package.path, member)
            except PackageFormatError:
                if member != CARD:
                    raise
                continue
            (temporary / member).write_bytes(data)
        if replace:
            _replace_folder(temporary, target)
        else:
            os.replace(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


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


def _package_from(entry: Mapping[str, Any], path: Path) -> ModelPackage:
    """The description of a package, checked as a whole. Raises PackageFormatError, LabelError or MetadataError, and
    KeyError or TypeError and the like where an entry is missing or of the wrong kind.
    """
    architecture = Architecture.from_json(entry["architecture"])
    spec = InputSpec.from_json(entry["input"])
    labels = LabelTree.from_json(entry["labels"])
    if len(spec.channels) != architecture.in_channels:
        raise PackageFormatError(
            f"The input has {len(spec.channels)} channels and the network {architecture.in_channels}; they have to"
            " agree."
        )
    if spec.focus and len(labels.protocols) == 1:
        labels.find(spec.focus)
    has_more = bool(architecture.context_classes or spec.focus)
    if len(labels.protocols) > 1 and (has_more or architecture.conditioning != "head"):
        raise PackageFormatError(
            "Several protocols need conditioning at the head, without context classes and without a focus."
        )
    k, j, i = (int(n) for n in entry["patch"])
    if any(n < architecture.multiple or n % architecture.multiple or n > 1024 for n in (k, j, i)):
        raise PackageFormatError(f"The patch size has to be made of multiples of {architecture.multiple}, up to 1024.")
    return ModelPackage(
        path=path,
        name=str(entry["name"]),
        architecture=architecture,
        input=spec,
        labels=labels,
        metadata=MetadataSchema.from_json(entry["metadata"]),
        patch=(k, j, i),
        flip=bool(entry.get("flip", False)),
        weights_sha256=str(entry["weights_sha256"]),
        statistics={str(key): [float(v) for v in values] for key, values in entry.get("statistics", {}).items()},
        advice=checked_advice(entry.get("advice", {})),
        about={key: value for key, value in entry.items() if key in ABOUT},
        statistics_sha256=str(entry.get("statistics_sha256", "")),
        usual=UsualAnswers.from_json(entry["answers"], len(labels.leaves)) if "answers" in entry else None,
    )


def _verified(path: Path, member: str, sha256: str) -> bytes:
    """A file of a package that is what the description says. Raises PackageIntegrityError."""
    data = read_member(path, member)
    if hashlib.sha256(data).hexdigest() != sha256:
        raise PackageIntegrityError(
            f'"{path / member}" is not the file that model.json describes (its SHA-256 differs): damaged, truncated or'
            " exchanged. Install the model again."
        )
    return data
