"""The arrows between rooms, and what no room does: read from syntax trees, so that an import inside a function counts
as well. The panel may know the words of core, which are the modules that load without torch.
"""

from __future__ import annotations

import ast
import importlib
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
DESKTOP = frozenset({"slicerio", "PIL", "tqdm"})
CLUSTER = frozenset({"dask", "distributed"})
TRAINING = frozenset({"monai", "lightning", "pydantic", "tensorboard", "jinja2", "matplotlib"})


@dataclass(frozen=True)
class Room:
    """rooms: those that it may import, beside itself and the library's version. never: modules from outside that it may
    not import; a room that may not import torch takes from core only what loads without it.

    The library itself is the public face and the way to `lcs`: nothing inside imports it, for it leads to torch.
    """

    rooms: frozenset[str]
    never: frozenset[str]


VERSION = frozenset({f"{LIBRARY}.__version__", f"{LIBRARY}.version.__version__"})

ROOMS = {
    "library": Room(frozenset({"cli", "core"}), SLICER | TRAINING | CLUSTER | {"torch"}),
    "resources": Room(frozenset(), SLICER | TRAINING | DESKTOP | CLUSTER | {"torch"}),
    "core": Room(frozenset({"resources"}), SLICER | TRAINING | DESKTOP | CLUSTER),
    "cli": Room(frozenset({"core", "resources"}), SLICER | TRAINING),
    "worker": Room(frozenset({"core"}), SLICER | TRAINING | CLUSTER),
    "scene": Room(frozenset({"core"}), frozenset({"qt", "ctk", "torch"}) | TRAINING | CLUSTER),
    "panel": Room(frozenset({"core", "worker", "scene", "resources"}), TRAINING | CLUSTER | {"torch"}),
    "Training": Room(frozenset({"core", "resources"}), SLICER | CLUSTER),
}

EXCEPTED = {f"{LIBRARY}.core.inference.result_files": "slicerio"}
"""What one module imports although its room does not, when a file of that format is written; a test makes sure that it
says so where the package is missing.
"""

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
IMPORTS_ITS_FOLDER = {"Training.methods.registry": ["importlib.import_module"]}
"""The one module that imports by names which are not written in it: those of the modules of its own folder, which are
as much a part of the program as it is."""


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
            top = name.partition(".")[0]
            if top in ROOMS[room].never and EXCEPTED.get(module) != top:
                wrong.append(name)
        elif target not in {room, *ROOMS[room].rooms} and name not in VERSION:
            wrong.append(name)
    return wrong


def core_module_of(name: str) -> str | None:
    """The module of core that an imported name is, or lies in; None for a name of elsewhere."""
    parts = name.split(".")
    if parts[:2] != [LIBRARY, "core"]:
        return None
    for n in range(len(parts), 1, -1):
        path = SOURCE.joinpath(*parts[:n])
        if path.is_dir() or path.with_suffix(".py").is_file():
            return ".".join(parts[:n])
    return None


def words_of_core(room: str) -> list[str]:
    """The modules of core that a room imports, wherever in its files."""
    paths = (SOURCE / LIBRARY / room).rglob("*.py")
    names = {name for path in paths for name in imported(ast.parse(path.read_text("utf-8")), dotted_name(path))}
    return sorted({module for name in names if (module := core_module_of(name)) is not None})


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
        [sys.executable, "-c", prelude + code], capture_output=True, text=True, env=environment, timeout=300
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


ROOMS_OF_CORE: dict[str, frozenset[str]] = {
    "scan": frozenset(),
    "labels": frozenset(),
    "network": frozenset({"scan"}),
    "package": frozenset({"scan", "labels", "network"}),
    "examples": frozenset({"scan", "labels", "network"}),
    "adaptation": frozenset({"scan", "labels", "network", "package"}),
    "inference": frozenset({"scan", "labels", "network", "package", "examples", "adaptation"}),
    "strokes": frozenset({"scan", "labels", "examples", "inference"}),
}
"""The rooms inside core, and those that each may import beside itself: every one only what stands above it. All import
the few files beside the rooms (errors, findings, progress), which import none of them.
"""


def wrong_arrows_inside_core(source: str, module: str) -> list[str]:
    """What a module of core imports from rooms of core that it may not."""
    core = f"{LIBRARY}.core."
    room = module.removeprefix(core).rpartition(".")[0].partition(".")[0]
    allowed = {room, *ROOMS_OF_CORE[room]} if room else set()
    targets = ((name, name.removeprefix(core).partition(".")[0]) for name in imported(ast.parse(source), module))
    return [name for name, target in targets if name.startswith(core) and target in ROOMS_OF_CORE.keys() - allowed]


def modules_of_core() -> list[Path]:
    return [path for path in modules() if dotted_name(path).startswith(f"{LIBRARY}.core.")]


def test_every_room_of_core_has_its_arrows() -> None:
    parts = [dotted_name(path).split(".")[2:] for path in modules_of_core()]
    assert {rest[0] for rest in parts if len(rest) > 1} == ROOMS_OF_CORE.keys()
    order = list(ROOMS_OF_CORE)
    assert all(order.index(above) < order.index(room) for room in order for above in ROOMS_OF_CORE[room])


@pytest.mark.parametrize("path", modules_of_core(), ids=dotted_name)
def test_arrows_inside_core_go_one_way(path: Path) -> None:
    assert wrong_arrows_inside_core(path.read_text(encoding="utf-8"), dotted_name(path)) == []


@pytest.mark.parametrize(
    ("module", "source", "count"),
    [
        ("scan.input_statistics", "from ..package.model_package import ModelPackage", 1),
        ("examples.painted_examples", "from ..inference.windows import WindowPlan", 1),
        ("labels.label_tree", "def later():\n    from ..scan.volume import Volume", 1),
        ("errors", "from .scan.volume import Volume", 1),
        ("progress", "from .errors import Cancelled", 0),
        ("scan.volume", "from ..errors import InputError\nfrom .orientation import codes", 0),
        ("inference.features", "from ..examples.example_prompt import ExamplePrompt", 0),
    ],
)
def test_a_wrong_arrow_inside_core_is_noticed(module: str, source: str, count: int) -> None:
    assert len(wrong_arrows_inside_core(source, f"{LIBRARY}.core.{module}")) == count


@pytest.mark.parametrize("path", modules(), ids=dotted_name)
def test_no_module_unpickles_evaluates_or_downloads(path: Path) -> None:
    assert dangers(path.read_text(encoding="utf-8")) == IMPORTS_ITS_FOLDER.get(dotted_name(path), [])


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
        ("core.network.trunk", "from ...cli.main import main"),
        ("core.labels", "import Training.data.training_samples"),
        ("core.labels", "from PIL import Image"),
        ("core.labels", "import tqdm"),
        ("core.labels", "import slicerio"),
        ("core.inference.result_files", "import slicer"),
        ("core.labels", "import monai"),
        ("worker.process", "from distributed import Client"),
        ("core.labels", "from lightning.fabric import Fabric"),
        ("core.labels", "import importlib\nimportlib.import_module('slicer')"),
        ("core.__init__", "from ..panel import widget"),
        ("cli.main", "from ..worker import process"),
        ("cli.main", "import slicer"),
        ("cli.main", "from Training import train"),
        ("resources", "import torch"),
        ("__init__", "import torch"),
        ("__init__", "from .worker import process"),
        ("core.inference.report", "from ... import Segmenter"),
        ("panel.widget", "from .. import Segmenter"),
        ("scene.volumes", f"from {LIBRARY} import Volume"),
        ("worker.process", "from ..scene import volumes"),
        ("worker.process", "import slicer"),
        ("scene.volumes", "import qt"),
        ("scene.volumes", "from ..worker import process"),
        ("panel.widget", "import torch.nn"),
        ("panel.widget", "from ..cli import tables"),
    ],
)
def test_a_wrong_arrow_is_noticed(module: str, source: str) -> None:
    assert len(wrong_arrows(source, f"{LIBRARY}.{module}")) == 1


@pytest.mark.parametrize(
    "name", [f"{LIBRARY}.{room}" for room in ("cli", "worker", "scene", "panel")] + ["slicer", "vtk", "qt", "ctk"]
)
def test_training_imports_core_and_no_other_room(name: str) -> None:
    assert wrong_arrows(f"import {name}.anything", "Training.data.training_samples") == [f"{name}.anything"]
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
        (
            "panel.widget",
            "import qt, ctk\nfrom ..worker import process\nfrom ..scene import volumes\nfrom ..core.labels import tree",
        ),
        ("__main__", "from .cli.main import main"),
        ("__init__", "def later():\n    from .core.inference.segmenter import Segmenter"),
        ("core.inference.report", "from ...version import __version__"),
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
        "import importlib.util\nimportlib.util.find_spec('slicerio')",
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


@pytest.mark.parametrize(
    "name",
    [LIBRARY, f"{LIBRARY}.resources", f"{LIBRARY}.cli.main", f"{LIBRARY}.core.errors", f"{LIBRARY}.core.scan.volume"],
)
def test_importing_the_library_does_not_import_torch(name: str) -> None:
    assert _run(f"import {name}\nprint('torch' in sys.modules, {name!r} in sys.modules)").split() == ["False", "True"]


def test_importing_core_labels_and_then_a_network_shows_that_the_check_can_fail() -> None:
    assert _run(f"import {LIBRARY}.core.network.head\nprint('torch' in sys.modules)").split() == ["True"]


WITHOUT_TORCH = tuple(
    name
    for name, room in ROOMS.items()
    if "torch" in room.never and "core" in room.rooms and name != "library"  # whose names load when they are used
)


@pytest.mark.parametrize("room", WITHOUT_TORCH)
def test_rooms_without_torch_take_from_core_only_what_loads_without_it(room: str) -> None:
    words = words_of_core(room)
    assert f"{LIBRARY}.core.labels.label_tree" in words
    assert _run("\n".join(f"import {word}" for word in words), blocked="torch") == ""


def test_the_panel_is_one_of_the_rooms_without_torch() -> None:
    assert set(WITHOUT_TORCH) == {"scene", "panel"}


@pytest.mark.parametrize("line", ["from ..core.network.head import {}", "from ..core.network import head as {}"])
def test_a_module_of_core_that_imports_torch_is_noticed(line: str) -> None:
    (name,) = imported(ast.parse(line.format("score")), f"{LIBRARY}.panel.widget")
    module = core_module_of(name)
    assert module == f"{LIBRARY}.core.network.head"
    with pytest.raises(AssertionError, match="torch"):
        _run(f"import {module}", blocked="torch")


@pytest.mark.parametrize(
    ("names", "heavy"),
    [
        ("LCSError, __version__", set()),
        ("Volume", set()),
        ("ModelPackage", set()),
        ("read_volume", {"SimpleITK"}),
        ("Segmenter", {"torch", "SimpleITK"}),
    ],
)
def test_a_name_of_the_public_face_loads_no_more_than_it_needs(names: str, heavy: set[str]) -> None:
    code = f"from {LIBRARY} import {names}\nprint(*(n for n in ('torch', 'SimpleITK', 'nibabel') if n in sys.modules))"
    found = set(_run(code).split())
    assert found & {"torch", "SimpleITK"} == heavy
    assert heavy or not found


def test_the_public_face_is_what_it_says() -> None:
    library = importlib.import_module(LIBRARY)
    assert set(library.__all__) <= set(dir(library))
    assert {name: getattr(library, name).__name__ for name in library.__all__ if name != "__version__"} == {
        name: name for name in library.__all__ if name != "__version__"
    }
    with pytest.raises(AttributeError, match="'Segmentor'"):
        library.Segmentor  # noqa: B018


def test_help_is_printed_where_torch_is_not_installed() -> None:
    code = f"from {LIBRARY}.cli.options import build_parser\nprint(build_parser().format_help())"
    assert "usage: lcs" in _run(code, blocked="torch")
