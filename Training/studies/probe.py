"""Does a trunk trained on coarse labels still tell fine ones apart? python -m Training.studies.probe PACKAGE DATA
--cases A B C: linear probe against pooled prototypes.

The features of a few labelled scans that the trunk never saw are taken once. In turn one scan is the test and the
others give, for every fine label, either a prompt that is fitted (multinomial logistic regression, the upper bound of
what a linear head can do) or the mean of the features under its mask (masked average pooling, what an example gives).
Both are affine scores, scored like any other prompts.
"""

from __future__ import annotations

import argparse
import statistics
from dataclasses import dataclass
from pathlib import Path

import torch
from LabelConditionedSegmentationLib.core.errors import LCSError
from LabelConditionedSegmentationLib.core.inference.scoring import best_classes
from LabelConditionedSegmentationLib.core.inference.segmenter import Segmenter
from LabelConditionedSegmentationLib.core.labels.label_tree import LabelTree

from ..data.datasets import read_data_set
from ..data.prepared_cases import Case, prepare_cases
from ..engine.validation import dice_of_classes, features_of
from ..losses.streamed_softmax import streamed_softmax_loss
from ..losses.truth import Truth

STEPS, RATE, POINTS = 300, 0.05, 60_000


@dataclass(frozen=True)
class Seen:
    """What the trunk makes of a scan: features (V, C) of its foreground voxels, their fine targets (V,), and the coarse
    class that wins there (V,).
    """

    features: torch.Tensor
    target: torch.Tensor
    coarse: torch.Tensor


@torch.inference_mode()
def see(segmenter: Segmenter, case: Case) -> Seen:
    """The trunk over a prepared scan, up-sampled to its voxels."""
    network, foreground = segmenter.network, case.foreground
    on_voxels = features_of(network, case, segmenter.package.patch)[foreground]
    coarse = best_classes(on_voxels, network.prompts, network.bias).best_class
    return Seen(on_voxels.clone(), case.target[foreground].long(), coarse.long())


def pooled_prototypes(seen: list[Seen], classes: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Prompts (K, C) and bias (K,): the nearest mean of features, whitened by their spread within labels.

    Labels without a voxel never win.
    """
    features, target = torch.cat([s.features for s in seen]), torch.cat([s.target for s in seen])
    known = (target >= 0) & (target < classes)
    features, target = features[known], target[known]
    count = torch.bincount(target, minlength=classes).float()
    means = torch.zeros(classes, features.shape[1]).index_add_(0, target, features) / count.clamp_min(1)[:, None]
    within = features - means[target]
    covariance = within.T @ within / len(within) + 1e-4 * torch.eye(features.shape[1])
    prompts = torch.linalg.solve(
        covariance, means.T
    ).T  # squared distance in whitened space, less what all labels share
    bias = -(prompts * means).sum(1) / 2
    return prompts, torch.where(count > 0, bias, torch.full_like(bias, -1e9))


def fitted_prompts(seen: list[Seen], classes: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Prompts (K, C) and bias (K,) fitted by the loss of training itself, the prototypes as the start."""
    features, target = torch.cat([s.features for s in seen]), torch.cat([s.target for s in seen])
    prompts, bias = (t.clone().requires_grad_() for t in pooled_prototypes(seen, classes))
    everyone, no_groups = torch.ones(classes, dtype=torch.bool), torch.zeros(0, classes, dtype=torch.bool)
    target = torch.where(target < classes, target, -1)
    optimizer = torch.optim.Adam([prompts, bias], lr=RATE)
    generator = torch.Generator().manual_seed(seed)
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = RATE * (1 - step / STEPS)
        drawn = torch.randint(len(target), (POINTS,), generator=generator)
        loss = streamed_softmax_loss(features[drawn], prompts, bias, Truth(target[drawn], everyone, no_groups))
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
    return prompts.detach(), bias.detach()


def score(seen: Seen, prompts: torch.Tensor, bias: torch.Tensor, coarse_of: torch.Tensor | None) -> float:
    """Mean Dice of the fine labels in a scan. coarse_of (K,): the coarse class of every fine one, where a fine label
    may win only inside its own coarse label.
    """
    classes = len(bias)
    if coarse_of is None:
        found = best_classes(seen.features, prompts, bias).best_class.long()
    else:
        found = torch.zeros_like(seen.target)
        for coarse in set(coarse_of.tolist()):
            inside, members = (seen.coarse == coarse).nonzero()[:, 0], (coarse_of == coarse).nonzero()[:, 0]
            if len(inside):
                found[inside] = members[
                    best_classes(seen.features[inside], prompts[members], bias[members]).best_class.long()
                ]
    dice = torch.from_numpy(dice_of_classes(found, seen.target, classes))
    return float(dice.nanmean())


def coarse_classes(coarse: LabelTree, fine: LabelTree) -> torch.Tensor:
    """(K,): the coarse network's class that holds each class of the fine tree, matched by name."""
    names = {leaf.name.casefold(): n for n, leaf in enumerate(coarse.leaves, start=1)}
    above = [
        next((names[x.name.casefold()] for x in (leaf, *fine.ancestors(leaf)) if x.name.casefold() in names), 0)
        for leaf in fine.leaves
    ]
    return torch.tensor([0, *above])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("package", type=Path, help="a model package trained on coarse labels")
    parser.add_argument("data", type=Path, help="a data set with fine labels")
    parser.add_argument("--cases", nargs="+", required=True, help="at least two scans that the package never saw")
    parser.add_argument("--cache", type=Path, default=Path("runs/cache"))
    arguments = parser.parse_args()
    if len(arguments.cases) < 2:
        raise SystemExit("A probe needs at least two cases: one is the test, the others give the prompts.")
    try:
        segmenter = Segmenter.from_package(arguments.package, "cpu")
        data_set = read_data_set(arguments.data, arguments.cases)
        package, tree = segmenter.package, data_set.table
        cases = prepare_cases(
            data_set, tree, package.input, package.metadata, package.architecture.multiple, arguments.cache
        )
    except LCSError as error:
        raise SystemExit(str(error)) from None
    classes, coarse_of = len(tree.leaves) + 1, coarse_classes(package.labels, tree)
    scans = [see(segmenter, case) for case in cases]
    ways = {"pooled prototypes": pooled_prototypes, "linear probe": fitted_prompts}
    print(
        f"{len(package.labels.leaves)} coarse labels, {len(tree.leaves)} fine ones, {len(scans)} scans in turn,"
        f" features of {scans[0].features.shape[1]} channels"
    )
    for name, way in ways.items():
        found = [(test, way([s for s in scans if s is not test], classes)) for test in scans]
        free, inside = (
            statistics.fmean(score(test, *prompts, limit) for test, prompts in found) for limit in (None, coarse_of)
        )
        print(f"{name}: mean Dice {free:.3f}; inside the coarse label that the network finds {inside:.3f}")


if __name__ == "__main__":
    main()
