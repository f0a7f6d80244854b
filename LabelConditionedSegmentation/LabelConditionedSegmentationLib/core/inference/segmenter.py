"""Segmenter: a loaded model package on a device, ready to be asked again and again."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar

import numpy as np
import torch

from ..errors import InputError
from ..examples.example_fit import draw_voxels, features_at, fit, in_layers
from ..examples.example_prompt import ExamplePrompt
from ..examples.painted_examples import Example, is_seen, pooled_over, shares_on
from ..findings import Finding
from ..network.model import LabelConditionedNetwork
from ..package.model_package import ModelPackage
from ..progress import CancelToken, Progress, ProgressCallback
from ..scan.geometry import Grid
from ..scan.input_statistics import check_input
from ..scan.metadata import MetadataSchema
from ..scan.preprocessing import NetworkInput, prepare
from ..scan.scan_checks import check_volume
from ..scan.volume import Array, Volume
from .devices import choose_device, describe_device
from .features import Features, Prompts, WinnerMap, resolve_labels
from .memory_ladder import MemoryPlan, down_the_ladder, peak_memory_mb
from .report import RunReport
from .result import Result
from .windows import FeatureSlab, feature_slabs, plan_windows

T = TypeVar("T")

FEATURE_BUDGET = 2 * 2**30
"""Bytes of features that are kept with a scan; beyond that only the winner map is."""

EXAMPLE_BUDGET = 16 * 2**30
"""The same where labels by example need them: for an atlas, whose features are dropped as soon as its prompts are made,
and for scans that are to be asked for them.

It is the same wherever they can be asked for, so that a scan which one door answers is not refused at another one.
"""

WINDOW_OVERLAP = 0.5

READ, NETWORK = 0.05, 0.8
"""Where the stages of a run end, as fractions of the whole."""


class Segmenter:
    """A model on a device. It keeps nothing of the scans it saw; what is worth keeping is in the Features it returns.

    plan: the rung of the memory ladder that a scan is on; every scan starts from the top.
    """

    def __init__(
        self,
        package: ModelPackage,
        network: LabelConditionedNetwork,
        device: torch.device,
        feature_budget: int = FEATURE_BUDGET,
        feature_dtype: torch.dtype = torch.float16,
    ) -> None:
        """feature_budget: bytes of features to keep. feature_dtype: how they are kept and scored; half precision is
        enough for labels.
        """
        self.package = package
        self.feature_budget = feature_budget
        self.feature_dtype = feature_dtype
        self.network = network.eval()
        self.plan = MemoryPlan.first(device)
        self._place(device)

    @staticmethod
    def from_package(
        path: str | os.PathLike[str], device: str = "auto", feature_budget: int = FEATURE_BUDGET
    ) -> Segmenter:
        """Load a package. Raises PackageError or DeviceError."""
        where = choose_device(device)
        package = ModelPackage.load(path)
        return Segmenter(package, package.build_network(), where, feature_budget)

    def segment(
        self,
        volume: Volume,
        labels: Sequence[str] | str | None = None,
        metadata: Mapping[str, Any] | None = None,
        progress: ProgressCallback | None = None,
        cancel: CancelToken | None = None,
        not_a_label_map: bool = False,
    ) -> Result:
        """Segment a scan: the network once, then the labels. Arguments as in `features` and `Features.segment`."""
        resolve_labels(self.package.labels, labels)  # a mistyped name is told before the network runs
        steps = Progress(progress, cancel)

        def on_network(done: float, text: str) -> None:
            steps.update(0.0, NETWORK, done, text)

        found = self.features(volume, metadata, on_network, cancel, not_a_label_map)
        return found.segment(labels, lambda done, text: steps.update(NETWORK, 1.0, done, text), cancel)

    def features(
        self,
        volume: Volume,
        metadata: Mapping[str, Any] | None = None,
        progress: ProgressCallback | None = None,
        cancel: CancelToken | None = None,
        not_a_label_map: bool = False,
    ) -> Features:
        """Run the network once over a scan.

        volume: as many channels as the model has. metadata: field -> value; what is left out is unknown.
        not_a_label_map: it is a scan even where it looks like a label map, which is refused otherwise. Raises
        InputError, MetadataError, DeviceError or Cancelled.
        """
        steps = Progress(progress, cancel)
        steps.update(0.0, 1.0, 0.0, "checking the scan")
        prepared, encoded, report = self._prepared(volume, metadata, not_a_label_map)
        steps.update(0.0, READ, 1.0, "running the network")
        with self._from_the_top():
            return self._found(volume, prepared, encoded, report, steps, self.feature_budget)

    def _prepared(
        self, volume: Volume, metadata: Mapping[str, Any] | None, not_a_label_map: bool
    ) -> tuple[NetworkInput, torch.Tensor, RunReport]:
        """A checked scan as the network sees it, its metadata (1, fields), and a report that holds what was noticed.

        Raises InputError or MetadataError.
        """
        parsed, findings = self.package.metadata.parse(metadata)
        findings += check_volume(volume, self.package.input, not_a_label_map)
        _raise_errors(findings)
        report = RunReport(
            self.package.name,
            self.package.weights_sha256,
            describe_device(self.plan.device),
            dict(parsed),
            _describe(volume),
        )
        report.findings = findings
        with report.timed("preparing"):
            architecture = self.package.architecture
            prepared = prepare(volume, self.package.input, architecture.multiple, architecture.position)
            findings += check_input(prepared, self.package)
        return prepared, torch.from_numpy(self.package.metadata.encode(parsed))[None], report

    def _found(
        self,
        volume: Volume,
        prepared: NetworkInput,
        metadata: torch.Tensor,
        report: RunReport,
        steps: Progress,
        budget: int,
    ) -> Features:
        """The network over a prepared scan; features of up to `budget` bytes are kept."""
        stored, winners = self._with_ladder(
            report, lambda: self._run(volume, prepared, metadata, steps, report, budget)
        )
        report.peak_memory_mb = peak_memory_mb(self.plan.device)
        steps.update(0.0, 1.0, 1.0, "network done")
        return Features(
            self.package.labels,
            self._prompts(),
            Grid.of(volume),
            prepared.region,
            prepared.grid.coarser(self.package.architecture.output_stride),
            self.plan,
            report,
            stored,
            winners,
            nifti_place=volume.nifti_place,
        )

    def examples(
        self,
        atlas: Volume,
        shown: Iterable[Example],
        metadata: Mapping[str, Any] | None = None,
        progress: ProgressCallback | None = None,
        cancel: CancelToken | None = None,
        pooled: bool = False,
        not_a_label_map: bool = False,
    ) -> list[ExamplePrompt]:
        """What structures that were painted on an atlas become for this model: one run of the network over the whole
        atlas, for any number of them.

        The prompts work on the features of any scan (`Features.by_example`). metadata, not_a_label_map: of the atlas,
        as in `features`. They are fitted to the atlas's own features (see `core.example_fit`), the structures against
        each other where they do not overlap; pooled: they are what the network makes of the means of its features under
        each mask instead, which needs a network that was trained for it. Raises InputError where the model cannot be
        shown examples, or the atlas or a mask cannot be used; MetadataError, DeviceError or Cancelled.
        """
        self.package.require_examples(pooled)
        steps = Progress(progress, cancel)
        steps.update(0.0, 1.0, 0.0, "checking the atlas")
        prepared, encoded, report = self._prepared(atlas, metadata, not_a_label_map)
        stride = self.package.architecture.output_stride
        names, volumes, masks, shares = [], [], [], []
        for example in shown:
            names.append(example.name)
            volumes.append(int(np.count_nonzero(example.mask)) * atlas.voxel_millilitres)
            shares.append(shares_on(Grid.of(atlas), prepared, example.mask, stride))
            masks.append(np.packbits(example.mask))
            if not is_seen(shares[-1], prepared, stride):
                raise InputError(
                    f'The mask of "{example.name}" lies outside of what the model sees of its scan, which is all but'
                    " the background; give the scan that it was painted on."
                )
        if not names:
            raise InputError("No structure was shown; give at least one mask.")
        steps.update(0.0, READ, 1.0, "running the network")

        def on_network(done: float, text: str) -> None:
            steps.update(READ, NETWORK, done, text)

        with self._from_the_top():
            if pooled:
                vectors, bias = self._with_ladder(report, lambda: self._show(prepared, shares, encoded, steps))
            else:
                features = self._found(atlas, prepared, encoded, report, Progress(on_network, cancel), EXAMPLE_BUDGET)
                vectors, bias = features.with_ladder(lambda: self._fit(atlas, features, masks, steps, cancel))
        steps.update(0.0, 1.0, 1.0, "example done")
        known = {
            "grid": report.grid,
            "metadata": {key: value for key, value in report.metadata.items() if value is not None},
            "date": datetime.now(UTC).date().isoformat(),
            **({"findings": [finding.to_json() for finding in report.findings]} if report.findings else {}),
        }
        return [
            ExamplePrompt(
                name,
                tuple(vector.tolist()),
                float(offset),
                self.package.name,
                self.package.weights_sha256,
                examples=({"millilitres": round(volume, 4), **known},),
            )
            for name, volume, vector, offset in zip(names, volumes, vectors, bias, strict=True)
        ]

    def _fit(
        self, atlas: Volume, features: Features, masks: Sequence[Array], steps: Progress, cancel: CancelToken | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Vectors and bias of packed masks, fitted to the features of the atlas."""
        stored = features.kept("learn from an example on it")
        (k0, j0, i0), (k1, j1, i1) = features.region
        seen = np.zeros(atlas.shape, dtype=bool)
        seen[k0:k1, j0:j1, i0:i1] = True
        layers = in_layers(np.unpackbits(mask, count=seen.size).reshape(seen.shape).view(bool) for mask in masks)
        vectors, bias = torch.zeros(len(masks), stored.shape[3]), torch.zeros(len(masks))
        for n, (members, target) in enumerate(layers):
            voxels, counts = draw_voxels(target, seen, np.random.default_rng(0))
            found = features_at(stored, Grid.of(atlas).to(features.feature_grid), voxels)
            truth = torch.from_numpy(target[tuple(voxels.T)].astype(np.int64)).to(stored.device)

            def on_round(done: float, text: str, before: int = n) -> None:
                steps.update(NETWORK, 1.0, (before + done) / len(layers), text)

            part = Progress(on_round, cancel)
            fitted = fit(found, truth, torch.from_numpy(counts).to(stored.device, torch.float32), part)
            vectors[members], bias[members] = (values.cpu() for values in fitted)
        return vectors, bias

    def _show(
        self, prepared: NetworkInput, shares: Sequence[torch.Tensor], metadata: torch.Tensor, steps: Progress
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Vectors and bias of masks on a prepared atlas; with flips, those of the mirrored masks on the mirrored atlas
        beside them, as `_prompts` has them.
        """
        assert self.network.examples is not None
        windows = plan_windows(
            prepared.grid.shape, self.package.patch, WINDOW_OVERLAP, self.package.architecture.output_stride
        )
        views = [(prepared.image, shares)]
        if self.package.flip:
            views.append((self._mirrored(prepared.image), [share.flip(-1) for share in shares]))
        found = []
        for n, (image, masks) in enumerate(views):

            def on_window(done: int, before: int = n) -> None:
                steps.update(
                    READ, 1.0, (before + done / windows.count) / len(views), f"atlas, patch {done} of {windows.count}"
                )

            pooled = pooled_over(self.network, image, masks, metadata.to(self.plan.device), windows, on_window)
            with torch.inference_mode():
                found.append(self.network.examples(pooled))
        vectors, bias = torch.cat([v for v, _ in found], dim=1) / len(found), sum(b for _, b in found) / len(found)
        return vectors.cpu(), torch.as_tensor(bias).cpu()

    def _mirrored(self, image: torch.Tensor) -> torch.Tensor:
        """([batch,] channel, k, j, i), left and right exchanged."""
        mirrored = image.flip(-1)
        if self.package.architecture.position:
            mirrored[..., self.package.architecture.in_channels, :, :, :] *= -1  # right is left now
        return mirrored

    def _run(
        self,
        volume: Volume,
        prepared: NetworkInput,
        metadata: torch.Tensor,
        steps: Progress,
        report: RunReport,
        budget: int,
    ) -> tuple[torch.Tensor | None, Array | None]:
        """The trunk over all windows -> the stored features or, where they exceed the budget, the winner map."""
        stride = self.package.architecture.output_stride
        feature_grid = prepared.grid.coarser(stride)
        target = Grid.of(volume).box(*prepared.region)
        windows = plan_windows(prepared.grid.shape, self.package.patch, WINDOW_OVERLAP, stride)
        axis = WinnerMap.streaming_axis(feature_grid, target)
        prompts = self._prompts()
        channels = prompts.vectors.shape[1]
        size = (
            channels
            * feature_grid.shape[0]
            * feature_grid.shape[1]
            * feature_grid.shape[2]
            * self.feature_dtype.itemsize
        )
        keep = size <= budget
        stored = (
            torch.empty(*feature_grid.shape, channels, dtype=self.feature_dtype, device=self.plan.accumulate_on)
            if keep
            else None
        )
        reducer = None if keep else WinnerMap(feature_grid, target, axis, prompts, self.plan.chunk)
        report.trunk_passes = 0

        def on_window(done: int) -> None:
            report.trunk_passes = done
            steps.update(READ, 1.0, done / windows.count, f"network, patch {done} of {windows.count}")

        with report.timed("network"), torch.inference_mode():
            slabs = feature_slabs(
                prepared.image,
                lambda patches: self._trunk(patches, metadata),
                windows,
                axis,
                self.plan.device,
                self.plan.batch,
                self.plan.accumulate_on,
                on_window,
            )
            for slab in slabs:
                if stored is not None:
                    stored.narrow(axis, slab.start, slab.stop - slab.start).copy_(slab.values)
                elif reducer is not None:
                    reducer.add(FeatureSlab(slab.start, slab.stop, slab.values.to(self.feature_dtype)))
                steps.update(READ, 1.0, slab.stop / feature_grid.shape[axis], "network")
        return stored, None if reducer is None else reducer.winners

    def _trunk(self, patches: torch.Tensor, metadata: torch.Tensor) -> torch.Tensor:
        """(batch, channel, k, j, i) -> features (batch, C or 2C, k, j, i); with flips the mirrored scan's features are
        channels of their own.
        """
        patches = patches.to(memory_format=torch.channels_last_3d)
        known = metadata.to(patches.device).expand(patches.shape[0], -1)
        features = self.network.features(patches, known)
        if self.package.flip:
            features = torch.cat([features, self.network.features(self._mirrored(patches), known).flip(-1)], dim=1)
        return features

    def _prompts(self) -> Prompts:
        """Prompts and bias on the device where features are gathered; with flips, those of the mirrored structures
        beside them.
        """
        where = self.plan.accumulate_on
        vectors, bias = self.network.prompts.detach(), self.network.bias.detach()
        if self.package.flip:
            other = [
                *self.package.labels.mirrored_classes,
                *range(self.network.classes, len(bias)),
            ]  # context has no sides
            vectors, bias = torch.cat([vectors, vectors[other]], dim=1) / 2, (bias + bias[other]) / 2
        return Prompts(vectors.to(where), bias.to(where), self.package.architecture.context_classes)

    def _place(self, device: torch.device) -> None:
        self.network.to(device)
        self.network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]

    @contextmanager
    def _from_the_top(self) -> Iterator[None]:
        """For one scan, which may go down the memory ladder: the next one has no part in what was short here."""
        top = self.plan
        try:
            yield
        finally:
            self.plan = top

    def _with_ladder(self, report: RunReport, run: Callable[[], T]) -> T:
        """Run the network where the plan has it; where memory runs out, with a smaller plan. Raises DeviceError."""

        def placed() -> T:
            self._place(self.plan.device)
            return run()

        def take(plan: MemoryPlan, what: str) -> None:
            self.plan = plan
            report.fallbacks.append(what)
            report.device = describe_device(plan.device)

        return down_the_ladder(self.plan, take, placed)

    @property
    def metadata_schema(self) -> MetadataSchema:
        """What can be told to this model about a scan."""
        return self.package.metadata


def _raise_errors(findings: Sequence[Finding]) -> None:
    errors = [str(finding) for finding in findings if finding.level == "error"]
    if errors:
        raise InputError(" ".join(errors))


def _describe(volume: Volume) -> dict[str, Any]:
    return {
        "shape_kji": list(volume.shape),
        "spacing_mm": [round(s, 4) for s in volume.spacing],
        "affine_ijk_to_ras": volume.affine.round(6).tolist(),
    }
