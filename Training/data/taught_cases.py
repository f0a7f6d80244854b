"""Scans without labels that a teacher labels, once: what it is sure of is their truth, all else is unknown.

Xie et al., "Self-training with Noisy Student improves ImageNet classification", CVPR 2020, arXiv 1911.04252.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from LabelConditionedSegmentationLib.core.errors import Cancelled, InputError, LCSError
from LabelConditionedSegmentationLib.core.inference.features import SLAB_VALUES
from LabelConditionedSegmentationLib.core.inference.scoring import best_classes, probabilities_of
from LabelConditionedSegmentationLib.core.progress import CancelToken, Progress, ProgressCallback
from LabelConditionedSegmentationLib.core.scan.geometry import Grid, resample
from LabelConditionedSegmentationLib.core.scan.input_statistics import input_statistics
from LabelConditionedSegmentationLib.core.scan.label_map_likeness import looks_like_label_map
from LabelConditionedSegmentationLib.core.scan.preprocessing import NetworkInput, prepare
from LabelConditionedSegmentationLib.core.scan.volume import Array, Volume
from LabelConditionedSegmentationLib.core.signals import cancel_on_interrupt
from tqdm import tqdm

from ..losses.truth import IGNORE
from .datasets import CaseFiles, DataSet, read_image
from .prepared_cases import Case, key_of, load_case, make_cache, settings_of, store_case

if TYPE_CHECKING:
    from LabelConditionedSegmentationLib.core.inference.segmenter import Segmenter

    from ..engine.config import Config
    from ..engine.teacher import Teacher

FORMAT = 1
"""Of what a teacher says; another number asks it anew."""


def taught_cases(data_set: DataSet, teacher: Teacher, config: Config) -> list[Case]:
    """The scans of a data set on the network's grid, with what the teacher is sure of as their targets; from the cache
    where it has them. Scans of which it is sure of no label, and label maps among them, are left out, which is said.

    A scan appears in the cache whole or not at all; the first Ctrl-C ends the work within one patch of the network.
    SystemExit, with the name of the case, where a scan cannot be used, and where none is left.
    """
    cache, taught = Path(config.data.cache), []
    make_cache(cache)
    with _shown(len(data_set.cases)) as shown:
        for done, files in enumerate(data_set.cases):
            try:
                case = _taught(files, data_set, teacher, config, shown.of(done))
            except Cancelled:
                print(f"stopped; {done} of {len(data_set.cases)} scans without labels are done", file=sys.stderr)
                raise KeyboardInterrupt from None
            except LCSError as error:
                raise SystemExit(f"Case {files.name}: {error}") from None
            taught += [] if case is None else [case]
    if not taught:
        raise SystemExit(
            f'Of "{data_set.root}" the teacher "{teacher.name}" is sure of no label; lower teacher.least_probability or'
            " teacher.least_margin, or take scans that are more like those that it learned from."
        )
    share = np.mean([float((case.target[case.foreground] != IGNORE).float().mean()) for case in taught])
    print(
        f'The teacher "{teacher.name}" labels {len(taught)} scans of "{data_set.root}" and is sure of {share:.0%} of'
        " their voxels.",
        file=sys.stderr,
    )
    return taught


def _taught(files: CaseFiles, data_set: DataSet, teacher: Teacher, config: Config, progress: Progress) -> Case | None:
    """One scan, None where nothing of it is to be learned."""
    cache = Path(config.data.cache)
    key = _key(files, data_set, teacher, config)
    if not (cache / key).is_dir():
        volume = read_image(files)
        if any(looks_like_label_map(channel) for channel in volume.array):
            print(f'"{files.images[0]}" is left out: it looks like a label map.', file=sys.stderr)
            return None
        store_case(cache, key, *_answered(files, volume, teacher, config, progress))
    progress.update(0.0, 1.0, 1.0, files.name)
    case = load_case(cache, key)
    if not bool((case.target > 0).any()):
        print(f'Case {files.name} is left out: the teacher "{teacher.name}" is sure of no label.', file=sys.stderr)
        return None
    return case


def _key(files: CaseFiles, data_set: DataSet, teacher: Teacher, config: Config) -> str:
    """sha256 of all that a taught case depends on."""
    settings = settings_of(data_set, data_set.table, config.input, config.schema, config.network.multiple)
    about = {
        "format": FORMAT,
        "case": key_of(files, files.annotated, settings),
        "metadata": dict(sorted(files.metadata.items())),
        "teacher": teacher.identity,
        "trusted": [config.teacher.least_probability, config.teacher.least_margin],
    }
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def _answered(
    files: CaseFiles, volume: Volume, teacher: Teacher, config: Config, progress: Progress
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays and facts of the case of a scan, for the cache: the network of the teacher runs once."""
    segmenter, steps = teacher.segmenter, Progress(lambda done, text: progress.update(0.0, 0.8, done, text), None)
    known = {field.name: files.metadata.get(field.name) for field in segmenter.metadata_schema.fields}
    prepared, metadata, report = segmenter.prepared(volume, known, steps=steps)
    for finding in (finding for finding in report.findings if finding.level != "note"):
        tqdm.write(f"{finding.level}: {files.name}: {finding}", file=sys.stderr)
    found = _seen(prepared, volume) if report.inside.get("stripped") == "no" else None
    seen = prepare(volume, config.input, config.network.multiple, False, found)
    answer = _answer(segmenter, prepared, metadata, seen.grid, teacher.classes, progress)
    target = _sure(answer, config.teacher.least_probability, config.teacher.least_margin)
    target[~_covered(prepared, volume, seen.grid)] = 0  # beyond what the teacher looks at there is background
    parsed, _ = config.schema.parse({field.name: files.metadata.get(field.name) for field in config.schema.fields})
    facts = {
        "name": files.name,
        "annotated": [True] * len(teacher.classes),
        "metadata": [None if np.isnan(value) else value for value in config.schema.encode(parsed).tolist()],
        "statistics": input_statistics(seen),
    }
    tensors = {"image": seen.image.half(), "foreground": seen.foreground, "target": target}
    return {name: tensor.contiguous().numpy() for name, tensor in tensors.items()}, facts


@dataclass(frozen=True)
class Answer:
    """What a teacher says of the voxels of a grid, each (k, j, i): the class of the run that is most probable, int16;
    its probability, and by how much it is above that of the second one, float32.
    """

    best: torch.Tensor
    probability: torch.Tensor
    margin: torch.Tensor


def _sure(answer: Answer, least_probability: float, least_margin: float) -> torch.Tensor:
    """(k, j, i) int16: the classes that are trusted, IGNORE elsewhere."""
    trusted = (answer.probability >= least_probability) & (answer.margin >= least_margin)
    return answer.best.masked_fill(~trusted, IGNORE)


def _answer(
    segmenter: Segmenter,
    prepared: NetworkInput,
    metadata: torch.Tensor,
    grid: Grid,
    classes: list[list[int]],
    progress: Progress,
) -> Answer:
    """What a model says of a prepared scan on another grid: its probabilities, the mean over the scan and its mirror
    image where it looks at both, summed over the classes (of the model) that each class of the run consists of.
    """
    network_pass = segmenter.network_pass
    budget, kind = segmenter.feature_budget, segmenter.feature_dtype
    on_network: ProgressCallback = lambda done, text: progress.update(0.2, 0.8, done, text)  # noqa: E731
    with network_pass.from_the_top(), torch.inference_mode():
        gathered = network_pass.with_ladder(
            lambda: network_pass.gather(prepared, metadata, prepared.grid, budget, kind, on_network), lambda _: None
        )
        views, chunk = _views(segmenter), network_pass.plan.chunk
    if gathered.stored is None:
        raise InputError("The features of this scan are larger than the memory set aside for them; crop it.")
    return _scored(gathered.stored, prepared.grid.coarser(network_pass.stride), grid, views, classes, chunk, progress)


View = tuple[slice, torch.Tensor, torch.Tensor]
"""Channels of the features, and the prompts (classes, channels) and bias (classes,) that they are scored with."""


def _views(segmenter: Segmenter) -> list[View]:
    """The scan and, where the model looks at it, its mirror image, whose prompts are those of the mirrored classes."""
    network, mirrored = segmenter.network, segmenter.network_pass.mirrored_classes
    prompts, bias = network.prompts.detach().float(), network.bias.detach().float()
    length = prompts.shape[1]
    if mirrored is None:
        return [(slice(0, length), prompts, bias)]
    other = [*mirrored, *range(network.classes, len(bias))]
    return [(slice(0, length), prompts, bias), (slice(length, 2 * length), prompts[other], bias[other])]


@torch.inference_mode()
def _scored(
    stored: torch.Tensor,
    feature_grid: Grid,
    grid: Grid,
    views: list[View],
    classes: list[list[int]],
    chunk: int,
    progress: Progress,
) -> Answer:
    """Features (k, j, i, C) scored at the voxels of a grid, a few planes at a time."""
    best = torch.zeros(grid.shape, dtype=torch.int16)
    probability, margin = torch.zeros(grid.shape), torch.zeros(grid.shape)
    across = grid.shape[1] * grid.shape[2]
    planes = max(1, SLAB_VALUES // (across * max(stored.shape[3], len(classes))))
    for first in range(0, grid.shape[0], planes):
        last = min(first + planes, grid.shape[0])
        fine = resample(stored, feature_grid, grid, (first, 0, 0), (last, *grid.shape[1:])).flatten(0, 2)
        shares = torch.zeros(len(classes), len(fine), device=fine.device)
        for channels, prompts, bias in views:
            prompts, bias, part = prompts.to(fine.device), bias.to(fine.device), fine[:, channels]
            log_sum = best_classes(part, prompts, bias, chunk, with_log_sum=True).log_sum
            assert log_sum is not None
            shares += probabilities_of(classes, part, prompts, bias, log_sum, chunk) / len(views)
        top, index = shares.topk(2, dim=0)
        shape = (last - first, *grid.shape[1:])
        best[first:last] = index[0].to(torch.int16).cpu().view(shape)
        probability[first:last] = top[0].cpu().view(shape)
        margin[first:last] = (top[0] - top[1]).cpu().view(shape)
        progress.update(0.8, 1.0, last / grid.shape[0], "deciding labels")
    return Answer(best, probability, margin)


def _seen(prepared: NetworkInput, volume: Volume) -> Array:
    """(k, j, i) bool: the voxels of a scan that count for a model which looks inside of a label."""
    foreground = resample(prepared.foreground[..., None], prepared.grid, Grid.of(volume), nearest=True)[..., 0].numpy()
    (k0, j0, i0), (k1, j1, i1) = prepared.region
    seen = np.zeros(volume.shape, dtype=bool)
    seen[k0:k1, j0:j1, i0:i1] = foreground[k0:k1, j0:j1, i0:i1]
    return seen


def _covered(prepared: NetworkInput, volume: Volume, grid: Grid) -> torch.Tensor:
    """(k, j, i) bool: the voxels of a grid in the part of a scan that a model has seen."""
    (k0, j0, i0), (k1, j1, i1) = prepared.region
    covered = torch.zeros(volume.shape, dtype=torch.bool)
    covered[k0:k1, j0:j1, i0:i1] = True
    return resample(covered[..., None], Grid.of(volume), grid, nearest=True)[..., 0]


class _Shown:
    """A bar over scans that moves within each of them too, and the token that the first Ctrl-C sets."""

    def __init__(self, bar: tqdm, cancel: CancelToken) -> None:
        self.bar = bar
        self.cancel = cancel

    def of(self, done: int) -> Progress:
        """The progress of the scan before which `done` are finished."""

        def show(fraction: float, text: str) -> None:
            self.bar.set_postfix_str(text, refresh=False)
            self.bar.update(done + fraction - self.bar.n)

        return Progress(show, self.cancel)


@contextmanager
def _shown(count: int) -> Iterator[_Shown]:
    form = "{l_bar}{bar}| {n:.1f}/{total} [{elapsed}<{remaining}] {postfix}"
    bar = tqdm(total=count, desc="labelling scans", bar_format=form, disable=not sys.stderr.isatty())
    with cancel_on_interrupt() as cancel, bar:
        yield _Shown(bar, cancel)
