"""The pages: they build without a broken link, and what they say to type exists."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import re
import runpy
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import LabelConditionedSegmentationLib as library
import pytest
from LabelConditionedSegmentationLib.cli.options import build_parser

from Testing import samples
from Testing.cli.command import write_scan
from Testing.test_rooms import ROOMS
from Training.engine.config import read_config
from Training.engine.settings_help import all_settings
from Training.methods import check_method
from Training.methods.registry import registered

TOP = Path(__file__).resolve().parents[1]
PAGES = [TOP / "README.md", *sorted((TOP / "Documentation").glob("*.md"))]
CURRENT = [*PAGES, TOP / "BENCHMARKS.md", TOP / "Training" / "DATA.md"]
"""Documents that say what there is now; the changelog also says what there was."""
PROSE = sorted(
    path
    for pattern in (
        "*.md",
        "*.yml",
        "Documentation/*.md",
        "Training/**/*.md",
        "Training/**/*.yaml",
        "Resources/**/*.md",
        "Testing/**/*.md",
    )
    for path in TOP.glob(pattern)
)

PLACEHOLDER = Path("CONFIG.yaml")
EXPERIMENT = TOP / "Training" / "experiments" / "malc2012_2mm.yaml"
SETTINGS = {key for key, _ in all_settings()}
SECTIONS = {key.partition(".")[0] for key in SETTINGS if "." in key and "[]" not in key}
SOURCES = [*(TOP / "LabelConditionedSegmentation").rglob("cli/*.py"), *(TOP / "Training").rglob("*.py")]
OPTIONS = {option for path in SOURCES for option in re.findall(r'"(--[\w-]+)"', path.read_text(encoding="utf-8"))}


def blocks(page: Path, language: str) -> list[str]:
    """The blocks of code of a page in a language; "" for commands."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return [text for name, text in found if name == language]


def commands() -> Iterator[list[str]]:
    """The parts of every command in the blocks of code of the pages."""
    for page in PAGES:
        for block in blocks(page, ""):
            for line in block.replace("\\\n", " ").splitlines():
                yield shlex.split(line, comments=True)


def inline_code(page: Path) -> list[str]:
    """What stands between single backticks, on one line."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", text)]


COMMANDS = [command for command in commands() if command]
TRAINING = [command for command in COMMANDS if any(part.startswith("Training") for part in command)]
SPANS = [(page, span) for page in CURRENT for span in inline_code(page)]


class ParsedError(Exception):
    """What a program made of its command line; raised so that it does not run."""


def start(program: str) -> None:
    """Run a file of the checkout, or a module by its name."""
    if program.endswith(".py"):
        runpy.run_path(str(TOP / program), run_name="__main__")
    else:
        importlib.import_module(program).main()


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> Callable[[list[str]], argparse.Namespace]:
    """Parses the command line of a training program by its own parser."""

    def ends_with(parse: Callable[..., argparse.Namespace]) -> Callable[..., None]:
        def end(*arguments: Any) -> None:
            raise ParsedError(parse(*arguments))

        return end

    def parse(command: list[str]) -> argparse.Namespace:
        program = next(n for n, part in enumerate(command) if part.startswith("Training"))
        monkeypatch.setattr(sys, "argv", command[program:])
        with pytest.raises(ParsedError) as ended:
            start(command[program])
        arguments: argparse.Namespace = ended.value.args[0]
        return arguments

    for name in ("parse_args", "parse_intermixed_args"):
        monkeypatch.setattr(argparse.ArgumentParser, name, ends_with(getattr(argparse.ArgumentParser, name)))
    monkeypatch.setattr(sys, "path", list(sys.path))
    return parse


@pytest.mark.parametrize("command", [command for command in COMMANDS if command[0] == "lcs"], ids=shlex.join)
def test_a_command_is_understood(command: list[str]) -> None:
    assert build_parser().parse_args(command[1:]).command == command[1]


@pytest.mark.parametrize("command", TRAINING, ids=shlex.join)
def test_a_training_program_understands_its_command(
    command: list[str], parsed: Callable[[list[str]], argparse.Namespace], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(TOP)
    arguments = parsed(command)
    named = [value for value in vars(arguments).values() if isinstance(value, Path) and value.suffix == ".yaml"]
    assert all(path.is_file() for path in named if path != PLACEHOLDER)
    if hasattr(arguments, "config"):
        config = EXPERIMENT if arguments.config == PLACEHOLDER else arguments.config
        check_method(read_config(config, arguments.overrides))


@pytest.mark.parametrize("command", [c for c in COMMANDS if c[0] not in ("lcs", "pip")], ids=shlex.join)
def test_what_a_command_starts_is_there(command: list[str]) -> None:
    modules = [command[n + 1] for n, part in enumerate(command) if part == "-m"]
    files = [part for part in command if part.endswith(".py")]
    targets = command[1:] if command[0] == "make" else []
    assert len(modules) + len(files) + len(targets) == 1
    assert all(importlib.util.find_spec(module) for module in modules)
    assert all((TOP / file).is_file() for file in files)
    assert all(re.search(rf"^{target}:", (TOP / "Makefile").read_text(), re.MULTILINE) for target in targets)


def test_there_are_commands_of_every_kind() -> None:
    kinds = ["lcs", "python", "torchrun", "fabric", "make", "pip"]
    assert {command[0] for command in COMMANDS} == set(kinds)
    assert [sum(command[0] == kind for command in COMMANDS) for kind in kinds[:2]] >= [20, 10]


def test_options_in_the_text_are_there() -> None:
    ours = [span for _, span in SPANS if not span.startswith("tensorboard ")]
    named = {option for span in ours for option in re.findall(r"(?<!\S)--[a-z][\w-]+", span)}
    assert len(named) > 15
    assert sorted(named - OPTIONS - {"--help"}) == []


def test_settings_in_the_text_are_there() -> None:
    dotted = rf"(?<![\w/.])(?:{'|'.join(sorted(SECTIONS))})\.[a-z_]+(?:\.[a-z_]+)*(?![\w.*])"
    named = {key for _, span in SPANS if "/" not in span for key in re.findall(dotted, span)}
    named |= {key for _, span in SPANS if span.startswith("method=") for key in re.findall(r"([\w.]+)=", span)}
    named |= {part.partition("=")[0] for command in TRAINING for part in command if re.match(r"[a-z][\w.]*=", part)}
    assert len(named) > 10
    assert sorted(named - SETTINGS) == []


@pytest.mark.parametrize("span", sorted({span for _, span in SPANS if span.startswith("method=")}))
def test_settings_of_a_method_go_together(span: str) -> None:
    words = span.split()
    name = words[0].removeprefix("method=")
    if "target" in registered()[name].roles:
        sources = [{"root": "data/malc2012"}, {"root": "data/adults", "role": "target"}]
        words += ["data.root=", "data.validation=[]", f"data.sources={json.dumps(sources)}"]
    check_method(read_config(EXPERIMENT, words))


def test_files_and_programs_in_the_text_are_there() -> None:
    modules = {module for _, span in SPANS for module in re.findall(r"-m ((?:Training|Testing|Utilities)[\w.]*)", span)}
    files = {file for _, span in SPANS for file in re.findall(r"\b(?:Training|Testing|Resources)/[\w/.-]*\w", span)}
    assert len(modules) >= 2
    assert len(files) >= 10
    assert [module for module in modules if importlib.util.find_spec(module) is None] == []
    assert [file for file in files if not (TOP / file).exists()] == []


@pytest.mark.parametrize("name", ["README.md", "Documentation/python.md"])
def test_code_of_the_pages_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "Resources").symlink_to(TOP / "Resources")
    write_scan(tmp_path / "scan.nii.gz", samples.scan((60, 60, 60)))
    monkeypatch.chdir(tmp_path)
    for block in blocks(TOP / name, "python"):
        exec(compile(block, name, "exec"), {})
    assert (tmp_path / "scan.seg.nrrd").is_file()


def test_settings_in_blocks_are_read(tmp_path: Path) -> None:
    found = [
        block for page in ("training", "adaptation") for block in blocks(TOP / "Documentation" / f"{page}.md", "yaml")
    ]
    configs = []
    for number, block in enumerate(found):
        (tmp_path / f"{number}.yaml").write_text(block, encoding="utf-8")
        configs.append(read_config(tmp_path / f"{number}.yaml"))
        check_method(configs[-1])
    roles = [[source.role for source in config.data.sources] for config in configs]
    assert sorted(roles) == [
        ["train", "target"],
        ["train", "train"],
        ["train", "train", "validate"],
        ["train", "validate", "target"],
    ]
    made = next(config for config in configs if config.acquisition.contrasts)
    assert [source.images for source in made.data.sources] == ["stored", "made"]
    assert [contrast.name for contrast in made.acquisition.contrasts] == ["T2", "FLAIR"]


def test_the_table_of_rooms_has_their_rules() -> None:
    page = (TOP / "Documentation" / "developers.md").read_text(encoding="utf-8")
    rows = [row.split("|")[1:] for row in re.findall(r"^\| `.*$", page, re.MULTILINE)]
    names = re.compile(r"`(\w+)`")
    table = {names.findall(row[0])[0]: set(names.findall(row[2])) for row in rows}
    assert table == {name: set(room.rooms) for name, room in ROOMS.items() if name != "library"}


@pytest.mark.parametrize("document", PROSE, ids=lambda path: str(path.relative_to(TOP)))
def test_lines_have_at_most_120_columns(document: Path) -> None:
    lines = document.read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if len(line) > 120 and not line.startswith("|")] == []


def test_the_readme_is_short() -> None:
    assert len((TOP / "README.md").read_text(encoding="utf-8").splitlines()) <= 120


@pytest.mark.parametrize("document", [p for p in PROSE if p.suffix == ".md"], ids=lambda p: str(p.relative_to(TOP)))
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    """The site's own links are checked when it is built; these are followed in the repository."""
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", document.read_text(encoding="utf-8"))
    beside = [target for target in targets if "://" not in target and not target.startswith("pictures/")]
    assert [target for target in beside if not (document.parent / target).exists()] == []


def build(top: Path, site: Path) -> subprocess.CompletedProcess[str]:
    """Build the site of a checkout as `make docs` does. Not with --quiet: warnings would be no errors then."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)]
    return subprocess.run(command, cwd=top, capture_output=True, encoding="utf-8", errors="replace", timeout=300)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built pages."""
    folder = tmp_path_factory.mktemp("documentation") / "site"
    done = build(TOP, folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_the_site_has_every_page(site: Path) -> None:
    assert {page.stem for page in PAGES if page.name != "README.md"} <= {page.stem for page in site.glob("*.html")}


def test_the_api_page_has_the_public_face_and_shows_code_as_code(site: Path) -> None:
    page = (site / "api.html").read_text(encoding="utf-8")
    for name in set(library.__all__) - {"__version__"}:
        face = getattr(library, name)
        assert f'id="{face.__module__}.{face.__qualname__}"' in page
    assert "Examples:" in page
    assert "<blockquote>" not in page  # what `>>>` becomes under a heading that is no section of a docstring


def test_the_site_loads_nothing_from_elsewhere(site: Path) -> None:
    pages = "".join(path.read_text(encoding="utf-8") for path in site.rglob("*.html"))
    assert re.findall(r'<(?:script|img|iframe)[^>]+src="(?:https?:)?//[^"]+', pages) == []
    links = re.findall(r'<link[^>]+href="(?:https?:)?//[^>]+', pages)
    assert [link for link in links if 'rel="canonical"' not in link] == []
    styles = "".join(path.read_text(encoding="utf-8") for path in site.rglob("*.css"))
    assert re.findall(r"(?:url\(|@import )[\"']?(?:https?:)?//[^)]+", styles) == []


BROKEN = {
    "[a page](nowhere.md)": "link 'nowhere.md'",
    "[a heading](python.md#nowhere)": "#nowhere",
    "![a picture](pictures/nowhere.png)": "nowhere.png",
    "::: LabelConditionedSegmentationLib.Nowhere": "Nowhere",
    '--8<-- "NOWHERE.md"': "NOWHERE.md",
}
"""What leads nowhere -> what the build says of it."""
LINKS = tuple(BROKEN)[:3]
"""Those of which the build names every one; it ends at the first of the others."""


@pytest.mark.parametrize(
    "texts", [LINKS, *((text,) for text in BROKEN if text not in LINKS)], ids=["links", "name", "document"]
)
def test_what_leads_nowhere_fails_the_build(texts: Sequence[str], tmp_path: Path) -> None:
    pages = tmp_path / "Documentation"
    pages.mkdir()
    for path in (TOP / "Documentation").iterdir():
        (pages / path.name).symlink_to(path)
    for path in TOP.iterdir():
        if path.name not in ("Documentation", "site", ".git"):
            (tmp_path / path.name).symlink_to(path)
    (pages / "index.md").unlink()
    (pages / "index.md").write_text("\n\n".join(["# Start", *texts, ""]), encoding="utf-8")
    done = build(tmp_path, tmp_path / "built")
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert [text for text in texts if BROKEN[text] not in said] == []
    assert texts != LINKS or f"Aborted with {len(LINKS)} warnings" in said  # so each would fail it alone too
