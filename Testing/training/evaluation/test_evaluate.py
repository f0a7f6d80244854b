"""Scoring a package: what is compared with what, which cases and labels count, and the files and the page that are
written.
"""

from __future__ import annotations

import base64
import csv
import io
import json
import math
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from LabelConditionedSegmentationLib.core.errors import InputError, LabelError, OutputError
from LabelConditionedSegmentationLib.core.inference.report import RunReport
from LabelConditionedSegmentationLib.core.inference.result import Result
from LabelConditionedSegmentationLib.core.inference.segmenter import Segmenter
from LabelConditionedSegmentationLib.core.labels.label_tree import Label, LabelTree
from LabelConditionedSegmentationLib.core.scan.volume import Array, Volume
from PIL import Image

from Testing import samples
from Testing.training.made_up_data import write_data_set
from Training.data.datasets import read_data_set
from Training.data.targets import TargetCode
from Training.evaluation.box_plot import box_figure, box_plot
from Training.evaluation.evaluation_page import page
from Training.evaluation.evaluation_pictures import MOST, PREDICTION, SIDE, TRUTH, Picture, draw, worst_of
from Training.evaluation.evaluation_results import (
    Evaluation,
    by_case,
    by_label,
    by_metadata,
    csv_text,
    json_text,
    mean_of,
    table_of_groups,
)
from Training.evaluation.metrics import compare
from Training.evaluation.scan_evaluation import check_stem, compare_labels, evaluate, main, print_summary, write_report
from Training.losses.truth import IGNORE

LEFT, RIGHT, VENTRICLE, ANTERIOR, WHOLE_INSULA, VESSEL = 48, 47, 4, 103, 65, 63
Answer = Callable[[Array], Array]


@pytest.fixture(scope="module")
def data_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data_set(tmp_path_factory.mktemp("data") / "made_up", 4)


@pytest.fixture(scope="module")
def package(data_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package whose labels are those of the data set, with other ids, and one label more; it was
    trained on case_1.
    """
    table = read_data_set(data_set).table
    moved = tuple(
        replace(x, id=x.id + 1000, parent=None if x.parent is None else x.parent + 1000) for x in table.labels
    )
    tree = LabelTree((*moved, Label(7, "Pineal gland")))
    made = samples.package(tmp_path_factory.mktemp("packages"), tree=tree)
    description = json.loads((made.path / "model.json").read_text())
    description["provenance"]["training_cases"] = ["case_1", "case_77"]
    (made.path / "model.json").write_text(json.dumps(description))
    return made.path


class Oracle(Segmenter):
    """A segmenter that knows the truth (ids of the data set), changes it as it was told to, and remembers what it
    heard.
    """

    @staticmethod
    def of(package: Path, data_set: Path, change: Answer = lambda truth: truth) -> Oracle:
        plain = Segmenter.from_package(package, "cpu")
        oracle = Oracle(plain.package, plain.network, plain.plan.device)
        oracle.change, oracle.heard = change, []
        oracle.truths = [
            sitk.GetArrayFromImage(sitk.ReadImage(str(path))) for path in sorted((data_set / "labelsTr").iterdir())
        ]
        oracle.scans = [
            sitk.GetArrayFromImage(sitk.ReadImage(str(path))) for path in sorted((data_set / "imagesTr").iterdir())
        ]
        return oracle

    change: Answer
    heard: list[dict[str, Any]]
    truths: list[Array]
    scans: list[Array]

    def segment(
        self,
        volume: Volume,
        labels: Any = None,
        metadata: Mapping[str, Any] | None = None,
        progress: Any = None,
        cancel: Any = None,
        not_a_label_map: bool = False,
        probabilities: Any = None,
        stripped: str = "auto",
        adaptation: Any = None,
    ) -> Result:
        self.heard.append(dict(metadata or {}))
        number = next(n for n, scan in enumerate(self.scans) if np.array_equal(scan, volume.array[0]))
        answer = self.change(self.truths[number].astype(np.int64))
        answer = np.where((answer > 0) & (answer != VESSEL) & (answer != WHOLE_INSULA), answer + 1000, 0)
        return Result((volume.with_array(answer.astype(np.uint16)),), (), RunReport("oracle", "", "cpu"), ())


def swap_left_and_right(truth: Array) -> Array:
    return np.select([truth == LEFT, truth == RIGHT], [RIGHT, LEFT], truth)


def drop_ventricle(truth: Array) -> Array:
    out: Array = np.where(truth == VENTRICLE, 0, truth)
    return out


@pytest.fixture(scope="module")
def imperfect(package: Path, data_set: Path) -> Evaluation:
    """An answer without any ventricle, whose left hippocampus is one voxel too far back."""

    def change(truth: Array) -> Array:
        left = np.roll(truth == LEFT, 1, axis=1)
        return np.where(left, LEFT, drop_ventricle(truth))

    return evaluate(Oracle.of(package, data_set, change), data_set)


def dice_by_name(evaluation: Evaluation, case: str) -> dict[str, float]:
    return {evaluation.tree[ident].name: scores.dice for ident, scores in evaluation.scores(case).items()}


def test_labels_are_matched_by_name_and_those_the_data_set_does_not_know_are_not_scored(
    package: Path, data_set: Path
) -> None:
    evaluation = evaluate(Oracle.of(package, data_set), data_set)
    assert evaluation.cases == ("case_0", "case_1", "case_2", "case_3")
    names = set(dice_by_name(evaluation, "case_1"))
    assert names == {
        "3rd Ventricle",
        "Right Hippocampus",
        "Left Hippocampus",
        "Left AIns anterior insula",
        "Left PIns posterior insula",
    }
    assert all(row.scores.dice == row.scores.surface_dice == 1 for row in evaluation.rows)


def test_a_wrong_side_scores_nothing(package: Path, data_set: Path) -> None:
    dice = dice_by_name(evaluate(Oracle.of(package, data_set, swap_left_and_right), data_set, ["case_1"]), "case_1")
    assert (dice["Left Hippocampus"], dice["Right Hippocampus"], dice["3rd Ventricle"]) == (0, 0, 1)


def test_what_is_found_where_the_truth_is_unknown_counts_neither_way(package: Path, data_set: Path) -> None:
    filled = evaluate(
        Oracle.of(package, data_set, lambda truth: np.where(truth == VESSEL, RIGHT, truth)), data_set, ["case_1"]
    )
    assert dice_by_name(filled, "case_1")["Right Hippocampus"] == 1
    outside = evaluate(
        Oracle.of(package, data_set, lambda truth: np.where(truth == 0, RIGHT, truth)), data_set, ["case_1"]
    )
    assert dice_by_name(outside, "case_1")["Right Hippocampus"] < 0.5


def test_parts_of_a_structure_that_was_not_divided_are_not_scored_but_the_whole_is(
    package: Path, data_set: Path
) -> None:
    """The insula of case_0 is marked as a whole; nobody knows where its anterior part is."""
    anterior = Oracle.of(package, data_set, lambda truth: np.where(truth == WHOLE_INSULA, ANTERIOR, truth))
    assert set(dice_by_name(evaluate(anterior, data_set, ["case_0"]), "case_0")) == {
        "3rd Ventricle",
        "Right Hippocampus",
        "Left Hippocampus",
    }
    whole = evaluate(anterior, data_set, labels=["Left Insula"])
    assert [(row.case, row.scores.dice) for row in whole.rows] == [(f"case_{n}", 1.0) for n in range(4)]


def test_undecided_voxels_are_left_out_for_the_labels_under_their_parent_alone() -> None:
    tree = LabelTree(
        (Label(1, "Whole"), Label(2, "Left part", parent=1), Label(3, "Right part", parent=1), Label(4, "Other"))
    )
    code = TargetCode(tree, tree)
    truth = code.encode(np.array([2, 2, 2, 1, 1, 4, 4, 0])[None, None])
    found = TargetCode(tree, tree).encode(np.array([2, 2, 3, 2, 4, 4, 4, 0])[None, None])
    scores = {label.name: s for label, s in compare_labels(truth, found, code, tree.labels, (1.0, 1.0, 1.0))}
    assert scores["Left part"].dice == pytest.approx(2 * 2 / (3 + 2))
    assert "Right part" not in scores  # none of it is marked, and two voxels may be it
    assert scores["Whole"].dice == pytest.approx(2 * 4 / (5 + 4))
    assert scores["Other"].dice == pytest.approx(2 * 2 / (2 + 3))
    unknown = truth.copy()
    unknown[0, 0, 4] = IGNORE
    assert (
        dict(compare_labels(unknown, found, code, [tree.find("Other")], (1.0, 1.0, 1.0)))[tree.find("Other")].dice == 1
    )


def test_boxes_around_labels_change_no_metric() -> None:
    tree = samples.label_tree(6)
    generator = np.random.default_rng(0)
    truth, found = (generator.integers(0, 7, (9, 10, 11)) for _ in range(2))
    truth[:, :5], found[:, :4] = 0, 0
    code = TargetCode(tree, tree)
    for label, scores in compare_labels(
        truth.astype(np.int16), found.astype(np.int16), code, tree.leaves, (0.7, 1.0, 2.0)
    ):
        n = tree.class_of[label.id]
        assert scores == compare(truth == n, found == n, (0.7, 1.0, 2.0))


def test_labels_that_nobody_looked_for_in_a_case_are_not_scored_there(
    package: Path, data_set: Path, tmp_path: Path
) -> None:
    copy = write_data_set(tmp_path / "partly", 4)
    rows = [
        "participant_id\tannotated",
        "case_0\tn/a",
        "case_1\tLeft Hippocampus;3rd Ventricle",
        "case_2\tn/a",
        "case_3\tn/a",
    ]
    (copy / "participants.tsv").write_text("\n".join(rows) + "\n")
    evaluation = evaluate(Oracle.of(package, copy), copy)
    assert set(dice_by_name(evaluation, "case_1")) == {"3rd Ventricle", "Left Hippocampus"}
    assert len(evaluation.scores("case_2")) == 5


def test_metadata_are_told_withheld_or_those_of_another_case(package: Path, data_set: Path) -> None:
    truth = [{"sex": "F", "age": "20"}, {"sex": "M", "age": "21"}, {"sex": "F", "age": "22"}, {}]
    told, withheld = Oracle.of(package, data_set), Oracle.of(package, data_set)
    evaluate(told, data_set)
    assert told.heard == truth
    kept = evaluate(withheld, data_set, with_metadata=False)
    assert withheld.heard == [{}] * 4
    assert kept.metadata["case_1"] == {"sex": "M", "age": 21}  # groups are made of what is true, whatever was told
    for seed in range(6):
        shuffled, again = Oracle.of(package, data_set), Oracle.of(package, data_set)
        evaluate(shuffled, data_set, shuffle_seed=seed)
        evaluate(again, data_set, shuffle_seed=seed)
        assert shuffled.heard == again.heard
        assert sorted(map(str, shuffled.heard)) == sorted(map(str, truth))
        assert all(heard != true for heard, true in zip(shuffled.heard, truth, strict=True))


def test_groups_of_metadata_are_choices_halves_of_numbers_and_the_unknown(imperfect: Evaluation) -> None:
    groups = by_metadata(imperfect)
    counts = {name: count for name, (count, _) in groups.items()}
    assert counts == {
        "sex = F": 2,
        "sex = M": 1,
        "sex unknown": 1,
        "age up to the median of 21 years": 2,
        "age above the median of 21 years": 1,
        "age unknown": 1,
    }
    assert groups["sex = M"][1] == by_case(imperfect)["case_1"]


def test_means_count_every_pair_once_and_leave_out_what_is_infinite(imperfect: Evaluation) -> None:
    mean = mean_of(imperfect.rows)
    assert mean["pairs"] == len(imperfect.rows) == 3 + 5 + 5 + 5
    assert (mean["missed"], mean["invented"]) == (4, 0)
    assert mean["dice"] == pytest.approx(np.mean([row.scores.dice for row in imperfect.rows]))
    finite = [row.scores.hd95_mm for row in imperfect.rows if math.isfinite(row.scores.hd95_mm)]
    assert len(finite) == mean["pairs"] - 4
    assert mean["hd95_mm"] == pytest.approx(np.mean(finite))
    ventricle = by_label(imperfect)[VENTRICLE + 1000]
    assert (ventricle["missed"], ventricle["dice"], ventricle["relative_volume_error"]) == (4, 0, -1)
    assert math.isnan(ventricle["hd95_mm"])


def test_groups_hold_the_labels_at_any_depth_below_them(imperfect: Evaluation) -> None:
    labels = table_of_groups(imperfect).groupby("group")["label"].nunique()
    sizes = {imperfect.tree[ident].name: count for ident, count in labels.items()}
    assert sizes["Deep gray matter"] == 2
    assert sizes["Cerebral cortex"] == sizes["Insular cortex"] == sizes["Left Insula"] == 2


def test_cases_of_the_training_are_marked(
    imperfect: Evaluation, package: Path, data_set: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    print_summary(imperfect)
    out = capsys.readouterr().out
    assert [line.split()[0] for line in out.splitlines() if "(trained on)" in line] == ["case_1"]
    assert "WARNING" not in out
    assert "1 of these 4 cases" in page(imperfect)
    print_summary(evaluate(Oracle.of(package, data_set), data_set, ["case_1"]))
    assert "trained on ALL" in capsys.readouterr().out


def test_the_table_has_a_row_a_case_and_label(imperfect: Evaluation) -> None:
    rows = list(csv.DictReader(io.StringIO(csv_text(imperfect))))
    assert len(rows) == len(imperfect.rows)
    missed = next(row for row in rows if (row["case"], row["label"]) == ("case_1", "3rd Ventricle"))
    assert (missed["dice"], missed["hd95_mm"], missed["precision"], missed["trained_on"], missed["group"]) == (
        "0",
        "inf",
        "",
        "1",
        "Ventricles and CSF",
    )
    assert float(missed["volume_error_ml"]) < 0


def test_json_has_all_means_and_null_for_what_is_infinite(imperfect: Evaluation) -> None:
    def refuse(word: str) -> None:
        raise ValueError(word)

    content = json.loads(json_text(imperfect), parse_constant=refuse)
    assert content["labels"]["3rd Ventricle"]["hd95_mm"] is None
    assert content["overall"]["missed"] == 4
    assert content["cases"]["case_1"]["trained_on"] is True
    assert content["groups"]["Deep gray matter"]["pairs"] == 8
    assert content["metadata_groups"]["sex = F"]["cases"] == 2


def test_the_page_is_well_formed_and_needs_nothing_from_elsewhere(imperfect: Evaluation) -> None:
    text = page(imperfect)
    root = ET.fromstring(text.split("\n", 1)[1])
    tags = [element.tag.rpartition("}")[2] for element in root.iter()]
    assert not {"script", "link", "iframe", "object"} & set(tags)
    places = [
        value
        for element in root.iter()
        for key, value in element.attrib.items()
        if key in ("src", "href", "srcset", "data")
    ]
    assert places
    assert all(place.startswith("data:image/") for place in places)
    assert "url(" not in text
    assert "@import" not in text
    assert sum(place.startswith("data:image/svg+xml;") for place in places) == 2
    headings = [element.text for element in root.iter("h2")]
    assert headings == [
        "Summary",
        "Dice by group",
        "Labels",
        "Metadata",
        "Cases",
        "Where most went wrong",
        "All labels",
        "Definitions",
    ]
    first = base64.b64decode(next(p for p in places if p.startswith("data:image/jpeg")).partition("base64,")[2])
    assert Image.open(io.BytesIO(first)).size == (3 * SIDE, 2 * SIDE)


def test_names_with_special_letters_are_shown_as_they_are(imperfect: Evaluation) -> None:
    nasty = replace(
        imperfect,
        name='a <b> & "c"',
        tree=LabelTree(tuple(replace(x, name=f"{x.name} <{x.id}> & ") for x in imperfect.tree.labels)),
    )
    root = ET.fromstring(page(nasty).split("\n", 1)[1])
    assert root.findtext("body/h1") == f'a <b> & "c" on {imperfect.data}'
    assert any("<1004> &" in (cell.text or "") for cell in root.iter("td"))


def test_boxes_lie_on_their_scale_in_their_order_and_names_do_not_overlap() -> None:
    series = [
        (f"Structure {n} " + "with a long name " * n, list(np.linspace(0.31 + n / 100, 1.0, 9))) for n in range(8)
    ]
    figure = box_figure(series)
    figure.draw_without_rendering()
    axes = figure.axes[0]
    assert list(axes.get_xlim()) == pytest.approx([0.3, 1])
    boxes = [patch.get_extents() for patch in axes.patches]
    assert np.all(np.diff([box.y0 for box in boxes]) < 0)  # the first at the top
    lower, upper = (np.percentile(series[0][1], part) for part in (25, 75))
    (left, _), (right, _) = axes.transData.transform([(lower, 1), (upper, 1)])
    assert (boxes[0].x0, boxes[0].x1) == (pytest.approx(left), pytest.approx(right))
    names = [text.get_window_extent() for text in axes.get_yticklabels()]
    assert all(above.y0 >= below.y1 for above, below in pairwise(names))
    assert all(figure.bbox.x0 <= name.x0 < name.x1 < axes.bbox.x0 for name in names)


def test_names_in_a_plot_are_no_formulas_and_stay_letters() -> None:
    text = "".join(ET.fromstring(box_plot([("$x_1$ <b> \u6d77\u99ac", [0.5, 0.75])])).itertext())
    assert "$x_1$ <b> \u6d77\u99ac" in text
    assert "n = 2" in text


def test_equal_results_give_equal_plots() -> None:
    series = [("A structure", [0.2, 0.75, 0.9])]
    assert box_plot(series) == box_plot(series)


def test_pictures_show_both_outlines_in_their_place() -> None:
    scan = samples.scan((40, 40, 40))
    truth, found = (np.zeros(scan.shape, dtype=bool) for _ in range(2))
    truth[15:25, 15:25, 8:16] = True  # on the left of what was found, so on the right of the picture
    found[15:25, 15:25, 22:30] = True
    pixels = np.asarray(Image.open(io.BytesIO(draw(scan, truth, found)))).astype(int)
    axial = pixels[SIDE:, :SIDE]
    blue, orange = (np.argwhere(np.abs(axial - color).sum(axis=2) < 60)[:, 1] for color in (TRUTH, PREDICTION))
    assert blue.size > 50
    assert orange.size > 50
    assert orange.max() < blue.min()
    above = pixels[:SIDE, :SIDE]
    assert not (np.abs(above - TRUTH).sum(axis=2) < 60).any()  # the upper row is the scan alone


def test_pictures_are_of_the_worst_labels_each_once(imperfect: Evaluation) -> None:
    kept = worst_of(Picture(f"case_{n}", label, 0.01 * n + 0.1 * label, b"") for n in range(5) for label in range(20))
    assert [(p.case, p.label) for p in kept] == [("case_0", label) for label in range(MOST)]
    assert {p.label for p in imperfect.pictures} == {row.label for row in imperfect.rows if row.scores.dice < 1}


def test_files_appear_whole_or_not_at_all(
    imperfect: Evaluation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_report(imperfect, tmp_path / "run.v2")
    assert {path.name for path in tmp_path.iterdir()} == {"run.v2.csv", "run.v2.json", "run.v2.html"}

    def full(self: Path, *_: Any, **__: Any) -> int:
        if ".html" in self.name:
            raise OSError(28, "No space left on device")
        return write(self, *_, **__)

    write = Path.write_text
    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OutputError, match=r"could not be written.*No space left"):
        write_report(imperfect, tmp_path / "second")
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize(
    ("stem", "words"), [("", "is a folder"), ("result.csv", "leave that out"), ("file/below", "cannot be made")]
)
def test_a_place_that_cannot_be_written_is_refused_before_any_work(tmp_path: Path, stem: str, words: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit, match=words):
        check_stem(tmp_path / stem)


def run(monkeypatch: pytest.MonkeyPatch, *words: object) -> None:
    monkeypatch.setattr(sys, "argv", ["evaluate.py", *map(str, words)])
    main()


def test_the_command_segments_prints_and_writes(
    package: Path, data_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = (
        package,
        data_set,
        "--cases",
        "case_2",
        "--device",
        "cpu",
        "--without-metadata",
        "--labels",
        "Left Insula",
        "Deep gray matter",
    )
    run(monkeypatch, *words, "--output", tmp_path / "new" / "result")
    assert "metadata: withheld from the model" in capsys.readouterr().out
    rows = list(csv.DictReader((tmp_path / "new" / "result.csv").open()))
    assert {(row["case"], row["label"]) for row in rows} == {("case_2", "Left Insula"), ("case_2", "Deep gray matter")}


def test_an_interruption_ends_with_130_and_leaves_no_file(
    package: Path, data_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Segmenter, "segment", interrupted)
    with pytest.raises(SystemExit) as ended:
        run(monkeypatch, package, data_set, "--device", "cpu", "--output", tmp_path / "result")
    assert ended.value.code == 130
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--cases", "case_9"), "case_9"),
        (("--labels", "Left Hipocampus"), 'Nearest: "Left Hippocampus"'),
        (("--labels", "Pineal gland"), '"Pineal gland" cannot be scored'),
        (("--shuffled-metadata", "1", "--cases", "case_0"), "at least two cases"),
        (("--device", "gpu"), "gpu"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(
    package: Path, data_set: Path, words: tuple[str, ...], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit, match=message):
        run(monkeypatch, package, data_set, *words)


def test_a_model_without_a_label_in_common_is_refused(data_set: Path, tmp_path: Path) -> None:
    tree = LabelTree((Label(1, "Liver"), Label(2, "Spleen")))
    segmenter = Segmenter.from_package(samples.package(tmp_path, tree=tree).path, "cpu")
    with pytest.raises(SystemExit, match="no label in common"):
        evaluate(segmenter, data_set)
    with pytest.raises(LabelError):
        evaluate(segmenter, data_set, labels=["Left Hippocampus"])


def test_broken_cases_are_named(package: Path, tmp_path: Path) -> None:
    copy = write_data_set(tmp_path / "broken", 2)
    oracle = Oracle.of(package, copy)
    label = copy / "labelsTr" / "case_1.nii.gz"
    image = sitk.ReadImage(str(label))
    image.SetOrigin((50.0, 0.0, 0.0))
    sitk.WriteImage(image, str(label))
    with pytest.raises(InputError, match=r"case_1\.nii\.gz.*does not lie on the grid"):
        evaluate(oracle, copy)
    (copy / "imagesTr" / "case_0_0000.nii.gz").write_bytes(b"nothing")
    with pytest.raises(InputError, match="case_0"):
        evaluate(oracle, copy)
    (copy / "participants.tsv").write_text("participant_id\tage\tsex\ncase_0\t-5\tF\ncase_1\t20\tx\n")
    with pytest.raises(SystemExit, match=r'2 problems:\n- case_0: .*"age".*\n- case_1: .*"sex"'):
        evaluate(oracle, copy)
