"""The extension as its users have it: configured, built and installed by CMake into a folder, without Slicer."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
SLICER = Path(__file__).resolve().parent / "slicer"
MODULES = Path("lib/Slicer-5.10/qt-scripted-modules")
"""Where scripted modules lie, in the build folder and in the installed extension."""


def cmake() -> str:
    """The command cmake: the one beside this interpreter (from PyPI), else that of the machine.

    Raises FileNotFoundError.
    """
    beside = str(Path(sys.executable).parent)
    found = shutil.which("cmake", path=beside) or shutil.which("cmake")
    if found is None:
        raise FileNotFoundError("CMake is needed to install the extension: run `pip install cmake`.")
    return found


def build_extension(top: Path, build: Path) -> Path:
    """Builds the extension in `top`; the folder of scripted modules in `build`.

    Raises RuntimeError with what CMake says.
    """
    # No language of the project is ever compiled, so a machine without a compiler will do.
    no_compiler = [
        f"-DCMAKE_{language}_COMPILER{end}"
        for language in ("C", "CXX")
        for end in (f"={shutil.which('true')}", "_FORCED=1")
    ]
    _run(
        "-S",
        str(top),
        "-B",
        str(build),
        "-G",
        "Unix Makefiles",
        f"-DSlicer_DIR={SLICER}",
        "-DBUILD_TESTING=ON",
        *no_compiler,
    )
    _run("--build", str(build))
    return build / MODULES


def install_extension(top: Path, target: Path) -> Path:
    """Builds the extension in `top` and installs it below `target`; the folder of installed modules.

    Raises RuntimeError with what CMake says.
    """
    build_extension(top, target / "build")
    _run("--install", str(target / "build"), "--prefix", str(target / "installed"))
    return target / "installed" / MODULES


def _run(*words: str) -> None:
    done = subprocess.run([cmake(), *words], capture_output=True, text=True, timeout=300)
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)
