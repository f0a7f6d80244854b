"""The network: every variant runs, learns and is restored; metadata, normalisation and head do what they say."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from LabelConditionedSegmentationLib.core.errors import PackageFormatError
from LabelConditionedSegmentationLib.core.network.architecture import ATLAS_PAIR, CONDITIONING, FILM_MODES, Architecture
from LabelConditionedSegmentationLib.core.network.film import FilmGenerator, MetadataEncoder, after, modulate
from LabelConditionedSegmentationLib.core.network.head import ClassEmbeddings, LabelReadout
from LabelConditionedSegmentationLib.core.network.model import LABELS_A_PASS, LabelConditionedNetwork
from LabelConditionedSegmentationLib.core.network.trunk import InstanceNorm
from LabelConditionedSegmentationLib.core.package.model_package import ModelPackage
from LabelConditionedSegmentationLib.resources import resources_folder

from Testing.samples import SCHEMA, TINY

CLASSES = 5
VARIANTS = [
    Architecture(
        dimensions=dimensions,
        in_channels=channels,
        widths=(4, 6),
        blocks=(1, 2),
        output_stride=stride,
        feature_channels=7,
        position=position,
        film=film,
    )
    for dimensions, stride, film, position, channels in product((2, 3), (1, 2, 4), FILM_MODES, (True, False), (1, 2))
    if channels == 1 or (stride == 2 and film == "identity")
]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Networks this small only wait for a second thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def name_of(a: Architecture) -> str:
    return f"{a.dimensions}d-stride{a.output_stride}-{a.film}-{'position' if a.position else 'plain'}-{a.in_channels}ch"


def build(architecture: Architecture, seed: int = 0) -> LabelConditionedNetwork:
    torch.manual_seed(seed)
    return LabelConditionedNetwork(architecture, CLASSES, SCHEMA.fields)


def image_for(a: Architecture, batch: int = 2, blocks: int = 2, seed: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, a.input_channels, *[blocks * a.multiple] * a.dimensions, generator=generator)


def encoded(*said: dict[str, Any]) -> torch.Tensor:
    """(batch, fields) as the network takes it."""
    return torch.stack([torch.from_numpy(SCHEMA.encode(SCHEMA.parse(values)[0])) for values in said])


def stirred(network: LabelConditionedNetwork) -> LabelConditionedNetwork:
    """The network as after some training: no parameter is where it began."""
    generator = torch.Generator().manual_seed(9)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    return network


@pytest.mark.parametrize("architecture", VARIANTS, ids=name_of)
def test_every_variant_runs_learns_and_is_restored(architecture: Architecture) -> None:
    network, image = stirred(build(architecture)), image_for(architecture)
    known = encoded({"sex": "F", "age": 31}, {})
    scores = network(image, known)
    edge = 2 * architecture.multiple // architecture.output_stride
    assert scores.shape == (2, CLASSES, *[edge] * architecture.dimensions)
    scores.square().mean().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
    assert any(bool(p.grad.abs().sum() > 0) for p in network.trunk.stem.parameters() if p.grad is not None)
    other = build(architecture, seed=5)
    assert not torch.equal(other(image, known), scores)
    other.load_state_dict(network.state_dict())
    assert torch.equal(other(image, known), scores)


@pytest.mark.parametrize("architecture", VARIANTS, ids=name_of)
def test_every_description_survives_json(architecture: Architecture) -> None:
    assert Architecture.from_json(architecture.to_json()) == architecture


@pytest.mark.parametrize("architecture", VARIANTS[::5], ids=name_of)
def test_scans_of_a_batch_do_not_see_each_other(architecture: Architecture) -> None:
    network, image = stirred(build(architecture)).eval(), image_for(architecture)
    known = encoded({"sex": "M"}, {"age": 20})
    both = network(image, known)
    alone = torch.cat([network(image[n : n + 1], known[n : n + 1]) for n in range(2)])
    torch.testing.assert_close(both, alone, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("stride", [1, 2, 4])
@pytest.mark.parametrize("dimensions", [2, 3])
def test_axes_are_multiples_of_what_the_description_says(dimensions: int, stride: int) -> None:
    architecture = replace(
        VARIANTS[0], dimensions=dimensions, output_stride=stride, widths=(2, 3, 4), blocks=(1, 1, 1), position=False
    )
    assert architecture.multiple == 4 * stride
    network = build(architecture)
    assert network(image_for(architecture, 1, 3)).shape[2:] == (12,) * dimensions
    with pytest.raises(RuntimeError):
        network(torch.randn(1, 1, *[2 * architecture.multiple + stride] * dimensions))


@pytest.mark.parametrize("architecture", [VARIANTS[0], TINY], ids=["2d", "3d"])
def test_the_smallest_input_leaves_one_voxel_at_the_deepest_stage_and_runs(architecture: Architecture) -> None:
    scores = build(architecture)(image_for(architecture, batch=2, blocks=1), encoded({}, {}))
    assert scores.isfinite().all()
    scores.sum().backward()


def test_positions_matter_where_the_network_uses_them() -> None:
    network, image = stirred(build(TINY)), image_for(TINY)
    moved = image.clone()
    moved[:, -3:] += 0.5
    assert not torch.allclose(network(moved), network(image), atol=1e-3)


# Metadata


def test_an_untrained_film_changes_nothing() -> None:
    network, image = build(replace(TINY, film="identity")), image_for(TINY)
    assert torch.equal(network(image, encoded({"sex": "F", "age": 31}, {"age": 20})), network(image, None))


@pytest.mark.parametrize("film", ["identity", "paper"])
def test_a_trained_film_listens_to_every_field(film: str) -> None:
    network = stirred(build(replace(TINY, film=film)))
    image = image_for(TINY, batch=1)
    answers = [
        network(image, encoded(said))
        for said in ({}, {"sex": "F"}, {"sex": "M"}, {"sex": "F", "age": 20}, {"sex": "F", "age": 33})
    ]
    for n, one in enumerate(answers):
        assert all(not torch.equal(one, other) for other in answers[:n])


@pytest.mark.parametrize("film", ["identity", "paper"])
def test_saying_unknown_is_the_same_as_saying_nothing(film: str) -> None:
    network, image = stirred(build(replace(TINY, film=film))), image_for(TINY, batch=1)
    silent = network(image, encoded({}))
    assert torch.equal(network(image, encoded({"sex": "unknown", "age": None})), silent)
    dropped = encoded({"sex": "F", "age": 31})
    assert not torch.equal(network(image, dropped), silent)
    dropped[:] = math.nan
    assert torch.equal(network(image, dropped), silent)


@pytest.mark.parametrize("mode", ["identity", "paper"])
def test_unknown_metadata_gives_no_gradient_that_is_not_finite(mode: str) -> None:
    generator = FilmGenerator(SCHEMA.fields, [4], mode)
    for parameter in generator.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    gamma, beta = generator(encoded({"sex": "F"}, {"age": 30}, {}))[0]
    (gamma.sum() + beta.sum()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in generator.parameters())


def test_in_paper_mode_scale_and_shift_lie_between_0_and_1() -> None:
    torch.manual_seed(0)
    generator = FilmGenerator(SCHEMA.fields, [4, 8], "paper")
    for parameter in generator.parameters():
        torch.nn.init.normal_(parameter, std=2)
    pairs = generator(encoded({"sex": "F", "age": 31}, {"sex": "M"}, {}))
    assert [tuple(gamma.shape) for gamma, _ in pairs] == [(3, 4), (3, 8)]
    for values in (value for pair in pairs for value in pair):
        assert ((values > 0) & (values < 1)).all()
    assert any((values < 0.4).any() for pair in pairs for values in pair)
    assert any((values > 0.6).any() for pair in pairs for values in pair)


def test_in_paper_mode_unknown_is_zeros_and_choices_are_one_hot() -> None:
    encoder = MetadataEncoder(SCHEMA.fields, "paper")
    assert encoder(encoded({}, {"sex": "F"}, {"sex": "M", "age": 34})).tolist() == [[0, 0, 0], [1, 0, 0], [0, 1, 1]]
    assert list(encoder.parameters()) == []


@pytest.mark.parametrize("mode", ["identity", "paper"])
def test_the_generator_has_the_published_sizes_and_shares_its_first_two_layers(mode: str) -> None:
    generator = FilmGenerator(SCHEMA.fields, [4, 8, 16], mode)
    shared = [
        (layer.in_features, layer.out_features) for layer in generator.shared if isinstance(layer, torch.nn.Linear)
    ]
    assert shared == [(generator.encoder.size, 64), (64, 16)]
    assert [tuple(layer.weight.shape) for layer in generator.layers if isinstance(layer, torch.nn.Linear)] == [
        (8, 16),
        (16, 16),
        (32, 16),
    ]


def test_in_identity_mode_a_number_runs_along_a_line_and_unknown_lies_elsewhere() -> None:
    torch.manual_seed(0)
    encoder = MetadataEncoder(SCHEMA.fields[1:], "identity")
    low, middle, high, unknown = encoder(torch.tensor([[-1.0], [0.0], [1.0], [math.nan]]))
    torch.testing.assert_close(middle, (low + high) / 2)
    assert not torch.allclose(low, high)
    assert torch.dist(unknown, middle) > 0.05


def test_without_film_metadata_is_not_read() -> None:
    network, image = stirred(build(replace(TINY, film="none"))), image_for(TINY, batch=1)
    assert network.trunk.film is None
    assert torch.equal(network(image, encoded({"sex": "F"})), network(image, encoded({"sex": "M"})))


def test_a_model_without_fields_has_no_film() -> None:
    assert LabelConditionedNetwork(TINY, CLASSES, ()).trunk.film is None


@pytest.mark.parametrize("space", [(3, 4), (3, 4, 5)])
def test_modulation_scales_and_shifts_every_channel_of_every_scan(space: tuple[int, ...]) -> None:
    features = torch.randn(2, 3, *space)
    gamma, beta = torch.tensor([[1.0, 2, 3], [4, 5, 6]]), torch.tensor([[0.0, 1, 0], [0, 0, -7]])
    out = modulate(features, gamma, beta)
    torch.testing.assert_close(out[0, 1], 2 * features[0, 1] + 1)
    torch.testing.assert_close(out[1, 2], 6 * features[1, 2] - 7)
    assert torch.equal(out[0, 0], features[0, 0])


# The label inside the trunk

INSIDE = [conditioning for conditioning in CONDITIONING if conditioning != "head"]
LABELS = torch.eye(CLASSES, dtype=torch.bool)[1:]
FIRST_CONDITIONED = {"trunk": 0, "bottleneck": 2, "decoder": 3}
"""The first stage, of three of the encoder and two of the decoder, that sees the label."""


def conditioned(conditioning: str, film: str = "identity") -> LabelConditionedNetwork:
    """A network that sees the label, with three stages; its parameters are not where they began."""
    return stirred(build(replace(TINY, widths=(4, 6, 8), blocks=(1, 2, 1), conditioning=conditioning, film=film)))


@pytest.mark.parametrize("film", FILM_MODES)
@pytest.mark.parametrize("conditioning", INSIDE)
def test_all_labels_at_once_are_every_label_alone(conditioning: str, film: str) -> None:
    network = conditioned(conditioning, film)
    image, known = image_for(network.trunk.architecture), encoded({"sex": "F", "age": 31}, {})
    with torch.no_grad():
        together = network.features(image, known)
        alone = [network.scores_of(image, known, LABELS[n : n + 1]) for n in range(CLASSES - 1)]
    assert together.shape[:2] == (2, CLASSES - 1)
    torch.testing.assert_close(together, torch.cat(alone, dim=1), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(network(image, known)[:, 1:], together)
    assert not network(image, known)[:, 0].any()  # the background's score


def test_more_labels_than_a_pass_takes_are_all_there() -> None:
    torch.manual_seed(0)
    network = stirred(
        LabelConditionedNetwork(replace(TINY, conditioning="decoder"), 2 * LABELS_A_PASS + 4, SCHEMA.fields)
    )
    image, known = image_for(TINY, batch=1), encoded({})
    everyone = torch.eye(network.classes, dtype=torch.bool)[1:]
    with torch.no_grad():
        torch.testing.assert_close(
            network.features(image, known), network.scores_of(image, known, everyone), atol=1e-5, rtol=1e-4
        )


@pytest.mark.parametrize("film", FILM_MODES)
@pytest.mark.parametrize("conditioning", INSIDE)
def test_scans_of_a_batch_do_not_see_each_other_nor_do_their_labels(conditioning: str, film: str) -> None:
    network = conditioned(conditioning, film)
    image, known = image_for(network.trunk.architecture), encoded({"sex": "M"}, {"age": 20})
    image[1] *= 3
    with torch.no_grad():
        both = network.scores_of(image, known, LABELS)
        alone = torch.cat([network.scores_of(image[n : n + 1], known[n : n + 1], LABELS) for n in range(2)])
    torch.testing.assert_close(both, alone, atol=1e-5, rtol=1e-4)
    assert not torch.allclose(both[0], both[1], atol=1e-3)


@pytest.mark.parametrize("conditioning", INSIDE)
def test_before_training_every_label_is_answered_alike_and_after_it_each_on_its_own(conditioning: str) -> None:
    network = build(replace(TINY, conditioning=conditioning))
    image = image_for(TINY, batch=1)
    with torch.no_grad():
        scores = network.scores_of(image, None, LABELS)
        assert all(torch.equal(scores[:, 0], scores[:, n]) for n in range(1, CLASSES - 1))
        assert network.trunk.label_film is not None
        for parameter in network.trunk.label_film.layers.parameters():
            parameter.normal_(0, 0.3)
        scores = network.scores_of(image, None, LABELS)
    assert all(not torch.allclose(scores[:, n], scores[:, m], atol=1e-3) for n in range(CLASSES - 1) for m in range(n))


@pytest.mark.parametrize("conditioning", INSIDE)
def test_a_union_is_asked_for_by_the_mean_of_its_codes(conditioning: str) -> None:
    network = conditioned(conditioning)
    image = image_for(network.trunk.architecture, batch=1)
    assert isinstance(network.head, LabelReadout)
    union = (LABELS[0] | LABELS[2])[None]
    with torch.no_grad():
        torch.testing.assert_close(network.head.codes_of(union)[0], (network.head.codes[0] + network.head.codes[2]) / 2)
        before = network.scores_of(image, None, union)
        network.head.codes[[0, 2]] = network.head.codes[[2, 0]]
        torch.testing.assert_close(network.scores_of(image, None, union), before)
        network.head.codes[1] += 1  # of another label
        torch.testing.assert_close(network.scores_of(image, None, union), before)


@pytest.mark.parametrize("conditioning", INSIDE)
def test_metadata_and_label_both_modulate_and_untrained_neither_does(conditioning: str) -> None:
    image, known = image_for(TINY, batch=1), encoded({"sex": "F", "age": 31})
    fresh = build(replace(TINY, conditioning=conditioning))
    with torch.no_grad():
        torch.testing.assert_close(fresh.features(image, known), fresh.features(image, None))
        network = stirred(fresh)
        answers = [
            network.features(image, encoded(said)) for said in ({"sex": "F"}, {"sex": "M"}, {"sex": "F", "age": 33})
        ]
    for n, one in enumerate(answers):
        assert all(not torch.allclose(one, other, atol=1e-4) for other in answers[:n])
        assert not torch.allclose(one[:, 0], one[:, 1], atol=1e-4)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000))
def test_one_modulation_after_another_is_their_composition(seed: int) -> None:
    torch.manual_seed(seed)
    first, then = ((torch.randn(2, 3), torch.randn(2, 3)) for _ in range(2))
    features = torch.randn(2, 3, 4, 5)
    both = after(first, then)
    assert both is not None
    torch.testing.assert_close(
        modulate(features, *both), modulate(modulate(features, *first), *then), atol=1e-5, rtol=1e-4
    )
    assert after(first, None) is first
    assert after(None, then) is then
    assert after(None, None) is None


@pytest.mark.parametrize("conditioning", INSIDE)
def test_what_does_not_see_the_label_runs_once_whatever_the_number_of_labels(conditioning: str) -> None:
    network = conditioned(conditioning)
    trunk = network.trunk
    seen: dict[int, list[int]] = {}
    stages = [*(stage[-1] for stage in trunk.encoder), *trunk.decoder]  # type: ignore[index]
    for n, block in enumerate(stages):
        block.register_forward_hook(lambda _module, _inputs, out, n=n: seen.setdefault(n, []).append(len(out)))
    with torch.no_grad():
        network.scores_of(image_for(trunk.architecture, batch=2), encoded({}, {}), LABELS)
    first = FIRST_CONDITIONED[conditioning]
    assert seen == {n: [2] if n < first else [2 * (CLASSES - 1)] for n in range(5)}


def pair_network(**changes: Any) -> LabelConditionedNetwork:
    return stirred(build(replace(TINY, conditioning=ATLAS_PAIR, **changes))).eval()


def masks_for(image: torch.Tensor, count: int = 3) -> torch.Tensor:
    """Corners of an image."""
    masks = torch.zeros(count, *image.shape[2:], dtype=torch.bool)
    for n in range(count):
        corner = masks[n]
        for axis in range(corner.ndim):
            edge = image.shape[2 + axis] // 4
            corner = corner.narrow(axis, n * edge, edge)
        corner.fill_(True)
    return masks


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"dimensions": 2},
        {"film": "paper"},
        {"position": False, "output_stride": 1},
        {"widths": (4, 6, 8), "blocks": (1, 1, 2)},
    ],
)
def test_an_atlas_pair_gives_a_score_a_mask_that_depends_on_scan_and_mask_and_not_on_the_other_masks(
    changes: dict[str, Any],
) -> None:
    network = pair_network(**changes)
    a = network.trunk.architecture
    image, atlas, known = (
        image_for(a, blocks=4),
        image_for(a, blocks=4, seed=2)[0, : a.in_channels],
        encoded({"sex": "F"}, {}),
    )
    masks = masks_for(image)
    with torch.no_grad():
        scores = network.scores_by_pair(image, known, atlas, masks)
        alone = torch.cat(
            [
                network.scores_by_pair(image[b : b + 1], known[b : b + 1], atlas, masks[n : n + 1])
                for b in range(2)
                for n in range(3)
            ]
        )
        other = network.scores_by_pair(image, known, atlas.flip(-1), masks)
    assert scores.shape == (2, 3, *[n // a.output_stride for n in image.shape[2:]])
    torch.testing.assert_close(scores.flatten(0, 1), alone[:, 0], atol=1e-4, rtol=1e-4)
    assert all(not torch.allclose(scores[:, n], scores[:, m], atol=1e-4) for n in range(3) for m in range(n))
    assert not torch.allclose(scores, other, atol=1e-4)


def test_what_comes_before_the_deepest_stage_runs_once_for_all_masks_and_the_pair_enters_there_alone() -> None:
    network, plain = pair_network(), build(TINY)
    seen: dict[int, list[int]] = {}
    for n, block in enumerate([*(stage[-1] for stage in network.trunk.encoder), *network.trunk.decoder]):  # type: ignore[index]
        block.register_forward_hook(lambda _module, _inputs, out, n=n: seen.setdefault(n, []).append(len(out)))
    image = image_for(network.trunk.architecture, blocks=4)
    network.scores_by_pair(image, None, image[0, :1], masks_for(image))
    assert seen == {0: [2], 1: [6], 2: [6]}
    shapes, before = ({name: tuple(t.shape) for name, t in n.trunk.state_dict().items()} for n in (network, plain))
    assert shapes.keys() == before.keys()
    wider = {name for name in shapes if shapes[name] != before[name]}
    assert wider == {"trunk.encoder.1.0.conv1.weight".removeprefix("trunk."), "encoder.1.0.skip.weight"}
    assert all(shapes[name][1] == before[name][1] + 2 for name in wider)
    assert set(network.head.state_dict()) == {"weight", "bias"}


def test_a_package_with_an_atlas_pair_is_refused() -> None:
    with pytest.raises(PackageFormatError, match="needs a labelled scan at every pass"):
        Architecture.from_json(replace(TINY, conditioning=ATLAS_PAIR).to_json())


@pytest.mark.parametrize("conditioning", ["decoder", "trunk"])
def test_a_seed_gives_the_network_that_it_always_gave(conditioning: str) -> None:
    """Codes are drawn before the readout."""
    head = build(replace(TINY, conditioning=conditioning)).head
    torch.manual_seed(3)
    readout = LabelReadout(CLASSES, 8)
    torch.manual_seed(3)
    assert torch.equal(readout.codes, torch.randn(CLASSES - 1, 8))
    assert torch.equal(readout.weight, torch.randn(8) / 8**0.5)
    assert set(head.state_dict()) == {"codes", "weight", "bias"}


def test_the_weights_of_a_label_at_the_head_have_the_names_that_packages_have() -> None:
    """A package of an earlier version is still read."""
    keys = {
        "head.prompts",
        "head.bias",
        "trunk.stem.weight",
        "trunk.to_features.weight",
        "trunk.encoder.0.0.conv1.weight",
        "trunk.film.shared.0.weight",
    }
    names = set(build(replace(TINY, film="identity")).state_dict())
    assert keys <= names
    assert not any("label_film" in name or "codes" in name for name in names)


def test_the_shipped_package_is_built() -> None:
    package = ModelPackage.load(resources_folder() / "Models" / "brain")
    network = package.build_network()
    assert set(network.state_dict()) == set(
        LabelConditionedNetwork(package.architecture, network.classes, package.metadata.fields).state_dict()
    )
    assert network.classes == len(package.labels.leaves) + 1


# Head and normalisation


@settings(max_examples=20, deadline=None)
@given(st.floats(0, 1), st.integers(0, 1000))
def test_the_score_of_a_mixture_is_the_mixture_of_the_scores(share: float, seed: int) -> None:
    torch.manual_seed(seed)
    head = ClassEmbeddings(9, 16)
    torch.nn.init.normal_(head.bias)
    a, b = torch.randn(2, 1, 16, 3, 4, 5)
    mixed = head(share * a + (1 - share) * b)
    torch.testing.assert_close(mixed, share * head(a) + (1 - share) * head(b), atol=1e-5, rtol=1e-5)


def test_a_head_scores_every_class_by_its_own_prompt_and_bias() -> None:
    head = ClassEmbeddings(3, 4)
    with torch.no_grad():
        head.prompts.copy_(torch.eye(4)[:3])
        head.bias.copy_(torch.tensor([0.0, 10, -10]))
    features = torch.randn(2, 4, 5, 6)
    torch.testing.assert_close(head(features), features[:, :3] + torch.tensor([0.0, 10, -10]).view(1, 3, 1, 1))


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize(
    ("reference", "space"), [(torch.nn.InstanceNorm2d, (8, 9)), (torch.nn.InstanceNorm3d, (6, 7, 8))], ids=["2d", "3d"]
)
def test_instance_norm_is_torchs_own(reference: type[torch.nn.Module], space: tuple[int, ...], batch: int) -> None:
    torch.manual_seed(0)
    expected, found = reference(5, affine=True), InstanceNorm(5)
    for name in ("weight", "bias"):
        values = torch.randn(5)
        getattr(expected, name).data.copy_(values)
        getattr(found, name).data.copy_(values)
    image = 3 + 2 * torch.randn(batch, 5, *space)
    image[-1] *= 4  # scans of a batch differ
    first, second = image.clone().requires_grad_(), image.clone().requires_grad_()
    out, wanted = found(first), expected(second)
    torch.testing.assert_close(out, wanted, atol=1e-5, rtol=1e-5)
    out.square().sum().backward()
    wanted.square().sum().backward()
    torch.testing.assert_close(first.grad, second.grad, atol=1e-4, rtol=1e-4)
    for name in ("weight", "bias"):
        torch.testing.assert_close(getattr(found, name).grad, getattr(expected, name).grad, atol=1e-3, rtol=1e-4)


def test_instance_norm_is_the_same_in_training_and_evaluation() -> None:
    norm, image = InstanceNorm(3), torch.randn(1, 3, 4, 5, 6)
    assert torch.equal(norm.train()(image), norm.eval()(image))


def test_instance_norm_of_a_single_voxel_is_its_shift() -> None:
    norm = InstanceNorm(3)
    torch.nn.init.normal_(norm.bias)
    torch.testing.assert_close(norm(torch.randn(2, 3, 1, 1, 1)), norm.bias.view(1, 3, 1, 1, 1).expand(2, 3, 1, 1, 1))


def test_brain_float_gives_nearly_the_same_scores() -> None:
    network, image = build(TINY).eval(), image_for(TINY)
    known = encoded({"sex": "F", "age": 31}, {})
    with torch.no_grad():
        exact = network(image, known)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        rough = network(image, known).float()
    assert not torch.equal(rough, exact)
    assert float((rough - exact).square().mean().sqrt() / exact.std()) < 0.05


def test_instance_norm_in_brain_float_is_nearly_the_same() -> None:
    norm, image = InstanceNorm(4), 100 + torch.randn(2, 4, 8, 8, 8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = norm((image - 100).bfloat16()).float()
    torch.testing.assert_close(rough, norm(image - 100), atol=0.05, rtol=0.02)


# Descriptions


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        ({"name": "transformer"}, 'architecture "transformer".*residual_unet'),
        ({"film": "paper2"}, "film"),
        ({"conditioning": "os.system"}, "conditioning"),
        ({"dimensions": 4}, "dimensions"),
        ({"output_stride": 3}, "output_stride"),
        ({"widths": [4, 8], "blocks": [1]}, "one number a stage"),
        ({"widths": [], "blocks": []}, "one number a stage"),
        ({"widths": [4, 0], "blocks": [1, 1]}, "at least 1"),
        ({"in_channels": 0}, "at least 1"),
        ({"feature_channels": -1}, "at least 1"),
        ({"widths": [10**9, 4], "blocks": [1, 1]}, "larger than any"),
        ({"widths": [4], "blocks": [10**6]}, "larger than any"),
        ({"widths": [4], "blocks": [1000]}, "larger than any"),
        ({"widths": [4] * 9, "blocks": [1] * 9}, "larger than any"),
        ({"feature_channels": 10**9}, "larger than any"),
        ({"layers": 3, "depth": 2}, "does not know: depth, layers"),
        ({"dimensions": "3"}, "dimensions.*int"),
        ({"dimensions": 3.0}, "dimensions.*int"),
        ({"in_channels": True}, "in_channels.*int"),
        ({"position": 1}, "position.*bool"),
        ({"widths": "48"}, "widths.*list"),
        ({"widths": [4.0, 8]}, "widths.*list"),
        ({"widths": [True, 8]}, "widths.*list"),
        ({"name": None}, "name.*str"),
    ],
)
def test_a_description_that_this_version_cannot_run_is_refused(entry: dict[str, Any], text: str) -> None:
    with pytest.raises(PackageFormatError, match=text):
        Architecture.from_json(entry)


def test_what_the_registry_names_can_be_built() -> None:
    for film, conditioning in product(FILM_MODES, CONDITIONING):
        assert (
            build(replace(TINY, film=film, conditioning=conditioning))(image_for(TINY), encoded({}, {}))
            .isfinite()
            .all()
        )


# Activations of named levels


@pytest.mark.parametrize("conditioning", CONDITIONING)
def test_the_activations_of_named_levels_come_from_the_same_pass_as_the_features(conditioning: str) -> None:
    network = conditioned(conditioning)
    trunk, image, known = network.trunk, image_for(network.trunk.architecture), encoded({"sex": "F"}, {})
    codes = None if trunk.label_film is None else network.head.codes_of(LABELS)  # type: ignore[operator]
    calls: list[int] = []
    trunk.stem.register_forward_hook(lambda *_: calls.append(1))
    with torch.no_grad():
        expected, levels = trunk(image, known, codes), trunk.levels(image, known, codes)
        calls.clear()
        features, found = trunk.with_activations(image, ["decoder.1", "encoder.0"], known, codes)
    assert calls == [1]
    assert torch.equal(features, expected)
    assert list(found) == ["encoder.0", "decoder.1"]
    assert torch.equal(found["decoder.1"], levels[2])
    assert found["encoder.0"].shape[1:] == (4, *[n // 2 for n in image.shape[2:]])


def test_every_level_has_a_name_and_the_channels_that_the_architecture_says() -> None:
    network = build(replace(TINY, widths=(4, 6, 8), blocks=(1, 1, 1)))
    channels = network.trunk.architecture.level_channels
    modules = dict(network.trunk.named_modules())
    assert list(channels) == ["encoder.0", "encoder.1", "encoder.2", "decoder.0", "decoder.1"]
    features, found = network.trunk.with_activations(image_for(network.trunk.architecture), list(channels))
    assert {name: level.shape[1] for name, level in found.items()} == channels
    assert all(name in modules for name in found)
    assert torch.equal(network.trunk.to_features(found["decoder.1"]), features)


def test_activations_carry_gradients_to_the_layers_before_them_alone() -> None:
    network = build(replace(TINY, widths=(4, 6, 8), blocks=(1, 1, 1)))
    _, found = network.trunk.with_activations(image_for(network.trunk.architecture), ["encoder.1"])
    found["encoder.1"].square().mean().backward()  # type: ignore[no-untyped-call]
    reached = {name.split(".", 2)[1] for name, p in network.trunk.encoder.named_parameters("e") if p.grad is not None}
    assert reached == {"0", "1"}


def test_a_level_that_there_is_not_is_refused_with_those_that_there_are() -> None:
    network = build(TINY)
    with pytest.raises(ValueError, match=r'no level "decoder\.7"; it has encoder\.0, encoder\.1, decoder\.0'):
        network.trunk.with_activations(image_for(TINY), ["decoder.7"])
