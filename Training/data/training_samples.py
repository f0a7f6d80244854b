"""Samples for training: a patch of a prepared case, varied, with the points where the loss is taken and the labels that
the loss is about.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from LabelConditionedSegmentationLib.core.scan.preprocessing import position_channels
from torch.utils.data import Dataset, Sampler

from ..engine.config import Config
from ..losses.truth import IGNORE
from .ageing import Ageing, drawn_ageing
from .augmentation import RIM, SpatialAugmentation, View
from .case_draw import CaseDraw
from .example_tasks import draw_regions
from .image_sources import ImageSource, MadeImages, StoredImages
from .lesions import with_lesions
from .prepared_cases import Case
from .targets import TargetCode, flippable

LABELLED_CENTRES = 0.5
"""Share of the patches, of scans larger than the patch, that are centred on a voxel of a label."""


class Samples(Dataset[dict[str, torch.Tensor]]):
    """Sample number n of a training run: reproducible from (seed, n) alone, whichever process makes it and wherever a
    run was resumed.

    A sample: image (channel [+3], k, j, i) float32; foreground (k, j, i) bool; points (P, 3), voxels (i, j, k) of the
    patch; target (P,) as TargetCode gives them; annotated (K,) bool; queries (L, K) bool: the classes of each label
    that the loss is about; metadata (fields,); domain: that of its case; number: n; where asked for, labels (k, j, i)
    int16: the targets of all voxels.
    """

    def __init__(
        self,
        cases: Sequence[Case],
        code: TargetCode,
        config: Config,
        device: torch.device | str = "cpu",
        taught: Sequence[Case] = (),
        label_maps: bool = False,
    ) -> None:
        """cases: those with labels, which alone are an atlas for others; taught: those that a teacher labelled.
        label_maps: whether samples have `labels`.
        """
        self.label_maps = label_maps
        self.cases = cases
        self.draw = CaseDraw(cases, config, taught)
        self.code = code
        self.config = config
        self.device = torch.device(device)
        self._flippable = flippable(code.tree)
        variation = replace(config.augmentation, flip=config.augmentation.flip and bool(self._flippable))
        self.spatial = SpatialAugmentation(variation, config.data.patch, code.mirrored, config.input.spacing)
        self.stored = StoredImages(variation, config.input.spacing)
        self.made = MadeImages(config.acquisition, config.input.spacing, config.schema)
        older = variation.ageing_fluid if variation.ageing else []
        self.ageing = Ageing(code.under(older, "augmentation.ageing_fluid"), config.input.spacing)
        self.ill = code.under(variation.lesions_in if variation.lesions else [], "augmentation.lesions_in")
        self._places: dict[str, list[np.ndarray]] = {}
        if config.objective.prompts != "class":
            _check_pairs(cases, taught, config.data.patch)

    def __len__(self) -> int:
        return self.config.optimizer.steps * self.config.optimizer.batch

    def case_of(self, number: int) -> Case:
        """The case of sample number n."""
        return self.draw.case_of(number)

    def __getitem__(self, number: int) -> dict[str, torch.Tensor]:
        generator = np.random.default_rng([self.config.seed, 2, number])
        case = self.case_of(number)
        if self.config.objective.prompts != "class":
            return self._pair(case, number, generator)
        centre = draw_centre(case.target.shape, self.config.data.patch, lambda: self._places_in(case), generator)
        images = self._images_of(case)
        whole = images.whole(case, case.target.long(), self.device)
        older = self._ageing_of(case, generator)
        view = self.spatial(whole, generator, centre, flipped=self._flipped(case), displacement=older)
        view = images.moved(view, case, self.config.augmentation.crop, generator)
        image, points, classes = self._input(view, images, bool(case.annotated[1:].any()), generator)
        metadata = self._metadata(images.metadata(view, case), generator)
        labels = {"labels": view.target.to(torch.int16)} if self.label_maps else {}
        return labels | {
            "image": image,
            "foreground": view.foreground,
            "points": points,
            "target": classes,
            "annotated": case.annotated.to(self.device),
            "queries": (
                draw_labels(
                    case.annotated,
                    self.code.members,
                    self.config.objective.labels_per_sample,
                    self.config.objective.unions,
                    generator,
                ).to(self.device)
            ),
            "metadata": metadata,
            "domain": torch.tensor(case.domain),
            "number": torch.tensor(number),
        }

    def _pair(self, case: Case, number: int, generator: np.random.Generator) -> dict[str, torch.Tensor]:
        """As a sample, with another scan beside it, varied on its own: every entry but `number` has a leading axis of
        2. They are flipped both or neither, since the parts of a label have no name that a flip could exchange; the
        second one is always whole. `regions` (2, k, j, i): what they show each other; `queries` (2, P): that at the
        points.
        """
        others = [other for other in self.cases if other.name != case.name]
        atlas = others[int(generator.integers(len(others)))]
        objective, settings = self.config.objective, self.config.augmentation
        shown = draw_regions(
            *(case.target, atlas.target, (case.annotated, atlas.annotated), self.config.input.spacing),
            *(objective.examples_per_sample, objective.unions, objective.splits, generator),
        )
        flipped = self.spatial.settings.flip and bool(generator.random() < 0.5)
        views = []
        for one, regions, crop in ((case, shown.query, settings.crop), (atlas, shown.atlas, 0.0)):
            images = self._images_of(one)
            view = images.whole(one, torch.stack([one.target.long(), regions.long()]), self.device)
            older = self._ageing_of(one, generator)
            view = self.spatial(view, generator, flipped=flipped, displacement=older)
            view = images.moved(view, one, crop, generator)
            image, points, values = self._input(view, images, True, generator)
            views.append(
                {
                    "image": image,
                    "foreground": view.foreground,
                    "points": points,
                    "target": values[0],
                    "queries": values[1],
                    "regions": view.target[1].to(torch.int16),
                    "annotated": one.annotated.to(self.device),
                    "metadata": self._metadata(images.metadata(view, one), generator),
                    "domain": torch.tensor(one.domain),
                }
            )
        return {key: torch.stack([view[key] for view in views]) for key in views[0]} | {"number": torch.tensor(number)}

    def _images_of(self, case: Case) -> ImageSource:
        """Where the images of a case come from."""
        return self.stored if case.map is None else self.made

    def _input(
        self, view: View, images: ImageSource, is_labelled: bool, generator: np.random.Generator
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """What the network gets of a view: its intensities varied and its positions added; the points of the loss, and
        the values ([maps,] P) there. Of a scan without labels the points lie where those of a labelled one would.
        """
        foreground, target = view.foreground, view.target
        view = self._with_lesions(view, generator)
        image = images.image(view, self.config.augmentation.intensity, generator)
        labels = target if target.ndim == 3 else target[0]
        known = labels if is_labelled else torch.zeros_like(labels)
        points, _ = draw_points(known, (view.share > RIM) | (labels > 0), self.config.data.points, generator)
        i, j, k = points.unbind(1)
        if self.config.network.position:
            image = torch.cat([image, position_channels(foreground).to(self.device)])
        return image, points, target[..., k, j, i]

    def _ageing_of(self, case: Case, generator: np.random.Generator) -> torch.Tensor | None:
        """How a case is deformed to look older, None of one that stays as it is."""
        s = self.config.augmentation
        drawn = drawn_ageing(s.ageing, s.wider_mm, s.thinner_mm, generator)
        return None if drawn is None else self.ageing.displacement(case, *drawn).to(self.device)

    def _flipped(self, case: Case) -> bool | None:
        """False for a case of a protocol that is not flipped; None leaves it to chance."""
        own = len(self.code.tree.protocols) == 1 or not bool(case.annotated[1:].any())
        is_free = own or any(bool(case.annotated[part.start + 1 : part.stop].any()) for part in self._flippable)
        return None if is_free else False

    def _with_lesions(self, view: View, generator: np.random.Generator) -> View:
        """What a sample sees, for a share of them with lesions."""
        share = self.config.augmentation.lesions
        if not share or generator.random() >= share:
            return view
        labels = view.target if view.target.ndim == 3 else view.target[0]
        tissue = self.ill.to(labels.device)[labels.clamp_min(0)] & (labels > 0) & view.foreground
        return view._replace(image=with_lesions(view.image, tissue, self.config.input.spacing, generator))

    def _metadata(self, known: torch.Tensor, generator: np.random.Generator) -> torch.Tensor:
        """Metadata (fields,), each field unknown now and then."""
        dropped = torch.from_numpy(generator.random(known.shape[0]) < self.config.field_dropout)
        return torch.where(dropped, torch.full_like(known, torch.nan), known).to(self.device)

    def _places_in(self, case: Case) -> list[np.ndarray]:
        if case.name not in self._places:
            self._places[case.name] = places_of_labels(case.target)
        return self._places[case.name]


def _check_pairs(cases: Sequence[Case], taught: Sequence[Case], patch: Sequence[int]) -> None:
    """SystemExit where scans cannot be each other's atlas; taught ones are none."""
    if len(cases) < 2:
        raise SystemExit("objective.prompts takes another scan as the atlas: it needs two cases for training at least.")
    everyone = (*cases, *taught)
    large = next((case for case in everyone if any(n > p for n, p in zip(case.target.shape, patch, strict=True))), None)
    if large is not None:
        raise SystemExit(
            f"objective.prompts takes an example from the whole atlas, but case {large.name} has"
            f" {list(large.target.shape)} voxels and data.patch is {list(patch)}; enlarge it."
        )


class StepBatches(Sampler[list[int]]):
    """The sample numbers of every step that this process makes: process r of n takes its part of each step's batch, so
    that n processes see what one would.
    """

    def __init__(self, batch: int, rank: int = 0, processes: int = 1, steps: range = range(0)) -> None:
        if batch % processes:
            raise SystemExit(
                f"optimizer.batch is {batch} and cannot be divided among {processes} processes; make it a multiple of"
                f" {processes}."
            )
        self.steps = steps
        self.batch = batch
        self.own = batch // processes
        self.rank = rank

    def __iter__(self) -> Iterator[list[int]]:
        for step in self.steps:
            start = step * self.batch + self.rank * self.own
            yield list(range(start, start + self.own))

    def __len__(self) -> int:
        return len(self.steps)


def draw_centre(
    shape: Sequence[int], patch: Sequence[int], places: Callable[[], list[np.ndarray]], generator: np.random.Generator
) -> tuple[float, float, float]:
    """Where the patch's centre lies from the scan's, in voxels (i, j, k): 0 along axes where the scan fits into the
    patch.

    Elsewhere half of the patches have their centre at a voxel of a label, drawn evenly whatever the label's size; the
    others lie anywhere in the scan. shape and patch (k, j, i); places: see `places_of_labels`, called only where the
    scan is larger than the patch.
    """
    size = np.array(shape)
    room = np.maximum(size - np.array(patch), 0) / 2
    if not room.any():
        return 0.0, 0.0, 0.0
    labels = places()
    if labels and generator.random() < LABELLED_CENTRES:
        label = labels[int(generator.integers(len(labels)))]
        centre = np.clip(label[int(generator.integers(len(label)))] + 0.5 - size / 2, -room, room)
    else:
        centre = generator.uniform(-room, room)
    k, j, i = (float(c) for c in centre)
    return i, j, k


def places_of_labels(target: torch.Tensor, most: int = 200) -> list[np.ndarray]:
    """target (k, j, i) -> for every label that is present, some of its voxels (n, 3) in (k, j, i)."""
    flat = target.numpy().reshape(-1)
    order = np.flatnonzero(flat > 0)
    order = order[np.argsort(flat[order], kind="stable")]
    _, starts = np.unique(flat[order], return_index=True)
    parts = np.split(order, starts[1:]) if len(order) else []
    return [
        np.stack(np.unravel_index(part[:: max(1, len(part) // most)], tuple(target.shape)), axis=1) for part in parts
    ]


def draw_points(
    target: torch.Tensor, region: torch.Tensor, count: int, generator: np.random.Generator, outside: float = 0.05
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw the voxels where the loss is taken: evenly over `region` (the scan's foreground), a share of them from the
    background outside, never unknown ones.

    Evenly, so that classes come as often as they are: a background drawn less often than that is found too rarely, and
    every structure beside it grows too large. target and region (k, j, i); count 0: all voxels, unknown ones too.
    Returns the voxels (count, 3) as (i, j, k), and their targets (count,).
    """
    flat = target.reshape(-1)
    if count:
        known, near = flat != IGNORE, region.reshape(-1)
        inside, rest = (known & near).nonzero()[:, 0], (known & ~near).nonzero()[:, 0]
        few = 0 if not len(rest) else count if not len(inside) else int(count * outside)
        parts = [
            part[torch.from_numpy(generator.integers(len(part), size=n)).to(part.device)]
            for part, n in ((inside, count - few), (rest, few))
            if n and len(part)
        ]
        chosen = (
            torch.cat(parts) if parts else torch.zeros(count, dtype=torch.long, device=flat.device)
        )  # nothing is known: targets to ignore
    else:
        chosen = torch.arange(len(flat), device=flat.device)
    return torch.stack(torch.unravel_index(chosen, target.shape)[::-1], dim=1), flat[chosen]


def draw_labels(
    annotated: torch.Tensor, members: torch.Tensor, count: int, unions: float, generator: np.random.Generator
) -> torch.Tensor:
    """The labels that a sample with an annotated label asks for: (count, K) bool, a row the classes of one label.

    Drawn evenly among the annotated classes, whatever their size and whether or not they are in the scan; a share
    `unions` of the rows are unions: half of them of two classes, half of them parents whose classes were all annotated.
    """
    classes = np.flatnonzero(annotated.numpy()[1:]) + 1
    queries = torch.zeros(count, len(annotated), dtype=torch.bool)
    if not len(classes):  # a scan without labels
        return queries
    parents = members[(annotated | ~members).all(1)]
    drawn = generator.permutation(classes)[:count] if len(classes) >= count else generator.choice(classes, count)
    for row, cls in zip(queries, drawn, strict=True):
        row[int(cls)] = True
        if generator.random() < unions:
            if len(parents) and generator.random() < 0.5:
                row[:] = parents[int(generator.integers(len(parents)))]
            else:
                row[int(generator.choice(classes))] = True
    return queries
