"""The shipped model on the shipped sample scan, through the panel, with pictures of the panel and of the result.

LCS_SCREENSHOTS=Resources/Screenshots keeps the pictures, which the README shows.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from LabelConditionedSegmentationLib.resources import resources_folder
from PIL import Image

from Testing.host.application import Host
from Testing.panel.pictures import WIDTH, cut_off, load_volume, picture_result
from Testing.panel.user import User

SHOWN = ("Left Hippocampus", "Left Thalamus Proper", "Left Putamen", "Left Caudate", "Left Amygdala", "Brain Stem")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(os.environ["LCS_SCREENSHOTS"]).absolute() if "LCS_SCREENSHOTS" in os.environ else tmp_path


def colours(path: Path) -> int:
    return len(np.unique(np.asarray(Image.open(path).convert("RGB")).reshape(-1, 3), axis=0))


def tick(panel: Any, *names: str) -> None:
    import qt

    for name in names:
        panel.tree.item(panel.package.labels.find(name).id).setCheckState(0, qt.Qt.Checked)


def picture_light_and_dark(host: Host, place: Any, folder: Path, name: str) -> float:
    """Pictures of a widget in both colour schemes, in which nothing is cut off; how much darker the dark one is."""
    means = []
    for ending, dark in (("", False), ("_dark", True)):
        path = folder / f"{name}{ending}.png"
        host.picture(place, path, WIDTH, dark=dark)
        assert cut_off(place) == []
        assert colours(path) > 10
        means.append(float(np.asarray(Image.open(path).convert("L"), dtype=float).mean()))
    return means[0] - means[1]


@pytest.mark.slow
def test_the_sample_scan_in_the_panel(
    host: Host, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import slicer

    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    widget = host.open_module()
    panel = widget.panel
    place = widget.parent
    host.picture(place, tmp_path / "empty.png", WIDTH)
    assert cut_off(place) == []

    volume = load_volume(resources_folder() / "SampleData" / "mni152_t1_brain.nii.gz", "LCSBrainT1")
    widget.enter()
    host.run_until(lambda: not panel.runner.is_waiting, 120)
    assert panel.inputs.nodes == (volume,)
    panel.memory.acknowledge(panel.package)
    tick(panel, *SHOWN)
    panel.ui.applyButton.click()
    host.run_until(lambda: panel.runner.fraction > 0.2, 300)
    host.picture(place, tmp_path / "running.png", WIDTH)
    assert cut_off(place) == []
    host.run_until(lambda: not panel.runner.running, 600)

    node = panel.segment.live.node
    hippocampus = slicer.util.arrayFromSegmentBinaryLabelmap(
        node, node.GetSegmentation().GetSegmentIdBySegmentName("Left Hippocampus"), volume
    )
    assert 2000 < hippocampus.sum() < 6000  # cubic millimetres, as in adults
    assert picture_light_and_dark(host, place, folder, "panel") > 100

    tick(panel, "Cerebellum")
    panel.ui.searchBox.text = "hippo"
    host.picture(place, folder / "search.png", WIDTH)
    assert cut_off(place) == []
    picture_result(host, volume, node, folder / "result.png")
    assert colours(folder / "result.png") > 500


def test_the_sections_below_a_run(host: Host, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Several scans, and the installed models, as they are opened."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    user = User(host)
    for name in ("Visit 1", "Visit 2", "Visit 3"):
        user.add_volume(name)
    sections = user.ui.scansSection, user.ui.modelsSection
    for section in sections:
        section.collapsed = False
    host.run_until(lambda: user.ui.scansTree.topLevelItemCount == 3)
    user.tick("Left Putamen")
    user.press("allScansButton")
    user.ui.modelsTree.setCurrentItem(user.ui.modelsTree.topLevelItem(0))
    for section, name in zip(sections, ("scans", "models"), strict=True):
        picture_light_and_dark(host, section, folder, name)
