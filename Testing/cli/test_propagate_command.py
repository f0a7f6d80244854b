"""`lcs propagate`: from strokes in files to structures in files, alone, with a network, in a batch, and refused."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import slicerio
from LabelConditionedSegmentationLib.cli.main import main
from LabelConditionedSegmentationLib.core.scan.itk import LPS_TO_RAS
from LabelConditionedSegmentationLib.core.scan.volume import Array, Volume

from Testing import samples
from Testing.cli.command import contents, lcs, one_sentence, read_back, same_place, write_scan
from Testing.samples import dice

AFFINE = np.array([[-1.0, 0, 0, 31.5], [0, -1.0, 0, 12.25], [0, 0, 1.0, -70.0], [0, 0, 0, 1]])
BRIGHT, DARK, BACK = 3, 7, 9


@dataclass(frozen=True)
class StrokePlace:
    """A scan with a bright and a dark ball, where they are, lines painted on them and around, and a folder."""

    scan: Path
    balls: dict[str, Array]
    painted: Array
    folder: Path

    def label_map(self, name: str = "strokes.nii.gz", painted: Array | None = None, affine: Array = AFFINE) -> Path:
        voxels = self.painted if painted is None else painted
        return write_scan(self.folder / name, Volume(voxels[None], affine))

    def segmentation(self, names: tuple[str, ...], name: str = "strokes.seg.nrrd") -> Path:
        path = self.folder / name
        segments = [
            {"id": f"s{value}", "name": called, "color": [0.1, 0.5, 0.9], "labelValue": value, "layer": 0}
            for called, value in zip(names, (BRIGHT, DARK, BACK), strict=False)
        ]
        whole = {"voxels": self.painted.T, "ijkToLPS": LPS_TO_RAS @ AFFINE, "segments": segments}
        slicerio.write_segmentation(str(path), whole | {"containedRepresentationNames": ["Binary labelmap"]})
        return path


def strokes_on(balls: dict[str, Array]) -> Array:
    """Lines through the middle of both balls along i, and one of background around both in one slice each."""
    painted = np.zeros(balls["bright"].shape, dtype=np.uint8)
    for value, ball in ((BRIGHT, balls["bright"]), (DARK, balls["dark"])):
        k, j, _ = (int(n.mean()) for n in np.nonzero(ball))
        inside = np.flatnonzero(ball[k, j])
        painted[k, j, inside[1] : inside[-1]] = value
        for row in (j - 9, j + 9):
            if 0 <= row < ball.shape[1]:
                painted[k, row, 12:28] = BACK
    return painted


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Array]]:
    scan, balls = samples.scan_of_parts(affine=AFFINE)
    return write_scan(tmp_path_factory.mktemp("given") / "scan.nii.gz", scan), balls


@pytest.fixture
def place(given: tuple[Path, dict[str, Array]], tmp_path: Path) -> StrokePlace:
    scan, balls = given
    return StrokePlace(scan, balls, strokes_on(balls), tmp_path)


@pytest.fixture(scope="module")
def seeing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose features are how bright voxels are."""
    folder = tmp_path_factory.mktemp("model")
    made = samples.seeing_network()
    return samples.package(folder, samples.SEEING, patch=(64, 64, 64), name="seeing", made=made).path


def test_strokes_of_a_label_map_become_structures_of_the_same_values(place: StrokePlace) -> None:
    out = place.folder / "out.nii.gz"
    assert main(["propagate", str(place.scan), str(place.label_map()), "-o", str(out), "--background", "9"]) == 0
    voxels, _ = read_back(out)
    assert set(np.unique(voxels)) == {0, BRIGHT, DARK}
    assert dice(voxels == BRIGHT, place.balls["bright"]) > 0.97
    assert dice(voxels == DARK, place.balls["dark"]) > 0.97
    assert same_place(out, place.scan)
    assert np.array_equal(voxels[place.painted == BRIGHT], [BRIGHT] * int((place.painted == BRIGHT).sum()))


def test_the_json_beside_a_label_map_names_its_strokes(place: StrokePlace) -> None:
    values = {"3": {"name": "Bright", "color": [1, 0, 0]}, "7": {"name": "Dark"}, "9": {"name": "background"}}
    (place.folder / "strokes.json").write_text(json.dumps({"values": values}))
    out = place.folder / "out.nii.gz"
    assert main(["propagate", str(place.scan), str(place.label_map()), "-o", str(out)]) == 0
    named = json.loads((place.folder / "out.json").read_text())["values"]
    assert {value: entry["name"] for value, entry in named.items()} == {"3": "Bright", "7": "Dark"}
    assert named["3"]["color"] == [1, 0, 0]


def test_segments_become_segments_of_the_same_names_and_colours(place: StrokePlace) -> None:
    path = place.segmentation(("Bright ball", "Dark ball", "Background"))
    out = place.folder / "out.seg.nrrd"
    assert main(["propagate", str(place.scan), str(path), "-o", str(out)]) == 0
    found = slicerio.read_segmentation(str(out))
    assert [(s["name"], s["color"]) for s in found["segments"]] == [
        ("Bright ball", [0.1, 0.5, 0.9]),
        ("Dark ball", [0.1, 0.5, 0.9]),
    ]
    value = found["segments"][0]["labelValue"]
    voxels = found["voxels"].T
    assert dice(voxels == value, place.balls["bright"]) > 0.97


def test_an_empty_segment_is_left_out_and_told(place: StrokePlace, capsys: pytest.CaptureFixture[str]) -> None:
    place.painted[place.painted == DARK] = 0
    path = place.segmentation(("Bright ball", "Dark ball", "Background"))
    assert main(["propagate", str(place.scan), str(path), "-o", str(place.folder / "out.seg.nrrd")]) == 0
    assert 'nothing is painted as "Dark ball"' in capsys.readouterr().err


def test_certainty_and_probabilities_agree_with_the_structures(place: StrokePlace) -> None:
    out, sure, maps = (place.folder / f"{name}.nii.gz" for name in ("out", "sure", "maps"))
    words = ["propagate", str(place.scan), str(place.label_map()), "-o", str(out), "--background", "9"]
    assert main([*words, "--certainty", str(sure), "--probabilities", str(maps)]) == 0
    voxels, certain, probable = read_back(out)[0], read_back(sure)[0], read_back(maps)[0]
    assert probable.shape == (2, *voxels.shape)
    assert 0 <= certain.min() < certain.max() <= 1
    assert certain[place.painted > 0].min() == pytest.approx(1)
    assert (probable[0][voxels == BRIGHT] > 1 / 3).all()
    background = 1 - probable.sum(0)
    entropy = -sum(p * np.log(np.clip(p, 1e-9, 1)) for p in (*probable, background))
    assert np.abs(certain - (1 - entropy / np.log(3))).max() < 5e-3


def test_walks_can_go_over_what_a_network_found(place: StrokePlace, seeing: Path) -> None:
    out = place.folder / "out.nii.gz"
    words = ["propagate", str(place.scan), str(place.label_map()), "-o", str(out), "--background", "9"]
    assert main([*words, "--model", str(seeing), "--device", "cpu", "--features"]) == 0
    assert dice(read_back(out)[0] == BRIGHT, place.balls["bright"]) > 0.9


def test_a_prior_that_knows_nothing_of_the_strokes_is_refused(
    place: StrokePlace, seeing: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["propagate", str(place.scan), str(place.label_map()), "-o", str(place.folder / "out.nii.gz")]
    assert main([*words, "--model", str(seeing), "--device", "cpu", "--prior"]) == 2
    assert "knows none of the painted structures" in one_sentence(capsys.readouterr().err)


@pytest.mark.parametrize("ways", [["--prior"], ["--features", "--prior"]], ids=" ".join)
def test_strokes_mend_the_answer_of_a_network_where_they_are_painted(
    ways: list[str], place: StrokePlace, seeing: Path
) -> None:
    """One class alone: the rest is what the network says. Values without a name are ids of its labels."""
    answer = place.folder / "answer.nii.gz"
    name = "Left Hippocampus"
    words = ["--model", str(seeing), "--device", "cpu"]
    assert main(["segment", str(place.scan), "-o", str(answer), "--labels", name, *words]) == 0
    value = samples.label_tree().find(name).id
    before = read_back(answer)[0] == value
    assert not before[place.painted == BRIGHT].all()
    strokes = place.label_map(painted=((place.painted == BRIGHT) * value).astype(np.uint8))
    out = place.folder / "out.nii.gz"
    assert main(["propagate", str(place.scan), str(strokes), "-o", str(out), *ways, *words]) == 0
    mended = read_back(out)[0] == value
    assert mended[place.painted == BRIGHT].all()
    named = json.loads((place.folder / "out.json").read_text())["values"]
    assert named[str(value)]["name"] == name


def test_a_batch_goes_on_after_a_bad_pair(place: StrokePlace, capsys: pytest.CaptureFixture[str]) -> None:
    bad = place.label_map("bad.nii.gz", np.zeros_like(place.painted))
    good = place.segmentation(("Bright", "Dark", "Background"))
    second = write_scan(place.folder / "second.nii.gz", samples.scan_of_parts(affine=AFFINE, seed=3)[0])
    words = ["propagate", str(place.scan), str(bad), str(second), str(good), "-o", str(place.folder / "out") + "/"]
    assert main(words) == 1
    assert "1 of 2 scans failed" in capsys.readouterr().err
    assert [path.name for path in sorted((place.folder / "out").iterdir())] == ["second.seg.nrrd"]
    assert main([*words, "--skip-existing"]) == 1  # the bad one is tried again


def test_a_structure_that_reaches_the_end_of_the_box_is_told(
    place: StrokePlace, capsys: pytest.CaptureFixture[str]
) -> None:
    painted = np.zeros_like(place.painted)
    painted[18, 22, 18:22], painted[18, 24, 18:22] = BRIGHT, DARK
    words = ["propagate", str(place.scan), str(place.label_map(painted=painted)), "-o", str(place.folder / "o.mha")]
    assert main(words) == 0
    assert '"Label 3" reaches the border of the box' in capsys.readouterr().err


Make = Callable[[StrokePlace], list[str]]


def with_strokes(change: Callable[[Array], Array], *words: str) -> Make:
    def make(place: StrokePlace) -> list[str]:
        return [str(place.scan), str(place.label_map(painted=change(place.painted.copy()))), *words]

    return make


def elsewhere(place: StrokePlace) -> list[str]:
    shifted = AFFINE.copy()
    shifted[0, 3] += 500
    return [str(place.scan), str(place.label_map(affine=shifted))]


def other_grid(place: StrokePlace) -> list[str]:
    return [str(place.scan), str(place.label_map(affine=AFFINE @ np.diag([2.0, 2, 2, 1])))]


def shared_voxels(place: StrokePlace) -> list[str]:
    path = place.folder / "both.seg.nrrd"
    layers = np.stack([(place.painted == BRIGHT).T, (place.painted > 0).T]).astype(np.uint8)
    segments = [{"id": f"s{n}", "name": f"S{n}", "color": [1, 0, 0], "labelValue": 1, "layer": n} for n in (0, 1)]
    whole = {"voxels": layers, "ijkToLPS": LPS_TO_RAS @ AFFINE, "segments": segments}
    slicerio.write_segmentation(str(path), whole | {"containedRepresentationNames": ["Binary labelmap"]})
    return [str(place.scan), str(path)]


REFUSED: dict[str, tuple[Make, str]] = {
    "one class": (with_strokes(lambda p: p * (p == BRIGHT)), "one class"),
    "background alone": (with_strokes(lambda p: p * (p == BACK), "--background", "9"), "one class"),
    "nothing painted": (with_strokes(np.zeros_like), "No stroke was painted"),
    "outside": (elsewhere, "outside of its scan"),
    "another grid": (other_grid, "does not lie on the voxels"),
    "no whole numbers": (
        lambda p: [str(p.scan), str(p.label_map(painted=p.painted * np.float32(0.3)))],
        "whole numbers",
    ),
    "the scan as strokes": (lambda p: [str(p.scan), str(p.scan)], "no label map of strokes"),
    "shared voxels": (shared_voxels, "share"),
    "unknown background": (with_strokes(lambda p: p, "--background", "Air"), 'no strokes called "Air"'),
    "strokes missing": (lambda p: [str(p.scan)], "Every scan needs its strokes"),
    "strokes not there": (lambda p: [str(p.scan), "missing.nii.gz"], "There is no file"),
    "strokes of no kind": (lambda p: [str(p.scan), str(Path(__file__))], "holds no strokes"),
    "model for nothing": (with_strokes(lambda p: p, "--model", "brain"), "--features or --prior"),
    "metadata for nothing": (with_strokes(lambda p: p, "--metadata", "age=3"), "--features or --prior"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_is_refused_with_a_sentence(
    name: str, place: StrokePlace, capsys: pytest.CaptureFixture[str]
) -> None:
    make, says = REFUSED[name]
    words = make(place)
    before = contents(place.folder)
    assert main(["propagate", *words, "-o", str(place.folder / "out.seg.nrrd")]) == 2
    assert says in one_sentence(capsys.readouterr().err)
    assert contents(place.folder) == before


def test_a_box_larger_than_the_memory_is_refused(
    place: StrokePlace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("LabelConditionedSegmentationLib.core.strokes.propagation.free_memory", lambda _: 2**20)
    words = ["propagate", str(place.scan), str(place.label_map()), "-o", str(place.folder / "o.mha")]
    assert main(words) == 2
    assert "larger than the memory" in one_sentence(capsys.readouterr().err)


def test_an_input_is_never_replaced(place: StrokePlace, capsys: pytest.CaptureFixture[str]) -> None:
    strokes = place.label_map()
    assert main(["propagate", str(place.scan), str(strokes), "-o", str(strokes), "--overwrite"]) == 2
    assert "would replace" in one_sentence(capsys.readouterr().err)


def test_it_runs_as_a_command_of_its_own(place: StrokePlace) -> None:
    done: subprocess.CompletedProcess[str] = lcs(
        "propagate", place.scan, place.label_map(), "-o", place.folder / "out.mha", "--background", "9"
    )
    assert done.returncode == 0, done.stderr
    assert sitk.ReadImage(str(place.folder / "out.mha")).GetSize() == sitk.ReadImage(str(place.scan)).GetSize()
