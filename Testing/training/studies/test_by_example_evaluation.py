"""Labels that are shown on an atlas, scored on other scans: what is asked, what counts, what is kept, and what is
refused.
"""

from __future__ import annotations

import csv
import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from LabelConditionedSegmentationLib.core.examples.example_prompt import read_prompt
from LabelConditionedSegmentationLib.core.inference.features import Features
from LabelConditionedSegmentationLib.core.inference.segmenter import Segmenter
from LabelConditionedSegmentationLib.core.labels.label_tree import Label, LabelTree
from LabelConditionedSegmentationLib.core.scan.input_spec import InputSpec
from LabelConditionedSegmentationLib.core.scan.itk import image_of
from LabelConditionedSegmentationLib.core.scan.volume import Volume

from Testing import samples
from Training.data.datasets import CaseFiles
from Training.engine.kept_files import keep_to
from Training.studies import example_answers
from Training.studies.example_answers import ExampleAnswers, ask, by_registration
from Training.studies.labels_by_example import BY_EXAMPLE, INSIDE, POOLED, REGISTRATION, answer, asked, main

BRIGHT, DARK, SPECK, UNKNOWN = 1, 2, 3, 9
TABLE = "id,name,parent,scored\n1,Bright ball,Balls,1\n2,Dark ball,Balls,1\n3,Speck,,1\n9,Smudge,,0\n"
SHAPES = ((36, 44, 40), (40, 40, 36), (34, 46, 42))


def write_balls(folder: Path, spacing: float = 3.0) -> Path:
    """case_0 to case_2: two balls in tissue; case_1 alone has a speck too, and a smudge that hides a part of the bright
    ball.
    """
    (folder / "imagesTr").mkdir(parents=True)
    (folder / "labelsTr").mkdir()
    for n, shape in enumerate(SHAPES):
        volume, balls = samples.scan_of_parts(shape, np.diag([spacing, spacing, spacing, 1.0]), seed=n)
        labels = (BRIGHT * balls["bright"] + DARK * balls["dark"]).astype(np.uint8)
        if n == 1:
            labels[10:13, 18:21, 16:19] = SPECK
            labels[:, :, :10][labels[:, :, :10] == BRIGHT] = UNKNOWN
        sitk.WriteImage(image_of(volume), str(folder / "imagesTr" / f"case_{n}_0000.nii.gz"))
        sitk.WriteImage(image_of(volume.with_array(labels)), str(folder / "labelsTr" / f"case_{n}.nii.gz"))
    (folder / "labels.csv").write_text(TABLE)
    (folder / "participants.tsv").write_text(
        "participant_id\tsex\tage\tscanner\ncase_0\tF\t20\tA\ncase_1\tM\tn/a\tB\ncase_2\tF\t22\tA\n"
    )
    return folder


@pytest.fixture(scope="module")
def balls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_balls(tmp_path_factory.mktemp("data") / "balls")


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package that finds by example what differs in brightness, was trained on case_1, and has classes (of no
    meaning) called "Balls" and "speck".
    """
    tree = LabelTree((Label(1, "Balls"), Label(2, "speck"), Label(3, "Rest")))
    made = samples.seeing_network(tree)
    spec = InputSpec(spacing=(3.0, 3.0, 3.0))
    return samples.package(
        tmp_path_factory.mktemp("packages"), samples.SEEING, tree, (48, 48, 48), spec=spec, made=made
    ).path


@pytest.fixture
def segmenter(package: Path) -> Segmenter:
    return Segmenter.from_package(package, "cpu")


def call(monkeypatch: pytest.MonkeyPatch, *words: str | Path) -> None:
    monkeypatch.setattr("sys.argv", ["by_example.py", *map(str, words)])
    main()


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_the_table_has_a_row_a_way_and_the_labels_shown_are_found(
    balls: Path, package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = (
        "--atlases",
        "case_0",
        "--cases",
        "case_1",
        "case_2",
        "--registration",
        "affine",
        "--device",
        "cpu",
        "-o",
        tmp_path / "out",
    )
    call(monkeypatch, package, balls, *arguments)
    text = (tmp_path / "out" / "table.md").read_text(encoding="utf-8")
    header, _, *rows = (
        [cell.strip() for cell in line.strip("| ").split(" | ")] for line in text.splitlines() if line.startswith("|")
    )
    assert header == ["way", "all", "Balls", "seconds before", "seconds a scan"]
    assert [row[0] for row in rows] == [
        "by example",
        "by example, inside the parent",
        "by example, pooled",
        "registration, affine",
    ]
    assert float(rows[0][2]) > 0.7
    assert float(rows[3][2]) > 0.8
    assert float(rows[3][-1]) > 0  # the network over a tiny scan may take less than is shown
    found = rows_of(tmp_path / "out" / "by-example.csv")
    labels = {case: [row["label"] for row in found if row["case"] == case] for case in ("case_1", "case_2")}
    assert labels == {"case_1": ["Bright ball", "Dark ball", "Speck"], "case_2": ["Bright ball", "Dark ball"]}
    assert float(rows[0][1]) == pytest.approx(np.mean([float(row["dice"]) for row in found]), abs=6e-4)
    assert "WARNING: the package was trained on case_1" in text


@pytest.mark.slow
def test_a_label_that_no_atlas_has_is_named_and_counts_as_not_found(
    balls: Path, package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    call(
        monkeypatch,
        package,
        balls,
        "--atlases",
        "case_0",
        "--cases",
        "case_1",
        "--registration",
        "affine",
        "--device",
        "cpu",
        "-o",
        tmp_path,
    )
    assert "1 of 3 labels are in no atlas and count as not found: Speck." in (tmp_path / "table.md").read_text(
        encoding="utf-8"
    )
    for way in ("by-example", "registration-affine"):
        speck = next(row for row in rows_of(tmp_path / f"{way}.csv") if row["label"] == "Speck")
        assert (float(speck["dice"]), float(speck["sensitivity"])) == (0, 0)


def test_labels_of_several_atlases_are_averaged_and_those_of_one_are_kept(balls: Path, segmenter: Segmenter) -> None:
    one, other, both = (
        ExampleAnswers(segmenter, ask(balls, atlases, ["case_2"])).prompts
        for atlases in (["case_0"], ["case_1"], ["case_1", "case_0"])
    )
    assert (list(one), list(other), list(both)) == ([1, 2], [1, 2, 3], [1, 2, 3])
    assert np.allclose(both[2].vector, (np.array(one[2].vector) + other[2].vector) / 2)
    assert both[3].vector == other[3].vector


def test_an_atlas_that_has_none_of_the_labels_leaves_them_to_the_others(balls: Path, segmenter: Segmenter) -> None:
    one, both = (
        ExampleAnswers(segmenter, ask(balls, atlases, ["case_2"], ["Speck"])).prompts
        for atlases in (["case_1"], ["case_0", "case_1"])
    )
    assert one == both


def test_the_parent_is_the_nearest_label_above_that_the_model_has_too(balls: Path, segmenter: Segmenter) -> None:
    """A label is not its own parent: "speck" is known to the model, but nothing above it."""
    model = ExampleAnswers(segmenter, ask(balls, ["case_1"], ["case_2"]))
    assert {model.question.labels.leaves[n - 1].name: parent for n, parent in model.parents.items()} == {
        "Bright ball": "Balls",
        "Dark ball": "Balls",
    }


def test_inside_the_parent_a_label_is_found_nowhere_else(balls: Path, segmenter: Segmenter) -> None:
    question = ask(balls, ["case_1"], ["case_2"])
    model = ExampleAnswers(segmenter, question)
    scan, _ = question.read(question.cases[0])
    features = model.features(question.cases[0], scan)
    allowed = features.segment(["Balls"]).label_map.array[0] > 0
    found, anywhere = model.found(features, model.prompts, True), model.found(features, model.prompts, False)
    in_ball = np.isin(anywhere, (1, 2))
    assert 0 < (in_ball & allowed).sum() < in_ball.sum()
    assert not np.isin(found, (1, 2))[~allowed].any()
    assert (found == anywhere)[allowed].all()
    assert model.prompts[1].parent == ""


def test_without_a_parent_that_the_model_knows_there_is_no_row_for_it(balls: Path, tmp_path: Path) -> None:
    tree = LabelTree((Label(1, "Something"), Label(2, "Else")))
    made = samples.package(
        tmp_path,
        samples.SEEING,
        tree,
        (48, 48, 48),
        spec=InputSpec(spacing=(3.0, 3.0, 3.0)),
        made=samples.seeing_network(tree),
    )
    answers = answer(
        ExampleAnswers(Segmenter.from_package(made.path, "cpu"), ask(balls, ["case_0"], ["case_2"])),
        [],
        tmp_path / "out",
    )
    assert list(answers) == [BY_EXAMPLE, POOLED]


def test_a_label_called_like_one_of_the_model_gets_another_name(balls: Path, segmenter: Segmenter) -> None:
    prompts = ExampleAnswers(segmenter, ask(balls, ["case_1"], ["case_2"])).prompts
    assert [prompt.name for prompt in prompts.values()] == ["Bright ball", "Dark ball", "Speck, by example"]


def test_a_parent_may_be_shown_as_one_label(balls: Path, segmenter: Segmenter, tmp_path: Path) -> None:
    question = ask(balls, ["case_0"], ["case_2"], ["Balls"])
    _, targets = question.read(question.cases[0])
    labels = sitk.GetArrayFromImage(sitk.ReadImage(str(balls / "labelsTr" / "case_2.nii.gz")))
    assert ((targets == 1) == np.isin(labels, (BRIGHT, DARK))).all()
    (row,) = answer(ExampleAnswers(segmenter, question), [], tmp_path)[BY_EXAMPLE]["case_2"].rows
    assert question.labels[row.label].name == "Balls"


def test_voxels_with_an_ignored_id_are_neither_shown_nor_scored(
    balls: Path, segmenter: Segmenter, tmp_path: Path
) -> None:
    """The part of the bright ball under the smudge is found, and is no false positive."""
    question = ask(balls, ["case_0"], ["case_1"], ["Bright ball"])
    model = ExampleAnswers(segmenter, question)
    scan, targets = question.read(question.cases[0])
    found = model.found(model.features(question.cases[0], scan), model.prompts, False)
    hidden = targets < 0
    assert (found[hidden] == 1).mean() > 0.5
    (row,) = answer(model, [], tmp_path)[BY_EXAMPLE]["case_1"].rows
    right = ((found == 1) & (targets == 1)).sum()
    assert row.scores.dice == pytest.approx(2 * right / (((found == 1) & ~hidden).sum() + (targets == 1).sum()))


@pytest.mark.slow
def test_the_scale_enlarges_what_is_seen_and_leaves_the_scores_of_voxels(
    balls: Path, package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = write_balls(tmp_path / "small", spacing=0.3)
    for name, data, scale in (("plain", balls, "1"), ("scaled", small, "10")):
        arguments = (
            "--atlases",
            "case_0",
            "--cases",
            "case_2",
            "--registration",
            "affine",
            "--scale",
            scale,
            "--device",
            "cpu",
            "-o",
            tmp_path / name,
        )
        call(monkeypatch, package, data, *arguments)
    for way in ("by-example", "by-example-inside-the-parent", "registration-affine"):
        plain, scaled = (rows_of(tmp_path / name / f"{way}.csv") for name in ("plain", "scaled"))
        for one, other in zip(plain, scaled, strict=True):
            assert float(one["dice"]) == pytest.approx(float(other["dice"]), abs=0.02)  # headers hold single precision
            assert float(one["volume_error_ml"]) == pytest.approx(1000 * float(other["volume_error_ml"]), abs=0.5)
    with pytest.raises(SystemExit, match="too small for this model"):
        call(
            monkeypatch,
            package,
            write_balls(tmp_path / "tiny", spacing=0.03),
            "--atlases",
            "case_0",
            "--cases",
            "case_2",
            "--device",
            "cpu",
            "-o",
            tmp_path / "none",
        )


def test_several_atlases_vote_by_registration(balls: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    question = ask(balls, ["case_0", "case_1"], ["case_2"])
    opinions = {case.name: np.full(SHAPES[2], n, dtype=np.int16) for n, case in enumerate(question.atlases)}
    opinions["case_0"][:10] = -1
    opinions["case_1"][5:10] = question.code.classes  # an undivided parent
    order = iter(opinions.values())
    monkeypatch.setattr(example_answers, "carried", lambda *_: next(order))
    found = by_registration(question, question.read(question.cases[0])[0], "affine")
    assert (found[:5] == 1).all()
    assert (found[5:] == 0).all()


def test_what_is_known_of_a_scan_is_told_as_far_as_the_model_has_a_field(balls: Path, segmenter: Segmenter) -> None:
    model = ExampleAnswers(segmenter, ask(balls, ["case_0"], ["case_1"]))
    assert model.told(model.question.atlases[0]) == {"sex": "F", "age": "20"}
    assert model.told(model.question.cases[0]) == {"sex": "M"}


@pytest.mark.slow
def test_an_interrupted_run_goes_on_with_what_is_missing(
    balls: Path, package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = (
        package,
        balls,
        "--atlases",
        "case_0",
        "--cases",
        "case_1",
        "case_2",
        "--device",
        "cpu",
        "-o",
        tmp_path / "out",
    )
    features, seen = ExampleAnswers.features, []

    def interrupted(self: ExampleAnswers, case: CaseFiles, scan: Volume) -> Features:
        seen.append(case.name)
        if seen == ["case_1", "case_2"]:
            raise KeyboardInterrupt
        return features(self, case, scan)

    monkeypatch.setattr(ExampleAnswers, "features", interrupted)
    with pytest.raises(SystemExit) as ended:
        call(monkeypatch, *arguments)
    assert ended.value.code == 130
    kept = tmp_path / "out" / "by-example" / "case_1.json"
    time = kept.stat().st_mtime_ns
    call(monkeypatch, *arguments)
    assert seen == ["case_1", "case_2", "case_2"]
    assert kept.stat().st_mtime_ns == time
    table = (tmp_path / "out" / "table.md").read_text(encoding="utf-8")
    monkeypatch.setattr(Segmenter, "examples", None)
    call(monkeypatch, *arguments)  # nothing is missing, so that neither atlas nor case is run
    assert seen == ["case_1", "case_2", "case_2"]
    assert (tmp_path / "out" / "table.md").read_text(encoding="utf-8") == table


def test_a_way_that_is_added_later_computes_that_way_alone(
    balls: Path, segmenter: Segmenter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    question = ask(balls, ["case_0"], ["case_2"])
    before = answer(ExampleAnswers(segmenter, question), [], tmp_path)
    monkeypatch.setattr(ExampleAnswers, "features", None)
    after = answer(ExampleAnswers(segmenter, question), ["affine"], tmp_path)
    assert list(after) == [BY_EXAMPLE, INSIDE, POOLED, f"{REGISTRATION}affine"]
    assert after[INSIDE] == before[INSIDE]


@pytest.mark.parametrize("changed", ["atlases", "labels", "scale", "package"])
def test_a_folder_with_the_scores_of_another_question_is_refused(
    balls: Path, segmenter: Segmenter, tmp_path: Path, changed: str
) -> None:
    keep_to(tmp_path, asked(ask(balls, ["case_0"], ["case_2"]), segmenter.package), "the scores")
    keep_to(tmp_path, asked(ask(balls, ["case_0"], ["case_1"]), segmenter.package), "the scores")
    atlases, labels, scale = (
        ["case_1"] if changed == "atlases" else ["case_0"],
        ["Speck"] if changed == "labels" else [],
        2.0 if changed == "scale" else 1.0,
    )
    package = samples.package(tmp_path / "other") if changed == "package" else segmenter.package
    with pytest.raises(SystemExit, match=f"keeps the scores of another question \\(other {changed}\\)"):
        keep_to(tmp_path, asked(ask(balls, atlases, ["case_2"], labels, scale), package), "the scores")


def test_the_labels_by_example_can_be_written_and_read_again(
    balls: Path, package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    call(
        monkeypatch,
        package,
        balls,
        "--atlases",
        "case_1",
        "--cases",
        "case_2",
        "--labels",
        "Bright ball, Speck",
        "--prompts",
        "--device",
        "cpu",
        "-o",
        tmp_path,
    )
    files = sorted((tmp_path / "prompts").iterdir())
    assert [path.name for path in files] == ["Bright-ball.lcs-label.json", "Speck-by-example.lcs-label.json"]
    assert [read_prompt(path).name for path in files] == ["Bright ball", "Speck, by example"]


def test_the_number_of_threads_holds_for_network_and_registration(
    balls: Path, package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(os, "environ", os.environ.copy())
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    monkeypatch.setattr(sitk.ProcessObject, "SetGlobalDefaultNumberOfThreads", asked.append)
    with pytest.raises(SystemExit, match="no case called"):
        call(monkeypatch, package, balls, "--atlases", "none", "--cases", "case_2", "--threads", "1", "-o", tmp_path)
    assert asked == [1, 1]
    assert os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] == "1"  # which ANTs reads


def test_missing_ants_is_told_before_anything_is_computed(
    balls: Path, package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ants", None)
    words = ("--atlases", "case_0", "--cases", "case_2", "--registration", "demons", "syn", "-o", tmp_path / "out")
    with pytest.raises(SystemExit, match="needs the package antspyx"):
        call(monkeypatch, package, balls, *words)
    assert not (tmp_path / "out").exists()


def test_the_page_and_the_means_are_written_for_every_way(
    balls: Path, package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    call(monkeypatch, package, balls, "--atlases", "case_0", "--cases", "case_2", "--device", "cpu", "-o", tmp_path)
    for way in ("by-example", "by-example-inside-the-parent"):
        overall = json.loads((tmp_path / f"{way}.json").read_text(encoding="utf-8"))["overall"]
        assert overall["pairs"] == 2
        assert "<h1>" in (tmp_path / f"{way}.html").read_text(encoding="utf-8")


def test_a_page_that_cannot_be_written_is_one_sentence(
    balls: Path, package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "by-example.html").mkdir()
    with pytest.raises(SystemExit, match=r"by-example\.\w+\" could not be written"):
        call(monkeypatch, package, balls, "--atlases", "case_0", "--cases", "case_2", "--device", "cpu", "-o", tmp_path)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--atlases", "case_0", "--cases", "case_0", "case_1"], "case_0 cannot be an atlas and a case"),
        (["--atlases", "case_0", "--cases", "case_7"], "has no case called case_7"),
        (["--atlases", "case_8", "--cases", "case_0"], "has no case called case_8"),
        (
            ["--atlases", "case_0", "--cases", "case_1", "--labels", "Bright bal"],
            'knows no label "Bright bal". Nearest: "Bright ball"',
        ),
        (["--atlases", "case_0", "--cases", "case_1", "--labels", "Balls,Dark ball"], 'lies under "Balls"'),
        (
            ["--atlases", "case_0", "--cases", "case_1", "--labels", "Speck"],
            "None of the labels is in any of the atlases",
        ),
        (["--atlases", "case_0", "--cases", "case_1", "--scale", "0"], "The scale 0 is impossible"),
        (["--atlases", "case_0", "--cases", "case_1", "--scale", "nan"], "The scale nan is impossible"),
        (["--atlases", "case_0", "--cases", "case_1", "--threads", "0"], "At least one thread"),
    ],
)
def test_what_cannot_be_answered_is_refused_with_a_sentence(
    balls: Path, package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], sentence: str
) -> None:
    with pytest.raises(SystemExit) as refused:
        call(monkeypatch, package, balls, *words, "--device", "cpu", "-o", tmp_path / "out")
    assert sentence in str(refused.value)


def test_a_package_that_learns_nothing_from_examples_is_refused(
    balls: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = samples.package(tmp_path, replace(samples.TINY, conditioning="decoder")).path
    with pytest.raises(SystemExit, match="was not trained to learn labels from examples"):
        call(monkeypatch, package, balls, "--atlases", "case_0", "--cases", "case_1", "--device", "cpu", "-o", tmp_path)


def test_a_folder_that_cannot_be_made_is_refused_before_anything_runs(
    balls: Path, package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(ExampleAnswers, "features", None)
    with pytest.raises(SystemExit, match="cannot be written to"):
        call(
            monkeypatch,
            package,
            balls,
            "--atlases",
            "case_0",
            "--cases",
            "case_1",
            "--device",
            "cpu",
            "-o",
            tmp_path / "file" / "out",
        )


def test_labels_on_another_grid_than_their_scan_are_refused(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = write_balls(tmp_path / "data")
    (data / "labelsTr" / "case_1.nii.gz").write_bytes((data / "labelsTr" / "case_2.nii.gz").read_bytes())
    with pytest.raises(SystemExit, match="does not lie on the grid of its scan"):
        call(
            monkeypatch,
            package,
            data,
            "--atlases",
            "case_0",
            "--cases",
            "case_1",
            "--device",
            "cpu",
            "-o",
            tmp_path / "out",
        )
