"""The training methods: each learns, gives a gradient to all that it trains, and never takes what is unknown for
background.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from LabelConditionedSegmentationLib.core.network.model import LabelConditionedNetwork

from Testing.samples import SCHEMA, TINY
from Training.engine.config import Config, DataConfig, ObjectiveConfig
from Training.losses.truth import IGNORE
from Training.methods import build_method, check_method
from Training.methods.colab_settings import CoLabSettings
from Training.methods.patch_settings import PatchAdaptationSettings
from Training.methods.stroke_settings import StrokeSettings

CLASSES = 6
GROUP = CLASSES
MEMBERS = torch.tensor([[False, False, False, True, True, False]])
EDGE = 8

Batch = dict[str, torch.Tensor]


def config_of(
    method: str = "lcs", loss: Any = "softmax", labels: Any = "all", conditioning: str = "head", film: str = "identity"
) -> Config:
    network = replace(TINY, conditioning=conditioning, film=film)
    return Config(
        method=method, network=network, objective=ObjectiveConfig(loss=loss, labels=labels, labels_per_sample=3)
    )


def colab(context_classes: int = 2, **changes: Any) -> Config:
    return Config(
        method="colab",
        data=DataConfig(points=0),
        network=replace(TINY, context_classes=context_classes),
        method_settings=CoLabSettings(**{"widths": (8, 16, 32)} | changes),
    )


def strokes(supervision: Any) -> Config:
    return Config(
        method="strokes",
        data=DataConfig(points=0),
        network=TINY,
        method_settings=StrokeSettings(supervision=supervision),
    )


def adaptation(align: Any) -> Config:
    settings = PatchAdaptationSettings(align=align, modes=5, patch=(4, 4, 4), output_widths=(8,), patch_widths=(8,))
    return Config(method="patch_adaptation", data=DataConfig(points=0), network=TINY, method_settings=settings)


VALID = {
    "baseline-softmax": config_of("baseline"),
    "baseline-sigmoid": config_of("baseline", "sigmoid"),
    "lcs-all": config_of(),
    "lcs-all-no-film": config_of(film="none"),
    "lcs-all-paper-film": config_of(film="paper"),
    "lcs-sampled-head": config_of("lcs", "sigmoid", "sampled"),
    "lcs-sampled-decoder": config_of("lcs", "sigmoid", "sampled", "decoder"),
    "lcs-sampled-bottleneck": config_of("lcs", "sigmoid", "sampled", "bottleneck", "none"),
    "lcs-sampled-bottleneck-paper-film": config_of("lcs", "sigmoid", "sampled", "bottleneck", "paper"),
    "lcs-sampled-trunk": config_of("lcs", "sigmoid", "sampled", "trunk"),
    "colab": colab(),
    "colab-none": colab(0),
    "colab-kmeans": colab(source="kmeans"),
    "strokes-alone": strokes("strokes"),
    "strokes-fixed": strokes("fixed"),
    "patch-adaptation-of-both": adaptation("both"),
    "patch-adaptation-of-nothing": adaptation("none"),
}

every_method = pytest.mark.parametrize("config", VALID.values(), ids=VALID)


def build(config: Config, seed: int = 0) -> torch.nn.Module:
    """A method whose network is not where it began, so that FiLM passes gradients on."""
    torch.manual_seed(seed)
    network = LabelConditionedNetwork(config.network, CLASSES, SCHEMA.fields)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if "film.layers" in name:
                parameter.normal_(0, 0.2)
    return build_method(network, config, MEMBERS)


def batch_of(samples: int = 2) -> Batch:
    """Six slabs of a cube, each a class that the image shows; every voxel a point; one sample without metadata."""
    torch.manual_seed(1)
    place = torch.stack(torch.meshgrid(*[torch.arange(EDGE)] * 3, indexing="ij"))
    classes = (place[2] * CLASSES // EDGE).reshape(1, -1).repeat(samples, 1)
    image = place[2].float().expand(samples, 1, EDGE, EDGE, EDGE) / 2 + 0.1 * torch.randn(samples, 1, EDGE, EDGE, EDGE)
    positions = (place.flip(0).float() / EDGE * 2 - 1).expand(samples, 3, EDGE, EDGE, EDGE)
    known = torch.tensor([[0.0, 0.5], [torch.nan, torch.nan]])[:samples]
    asked = torch.zeros(samples, 5, CLASSES, dtype=torch.bool)
    for row, labels in enumerate([(1,), (3,), (5,), (2, 4), (3, 4)]):
        asked[:, row, list(labels)] = True
    return {
        "image": torch.cat([image, positions], dim=1),
        "foreground": torch.ones(samples, EDGE, EDGE, EDGE, dtype=torch.bool),
        "points": place.flip(0).reshape(3, -1).T.expand(samples, -1, 3).contiguous(),
        "target": classes,
        "annotated": torch.ones(samples, CLASSES, dtype=torch.bool),
        "queries": asked,
        "metadata": known,
    }


def gradients(method: torch.nn.Module, batch: Batch) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    method.zero_grad()
    loss = method(batch)
    loss.backward()
    return loss.detach(), {name: p.grad.clone() for name, p in method.named_parameters() if p.grad is not None}


@every_method
def test_every_parameter_gets_a_gradient(config: Config) -> None:
    """A distributed run waits for all of them; and every label has a part."""
    method = build(config)
    _, found = gradients(method, batch_of())
    for name, parameter in method.named_parameters():
        if not parameter.requires_grad:  # a generator of context or a discriminator, which the loss does not move
            assert name not in found
            continue
        assert name in found, name
        assert found[name].isfinite().all(), name
        assert found[name].any(), name
    codes = found["network.head.prompts"][1:] if config.network.conditioning == "head" else found["network.head.codes"]
    assert bool(codes.any(1).all())


def curve_of(method: torch.nn.Module, batch: Batch, steps: int = 30) -> list[float]:
    """The losses of a short training on one batch."""
    optimizer = torch.optim.AdamW([p for p in method.parameters() if p.requires_grad], lr=1e-2)
    curve = []
    for _ in range(steps):
        loss = method(batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        curve.append(float(loss.detach()))
    return curve


@every_method
def test_the_loss_of_a_fixed_sample_goes_down(config: Config) -> None:
    curve = curve_of(build(config), batch_of())
    assert sum(curve[-3:]) < (0.85 if config.network.film == "paper" else 0.6) * sum(curve[:3])


@every_method
def test_what_was_not_annotated_never_enters_the_loss_as_background(config: Config) -> None:
    """Whether the label map has a label that nobody looked for, or background in its place, is the same: unknown."""
    method, batch = build(config), batch_of()
    batch["annotated"][:, [2, 4]] = False
    batch["queries"][:, 3, 4] = False  # label 2 alone, that nobody looked for; and {3, 4}, a union with one
    seen, gradient = gradients(method, batch)
    target = batch["target"]
    missing = (target == 2) | (target == 4)
    assert missing.any()
    unseen, other = gradients(method, batch | {"target": torch.where(missing, 0, target)})
    assert torch.equal(seen, unseen)
    assert all(torch.equal(gradient[name], other[name]) for name in gradient)


@every_method
def test_background_where_a_label_was_looked_for_does_enter_the_loss(config: Config) -> None:
    method, batch = build(config), batch_of()
    target = batch["target"]
    assert not torch.equal(
        method(batch), method(batch | {"target": torch.where((target == 3) | (target == 5), 0, target)})
    )


@pytest.mark.parametrize(
    "config", [VALID[name] for name in ("baseline-softmax", "baseline-sigmoid", "lcs-all", "lcs-sampled-decoder")]
)
def test_an_unannotated_label_that_the_network_finds_is_not_pushed_down(config: Config) -> None:
    """The scores of the label at background voxels: a step makes them no lower where nobody looked for it, and lower
    where somebody did.
    """
    pushes = []
    for annotated in (True, False):
        method, batch = build(config), batch_of(1)
        batch["annotated"][:, 2] = annotated
        batch["target"] = torch.where(batch["target"] == 2, 0, batch["target"])
        batch["queries"] = torch.eye(CLASSES, dtype=torch.bool)[None, 1:]
        network = method.network
        assert isinstance(network, LabelConditionedNetwork)
        before = _probability(network, batch)
        optimizer = torch.optim.SGD(network.head.parameters(), lr=0.05)
        method(batch).backward()
        optimizer.step()
        pushes.append(_probability(network, batch) - before)
    assert pushes[0] < 0
    assert pushes[1] > pushes[0]


@torch.no_grad()
def _probability(network: LabelConditionedNetwork, batch: Batch) -> float:
    return float(network(batch["image"], batch["metadata"]).softmax(1)[:, 2].mean())


@every_method
def test_a_batch_of_which_nothing_is_known_has_a_finite_loss(config: Config) -> None:
    batch = batch_of()
    loss, found = gradients(build(config), batch | {"target": torch.full_like(batch["target"], IGNORE)})
    assert loss.isfinite()
    assert all(not gradient.any() for gradient in found.values())


@every_method
def test_voxels_known_to_lie_in_a_parent_only_are_taken(config: Config) -> None:
    method, batch = build(config), batch_of()
    target = batch["target"]
    loss, found = gradients(method, batch | {"target": torch.where((target == 3) | (target == 4), GROUP, target)})
    assert loss.isfinite()
    assert not torch.equal(loss, method(batch))
    assert all(gradient.isfinite().all() for gradient in found.values())


def test_lcs_at_the_head_optimises_the_very_loss_of_the_multi_channel_baseline() -> None:
    batch = batch_of()
    batch["annotated"][1, [2, 5]] = False
    batch["target"][0, ::7] = GROUP
    batch["target"][:, ::11] = IGNORE
    for annotated in (batch["annotated"], torch.ones_like(batch["annotated"])):
        (ours, mine), (theirs, plain) = (
            gradients(build(VALID[name]), batch | {"annotated": annotated}) for name in ("lcs-all", "baseline-softmax")
        )
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-6)
        assert mine.keys() == plain.keys()
        for name, gradient in mine.items():
            torch.testing.assert_close(gradient, plain[name], rtol=1e-4, atol=1e-6)


@every_method
def test_the_loss_of_a_batch_is_the_mean_of_its_samples(config: Config) -> None:
    method, batch = build(config), batch_of()
    batch["target"][1, :200] = 0
    alone = [method({key: value[n : n + 1] for key, value in batch.items()}) for n in range(2)]
    torch.testing.assert_close(method(batch), torch.stack(alone).mean(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["baseline-sigmoid", "lcs-sampled-head"])
def test_sigmoid_labels_compete_with_a_background_whose_score_is_0_and_stays_0(name: str) -> None:
    method, batch = build(VALID[name]), batch_of()
    optimizer = torch.optim.AdamW(method.parameters(), lr=1e-2, weight_decay=0.1)
    for _ in range(3):
        method(batch).backward()
        optimizer.step()
    network = method.network
    assert isinstance(network, LabelConditionedNetwork)
    assert not network.prompts[0].any()
    assert not network.bias[0].any()


def test_asking_for_a_union_at_the_head_adds_the_probabilities_of_its_labels() -> None:
    """Its score is the log of the sum of the exponentials: a union wins where its labels together do."""
    method, batch = build(VALID["lcs-sampled-head"]), batch_of(1)
    union = torch.zeros(1, 1, CLASSES, dtype=torch.bool)
    union[..., [1, 2]] = True
    single = torch.eye(CLASSES, dtype=torch.bool)[None, 1:3]
    scores = [
        method._scores(batch["image"], batch["metadata"], batch["points"], asked)  # type: ignore[operator]
        for asked in (union[0], single[0])
    ]
    torch.testing.assert_close(scores[0][0].exp(), scores[1].exp().sum(0), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (config_of("baseline", conditioning="decoder"), "method=baseline.*network.conditioning has to be head"),
        (config_of("baseline", "sigmoid", "sampled"), "method=baseline.*objective.labels all"),
        (config_of("lcs", "softmax", "sampled"), "set objective.loss=sigmoid"),
        (config_of("lcs", "softmax", "sampled", "decoder"), "set objective.loss=sigmoid"),
        (config_of("lcs", "sigmoid", "all"), "sigmoid channels of all labels are method=baseline"),
        (config_of("lcs", "softmax", "all", "bottleneck"), "network.conditioning=bottleneck needs a pass a label"),
        (config_of("lcs", "sigmoid", "all", "trunk"), "network.conditioning=trunk needs a pass a label"),
        (config_of("colab", conditioning="decoder"), "network.conditioning has to be head"),
        (config_of("colab"), "every voxel.*data.points=0"),
        (replace(colab(), data=DataConfig(points=0, patch=(16, 16, 20))), "multiple of 8"),
        (colab(source="anatomy", anatomy=["A"]), "set network.context_classes=1"),
        (replace(colab(), method="lcs"), "Only method=colab"),
        (config_of("unet"), 'There is no method "unet"; there are baseline, colab, lcs'),
    ],
)
def test_settings_that_exclude_each_other_are_refused(config: Config, words: str) -> None:
    with pytest.raises(SystemExit, match=words):
        check_method(config)
