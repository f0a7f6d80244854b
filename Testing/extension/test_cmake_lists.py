"""The lists of scripts and resources in CMakeLists.txt are those of the tree."""

from __future__ import annotations

from pathlib import Path

import pytest

from Utilities.update_cmake_lists import MODULE, cmake_file, up_to_date

from .installed import TOP


def test_the_lists_of_this_checkout_are_up_to_date() -> None:
    assert cmake_file(TOP).read_text(encoding="utf-8") == up_to_date(TOP), "run python -m Utilities.update_cmake_lists"


def test_a_new_script_and_a_new_resource_enter_the_lists_and_a_removed_one_leaves(checkout: Path) -> None:
    before = up_to_date(checkout).splitlines()
    (checkout / MODULE / f"{MODULE}Lib" / "panel" / "more.py").touch()
    (checkout / "Resources" / "UI").mkdir()
    (checkout / "Resources" / "UI" / "panel.ui").touch()
    (checkout / "Resources" / "Labels" / "names.csv").unlink()
    after = up_to_date(checkout).splitlines()
    assert set(after) - set(before) == {f"  {MODULE}Lib/panel/more.py", "  UI/panel.ui"}
    assert set(before) - set(after) == {"  Labels/names.csv"}


def test_screenshots_caches_and_hidden_files_are_not_listed(checkout: Path) -> None:
    before = up_to_date(checkout)
    for name in (
        f"{MODULE}/__pycache__/x.py",
        f"{MODULE}/.hidden.py",
        "Resources/.DS_Store",
        "Resources/Screenshots/more.png",
    ):
        (checkout / name).parent.mkdir(exist_ok=True)
        (checkout / name).touch()
    assert up_to_date(checkout) == before


def test_what_stands_around_the_lists_is_kept(checkout: Path) -> None:
    text = cmake_file(checkout).read_text(encoding="utf-8")
    cmake_file(checkout).write_text("# before\n" + text + "# behind\n", encoding="utf-8")
    assert up_to_date(checkout) == "# before\n" + text + "# behind\n"


@pytest.mark.parametrize("marker", ["# lists: begin", "# lists: end"])
def test_a_missing_marker_is_named(checkout: Path, marker: str) -> None:
    text = cmake_file(checkout).read_text(encoding="utf-8")
    cmake_file(checkout).write_text(text.replace(marker, "#"), encoding="utf-8")
    with pytest.raises(ValueError, match="lists: begin"):
        up_to_date(checkout)
