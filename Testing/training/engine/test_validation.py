"""Validation sees a scan as inference does: window by window, with the same labels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from LabelConditionedSegmentationLib.core.inference import features as core_features
from LabelConditionedSegmentationLib.core.inference.scoring import best_classes
from LabelConditionedSegmentationLib.core.inference.segmenter import Segmenter
from LabelConditionedSegmentationLib.core.inference.tiled_scoring import best_by_tiles
from LabelConditionedSegmentationLib.core.network.model import LabelConditionedNetwork
from LabelConditionedSegmentationLib.core.scan.geometry import Grid, Shape, resample
from LabelConditionedSegmentationLib.core.scan.preprocessing import prepare
from LabelConditionedSegmentationLib.core.scan.volume import Array
from lightning.fabric import Fabric

from Testing import samples
from Training.data.prepared_cases import Case
from Training.engine.validation import features_of, find_classes, validate
from Training.methods.whole import input_of

PATCH: Shape = (32, 32, 32)
WHOLE: Shape = (256, 256, 256)
SCAN = samples.scan((44, 60, 52))
"""On the network's grid it is larger than PATCH along every axis."""

METADATA = {"age": 31, "sex": "F"}


def segmenter(folder: Path, patch: Shape) -> Segmenter:
    """One whose features are kept as validation has them."""
    package = samples.package(folder / "package", patch=patch)
    return Segmenter(package, package.build_network(), torch.device("cpu"), feature_dtype=torch.float32)


def case_of(model: Segmenter) -> tuple[Case, Grid]:
    """SCAN as training has it, and where its voxels lie."""
    package = model.package
    seen = prepare(SCAN, package.input, package.architecture.multiple, package.architecture.position)
    parsed, _ = package.metadata.parse(METADATA)
    metadata = torch.from_numpy(package.metadata.encode(parsed))
    target = torch.zeros(seen.grid.shape, dtype=torch.int16)
    image = seen.image[: package.architecture.in_channels]
    annotated = torch.ones(model.network.classes, dtype=torch.bool)
    return Case("one", image, seen.foreground, target, annotated, metadata, {}), seen.grid


def in_one_pass(network: LabelConditionedNetwork, case: Case) -> torch.Tensor:
    """The classes that the whole scan at once gives."""
    with torch.no_grad():
        features = network.features(input_of(network, case.image, case.foreground), case.metadata[None])[0].movedim(
            0, -1
        )
        fine = Grid(np.eye(4), case.target.shape)  # type: ignore[arg-type]
        on_voxels = resample(features, fine.coarser(network.trunk.architecture.output_stride), fine)
        found = best_classes(on_voxels.flatten(0, 2), network.prompts, network.bias)
    return found.best_class.long().view(case.target.shape)


@pytest.mark.parametrize("patch", [PATCH, WHOLE])
def test_what_validation_finds_is_what_inference_finds(tmp_path: Path, patch: Shape) -> None:
    model = segmenter(tmp_path, patch)
    case, grid = case_of(model)
    assert all(n > 32 for n in case.target.shape)
    features = model.features(SCAN, METADATA)
    assert (features.report.trunk_passes > 1) == (patch == PATCH)
    found = find_classes(model.network, case, patch)
    target = Grid.of(SCAN).box(*features.region)
    on_scan: Array = resample(found[..., None].float(), grid, target, nearest=True)[..., 0].numpy()
    assert len(np.unique(on_scan)) > 3
    assert np.array_equal(on_scan, features.winner_map())


def test_one_window_finds_what_a_pass_over_the_whole_scan_does_and_several_do_not(tmp_path: Path) -> None:
    model = segmenter(tmp_path, PATCH)
    case, _ = case_of(model)
    whole = in_one_pass(model.network, case)
    assert torch.equal(find_classes(model.network, case, WHOLE), whole)
    assert not torch.equal(find_classes(model.network, case, PATCH), whole)


@pytest.mark.parametrize("take", [find_classes, features_of])
def test_the_network_never_sees_more_than_a_window(tmp_path: Path, take: Callable[..., torch.Tensor]) -> None:
    model = segmenter(tmp_path, PATCH)
    case, _ = case_of(model)
    seen = set()
    model.network.trunk.register_forward_pre_hook(lambda _, inputs: seen.add(tuple(inputs[0].shape[2:])))
    take(model.network, case, PATCH)
    assert seen == {PATCH}


def test_only_the_network_runs_in_low_precision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scores of labels that are nearly the same would else be rounded to one value."""
    model = segmenter(tmp_path, PATCH)
    case, _ = case_of(model)
    low: dict[str, set[bool]] = {"network": set(), "scoring": set()}

    def scored(*arguments: Any) -> torch.Tensor:
        low["scoring"].add(torch.is_autocast_enabled("cpu"))
        return best_by_tiles(*arguments)

    monkeypatch.setattr(core_features, "best_by_tiles", scored)
    model.network.trunk.register_forward_hook(lambda *_: low["network"].add(torch.is_autocast_enabled("cpu")))
    fabric = Fabric(accelerator="cpu", devices=1, precision="bf16-mixed")
    validate(model.network, [case], PATCH, fabric)
    assert low == {"network": {True}, "scoring": {False}}
