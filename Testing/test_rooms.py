"""The arrows between rooms, and what no room does: read from syntax trees, so that an import inside a function counts
as well.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[1]
SOURCE = TOP / "LabelConditionedSegmentation"
LIBRARY = "LabelConditionedSegmentationLib"
ROOMS_OF_LIBRARY = ("cli", "core", "worker", "scene", "panel", "resources")
SLICER = frozenset({"slicer", "vtk", "qt", "ctk"})
DESKTOP = frozenset({"slicerio", "PIL", "tqdm", "nilearn"})
TRAINING = frozenset({"monai", "lightning", "omegaconf", "tensorboard", "pandas", "jinja2", "matplotlib"})


@dataclass(frozen=True)
class Room:
    """rooms: those that it may import, beside itself and the library's version. never: modules from outside that it may
    not import.
    """

    rooms: frozenset[str]
    never: frozenset[str]


ROOMS = {
    "library": Room(frozenset({"cli"}), SLICER | TRAINING | {"torch"}),
    "resources": Room(frozenset(), SLICER | TRAINING | DESKTOP | {"torch"}),
    "core": Room(frozenset(), SLICER | TRAINING | DESKTOP),
    "cli": Room(frozenset({"core", "resources"}), SLICER | TRAINING),
    "worker": Room(frozenset({"core"}), SLICER | TRAINING),
    "scene": Room(frozenset({"core"}), frozenset({"qt", "ctk", "torch"}) | TRAINING),
    "panel": Room(frozenset({"worker", "scene", "resources"}), TRAINING | {"torch"}),
    "Training": Room(frozenset({"core", "resources"}), SLICER),
}

RUNS_CODE = frozenset({"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"})
REACHES_OUT = frozenset(
    {
        "requests",
        "urllib",
        "urllib3",
        "http",
        "httpx",
        "aiohttp",
        "ftplib",
        "gdown",
        "wget",
        "huggingface_hub",
        "torch.hub",
    }
)
FORBIDDEN_CALLS = frozenset(
    {
        "eval",
        "exec",
        "__import__",
        "torch.load",
        "torch.save",
        "torch.jit.load",
        "yaml.load",
        "yaml.full_load",
        "yaml.unsafe_load",
        "numpy.lib.format.read_array",
    }
)
DYNAMIC_IMPORTS = frozenset({"importlib.import_module", "importlib.__import__"})


def modules() -> list[Path]:
    """Every module of the library, of the Slicer module and of the training package."""
    return sorted([*SOURCE.rglob("*.py"), *(TOP / "Training").rglob("*.py")])


def dotted_name(path: Path) -> str:
    """The name under which a module is imported; a package keeps its `__init__`, so that relative imports resolve
    alike.
    """
    base = SOURCE if path.is_relative_to(SOURCE) else TOP
    return ".".join(path.relative_to(base).with_suffix("").parts)


def imported(tree: ast.AST, module: str) -> Iterator[str]:
    """Absolute dotted names of all that a module imports, wherever in the module it does so."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = module.split(".")[: -node.level] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif (
            isinstance(node, ast.Call)
            and node.args
            and isinstance(node.args[0], ast.Constant)
            and isinstance(node.args[0].value, str)
        ):
            name = ast.unparse(node.func)
            if name.endswith(("import_module", "importorskip")):
                yield node.args[0].value


def room_of(name: str) -> str | None:
    """The room that a dotted name lies in; None for everything that is not ours."""
    first, _, rest = name.partition(".")
    if first == "Training":
        return "Training"
    if first != LIBRARY:
        return None
    second = rest.partition(".")[0]
    return second if second in ROOMS_OF_LIBRARY else "library"


def wrong_arrows(source: str, module: str) -> list[str]:
    """What a module imports and may not."""
    room = room_of(module)
    assert room is not None, module
    wrong = []
    for name in imported(ast.parse(source), module):
        target = room_of(name)
        if target is None:
            if name.partition(".")[0] in ROOMS[room].never:
                wrong.append(name)
        elif target not in {room, "library", *ROOMS[room].rooms}:
            wrong.append(name)
    return wrong


def dangers(source: str) -> list[str]:
    """Imports and calls that could run what a file holds, or reach out to a network."""
    tree = ast.parse(source)
    found = []
    meaning: dict[str, str] = {}  # local name -> what it stands for
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                meaning[alias.asname or alias.name.partition(".")[0]] = (
                    alias.name if alias.asname else alias.name.partition(".")[0]
                )
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            meaning.update({alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names})
    for name in imported(tree, "module"):
        parts = name.split(".")
        found += [name for n in range(1, len(parts) + 1) if ".".join(parts[:n]) in RUNS_CODE | REACHES_OUT]
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Name) and isinstance(node.ctx, ast.Load):
            name = _absolute(node, meaning)
            if name in FORBIDDEN_CALLS or name.startswith("torch.hub.") or name.endswith(".read_pickle"):
                found.append(name)
        if isinstance(node, ast.Call):
            name = _absolute(node.func, meaning)
            if name in DYNAMIC_IMPORTS and not (node.args and isinstance(node.args[0], ast.Constant)):
                found.append(name)
            for keyword in node.keywords:
                if keyword.arg == "allow_pickle" and not (
                    isinstance(keyword.value, ast.Constant) and keyword.value.value is False
                ):
                    found.append("allow_pickle")
    return found


def _absolute(node: ast.expr, meaning: dict[str, str]) -> str:
    """`t.load` -> `torch.load` after `import torch as t`; a method of anything that is no module begins with a dot."""
    if isinstance(node, ast.Name):
        return meaning.get(node.id, node.id)
    if isinstance(node, ast.Attribute):
        return f"{_absolute(node.value, meaning)}.{node.attr}"
    return ""


def has_docstring_on_line_1(source: str) -> bool:
    """Whether a module says its one job at once."""
    tree = ast.parse(source)
    return ast.get_docstring(tree) is not None and tree.body[0].lineno == 1


def _run(code: str, *, blocked: str = "") -> str:
    """The standard output of a fresh interpreter; `blocked` is a module whose import fails in it."""
    prelude = f"import sys; sys.modules[{blocked!r}] = None\n" if blocked else "import sys\n"
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    done = subprocess.run(
        [sys.executable, "-c", prelude + code], capture_output=True, text=True, env=environment, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_walk_sees_the_rooms_that_exist() -> None:
    seen = {room_of(dotted_name(path)) for path in modules()}
    assert {"library", "resources", "core", "cli", "Training"} <= seen
    assert len(modules()) > 30


@pytest.mark.parametrize("path", modules(), ids=dotted_name)
def test_arrows_between_rooms_go_one_way(path: Path) -> None:
    if room_of(dotted_name(path)) is None:
        pytest.skip("the module file that Slicer loads is no room")
    assert wrong_arrows(path.read_text(encoding="utf-8"), dotted_name(path)) == []


@pytest.mark.parametrize("path", modules(), ids=dotted_name)
def test_no_module_unpickles_evaluates_or_downloads(path: Path) -> None:
    assert dangers(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", modules(), ids=dotted_name)
def test_every_module_says_its_job_in_line_1(path: Path) -> None:
    assert has_docstring_on_line_1(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("core.labels", "import slicer"),
        ("core.labels", "import vtk.util.numpy_support"),
        ("core.labels", "from qt import QWidget"),
        ("core.labels", "def later():\n    from ..cli import main"),
        ("core.labels", "from .. import cli"),
        ("core.labels", "from .. import resources"),
        ("core.network.trunk", "from ...cli.main import main"),
        ("core.labels", "import Training.data.samples"),
        ("core.labels", "from PIL import Image"),
        ("core.labels", "import tqdm"),
        ("core.labels", "import slicerio"),
        ("core.labels", "import monai"),
        ("core.labels", "from lightning.fabric import Fabric"),
        ("core.labels", "import importlib\nimportlib.import_module('slicer')"),
        ("core.__init__", "from ..panel import widget"),
        ("cli.main", "from ..worker import process"),
        ("cli.main", "import slicer"),
        ("cli.main", "from Training import train"),
        ("resources", "import torch"),
        ("worker.process", "from ..scene import volumes"),
        ("worker.process", "import slicer"),
        ("scene.volumes", "import qt"),
        ("scene.volumes", "from ..worker import process"),
        ("panel.widget", "import torch.nn"),
        ("panel.widget", "from ..core.labels import LabelTree"),
    ],
)
def test_a_wrong_arrow_is_noticed(module: str, source: str) -> None:
    assert len(wrong_arrows(source, f"{LIBRARY}.{module}")) == 1


@pytest.mark.parametrize(
    "name", [f"{LIBRARY}.{room}" for room in ("cli", "worker", "scene", "panel")] + ["slicer", "vtk", "qt", "ctk"]
)
def test_training_imports_core_and_no_other_room(name: str) -> None:
    assert wrong_arrows(f"import {name}.anything", "Training.data.samples") == [f"{name}.anything"]
    assert (
        wrong_arrows(
            f"from {LIBRARY}.core import labels\nfrom Training import data\nimport monai", "Training.engine.loop"
        )
        == []
    )


@pytest.mark.parametrize(
    ("module", "source"),
    [
        (
            "core.network.trunk",
            "import torch\nfrom ..labels import Label\nfrom ... import __version__\nfrom .film import modulate",
        ),
        (
            "cli.main",
            (
                "from ..core import labels\nfrom ..resources import model_folders\nfrom . import listing\nimport tqdm,"
                " slicerio\nfrom PIL import Image"
            ),
        ),
        ("worker.process", "import torch\nfrom ..core.segmenter import Segmenter"),
        ("scene.volumes", "import slicer, vtk\nfrom ..core.volume import Volume"),
        ("panel.widget", "import qt, ctk, slicer\nfrom ..worker import process\nfrom ..scene import volumes"),
        ("__main__", "from .cli.main import main"),
    ],
)
def test_the_arrows_of_the_plan_are_allowed(module: str, source: str) -> None:
    assert wrong_arrows(source, f"{LIBRARY}.{module}") == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "import _pickle as p",
        "from joblib import load",
        "def f():\n    import shelve",
        "import dill as json",
        "import requests",
        "import urllib.request",
        "from urllib import request",
        "from http.client import HTTPSConnection",
        "from torch.hub import load_state_dict_from_url",
        "import torch\ntorch.hub.download_url_to_file('a', 'b')",
        "import torch\ntorch.load('a')",
        "import torch as t\nt.load('a')",
        "from torch import load as read\nread('a')",
        "import torch\nreader = torch.load",
        "import torch\ntorch.save({}, 'a')",
        "import torch.jit\ntorch.jit.load('a')",
        "eval('1')",
        "exec(text)",
        "list(map(eval, lines))",
        "__import__(name)",
        "import importlib\nimportlib.import_module(name)",
        "from importlib import import_module as find\nfind(f'a.{name}')",
        "import numpy as np\nnp.load('a', allow_pickle=True)",
        "import numpy as np\nnp.load('a', allow_pickle=flag)",
        "import yaml\nyaml.load(text, Loader=yaml.Loader)",
        "import pandas\npandas.read_pickle('a')",
    ],
)
def test_a_danger_is_noticed(source: str) -> None:
    assert dangers(source) != []


@pytest.mark.parametrize(
    "source",
    [
        "import torch\nnetwork = torch.nn.Linear(1, 1)\nnetwork.eval()\nself.network.eval()\nbuild().eval()",
        "import json\njson.load(file)",
        "from safetensors.torch import load, save\nload(data)\nsave({})",
        "import numpy as np\nnp.load('a', allow_pickle=False)\nnp.save('a', b)",
        "import importlib\nimportlib.import_module('monai')",
        "import importlib.util\nimportlib.util.find_spec('nilearn')",
        "'torch.load is never called'",
        "from .pickle_free import load",
    ],
)
def test_harmless_code_is_no_danger(source: str) -> None:
    assert dangers(source) == []


@pytest.mark.parametrize(
    "source", ["", "import os", "# a comment first\n'''Docs.'''", "\n'''Docs.'''", "'''Docs.'''.strip()"]
)
def test_a_module_without_a_docstring_on_line_1_is_noticed(source: str) -> None:
    assert not has_docstring_on_line_1(source)


def test_a_docstring_on_line_1_is_found() -> None:
    assert has_docstring_on_line_1('"""Docs."""\nimport os\n')


@pytest.mark.parametrize("name", [LIBRARY, f"{LIBRARY}.resources", f"{LIBRARY}.cli.main"])
def test_importing_the_library_does_not_import_torch(name: str) -> None:
    assert _run(f"import {name}\nprint('torch' in sys.modules, {name!r} in sys.modules)").split() == ["False", "True"]


def test_importing_core_labels_and_then_a_network_shows_that_the_check_can_fail() -> None:
    assert _run(f"import {LIBRARY}.core.network.head\nprint('torch' in sys.modules)").split() == ["True"]


def test_help_is_printed_where_torch_is_not_installed() -> None:
    code = f"from {LIBRARY}.cli.options import build_parser\nprint(build_parser().format_help())"
    assert "usage: lcs" in _run(code, blocked="torch")
