"""Adapting a copy of a network to one scan: what it changes, what it leaves, and when it is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from LabelConditionedSegmentationLib.core.adaptation.adapted_network import Outcome, adapted_to
from LabelConditionedSegmentationLib.core.adaptation.adapters import ADAPTERS, Adaptation
from LabelConditionedSegmentationLib.core.adaptation.moving_layers import FROZEN, free_layers, rates_by_ratio
from LabelConditionedSegmentationLib.core.adaptation.scan_look import Looker, distance, pooled_statistics
from LabelConditionedSegmentationLib.core.adaptation.trust import Signs, collapsed, not_needed, not_trusted
from LabelConditionedSegmentationLib.core.errors import Cancelled, InputError
from LabelConditionedSegmentationLib.core.examples.painted_examples import Example
from LabelConditionedSegmentationLib.core.inference.adapted_pass import comparison_windows, looking, scan_moments
from LabelConditionedSegmentationLib.core.inference.segmenter import Segmenter
from LabelConditionedSegmentationLib.core.network.architecture import Architecture
from LabelConditionedSegmentationLib.core.package.feature_statistics import LevelStatistics
from LabelConditionedSegmentationLib.core.package.model_package import ModelPackage, add_feature_statistics
from LabelConditionedSegmentationLib.core.progress import CancelToken
from LabelConditionedSegmentationLib.core.scan.volume import Volume
from torch import nn

from Testing import samples

DEEP = Architecture(widths=(4, 8, 8), blocks=(1, 1, 1), output_stride=2, feature_channels=8)
LEARNING = [name for name, adapter in ADAPTERS.items() if adapter.objective]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> ModelPackage:
    """A tiny package with the statistics of a few scans, which no test changes."""
    made = samples.package(tmp_path_factory.mktemp("packages"), DEEP)
    with Segmenter.from_package(made.path, "cpu") as segmenter:
        looks = []
        for seed in range(3):
            prepared, _, _ = segmenter.prepared(samples.scan(seed=seed), None)
            levels = tuple(DEEP.level_channels)
            looks += scan_moments(segmenter.network_pass, prepared.image, prepared.foreground, levels)
    return add_feature_statistics(made, pooled_statistics(looks), {"feature_distance": [0.0, 0.08]})


def shifted(seed: int = 7) -> Volume:
    """A scan of another contrast than those that the statistics come from: dark is bright, and noise over it."""
    scan = samples.scan(seed=seed)
    values = scan.array.astype(np.float32)
    noise = np.random.default_rng(seed).normal(0, 120, values.shape)
    return scan.with_array(np.where(values > 0, 1200 - values + noise, 0).clip(0).astype(np.int16))


def weights_of(network: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def adapt(segmenter: Segmenter, scan: Volume, adaptation: Adaptation) -> Outcome:
    prepared, _, _ = segmenter.prepared(scan, None)
    stored = segmenter.package.feature_statistics()
    looker, windows = looking(segmenter.network_pass, prepared.image, prepared.foreground, tuple(stored))
    return adapted_to(segmenter.network, looker, windows, stored, adaptation)


@pytest.mark.parametrize("adapter", ["align", "g2p-choose", "g2p-scale"])
def test_alignment_brings_features_nearer_to_those_of_the_training_scans(package: ModelPackage, adapter: str) -> None:
    with Segmenter.from_package(package.path, "cpu") as segmenter:
        outcome = adapt(segmenter, shifted(), Adaptation(adapter, 10, always=True))
    assert outcome.after is not None
    assert outcome.network is not None
    assert outcome.after.distance < 0.9 * outcome.before.distance


def test_entropy_minimisation_makes_answers_more_certain(package: ModelPackage) -> None:
    with Segmenter.from_package(package.path, "cpu") as segmenter:
        outcome = adapt(segmenter, shifted(), Adaptation("tent", 5, 3e-3, always=True))
    assert outcome.after is not None
    assert outcome.after.entropy < outcome.before.entropy


@pytest.mark.parametrize("adapter", LEARNING)
def test_the_network_of_the_segmenter_never_changes(package: ModelPackage, adapter: str) -> None:
    with Segmenter.from_package(package.path, "cpu") as segmenter:
        before = weights_of(segmenter.network)
        moves = [parameter.requires_grad for parameter in segmenter.network.parameters()]
        found = segmenter.features(shifted(), adaptation=Adaptation(adapter, 3, always=True))
        after = segmenter.network.state_dict()
        assert found.report.adaptation["adapted"]
        assert all(torch.equal(before[name], after[name]) for name in before)
        assert [parameter.requires_grad for parameter in segmenter.network.parameters()] == moves


def test_a_second_scan_starts_anew(package: ModelPackage) -> None:
    how = Adaptation("align", 3, always=True)
    with Segmenter.from_package(package.path, "cpu") as segmenter:
        plain = segmenter.features(samples.scan(seed=9))
        adapted = segmenter.features(shifted(), adaptation=how)
        again = segmenter.features(shifted(), adaptation=how)
        plain_again = segmenter.features(samples.scan(seed=9))
        unadapted = segmenter.features(shifted())
    assert torch.equal(adapted.kept("compare"), again.kept("compare"))
    assert torch.equal(plain.kept("compare"), plain_again.kept("compare"))
    assert not torch.equal(adapted.kept("compare"), unadapted.kept("compare"))


@pytest.mark.parametrize("adapter", LEARNING)
def test_metadata_positions_and_prompts_mean_what_they_meant(package: ModelPackage, adapter: str) -> None:
    with Segmenter.from_package(package.path, "cpu") as segmenter:
        before = weights_of(segmenter.network)
        outcome = adapt(segmenter, shifted(), Adaptation(adapter, 3, always=True))
    assert outcome.network is not None
    moved = {name for name, value in outcome.network.state_dict().items() if not torch.equal(value, before[name])}
    assert moved
    frozen = ("head.", *(f"trunk.{part}." for part in FROZEN))
    assert not [name for name in moved if name.startswith(frozen)]


def test_entropy_minimisation_moves_normalisations_alone(package: ModelPackage) -> None:
    with Segmenter.from_package(package.path, "cpu") as segmenter:
        before = weights_of(segmenter.network)
        outcome = adapt(segmenter, shifted(), Adaptation("tent", 3, always=True))
    assert outcome.network is not None
    moved = {name for name, value in outcome.network.state_dict().items() if not torch.equal(value, before[name])}
    assert moved
    assert all("norm" in name for name in moved)


def test_choosing_moves_fewer_layers_than_aligning_all(package: ModelPackage) -> None:
    with Segmenter.from_package(package.path, "cpu") as segmenter:
        everything = adapt(segmenter, shifted(), Adaptation("align", 2, always=True))
        chosen = adapt(segmenter, shifted(), Adaptation("g2p-choose", 2, always=True))
    assert 0 < chosen.layers <= (everything.layers + 1) // 2


def test_layers_are_as_fast_as_their_ratio_says() -> None:
    layers = free_layers(samples.network(), norms_only=True)[:3]
    for layer, size in zip(layers, (1.0, 3.0, 0.0), strict=True):
        for parameter in layer.parameters:
            parameter.data.fill_(1.0)
            parameter.grad = torch.full_like(parameter, size) if size else None
    assert [layer.ratio() for layer in layers] == pytest.approx([1, 3, 0])
    assert rates_by_ratio(layers, 0.1) == pytest.approx([0.05, 0.15, 0])


def test_a_scan_like_the_training_scans_is_answered_by_the_model_as_it_is(package: ModelPackage) -> None:
    with Segmenter.from_package(package.path, "cpu") as segmenter:
        adapted = segmenter.segment(samples.scan(seed=1), adaptation=Adaptation())
        plain = segmenter.segment(samples.scan(seed=1))
    assert not adapted.report.adaptation["adapted"]
    assert "near to those of the training scans" in adapted.report.adaptation["because"]
    assert np.array_equal(adapted.label_map.array, plain.label_map.array)


@pytest.mark.parametrize(
    ("after", "why"),
    [
        (Signs(0.5, 1.0, 3.0), "structures disappeared"),
        (Signs(0.5, 0.01, 10.0), "certain of everything"),
        (Signs(float("nan"), 1.0, 10.0), "not finite"),
        (Signs(0.98, 1.0, 10.0), "hardly came nearer"),
        (Signs(0.5, 1.3, 10.0), "less certain"),
        (Signs(0.5, 0.9, 9.0), ""),
    ],
)
def test_what_is_not_to_be_trusted_is_refused(after: Signs, why: str) -> None:
    because = not_trusted(Signs(1.0, 1.0, 10.0), after)
    assert why in because
    assert bool(because) == bool(why)


def test_answers_that_collapse_are_refused_even_where_checks_are_left_out(package: ModelPackage) -> None:
    with Segmenter.from_package(package.path, "cpu") as segmenter:
        plain = segmenter.segment(shifted())
        wild = segmenter.segment(shifted(), adaptation=Adaptation("align", 10, 1e30, always=True))
    assert not wild.report.adaptation["adapted"]
    assert np.array_equal(wild.label_map.array, plain.label_map.array)
    assert any("Not adapted to this scan" in str(finding) for finding in wild.report.findings)


def test_the_report_says_what_became_of_it(package: ModelPackage) -> None:
    with Segmenter.from_package(package.path, "cpu") as segmenter:
        report = segmenter.segment(shifted(), adaptation=Adaptation("align", 5, always=True)).report
    entry = report.to_json()["adaptation"]
    assert entry["steps"] == 5
    assert entry["distance"]["after"] < entry["distance"]["before"]
    assert report.timings["adapting"] > 0
    assert any("5 steps, aligned features" in str(finding) for finding in report.findings)


def test_it_can_be_cancelled_between_windows_and_steps(package: ModelPackage) -> None:
    cancel = CancelToken()
    texts: list[str] = []

    def progress(done: float, text: str) -> None:
        texts.append(text)
        if text == "adapting to this scan" and done > 0.4:
            cancel.cancel()

    with Segmenter.from_package(package.path, "cpu") as segmenter:
        before = weights_of(segmenter.network)
        with pytest.raises(Cancelled):
            segmenter.features(shifted(), progress=progress, cancel=cancel, adaptation=Adaptation(always=True))
        after = segmenter.network.state_dict()
    assert texts[-1] == "adapting to this scan"
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_progress_rises_through_the_adaptation(package: ModelPackage) -> None:
    seen: list[float] = []
    with Segmenter.from_package(package.path, "cpu") as segmenter:
        segmenter.segment(
            shifted(), progress=lambda done, _text: seen.append(done), adaptation=Adaptation("align", 2, always=True)
        )
    assert seen == sorted(seen)
    assert seen[-1] == 1.0


def test_labels_by_example_that_were_made_without_adaptation_still_work(package: ModelPackage) -> None:
    scan, parts = samples.scan_of_parts()
    with Segmenter.from_package(package.path, "cpu") as segmenter:
        prompts = segmenter.examples(scan, [Example("Bright", parts["bright"])])
        found = segmenter.features(shifted(), adaptation=Adaptation("align", 2, always=True))
        result = found.by_example(prompts).segment()
    assert result.label_map.shape == shifted().shape


def test_a_package_without_statistics_is_refused_with_a_sentence(tmp_path: Path) -> None:
    made = samples.package(tmp_path)
    with (
        Segmenter.from_package(made.path, "cpu") as segmenter,
        pytest.raises(InputError, match="no statistics of its features"),
    ):
        segmenter.features(samples.scan(), adaptation=Adaptation())


def test_packages_that_answer_together_are_refused(package: ModelPackage) -> None:
    with (
        Segmenter.from_packages([package.path, package.path], "cpu") as segmenter,
        pytest.raises(InputError, match="no statistics"),
    ):
        segmenter.features(samples.scan(), adaptation=Adaptation())


def test_a_network_whose_features_depend_on_the_label_is_refused(tmp_path: Path) -> None:
    made = samples.package(tmp_path, replace(samples.TINY, conditioning="decoder"))
    with pytest.raises(InputError, match="depend on the label"):
        Adaptation().check(made)


@pytest.mark.parametrize(("how", "why"), [({"adapter": "magic"}, "no adapter"), ({"steps": 0}, "1 to 10 steps")])
def test_what_there_is_not_is_refused(how: dict[str, Any], why: str) -> None:
    with pytest.raises(InputError, match=why):
        Adaptation(**how)


def test_norm_says_where_there_is_nothing_to_renormalise(package: ModelPackage) -> None:
    with Segmenter.from_package(package.path, "cpu") as segmenter, pytest.raises(InputError, match="adapter norm"):
        adapt(segmenter, shifted(), Adaptation("norm", always=True))


def test_norm_takes_the_statistics_that_layers_store_from_the_scan(package: ModelPackage) -> None:
    with Segmenter.from_package(package.path, "cpu") as segmenter:
        norm = nn.BatchNorm3d(4).eval()
        segmenter.network.trunk.stem_norm = norm  # type: ignore[assignment]
        outcome = adapt(segmenter, shifted(), Adaptation("norm", always=True))
        assert torch.equal(norm.running_mean, torch.zeros(4))  # type: ignore[arg-type]
    assert outcome.network is not None
    changed = outcome.network.trunk.stem_norm
    assert not torch.equal(changed.running_mean, torch.zeros(4))  # type: ignore[arg-type]
    assert not changed.training


def test_several_protocols_are_adapted_together(tmp_path: Path) -> None:
    tree = samples.two_protocols()
    made = samples.package(tmp_path, DEEP, tree)
    with Segmenter.from_package(made.path, "cpu") as segmenter:
        prepared, _, _ = segmenter.prepared(samples.scan(), None)
        levels = tuple(DEEP.level_channels)
        looks = scan_moments(segmenter.network_pass, prepared.image, prepared.foreground, levels)
    package = add_feature_statistics(made, pooled_statistics(looks), {})
    with Segmenter.from_package(package.path, "cpu") as segmenter:
        report = segmenter.segment(shifted(), adaptation=Adaptation("align", 2, always=True)).report
    assert report.adaptation["adapted"]


def test_statistics_of_windows_are_those_of_the_whole() -> None:
    network = samples.network(DEEP)
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(DEEP.input_channels, 16, 16, 16, generator=generator)
    foreground = torch.ones(16, 16, 16, dtype=torch.bool)
    looker = Looker(image, foreground, ("decoder.1",), torch.device("cpu"))
    with torch.no_grad():
        here = pooled_statistics([looker.look(network, (slice(None), slice(None), slice(None))).moments])
        unknown = torch.full((1, 2), torch.nan)
        values = network.trunk.with_activations(image[None], ["decoder.1"], unknown)[1]["decoder.1"][0].flatten(1)
    torch.testing.assert_close(here["decoder.1"].mean, values.mean(1))
    torch.testing.assert_close(here["decoder.1"].variance, values.var(1, correction=0))


def test_statistics_are_no_distance_from_themselves() -> None:
    level = {"encoder.0": LevelStatistics(torch.tensor([1.0, 2.0]), torch.tensor([0.5, 0.0]))}
    other = {"encoder.0": LevelStatistics(torch.tensor([1.5, 2.0]), torch.tensor([0.5, 0.0]))}
    assert float(distance(level, level)) == 0
    assert float(distance(other, level)) == pytest.approx(0.5 / 0.5**0.5 / 2)


def test_windows_are_of_bounded_size_and_leave_out_what_is_empty() -> None:
    foreground = torch.zeros(160, 208, 320, dtype=torch.bool)
    foreground[:, :, :160] = True
    windows = comparison_windows(foreground, (160, 208, 160), 16)
    sizes = [[part.stop - part.start for part in window] for window in windows]
    assert all(k * j * i <= 2**20 for k, j, i in sizes)
    assert all(n % 16 == 0 for size in sizes for n in size)
    covered = torch.zeros_like(foreground)
    for window in windows:
        covered[window] = True
    assert bool(covered[foreground].all())
    assert not covered[:, :, 240:].any()


def test_the_signs_of_a_scan_like_those_of_the_training_say_that_nothing_is_needed() -> None:
    assert not_needed(Signs(0.1, 1, 5), [0, 0.2])
    assert not not_needed(Signs(0.3, 1, 5), [0, 0.2])
    assert not not_needed(Signs(0.1, 1, 5), [])
    assert not collapsed(Signs(0.3, 1, 5), Signs(0.2, 0.8, 5))
