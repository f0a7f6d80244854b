"""What a trunk knows of labels that it was not trained on: prompts fitted to its features, and prompts pooled from
them.
"""

from __future__ import annotations

import pytest
import torch

from Testing import samples
from Training.data.targets import select
from Training.studies.probe import Seen, coarse_classes, fitted_prompts, pooled_prototypes, score


def scans(spread: float, count: int = 3, classes: int = 5, channels: int = 6) -> list[Seen]:
    """Features that lie around a centre of their own for every class, longer along the first channel; some voxels are
    unknown.
    """
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(classes, channels, generator=generator)
    out = []
    for _ in range(count):
        target = torch.randint(0, classes, (2000,), generator=generator)
        noise = torch.randn(2000, channels, generator=generator) * torch.tensor([8.0] + [1.0] * (channels - 1))
        target_seen = target.clone()
        target_seen[::50] = -1
        out.append(Seen(centres[target] + spread * noise, target_seen, (target > 2).long()))
    return out


@pytest.mark.slow
def test_separate_features_are_told_apart_by_both() -> None:
    test, *others = scans(0.02)
    for way in (pooled_prototypes, fitted_prompts):
        assert score(test, *way(others, 5), None) > 0.99


def test_prototypes_divide_by_the_spread_within_labels() -> None:
    """One channel is eight times as noisy as the others: the plain nearest mean would follow it."""
    test, *others = scans(0.3)
    prompts, bias = pooled_prototypes(others, 5)
    known = torch.cat([s.target for s in others])
    features = torch.cat([s.features for s in others])
    means = torch.stack([features[known == c].mean(0) for c in range(5)])
    plain = score(test, means, -(means**2).sum(1) / 2, None)
    assert score(test, prompts, bias, None) > plain + 0.05


@pytest.mark.slow
def test_a_fitted_prompt_is_no_worse_than_the_prototype_it_starts_from() -> None:
    test, *others = scans(0.5)
    assert score(test, *fitted_prompts(others, 5), None) > score(test, *pooled_prototypes(others, 5), None) - 0.01


def test_inside_its_coarse_label_a_fine_one_competes_with_its_own_kind_only() -> None:
    test, *others = scans(1.2)
    prompts = pooled_prototypes(others, 5)
    assert score(test, *prompts, torch.tensor([0, 0, 0, 1, 1])) > score(test, *prompts, None) + 0.02


def test_a_label_without_a_voxel_never_wins() -> None:
    test, *others = scans(0.02)
    prompts, bias = pooled_prototypes(
        [Seen(s.features, torch.where(s.target == 3, -1, s.target), s.coarse) for s in others], 5
    )
    found = (test.features @ prompts.T + bias).argmax(1)
    assert not (found == 3).any()


def test_fine_classes_find_the_coarse_ones_above_them_by_name() -> None:
    fine = samples.label_tree(6)
    parent = next(label for label in fine.labels if label.id in fine.children)
    coarse = select(fine, [parent.name])
    inside = set(fine.classes_under(parent))
    assert [bool(c) for c in coarse_classes(coarse, fine).tolist()] == [
        n in inside for n in range(len(fine.leaves) + 1)
    ]


def test_a_probe_of_one_scan_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from Training.studies import probe

    monkeypatch.setattr("sys.argv", ["probe.py", "package", "data", "--cases", "one"])
    with pytest.raises(SystemExit, match="at least two cases"):
        probe.main()
