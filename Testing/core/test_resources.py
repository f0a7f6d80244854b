"""Resources are found in the source tree, in the installed extension and in the installed wheel."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import pytest
from LabelConditionedSegmentationLib import resources

from Testing import samples

TOP = Path(__file__).resolve().parents[2]
LIBRARY = "LabelConditionedSegmentationLib"
LAYOUTS = ("source tree", "installed extension", "installed wheel")
TELL = (
    "from LabelConditionedSegmentationLib import resources as r; print(r.__file__); print(r.resources_folder());"
    " print(*r.model_folders(), sep='\\n')"
)


def copy(source: Path, target: Path) -> None:
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))


@pytest.fixture(scope="session")
def source_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what the wheel is built from, with a small model in place of the shipped one."""
    top = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(TOP / name, top / name)
    for name in ("LabelConditionedSegmentation", "Training", "Resources/Labels"):
        copy(TOP / name, top / name)
    samples.package(top / "Resources" / "Models")
    return top


@pytest.fixture(scope="session")
def wheel(source_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the wheel was installed into."""
    target = tmp_path_factory.mktemp("wheel") / "site-packages"
    if find_spec("pip") is None:
        pytest.skip("this environment has no pip to build the wheel with")
    here = (
        ["--no-build-isolation"] if find_spec("setuptools") and int(version("setuptools").split(".")[0]) >= 77 else []
    )
    words = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        *here,
        "--target",
        str(target),
        str(source_tree),
    ]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return target


@pytest.fixture(params=LAYOUTS)
def layout(request: pytest.FixtureRequest, source_tree: Path, tmp_path: Path) -> tuple[Path, Path]:
    """The folder that goes on the path, and the Resources folder that belongs to it."""
    if request.param == "source tree":
        return source_tree / "LabelConditionedSegmentation", source_tree / "Resources"
    if request.param == "installed extension":
        modules = tmp_path / "lib" / "Slicer-5.8" / "qt-scripted-modules"
        copy(source_tree / "LabelConditionedSegmentation" / LIBRARY, modules / LIBRARY)
        copy(source_tree / "Resources", modules / "Resources")
        return modules, modules / "Resources"
    installed: Path = request.getfixturevalue("wheel")
    return installed, installed / LIBRARY / "Resources"


def run(on_path: Path, *words: str, **variables: str) -> str:
    """The standard output of a fresh interpreter that sees the library in `on_path`."""
    environment = {k: v for k, v in os.environ.items() if k != resources.MODELS_VARIABLE} | {
        "PYTHONPATH": str(on_path),
        **variables,
    }
    done = subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, env=environment, cwd=on_path.parent, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_resources_are_found(layout: tuple[Path, Path], tmp_path: Path) -> None:
    on_path, expected = layout
    lines = run(on_path, "-c", TELL, HOME=str(tmp_path), XDG_DATA_HOME=str(tmp_path / "data")).splitlines()
    assert Path(lines[0]) == on_path / LIBRARY / "resources.py"
    assert Path(lines[1]) == expected
    assert Path(lines[-1]) == expected / "Models"


def test_every_resource_of_the_source_tree_is_installed(layout: tuple[Path, Path], source_tree: Path) -> None:
    def files(folder: Path) -> list[str]:
        return sorted(
            str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file() and file.suffix != ".pyc"
        )

    assert "Labels/snomed.csv" in files(source_tree / "Resources")
    assert files(layout[1]) == files(source_tree / "Resources")


def test_the_command_of_the_wheel_finds_the_shipped_model(wheel: Path, tmp_path: Path) -> None:
    printed = run(wheel, "-m", LIBRARY, "models", HOME=str(tmp_path), XDG_DATA_HOME=str(tmp_path / "data"))
    assert "tiny" in printed
    assert "CC0" in printed


def test_the_resources_of_this_checkout_are_those_at_its_top() -> None:
    assert resources.resources_folder() == TOP / "Resources"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the library would lie; nothing is around it yet."""
    folder = tmp_path / "modules" / LIBRARY
    folder.mkdir(parents=True)
    monkeypatch.setattr(resources, "_HERE", folder)
    return folder


def test_resources_inside_the_library_win_over_those_beside_it(here: Path) -> None:
    for above in (here.parent.parent, here.parent, here):
        (above / "Resources" / "Models").mkdir(parents=True)
        assert resources.resources_folder() == above / "Resources"


def test_a_folder_of_another_modules_resources_is_not_ours(here: Path) -> None:
    (here.parent / "Resources" / "Icons").mkdir(parents=True)
    (here.parent.parent / "Resources" / "Models").mkdir(parents=True)
    assert resources.resources_folder() == here.parent.parent / "Resources"


def test_an_incomplete_installation_is_told_with_the_places_that_were_searched(here: Path) -> None:
    with pytest.raises(FileNotFoundError, match="incomplete") as caught:
        resources.resources_folder()
    assert all(str(above / "Resources") in str(caught.value) for above in (here, here.parent, here.parent.parent))


def test_models_are_searched_in_the_named_folder_then_the_users_then_the_shipped_ones(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.delenv(resources.MODELS_VARIABLE, raising=False)
    usual = [resources.user_models_folder(), TOP / "Resources" / "Models"]
    assert resources.model_folders() == usual
    monkeypatch.setenv(resources.MODELS_VARIABLE, str(tmp_path / "mine"))
    assert resources.model_folders() == [tmp_path / "mine", *usual]


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {"XDG_DATA_HOME": "/data"}, lambda home: Path("/data")),
        ("linux", {"XDG_DATA_HOME": ""}, lambda home: home / ".local" / "share"),
        ("darwin", {}, lambda home: home / "Library" / "Application Support"),
        ("win32", {"LOCALAPPDATA": "/local"}, lambda home: Path("/local")),
        ("win32", {"LOCALAPPDATA": ""}, lambda home: home / "AppData" / "Local"),
    ],
)
def test_a_users_models_lie_where_the_system_keeps_data(
    platform: str,
    variables: dict[str, str],
    expected: Callable[[Path], Path],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr("sys.platform", platform)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert resources.user_models_folder() == expected(tmp_path) / "LabelConditionedSegmentation" / "Models"


def test_every_room_is_in_the_wheel() -> None:
    """A folder of Python that the list of packages lacks is missing after an installation that is not editable."""
    listed = set(tomllib.loads((TOP / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["packages"])
    library = TOP / "LabelConditionedSegmentation" / "LabelConditionedSegmentationLib"
    rooms = {
        *(path.parent.relative_to(library.parent) for path in library.rglob("__init__.py")),
        *(Path(library.name, "training", path.parent.name) for path in (TOP / "Training").glob("*/__init__.py")),
    }
    in_slicer_alone = {"scene", "panel"}
    wanted = {".".join(room.parts) for room in rooms if not in_slicer_alone & set(room.parts)}
    assert wanted <= listed, wanted - listed
