"""Models in the panel: which are offered, adding one, changing from one to another, and the licence that is asked for
once.
"""

from __future__ import annotations

import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from LabelConditionedSegmentationLib.core.labels.label_tree import LabelTree
from LabelConditionedSegmentationLib.core.scan.input_spec import InputSpec

from Testing import samples
from Testing.host.application import Host
from Testing.panel.user import INSIDE, User, describe, entries, segment_names


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A package "extra" that was downloaded somewhere."""
    return describe(samples.package(tmp_path / "downloads", name="extra").path, title="Extra")


def add_zebra(models: Path, leaves: int = 6) -> None:
    """A second model, which gives the same structures other ids."""
    labels = [
        replace(label, id=label.id + 500, parent=label.parent and label.parent + 500)
        for label in samples.label_tree(leaves).labels
    ]
    describe(samples.package(models, name="zebra", tree=LabelTree(tuple(labels))).path, title="Zebra")


def zipped(package: Path) -> Path:
    """The package as a zip beside it."""
    return Path(shutil.make_archive(str(package), "zip", package.parent, package.name))


def installed(tmp_path: Path) -> list[str]:
    """What lies in the user's own folder of models."""
    return sorted(path.name for path in (tmp_path / "data").rglob("Models/*"))


def show_model(user: User, title: str) -> None:
    """Choose a model."""
    user.ui.modelSelector.currentIndex = entries(user.ui.modelSelector).index(title)
    user.wait()


def add(user: User, file: Path | None) -> None:
    """Press "Add model..." and choose a file in the dialog; None closes it."""
    user.host.answers.append(str(file or ""))
    user.press("addModelButton")


@pytest.mark.parametrize("as_zip", [True, False])
def test_a_package_is_added_by_its_zip_or_its_description(
    host: Host, models: Path, elsewhere: Path, tmp_path: Path, as_zip: bool
) -> None:
    user = User(host)
    add(user, zipped(elsewhere) if as_zip else elsewhere / "model.json")
    assert installed(tmp_path) == ["extra"]
    assert {"Tiny", "Extra"} <= set(entries(user.ui.modelSelector))
    assert user.ui.modelSelector.currentText == "Extra"
    assert "was added" in user.said
    user.choose(user.add_volume())
    user.tick("Left Putamen")
    user.apply()
    assert user.report["model"] == "extra"


def test_nothing_happens_where_the_dialog_is_closed(host: Host, models: Path, tmp_path: Path) -> None:
    user = User(host)
    before = entries(user.ui.modelSelector)
    add(user, None)
    assert entries(user.ui.modelSelector) == before
    assert installed(tmp_path) == []


def test_a_package_that_is_refused_is_not_installed_and_the_panel_says_why(
    host: Host, models: Path, elsewhere: Path, tmp_path: Path
) -> None:
    user = User(host)
    before = entries(user.ui.modelSelector), user.panel.package
    foreign = tmp_path / "foreign.zip"
    with zipfile.ZipFile(foreign, "w") as archive:
        archive.writestr("../outside.txt", "x")
    weights = elsewhere / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    (tmp_path / "letter.zip").write_text("no zip")
    for file, why in (
        (foreign, "refused"),
        (elsewhere / "model.json", "SHA-256"),
        (tmp_path / "letter.zip", "neither a folder nor a zip"),
        (models / "tiny.zip", "no model package"),
    ):
        add(user, file)
        assert why in user.said
        assert (entries(user.ui.modelSelector), user.panel.package) == before
        assert installed(tmp_path) == []
    user.choose(user.add_volume())
    user.tick("Left Putamen")
    user.apply()


def test_a_model_is_added_once(host: Host, models: Path, elsewhere: Path, tmp_path: Path) -> None:
    user = User(host)
    add(user, elsewhere / "model.json")
    add(user, elsewhere / "model.json")
    assert "already installed" in user.said
    assert installed(tmp_path) == ["extra"]


def test_the_choice_of_a_model_is_remembered(host: Host, models: Path) -> None:
    add_zebra(models)
    user = User(host)
    assert user.ui.modelSelector.currentText == "Tiny"
    show_model(user, "Zebra")
    user = user.again()
    assert user.ui.modelSelector.currentText == "Zebra"
    assert user.panel.package.name == "zebra"
    shutil.rmtree(models / "zebra")
    assert user.again().ui.modelSelector.currentText == "Tiny"


def test_a_broken_package_is_told_of_and_the_others_work(host: Host, models: Path) -> None:
    (models / "broken").mkdir()
    (models / "broken" / "model.json").write_text("{")
    user = User(host)
    user.choose(user.add_volume())
    assert 'The model "broken" cannot be used' in user.ui.modelLabel.text
    user.tick("Left Putamen")
    user.apply()


@pytest.mark.slow
def test_structures_that_both_models_know_stay_chosen(host: Host, models: Path) -> None:
    add_zebra(models, 4)
    user = User(host)
    user.choose(user.add_volume())
    user.editor("age").text = "30"
    user.tick("Left Putamen", "Left Amygdala")
    show_model(user, "Zebra")
    assert user.chosen == ["Left Amygdala", "Right Amygdala"]
    assert user.ui.countLabel.text == "2 of 4 structures chosen"
    assert user.shown("age") == "30"
    assert segment_names(user.apply()) == user.chosen


def test_another_model_asks_for_a_new_run_and_forgets_what_was_offered_by_the_first(host: Host, models: Path) -> None:
    add_zebra(models)
    user = User(host)
    user.choose(user.add_volume())
    user.press("pickButton")
    user.click_in_view(INSIDE)
    assert user.ui.pickList.visible
    show_model(user, "Zebra")
    assert not user.ui.pickList.visible
    assert "new run" in user.said


def test_a_model_of_two_channels_shows_two_selectors(host: Host, models: Path) -> None:
    describe(
        samples.package(models, replace(samples.TINY, in_channels=2), name="pair", spec=InputSpec(("T1", "T2"))).path,
        title="Pair",
    )
    user = User(host)
    t1, t2 = user.add_volume("one"), user.add_volume("two", seed=1)
    show_model(user, "Tiny")
    user.choose(t1)
    show_model(user, "Pair")
    assert user.panel.inputs.nodes == (t1, None)
    assert [user.ui.inputsForm.layout().rowCount(), len(user.input_selectors)] == [2, 2]
    user.tick("Left Putamen")
    assert user.ui.applyButton.toolTip == "T2: No volume is chosen. Choose the scan to segment."
    user.choose(t1, t2)
    user.apply()
    show_model(user, "Tiny")
    assert user.panel.inputs.nodes == (t1,)


def test_what_the_model_is_for_and_its_licence_are_shown(host: Host, models: Path) -> None:
    describe(models / "tiny", licence="CC-BY-4.0", intended_use="Healthy adults.", not_for="Diagnosis.")
    user = User(host)
    assert user.ui.modelLabel.text == "Healthy adults."
    user.press("moreButton")
    assert user.ui.modelLabel.text == "Healthy adults.\nNot for: Diagnosis.\nCC-BY-4.0"
    user.press("moreButton")
    assert user.ui.modelLabel.text == "Healthy adults."


def test_a_long_text_of_a_model_is_one_line_until_more_is_asked_for(host: Host, models: Path) -> None:
    describe(models / "tiny", intended_use="T1 scans of adults. " * 20)
    user = User(host)
    line = user.ui.modelLabel.text
    assert line.endswith("…")
    assert len(line) <= 38
    user.press("moreButton")
    assert len(user.ui.modelLabel.text) > 300


def test_a_model_of_which_nothing_is_said_offers_no_more(host: Host, models: Path) -> None:
    describe(models / "tiny", licence="", intended_use="", not_for="")
    user = User(host)
    assert user.ui.modelLabel.text == ""
    assert not user.ui.moreButton.isVisible()


# Licence


def ready(host: Host, models: Path, licence: str) -> User:
    """A user who can press Apply with a model of this licence."""
    describe(models / "tiny", licence=licence)
    user = User(host)
    user.choose(user.add_volume())
    user.tick("Left Putamen")
    return user


def test_a_non_commercial_licence_is_acknowledged_once_before_the_first_run(host: Host, models: Path) -> None:
    import qt

    user = ready(host, models, "CC-BY-NC-4.0: no commercial use")
    host.answers.append(qt.QMessageBox.Cancel)
    user.press("applyButton")
    assert "CC-BY-NC-4.0: no commercial use" in host.asked[-1].text
    assert (user.passes, user.panel.segment.live.node) == (0, None)
    host.answers.append(qt.QMessageBox.Cancel)
    user.press("pickButton")
    assert (user.passes, user.ui.pickButton.checked) == (0, False)
    host.answers.append(qt.QMessageBox.Ok)
    user.apply()
    assert len(host.asked) == 3
    user.press("clearButton")
    user.tick("Left Amygdala")
    user.apply()
    user = user.again()
    user.choose(user.add_volume())
    user.tick("Left Putamen")
    user.apply()
    assert len(host.asked) == 3


@pytest.mark.parametrize("licence", ["CC0", "MIT", "Apache-2.0"])
def test_a_free_licence_is_never_asked_about(host: Host, models: Path, licence: str) -> None:
    ready(host, models, licence).apply()
    assert host.asked == []
