"""Checks offline what the Slicer Extensions Index asks of an extension: python -m
Utilities.check_extension [FOLDER].
"""

from __future__ import annotations

import ast
import fnmatch
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from PIL import Image, UnidentifiedImageError

from Utilities.update_cmake_lists import MODULE, cmake_file, up_to_date

MAX_MEGABYTES = 100
SCHEMA = (
    "https://raw.githubusercontent.com/Slicer/Slicer/main/Schemas/slicer-extension-catalog-entry-schema-v1.0.1.json#"
)
FIELDS: dict[str, type] = {
    "$schema": str,
    "category": str,
    "scm_url": str,
    "scm_revision": str,
    "scm_type": str,
    "build_dependencies": list,
    "build_subdirectory": str,
    "enabled": bool,
    "tier": int,
}
REQUIRED_FIELDS = ("$schema", "category", "scm_url", "scm_revision", "build_dependencies", "tier")
CATEGORIES = ("Segmentation", "Neuroimaging", "Quantification", "Active Learning", "Training")
"""Those of the index's categories that could fit this extension."""

SLICER_BRINGS = frozenset(
    {
        "slicer",
        "vtk",
        "qt",
        "ctk",
        "numpy",
        "SimpleITK",
        "pydicom",
        "pip",
        "ScriptedLoadableModule",
        "SampleData",
        "PyTorchUtils",
        "AbstractScriptedSubjectHierarchyPlugin",
        "DICOMLib",
        "MRMLCorePython",
    }
)
INSTALLS = frozenset({"pip_install", "pip_ensure", "pip_uninstall", "installTorch"})
RUNS_WITHOUT_ASKING = frozenset({"__init__", "setup", "enter"})
PUBLICATIONS = {"LCS": "2203.10091", "CoLab": "2212.08423", "FiLM": "2102.09582"}
DEPRECATED = {
    r"\bset\(EXTENSION_(CATEGORY|NAME|STATUS|ENABLED)\b": "remove it, the index entry or project() says it",
    r"^\s*(import|from) (imp|distutils|pkg_resources)\b": "use importlib",
    r"\breturnNode\s*=": "loading functions return the node",
    r"\bqt\.QRegExp\b": "use qt.QRegularExpression",
    r"\bqt\.QDesktopWidget\b": "use slicer.app.primaryScreen()",
    r"\.setMargin\(": "use setContentsMargins",
}

Problems = Iterator[str]


def check_licence(top: Path) -> Problems:
    """The software's licence lies in the root, and the homepage names it."""
    if not (top / "LICENSE").is_file():
        yield "There is no LICENSE in the root: add the Apache License 2.0."
    if "Apache License 2.0" not in readme(top):
        yield "README.md does not name the licence: say that the software is under the Apache License 2.0."


def check_line_ends(top: Path) -> Problems:
    """Text files end their lines with LF."""
    for file in files(top):
        content = file.read_bytes()
        if b"\r" in content and b"\0" not in content:
            yield f"{file.relative_to(top)} has line ends other than LF: save it with LF."


def check_size(top: Path) -> Problems:
    """The checkout, with its history, is small enough for the index."""
    megabytes = (sum(file.stat().st_size for file in files(top)) + history_size(top)) / 1e6
    if megabytes > MAX_MEGABYTES:
        yield (
            f"The checkout with its history takes {megabytes:.0f} MB, more than {MAX_MEGABYTES}: move large files out"
            " of the repository and its history."
        )


def check_names(top: Path) -> Problems:
    """Project, module and index entry have one name, which does not begin with Slicer."""
    project = re.search(r"project\s*\(\s*([^\s)]+)", cmake(top))
    if not project or project[1] != MODULE:
        yield (
            f"CMakeLists.txt says project({project[1] if project else ''}): it has to be project({MODULE}), like the"
            " index entry."
        )
    for file in (top / f"{MODULE}.json", top / MODULE / f"{MODULE}.py"):
        if not file.is_file():
            yield f"There is no {file.relative_to(top)}: the index entry and the module are named like the project."
    if f"add_subdirectory({MODULE})" not in cmake(top):
        yield f"CMakeLists.txt does not build the module: write add_subdirectory({MODULE})."
    if MODULE.lower().startswith("slicer"):
        yield "The name begins with Slicer, which the index refuses: leave that out."


def check_entry(top: Path) -> Problems:
    """The index entry follows its schema and agrees with CMakeLists.txt."""
    entry = index_entry(top)
    for name in REQUIRED_FIELDS:
        if name not in entry:
            yield f"{MODULE}.json lacks {name}: add it."
    for name, value in entry.items():
        if name not in FIELDS:
            yield f"{MODULE}.json has {name}, which the schema does not know: remove it."
        elif type(value) is not FIELDS[name]:
            yield f"{MODULE}.json: {name} has to be of type {FIELDS[name].__name__}."
    if entry.get("$schema") != SCHEMA:
        yield f"{MODULE}.json: $schema has to be {SCHEMA}"
    if entry.get("category") not in CATEGORIES:
        yield f"{MODULE}.json: the category has to be one of {', '.join(CATEGORIES)}."
    if entry.get("tier") not in (1, 3, 5):
        yield f"{MODULE}.json: the tier has to be 1, 3 or 5."
    depends = cmake_value(top, "EXTENSION_DEPENDS").split()
    if entry.get("build_dependencies") != depends:
        yield f"{MODULE}.json: build_dependencies have to be those of EXTENSION_DEPENDS, {depends}."


def check_homepage(top: Path) -> Problems:
    """Homepage and source are the same public repository, which says that it is for Slicer or is of use without it."""
    home = cmake_value(top, "EXTENSION_HOMEPAGE")
    source = str(index_entry(top).get("scm_url", ""))
    if not home.startswith("https://"):
        yield "EXTENSION_HOMEPAGE has to begin with https://."
    if source.removesuffix(".git") != home:
        yield f"{MODULE}.json: scm_url has to be EXTENSION_HOMEPAGE, with .git behind it."
    if "slicer" not in urlsplit(source).path.lower().split("/")[-1] and not (top / "pyproject.toml").is_file():
        yield "The repository's name has to contain Slicer, as nothing in it can be used without Slicer: rename it."


def check_description(top: Path) -> Problems:
    """The catalogue gets contributors and one or two sentences."""
    if not cmake_value(top, "EXTENSION_CONTRIBUTORS"):
        yield "EXTENSION_CONTRIBUTORS is empty: name the contributors."
    description = cmake_value(top, "EXTENSION_DESCRIPTION")
    if not 40 <= len(description) <= 500 or not description.endswith("."):
        yield "EXTENSION_DESCRIPTION has to be one or two whole sentences that say what the extension is for."


def check_pictures(top: Path) -> Problems:
    """Icon and screenshots are images of this repository, reached by raw addresses."""
    icons, screenshots = (cmake_value(top, f"EXTENSION_{name}").split() for name in ("ICONURL", "SCREENSHOTURLS"))
    if len(icons) != 1 or not screenshots:
        yield "CMakeLists.txt needs one EXTENSION_ICONURL, and at least one address in EXTENSION_SCREENSHOTURLS."
    home = urlsplit(cmake_value(top, "EXTENSION_HOMEPAGE")).path
    start = f"https://raw.githubusercontent.com{home}/{index_entry(top).get('scm_revision')}/"
    for address in [*icons, *screenshots]:
        if not address.startswith(start):
            yield f"{address} is not a raw address of this repository: begin it with {start}"
        elif image_size(top / address.removeprefix(start)) is None:
            yield f"{address.removeprefix(start)} is not an image: put a PNG or JPEG there."
    for file in (top / f"{MODULE}.png", top / "Resources" / "Icons" / f"{MODULE}.png"):
        if image_size(file) != (128, 128):
            yield f"{file.relative_to(top)} is not an image of 128 x 128 pixels: run python -m Utilities.draw_icon."


def check_readme(top: Path) -> Problems:
    """The homepage has a name, a description, a picture, a sentence a module, a tutorial and the publications."""
    text = readme(top)
    if not re.match(rf"# {MODULE}\n+[A-Z][^\n]+\.\n", text):
        yield f"README.md has to begin with the heading {MODULE} and a sentence that says what it is for."
    pictures = [target for target in re.findall(r"!\[[^\]]*\]\(([^)\s]+)", text) if "://" not in target]
    if not pictures:
        yield "README.md shows no picture: add a screenshot."
    for target in pictures:
        if image_size(top / target) is None:
            yield f"README.md shows {target}, which is not an image: put a PNG or JPEG there."
    if not any(MODULE in line and line.rstrip(" |").endswith(".") for line in section(text, "module").splitlines()):
        yield (
            "README.md has no sentence about the module: under a heading with the word Module, say in one line that"
            f" names {MODULE} what it does."
        )
    if not re.search(r"^(1\.|- )", section(text, "tutorial"), re.MULTILINE) or "Sample" not in section(
        text, "tutorial"
    ):
        yield (
            "README.md has no tutorial: under a heading with the word Tutorial, list the steps and say where the sample"
            " data comes from."
        )
    for method, number in PUBLICATIONS.items():
        if number not in text:
            yield f"README.md does not cite {method}: name arXiv {number} among the publications."


def check_lists(top: Path) -> Problems:
    """CMake installs every script and resource."""
    if up_to_date(top) != cmake_file(top).read_text(encoding="utf-8"):
        yield (
            f"The lists in {MODULE}/CMakeLists.txt are not those of the tree: run python -m"
            " Utilities.update_cmake_lists."
        )


def check_requirements(top: Path) -> Problems:
    """What is installed into Slicer's Python is bounded below only, and never replaces what Slicer or the user has."""
    for line in (top / "Resources" / "requirements.txt").read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        package = re.fullmatch(r"([\w.-]+)>=[\d.]+", line)
        if package is None:
            yield f"Resources/requirements.txt: {line} has to be of the form name>=version."
        elif package[1].lower() in ("torch", "torchvision", "numpy", "simpleitk", "vtk", "pydicom"):
            yield f"Resources/requirements.txt: remove {package[1]}, which Slicer or the extension PyTorch installs."


def check_imports(top: Path) -> Problems:
    """Opening the module imports only what Slicer brings, and installs nothing unasked."""
    for file in slicer_scripts(top):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for node in unasked(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func).rsplit(".")[-1] in INSTALLS:
                yield (
                    f"{file.relative_to(top)}:{node.lineno} installs packages before the user is asked: move it behind"
                    " a button."
                )
            for name in imported(node):
                if name not in SLICER_BRINGS | sys.stdlib_module_names | {f"{MODULE}Lib"}:
                    yield (
                        f"{file.relative_to(top)} imports {name} on opening, which Slicer does not bring: import it"
                        " where it is used."
                    )


def check_deprecated(top: Path) -> Problems:
    """Nothing is used that Slicer, Qt or Python have given up."""
    for file in [top / "CMakeLists.txt", *slicer_scripts(top)]:
        for row, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            for pattern, instead in DEPRECATED.items():
                if found := re.search(pattern, line):
                    yield f"{file.relative_to(top)}:{row} uses {found[0].strip()}: {instead}."


CHECKS: dict[str, Callable[[Path], Problems]] = {
    "licence": check_licence,
    "line ends": check_line_ends,
    "size": check_size,
    "names": check_names,
    "index entry": check_entry,
    "homepage": check_homepage,
    "description": check_description,
    "pictures": check_pictures,
    "README": check_readme,
    "lists of files": check_lists,
    "requirements": check_requirements,
    "imports": check_imports,
    "deprecated names": check_deprecated,
}


def files(top: Path) -> Iterator[Path]:
    """The files of the checkout: all but git's own and what .gitignore names."""
    ignored = [".git", *(line.strip("/") for line in (top / ".gitignore").read_text(encoding="utf-8").split())]
    for folder, subfolders, names in os.walk(top):
        subfolders[:] = [name for name in subfolders if not any(fnmatch.fnmatch(name, pattern) for pattern in ignored)]
        yield from (Path(folder, name) for name in names)


def history_size(top: Path) -> int:
    """Bytes that the commits up to the current one take in a clone, each object once: what lies in `.git` depends on
    how it was fetched, and may hold an object several times. 0 where git is missing or finds no commit.
    """
    git = ["git", "-C", str(top)]
    if not (top / ".git").exists() or not shutil.which("git"):
        return 0
    listed = subprocess.run([*git, "rev-list", "--objects", "--no-object-names", "HEAD"], capture_output=True)
    if listed.returncode:
        return 0
    sizes = subprocess.run(
        [*git, "cat-file", "--batch-check=%(objectsize:disk)"], input=listed.stdout, capture_output=True, check=True
    )
    return sum(map(int, sizes.stdout.split()))


def slicer_scripts(top: Path) -> list[Path]:
    """The scripts that run inside Slicer's own process; worker and core run beside it."""
    library = top / MODULE / f"{MODULE}Lib"
    return sorted(
        [
            *(top / MODULE).glob("*.py"),
            *(file for room in ("panel", "scene") for file in (library / room).rglob("*.py")),
        ]
    )


def unasked(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes that run when the module is imported or its panel is opened."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.Lambda) or getattr(child, "name", "") in RUNS_WITHOUT_ASKING:
            yield child
            yield from unasked(child)


def imported(node: ast.AST) -> Iterator[str]:
    """The top-level names of the packages that an import statement outside of this package names."""
    if isinstance(node, ast.Import):
        yield from (alias.name.split(".")[0] for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        yield node.module.split(".")[0]


def cmake(top: Path) -> str:
    """The text of the extension's CMakeLists.txt."""
    return (top / "CMakeLists.txt").read_text(encoding="utf-8")


def cmake_value(top: Path, name: str) -> str:
    """The quoted value of a variable in the extension's CMakeLists.txt, empty where there is none."""
    found = re.search(rf'set\({name} "([^"]*)"\)', cmake(top))
    return found[1] if found else ""


def index_entry(top: Path) -> dict[str, Any]:
    """The entry for the Extensions Index, empty where it cannot be read."""
    try:
        entry = json.loads((top / f"{MODULE}.json").read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError):
        return {}
    return entry if isinstance(entry, dict) else {}


def image_size(file: Path) -> tuple[int, int] | None:
    """Width and height in pixels, None where the file is no image that a web page shows."""
    try:
        with Image.open(file, formats=["PNG", "JPEG"]) as image:
            return image.size
    except (OSError, UnidentifiedImageError):
        return None


def readme(top: Path) -> str:
    """The text of the homepage."""
    return (top / "README.md").read_text(encoding="utf-8")


def section(text: str, word: str) -> str:
    """What stands under the first heading with `word`, up to the next heading of the second level; empty where there is
    none.
    """
    found = re.search(rf"^##+ [^\n]*{word}[^\n]*\n(.*?)(?=^## |\Z)", text, re.IGNORECASE | re.MULTILINE | re.DOTALL)
    return found[1] if found else ""


def main(top: Path) -> int:
    """Prints a line a check, and below it what is wrong; 0 where nothing is, else 1."""
    failed = False
    for name, check in CHECKS.items():
        try:
            problems = list(check(top))
        except FileNotFoundError as error:
            problems = [f"There is no {error.filename}: add it."]
        failed = failed or bool(problems)
        print(f"{'wrong' if problems else 'ok':6}{name}", *problems, sep="\n      - ")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if sys.argv[1:] else Path(__file__).resolve().parents[1]))
