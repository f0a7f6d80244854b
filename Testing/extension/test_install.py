"""CMake installs the module, its library and its resources, nothing else, and they work from there."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from Utilities.update_cmake_lists import MODULE, cmake_file, files_under, resources, scripts

from .installed import TOP, build_extension, install_extension

LIBRARY = f"{MODULE}Lib"
NEED_SLICER = ("panel", "scene")
# An editable install of this checkout must not help: what it put on the path and its import hook are taken away.
ONLY_INSTALLED = """
import sys
sys.path[:] = [sys.argv[1], *(p for p in sys.path if not p.startswith(sys.argv[2]) or "site-packages" in p)]
sys.meta_path[:] = [finder for finder in sys.meta_path if "editable" not in repr(finder)]
"""


def installed_python(installed: Path, code: str, cwd: Path) -> str:
    """What `code` prints in an interpreter that sees the library in `installed` and no other."""
    words = [sys.executable, "-I", "-c", ONLY_INSTALLED + code, str(installed), str(TOP)]
    done = subprocess.run(words, capture_output=True, text=True, cwd=cwd, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_exactly_the_module_its_library_and_its_resources_are_installed(installed_extension: Path) -> None:
    expected = [*scripts(TOP), *(f"Resources/{name}" for name in resources(TOP))]
    assert files_under(installed_extension) == sorted(expected)
    assert files_under(installed_extension.parents[2]) == [
        f"lib/Slicer-5.10/qt-scripted-modules/{name}" for name in sorted(expected)
    ]


def test_installed_files_are_those_of_the_checkout(installed_extension: Path) -> None:
    pairs = [(TOP / MODULE / name, installed_extension / name) for name in scripts(TOP)]
    pairs += [(TOP / "Resources" / name, installed_extension / "Resources" / name) for name in resources(TOP)]
    assert all(source.read_bytes() == installed.read_bytes() for source, installed in pairs)


def test_every_installed_script_compiles(installed_extension: Path) -> None:
    for script in installed_extension.rglob("*.py"):
        ast.parse(script.read_text(encoding="utf-8"), script.name)


@pytest.mark.slow
def test_every_part_that_needs_no_slicer_is_imported_from_the_installed_folder(
    installed_extension: Path, tmp_path: Path
) -> None:
    names = [
        name.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
        for name in scripts(TOP)
        if name.startswith(LIBRARY)
    ]
    names = [
        name
        for name in names
        if not name.endswith("__main__") and name.split(".")[1:2] not in [[room] for room in NEED_SLICER]
    ]
    code = f"import importlib\nfor name in {names}: print(importlib.import_module(name).__file__)"
    places = installed_python(installed_extension, code, tmp_path).splitlines()
    assert len(places) == len(names)
    assert all(Path(place).is_relative_to(installed_extension) for place in places)


def test_resources_are_those_that_were_installed(installed_extension: Path, tmp_path: Path) -> None:
    code = f"from {LIBRARY}.resources import resources_folder; print(resources_folder())"
    assert Path(installed_python(installed_extension, code, tmp_path).strip()) == installed_extension / "Resources"


def test_the_command_runs_from_the_installed_folder(installed_extension: Path, tmp_path: Path) -> None:
    environment = os.environ | {
        "PYTHONPATH": str(installed_extension),
        "HOME": str(tmp_path),
        "XDG_DATA_HOME": str(tmp_path),
    }

    def command(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", LIBRARY, *words],
            capture_output=True,
            text=True,
            env=environment,
            cwd=tmp_path,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "Hippocampus" in command("labels", "--search", "hippocampus")
    assert str(installed_extension / "Resources" / "Models" / "brain") in command("models")


def test_the_module_runs_from_the_build_folder_too(checkout: Path, tmp_path: Path) -> None:
    assert files_under(build_extension(checkout, tmp_path / "build")) == sorted(
        [*scripts(checkout), *(f"Resources/{name}" for name in resources(checkout))]
    )


def test_a_script_that_is_not_listed_is_not_installed(checkout: Path, tmp_path: Path) -> None:
    (checkout / MODULE / LIBRARY / "forgotten.py").touch()
    installed = install_extension(checkout, tmp_path / "target")
    assert (installed / LIBRARY / "__init__.py").is_file()
    assert not (installed / LIBRARY / "forgotten.py").exists()


@pytest.mark.parametrize("name", [f"{MODULE}/{LIBRARY}/panel/view.py", "Resources/Labels/names.csv"])
def test_a_listed_file_that_does_not_exist_stops_the_build(checkout: Path, tmp_path: Path, name: str) -> None:
    (checkout / name).unlink()
    with pytest.raises(RuntimeError, match=Path(name).name):
        build_extension(checkout, tmp_path / "build")


def test_resources_given_to_the_macro_by_a_path_upwards_would_not_be_installed(checkout: Path, tmp_path: Path) -> None:
    """Why the module's CMakeLists.txt copies its resources itself."""
    text = cmake_file(checkout).read_text(encoding="utf-8")
    text = text.replace("foreach(resource IN LISTS MODULE_RESOURCES)", "foreach(resource)")
    text = text.replace("  WITH_GENERIC_TESTS", "  RESOURCES ../Resources/Labels/names.csv\n  WITH_GENERIC_TESTS")
    cmake_file(checkout).write_text(text, encoding="utf-8")
    assert not list(install_extension(checkout, tmp_path / "target").rglob("names.csv"))
