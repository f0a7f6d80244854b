"""A network pass: a scan in, features out, for whoever runs the network over whole scans."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import torch
from LabelConditionedSegmentationLib.core.inference import network_pass as network_pass_module
from LabelConditionedSegmentationLib.core.inference.network_pass import NetworkPass
from LabelConditionedSegmentationLib.core.scan.geometry import Grid
from LabelConditionedSegmentationLib.core.scan.input_spec import InputSpec
from LabelConditionedSegmentationLib.core.scan.preprocessing import NetworkInput, prepare

from Testing import samples

CPU = torch.device("cpu")
UNKNOWN = torch.full((1, len(samples.SCHEMA.fields)), torch.nan)
VOLUME = samples.scan((44, 50, 46))
MUCH = 2**30


@pytest.fixture(scope="module")
def prepared() -> NetworkInput:
    return prepare(VOLUME, InputSpec(), samples.TINY.multiple, with_position=True)


def target_of(prepared: NetworkInput) -> Grid:
    return Grid.of(VOLUME).box(*prepared.region)


def tiny_pass(patch: tuple[int, int, int] = (32, 32, 32)) -> NetworkPass:
    return NetworkPass(samples.network(), CPU, patch)


def test_features_beyond_the_budget_become_the_winners_that_they_give(prepared: NetworkInput) -> None:
    network_pass, target = tiny_pass(), target_of(prepared)
    kept = network_pass.gather(prepared, UNKNOWN, target, MUCH, torch.float32)
    assert kept.stored is not None
    assert kept.winners == ()
    size = kept.stored.numel() * 4
    assert network_pass.gather(prepared, UNKNOWN, target, size, torch.float32).stored is not None
    reduced = network_pass.gather(prepared, UNKNOWN, target, size - 1, torch.float32)
    assert reduced.stored is None
    (winners,) = reduced.winners
    assert winners.shape == target.shape
    assert len(np.unique(winners)) > 3
    assert reduced.passes == kept.passes == network_pass.windows(prepared.grid.shape).count == 8


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_slabs_along_any_axis_are_the_features_that_are_kept(prepared: NetworkInput, axis: int) -> None:
    network_pass = tiny_pass()
    kept = network_pass.gather(prepared, UNKNOWN, target_of(prepared), MUCH, torch.float32).stored
    with torch.no_grad():
        slabs = list(network_pass.slabs(prepared.image, UNKNOWN, axis))
    assert [slab.start for slab in slabs] == [0, *(slab.stop for slab in slabs[:-1])]
    assert kept is not None
    torch.testing.assert_close(torch.cat([slab.values for slab in slabs], dim=axis), kept, atol=1e-5, rtol=0)


def test_the_mirror_image_stands_in_channels_of_its_own_with_prompts_of_the_other_side(prepared: NetworkInput) -> None:
    tree, network = samples.label_tree(), samples.network()
    plain, flipped = (NetworkPass(network, CPU, (64, 64, 64), other) for other in (None, tree.mirrored_classes))
    images = prepared.image, flipped.mirrored(prepared.image)
    with torch.no_grad():
        ((one,), (other,)) = (list(plain.slabs(image, UNKNOWN, 0)) for image in images)
        (both,) = list(flipped.slabs(images[0], UNKNOWN, 0))
    assert torch.equal(both.values, torch.cat([one.values, other.values.flip(2)], dim=-1))
    vectors = network.prompts.detach()
    assert torch.equal(flipped.prompts.vectors * 2, torch.cat([vectors, vectors[list(tree.mirrored_classes)]], dim=1))
    assert torch.equal(plain.prompts.vectors, vectors)


def test_a_network_stays_as_training_has_it_until_it_is_placed() -> None:
    network = samples.network().train()
    before = {name: (parameter.data_ptr(), parameter.stride()) for name, parameter in network.named_parameters()}
    network_pass = NetworkPass(network, CPU, (32, 32, 32))
    with torch.no_grad():
        list(network_pass.slabs(torch.randn(4, 32, 32, 32), UNKNOWN, 0))
    assert network.training
    assert before == {name: (p.data_ptr(), p.stride()) for name, p in network.named_parameters()}


def test_gradients_reach_the_network_through_the_windows_where_they_are_kept() -> None:
    network_pass = tiny_pass()
    slabs = network_pass.slabs(torch.randn(4, 48, 32, 32), UNKNOWN, 0)
    sum(slab.values.square().mean() for slab in slabs).backward()  # type: ignore[union-attr]
    assert all(p.grad is not None for p in network_pass.network.trunk.encoder.parameters())


def test_the_network_runs_in_the_precision_that_is_given_and_is_blended_in_single(prepared: NetworkInput) -> None:
    entered: list[bool] = []

    @contextmanager
    def half() -> Iterator[None]:
        entered.append(True)
        with torch.autocast("cpu", torch.bfloat16):
            yield

    network_pass = NetworkPass(samples.network(), CPU, (32, 32, 32), precision=half)
    found = network_pass.gather(prepared, UNKNOWN, target_of(prepared), MUCH, torch.float32)
    plain = tiny_pass().gather(prepared, UNKNOWN, target_of(prepared), MUCH, torch.float32)
    assert len(entered) == found.passes
    assert found.stored is not None
    assert plain.stored is not None
    assert found.stored.dtype == torch.float32
    assert 0 < (found.stored - plain.stored).abs().max() < 0.2


def test_a_scan_that_goes_down_the_ladder_says_so_and_leaves_the_next_one_at_the_top() -> None:
    said: list[str] = []
    network_pass = tiny_pass()
    network_pass.plan = top = replace(network_pass.plan, batch=2)

    def run() -> int:
        if network_pass.plan.batch > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return network_pass.plan.batch

    with network_pass.from_the_top():
        assert network_pass.with_ladder(run, said.append) == 1
        assert network_pass.plan.batch == 1
    assert said == ["window batch 1"]
    assert network_pass.plan == top


# How large a window is

PATCH = (32, 32, 32)


@pytest.mark.parametrize("shape", [(48, 32, 32), (36, 36, 40), (32, 96, 16), (20, 24, 28)])
def test_an_image_a_little_larger_than_the_window_is_seen_in_one_of_its_own_size(shape: tuple[int, int, int]) -> None:
    plan = tiny_pass(PATCH).windows(shape)
    assert (plan.count, plan.size) == (1, shape)


@pytest.mark.parametrize("shape", [(52, 32, 32), (40, 40, 40)])
def test_a_larger_image_is_seen_in_windows_that_are_not_stretched(shape: tuple[int, int, int]) -> None:
    plan = tiny_pass(PATCH).windows(shape)
    assert plan.count > 1
    assert plan.size == PATCH


def test_where_memory_is_short_no_window_is_stretched(monkeypatch: pytest.MonkeyPatch) -> None:
    shape = (48, 32, 32)
    needed = 2 * network_pass_module.WINDOW_BYTES * math.prod(shape)
    monkeypatch.setattr(network_pass_module, "free_memory", lambda _device: needed)
    assert tiny_pass(PATCH).windows(shape).count == 1
    monkeypatch.setattr(network_pass_module, "free_memory", lambda _device: needed - 1)
    plan = tiny_pass(PATCH).windows(shape)
    assert plan.size == PATCH
    assert plan.count == 2


def test_a_stretched_window_gives_the_features_of_the_network_over_the_whole_image(prepared: NetworkInput) -> None:
    k, j, i = prepared.grid.shape
    network_pass = tiny_pass((k, j - 12, i))
    with torch.no_grad():
        slabs = list(network_pass.slabs(prepared.image, UNKNOWN, 0))
        alone = network_pass.network.features(prepared.image[None], UNKNOWN)[0]
    assert network_pass.windows((k, j, i)).count == 1
    assert torch.allclose(torch.cat([slab.values for slab in slabs]), alone.movedim(0, -1), atol=1e-3)
