"""Cases on the network's grid, kept on disk and mapped into memory."""

from __future__ import annotations

import hashlib
import io
import json
import os
import platform
import re
import shutil
import sys
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from LabelConditionedSegmentationLib.core.errors import InputError, LCSError
from LabelConditionedSegmentationLib.core.labels.label_tree import LabelTree
from LabelConditionedSegmentationLib.core.scan.geometry import Grid, bounding_box, network_grid, resample
from LabelConditionedSegmentationLib.core.scan.input_spec import InputSpec
from LabelConditionedSegmentationLib.core.scan.input_statistics import input_statistics
from LabelConditionedSegmentationLib.core.scan.metadata import MetadataSchema
from LabelConditionedSegmentationLib.core.scan.preprocessing import BACKGROUND, prepare
from tqdm import tqdm

from ..engine.kept_files import unwritable, written_whole
from ..losses.truth import IGNORE
from .class_maps import ClassMap, MapSettings, divided_by_intensity, generation_classes
from .datasets import CaseFiles, DataSet, read_image, read_labels
from .targets import TargetCode, select

if TYPE_CHECKING:
    from LabelConditionedSegmentationLib.core.scan.volume import Volume

FORMAT = 2
"""Of what is stored; another number makes every case anew."""

INDEX = "prepared.json"

CLASSES = "classes"
"""Name of the array, and of the names, that a case has from which images are made."""

LEVELS = "levels"
"""Name of the mean intensities of its classes."""


@dataclass(frozen=True)
class Case:
    """One scan on the network's grid, mapped into memory: writing to it changes no file.

    image (channel, k, j, i) float16 without position channels; foreground (k, j, i) bool: the voxels that count, all
    others of the image are BACKGROUND; target (k, j, i) int16 as TargetCode gives it, unknown everywhere in a scan
    without labels; annotated (K,) bool; metadata (fields,) float32 with NaN for unknown; statistics: what
    `core.input_statistics` measures of a scan; empty of a case whose images are made. source: which of `data.sources`
    it is of, counted from 0; domain: the number of that source's domain. map: what images are made from, of a case
    whose image is BACKGROUND.
    """

    name: str
    image: torch.Tensor
    foreground: torch.Tensor
    target: torch.Tensor
    annotated: torch.Tensor
    metadata: torch.Tensor
    statistics: dict[str, float]
    source: int = 0
    domain: int = 0
    map: ClassMap | None = None


@dataclass(frozen=True)
class PreparedData:
    """A folder of prepared cases, opened: the cases, the labels that they were prepared for, and those that their data
    set has.
    """

    cases: list[Case]
    tree: LabelTree
    table: LabelTree


def prepare_cases(
    data_set: DataSet,
    tree: LabelTree,
    spec: InputSpec,
    schema: MetadataSchema,
    multiple: int,
    cache: Path,
    annotated: Mapping[str, Sequence[str]] | None = None,
    progress: bool = True,
) -> list[Case]:
    """The cases of a data set on the network's grid, from the cache where it has them and made where not.

    tree: the labels that the network learns. annotated: case -> the labels that somebody looked for, where that is not
    what the data set says. Several processes may prepare the same cases at once, and each may be killed at any time: a
    case appears in the cache whole or not at all. SystemExit, with the name of the case, where one cannot be used.
    """
    keys = prepare_files(data_set, tree, spec, schema, multiple, cache, annotated, progress)
    return [load_case(cache, key) for key in keys.values()]


def prepare_files(
    data_set: DataSet,
    tree: LabelTree,
    spec: InputSpec,
    schema: MetadataSchema,
    multiple: int,
    cache: Path,
    annotated: Mapping[str, Sequence[str]] | None = None,
    progress: bool = True,
) -> dict[str, str]:
    """As `prepare_cases`, but nothing is loaded: name of each case -> its folder in the cache."""
    make_cache(cache)
    settings = settings_of(data_set, tree, spec, schema, multiple)
    code = TargetCode(tree, data_set.table, data_set.ignored_ids, data_set.protocol)
    keys: dict[str, str] = {}
    for files in tqdm(data_set.cases, desc="preparing cases", disable=not (progress and sys.stderr.isatty())):
        if files.name in keys:
            raise SystemExit(f'Two cases of "{data_set.root}" are called {files.name}; give each a name of its own.')
        names = (annotated or {}).get(files.name, files.annotated)
        try:
            keys[files.name] = key_of(files, names, settings)
            if not (cache / keys[files.name]).is_dir():
                store_case(cache, keys[files.name], *_make(files, names, code, spec, schema, multiple, data_set.made))
        except LCSError as error:
            raise SystemExit(f"Case {files.name}: {error}") from None
    return keys


def settings_of(
    data_set: DataSet, tree: LabelTree, spec: InputSpec, schema: MetadataSchema, multiple: int
) -> dict[str, Any]:
    """Everything beside the files of a case that its prepared form depends on, as JSON."""
    made = data_set.made if data_set.made is not None else MapSettings()
    return {
        "format": FORMAT,
        "input": spec.to_json(),
        "multiple": multiple,
        "metadata": schema.to_json(),
        "tree": tree.to_json(),
        "table": data_set.table.to_json(),
        "ignored_ids": sorted(data_set.ignored_ids),
        **({} if made == MapSettings() else {"made": asdict(made)}),
        **({"protocol": data_set.protocol} if data_set.protocol else {}),
    }


def write_index(
    cache: Path,
    keys: Mapping[str, str],
    settings: Mapping[str, Any],
    annotated: Mapping[str, Sequence[str]] | None = None,
) -> Path:
    """Make the cache a prepared folder, which can be opened without the scans: prepared.json with the settings and the
    folder of each case.
    """
    index = {"settings": settings, "annotated": _plain(annotated), "cases": keys}
    with written_whole(cache / INDEX) as temporary:
        temporary.write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")
    return cache / INDEX


def is_prepared(folder: Path) -> bool:
    """Whether a folder is one that `write_index` made."""
    return (folder / INDEX).is_file()


def open_prepared(
    folder: Path,
    spec: InputSpec,
    schema: MetadataSchema,
    multiple: int,
    labels: Sequence[str] = (),
    names: Sequence[str] = (),
    annotated: Mapping[str, Sequence[str]] | None = None,
) -> PreparedData:
    """The cases of a prepared folder, all or those named. Neither the scans nor a library that reads them is needed.

    labels: what the network is to learn, as `Training.data.targets.select` takes it; annotated: as
    `prepare_cases` takes it. SystemExit, naming the setting, where the folder was prepared with another one.
    """
    index = _read_index(folder)
    stored = index["settings"]
    tree, table = LabelTree.from_json(stored["tree"]), LabelTree.from_json(stored["table"])
    there = _named(stored["input"], stored["multiple"], stored["metadata"], tree, index["annotated"])
    here = _named(spec.to_json(), multiple, schema.to_json(), select(table, labels), _plain(annotated))
    for setting, value in here.items():
        if there[setting] != value:
            raise SystemExit(
                f'"{folder}" was prepared with another setting of {setting}: {_shortened(there[setting])} there,'
                f" {_shortened(value)} here. Change the setting, or prepare the data again with Training/prepare.py."
            )
    missing = sorted(set(names) - set(index["cases"]))
    if missing:
        raise SystemExit(f'The prepared folder "{folder}" has no case called {", ".join(missing)}.')
    return PreparedData(
        [load_case(folder, key) for name, key in index["cases"].items() if not names or name in names], tree, table
    )


def _named(spec: Mapping[str, Any], multiple: int, metadata: Any, tree: LabelTree, annotated: Any) -> dict[str, Any]:
    """The settings under the names that a configuration gives them, as JSON has them; every one, also where a
    description leaves it out.
    """
    named = {f"input.{key}": value for key, value in (asdict(InputSpec()) | dict(spec)).items()} | {
        "network.multiple": multiple,
        "metadata": metadata,
        "data.labels": [leaf.name for leaf in tree.leaves],
        "data.annotated": annotated,
    }
    found: dict[str, Any] = json.loads(json.dumps(named))
    return found


def _plain(annotated: Mapping[str, Sequence[str]] | None) -> dict[str, list[str]]:
    return {case: list(names) for case, names in sorted((annotated or {}).items())}


def _shortened(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 120 else text[:117] + "..."


def _read_index(folder: Path) -> dict[str, Any]:
    if not is_prepared(folder):
        raise SystemExit(
            f'"{folder}" is no folder of prepared cases: it has no {INDEX}. Make one with Training/prepare.py.'
        )
    try:
        index: dict[str, Any] = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        known_format = index["settings"]["format"] == FORMAT
        is_whole = "annotated" in index and all(re.fullmatch("[0-9a-f]{64}", key) for key in index["cases"].values())
    except (ValueError, KeyError, TypeError, AttributeError):
        known_format, is_whole = True, False
    if not (known_format and is_whole):
        why = "is damaged" if known_format else "was made by another version of this program"
        raise SystemExit(f'"{folder / INDEX}" {why}; prepare the data again with Training/prepare.py.')
    return index


def key_of(files: CaseFiles, annotated: Sequence[str] | None, settings: Mapping[str, Any]) -> str:
    """sha256 of all that the prepared case depends on: the bytes of its files, what is known about it, the settings
    (see `settings_of`). Raises InputError where a file cannot be read.
    """
    about = {
        "settings": settings,
        "name": files.name,
        "metadata": {field["name"]: files.metadata.get(field["name"]) for field in settings["metadata"]},
        "annotated": None if annotated is None else list(annotated),
        "files": [_hash_of(path) for path in files.files],
    }
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def _hash_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f'The file "{path}" cannot be read: {error.strerror}.') from None


def _make(
    files: CaseFiles,
    annotated: Sequence[str] | None,
    code: TargetCode,
    spec: InputSpec,
    schema: MetadataSchema,
    multiple: int,
    made: MapSettings | None,
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Image, foreground and target of a Case on the network's grid, and the facts that are stored with them."""
    labels = None if files.label is None else read_labels(files)
    if labels is None or (made is None and files.images):
        tensors, about, grid = _of_images(files, spec, multiple)
    elif files.images:
        tensors, about, grid = _of_map_and_scan(files, labels, code.table, spec, multiple, made or MapSettings())
    else:
        tensors, about, grid = _of_map(files, labels, code.table, spec, multiple, made or MapSettings())
    parsed, _ = schema.parse({field.name: files.metadata.get(field.name) for field in schema.fields})
    facts = {
        "name": files.name,
        "annotated": code.annotated(annotated).tolist(),
        "metadata": [None if np.isnan(value) else value for value in schema.encode(parsed).tolist()],
        **about,
    }
    tensors["target"] = _target(labels, code, grid)
    return {name: tensor.contiguous().numpy() for name, tensor in tensors.items()}, facts


Made = tuple[dict[str, torch.Tensor], dict[str, Any], Grid]
"""Image and foreground of a case, what is to be said of them, and their grid."""


def _of_images(files: CaseFiles, spec: InputSpec, multiple: int) -> Made:
    network_input = prepare(read_image(files), spec, multiple, with_position=False)
    tensors = {"image": network_input.image.half(), "foreground": network_input.foreground}
    return tensors, {"statistics": input_statistics(network_input)}, network_input.grid


def _of_map(
    files: CaseFiles, labels: Volume, table: LabelTree, spec: InputSpec, multiple: int, made: MapSettings
) -> Made:
    """Of a case without images: its generation classes, and no image yet; the grid is cropped to the labels."""
    region = bounding_box(labels.array[0] != 0)
    if region is None:
        raise InputError(f'The label map "{files.label}" is empty, so no image can be made from it.')
    grid = network_grid(Grid.of(labels).box(*region), spec.spacing, spec.margin_mm, multiple)
    names, classes = generation_classes(labels.array, table, made.alike)
    on_grid = _on_grid(classes, labels, grid)
    return _blank(spec, grid, on_grid > 0, on_grid), {"statistics": {}, CLASSES: names}, grid


def _of_map_and_scan(
    files: CaseFiles, labels: Volume, table: LabelTree, spec: InputSpec, multiple: int, made: MapSettings
) -> Made:
    """Of a case whose scan says how its generation classes are divided: those, and no image."""
    scan = prepare(read_image(files), spec, multiple, with_position=False)
    names, classes = generation_classes(labels.array, table, made.alike)
    on_grid = _on_grid(classes, labels, scan.grid).numpy()
    divided, names, levels = divided_by_intensity(
        *(on_grid, names, scan.image[0].numpy(), scan.foreground.numpy(), made.parts)
    )
    known = [None if np.isnan(level) else level for level in levels]
    tensors = _blank(spec, scan.grid, scan.foreground, torch.from_numpy(divided))
    return tensors, {"statistics": {}, CLASSES: names, LEVELS: known}, scan.grid


def _blank(spec: InputSpec, grid: Grid, foreground: torch.Tensor, classes: torch.Tensor) -> dict[str, torch.Tensor]:
    image = torch.full((len(spec.channels), *grid.shape), BACKGROUND, dtype=torch.float16)
    return {"image": image, "foreground": foreground, CLASSES: classes}


def _target(labels: Volume | None, code: TargetCode, grid: Grid) -> torch.Tensor:
    """(k, j, i) int16 on the network's grid; unknown everywhere without a label map."""
    if labels is None:
        return torch.full(grid.shape, IGNORE, dtype=torch.int16)
    return _on_grid(code.encode(labels.array), labels, grid)


def _on_grid(values: np.ndarray, labels: Volume, grid: Grid) -> torch.Tensor:
    """What a label map (1, k, j, i) was turned into, on the network's grid, (k, j, i) of the same dtype."""
    return resample(torch.from_numpy(values).movedim(0, -1), Grid.of(labels), grid, nearest=True)[..., 0]


def store_case(cache: Path, key: str, arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> None:
    """Write a case beside its place and rename it there; where another process was faster, its case stays.

    arrays: image, foreground and target of a Case; facts: its name, annotated, metadata and statistics. Raises
    OutputError where it cannot be written.
    """
    temporary = cache / _temporary_name()
    try:
        temporary.mkdir()
        for name, array in arrays.items():
            _write_array(temporary / f"{name}.npy", array)
        (temporary / "case.json").write_text(json.dumps(facts, allow_nan=False) + "\n", encoding="utf-8")
        os.rename(temporary, cache / key)
    except OSError as error:
        if not (cache / key).is_dir():
            raise unwritable(cache, error) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write_array(path: Path, array: np.ndarray) -> None:
    """By way of memory: numpy does not say why it could not write to a file."""
    written = io.BytesIO()
    np.save(written, array, allow_pickle=False)
    path.write_bytes(written.getbuffer())


def load_case(cache: Path, key: str) -> Case:
    """A case of the cache, mapped into memory. SystemExit where it is missing or damaged."""
    folder = cache / key
    try:
        image, foreground, target = (
            torch.from_numpy(np.load(folder / f"{name}.npy", mmap_mode="c", allow_pickle=False))
            for name in ("image", "foreground", "target")
        )
        facts = json.loads((folder / "case.json").read_text(encoding="utf-8"))
        class_map = _load_map(folder, facts)
    except (OSError, ValueError):
        raise SystemExit(
            f'The prepared case "{folder}" is missing or damaged; delete that folder and prepare the data again.'
        ) from None
    metadata = torch.tensor([np.nan if value is None else value for value in facts["metadata"]], dtype=torch.float32)
    return Case(
        *(facts["name"], image, foreground, target, torch.tensor(facts["annotated"]), metadata, facts["statistics"]),
        map=class_map,
    )


def _load_map(folder: Path, facts: Mapping[str, Any]) -> ClassMap | None:
    """What images of a case are made from; None of a case whose images are stored."""
    if CLASSES not in facts:
        return None
    classes = np.load(folder / f"{CLASSES}.npy", mmap_mode="c", allow_pickle=False)
    levels = tuple(np.nan if level is None else level for level in facts.get(LEVELS, ()))
    return ClassMap(torch.from_numpy(classes), tuple(frozenset(names) for names in facts[CLASSES]), levels)


def make_cache(cache: Path) -> None:
    """The folder, without what dead processes of this computer have left in it. What others are writing stays."""
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SystemExit(
            f'The folder "{cache}" for prepared cases cannot be made: {error.strerror}. Choose another place with'
            " data.cache."
        ) from None
    for path in cache.glob(f".making-{_host()}-*"):
        if not _runs(int(path.name.split("-")[2])):
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


def _temporary_name() -> str:
    """Says which process writes here, so that others can tell what a dead one has left."""
    return f".making-{_host()}-{os.getpid()}-{uuid.uuid4().hex}"


def _host() -> str:
    return re.sub("[^A-Za-z0-9.]", "_", platform.node())


def _runs(process: int) -> bool:
    if os.name == "nt":  # where a signal of 0 is no question
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
