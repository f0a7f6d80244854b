"""Features: one pass of the network over a scan, kept, from which any label is answered at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import torch

from ..errors import InputError, LabelError
from ..examples.example_prompt import ExamplePrompt, check_model, tree_of_prompts
from ..findings import Finding
from ..labels.label_tree import Label, LabelTree
from ..progress import CancelToken, Progress, ProgressCallback
from ..scan.geometry import Grid, Shape, needed_box, resample
from ..scan.placed_array import DicomPlace, NiftiPlace
from ..scan.volume import Array, Volume
from .memory_ladder import MemoryPlan, down_the_ladder, peak_memory_mb
from .probability_maps import ProbabilityMaps
from .report import RunReport
from .result import Result
from .scoring import DEFAULT_CHUNK, best_classes, probabilities_of
from .segmented_label import SegmentedLabel
from .tiled_scoring import PLANES, best_by_tiles
from .windows import FeatureSlab

T = TypeVar("T")

SLAB_VALUES = 8 * 2**20
"""Feature values that are resampled and scored at once."""


@dataclass(frozen=True)
class Prompts:
    """What the features are multiplied with: `vectors` (classes, C) and `bias` (classes,), float32; class 0 is the
    background, and so are the last `context` ones.
    """

    vectors: torch.Tensor
    bias: torch.Tensor
    context: int = 0

    def part(self, classes: slice) -> Prompts:
        """Those of some of the classes, the background of which comes first."""
        return replace(self, vectors=self.vectors[classes], bias=self.bias[classes])


@dataclass(frozen=True)
class RankedLabel:
    """A label under a point and its probability (softmax over all leaves and the background)."""

    label: Label
    probability: float


@dataclass(frozen=True)
class Limits:
    """Where the classes of a competition may win: `winners` (k, j, i) of the target grid, an earlier winner map, and
    `allowed` (earlier classes, classes) bool, which of the classes, the background among them, may win where that class
    has won.
    """

    winners: Array
    allowed: Array


class WinnerMap:
    """Reduces features to the best class of every voxel of a target grid, and to the probabilities of a few groups of
    classes, as slabs of features become final.

    Nothing of size voxels x labels exists. winners: (k, j, i). probabilities: (groups, k, j, i) float32.
    """

    def __init__(
        self,
        feature_grid: Grid,
        target: Grid,
        axis: int,
        prompts: Prompts,
        chunk: int,
        limits: Limits | None = None,
        groups: Sequence[Sequence[int]] = (),
    ) -> None:
        """axis: the axis (0, 1, 2 for k, j, i) of the feature grid along which slabs arrive, in rising order. groups:
        of classes, whose probabilities are wanted.
        """
        self.feature_grid = feature_grid
        self.target = target
        self.axis = axis
        self.prompts = prompts
        self.chunk = chunk
        self.limits = limits
        self.groups = groups
        self.probabilities: Array = np.zeros((len(groups), *target.shape), dtype=np.float32)
        classes = prompts.bias.shape[0] - prompts.context
        self.winners: Array = np.zeros(target.shape, dtype=np.uint8 if classes <= 256 else np.uint16)
        plain = limits is None and not groups and prompts.bias.device.type == "cpu"
        self._by_tiles = plain and chunk >= DEFAULT_CHUNK  # fewer classes a product: where memory ran out
        voxels = target.shape[1] * target.shape[2] * prompts.vectors.shape[1]
        planes = PLANES if self._by_tiles else max(1, SLAB_VALUES // voxels)
        boxes = [(k, min(k + planes, target.shape[0])) for k in range(0, target.shape[0], planes)]
        rises = target.to(feature_grid)[2 - axis, 2] >= 0
        self._waiting = boxes if rises else boxes[::-1]
        self._total = len(boxes)
        self._held: torch.Tensor | None = None
        self._held_start = 0

    @staticmethod
    def streaming_axis(feature_grid: Grid, target: Grid) -> int:
        """The axis of the feature grid that the target's k axis runs along most closely."""
        return 2 - int(np.abs(target.to(feature_grid)[:3, 2]).argmax())

    @property
    def fraction(self) -> float:
        """How much of the target is done."""
        return 1 - len(self._waiting) / self._total

    def add(self, slab: FeatureSlab) -> None:
        """Take a finished slab, label every target voxel that can be labelled now, and free features that nothing needs
        any more.
        """
        if self._held is None:
            self._held, self._held_start = slab.values, slab.start
        else:
            self._held = torch.cat([self._held, slab.values], dim=self.axis)
        while self._waiting:
            first, last = self._waiting[0]
            low, high = self._needs(first, last)
            if high[self.axis] > slab.stop:
                break
            self._label(first, last, low, high)
            self._waiting.pop(0)
        if self._waiting:
            unneeded = min(self._needs(*box)[0][self.axis] for box in self._waiting) - self._held_start
            unneeded = min(max(0, unneeded), self._held.shape[self.axis])
            self._held = (
                self._held.narrow(self.axis, unneeded, self._held.shape[self.axis] - unneeded).clone()
                if unneeded
                else self._held
            )
            self._held_start += unneeded
        else:
            self._held = None

    def _needs(self, first: int, last: int) -> tuple[Shape, Shape]:
        return needed_box(self.feature_grid, self.target, (first, 0, 0), (last, *self.target.shape[1:]))

    def _label(self, first: int, last: int, low: Shape, high: Shape) -> None:
        assert self._held is not None
        origin = [0, 0, 0]
        origin[self.axis] = self._held_start
        block = self._held[tuple(slice(a - o, b - o) for a, b, o in zip(low, high, origin, strict=True))]
        if self._by_tiles:
            vectors, bias, context = self.prompts.vectors, self.prompts.bias, self.prompts.context
            found = best_by_tiles(block, low, self.feature_grid, self.target, first, last, vectors, bias).numpy()
            self.winners[first:last] = np.where(found < len(bias) - context, found, 0)
            return
        fine = resample(block, self.feature_grid, self.target, (first, 0, 0), (last, *self.target.shape[1:]), low)
        best, shares = self._decide(fine.reshape(-1, fine.shape[3]), first, last)
        planes = (last - first, *self.target.shape[1:])
        self.winners[first:last] = best.cpu().numpy().reshape(planes)
        self.probabilities[:, first:last] = shares.cpu().numpy().reshape(len(self.groups), *planes)

    def _decide(self, fine: torch.Tensor, first: int, last: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The best class (V,) of voxels (V, C), which are the target's planes from `first` to before `last`, and the
        probabilities (groups, V).
        """
        if self.limits is None:
            return self._compete(fine, self.prompts, self.groups)
        before = torch.from_numpy(self.limits.winners[first:last].reshape(-1).astype(np.int64)).to(fine.device)
        found = torch.zeros(len(fine), dtype=torch.int16, device=fine.device)
        shares = torch.zeros(len(self.groups), len(fine), device=fine.device)
        sets, set_of = np.unique(self.limits.allowed, axis=0, return_inverse=True)
        set_of_voxel = torch.from_numpy(set_of.reshape(-1)).to(fine.device)[before]
        for number, allowed in enumerate(sets):
            here = (set_of_voxel == number).nonzero()[:, 0]
            if len(here) and allowed[1:].any():
                classes = torch.from_numpy(np.flatnonzero(allowed)).to(fine.device)
                place = np.cumsum(allowed) - 1  # of a class among those allowed
                groups = [[int(place[n]) for n in group if allowed[n]] for group in self.groups]
                some = Prompts(self.prompts.vectors[classes], self.prompts.bias[classes])
                best, shares[:, here] = self._compete(fine[here], some, groups)
                found[here] = classes.to(torch.int16)[best.long()]
        return found, shares

    def _compete(
        self, fine: torch.Tensor, prompts: Prompts, groups: Sequence[Sequence[int]]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The best class (V,) of voxels (V, C), and the probabilities (groups, V)."""
        vectors, bias = prompts.vectors, prompts.bias
        found = best_classes(fine, vectors, bias, self.chunk, with_log_sum=bool(groups), context=prompts.context)
        if found.log_sum is None:
            return found.best_class, torch.empty(0, len(fine))
        return found.best_class, probabilities_of(groups, fine, vectors, bias, found.log_sum, self.chunk)


class Features:
    """What the network found in one scan under one set of metadata: valid as long as volume, model and metadata stay
    the same. Asking never runs the network.

    Attributes:
        labels: The labels that can be asked for.
        prompts: What the features are multiplied with, a row a label.
        input_grid: The grid of the scan, on which all answers lie.
        region: First and one-past-last voxel (k, j, i) of the input grid that the network saw.
        feature_grid: The grid that the features lie on.
        plan: How memory is spent.
        report: What ran, where, how long, and what was noticed.
        stored: The features (k, j, i, C); None where they exceeded the budget and only the winner map was kept.

    Examples:
        >>> from LabelConditionedSegmentationLib import Segmenter, read_volume
        >>> features = Segmenter.from_package("Resources/Models/brain").features(read_volume("scan.nii.gz"))
        >>> result = features.segment(["Left Hippocampus"])
        >>> maps = features.probabilities(["Left Hippocampus", "Right Hippocampus"])
    """

    def __init__(
        self,
        labels: LabelTree,
        prompts: Prompts,
        input_grid: Grid,
        region: tuple[Shape, Shape],
        feature_grid: Grid,
        plan: MemoryPlan,
        report: RunReport,
        stored: torch.Tensor | None,
        winners: Array | None,
        limits: Limits | None = None,
        nifti_place: NiftiPlace | None = None,
        dicom_place: DicomPlace | None = None,
        maps: Mapping[int, Array] | None = None,
        judge: Callable[[Array], list[Finding]] | None = None,
    ) -> None:
        """maps: label id -> probabilities (k, j, i) in the region, which were asked for before the features went.
        judge: gets the winner map (k, j, i) of the region once it is known; what it finds is told in the report.
        """
        self.labels = labels
        self.prompts = prompts
        self.input_grid = input_grid
        self.region = region
        self.feature_grid = feature_grid
        self.plan = plan
        self.report = report
        self.stored = stored
        self._winners = winners
        self._limits = limits
        self._nifti_place = nifti_place
        self._dicom_place = dicom_place
        self._maps = maps or {}
        self._judge = judge

    @property
    def parts(self) -> Mapping[str, Features]:
        """Name of each way to divide a scan, a protocol -> what answers for its labels alone. Most models have one, and
        these features are what answers for it.
        """
        return {self.labels.protocols[0].name: self}

    def of_protocol(self, protocol: str) -> Features:
        """What answers for the labels of one protocol alone.

        Args:
            protocol: Its name; upper and lower case are the same.

        Returns:
            Features that are asked in the same way; its labels have the names that they have in the protocol, too.

        Raises:
            LabelError: The model has no such protocol; it names those there are.

        Examples:
            >>> result = features.of_protocol("FreeSurfer").segment(["Left Hippocampus"])
        """
        return self.parts[self.labels.part_of(protocol).protocols[0].name]

    def kept(self, purpose: str) -> torch.Tensor:
        """`stored`. Raises InputError, which says what it is needed for, where it was not kept."""
        if self.stored is None:
            raise InputError(
                "The features of this scan were larger than the memory set aside for them; crop the scan to the part"
                f" of interest to {purpose}."
            )
        return self.stored

    def by_example(
        self, examples: Sequence[ExamplePrompt], ids: Sequence[int] | None = None, divide: bool = False
    ) -> Features:
        """The same features, asked for structures that the model was shown (`Segmenter.examples`) in place of its
        labels; the network does not run.

        They compete with each other and with a background of their own, each of them only inside its parent, as the
        labels' competition has it.

        Args:
            examples: What the model was shown, as `Segmenter.examples` gives it.
            ids: Of their labels; by default the first ones above the model's.
            divide: Inside a parent every voxel goes to one of the examples there, none is left over.

        Returns:
            Features that are asked in the same way.

        Raises:
            InputError: The features were not kept, or an example belongs to another model.
            LabelError: A name is taken, or a parent is not known.

        Examples:
            >>> shown = segmenter.examples(atlas, [Example("Bright", atlas.to_numpy() > 700)])
            >>> result = features.by_example(shown).segment()
        """
        stored = self.kept("ask for labels by example")
        check_model(examples, self.report.model, self.report.package_sha256, self.prompts.vectors.shape[1])
        tree = tree_of_prompts(examples, self.labels, ids)
        where = stored.device
        vectors = torch.tensor(
            [[0.0] * self.prompts.vectors.shape[1], *(example.vector for example in examples)], device=where
        )
        prompts = Prompts(vectors, torch.tensor([0.0, *(example.bias for example in examples)], device=where))
        return Features(
            tree,
            prompts,
            self.input_grid,
            self.region,
            self.feature_grid,
            self.plan,
            self.report,
            stored,
            None,
            self._limits_of(examples, divide),
            self._nifti_place,
            self._dicom_place,
        )

    def _limits_of(self, examples: Sequence[ExamplePrompt], divide: bool) -> Limits | None:
        """Where examples may win, each by the winner map of the protocol that its parent belongs to; None where none
        has a parent. Several protocols become one map, whose classes are the sets of examples that they allow together.
        """
        parents = [self.labels.find(example.parent) if example.parent else None for example in examples]
        parts = [part for part in self.parts.values() if any(p is not None and p.id in part.labels for p in parents)]
        if not parts:
            return None
        winners: Array = np.zeros((), dtype=np.uint32)
        allowed = np.ones((1, len(examples) + 1), dtype=bool)
        for part in parts:
            sets, set_of = np.unique(_allowed(part.labels, parents), axis=0, return_inverse=True)
            winners = winners * len(sets) + set_of.reshape(-1).astype(np.uint32)[part.winner_map()]
            allowed = (allowed[:, None] & sets).reshape(-1, allowed.shape[1])
        if divide:
            inside = [n for n, parent in enumerate(parents, start=1) if parent is not None]
            allowed[:, 0] = ~allowed[:, inside].any(axis=1)
        return Limits(winners, allowed)

    def segment(
        self,
        labels: Sequence[str] | str | None = None,
        progress: ProgressCallback | None = None,
        cancel: CancelToken | None = None,
    ) -> Result:
        """The labels on the input grid.

        All leaves and the background compete always, so the mask of a label does not depend on which others were asked
        for.

        Args:
            labels: Names, synonyms or ids; None or "all" means every leaf. A structure with parts is their union.
            progress: Gets the fraction that is done and what goes on.
            cancel: Ends the computation when it is cancelled.

        Returns:
            The segmentation.

        Raises:
            LabelError: The model does not know a label.
            Cancelled: It was cancelled.

        Examples:
            >>> features.segment(["Left Hippocampus"]).save("left.nii.gz")
        """
        wanted = resolve_labels(self.labels, labels)
        steps = Progress(progress, cancel)
        winners = self.winner_map(steps)
        with self.report.timed("labels"):
            layers, entries = self._layers(winners, wanted)
        self.report.peak_memory_mb = peak_memory_mb(self.plan.device)
        steps.update(0.0, 1.0, 1.0, "done")
        return Result(layers, entries, self.report, (self.labels,))

    def winner_map(self, progress: Progress | None = None) -> Array:
        """(k, j, i) of the scanned region: the class that wins each voxel, computed once."""
        if self._winners is None:
            steps = progress or Progress(None, None)
            with self.report.timed("scoring"):
                self._winners = self.with_ladder(lambda: self._score(self.kept("decide labels"), steps)).winners
        judge, self._judge = self._judge, None  # which lets go of the scan
        if judge is not None:
            self.report.findings += judge(self._winners)
        return self._winners

    def probabilities(
        self,
        labels: Sequence[str] | str | None = None,
        progress: ProgressCallback | None = None,
        cancel: CancelToken | None = None,
    ) -> ProbabilityMaps:
        """How probable labels are in every voxel.

        Exact: the softmax over the scores of all leaves and the background, whichever labels are asked for, so that the
        maps of all leaves and the background's sum to 1. The scores are those that decide the labels: blended and
        resampled to the input grid, and with flips the mean of both views. A structure with parts has the sum of its
        parts. Outside of the region that the network saw everything is background. A label by example competes with
        the others and a background of their own, and has none outside its parent. Memory: 4 bytes a voxel and label
        asked for.

        Args:
            labels: Names, synonyms or ids; None or "all" means every leaf.
            progress: Gets the fraction that is done and what goes on.
            cancel: Ends the computation when it is cancelled.

        Returns:
            A map for each label, on the input grid.

        Raises:
            LabelError: The model does not know a label.
            InputError: The features were larger than the memory set aside for them, and these labels were not asked for
                when the network ran (`probabilities` of `Segmenter.features` and `Segmenter.segment`).
            Cancelled: It was cancelled.

        Examples:
            >>> maps = features.probabilities(["Left Hippocampus", "Right Hippocampus"])
            >>> left = maps["Left Hippocampus"].to_numpy()
            >>> maps.save("hippocampi.nii.gz")
        """
        wanted = resolve_labels(self.labels, labels)
        found = self._kept_maps(wanted) if self.stored is None else self._computed_maps(wanted, progress, cancel)
        full = np.zeros((len(wanted), *self.input_grid.shape), dtype=np.float32)
        (k0, j0, i0), (k1, j1, i1) = self.region
        for place, inside in zip(full[:, k0:k1, j0:j1, i0:i1], found, strict=True):
            place[:] = inside
        volume = self._on_input(full)
        return ProbabilityMaps(volume, tuple(wanted), (self.labels,), self.report.model, self.report.package_sha256)

    def _computed_maps(
        self, wanted: Sequence[Label], progress: ProgressCallback | None, cancel: CancelToken | None
    ) -> Sequence[Array]:
        groups = [self.labels.classes_under(label) for label in wanted]
        steps = Progress(progress, cancel)
        with self.report.timed("probabilities"):
            found = self.with_ladder(lambda: self._score(self.kept("find probabilities"), steps, groups))
        steps.update(0.0, 1.0, 1.0, "done")
        return found.probabilities  # type: ignore[return-value]

    def _kept_maps(self, wanted: Sequence[Label]) -> Sequence[Array]:
        missing = next((label for label in wanted if label.id not in self._maps), None)
        if missing is not None:
            raise InputError(
                "The features of this scan were larger than the memory set aside for them, so the probabilities of"
                f' "{missing.name}" have to be asked for when the network runs: give probabilities=["{missing.name}"]'
                " to Segmenter.segment or Segmenter.features."
            )
        return [self._maps[label.id] for label in wanted]

    def with_ladder(self, run: Callable[[], T]) -> T:
        """Ask what is kept; where memory runs out, on lower rungs of the ladder, at last in main memory.

        Raises DeviceError.
        """
        return down_the_ladder(self.plan, self._take, run)

    def _take(self, plan: MemoryPlan, what: str) -> None:
        self.plan = plan
        self.report.fallbacks.append(what)
        if self.stored is not None:
            where, prompts = plan.accumulate_on, self.prompts
            self.stored = self.stored.to(where)
            self.prompts = replace(prompts, vectors=prompts.vectors.to(where), bias=prompts.bias.to(where))

    def _score(self, stored: torch.Tensor, progress: Progress, groups: Sequence[Sequence[int]] = ()) -> WinnerMap:
        target = self.input_grid.box(*self.region)
        axis = WinnerMap.streaming_axis(self.feature_grid, target)
        reducer = WinnerMap(self.feature_grid, target, axis, self.prompts, self.plan.chunk, self._limits, groups)
        length, pieces = stored.shape[axis], 16
        for n in range(pieces):  # in pieces, so that progress and cancel have their say
            start, stop = n * length // pieces, (n + 1) * length // pieces
            if stop > start:
                reducer.add(FeatureSlab(start, stop, stored.narrow(axis, start, stop - start)))
            progress.update(0.0, 0.95, reducer.fraction, "deciding labels")
        return reducer

    def at(self, position_ras: tuple[float, float, float] | Array, count: int = 10) -> list[RankedLabel]:
        """The most probable leaves at a point, best first; none outside the scanned region.

        Probabilities are the softmax of the scores over all leaves and the background (context classes included), so
        they sum to less than 1. A label by example has none outside its parent.

        Args:
            position_ras: The point (right, anterior, superior) in millimetres.
            count: At most so many labels.

        Returns:
            Labels and their probabilities.

        Raises:
            InputError: The features were not kept.

        Examples:
            >>> best = features.at((13.0, 14.0, 12.0))[0]
            >>> name, probability = best.label.name, best.probability
        """
        (k0, j0, i0), (k1, j1, i1) = self.region
        index = self.input_grid.index_of(position_ras)
        low, high = np.array([i0, j0, k0]) - 0.5, np.array([i1, j1, k1]) - 0.5
        if not bool(((index >= low) & (index <= high)).all()):
            return []
        stored = self.kept("ask for single points")
        here = np.eye(4)
        here[:3, 3] = np.asarray(position_ras, dtype=np.float64)
        point = Grid(here, (1, 1, 1))
        lower, upper = needed_box(self.feature_grid, point, (0, 0, 0), (1, 1, 1))
        block = stored[tuple(slice(a, b) for a, b in zip(lower, upper, strict=True))]
        vector = resample(block, self.feature_grid, point, source_start=lower).reshape(-1)
        scores = self.prompts.vectors @ vector + self.prompts.bias
        if self._limits is not None:
            i, j, k = (int(n) for n in np.rint(index).clip((i0, j0, k0), (i1 - 1, j1 - 1, k1 - 1)))
            allowed = self._limits.allowed[self._limits.winners[k - k0, j - j0, i - i0]]
            scores[torch.from_numpy(~allowed).to(scores.device)] = -torch.inf
        probabilities = scores.softmax(0)[1 : len(self.labels.leaves) + 1].cpu()
        best, order = probabilities.topk(min(count, len(probabilities)))
        return [RankedLabel(self.labels.leaves[int(n)], float(p)) for p, n in zip(best, order, strict=True)]

    def _on_input(self, array: Array) -> Volume:
        """An image (channel, k, j, i) on the grid of the scan, which knows where that came from."""
        return Volume(array, self.input_grid.affine, nifti_place=self._nifti_place, dicom_place=self._dicom_place)

    def _layers(self, winners: Array, wanted: Sequence[Label]) -> tuple[tuple[Volume, ...], tuple[SegmentedLabel, ...]]:
        """Spread labels over as few layers as overlaps allow: first come, first layer."""
        contents: list[list[Label]] = []
        places: dict[int, int] = {}
        for label in wanted:
            free = next(
                (n for n, there in enumerate(contents) if self.labels.overlapping([*there, label]) is None),
                len(contents),
            )
            if free == len(contents):
                contents.append([])
            contents[free].append(label)
            places[label.id] = free
        dtype = (
            np.uint8
            if max(label.id for label in wanted) < 2**8
            else np.uint16
            if max(label.id for label in wanted) < 2**16
            else np.uint32
        )
        layers = []
        for there in contents:
            table = np.zeros(len(self.labels.leaves) + 1, dtype=dtype)
            for label in there:
                table[list(self.labels.classes_under(label))] = label.id
            full = np.zeros((1, *self.input_grid.shape), dtype=dtype)
            (k0, j0, i0), (k1, j1, i1) = self.region
            full[0, k0:k1, j0:j1, i0:i1] = table[winners]
            layers.append(self._on_input(full))
        return tuple(layers), tuple(
            SegmentedLabel(label.id, places[label.id], label, self.labels.protocol_of(label).name) for label in wanted
        )


def _allowed(tree: LabelTree, parents: Sequence[Label | None]) -> Array:
    """(classes, examples + 1) bool: which examples, and the background, may win where a class of a protocol has won.
    parents: of the examples; those that are no labels of the protocol do not bind it.
    """
    allowed = np.ones((len(tree.leaves) + 1, len(parents) + 1), dtype=bool)
    for n, parent in enumerate(parents, start=1):
        if parent is not None and parent.id in tree:
            allowed[:, n] = False
            allowed[list(tree.classes_under(parent)), n] = True
    return allowed


def resolve_labels(tree: LabelTree, names: Sequence[str] | str | None) -> list[Label]:
    """Names as the user gave them -> labels, each once, in the order asked for; None or "all" is every leaf.

    Raises LabelError.
    """
    if names is None or names == "all":
        return list(tree.leaves)
    wanted = [tree.find(name) for name in ([names] if isinstance(names, str) else names)]
    if not wanted:
        raise LabelError("No label was asked for; name at least one, or all.")
    return list(dict.fromkeys(wanted))
