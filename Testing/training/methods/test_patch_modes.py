"""Modes of patches: what histograms say, in which basis, which clusters there are, and a head that tells them."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
import torch

from Training.data.prepared_cases import Case
from Training.losses.truth import IGNORE
from Training.methods.patch_modes import ModeHead, PatchModes, label_basis
from Training.methods.patch_settings import PatchAdaptationSettings

CLASSES = 4
MEMBERS = torch.tensor([[False, False, True, True]])
GROUP = CLASSES
SETTINGS = PatchAdaptationSettings(modes=6, patch=(4, 4, 4), subgrid=2)


def modes_of(settings: PatchAdaptationSettings = SETTINGS, members: torch.Tensor = MEMBERS) -> PatchModes:
    return PatchModes(settings, members, label_basis(settings, members))


def case_of(target: torch.Tensor, annotated: torch.Tensor | None = None) -> Case:
    everything = torch.ones(CLASSES, dtype=torch.bool)
    return Case(
        *("a", torch.zeros(1, *target.shape), torch.ones(target.shape, dtype=torch.bool), target.to(torch.int16)),
        *(everything if annotated is None else annotated, torch.zeros(0), {}),
    )


def test_a_histogram_tells_which_part_of_a_patch_holds_which_labels() -> None:
    target = torch.zeros(4, 4, 8, dtype=torch.long)
    target[2:, :2, 2:4] = 1  # the part at k = 1, j = 0, i = 1 of the first patch
    target[0, 0, 4] = 3  # one of 8 voxels of a part of the second
    histograms, known = modes_of().histograms(target)
    parts = histograms.view(2, 2, 2, 2, CLASSES)  # patch, k, j, i, class
    assert known.tolist() == [True, True]
    torch.testing.assert_close(parts.sum(-1), torch.ones(2, 2, 2, 2))
    assert parts[0, 1, 0, 1].tolist() == [0, 1, 0, 0]
    assert parts[1, 0, 0, 0].tolist() == [0.875, 0, 0, 0.125]
    assert float(parts[..., 0].sum()) == 2 * 8 - 1 - 0.125


def test_counts_in_the_basis_are_the_means_of_what_voxels_are_in_it() -> None:
    settings = replace(SETTINGS, basis_size=2)
    modes = modes_of(settings)
    target = torch.randint(0, CLASSES, (8, 4, 12), generator=torch.Generator().manual_seed(0))
    basis = label_basis(settings, MEMBERS)
    pooled = torch.nn.functional.avg_pool3d(basis[target].movedim(-1, 0)[None], 2)[0]  # (D, k, j, i) of parts
    parts = pooled.view(2, 2, 2, 1, 2, 3, 2).permute(1, 3, 5, 2, 4, 6, 0)  # D k a j b i c -> patches, parts, D
    torch.testing.assert_close(modes.histograms(target)[0], parts.reshape(6, 16))


def test_what_is_unknown_is_no_background_and_a_patch_known_by_less_than_half_has_no_mode() -> None:
    modes, target = modes_of(), torch.ones(4, 4, 4, dtype=torch.long)
    target[0, 0, :2] = IGNORE
    histograms, known = modes.histograms(target)
    assert known.all()
    torch.testing.assert_close(histograms.view(8, CLASSES)[0], torch.tensor([0.0, 1, 0, 0]))
    target[:2, :2, :2] = IGNORE
    target[0, 0, 0] = 1
    assert not modes.histograms(target)[1].any()


def test_a_parent_counts_for_its_children_alike_and_a_label_nobody_looked_for_is_unknown() -> None:
    modes, target = modes_of(), torch.full((4, 4, 4), GROUP)
    torch.testing.assert_close(modes.histograms(target)[0].view(8, CLASSES)[0], torch.tensor([0, 0, 0.5, 0.5]))
    partly = torch.tensor([True, True, False, True])
    target = torch.tensor([0, 1, 2, 3]).repeat(16).view(4, 4, 4)
    assert modes.visible(target, partly)[0, 0].tolist() == [IGNORE, 1, IGNORE, 3]
    assert modes.visible(target, ~partly | True)[0, 0].tolist() == [0, 1, 2, 3]


def test_a_random_projection_keeps_distances_between_histograms_of_many_labels() -> None:
    settings = replace(SETTINGS, basis_size=32)
    nothing = torch.zeros(0, 134, dtype=torch.bool)
    basis = label_basis(settings, nothing)
    assert basis.shape == (134, 32)
    assert torch.equal(basis, label_basis(settings, nothing))
    histograms = torch.eye(134)
    kept = torch.pdist(histograms @ basis) / torch.pdist(histograms)
    assert float(kept.mean()) == pytest.approx(1, abs=0.05)
    assert 0.3 < float(kept.min()) < float(kept.max()) < 2


def test_groups_are_the_parents_at_the_top_of_the_tree_and_labels_without_one() -> None:
    members = torch.tensor([[0, 0, 1, 1, 0, 0], [0, 0, 1, 1, 1, 0]]).bool()
    basis = label_basis(replace(SETTINGS, basis="groups"), members)
    assert sorted(basis.T.int().tolist()) == sorted(
        [[1, 0, 0, 0, 0, 0], [0, 1, 0, 0, 0, 0], [0, 0, 0, 0, 0, 1], [0, 0, 1, 1, 1, 0]]
    )


def test_few_labels_are_told_as_they_are() -> None:
    assert torch.equal(label_basis(SETTINGS, MEMBERS), torch.eye(CLASSES))


def striped(*classes: int) -> torch.Tensor:
    """A map of which every patch along i is of one class."""
    return torch.tensor(classes).repeat_interleave(4).expand(8, 8, -1).contiguous()


def test_clusters_are_what_patches_look_like_the_most_frequent_first() -> None:
    modes = modes_of()
    assert modes.fitted == 0
    modes.fit([case_of(striped(0, 0, 0, 1, 2)), case_of(striped(0, 3))], seed=0)
    assert 4 <= modes.fitted <= 6
    alike = striped(0, 1, 2, 3, 0)
    found, known = modes.of_map(alike, torch.ones(CLASSES, dtype=torch.bool))
    assert known.all()
    by_column = found.view(2, 2, 5)
    assert (by_column == by_column[0, 0]).all()
    first = by_column[0, 0].tolist()
    assert first[0] == first[4] == 0  # background is the most frequent
    assert len(set(first[:4])) == 4
    again = modes_of()
    again.fit([case_of(striped(0, 0, 0, 1, 2)), case_of(striped(0, 3))], seed=0)
    assert torch.equal(again.centres, modes.centres)


def test_maps_that_are_smaller_than_a_patch_go_on_as_background() -> None:
    modes = modes_of()
    modes.fit([case_of(torch.ones(3, 3, 3, dtype=torch.long)), case_of(striped(0, 2))], seed=0)
    assert modes.fitted >= 2


def test_maps_of_which_all_patches_are_alike_are_refused() -> None:
    words = re.escape("no two different patches that could be told apart")
    with pytest.raises(SystemExit, match=words):
        modes_of().fit([case_of(striped(1, 1))], seed=0)


def test_the_head_looks_at_each_patch_alone() -> None:
    torch.manual_seed(0)
    head = ModeHead(SETTINGS, directions=3, stride=2)
    answer = torch.randn(1, 3, 5, 4, 6)  # 2 x 2 x 3 patches of 2 voxels, and a plane that is in none
    logits = head(answer)
    assert logits.shape == (1, 6, 2, 2, 3)
    answer[..., :2, 2:4, 4:6] += 1
    changed = (head(answer) != logits).any(1)[0]
    assert changed.nonzero().tolist() == [[0, 1, 2]]
