"""One feature volume, any label: the segmenter's promises."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import permutations, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from LabelConditionedSegmentationLib.core.errors import Cancelled, DeviceError, InputError, LabelError
from LabelConditionedSegmentationLib.core.inference import features as features_module
from LabelConditionedSegmentationLib.core.inference import network_pass as network_pass_module
from LabelConditionedSegmentationLib.core.inference import scoring, tiled_scoring
from LabelConditionedSegmentationLib.core.inference import segmenter as segmenter_module
from LabelConditionedSegmentationLib.core.inference.memory_ladder import MemoryPlan
from LabelConditionedSegmentationLib.core.inference.network_pass import NetworkPass
from LabelConditionedSegmentationLib.core.inference.scoring import BestClasses
from LabelConditionedSegmentationLib.core.inference.segmenter import Segmenter
from LabelConditionedSegmentationLib.core.inference.windows import WindowPlan, feature_slabs, plan_windows
from LabelConditionedSegmentationLib.core.labels.label_tree import Label, LabelTree
from LabelConditionedSegmentationLib.core.network.architecture import Architecture
from LabelConditionedSegmentationLib.core.package.model_package import ModelPackage
from LabelConditionedSegmentationLib.core.progress import CancelToken
from LabelConditionedSegmentationLib.core.scan.geometry import Grid, resample
from LabelConditionedSegmentationLib.core.scan.input_spec import InputSpec
from LabelConditionedSegmentationLib.core.scan.preprocessing import prepare
from LabelConditionedSegmentationLib.core.scan.volume import Affine, Volume
from monai.inferers import sliding_window_inference

from Testing import samples
from Testing.memory_probe import LiveTensorBytes

CPU = torch.device("cpu")
OBLIQUE: Affine = np.array([[1.2, -0.5, 0.1, -10], [0.45, 0.8, 0.2, 4], [-0.1, -0.2, 1.9, -3], [0, 0, 0, 1.0]])
SAGITTAL: Affine = np.array([[0, 0, 1.0, 5], [-1.0, 0, 0, 60], [0, -1.0, 0, 20], [0, 0, 0, 1]])


def tiny_segmenter(
    architecture: Architecture = samples.TINY,
    tree: LabelTree | None = None,
    flip: bool = False,
    patch: tuple[int, int, int] = (32, 32, 32),
    **changes: Any,
) -> Segmenter:
    tree = tree or samples.label_tree()
    package = ModelPackage(Path("tiny"), "tiny", architecture, InputSpec(), tree, samples.SCHEMA, patch, flip, "")
    return Segmenter(package, samples.network(architecture, tree), CPU, **changes)


def flat_tree(labels: int) -> LabelTree:
    return LabelTree(tuple(Label(n, f"Structure {n}") for n in range(1, labels + 1)))


def count_trunk_calls(segmenter: Segmenter) -> list[int]:
    """A list that grows by the batch size at every pass of the trunk."""
    calls: list[int] = []
    segmenter.network.trunk.register_forward_pre_hook(lambda _module, inputs: calls.append(inputs[0].shape[0]))
    return calls


# The identity the design stands on


@pytest.mark.parametrize("target", ["network grid", "oblique, anisotropic grid"])
def test_blended_features_give_the_scores_that_monai_blends_over_all_labels(target: str) -> None:
    segmenter = tiny_segmenter(replace(samples.TINY, output_stride=1), feature_dtype=torch.float32)
    network, volume = segmenter.network, samples.scan((50, 70, 60))
    prepared = prepare(volume, InputSpec(), segmenter.package.architecture.multiple, with_position=True)
    unknown = torch.full((1, 2), torch.nan)
    with torch.inference_mode():
        theirs = sliding_window_inference(
            prepared.image[None], (32, 32, 32), 1, lambda x: network(x, unknown), overlap=0.5, mode="gaussian"
        )
    assert isinstance(theirs, torch.Tensor)
    found = segmenter.features(volume)
    assert found.stored is not None
    if target == "network grid":
        ours = found.stored @ found.prompts.vectors.T + found.prompts.bias
        theirs = theirs[0].movedim(0, -1)
    else:
        grid = Grid(OBLIQUE, (12, 20, 25))
        ours = resample(found.stored, found.feature_grid, grid) @ found.prompts.vectors.T + found.prompts.bias
        theirs = resample(theirs[0].movedim(0, -1), prepared.grid, grid)
    assert theirs.std() > 0.1  # the labels do differ
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=0)


# Invariance


@pytest.fixture(scope="module", params=["axes along RAS", "sagittal", "oblique"])
def scan_and_answer(request: pytest.FixtureRequest) -> tuple[Volume, np.ndarray]:
    affine = {"axes along RAS": None, "sagittal": SAGITTAL, "oblique": OBLIQUE}[request.param]
    volume = samples.scan((44, 50, 46), affine)
    answer = tiny_segmenter().segment(volume).label_map.array
    assert len(np.unique(answer)) > 3
    return volume, answer


@pytest.mark.parametrize("chunk", [16, 48])
def test_every_label_chunk_gives_the_same_voxels(scan_and_answer: tuple[Volume, np.ndarray], chunk: int) -> None:
    volume, _ = scan_and_answer
    many = flat_tree(100)
    segmenter, other = tiny_segmenter(tree=many), tiny_segmenter(tree=many)
    other.network_pass.plan = replace(other.plan, chunk=chunk)
    assert np.array_equal(segmenter.segment(volume).label_map.array, other.segment(volume).label_map.array)


@pytest.mark.parametrize("slab_values", [1, 8 * 1500])
def test_every_slab_thickness_gives_the_same_voxels(
    scan_and_answer: tuple[Volume, np.ndarray], monkeypatch: pytest.MonkeyPatch, slab_values: int
) -> None:
    volume, answer = scan_and_answer
    monkeypatch.setattr(features_module, "SLAB_VALUES", slab_values)
    assert np.array_equal(tiny_segmenter().segment(volume).label_map.array, answer)


@pytest.mark.parametrize("batch", [2, 3])
def test_every_window_batch_gives_the_same_voxels(scan_and_answer: tuple[Volume, np.ndarray], batch: int) -> None:
    volume, answer = scan_and_answer
    segmenter = tiny_segmenter()
    segmenter.network_pass.plan = replace(segmenter.plan, batch=batch)
    assert np.array_equal(segmenter.segment(volume).label_map.array, answer)


def test_streaming_without_keeping_features_gives_the_same_voxels(
    scan_and_answer: tuple[Volume, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    volume, answer = scan_and_answer
    monkeypatch.setattr(features_module, "SLAB_VALUES", 8 * 1500)
    segmenter = tiny_segmenter(feature_budget=0)
    found = segmenter.features(volume)
    assert found.stored is None
    assert np.array_equal(found.segment().label_map.array, answer)


def test_streaming_holds_only_what_later_windows_need() -> None:
    """The memory of features does not grow with the length of the scan."""

    def peak(length: int) -> int:
        image = torch.zeros(1, length, 32, 32)
        plan = plan_windows((length, 32, 32), (32, 32, 32), 0.5, 2)
        with LiveTensorBytes() as memory:
            slabs = feature_slabs(
                image, lambda x: torch.nn.functional.avg_pool3d(x, 2).expand(-1, 16, -1, -1, -1), plan, 0, CPU
            )
            total = sum(slab.stop - slab.start for slab in slabs)
        assert total == length // 2
        return int(memory.peak - image.nbytes)  # the scan itself may grow

    assert peak(512) < 1.05 * peak(256)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_slabs_along_any_axis_hold_the_same_features(axis: int) -> None:
    image = torch.randn(1, 48, 64, 80, generator=torch.Generator().manual_seed(0))
    plan = plan_windows((48, 64, 80), (32, 32, 32), 0.5, 1)

    def trunk(x: torch.Tensor) -> torch.Tensor:  # depends on the window, so that blending matters
        return torch.cat([x, x * x.mean(dim=(2, 3, 4), keepdim=True)], dim=1)

    whole = torch.cat([slab.values for slab in feature_slabs(image, trunk, plan, axis, CPU)], dim=axis)
    other = torch.cat(
        [slab.values for slab in feature_slabs(image, trunk, plan, (axis + 1) % 3, CPU, batch=3)], dim=(axis + 1) % 3
    )
    assert whole.shape == (48, 64, 80, 2)
    torch.testing.assert_close(whole, other, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(whole[..., 0], image[0], atol=1e-5, rtol=0)  # weights sum to 1


def test_windows_cover_the_image_and_end_with_it() -> None:
    plan = plan_windows((100, 36, 32), (32, 48, 32), 0.5, 2)
    assert plan == WindowPlan((100, 36, 32), (32, 36, 32), ((0, 16, 32, 48, 64, 68), (0,), (0,)), 2)
    assert plan.count == 6


@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
def test_all_48_orientations_give_the_same_answer_on_their_own_grids(order: tuple[int, int, int]) -> None:
    straight = samples.scan((36, 40, 44))
    segmenter = tiny_segmenter()
    answer = segmenter.segment(straight).label_map.array[0]
    to_ijk = np.diag([1.0, 1, 1, 1])
    for flips in product((False, True), repeat=3):
        index = np.zeros((4, 4))
        index[3, 3] = 1
        shape = straight.shape[::-1]
        for new, old in enumerate(order):  # new axis `new` (i, j, k) runs along the old axis `old`, perhaps backwards
            index[old, new] = -1 if flips[old] else 1
            index[old, 3] = shape[old] - 1 if flips[old] else 0
        permute = [2 - order[2 - axis] for axis in range(3)]
        flipped = tuple(axis for axis in range(3) if flips[2 - axis])
        turned = Volume(np.flip(straight.array[0], flipped).transpose(permute)[None].copy(), to_ijk @ index)
        expected = np.flip(answer, flipped).transpose(permute)
        found = segmenter.segment(turned).label_map
        assert np.array_equal(found.affine, turned.affine)
        assert np.array_equal(found.array[0], expected)


# The trunk never sees labels


def test_the_trunk_runs_once_per_patch_for_any_number_of_labels() -> None:
    volume = samples.scan((50, 60, 46))
    passes = []
    for labels in (3, 90):
        segmenter = tiny_segmenter(tree=flat_tree(labels))
        calls = count_trunk_calls(segmenter)
        result = segmenter.segment(volume)
        passes.append(sum(calls))
        assert result.report.trunk_passes == sum(calls)
    assert passes[0] == passes[1] > 1


def test_other_labels_after_the_first_run_do_not_run_the_trunk_and_equal_a_fresh_run() -> None:
    volume = samples.scan()
    segmenter = tiny_segmenter()
    calls = count_trunk_calls(segmenter)
    found = segmenter.features(volume)
    found.segment(["Left Amygdala"])
    ran = sum(calls)
    again = found.segment(["Right Hippocampus", "Rest"]).label_map
    found.at((20.0, 20.0, 20.0))
    assert sum(calls) == ran
    assert np.array_equal(again.array, tiny_segmenter().segment(volume, ["Right Hippocampus", "Rest"]).label_map.array)


def peak_of_segment(labels: int) -> int:
    segmenter, volume = tiny_segmenter(tree=flat_tree(labels), patch=(64, 64, 64)), samples.scan((64, 64, 64))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the probe sees what is made in its own thread
    try:
        with LiveTensorBytes() as memory:
            segmenter.segment(volume)
    finally:
        torch.set_num_threads(threads)
    return int(memory.peak)


def test_memory_is_flat_in_the_number_of_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiled_scoring, "PLANES", 4)  # small, as this scan is
    monkeypatch.setattr(tiled_scoring, "SIDE", 8)
    assert peak_of_segment(500) <= 1.05 * peak_of_segment(4)


def test_memory_is_flat_where_all_classes_are_tried_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a GPU, and where memory ran out."""
    monkeypatch.setattr(features_module, "DEFAULT_CHUNK", 1000)  # which no chunk reaches
    monkeypatch.setattr(scoring, "TILE", 512)
    assert peak_of_segment(500) <= 1.05 * peak_of_segment(4)


def test_the_test_of_flat_memory_fails_for_the_plain_product(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features_module, "DEFAULT_CHUNK", 1000)

    def plain(
        features: torch.Tensor, prompts: torch.Tensor, bias: torch.Tensor, *_: Any, **_others: Any
    ) -> BestClasses:
        best, index = (features.float() @ prompts.T + bias).max(dim=1)
        return BestClasses(index.to(torch.int16), best, None)

    monkeypatch.setattr(features_module, "best_classes", plain)
    assert peak_of_segment(500) > 2 * peak_of_segment(4)


@pytest.mark.parametrize("classes", [1, 15, 16, 17, 135])
def test_the_last_product_agrees_with_the_plain_one(classes: int) -> None:
    torch.manual_seed(classes)
    features, prompts, bias = torch.randn(20_000, 8), torch.randn(classes, 8), torch.randn(classes)
    for chunk in (16, 64, 160):
        found = scoring.best_classes(features, prompts, bias, chunk, with_log_sum=True)
        scores = features.double() @ prompts.double().T + bias.double()
        assert (
            scores.argmax(1) != found.best_class
        ).double().mean() < 1e-4  # only where the two best are equal to rounding
        torch.testing.assert_close(found.best_score.double(), scores.amax(1), atol=1e-4, rtol=1e-5)
        assert found.log_sum is not None
        torch.testing.assert_close(found.log_sum.double(), scores.logsumexp(1), atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_any_number_of_threads_gives_the_same_bits_and_is_left_as_it_was(threads: int) -> None:
    torch.manual_seed(0)
    features, prompts, bias = torch.randn(50_000, 8), torch.randn(60, 8), torch.randn(60)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    expected = scoring.best_classes(features, prompts, bias)
    torch.set_num_threads(threads)
    try:
        found = scoring.best_classes(features, prompts, bias)
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert torch.equal(found.best_class, expected.best_class)
    assert torch.equal(found.best_score, expected.best_score)


def test_among_equal_scores_the_lower_class_wins() -> None:
    found = scoring.best_classes(torch.ones(10, 2), torch.ones(70, 2), torch.zeros(70), chunk=16)
    assert found.best_class.tolist() == [0] * 10


# What is asked for


def test_the_answer_for_one_label_does_not_depend_on_which_others_were_asked_for() -> None:
    volume = samples.scan()
    segmenter = tiny_segmenter()
    everything = segmenter.segment(volume).label_map.array
    for label in segmenter.package.labels.leaves:
        alone = segmenter.segment(volume, [label.name]).label_map.array
        assert np.array_equal(alone == label.id, everything == label.id)
        assert set(np.unique(alone)) <= {0, label.id}


def test_a_parent_is_the_union_of_its_leaves_and_overlaps_become_layers() -> None:
    volume = samples.scan()
    segmenter = tiny_segmenter()
    tree = segmenter.package.labels
    everything = segmenter.segment(volume).label_map.array[0]
    parent = tree.find("Deep gray matter")
    result = segmenter.segment(volume, ["Left Hippocampus", "Deep gray matter", "Rest"])
    masks = {entry.label.name: result.mask(entry.label.name).to_numpy() for entry in result.labels}
    assert np.array_equal(
        masks["Deep gray matter"], np.isin(everything, [leaf.id for leaf in tree.leaves_under(parent)])
    )
    assert np.array_equal(masks["Left Hippocampus"], everything == tree.find("Left Hippocampus").id)
    assert len(result.layers) == 2
    with pytest.raises(LabelError, match="overlaps"):
        _ = result.label_map


def test_millilitres_are_voxels_times_their_volume() -> None:
    volume = samples.scan(affine=np.diag([2.0, 1, 1.5, 1]))
    result = tiny_segmenter().segment(volume)
    for entry in result.labels:
        voxels = np.count_nonzero(result.mask(entry.label.name).to_numpy())
        assert result.millilitres()[entry.label.id] == pytest.approx(voxels * 0.003)


@pytest.mark.parametrize(("ident", "dtype"), [(255, np.uint8), (256, np.uint16), (70_000, np.uint32)])
def test_label_maps_use_the_smallest_unsigned_type(ident: int, dtype: type) -> None:
    tree = LabelTree((Label(7, "small"), Label(ident, "large")))
    assert tiny_segmenter(tree=tree).segment(samples.scan()).label_map.array.dtype == dtype


def test_outside_the_scanned_region_there_is_background() -> None:
    volume = samples.scan()
    padded = np.pad(volume.array, ((0, 0), (10, 3), (0, 7), (5, 0)))
    found = tiny_segmenter().segment(Volume(padded, volume.affine)).label_map.array[0]
    assert not found[:10].any()
    assert not found[-3:].any()
    assert not found[:, -7:].any()
    assert found.any()


def test_what_looks_like_a_label_map_is_segmented_where_the_user_says_that_it_is_a_scan() -> None:
    segmenter, scan = tiny_segmenter(), samples.scan()
    greys = scan.with_array(scan.array // 300 * 300)
    for ask in (segmenter.segment, segmenter.features):
        with pytest.raises(InputError, match=r"label map or mask.*--not-a-label-map"):
            ask(greys)
    found = segmenter.segment(greys, not_a_label_map=True).label_map.array
    assert np.array_equal(found, segmenter.features(greys, not_a_label_map=True).segment().label_map.array)
    assert len(np.unique(found)) > 3


def test_a_background_that_is_not_0_changes_no_label_and_is_in_the_report() -> None:
    segmenter, scan = tiny_segmenter(), samples.scan(affine=OBLIQUE)
    shifted = scan.with_array(np.where(scan.array != 0, scan.array, -1000))
    one, other = segmenter.segment(scan), segmenter.segment(shifted)
    assert np.array_equal(one.label_map.array, other.label_map.array)
    assert len(np.unique(one.label_map.array)) > 3
    assert [f.text for f in other.report.findings if f not in one.report.findings] == [
        "The background of the scan is -1000, not 0; it is taken for outside."
    ]


def test_unknown_labels_are_told_before_the_network_runs() -> None:
    segmenter = tiny_segmenter()
    calls = count_trunk_calls(segmenter)
    with pytest.raises(LabelError, match="Left Hippocampus"):
        segmenter.segment(samples.scan(), ["Left Hipocampus"])
    assert not calls


def test_metadata_reach_the_network_and_unknown_is_as_if_nothing_was_said() -> None:
    volume, segmenter = samples.scan(), tiny_segmenter()

    def stored(metadata: dict[str, object] | None) -> torch.Tensor:
        found = segmenter.features(volume, metadata)
        assert found.stored is not None
        return found.stored

    nothing = stored(None)
    assert torch.equal(nothing, stored({"age": "unknown", "sex": ""}))
    assert not torch.equal(nothing, stored({"age": 25}))
    assert not torch.equal(stored({"sex": "F"}), stored({"sex": "M"}))
    outside = segmenter.features(volume, {"age": 90})
    assert torch.equal(nothing, outside.stored if outside.stored is not None else torch.empty(0))
    assert any("outside" in finding.text for finding in outside.report.findings)


# Points


def test_a_point_has_the_probabilities_of_its_scores_and_its_winner_first() -> None:
    volume = samples.scan()
    segmenter = tiny_segmenter(feature_dtype=torch.float32)
    found = segmenter.features(volume)
    assert found.stored is not None
    winners = found.segment().label_map.array[0]
    scores = resample(found.stored, found.feature_grid, Grid.of(volume)) @ found.prompts.vectors.T + found.prompts.bias
    for k, j, i in ((18, 22, 20), (10, 22, 25), (25, 15, 12)):
        ranked = found.at((float(i), float(j), float(k)))
        expected = scores[k, j, i].softmax(0)
        assert [r.probability for r in ranked] == sorted((float(p) for p in expected[1:]), reverse=True)[
            : len(ranked)
        ] or all(
            abs(r.probability - float(expected[segmenter.package.labels.class_of[r.label.id]])) < 1e-5 for r in ranked
        )
        assert sum(r.probability for r in ranked) + float(expected[0]) == pytest.approx(1, abs=1e-4)
        if winners[k, j, i]:
            assert ranked[0].label.id == winners[k, j, i]


def test_a_point_outside_the_scan_has_no_labels() -> None:
    assert tiny_segmenter().features(samples.scan()).at((500.0, 0.0, 0.0)) == []


def test_points_need_kept_features_and_say_so() -> None:
    with pytest.raises(InputError, match="crop the scan to the part of interest to ask for"):
        tiny_segmenter(feature_budget=0).features(samples.scan()).at((20.0, 22.0, 18.0))


# Flips


def test_with_flips_a_mirrored_scan_gives_the_mirrored_answer_with_sides_exchanged() -> None:
    volume = samples.scan((36, 44, 40))
    segmenter = tiny_segmenter(flip=True, feature_dtype=torch.float32)
    tree = segmenter.package.labels
    answer = segmenter.segment(volume).label_map.array[0]
    mirrored = segmenter.segment(volume.with_array(volume.array[..., ::-1].copy())).label_map.array[0][..., ::-1]
    exchange = np.arange(256)
    for leaf in tree.leaves:
        exchange[leaf.id] = tree.mirrored(leaf).id
    assert (exchange[mirrored] == answer).mean() > 0.9999
    plain = tiny_segmenter(flip=False, feature_dtype=torch.float32).segment(volume).label_map.array[0]
    assert (plain != answer).any()


# Memory ladder


def fail_with(error: Exception, until: Callable[[Any], bool], segmenter: Segmenter) -> None:
    def hook(_module: Any, _inputs: Any) -> None:
        if not until(segmenter.plan):
            raise error

    segmenter.network.trunk.register_forward_pre_hook(hook)


@pytest.mark.parametrize(
    ("fits", "steps"),
    [
        (lambda plan: plan.batch == 1, ["window batch 2", "window batch 1"]),
        (lambda plan: plan.chunk <= 40, ["window batch 2", "window batch 1", "label chunk 40"]),
    ],
    ids=["batch", "chunk"],
)
def test_out_of_memory_takes_the_next_rung_and_gives_the_same_voxels(
    fits: Callable[[Any], bool], steps: list[str]
) -> None:
    volume = samples.scan()
    answer = tiny_segmenter().segment(volume).label_map.array
    segmenter = tiny_segmenter()
    segmenter.network_pass.plan = replace(segmenter.plan, batch=4)
    fail_with(torch.OutOfMemoryError("CUDA out of memory"), fits, segmenter)
    result = segmenter.segment(volume)
    assert np.array_equal(result.label_map.array, answer)
    assert result.report.fallbacks == steps


def test_out_of_memory_while_labels_are_decided_makes_the_label_chunk_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    volume = samples.scan()
    answer = tiny_segmenter().segment(volume).label_map.array
    real = scoring.best_classes

    def greedy(
        features: torch.Tensor,
        prompts: torch.Tensor,
        bias: torch.Tensor,
        chunk: int,
        with_log_sum: bool = False,
        context: int = 0,
    ) -> BestClasses:
        if chunk > 16:
            raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory")
        return real(features, prompts, bias, chunk, with_log_sum, context)

    def too_large(*_: Any) -> torch.Tensor:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(features_module, "best_by_tiles", too_large)
    monkeypatch.setattr(features_module, "best_classes", greedy)
    result = tiny_segmenter().segment(volume)
    assert result.report.fallbacks == ["label chunk 40", "label chunk 16"]
    assert np.array_equal(result.label_map.array, answer)


def test_every_scan_starts_from_the_top_of_the_ladder() -> None:
    segmenter = tiny_segmenter()
    segmenter.network_pass.plan = top = replace(segmenter.plan, batch=4)
    needs = 1
    fail_with(torch.OutOfMemoryError("CUDA out of memory"), lambda plan: plan.batch <= needs, segmenter)
    assert segmenter.features(samples.scan()).report.fallbacks == ["window batch 2", "window batch 1"]
    assert segmenter.plan == top
    needs = 4
    assert segmenter.features(samples.scan()).report.fallbacks == []
    needs = 0
    with pytest.raises(DeviceError):
        segmenter.features(samples.scan())
    assert segmenter.plan == top


GPU = torch.device("cuda", 0)


def placements(monkeypatch: pytest.MonkeyPatch, free: Callable[[], bool]) -> list[str]:
    """Let a GPU seem to be there that has no memory unless `free`; grows by where the network is put."""
    put: list[str] = []

    def place(self: NetworkPass) -> None:
        put.append(self.plan.device.type)
        if self.plan.device == GPU and not free():
            raise torch.OutOfMemoryError("CUDA out of memory")

    def first(_device: torch.device) -> MemoryPlan:
        return MemoryPlan(GPU, 1, 16, CPU)

    def on_cpu(image: torch.Tensor, trunk: Any, plan: WindowPlan, axis: int, _device: Any, *more: Any) -> Any:
        return feature_slabs(image, trunk, plan, axis, CPU, *more)

    monkeypatch.setattr(NetworkPass, "place", place)
    monkeypatch.setattr(MemoryPlan, "first", first)
    monkeypatch.setattr(segmenter_module, "describe_device", lambda device: device.type)
    monkeypatch.setattr(segmenter_module, "peak_memory_mb", lambda device: {})
    monkeypatch.setattr(features_module, "peak_memory_mb", lambda device: {})
    monkeypatch.setattr(network_pass_module, "feature_slabs", on_cpu)
    return put


def test_after_a_scan_that_needed_the_cpu_the_next_one_is_back_on_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    volume, is_free = samples.scan(), True
    answer = tiny_segmenter().segment(volume).label_map.array
    put = placements(monkeypatch, lambda: is_free)
    segmenter = tiny_segmenter()
    put.clear()
    is_free = False
    bad = segmenter.features(volume)
    assert put == ["cuda", "cpu"]
    assert (bad.report.fallbacks, bad.report.device) == (["network on the CPU"], "cpu")
    is_free = True
    good = segmenter.features(volume)
    assert put == ["cuda", "cpu", "cuda"]
    assert (good.report.fallbacks, good.report.device) == ([], "cuda")
    for features in (good, bad):  # what is kept does not mind where the network is now
        assert np.array_equal(features.segment().label_map.array, answer)


def test_features_that_were_kept_answer_after_the_network_has_moved() -> None:
    volume = samples.scan()
    expected = tiny_segmenter().segment(volume).label_map.array
    segmenter = tiny_segmenter()
    features = segmenter.features(volume)
    segmenter.network.to("meta")
    assert np.array_equal(features.segment().label_map.array, expected)


def test_the_last_rung_ends_with_a_sentence() -> None:
    segmenter = tiny_segmenter()
    fail_with(torch.OutOfMemoryError("out"), lambda plan: False, segmenter)
    with pytest.raises(DeviceError, match="memory of this machine"):
        segmenter.segment(samples.scan())


def test_other_errors_are_not_taken_for_a_lack_of_memory() -> None:
    segmenter = tiny_segmenter()
    fail_with(RuntimeError("shapes do not match"), lambda plan: False, segmenter)
    with pytest.raises(RuntimeError, match="shapes do not match"):
        segmenter.segment(samples.scan())
    assert segmenter.plan.chunk == scoring.DEFAULT_CHUNK


# Progress and cancel


def test_progress_is_monotone_and_ends_at_one() -> None:
    seen: list[float] = []
    tiny_segmenter().segment(samples.scan((50, 60, 46)), progress=lambda done, text: seen.append(done))
    assert seen == sorted(seen)
    assert seen[0] == 0
    assert seen[-1] == 1
    assert len(set(seen)) > 10


@pytest.mark.parametrize("moment", [0.01, 0.3, 0.85])
def test_cancel_is_honoured_within_one_patch(moment: float) -> None:
    segmenter, token = tiny_segmenter(), CancelToken()
    calls = count_trunk_calls(segmenter)
    calls_at_cancel: list[int] = []

    def progress(done: float, text: str) -> None:
        if done >= moment and not token.cancelled:
            calls_at_cancel.append(len(calls))
            token.cancel()

    with pytest.raises(Cancelled):
        segmenter.segment(samples.scan((50, 60, 46)), progress=progress, cancel=token)
    assert len(calls) <= calls_at_cancel[0] + 1


# Findings and report


def test_the_report_says_what_ran() -> None:
    report = tiny_segmenter().segment(samples.scan(), metadata={"sex": "F"}).report.to_json()
    assert report["metadata"] == {"sex": "F", "age": "unknown"}
    assert set(report["timings_s"]) == {"preparing", "network", "scoring", "labels"}
    assert report["versions"]["torch"] == torch.__version__
    assert report["peak_memory_mb"]["process"] > 10
    assert report["grid"]["shape_kji"] == [36, 44, 40]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda a: np.where(a > 500, np.nan, a.astype(np.float32)), "NaN or infinite"),
        (lambda a: np.where(a > 500, np.inf, a.astype(np.float32)), "NaN or infinite"),
        (lambda a: a * 0, "empty"),
        (lambda a: a * 0 + 7, "constant"),
        (lambda a: (a > 0).astype(np.uint8), "label map"),
        (lambda a: (a // 300).astype(np.int16), "label map"),
        (lambda a: a.astype(np.complex64), "real numbers"),
        (lambda a: np.concatenate([a, a]), "1 channel"),
    ],
    ids=["nan", "inf", "empty", "constant", "mask", "label map", "complex", "two channels"],
)
def test_scans_that_cannot_be_segmented_are_refused_with_a_sentence(
    change: Callable[[np.ndarray], np.ndarray], words: str
) -> None:
    volume = samples.scan()
    with pytest.raises(InputError, match=words):
        tiny_segmenter().segment(Volume(change(volume.array), volume.affine))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64, ">i2", ">f4"])
def test_voxel_types_and_byte_orders_do_not_matter(dtype: Any) -> None:
    volume = samples.scan()
    values = volume.array // 5
    expected = tiny_segmenter().segment(volume.with_array(values)).label_map.array
    assert np.array_equal(tiny_segmenter().segment(volume.with_array(values.astype(dtype))).label_map.array, expected)
