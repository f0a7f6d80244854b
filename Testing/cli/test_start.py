"""What a command loads before it answers, and that no module needs one that needs it."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest
from LabelConditionedSegmentationLib.cli.main import main

from Testing import samples
from Testing.cli.command import ENVIRONMENT, write_scan
from Testing.test_rooms import dotted_name, imported, modules

HEAVY = (
    "torch",
    "SimpleITK",
    "slicerio",
    "nrrd",
    "PIL",
    "scipy",
    "pandas",
    "tqdm",
    "nibabel",
    "pydicom",
    "safetensors",
    "distributed",
)

RUN = """
import sys
from LabelConditionedSegmentationLib.cli.main import main
try:
    status = main(sys.argv[1:])
except SystemExit as stop:
    status = stop.code
print(status, *sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
"""


def loaded(*words: str | Path) -> tuple[int, set[str]]:
    """The exit status of a command, and the packages that were imported for it."""
    done = subprocess.run(
        [sys.executable, "-c", RUN, *map(str, words)], capture_output=True, text=True, env=ENVIRONMENT, timeout=60
    )
    status, *names = done.stderr.splitlines()[-1].split()
    return int(status), set(names)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["labels"], 0),
        (["labels", "--search", "hippocampus"], 0),
        (["models"], 0),
        (["--help"], 0),
        (["segment", "--help"], 0),
        (["segment", "missing.nii.gz", "-o", "r.mha"], 2),
        (["segment", "scan.nii.gz", "-o", "existing.mha"], 2),
        (["segment", "scan.nii.gz", "-o", "scan.nii.gz", "--overwrite"], 2),
        (["segment", "scan.nii.gz", "-o", "r.mha", "--labels", "Left Hipocampus"], 2),
        (["segment", "scan.nii.gz", "-o", "r.mha", "--metadata", "age=abc"], 2),
        (["segment", "scan.nii.gz", "-o", "r.mha", "--model", "brian"], 2),
        (["segment", "scan.nii.gz", "-o", "r.mha", "--example", "missing.nii", "m.nii", "--name", "x"], 2),
        (["segment", ".", "-o", "r.mha"], 2),
        (["segment", "scan.nii.gz", "-o", "r.mha", "--workers", "0"], 2),
        (["segment", "scan.nii.gz", "-o", "r.mha", "--scheduler", "missing.json"], 2),
        (["propagate", "--help"], 0),
        (["propagate", "scan.nii.gz", "missing.nii.gz", "-o", "r.mha"], 2),
        (["propagate", "scan.nii.gz", "scan.nii.gz", "-o", "existing.mha"], 2),
        (["segment", ".", "-r", "-o", "out/", "--skip-existing"], 0),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_nothing_heavy_is_loaded_for_an_answer_or_a_refusal(
    words: list[str], expected: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("scan.nii.gz", "existing.mha", "out/scan.seg.nrrd", "out/existing.seg.nrrd"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    status, names = loaded(*words)
    assert status == expected
    assert names & set(HEAVY) == set()


@pytest.mark.slow
def test_a_run_loads_what_it_needs(tiny_package: Path, tmp_path: Path) -> None:
    """So that the test above can fail."""
    scan = write_scan(tmp_path / "scan.nii.gz", samples.scan((16, 18, 20)))
    status, names = loaded("segment", scan, "-o", tmp_path / "r.mha", "--model", tiny_package)
    assert status == 0
    assert {"torch", "SimpleITK"} <= names
    assert "sympy" not in names  # which torch's compiler brings along, in longer than the whole run takes
    assert main(["labels", "--model", str(tiny_package)]) == 0


def arrows(sources: Mapping[str, str]) -> dict[str, set[str]]:
    """Module -> those of ours that it imports, wherever in it, but for what the type checker alone reads. sources:
    dotted name -> text.
    """
    known = {name.removesuffix(".__init__"): name for name in sources}

    def target(name: str) -> str | None:
        return next((known[n] for n in (name, name.rpartition(".")[0]) if n in known), None)

    return {
        module: {found for name in imported(executed(text), module) if (found := target(name)) and found != module}
        for module, text in sources.items()
    }


def executed(text: str) -> ast.Module:
    """A module without its `if TYPE_CHECKING:`."""
    tree = ast.parse(text)
    tree.body = [
        line for line in tree.body if not (isinstance(line, ast.If) and "TYPE_CHECKING" in ast.dump(line.test))
    ]
    return tree


def test_no_module_needs_one_that_needs_it() -> None:
    graph = arrows({dotted_name(path): path.read_text(encoding="utf-8") for path in modules()})
    assert len([name for name in graph if ".cli." in name]) > 15
    assert any(graph.values())
    TopologicalSorter(graph).prepare()


@pytest.mark.parametrize("later", ["from .main import FAILED", "def f():\n    from . import main", "import cli.main"])
def test_a_circle_is_noticed(later: str) -> None:
    sources = {"cli.main": "def run():\n    from .segment import run", "cli.segment": later, "cli.other": "import cli"}
    with pytest.raises(CycleError):
        TopologicalSorter(arrows(sources)).prepare()
    TopologicalSorter(arrows(sources | {"cli.segment": "import os"})).prepare()
