"""Labels by example: what a mask on one scan shows is found on it and on others, beside the classes, which it leaves as
they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from LabelConditionedSegmentationLib.core.errors import Cancelled, DeviceError, InputError, LabelError, MetadataError
from LabelConditionedSegmentationLib.core.examples.example_fit import fit
from LabelConditionedSegmentationLib.core.examples.example_prompt import ExamplePrompt, averaged
from LabelConditionedSegmentationLib.core.examples.painted_examples import Example, mask_on, shares_on
from LabelConditionedSegmentationLib.core.inference import example_learning
from LabelConditionedSegmentationLib.core.inference import features as features_module
from LabelConditionedSegmentationLib.core.inference.example_pooling import pooled_over
from LabelConditionedSegmentationLib.core.inference.features import Features
from LabelConditionedSegmentationLib.core.inference.scoring import BestClasses, best_classes
from LabelConditionedSegmentationLib.core.inference.segmenter import Segmenter
from LabelConditionedSegmentationLib.core.inference.windows import plan_windows
from LabelConditionedSegmentationLib.core.network.architecture import Architecture
from LabelConditionedSegmentationLib.core.network.example_encoder import ExampleEncoder, Pooled, pool
from LabelConditionedSegmentationLib.core.network.model import LabelConditionedNetwork
from LabelConditionedSegmentationLib.core.package.model_package import ModelPackage
from LabelConditionedSegmentationLib.core.progress import CancelToken
from LabelConditionedSegmentationLib.core.scan.geometry import Grid, resample
from LabelConditionedSegmentationLib.core.scan.input_spec import InputSpec
from LabelConditionedSegmentationLib.core.scan.preprocessing import prepare
from LabelConditionedSegmentationLib.core.scan.volume import Affine, Array, Volume

from Testing import samples
from Testing.samples import dice

CPU = torch.device("cpu")
LEARNS = replace(samples.TINY, examples=True)
SHA = "ab" * 32
OBLIQUE: Affine = np.array([[1.2, -0.5, 0.1, -10], [0.45, 0.8, 0.2, 4], [-0.1, -0.2, 1.9, -3], [0, 0, 0, 1.0]])


def segmenter_of(
    network: LabelConditionedNetwork,
    patch: tuple[int, int, int] = (64, 64, 64),
    flip: bool = False,
    spec: InputSpec | None = None,
    **changes: Any,
) -> Segmenter:
    about = (samples.label_tree(), samples.SCHEMA, patch, flip, SHA)
    return Segmenter(
        ModelPackage(Path("tiny"), "tiny", network.trunk.architecture, spec or InputSpec(), *about),
        network,
        CPU,
        **changes,
    )


def seeing(**changes: Any) -> Segmenter:
    """That finds by example what differs in brightness."""
    return segmenter_of(samples.seeing_network(), **changes)


def random(architecture: Architecture = LEARNS, **changes: Any) -> Segmenter:
    """With random weights; whatever it finds means nothing."""
    return segmenter_of(samples.network(architecture), **changes)


def masks(found: Features, prompts: Sequence[ExamplePrompt]) -> dict[str, Array]:
    result = found.by_example(prompts).segment()
    return {entry.label.name: result.mask(entry.label.name).to_numpy() for entry in result.labels}


def prompt(name: str, vector: Sequence[float] | torch.Tensor, bias: float = 0.0, parent: str = "") -> ExamplePrompt:
    """Made by hand."""
    return ExamplePrompt(name, tuple(float(n) for n in vector), bias, "tiny", SHA, parent)


# It works


@pytest.fixture(scope="module")
def learned() -> tuple[Segmenter, dict[str, ExamplePrompt]]:
    """The seeing segmenter and what it learned from two balls on an atlas."""
    segmenter = seeing()
    atlas, balls = samples.scan_of_parts()
    return segmenter, {
        p.name: p for p in segmenter.examples(atlas, [Example(name, mask) for name, mask in balls.items()])
    }


@pytest.mark.parametrize("where", ["atlas", "another scan"])
@pytest.mark.parametrize("asked", [["bright"], ["dark"], ["bright", "dark"]], ids=str)
def test_what_was_shown_on_an_atlas_is_found_there_and_on_another_scan(
    learned: tuple[Segmenter, dict[str, ExamplePrompt]], where: str, asked: list[str]
) -> None:
    segmenter, prompts = learned
    scan, balls = samples.scan_of_parts() if where == "atlas" else samples.scan_of_parts((40, 38, 44), seed=5)
    found = masks(segmenter.features(scan), [prompts[name] for name in asked])
    assert list(found) == asked
    for name in asked:
        assert dice(found[name], balls[name]) > 0.99


def test_another_mask_on_the_same_atlas_finds_something_else(
    learned: tuple[Segmenter, dict[str, ExamplePrompt]],
) -> None:
    segmenter, prompts = learned
    scan, balls = samples.scan_of_parts(seed=2)
    found = masks(segmenter.features(scan), [prompts["bright"], replace(prompts["dark"], name="second")])
    assert dice(found["bright"], balls["dark"]) == dice(found["second"], balls["bright"]) == 0


def test_what_was_shown_on_a_turned_atlas_of_other_spacing_is_found(
    learned: tuple[Segmenter, dict[str, ExamplePrompt]],
) -> None:
    """The atlas lies sagittally, with voxels of half the size along one axis."""
    segmenter, _ = learned
    scan, balls = samples.scan_of_parts()
    atlas = Volume(
        np.repeat(scan.array, 2, axis=1).transpose(0, 3, 1, 2).copy(),
        np.array([[0, 0, 1.0, 0], [1.0, 0, 0, 0], [0, 0.5, 0, -0.25], [0, 0, 0, 1]]),
    )
    mask = np.repeat(balls["bright"], 2, axis=0).transpose(2, 0, 1).copy()
    shown = segmenter.examples(atlas, [Example("bright", mask)])
    assert (
        dice(masks(segmenter.features(scan), shown)["bright"], balls["bright"]) > 0.85
    )  # borders are blurred by half a voxel


def test_two_atlases_make_one_label_that_is_found(learned: tuple[Segmenter, dict[str, ExamplePrompt]]) -> None:
    segmenter, prompts = learned
    other, balls_there = samples.scan_of_parts((40, 38, 44), seed=5)
    (second,) = segmenter.examples(other, [Example("bright", balls_there["bright"])])
    assert second.vector != prompts["bright"].vector
    scan, balls = samples.scan_of_parts(seed=8)
    assert (
        dice(masks(segmenter.features(scan), [averaged([prompts["bright"], second])])["bright"], balls["bright"]) > 0.99
    )


def test_a_prompt_keeps_what_is_known_of_its_example() -> None:
    atlas, balls = samples.scan_of_parts(affine=np.diag([1.0, 2.0, 1.5, 1.0]))
    (made,) = random().examples(atlas, [Example("bright", balls["bright"])], {"age": 31})
    assert (made.name, made.package, made.weights_sha256, made.parent, len(made.vector)) == (
        "bright",
        "tiny",
        SHA,
        "",
        8,
    )
    (known,) = made.examples
    assert known["millilitres"] == pytest.approx(balls["bright"].sum() * 0.003)
    assert known["metadata"] == {"age": 31}
    assert known["grid"]["shape_kji"] == [36, 44, 40]
    assert "findings" not in known


@pytest.mark.slow
def test_what_is_odd_about_an_atlas_is_kept_with_the_prompt() -> None:
    atlas, balls = samples.scan_of_parts(affine=np.diag([4.0, 4.0, 4.0, 1.0]))
    (made,) = random().examples(atlas, [Example("bright", balls["bright"])], {"age": 90})
    texts = [finding["text"] for finding in made.examples[0]["findings"]]
    assert any("age = 90" in text for text in texts)
    assert any("4 mm long" in text for text in texts)


def test_metadata_of_the_atlas_reach_the_network() -> None:
    atlas, balls = samples.scan_of_parts()
    segmenter, shown = random(), [Example("bright", balls["bright"])]
    (told,), (untold,), (again,) = (
        segmenter.examples(atlas, shown, metadata) for metadata in ({"age": 25}, None, {"age": "unknown"})
    )
    assert told.vector != untold.vector
    assert again.vector == untold.vector


def test_many_masks_at_once_give_what_each_gives_alone() -> None:
    """More than are pooled in one product."""
    atlas, _ = samples.scan_of_parts()
    corners = np.random.default_rng(0).integers(8, 24, (20, 3))
    shown = []
    for n, (k, j, i) in enumerate(corners):
        mask = np.zeros(atlas.shape, dtype=bool)
        mask[k : k + 5, j : j + 5, i : i + 5] = True
        shown.append(Example(str(n), mask))
    segmenter = random(patch=(32, 32, 32))
    together = segmenter.examples(atlas, shown, pooled=True)
    assert [p.name for p in together] == [e.name for e in shown]
    for n in (0, 15, 16, 19):
        (alone,) = segmenter.examples(atlas, [shown[n]], pooled=True)
        assert np.allclose(together[n].vector, alone.vector, atol=1e-4)
        assert together[n].bias == pytest.approx(alone.bias, abs=1e-4)


# Pooling


def test_pooling_is_the_mean_inside_and_around_at_every_level() -> None:
    generator = torch.Generator().manual_seed(0)
    fine, coarse = torch.randn(3, 8, 8, 8, generator=generator), torch.randn(2, 4, 4, 4, generator=generator)
    mask = torch.zeros(8, 8, 8)
    mask[2:6, 2:6, 2:6] = 1
    found = pool([coarse, fine], mask[None])
    for level, inside, values in ((1, mask, fine), (0, torch.nn.functional.avg_pool3d(mask[None], 2)[0], coarse)):
        assert float(found.weight[level][0, 0]) == pytest.approx(float(inside.sum()))
        assert torch.allclose(found.found[level][0, 0], (values * inside).sum((1, 2, 3)), atol=1e-5)
        near = torch.nn.functional.conv3d(inside[None, None], torch.ones(1, 1, 5, 5, 5) / 125, padding=2)[0, 0] * (
            1 - inside
        )
        assert float(found.weight[level][0, 1]) == pytest.approx(float(near.sum()), rel=1e-5)
        assert torch.allclose(found.found[level][0, 1], (values * near).sum((1, 2, 3)), atol=1e-5)


class Local:
    """Stands for a network whose levels see nothing beyond a voxel, so that windows do not matter to them."""

    def __init__(self) -> None:
        self.passes = 0

    def levels(self, image: torch.Tensor, metadata: torch.Tensor) -> list[torch.Tensor]:
        self.passes += 1
        half = torch.nn.functional.avg_pool3d(image, 2)
        return [torch.nn.functional.avg_pool3d(half, 2), half]


def pooled_in(size: int, mask: torch.Tensor, image: torch.Tensor) -> tuple[Pooled, Local, list[int]]:
    network, done = Local(), list[int]()
    windows = plan_windows((48, 48, 48), (size, size, size), 0.5, 2)
    return pooled_over(network, image, [mask], torch.zeros(1, 1), windows, done.append), network, done  # type: ignore[arg-type]


def test_several_windows_give_the_sums_of_one() -> None:
    image = torch.randn(2, 48, 48, 48, generator=torch.Generator().manual_seed(0))
    mask = torch.zeros(24, 24, 24, dtype=torch.uint8)
    mask[5:15, 6:17, 8:14] = 255
    mask[15, 6:17, 8:14] = 100
    (one, *_), (several, network, done) = pooled_in(48, mask, image), pooled_in(32, mask, image)
    assert network.passes == 8
    assert done == sorted(done)
    assert done[-1] == 8
    for a, b in zip(one.weight, several.weight, strict=True):
        assert torch.allclose(a[:, 0], b[:, 0], rtol=1e-4)  # inside: exactly, to rounding
        assert torch.allclose(
            a[:, 1], b[:, 1], rtol=0.05
        )  # around: windows cut the neighbourhood of a voxel at their rims, where they count least
    assert torch.allclose(one.found[1][0, 0], several.found[1][0, 0], atol=1e-2)


def test_windows_without_anything_of_a_mask_are_not_run() -> None:
    mask = torch.zeros(24, 24, 24, dtype=torch.uint8)
    mask[1:3, 1:3, 1:3] = 255
    found, network, done = pooled_in(32, mask, torch.ones(1, 48, 48, 48))
    assert network.passes == 1
    assert done[-1] == 8
    assert float(found.weight[1][0, 0]) == pytest.approx(8, rel=1e-4)


def test_small_windows_find_what_one_window_finds() -> None:
    """The whole way, with a network that normalises every window by itself; so the prompts are alike, and
    not the same.
    """
    atlas, balls = samples.scan_of_parts((60, 62, 64))
    shown = [Example(name, mask) for name, mask in balls.items()]
    whole, cut = (random(patch=(size, size, size)).examples(atlas, shown, pooled=True) for size in (80, 48))
    for a, b in zip(whole, cut, strict=True):
        assert a.vector != b.vector
        assert np.corrcoef(a.vector, b.vector)[0, 1] > 0.9


@pytest.mark.parametrize(
    "affine",
    [np.eye(4), np.diag([0.5, 0.5, 0.5, 1.0]), np.diag([1.0, 2.0, 3.0, 1.0]), OBLIQUE],
    ids=["1 mm", "0.5 mm", "1 x 2 x 3 mm", "oblique"],
)
@pytest.mark.parametrize("stride", [1, 2])
def test_the_share_of_a_mask_lies_where_the_mask_lies_and_is_as_large(affine: Affine, stride: int) -> None:
    atlas, balls = samples.scan_of_parts((36, 44, 40), affine)
    mask = balls["bright"]
    prepared = prepare(atlas, InputSpec(), 4, with_position=False)
    shares = shares_on(Grid.of(atlas), prepared, mask, stride).float().numpy() / 255
    coarse = prepared.grid.coarser(stride)
    assert shares.shape == coarse.shape
    millilitres = shares.sum() * abs(np.linalg.det(coarse.affine[:3, :3])) / 1000
    assert millilitres == pytest.approx(mask.sum() * atlas.voxel_millilitres, rel=0.05)

    def centre(weights: Array, grid: Grid) -> Array:
        place = np.stack(np.meshgrid(*(np.arange(n) for n in weights.shape), indexing="ij"), -1)[..., ::-1]
        mean = (place * weights[..., None]).sum((0, 1, 2)) / weights.sum()
        return np.asarray((grid.affine @ np.append(mean, 1.0))[:3])

    assert np.allclose(centre(shares, coarse), centre(mask.astype(float), Grid.of(atlas)), atol=0.3)


def test_a_mask_of_one_voxel_is_not_lost() -> None:
    atlas, _ = samples.scan_of_parts((40, 40, 40), np.diag([0.3, 0.3, 0.3, 1.0]))
    mask = np.zeros(atlas.shape, dtype=bool)
    mask[20, 20, 20] = True
    shares = shares_on(Grid.of(atlas), prepare(atlas, InputSpec(), 2, with_position=False), mask, 2)
    assert shares.any()
    assert random().examples(atlas, [Example("a voxel", mask)])[0].name == "a voxel"


def test_a_mask_without_a_voxel_still_gives_finite_numbers() -> None:
    torch.manual_seed(0)
    vectors, bias = ExampleEncoder((4, 8), 8)(
        pool([torch.randn(4, 4, 4, 4), torch.randn(8, 8, 8, 8)], torch.zeros(2, 8, 8, 8))
    )
    assert bool(torch.isfinite(vectors).all())
    assert bool(torch.isfinite(bias).all())


# Masks


def cropped(volume: Volume, low: tuple[int, int, int], high: tuple[int, int, int]) -> Volume:
    """A part of a volume, from `low` to before `high` (k, j, i), where it was; zeros beyond."""
    grid = Grid.of(volume).box(low, high)
    array = np.zeros(grid.shape, dtype=volume.array.dtype)
    inner = [slice(max(0, a), min(n, b)) for a, b, n in zip(low, high, volume.shape, strict=True)]
    array[tuple(slice(s.start - a, s.stop - a) for s, a in zip(inner, low, strict=True))] = volume.array[0][
        tuple(inner)
    ]
    return Volume(array[None], grid.affine)


@pytest.mark.parametrize("affine", [np.eye(4), OBLIQUE], ids=["along RAS", "oblique"])
@pytest.mark.parametrize(
    ("low", "high"),
    [((0, 0, 0), (36, 44, 40)), ((8, 5, 3), (30, 41, 25)), ((-3, 8, -7), (40, 50, 44))],
    ids=["whole", "a part", "beyond the scan"],
)
def test_a_mask_that_covers_a_part_of_its_scan_lies_where_it_was(
    affine: Affine, low: tuple[int, int, int], high: tuple[int, int, int]
) -> None:
    atlas, balls = samples.scan_of_parts(affine=affine)
    mask = Volume((balls["bright"] * 7).astype(np.uint8)[None], affine)
    part = cropped(mask, low, high)
    part = Volume(part.array, part.affine.astype(np.float32).astype(np.float64))  # as files store it
    expected = np.zeros(atlas.shape, dtype=bool)
    place = tuple(slice(max(0, a), b) for a, b in zip(low, high, strict=True))
    expected[place] = balls["bright"][place]
    assert np.array_equal(mask_on(atlas, part), expected)


def moved(affine: Affine, **changes: Any) -> Affine:
    out = affine.copy()
    for axis, value in changes.get("by", {}).items():
        out[axis, 3] += value
    return np.asarray(out @ np.asarray(changes.get("times", np.eye(4))))


@pytest.mark.parametrize(
    "affine",
    [
        moved(np.eye(4), by={0: 0.5}),
        moved(np.eye(4), times=np.diag([1.0, 1.0, 1.01, 1.0])),
        moved(np.eye(4), times=np.diag([2.0, 2.0, 2.0, 1.0])),
        moved(np.eye(4), times=[[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]),
        moved(np.eye(4), times=[[1, 0.004, 0, 0], [-0.004, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]),
        OBLIQUE,
    ],
    ids=["half a voxel away", "other spacing", "twice the spacing", "axes exchanged", "slightly turned", "oblique"],
)
def test_a_mask_that_does_not_lie_on_the_voxels_of_its_scan_is_refused(affine: Affine) -> None:
    atlas, balls = samples.scan_of_parts()
    with pytest.raises(
        InputError,
        match=(
            r'The mask "m.nii" \(40 x 44 x 36 voxels of .* mm\) does not lie on the voxels of its scan .*: resample it'
        ),
    ):
        mask_on(atlas, Volume(balls["bright"][None], affine), 'mask "m.nii"')


@pytest.mark.parametrize("by", [0.02, 1e-5])
def test_rounding_of_stored_positions_does_not_matter(by: float) -> None:
    atlas, balls = samples.scan_of_parts()
    assert np.array_equal(
        mask_on(atlas, Volume(balls["bright"][None], moved(np.eye(4), by={0: by, 2: -by}))), balls["bright"]
    )


@pytest.mark.parametrize(
    ("array", "corner", "says"),
    [
        (np.zeros((1, 36, 44, 40)), 0.0, "is empty"),
        (np.ones((1, 4, 4, 4)), 100.0, "lies outside of its scan"),
        (np.full((1, 36, 44, 40), np.nan), 0.0, "NaN or infinite"),
    ],
    ids=["empty", "outside", "NaN"],
)
def test_a_mask_that_shows_nothing_is_refused(array: Array, corner: float, says: str) -> None:
    atlas, _ = samples.scan_of_parts()
    with pytest.raises(InputError, match=says):
        mask_on(atlas, Volume(array, moved(np.eye(4), by={0: corner})))


@pytest.mark.parametrize("place", ["a corner of the image", "close to the tissue", "a hole in the tissue"])
def test_a_mask_where_the_scan_is_0_is_refused(place: str) -> None:
    """Close to the tissue the network's grid still has voxels; the network sees nothing there either."""
    atlas, _ = samples.scan_of_parts()
    array = np.pad(atlas.array, ((0, 0), (20, 20), (20, 20), (20, 20)))
    k, j, i = {
        "a corner of the image": (2, 2, 2),
        "close to the tissue": (21, 22, 22),
        "a hole in the tissue": (34, 40, 38),
    }[place]
    array[0, 30:42, 36:48, 34:46] = 0
    mask = np.zeros(array.shape[1:], dtype=bool)
    mask[k : k + 3, j : j + 3, i : i + 3] = True
    with pytest.raises(InputError, match='The mask of "air" lies outside of what the model sees'):
        random().examples(Volume(array, atlas.affine), [Example("air", mask)])


def test_where_all_of_a_scan_counts_a_mask_may_lie_anywhere() -> None:
    atlas, _ = samples.scan_of_parts()
    mask = np.zeros(atlas.shape, dtype=bool)
    mask[:3, :3, :3] = True
    assert random(spec=InputSpec(foreground="all")).examples(atlas, [Example("air", mask)])[0].name == "air"


# The competition


@pytest.fixture(scope="module")
def found() -> Features:
    """Of a model with random weights, scored in full precision."""
    return random(feature_dtype=torch.float32).features(samples.scan())


def scores_of(found: Features, prompts: Sequence[ExamplePrompt]) -> Array:
    """(k, j, i, prompts) of the scanned region, by a plain product."""
    assert found.stored is not None
    fine = resample(found.stored, found.feature_grid, found.input_grid.box(*found.region))
    return np.asarray(
        (fine @ torch.tensor([p.vector for p in prompts]).T + torch.tensor([p.bias for p in prompts])).numpy()
    )


def random_prompts(count: int) -> list[ExamplePrompt]:
    vectors = np.random.default_rng(1).normal(size=(count, 8))
    return [prompt(f"shown {n}", vector, -0.2) for n, vector in enumerate(vectors)]


@pytest.mark.parametrize("count", [1, 2, 20])
def test_the_best_score_wins_and_the_background_has_0(found: Features, count: int) -> None:
    prompts = random_prompts(count)
    scores = scores_of(found, prompts)
    expected = np.where(scores.max(-1) > 0, scores.argmax(-1) + 1, 0)
    assert len(np.unique(expected)) > min(count, 5)
    assert (found.by_example(prompts).winner_map() == expected).mean() > 0.9999


def test_answers_for_classes_are_the_same_bits_before_and_after_examples_and_without_them() -> None:
    scan = samples.scan()
    learning, plain = random(), random()
    plain.network.examples = None
    expected = plain.features(scan)
    shown = learning.examples(scan, [Example("shown", scan.array[0] > 700)])
    answers = learning.features(scan)
    before = answers.segment().label_map.array
    answers.by_example(shown).segment()
    again = answers.segment().label_map.array
    assert len(np.unique(before)) > 3
    assert answers.stored is not None
    assert expected.stored is not None
    assert torch.equal(answers.stored, expected.stored)
    assert np.array_equal(before, again)
    assert np.array_equal(before, expected.segment().label_map.array)


@pytest.mark.parametrize("parent", ["Deep gray matter", "Right Hippocampus", "rest"])
def test_a_label_stays_inside_its_parent(found: Features, parent: str) -> None:
    everywhere = prompt("everywhere", [0.0] * 8, 1.0, parent)
    tree = found.labels
    inside = np.isin(found.segment().label_map.array[0], [leaf.id for leaf in tree.leaves_under(tree.find(parent))])
    assert 0 < inside.sum() < inside.size
    assert np.array_equal(masks(found, [everywhere])["everywhere"], inside)


def test_labels_of_different_parents_compete_only_where_both_may_be(found: Features) -> None:
    prompts = [
        prompt("deep", [0.0] * 8, 3.0, "Deep gray matter"),
        prompt("right", [0.0] * 8, 4.0, "Right Hippocampus"),
        prompt("anywhere", [0.0] * 8, 2.0),
    ]
    region = tuple(slice(a, b) for a, b in zip(*found.region, strict=True))
    classes = found.segment().label_map.array[0]
    tree = found.labels
    deep = np.isin(classes, [leaf.id for leaf in tree.leaves_under(tree.find("Deep gray matter"))])
    right = classes == tree.find("Right Hippocampus").id
    answer = masks(found, prompts)
    assert np.array_equal(answer["right"], right)
    assert np.array_equal(answer["deep"], deep & ~right)
    assert np.array_equal(answer["anywhere"][region], ~deep[region])
    assert 0 < right.sum() < deep.sum()


def test_a_score_below_0_wins_nowhere_even_inside_the_parent(found: Features) -> None:
    assert not masks(found, [prompt("nowhere", [0.0] * 8, -0.001, "Rest")])["nowhere"].any()


def test_a_point_has_the_probabilities_of_its_scores_and_none_outside_the_parent(found: Features) -> None:
    prompts = [*random_prompts(2), prompt("inside", [0.0] * 8, 9.0, "Deep gray matter")]
    answers = found.by_example(prompts)
    classes, winners = found.segment().label_map.array[0], answers.segment().label_map.array[0]
    scores, (k0, j0, i0) = scores_of(found, prompts), found.region[0]
    deep = {leaf.id for leaf in found.labels.leaves_under(found.labels.find("Deep gray matter"))}
    seen = set()
    for k, j, i in ((18, 22, 20), (10, 22, 25), (25, 15, 12), (18, 30, 28), (20, 12, 20)):
        is_deep = int(classes[k, j, i]) in deep
        seen.add(is_deep)
        here = np.append(0.0, scores[k - k0, j - j0, i - i0])
        here[3] = here[3] if is_deep else -np.inf
        expected = np.exp(here) / np.exp(here).sum()
        ranked = {r.label.name: r.probability for r in answers.at((float(i), float(j), float(k)))}
        assert [ranked[p.name] for p in prompts] == pytest.approx(expected[1:].tolist(), abs=1e-4)
        best = max(ranked, key=lambda name: ranked[name])
        assert winners[k, j, i] == (answers.labels.find(best).id if ranked[best] > expected[0] else 0)
    assert seen == {True, False}


def test_every_chunk_and_precision_of_the_label_is_as_the_classes_have_it(found: Features) -> None:
    many = random_prompts(40)
    expected = found.by_example(many).winner_map()
    small = random(feature_dtype=torch.float32)
    small.network_pass.plan = replace(small.plan, chunk=16)
    assert np.array_equal(small.features(samples.scan()).by_example(many).winner_map(), expected)


def test_values_of_labels_by_example_lie_above_those_of_the_model_or_where_they_are_put(found: Features) -> None:
    prompts = random_prompts(2)
    assert [entry.value for entry in found.by_example(prompts).segment().labels] == [202, 203]
    placed = found.by_example(prompts, [7, 300]).segment()
    assert [entry.value for entry in placed.labels] == [7, 300]
    assert placed.label_map.array.dtype == np.uint16


def test_both_answers_of_a_run_lie_side_by_side_in_layers(found: Features) -> None:
    classes, shown = (
        found.segment(["Deep gray matter", "Left Hippocampus"]),
        found.by_example(random_prompts(2)).segment(),
    )
    both = classes.beside(shown)
    assert [entry.layer for entry in both.labels] == [0, 1, 2, 2]
    for entry, original, of in zip(
        both.labels, (*classes.labels, *shown.labels), (classes, classes, shown, shown), strict=True
    ):
        assert np.array_equal(both.mask(entry.value).to_numpy(), of.mask(original.value).to_numpy())
        assert both.millilitres()[entry.label.id] == pytest.approx(of.millilitres()[entry.label.id])
    with pytest.raises(LabelError, match="overlaps another label"):
        _ = found.segment(["Left Hippocampus"]).beside(shown).label_map


# Flips


def test_with_flips_a_prompt_is_that_of_the_scan_beside_that_of_its_mirror_image() -> None:
    atlas, balls = samples.scan_of_parts()
    segmenter = random(flip=True)
    (made,) = segmenter.examples(atlas, [Example("bright", balls["bright"])], pooled=True)
    network = segmenter.network
    assert network.examples is not None
    prepared = prepare(atlas, InputSpec(), LEARNS.multiple, with_position=True)
    share = shares_on(Grid.of(atlas), prepared, balls["bright"], 2).float() / 255
    mirrored = prepared.image.flip(-1)
    mirrored[1] = -mirrored[1]  # R of the position
    parts = []
    with torch.inference_mode():
        for image, mask in ((prepared.image, share), (mirrored, share.flip(-1))):
            levels = [level[0] for level in network.levels(image[None], torch.full((1, 2), torch.nan))]
            vector, bias = network.examples(pool(levels, mask[None]))
            parts.append((vector[0].numpy(), float(bias)))
    assert np.allclose(made.vector, np.concatenate([parts[0][0], parts[1][0]]) / 2, atol=1e-4)
    assert made.bias == pytest.approx((parts[0][1] + parts[1][1]) / 2, abs=1e-4)


def test_with_flips_what_was_shown_is_found_and_a_prompt_made_without_them_is_refused(
    learned: tuple[Segmenter, dict[str, ExamplePrompt]],
) -> None:
    segmenter = seeing(flip=True)
    atlas, balls = samples.scan_of_parts()
    answers = segmenter.features(atlas)
    shown = segmenter.examples(atlas, [Example("bright", balls["bright"])])
    assert dice(masks(answers, shown)["bright"], balls["bright"]) > 0.99
    with pytest.raises(InputError, match="another model"):
        answers.by_example([learned[1]["bright"]])


# What is refused, progress and cancel


def test_a_model_that_was_not_trained_for_it_refuses_examples() -> None:
    atlas, balls = samples.scan_of_parts()
    with pytest.raises(InputError, match='The model "tiny" was not trained to learn labels from examples'):
        random(replace(samples.TINY, conditioning="decoder")).examples(atlas, [Example("bright", balls["bright"])])
    with pytest.raises(InputError, match='The model "tiny" was not trained to learn labels from examples'):
        random(samples.TINY).examples(atlas, [Example("bright", balls["bright"])], pooled=True)


def test_no_mask_is_refused() -> None:
    with pytest.raises(InputError, match="No structure was shown"):
        random().examples(samples.scan(), [])


def test_features_that_were_not_kept_are_refused() -> None:
    with pytest.raises(InputError, match="crop the scan to the part of interest to ask for"):
        random(feature_budget=0).features(samples.scan()).by_example(random_prompts(1))


def test_a_prompt_of_another_model_is_refused(found: Features) -> None:
    with pytest.raises(InputError, match="made with another model"):
        found.by_example([replace(random_prompts(1)[0], weights_sha256="cd" * 32)])


def test_a_name_of_the_model_is_refused(found: Features) -> None:
    with pytest.raises(LabelError, match="already"):
        found.by_example([prompt("left hippocampus", [0.0] * 8)])


@pytest.mark.parametrize(
    ("change", "says"),
    [(lambda a: a * 0, "empty"), (lambda a: (a > 0).astype(np.uint8), "label map")],
    ids=["empty", "mask"],
)
def test_an_atlas_that_is_no_scan_is_refused(change: Any, says: str) -> None:
    atlas, balls = samples.scan_of_parts()
    with pytest.raises(InputError, match=says):
        random().examples(atlas.with_array(change(atlas.array)), [Example("bright", balls["bright"])])


def test_unknown_metadata_of_the_atlas_are_refused() -> None:
    atlas, balls = samples.scan_of_parts()
    with pytest.raises(MetadataError, match="agee"):
        random().examples(atlas, [Example("bright", balls["bright"])], {"agee": 3})


def shown_all_over(atlas: Volume) -> list[Example]:
    return [Example("tissue", atlas.array[0] > 0)]


@pytest.mark.parametrize("flip", [False, True])
def test_progress_is_monotone_and_ends_at_one(flip: bool) -> None:
    seen: list[float] = []
    atlas = samples.scan((50, 60, 46))
    random(patch=(32, 32, 32), flip=flip).examples(
        atlas, shown_all_over(atlas), progress=lambda done, text: seen.append(done)
    )
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == (0, 1)
    assert len(set(seen)) > 10


@pytest.mark.parametrize("moment", [0.01, 0.5])
def test_cancel_is_honoured_within_one_patch(moment: float) -> None:
    segmenter, token = random(patch=(32, 32, 32)), CancelToken()
    passes: list[int] = []
    segmenter.network.trunk.stem.register_forward_pre_hook(lambda *_: passes.append(1))
    at_cancel: list[int] = []

    def progress(done: float, text: str) -> None:
        if done >= moment and not token.cancelled:
            at_cancel.append(len(passes))
            token.cancel()

    atlas = samples.scan((50, 60, 46))
    with pytest.raises(Cancelled):
        segmenter.examples(atlas, shown_all_over(atlas), progress=progress, cancel=token)
    assert len(passes) <= at_cancel[0] + 1


def test_out_of_memory_takes_the_next_rung_and_gives_the_same_prompt() -> None:
    atlas, balls = samples.scan_of_parts()
    shown = [Example("bright", balls["bright"])]
    (expected,) = random().examples(atlas, shown)
    segmenter = random()
    full, plans = segmenter.plan, []

    def fail_once(*_: Any) -> None:
        plans.append(segmenter.plan)
        if segmenter.plan == full:
            raise torch.OutOfMemoryError("CUDA out of memory")

    segmenter.network.trunk.stem.register_forward_pre_hook(fail_once)
    (made,) = segmenter.examples(atlas, shown)
    assert plans[0] == full
    assert plans[-1] != full
    assert segmenter.plan == full  # the next scan starts from the top
    assert made.vector == expected.vector


def short_of_memory(monkeypatch: pytest.MonkeyPatch, times: int) -> list[str]:
    """Fitting examples fails so often for want of memory; grows by the device of the features at every try."""
    tries: list[str] = []

    def greedy(features: torch.Tensor, *more: Any) -> tuple[torch.Tensor, torch.Tensor]:
        tries.append(features.device.type)
        if len(tries) <= times:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return fit(features, *more)

    monkeypatch.setattr(example_learning, "fit", greedy)
    return tries


def test_out_of_memory_while_an_example_is_fitted_is_on_the_ladder_too(monkeypatch: pytest.MonkeyPatch) -> None:
    atlas, balls = samples.scan_of_parts()
    shown = [Example("bright", balls["bright"])]
    (expected,) = random().examples(atlas, shown)
    segmenter = random()
    tries = short_of_memory(monkeypatch, 2)
    (made,) = segmenter.examples(atlas, shown)
    assert len(tries) == 3
    assert (made.vector, made.bias) == (expected.vector, expected.bias)
    assert segmenter.plan == random().plan


def test_an_example_that_never_fits_ends_with_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    atlas, balls = samples.scan_of_parts()
    short_of_memory(monkeypatch, 100)
    with pytest.raises(DeviceError, match="memory of this machine is not enough"):
        random().examples(atlas, [Example("bright", balls["bright"])])


def test_out_of_memory_while_examples_are_looked_for_is_on_the_ladder_too(monkeypatch: pytest.MonkeyPatch) -> None:
    atlas, balls = samples.scan_of_parts()
    segmenter = random()
    prompts = segmenter.examples(atlas, [Example("bright", balls["bright"])])
    expected = segmenter.features(atlas).by_example(prompts).winner_map()
    features = segmenter.features(atlas)
    needs = 16

    def greedy(
        found: torch.Tensor, vectors: torch.Tensor, bias: torch.Tensor, chunk: int, *more: Any, **named: Any
    ) -> BestClasses:
        if chunk > needs:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return best_classes(found, vectors, bias, chunk, *more, **named)

    def too_large(*_: Any) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(features_module, "best_by_tiles", too_large)
    monkeypatch.setattr(features_module, "best_classes", greedy)
    asked = features.by_example(prompts)
    assert np.array_equal(asked.winner_map(), expected)
    assert asked.report.fallbacks == ["label chunk 40", "label chunk 16"]
    needs = 0
    with pytest.raises(DeviceError, match="memory of this machine is not enough"):
        features.by_example(prompts).winner_map()
