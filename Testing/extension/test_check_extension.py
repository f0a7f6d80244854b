"""The offline checks pass on a fit checkout, and each of them finds what is wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from Utilities import check_extension
from Utilities.update_cmake_lists import MODULE

from .installed import TOP

ENTRY = f"{MODULE}.json"
VIEW = f"{MODULE}/{MODULE}Lib/panel/view.py"
Break = Callable[[Path], object]


def replaced(name: str, old: str, new: str) -> Break:
    """Writes `new` in place of `old` in a file that has it."""

    def breaks(top: Path) -> None:
        text = (top / name).read_text(encoding="utf-8")
        assert old in text
        (top / name).write_bytes(text.replace(old, new).encode())

    return breaks


def removed(name: str) -> Break:
    return lambda top: (top / name).unlink()


def written(name: str, content: str) -> Break:
    return lambda top: (top / name).write_bytes(content.encode())


def entry(**fields: object) -> Break:
    """Changes fields of the index entry; None takes one out."""

    def breaks(top: Path) -> None:
        changed = json.loads((top / ENTRY).read_text(encoding="utf-8")) | fields
        (top / ENTRY).write_text(
            json.dumps({key: value for key, value in changed.items() if value is not None}), encoding="utf-8"
        )

    return breaks


def drawn(name: str, size: tuple[int, int]) -> Break:
    return lambda top: Image.new("RGB", size).save(top / name)


def git(top: Path, *words: str) -> None:
    who = ("-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "core.compression=0", "-c", "core.bigFileThreshold=1g")
    subprocess.run(["git", "-C", str(top), *who, *words], check=True, capture_output=True)


def large(top: Path) -> None:
    """A history with a file of 101 MB that was removed afterwards."""
    with open(top / "large.bin", "wb") as file:
        file.truncate(101_000_000)
    git(top, "init")
    git(top, "add", "large.bin")
    git(top, "commit", "-m", "more")
    (top / "large.bin").unlink()
    git(top, "commit", "-a", "-m", "less")


BREAKS: list[tuple[str, str, Break]] = [
    ("licence", "no LICENSE", removed("LICENSE")),
    ("licence", "does not name the licence", replaced("README.md", "Apache", "Some")),
    ("line ends", "README.md has line ends", replaced("README.md", "\n", "\r\n")),
    ("line ends", ENTRY, replaced(ENTRY, "\n", "\r\n")),
    ("size", "101 MB", large),
    ("names", "project(Other)", replaced("CMakeLists.txt", f"project({MODULE})", "project(Other)")),
    ("names", f"no {ENTRY}", removed(ENTRY)),
    ("names", f"{MODULE}.py", removed(f"{MODULE}/{MODULE}.py")),
    ("names", "add_subdirectory", replaced("CMakeLists.txt", "add_subdirectory(", "# (")),
    ("index entry", "lacks tier", written(ENTRY, "[]")),
    ("index entry", "lacks category", written(ENTRY, "{")),
    ("index entry", "lacks scm_url", entry(scm_url=None)),
    ("index entry", "scmurl, which the schema does not know", entry(scmurl="https://x")),
    ("index entry", "tier has to be of type int", entry(tier="3")),
    ("index entry", "has to be 1, 3 or 5", entry(tier=2)),
    ("index entry", "$schema has to be", entry(**{"$schema": "https://x"})),
    ("index entry", "category has to be", entry(category="Brains")),
    ("index entry", "EXTENSION_DEPENDS", entry(build_dependencies=[])),
    ("homepage", "https://", replaced("CMakeLists.txt", 'HOMEPAGE "https', 'HOMEPAGE "http')),
    ("homepage", "scm_url", entry(scm_url="https://github.com/other/other.git")),
    ("homepage", "contain Slicer", removed("pyproject.toml")),
    ("description", "contributors", replaced("CMakeLists.txt", "set(EXTENSION_CONTRIBUTORS", "# (")),
    (
        "description",
        "whole sentences",
        replaced("CMakeLists.txt", "EXTENSION_DESCRIPTION ", 'EXTENSION_DESCRIPTION "Segments.")\n# '),
    ),
    ("pictures", "EXTENSION_ICONURL", replaced("CMakeLists.txt", "set(EXTENSION_ICONURL", "# (")),
    ("pictures", "EXTENSION_SCREENSHOTURLS", replaced("CMakeLists.txt", "set(EXTENSION_SCREENSHOTURLS", "# (")),
    (
        "pictures",
        "not a raw address",
        replaced("CMakeLists.txt", "https://raw.githubusercontent.com", "https://example.com"),
    ),
    ("pictures", "panel.png is not an image", removed("Resources/Screenshots/panel.png")),
    ("pictures", "result.png is not an image", written("Resources/Screenshots/result.png", "<html>")),
    ("pictures", "128 x 128", drawn(f"{MODULE}.png", (64, 64))),
    ("pictures", "128 x 128", drawn(f"Resources/Icons/{MODULE}.png", (64, 64))),
    ("README", "begin with the heading", replaced("README.md", f"# {MODULE}\n", "# Hello\n")),
    ("README", "begin with the heading", replaced("README.md", "Segments a scan.", "![](x)")),
    ("README", "no picture", replaced("README.md", "![", "[")),
    ("README", "shows there.png", replaced("README.md", "Resources/Screenshots/result.png", "there.png")),
    ("README", "no sentence about the module", replaced("README.md", f"- {MODULE}", "- It")),
    ("README", "no sentence about the module", replaced("README.md", "## Modules", "## Parts")),
    ("README", "no tutorial", replaced("README.md", "## Tutorial", "## Use")),
    ("README", "sample data", replaced("README.md", "Sample Data", "Data")),
    ("README", "LCS", replaced("README.md", "2203.10091", "")),
    ("README", "CoLab", replaced("README.md", "2212.08423", "")),
    ("README", "FiLM", replaced("README.md", "2102.09582", "")),
    ("lists of files", "update_cmake_lists", written(f"{MODULE}/{MODULE}Lib/more.py", "")),
    ("requirements", "requirements.txt", removed("Resources/requirements.txt")),
    ("requirements", "name>=version", replaced("Resources/requirements.txt", ">=", "==")),
    ("requirements", "remove torch", written("Resources/requirements.txt", "torch>=2.6\n")),
    ("imports", "imports torch", replaced(VIEW, "import qt", "import qt, torch")),
    (
        "imports",
        "imports monai",
        replaced(VIEW, "import qt", "try:\n    from monai.data import x\nexcept ImportError:\n    pass"),
    ),
    (
        "imports",
        "view.py:10 installs packages",
        replaced(VIEW, "    pip_ensure([])\n", "    pass\n\n\nslicer.util.pip_install('x')\n"),
    ),
    ("imports", "installs packages", replaced(VIEW, "def install():", "class Widget:\n  def setup(self):")),
    (
        "deprecated names",
        "EXTENSION_CATEGORY",
        replaced(
            "CMakeLists.txt", "set(EXTENSION_DEPENDS", 'set(EXTENSION_CATEGORY "Segmentation")\nset(EXTENSION_DEPENDS'
        ),
    ),
    ("deprecated names", "view.py:2 uses import imp", replaced(VIEW, "import qt\n", "import qt\nimport imp\n")),
    ("deprecated names", "setMargin", replaced(VIEW, "import qt\n", "import qt\nlayout.setMargin(0)\n")),
]


def test_this_checkout_is_fit_for_the_index(capsys: pytest.CaptureFixture[str]) -> None:
    status = check_extension.main(TOP)
    assert status == 0, capsys.readouterr().out


def test_a_history_counts_each_object_once(checkout: Path) -> None:
    (checkout / "noise.bin").write_bytes(np.random.default_rng(0).bytes(1_000_000))
    git(checkout, "init")
    git(checkout, "add", "-A")
    git(checkout, "commit", "-m", "all")
    once = check_extension.history_size(checkout)
    git(checkout, "pack-objects", "--all", ".git/objects/pack/pack")
    assert any((checkout / ".git/objects/pack").glob("*.pack"))
    assert check_extension.history_size(checkout) == pytest.approx(once, rel=0.01)
    assert 1e6 < once < 1.6e6


def test_a_checkout_without_commits_has_no_history(checkout: Path) -> None:
    assert check_extension.history_size(checkout) == 0
    git(checkout, "init")
    assert check_extension.history_size(checkout) == 0


def test_a_fit_checkout_passes_every_check(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check_extension.main(checkout) == 0
    assert capsys.readouterr().out.splitlines() == [f"ok    {name}" for name in check_extension.CHECKS]


@pytest.mark.parametrize(("name", "told", "breaks"), BREAKS, ids=[f"{name}: {told}" for name, told, _ in BREAKS])
def test_what_is_wrong_is_found_and_told(
    checkout: Path, capsys: pytest.CaptureFixture[str], name: str, told: str, breaks: Break
) -> None:
    breaks(checkout)
    assert check_extension.main(checkout) == 1
    printed = capsys.readouterr().out
    under = printed.partition(f"wrong {name}\n")[2].split("\nok ")[0].split("\nwrong ")[0]
    assert told in under, printed
    assert under.rstrip().endswith(".") or "begin it with" in under or "$schema" in under


def test_every_check_has_a_test_that_breaks_it() -> None:
    assert {name for name, _, _ in BREAKS} == set(check_extension.CHECKS)


def test_what_git_ignores_is_not_looked_at(checkout: Path) -> None:
    (checkout / "runs").mkdir()
    (checkout / "runs" / "windows.txt").write_bytes(b"\r\n")
    assert check_extension.main(checkout) == 0


def test_the_exit_status_tells_whether_something_is_wrong(checkout: Path) -> None:
    words = [sys.executable, "-m", "Utilities.check_extension", str(checkout)]
    assert subprocess.run(words, cwd=TOP, capture_output=True).returncode == 0
    (checkout / "LICENSE").unlink()
    assert subprocess.run(words, cwd=TOP, capture_output=True).returncode == 1
