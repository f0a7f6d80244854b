"""The installed module, opened on the stand-in: it works, with its own model, out of the installed folder alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from .test_install import LIBRARY, installed_python

SELF_TESTS = (
    "test_the_first_volume_of_the_scene_is_chosen",
    "test_apply_writes_what_is_ticked_while_the_application_stays_alive",
)
RUN = f"""
import unittest
from pathlib import Path
import psutil
sys.path.append(sys.argv[2])  # for the stand-in; the library is not found there
from Testing.host.application import Host
host = Host(Path.cwd())
panel = host.open_module(Path(sys.argv[1])).panel
from {LIBRARY}.panel.self_test import PanelTest
result = unittest.TestResult()
for name in {SELF_TESTS}:
    PanelTest(name).run(result)
assert result.testsRun == {len(SELF_TESTS)} and result.wasSuccessful() and not result.skipped, [text for _, text in result.errors + result.failures]
assert not host.errors
(worker,) = psutil.Process().children()
assert sys.argv[1] in worker.cmdline(), worker.cmdline()
print(panel.package.path)
for name, module in sys.modules.items():
    if name.split(".")[0] in ("LabelConditionedSegmentation", "{LIBRARY}"):
        print(module.__file__)
host.close()
"""  # noqa: E501


@pytest.mark.slow
def test_the_installed_module_works_and_no_file_comes_from_elsewhere(
    installed_extension: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LCS_MODELS", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    places = [Path(line) for line in installed_python(installed_extension, RUN, tmp_path).splitlines()]
    assert {
        installed_extension / "Resources" / "Models" / "brain",
        installed_extension / LIBRARY / "panel" / "panel.py",
    } <= set(places)
    assert [place for place in places if not place.is_relative_to(installed_extension)] == []
