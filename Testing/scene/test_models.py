"""Installed models: those that can be used, and a reason for each that cannot."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from LabelConditionedSegmentationLib.scene.installed_models import installed_models

TOP = Path(__file__).resolve().parents[2]
SCENE = TOP / "LabelConditionedSegmentation" / "LabelConditionedSegmentationLib" / "scene"


def test_broken_packages_are_told_and_the_others_found(tiny_package: Path, tmp_path: Path) -> None:
    for name in ("good", "broken", "newer"):
        shutil.copytree(tiny_package, tmp_path / name)
    (tmp_path / "broken" / "model.json").write_text("{", encoding="utf-8")
    newer = json.loads((tmp_path / "newer" / "model.json").read_text(encoding="utf-8"))
    (tmp_path / "newer" / "model.json").write_text(json.dumps(newer | {"format": 99}), encoding="utf-8")
    models, findings = installed_models([tmp_path, tmp_path / "missing"])
    assert {name: package.path for name, package in models.items()} == {"tiny": tmp_path / "good"}
    assert [finding.level for finding in findings] == ["warning", "warning"]
    assert "not readable as JSON" in findings[0].text
    assert "update LabelConditionedSegmentation" in findings[1].text


def test_earlier_folders_win(tiny_package: Path, tmp_path: Path) -> None:
    for folder in ("own", "shipped"):
        shutil.copytree(tiny_package, tmp_path / folder / "tiny")
    models, findings = installed_models([tmp_path / "own", tmp_path / "shipped"])
    assert models["tiny"].path == tmp_path / "own" / "tiny"
    assert findings == []


@pytest.mark.slow
def test_the_room_opens_without_torch(tiny_package: Path) -> None:
    names = sorted(path.stem for path in SCENE.glob("*.py") if path.stem != "__init__")
    assert {"installed_models", "volumes", "segmentations"} <= set(names)
    code = "import sys\nsys.modules['torch'] = None\n" + "".join(
        f"import LabelConditionedSegmentationLib.scene.{name}\n" for name in names
    )
    code += (
        "from pathlib import"
        f" Path\nprint(*LabelConditionedSegmentationLib.scene.installed_models.installed_models([Path({str(tiny_package.parent)!r})])[0])"  # noqa: E501
    )
    environment = {**os.environ, "PYTHONPATH": str(SCENE.parents[1])}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["tiny"]
