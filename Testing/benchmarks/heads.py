"""The brain in any head: masks of the package `head` on scans as they come and on made images, `brain` through it, and
what becomes of scans that it was not made for.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from LabelConditionedSegmentationLib.core.inference.segmenter import Segmenter
from LabelConditionedSegmentationLib.core.scan.image_io import read_volume
from LabelConditionedSegmentationLib.resources import resources_folder, sample_scan

from Testing.samples import dice
from Training.engine.config import read_config
from Training.engine.run_data import load_data
from Training.engine.validation import dice_of_classes, find_classes

HEADS = Path(os.environ.get("LCS_HEADS", "../shared/data/heads"))
MAPS = Path(os.environ.get("LCS_HEAD_MAPS", "data/head_maps"))
MODELS = resources_folder() / "Models"


def run() -> str:
    """Markdown of this section."""
    parts = ["\n".join(_masks()), "\n".join(_stages())]
    if (MAPS / "labelsTr").is_dir():
        parts.append("\n".join(_made()))
    return "\n\n".join(parts)


def _masks() -> Iterator[str]:
    yield "| raw scan | shape | brain, ml | seconds | Dice with the given mask |"
    yield "| --- | --- | --- | --- | --- |"
    with Segmenter.from_package(MODELS / "head", "cpu") as segmenter:
        segmenter.segment(read_volume(sample_scan("colin27_t1_head.nii.gz")), ["Brain"])  # the first run is slower
        for path in sorted((HEADS / "raw").glob("*.nii.gz")):
            volume = read_volume(path)
            began = time.perf_counter()
            mask = segmenter.segment(volume, ["Brain"]).label_map.array[0] > 0
            took = time.perf_counter() - began
            given = HEADS / "masks" / path.name
            agreement = f"{dice(mask, read_volume(given).array[0] > 0):.3f}" if given.is_file() else ""
            shape, ml = " x ".join(map(str, volume.shape[::-1])), mask.sum() * volume.voxel_millilitres
            yield f"| {path.name.split('.')[0]} | {shape} | {ml:.0f} | {took:.1f} | {agreement} |"


def _stages() -> Iterator[str]:
    yield "| scan | answer | brain first | seconds | peak memory, MB | level of the worst finding |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for path in _scans():
        with Segmenter.from_package(MODELS / "brain", "cpu") as segmenter:
            began = time.perf_counter()
            result = segmenter.segment(read_volume(path))
            took = time.perf_counter() - began
        report = result.report
        levels = [finding.level for finding in report.findings]
        worst = next((level for level in ("error", "warning", "note") if level in levels), "none")
        found = f"{report.inside.get('ml', 0):.0f} ml" if report.inside.get("stripped") == "no" else "stripped already"
        passes = f"{report.trunk_passes} pass(es)"
        peak = report.peak_memory_mb.get("process", 0)
        yield f"| {path.name.split('.')[0]} | {passes} | {found} | {took:.1f} | {peak:.0f} | {worst} |"


def _scans() -> list[Path]:
    stripped = [*sorted((HEADS / "ms").glob("*_[TF]*.nii.gz")), *sorted((HEADS / "adults").glob("*.nii.gz"))]
    samples = [sample_scan("colin27_t1_head.nii.gz"), sample_scan("mni152_t1_brain.nii.gz")]
    return [*sorted((HEADS / "raw").glob("*.nii.gz")), *samples, *stripped]


def _made() -> Iterator[str]:
    """On images made from the maps that were kept out of training."""
    config = read_config(Path("head"), [])
    for source in config.data.sources:
        source.root = str(MAPS)
    data = load_data(config)
    whole, structures = [], []
    with Segmenter.from_package(MODELS / "head", "cpu") as segmenter, torch.no_grad():
        tree = segmenter.package.labels
        brain = torch.zeros(len(tree.leaves) + 1, dtype=torch.bool)
        brain[list(tree.classes_under(tree.find("Brain")))] = True
        for case in data.validation:
            found = find_classes(segmenter.network, case, segmenter.package.patch)
            truth = case.target.long()
            whole.append(dice(brain[found].numpy(), brain[truth.clamp_min(0)].numpy()))
            scores = dice_of_classes(found, case.target, len(brain))
            structures.append(float(np.nanmean(scores[:-1])))  # all but the head outside
    yield (
        f"On {len(data.validation)} images made from the maps kept out of training: the brain {np.mean(whole):.3f}"
        f" (lowest {np.min(whole):.3f}), its structures {np.mean(structures):.3f}."
    )
