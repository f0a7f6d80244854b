"""Installed models in the panel: what `lcs models` lists, updates from a folder or zip, and removal."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from LabelConditionedSegmentationLib.cli.main import main
from LabelConditionedSegmentationLib.core.package.package_changes import remove_package, update_package
from LabelConditionedSegmentationLib.core.package.package_list import list_packages

from Testing import samples
from Testing.host.application import Host
from Testing.panel.user import User, describe


@pytest.fixture
def newer(tmp_path: Path) -> Path:
    """Another version of the model "tiny" that was downloaded somewhere."""
    return describe(samples.package(tmp_path / "downloads", name="tiny").path, version="2.0", title="Tiny, newer")


def opened(host: Host) -> User:
    """A user who has opened the section."""
    user = User(host)
    user.ui.modelsSection.collapsed = False
    return user


def rows(user: User) -> dict[str, list[str]]:
    """Name -> version, size and licence, as they are listed."""
    tree = user.ui.modelsTree
    items = [tree.topLevelItem(n) for n in range(tree.topLevelItemCount)]
    return {str(item.text(0)): [str(item.text(column)) for column in (1, 2, 3)] for item in items}


def mark(user: User, name: str) -> None:
    tree = user.ui.modelsTree
    items = [tree.topLevelItem(n) for n in range(tree.topLevelItemCount)]
    tree.setCurrentItem(next(item for item in items if item.text(0) == name))


def test_the_list_is_that_of_the_command(host: Host, models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    describe(models / "tiny", version="1.2", licence="CC-BY-4.0")
    (models / "broken").mkdir()
    (models / "broken" / "model.json").write_text("{")
    user = opened(host)
    assert main(["models"]) == 0
    printed = capsys.readouterr().out.split("\n\n")
    assert [paragraph.split(":")[0].split("\n")[0] for paragraph in printed if paragraph.strip()] == list(rows(user))
    tiny = next(paragraph for paragraph in printed if paragraph.startswith("tiny"))
    version, size, licence = rows(user)["tiny"]
    assert (version, licence) == ("1.2", "CC-BY-4.0")
    assert f"size      {size}, " in tiny
    assert "version   1.2" in tiny
    assert rows(user)["broken"] == ["", "", "cannot be used"]


def test_what_comes_with_the_extension_stays(host: Host, models: Path) -> None:
    user = opened(host)
    assert user.ui.removeModelButton.toolTip == "Mark a model in the list first."
    assert not user.ui.updateModelButton.enabled
    mark(user, "brain")
    assert not user.ui.removeModelButton.enabled
    assert user.ui.removeModelButton.toolTip.startswith("brain comes with the extension")
    assert user.ui.updateModelButton.enabled


@pytest.mark.parametrize("as_zip", [True, False])
def test_a_model_is_updated_in_its_place(host: Host, models: Path, newer: Path, as_zip: bool) -> None:
    user = opened(host)
    mark(user, "tiny")
    file = shutil.make_archive(str(newer), "zip", newer.parent, newer.name) if as_zip else newer / "model.json"
    user.host.answers.append(str(file))
    user.press("updateModelButton")
    assert user.said == "The model was updated."
    assert rows(user)["tiny"][0] == "2.0"
    assert user.ui.modelSelector.currentText == "Tiny, newer"
    assert [path.name for path in models.iterdir()] == ["tiny"]
    user.choose(user.add_volume())
    user.tick("Left Putamen")
    user.apply()


def test_another_model_is_no_update_and_nothing_is_changed(host: Host, models: Path, tmp_path: Path) -> None:
    other = samples.package(tmp_path / "downloads", name="other").path
    before = (models / "tiny" / "model.json").read_bytes()
    user = opened(host)
    mark(user, "tiny")
    user.host.answers.append(str(other / "model.json"))
    user.press("updateModelButton")
    assert user.said == 'This is the model "other" and no version of "tiny"; add it as a model.'
    assert (models / "tiny" / "model.json").read_bytes() == before
    assert [path.name for path in models.iterdir()] == ["tiny"]


def test_a_damaged_update_is_refused_and_the_installed_one_works(host: Host, models: Path, newer: Path) -> None:
    weights = newer / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    user = opened(host)
    mark(user, "tiny")
    user.host.answers.append(str(newer / "model.json"))
    user.press("updateModelButton")
    assert "SHA-256" in user.said
    user.choose(user.add_volume())
    user.tick("Left Putamen")
    user.apply()


def test_a_model_is_removed_after_a_question_and_another_one_is_chosen(host: Host, models: Path) -> None:
    samples.package(models, name="extra")
    user = opened(host)
    user.ui.modelSelector.currentIndex = user.ui.modelSelector.findData("extra")
    mark(user, "extra")
    import qt

    user.host.answers.append(qt.QMessageBox.Cancel)
    user.press("removeModelButton")
    assert (models / "extra").is_dir()
    user.host.answers.append(qt.QMessageBox.Ok)
    user.press("removeModelButton")
    assert [path.name for path in models.iterdir()] == ["tiny"]
    assert user.said == 'The model "extra" was removed.'
    assert "extra" not in rows(user)
    assert user.panel.package.name != "extra"
    assert user.ui.modelSelector.findData("extra") == -1


def test_a_zip_is_exchanged_for_the_folder_of_its_update_and_removed(models: Path, newer: Path, tmp_path: Path) -> None:
    folder = tmp_path / "zips"
    shutil.make_archive(str(folder / "tiny"), "zip", models, "tiny")
    package = update_package(newer, folder / "tiny.zip")
    assert [path.name for path in folder.iterdir()] == ["tiny"]
    assert package.about["version"] == "2.0"
    remove_package(folder / "tiny")
    assert list(folder.iterdir()) == []


def test_a_package_without_a_version_shows_what_tells_it_from_others(models: Path) -> None:
    (listed,) = list_packages([models])
    assert listed.package is not None
    assert listed.version == listed.package.weights_sha256[:8]
    describe(models / "tiny", provenance={"date": "2026-05-01"})  # type: ignore[arg-type]
    assert list_packages([models])[0].version == "2026-05-01"
