"""The files for translators hold the sentences of the tree, each once, under the context by which it is looked up."""

from __future__ import annotations

from pathlib import Path

import pytest

from Utilities.update_translations import CONTEXT, LIBRARY, MODULE, SOURCES, collected, files, up_to_date

from .installed import TOP


@pytest.mark.parametrize("file", files(TOP), ids=lambda file: file.name)
def test_the_files_of_this_checkout_are_up_to_date(file: Path) -> None:
    assert file.read_text(encoding="utf-8") == up_to_date(TOP, file), "run python -m Utilities.update_translations"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A small checkout: the module, two files of its library, and its layout."""
    for room in ("core", "panel"):
        (tmp_path / MODULE / LIBRARY / room).mkdir(parents=True)
        (tmp_path / MODULE / LIBRARY / room / "__init__.py").touch()
    for folder in ("UI", "Translations"):
        (tmp_path / "Resources" / folder).mkdir(parents=True)
    (tmp_path / MODULE / f"{MODULE}.py").write_text('title = _("Title")\n', encoding="utf-8")
    (tmp_path / MODULE / LIBRARY / "core" / "checks.py").write_text(
        '"""Says what is wrong."""\ndef check(found):\n    """Raise an error, as a sentence."""\n    raise'
        " InputError(f\"{found:.1f} voxels of {'one line' if found else 'no line'} are empty.\", key='name')\n",
        encoding="utf-8",
    )
    (tmp_path / MODULE / LIBRARY / "panel" / "view.py").write_text('label.text = _("Age: {age}")\n', encoding="utf-8")
    (tmp_path / "Resources" / "UI" / "panel.ui").write_text(
        f"<ui><class>{MODULE}</class><widget><property name='text'><string>Apply</string></property>"
        "<property name='P' stdset='0'><string>output</string></property></widget></ui>",
        encoding="utf-8",
    )
    return tmp_path


def test_sentences_have_the_contexts_by_which_they_are_looked_up(tree: Path) -> None:
    assert collected(tree) == {
        MODULE: ["Apply", "Title"],
        CONTEXT: ["no line", "one line", "{0} voxels of {1} are empty."],
        "panel.view": ["Age: {age}"],
    }


@pytest.mark.parametrize("wrong", ['_(f"Age: {age}")', '_("Age: " + age)', "_(text)"])
def test_a_text_that_is_put_together_before_it_is_translated_is_refused(tree: Path, wrong: str) -> None:
    (tree / MODULE / LIBRARY / "panel" / "more.py").write_text(f"\nlabel.text = {wrong}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"more\.py:2: only a text as it stands can be translated"):
        collected(tree)


def test_translations_stay_and_sentences_that_are_gone_go(tree: Path) -> None:
    german = tree / "Resources" / "Translations" / f"{MODULE}_de-DE.ts"
    before = up_to_date(tree, tree / SOURCES)
    assert '<TS version="2.1" language="en_US" sourcelanguage="en_US">' in before
    german.write_text(
        before.replace('<source>Title</source>\n      <translation type="unfinished" />', "TITLE")
        .replace("TITLE", "<source>Title</source><translation>Titel &amp; mehr</translation>")
        .replace("<source>Apply</source>", "<source>Gone</source>"),
        encoding="utf-8",
    )
    after = up_to_date(tree, german)
    assert 'language="de_DE"' in after
    assert "<translation>Titel &amp; mehr</translation>" in after
    assert "<source>Apply</source>" in after
    assert "Gone" not in after
    german.write_text(after, encoding="utf-8")
    assert up_to_date(tree, german) == after
    assert files(tree) == sorted([german, german.with_name(SOURCES)])
