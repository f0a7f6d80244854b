"""Writes the sentences of the module into the files for translators (.ts): python -m Utilities.update_translations.

What is said through `_()`, and what stands in the .ui file, has the contexts that Slicer looks it up by. Core, the
worker and the plain decisions of the panel speak English; what they say is collected into a context of its own, with
{0}, {1} where a sentence has numbers and names in it, and the panel tells it by
`panel.sentences`. What is there of translations stays; sentences that are gone, go.
"""

from __future__ import annotations

import ast
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

MODULE = "LabelConditionedSegmentation"
LIBRARY = f"{MODULE}Lib"
CONTEXT = f"{MODULE}.sentences"
SOURCES = f"{MODULE}_en-US.ts"
SPEAKING_ROOMS = ("core", "worker", "scene", "panel")
SILENT = ("panel/self_test.py", "core/network/", "panel/remembered.py", "panel/sample_data.py")
"""Files, and folders, whose texts users do not see."""
HEADER = '<?xml version="1.0" encoding="utf-8"?>\n<!DOCTYPE TS>\n'
WORD = re.compile(r"[^\W\d_]{2,}")
SHORT = ("Apply", "entered")
"""Sentences of one word."""
CODE = re.compile(r"import |%s|[\\^*#|]|\w\.\w+\(|color:")

Messages = dict[str, dict[str, str]]
"""Context -> sentence -> translation, "" where there is none."""


def up_to_date(top: Path, file: Path) -> str:
    """The text of a file for translators as the tree asks for it; translations that it has are kept."""
    known = _read(file) if file.exists() else {}
    language = file.stem.removeprefix(f"{MODULE}_").replace("-", "_")
    wanted = {
        context: {source: known.get(context, {}).get(source, "") for source in sources}
        for context, sources in collected(top).items()
    }
    return _written(wanted, language)


def files(top: Path) -> list[Path]:
    """The files for translators: the list of all sentences, and one for each language."""
    folder = top / "Resources" / "Translations"
    return sorted({folder / SOURCES, *folder.glob(f"{MODULE}_*.ts")})


def collected(top: Path) -> dict[str, list[str]]:
    """Context -> every sentence once, as the tree has them.

    Raises ValueError where one is put together before it is translated, so that nobody could look it up.
    """
    found: dict[str, dict[str, None]] = {}
    library = top / MODULE / LIBRARY
    for path in [top / MODULE / f"{MODULE}.py", *sorted(library.rglob("*.py"))]:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for context, source in _translated(tree, path):
            found.setdefault(context, {})[source] = None
        name = path.relative_to(top / MODULE).as_posix().removeprefix(f"{LIBRARY}/")
        if name.startswith(SPEAKING_ROOMS) and not name.startswith(SILENT):
            found.setdefault(CONTEXT, {}).update(dict.fromkeys(_said(tree)))
    for ui in sorted((top / "Resources" / "UI").glob("*.ui")):
        context, texts = _of_ui(ui)
        found.setdefault(context, {}).update(texts)
    return {context: sorted(sources) for context, sources in sorted(found.items())}


def _translated(tree: ast.AST, path: Path) -> Iterator[tuple[str, str]]:
    """Context and sentence of every `_("...")` and `translate("context", "...")`."""
    package = f"{path.parent.name}." if (path.parent / "__init__.py").exists() else ""
    for call in _calls(tree, ("_", "translate")):
        *context, source = (getattr(argument, "value", None) for argument in call.args)
        if not isinstance(source, str) and path.stem != "sentences":
            raise ValueError(f"{path}:{call.lineno}: only a text as it stands can be translated: use {{}} and format.")
        if isinstance(source, str) and not context:  # other contexts are those of the application
            yield f"{package}{path.stem}", source


def _calls(tree: ast.AST, names: tuple[str, ...]) -> list[ast.Call]:
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    return [call for call in calls if isinstance(call.func, ast.Name) and call.func.id in names]


def _said(tree: ast.AST) -> Iterator[str]:
    """Everything of at least two words that is no docstring, no code, and not translated where it stands."""
    passed_over = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in [*_calls(tree, ("_", "translate")), *_parts_of_templates(tree)]:
        passed_over |= {id(part) for part in ast.walk(node)}
    for node in ast.walk(tree):
        text = _template(node) if id(node) not in passed_over else None
        words = re.sub(r"\{\d+\}", "", text or "")
        is_sentence = " " in (text or "").strip() and len(WORD.findall(words)) > 1
        if text and (is_sentence or words.strip(" ()") in SHORT) and not CODE.search(text):
            yield text


def _parts_of_templates(tree: ast.AST) -> list[ast.AST]:
    """The texts of f-strings; what is said inside of their braces is a sentence of its own."""
    templates = [node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)]
    formats = [part.format_spec for node in templates for part in node.values if isinstance(part, ast.FormattedValue)]
    return [
        *(part for node in templates for part in node.values if isinstance(part, ast.Constant)),
        *(spec for spec in formats if spec is not None),
    ]


def _template(node: ast.AST) -> str | None:
    """A text as it stands; of an f-string with {0}, {1} in the place of what is put in."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if not isinstance(node, ast.JoinedStr):
        return None
    numbers = iter(range(len(node.values)))
    return "".join(
        str(part.value) if isinstance(part, ast.Constant) else f"{{{next(numbers)}}}" for part in node.values
    )


def _of_ui(path: Path) -> tuple[str, dict[str, None]]:
    """The context and the texts of a .ui file; those in lists are names of classes."""
    root = ElementTree.parse(path).getroot()
    texts = (entry.findtext("string") for entry in root.iter("property") if entry.get("stdset") is None)
    return root.findtext("class") or "", dict.fromkeys(text for text in texts if text)


def _read(file: Path) -> Messages:
    contexts = ElementTree.parse(file).iter("context")
    return {
        context.findtext("name") or "": {
            message.findtext("source") or "": message.findtext("translation") or ""
            for message in context.iter("message")
        }
        for context in contexts
    }


def _written(messages: Messages, language: str) -> str:
    root = ElementTree.Element("TS", version="2.1", language=language, sourcelanguage="en_US")
    for name, sources in messages.items():
        context = ElementTree.SubElement(root, "context")
        ElementTree.SubElement(context, "name").text = name
        for source, translation in sources.items():
            message = ElementTree.SubElement(context, "message")
            ElementTree.SubElement(message, "source").text = source
            entry = ElementTree.SubElement(message, "translation")
            entry.text = translation
            if not translation:
                entry.set("type", "unfinished")
    ElementTree.indent(root, "  ")
    return f"{HEADER}{ElementTree.tostring(root, encoding='unicode')}\n"


if __name__ == "__main__":
    here = Path(__file__).resolve().parents[1]
    for translated in files(here):
        translated.parent.mkdir(exist_ok=True)
        translated.write_text(up_to_date(here, translated), encoding="utf-8", newline="\n")
