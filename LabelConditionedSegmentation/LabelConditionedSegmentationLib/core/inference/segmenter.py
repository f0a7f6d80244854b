"""Segmenter: a loaded model package on a device, ready to be asked again and again."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import torch

from ..errors import InputError
from ..examples.example_prompt import ExamplePrompt
from ..examples.painted_examples import Example
from ..findings import Finding
from ..network.model import LabelConditionedNetwork
from ..package.model_package import ModelPackage
from ..progress import CancelToken, Progress, ProgressCallback
from ..scan.geometry import Grid
from ..scan.input_statistics import check_input
from ..scan.metadata import MetadataSchema
from ..scan.preprocessing import NetworkInput, prepare
from ..scan.scan_checks import check_volume
from ..scan.volume import Volume
from .devices import choose_device, describe_device
from .example_learning import fitted_prompts, named_prompts, pooled_prompts, shown_on
from .features import Features, resolve_labels
from .layered_features import LayeredFeatures
from .memory_ladder import MemoryPlan, peak_memory_mb
from .network_pass import Gathered, NetworkPass
from .report import RunReport
from .result import Result

T = TypeVar("T")

FEATURE_BUDGET = 2 * 2**30
"""Bytes of features that are kept with a scan; beyond that only the winner map is."""

EXAMPLE_BUDGET = 16 * 2**30
"""The same where labels by example need them: for an atlas, whose features are dropped as soon as its prompts are made,
and for scans that are to be asked for them.

It is the same wherever they can be asked for, so that a scan which one door answers is not refused at another one.
"""

READ, NETWORK = 0.05, 0.8
"""Where the stages of a run end, as fractions of the whole."""


class Segmenter:
    """A model on a device: a package, and the network pass that runs it over prepared scans. It keeps nothing of them;
    what is worth keeping is in the Features it returns.
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
        labels = package.labels
        self.network_pass = NetworkPass(
            network.eval(),
            device,
            package.patch,
            labels.mirrored_classes if package.flip else None,
            class_slices=tuple(labels.class_slices.values()) if len(labels.protocols) > 1 else (slice(None),),
        )
        self.network_pass.place()

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
        resolve_labels(self.package.labels, labels)  # a mistyped name is refused before the network runs
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
        with self.network_pass.from_the_top():
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
            findings += check_input(prepared, self.package.statistics, self.package.advice)
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
        target = Grid.of(volume).box(*prepared.region)

        def gather() -> Gathered:
            with report.timed("network"):
                return self.network_pass.gather(
                    prepared,
                    metadata,
                    target,
                    budget,
                    self.feature_dtype,
                    lambda done, text: steps.update(READ, 1.0, done, text),
                )

        found = self._with_ladder(report, gather)
        report.trunk_passes = found.passes
        report.peak_memory_mb = peak_memory_mb(self.plan.device)
        steps.update(0.0, 1.0, 1.0, "network done")
        features = Features(
            self.package.labels,
            self.network_pass.prompts,
            Grid.of(volume),
            prepared.region,
            prepared.grid.coarser(self.network_pass.stride),
            self.plan,
            report,
            found.stored,
            found.winners[0] if found.winners else None,
            nifti_place=volume.nifti_place,
        )
        return LayeredFeatures(features, found.winners) if len(self.package.labels.protocols) > 1 else features

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
        structures = shown_on(atlas, prepared, self.network_pass.stride, shown)
        steps.update(0.0, READ, 1.0, "running the network")
        network_steps = Progress(lambda done, text: steps.update(READ, NETWORK, done, text), cancel)
        with self.network_pass.from_the_top():
            if pooled:
                vectors, bias = self._with_ladder(
                    report, lambda: pooled_prompts(self.network_pass, prepared, structures, encoded, steps, READ)
                )
            else:
                features = self._found(atlas, prepared, encoded, report, network_steps, EXAMPLE_BUDGET)
                vectors, bias = features.with_ladder(
                    lambda: fitted_prompts(atlas, features, structures, steps, NETWORK, cancel)
                )
        steps.update(0.0, 1.0, 1.0, "example done")
        return named_prompts(self.package, structures, vectors, bias, report)

    def _with_ladder(self, report: RunReport, run: Callable[[], T]) -> T:
        """Run the network; where memory runs out, with a smaller plan, which the report says. Raises DeviceError."""

        def on_fallback(what: str) -> None:
            report.fallbacks.append(what)
            report.device = describe_device(self.plan.device)

        return self.network_pass.with_ladder(run, on_fallback)

    @property
    def network(self) -> LabelConditionedNetwork:
        """The network, in evaluation mode."""
        return self.network_pass.network

    @property
    def plan(self) -> MemoryPlan:
        """The rung of the memory ladder that the scan at hand is on; between scans the highest."""
        return self.network_pass.plan

    @property
    def metadata_schema(self) -> MetadataSchema:
        """What this model can use of what is known about a scan."""
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
