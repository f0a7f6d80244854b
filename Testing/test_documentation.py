"""The pages: they build without a broken link, and what they tell to type exists."""

from __future__ import annotations

import argparse
import importlib.util
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from LabelConditionedSegmentationLib.cli.options import build_parser

from Training.engine.config import read_config

TOP = Path(__file__).resolve().parents[1]
PAGES = [TOP / "README.md", *sorted((TOP / "Documentation").glob("*.md"))]
DOCUMENTS = [
    path
    for pattern in (
        "*.md",
        "*.yml",
        "Documentation/*.md",
        "Training/**/*.md",
        "Training/**/*.yaml",
        "Resources/**/*.md",
    )
    for path in sorted(TOP.glob(pattern))
]


def commands(page: Path) -> Iterator[list[str]]:
    """The words of every command in the blocks of code of a page."""
    for block in re.findall(r"^```\w*\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE):
        for line in re.sub(r"\\\n\s*", " ", block).splitlines():
            if re.match(r"(lcs|python|torchrun|fabric) ", line):
                yield shlex.split(re.split(r"\s{2,}#|\s{4,}", line)[0], comments=True)


ALL = [(page, words) for page in PAGES for words in commands(page)]


@pytest.mark.parametrize("words", [words for _, words in ALL if words[0] == "lcs"], ids=shlex.join)
def test_commands_of_the_pages_are_understood(words: list[str]) -> None:
    arguments = build_parser().parse_args(words[1:])
    assert isinstance(arguments, argparse.Namespace)


@pytest.mark.parametrize("words", [words for _, words in ALL if words[0] != "lcs"], ids=shlex.join)
def test_programs_of_the_pages_are_there(words: list[str]) -> None:
    programs = [TOP / word for word in words if word.startswith("Training/") and word.endswith(".py")]
    modules = [words[n + 1] for n, word in enumerate(words) if word == "-m"]
    assert len(programs) + len(modules) == 1
    assert all(program.is_file() for program in programs)
    assert all(importlib.util.find_spec(module) for module in modules)


@pytest.mark.parametrize(
    "words", [w for _, w in ALL if "Training/train.py" in w and w[2].endswith("yaml")], ids=shlex.join
)
def test_settings_of_the_pages_are_understood(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(TOP)
    if Path(words[2]).is_file():
        read_config(Path(words[2]), words[3:])


def test_the_pages_name_commands() -> None:
    assert sum(words[0] == "lcs" for _, words in ALL) > 15
    assert sum(words[0] != "lcs" for _, words in ALL) > 5


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(TOP)))
def test_lines_have_at_most_120_columns(document: Path) -> None:
    lines = document.read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if len(line) > 120 and not line.startswith("|")] == []


def test_the_readme_is_short() -> None:
    assert len((TOP / "README.md").read_text(encoding="utf-8").splitlines()) <= 120


@pytest.mark.slow
def test_the_site_builds_without_a_broken_link(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=TOP, capture_output=True, encoding="utf-8", errors="replace", timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    api = (tmp_path / "site" / "api.html").read_text(encoding="utf-8")
    assert all(name in api for name in ("Segmenter", "from_package", "probabilities", "read_volume", "from_numpy"))
    pages = "".join(path.read_text(encoding="utf-8") for path in (tmp_path / "site").rglob("*.html"))
    loaded = re.findall(
        r'<(?:script|img)[^>]+src="(https?:[^"]+)|<link[^>]+rel="stylesheet"[^>]+href="(https?:[^"]+)', pages
    )
    assert loaded == []
