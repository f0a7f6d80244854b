"""Segmenter: a loaded model package on a device, ready to be asked again and again."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Self, TypeVar

import torch

from ..adaptation.adapters import Adaptation
from ..errors import InputError
from ..examples.example_prompt import ExamplePrompt
from ..examples.painted_examples import Example
from ..findings import Finding
from ..labels.label_tree import Label
from ..network.ensemble import Ensemble
from ..network.model import LabelConditionedNetwork
from ..package.model_package import ModelPackage
from ..package.needed import needed_package
from ..package.package_ensemble import ensemble_of
from ..progress import CancelToken, Progress, ProgressCallback
from ..scan.geometry import Grid
from ..scan.input_spec import Inside
from ..scan.input_statistics import check_input
from ..scan.metadata import MetadataSchema
from ..scan.preprocessing import NetworkInput, prepare
from ..scan.scan_checks import check_volume
from ..scan.stripped import Stripped
from ..scan.volume import Array, Volume
from .adapted_pass import FEATURE_DISTANCE, adapted_pass
from .answer_checks import check_answer, measures_of, oddness_of, tally_of
from .devices import choose_device, describe_device
from .example_learning import fitted_prompts, named_prompts, pooled_prompts, shown_on
from .features import Features, resolve_labels
from .finder import Finder, found_at_once
from .focus import focused
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

READ, FOUND, NETWORK = 0.05, 0.15, 0.8
"""Where the stages of a run end, as fractions of the whole."""

ADAPTED = 0.6
"""Where an adaptation ends, as a fraction of what comes before the labels."""


class Segmenter:
    """A model on a device, to be asked again and again: a package, and the network pass that runs it over scans.

    It keeps nothing of the scans; what is worth keeping is in the `Features` it returns. As a context manager it frees
    the network, and the GPU memory that it takes, at the end.

    Examples:
        >>> from LabelConditionedSegmentationLib import Segmenter, read_volume
        >>> with Segmenter.from_package("Resources/Models/brain") as segmenter:
        ...     result = segmenter.segment(read_volume("scan.nii.gz"), ["Left Hippocampus"], {"age": 31})
        >>> result.save("hippocampus.nii.gz")
    """

    def __init__(
        self,
        package: ModelPackage,
        network: LabelConditionedNetwork,
        device: torch.device,
        feature_budget: int = FEATURE_BUDGET,
        feature_dtype: torch.dtype = torch.float16,
        needed: ModelPackage | None = None,
    ) -> None:
        """feature_budget: bytes of features to keep. feature_dtype: how they are kept and scored; half precision is
        enough for labels. needed: the package that finds what this one looks inside of (see `needed_package`); it is
        built when a scan needs it.
        """
        self.package = package
        self._needed = needed
        self.feature_budget = feature_budget
        self.feature_dtype = feature_dtype
        self._finder: Finder | None = None
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
        """Load a model package.

        Args:
            path: A package: a folder, or a zip that holds one.
            device: "auto" (an NVIDIA GPU, else an Apple GPU, else the CPU), "cpu", "cuda", "cuda:0" or "mps".
            feature_budget: Bytes of features that are kept with a scan. Beyond that only the winner map is, and what
                probabilities were asked for when the network ran.

        Returns:
            The segmenter, on its device.

        Raises:
            PackageError: The package, or one that it needs, is not there, damaged, or of a newer format.
            DeviceError: The device is not there.

        Examples:
            >>> segmenter = Segmenter.from_package("Resources/Models/brain", device="cpu")
            >>> len(segmenter.package.labels.leaves) > 20
            True
        """
        return Segmenter.from_packages([path], device, feature_budget)

    @staticmethod
    def from_packages(
        paths: Sequence[str | os.PathLike[str]], device: str = "auto", feature_budget: int = FEATURE_BUDGET
    ) -> Segmenter:
        """Load model packages that answer together, such as the folds of a cross-validation: their scores are averaged.

        A scan takes as many passes of a network, and features as much memory, as there are packages.

        Args:
            paths: Packages of the same labels, input, metadata and architecture.
            device: As in `from_package`.
            feature_budget: As in `from_package`, of all together.

        Returns:
            The segmenter, on its device. Findings about scans come from the first package.

        Raises:
            PackageError: A package is not there or damaged, or they do not fit together.
            DeviceError: The device is not there.

        Examples:
            >>> folds = [f"runs/fold_{n}/package" for n in range(5)]
            >>> segmenter = Segmenter.from_packages(folds)
        """
        where = choose_device(device)
        packages = [ModelPackage.load(path) for path in paths]
        together = ensemble_of(packages)
        networks = [package.build_network() for package in packages]
        network = networks[0] if len(networks) == 1 else Ensemble(networks)
        return Segmenter(together, network, where, feature_budget, needed=needed_package(packages[0]))

    def close(self) -> None:
        """Free the network, and the GPU memory that it takes. Features that were found can still be asked.

        Examples:
            >>> segmenter = Segmenter.from_package("Resources/Models/brain")
            >>> segmenter.close()
        """
        self.network.to("meta")
        if self._finder is not None:
            self._finder.segmenter.close()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def segment(
        self,
        volume: Volume,
        labels: Sequence[str] | str | None = None,
        metadata: Mapping[str, Any] | None = None,
        progress: ProgressCallback | None = None,
        cancel: CancelToken | None = None,
        not_a_label_map: bool = False,
        probabilities: Sequence[str] | str | None = None,
        stripped: str = Stripped.AUTO,
        adaptation: Adaptation | None = None,
    ) -> Result:
        """Segment a scan: the network once, then the labels.

        All leaves and the background compete always, so the mask of a label does not depend on which others were asked
        for.

        Args:
            volume: The scan, with as many channels as the model has.
            labels: Names, synonyms or ids of labels; None or "all" means every leaf. A structure with parts is their
                union.
            metadata: What is known about the scan: field -> value, such as {"age": 31, "sex": "F"}; what is left out is
                unknown.
            progress: Gets the fraction that is done, which rises to 1, and what goes on.
            cancel: Ends the run within one patch when it is cancelled.
            not_a_label_map: It is a scan even where it looks like a label map, which is refused otherwise.
            probabilities: Labels whose probability maps are wanted too, as `labels`.
            stripped: Of a model that looks inside of a label: "yes", the scan shows nothing else; "no", the label is
                found first; "auto", whichever it is.
            adaptation: How a copy of the network is adapted to the scan first; None, the network answers as it is.

        Returns:
            The segmentation on the grid of the scan; with `probabilities`, where they were asked for.

        Raises:
            InputError: The scan cannot be used.
            LabelError: The model does not know a label.
            MetadataError: The model does not know a field, or the value is not possible.
            DeviceError: The memory of this machine is not enough.
            Cancelled: It was cancelled.

        Examples:
            >>> segmenter = Segmenter.from_package("Resources/Models/brain")
            >>> result = segmenter.segment(read_volume("scan.nii.gz"), probabilities=["Left Hippocampus"])
            >>> result.probabilities.save("left_probability.nii.gz")
        """
        resolve_labels(self.package.labels, labels)  # a mistyped name is refused before the network runs
        steps = Progress(progress, cancel)

        def on_network(done: float, text: str) -> None:
            steps.update(0.0, NETWORK, done, text)

        def on_labels(done: float, text: str) -> None:
            steps.update(NETWORK, 1.0, done, text)

        found = self.features(
            volume, metadata, on_network, cancel, not_a_label_map, probabilities, stripped, adaptation
        )
        if probabilities is None:
            return found.segment(labels, on_labels, cancel)
        maps = found.probabilities(probabilities, None, cancel)
        return replace(found.segment(labels, on_labels, cancel), probabilities=maps)

    def features(
        self,
        volume: Volume,
        metadata: Mapping[str, Any] | None = None,
        progress: ProgressCallback | None = None,
        cancel: CancelToken | None = None,
        not_a_label_map: bool = False,
        probabilities: Sequence[str] | str | None = None,
        stripped: str = Stripped.AUTO,
        adaptation: Adaptation | None = None,
    ) -> Features:
        """Run the network once over a scan; what it found can be asked for labels any number of times.

        Args:
            volume: The scan, with as many channels as the model has.
            metadata: What is known about the scan: field -> value; what is left out is unknown.
            progress: Gets the fraction that is done, which rises to 1, and what goes on.
            cancel: Ends the run within one patch when it is cancelled.
            not_a_label_map: It is a scan even where it looks like a label map, which is refused otherwise.
            probabilities: Labels whose probability maps are going to be asked for. They are made while the network runs
                where the features of a scan are too large to be kept.
            stripped: As in `segment`.
            adaptation: How a copy of the network is adapted to the scan first; the report says what became of it. The
                network itself stays as it is, so the next scan starts from it again. None: it answers as it is.

        Returns:
            What the network found.

        Raises:
            InputError: The scan cannot be used.
            LabelError: The model does not know a label.
            MetadataError: The model does not know a field, or the value is not possible.
            DeviceError: The memory of this machine is not enough.
            Cancelled: It was cancelled.

        Examples:
            >>> segmenter = Segmenter.from_package("Resources/Models/brain")
            >>> features = segmenter.features(read_volume("scan.nii.gz"), {"age": 31})
            >>> left = features.segment(["Left Hippocampus"])
            >>> right = features.segment(["Right Hippocampus"])
        """
        steps = Progress(progress, cancel)
        steps.update(0.0, 1.0, 0.0, "checking the scan")
        wanted = [] if probabilities is None else resolve_labels(self.package.labels, probabilities)
        if adaptation is not None:
            adaptation.check(self.package)
        prepared, encoded, report = self.prepared(volume, metadata, not_a_label_map, stripped, steps)
        steps.update(0.0, self._start, 1.0, "running the network")
        with self.network_pass.from_the_top():
            network_pass, start = self.network_pass, self._start
            if adaptation is not None:
                network_pass, start = self._adapted(prepared, adaptation, report, steps), ADAPTED
            return self._found(
                volume, prepared, encoded, report, steps, self.feature_budget, wanted, network_pass, start
            )

    def _adapted(
        self, prepared: NetworkInput, adaptation: Adaptation, report: RunReport, steps: Progress
    ) -> NetworkPass:
        """The pass with a network that was adapted to a prepared scan, as the report says; or the pass as it is."""
        stored = self.package.feature_statistics() if adaptation.adapter != "none" else {}
        if not stored:
            return self.network_pass
        usual = tuple(self.package.statistics.get(FEATURE_DISTANCE, ()))

        def on_progress(done: float) -> None:
            steps.update(self._start, ADAPTED, done, "adapting to this scan")

        with report.timed("adapting"):
            network_pass, outcome = self._with_ladder(
                report,
                lambda: adapted_pass(
                    *(self.network_pass, prepared.image, prepared.foreground, stored, adaptation, usual, on_progress)
                ),
            )
        report.adaptation = outcome.to_json()
        report.findings.append(Finding.note(str(outcome)))
        return network_pass

    def prepared(
        self,
        volume: Volume,
        metadata: Mapping[str, Any] | None,
        not_a_label_map: bool = False,
        stripped: str = Stripped.AUTO,
        steps: Progress | None = None,
    ) -> tuple[NetworkInput, torch.Tensor, RunReport]:
        """A checked scan as the network sees it, its metadata (1, fields), and a report that holds what was noticed.

        Raises InputError or MetadataError.
        """
        if self.network.bias.is_meta:
            raise InputError("This segmenter was closed, which freed its network; load the package again.")
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
        steps = steps or Progress(None, None)
        found = self._found_inside(volume, Stripped.of(stripped), report, steps)
        with report.timed("preparing"):
            architecture = self.package.architecture
            prepared = prepare(volume, self.package.input, architecture.multiple, architecture.position, found)
            findings += check_input(prepared, self.package.statistics, self.package.advice)
        encoded = torch.from_numpy(self.package.metadata.encode(parsed))[None]
        return self._focused(volume, prepared, encoded, report, steps), encoded, report

    def _focused(
        self, volume: Volume, prepared: NetworkInput, metadata: torch.Tensor, report: RunReport, steps: Progress
    ) -> NetworkInput:
        """Of a scan that is larger than the window, the window around the label that the model's input names."""
        focus = self.package.input.focus
        if not focus:
            return prepared
        classes = self.package.labels.classes_under(self.package.labels.find(focus))

        def on_look() -> None:
            steps.update(0.0, self._start, 1.0, f"finding {focus}")

        with report.timed("first looks"), self.network_pass.from_the_top():
            part, looks = self._with_ladder(
                report, lambda: focused(prepared, self.network_pass, metadata, classes, Grid.of(volume), on_look)
            )
        report.trunk_passes += looks
        return part

    def _found_inside(self, volume: Volume, stripped: Stripped, report: RunReport, steps: Progress) -> Array | None:
        """(k, j, i) bool: the voxels that another model finds for this one; None where it sees the scan as it is."""
        inside = self.package.input.inside
        if self._needed is None or inside is None:
            return None
        part = Progress(lambda done, text: steps.update(READ, FOUND, done, text), None)
        with report.timed(f"finding {inside.label}"):
            found = found_at_once(volume, stripped)
            if found is None:
                self._finder = self._finder or self._finder_of(self._needed, inside)
                found = self._finder.find(volume, stripped, part)
        report.inside = found.about
        return found.mask

    def _finder_of(self, needed: ModelPackage, inside: Inside) -> Finder:
        """The stage before this model, with its network on the same device."""
        further = needed_package(needed)
        network = needed.build_network()
        return Finder(Segmenter(needed, network, self.plan.device, 0, self.feature_dtype, further), inside)

    def _found(
        self,
        volume: Volume,
        prepared: NetworkInput,
        metadata: torch.Tensor,
        report: RunReport,
        steps: Progress,
        budget: int,
        wanted: Sequence[Label] = (),
        network_pass: NetworkPass | None = None,
        start: float | None = None,
    ) -> Features:
        """The network over a prepared scan; features of up to `budget` bytes are kept, of others the probabilities of
        these labels. network_pass: where it is not the segmenter's own. start: where it begins, as a fraction of a run.
        """
        network_pass, begins = network_pass or self.network_pass, self._start if start is None else start
        tree = self.package.labels
        asked = [[label for label in wanted if tree.protocol_of(label) == protocol] for protocol in tree.protocols]
        groups = [[tree.classes_under(label) for label in labels] for labels in asked]
        target = Grid.of(volume).box(*prepared.region)

        def gather() -> Gathered:
            with report.timed("network"):
                return network_pass.gather(
                    prepared,
                    metadata,
                    target,
                    budget,
                    self.feature_dtype,
                    lambda done, text: steps.update(begins, 1.0, done, text),
                    groups,
                )

        found = self._with_ladder(report, gather, network_pass)
        report.trunk_passes += found.passes
        report.peak_memory_mb = peak_memory_mb(network_pass.plan.device)
        steps.update(0.0, 1.0, 1.0, "network done")
        maps = _maps_by_label(asked, found)
        features = Features(
            tree,
            network_pass.prompts,
            Grid.of(volume),
            prepared.region,
            prepared.grid.coarser(network_pass.stride),
            network_pass.plan,
            report,
            found.stored,
            found.winners[0] if found.winners else None,
            nifti_place=volume.nifti_place,
            dicom_place=volume.dicom_place,
            maps=maps,
            judge=self._judge_of(volume, prepared, report),
        )
        return LayeredFeatures(features, found.winners, maps) if len(tree.protocols) > 1 else features

    def _judge_of(
        self, volume: Volume, prepared: NetworkInput, report: RunReport
    ) -> Callable[[Array], list[Finding]] | None:
        """What judges the winner map of a scan, and puts what it measured into the report; None where the package does
        not say what the model usually finds.
        """
        usual, tree = self.package.usual, self.package.labels
        if usual is None or len(tree.protocols) > 1:
            return None

        def judge(winners: Array) -> list[Finding]:
            tally = tally_of(winners, volume, prepared.region, tree)
            measures = measures_of(tally, tree, usual)
            report.answer = {**measures, "oddness": oddness_of(measures, usual)}
            return check_answer(measures, usual, self.package.advice)

        return judge

    def examples(
        self,
        atlas: Volume,
        shown: Iterable[Example],
        metadata: Mapping[str, Any] | None = None,
        progress: ProgressCallback | None = None,
        cancel: CancelToken | None = None,
        pooled: bool = False,
        not_a_label_map: bool = False,
        stripped: str = Stripped.AUTO,
    ) -> list[ExamplePrompt]:
        """What structures that were painted on an atlas become for this model: one run of the network over the whole
        atlas, for any number of them. The prompts work on the features of any scan (`Features.by_example`).

        They are fitted to the atlas's own features, the structures against each other where they do not overlap.

        Args:
            atlas: The scan that the structures were painted on.
            shown: Their names and masks.
            metadata: What is known about the atlas, as in `features`.
            progress: Gets the fraction that is done, which rises to 1, and what goes on.
            cancel: Ends the run within one patch when it is cancelled.
            pooled: The prompts are what the network makes of the means of its features under each mask instead, which
                needs a network that was trained for it.
            not_a_label_map: The atlas is a scan even where it looks like a label map.
            stripped: Of the atlas, as in `segment`.

        Returns:
            A prompt for each structure.

        Raises:
            InputError: The model cannot be shown examples, or the atlas or a mask cannot be used.
            MetadataError: The model does not know a field, or the value is not possible.
            DeviceError: The memory of this machine is not enough.
            Cancelled: It was cancelled.

        Examples:
            >>> from LabelConditionedSegmentationLib.core.examples.painted_examples import Example
            >>> shown = segmenter.examples(atlas, [Example("Bright", atlas.to_numpy() > 700)])
            >>> result = segmenter.features(scan).by_example(shown).segment()
        """
        self.package.require_examples(pooled)
        steps = Progress(progress, cancel)
        steps.update(0.0, 1.0, 0.0, "checking the atlas")
        prepared, encoded, report = self.prepared(atlas, metadata, not_a_label_map, stripped, steps)
        structures = shown_on(atlas, prepared, self.network_pass.stride, shown)
        steps.update(0.0, self._start, 1.0, "running the network")
        network_steps = Progress(lambda done, text: steps.update(self._start, NETWORK, done, text), cancel)
        with self.network_pass.from_the_top():
            if pooled:
                vectors, bias = self._with_ladder(
                    report, lambda: pooled_prompts(self.network_pass, prepared, structures, encoded, steps, self._start)
                )
            else:
                features = self._found(atlas, prepared, encoded, report, network_steps, EXAMPLE_BUDGET)
                vectors, bias = features.with_ladder(
                    lambda: fitted_prompts(atlas, features, structures, steps, NETWORK, cancel)
                )
        steps.update(0.0, 1.0, 1.0, "example done")
        return named_prompts(self.package, structures, vectors, bias, report)

    def _with_ladder(self, report: RunReport, run: Callable[[], T], network_pass: NetworkPass | None = None) -> T:
        """Run the network; where memory runs out, with a smaller plan, which the report says. Raises DeviceError."""
        running = network_pass or self.network_pass

        def on_fallback(what: str) -> None:
            report.fallbacks.append(what)
            report.device = describe_device(running.plan.device)

        return running.with_ladder(run, on_fallback)

    @property
    def _start(self) -> float:
        """Where the network begins, as a fraction of a run."""
        return FOUND if self._needed is not None else READ

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


def _maps_by_label(asked: Sequence[Sequence[Label]], found: Gathered) -> dict[int, Array]:
    """Label id -> its probabilities (k, j, i), of what was asked for; none where the features are kept."""
    return {
        label.id: inside
        for labels, maps in zip(asked, found.probabilities, strict=False)
        for label, inside in zip(labels, maps, strict=True)
    }
