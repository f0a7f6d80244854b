"""`lcs segment` with structures that are shown on an atlas, and with label files that were kept."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
import slicerio
import torch
from LabelConditionedSegmentationLib.cli.main import main
from LabelConditionedSegmentationLib.core.examples.example_prompt import ExamplePrompt, read_prompt, write_prompt
from LabelConditionedSegmentationLib.core.network.trunk import Trunk
from LabelConditionedSegmentationLib.core.scan.itk import LPS_TO_RAS
from LabelConditionedSegmentationLib.core.scan.volume import Array, Volume

from Testing import samples
from Testing.cli.command import ENVIRONMENT, LCS, contents, one_sentence, read_back, same_place, write_scan
from Testing.cli.test_segment_command import write_series
from Testing.samples import dice


@dataclass(frozen=True)
class ExamplePlace:
    """An atlas, masks of its balls "bright" and "dark", another scan with the balls that are to be found on it, a model
    that finds them, and a folder for results.
    """

    atlas: Path
    masks: dict[str, Path]
    scan: Path
    balls: dict[str, Array]
    package: Path
    out: Path

    def words(self, output: str | Path, *more: str | Path, scan: Path | None = None) -> list[str]:
        return [
            "segment",
            str(scan or self.scan),
            "-o",
            str(self.out / output),
            "--model",
            str(self.package),
            *map(str, more),
        ]

    def show(self, ball: str = "bright", mask: Path | None = None, name: str | None = None) -> list[str]:
        return ["--example", str(self.atlas), str(mask or self.masks[ball]), "--name", name or f"{ball} ball"]


AFFINE = np.array([[-1.0, 0, 0, 31.5], [0, -1.0, 0, 12.25], [0, 0, 1.0, -70.0], [0, 0, 0, 1]])


def as_mask(array: Array) -> Volume:
    return Volume(array.astype(np.uint8)[None], AFFINE)


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> ExamplePlace:
    folder = tmp_path_factory.mktemp("given")
    atlas, shown = samples.scan_of_parts(affine=AFFINE)
    scan, balls = samples.scan_of_parts((40, 38, 44), AFFINE, seed=5)
    masks = {name: write_scan(folder / f"{name}.nii.gz", as_mask(mask)) for name, mask in shown.items()}
    package = samples.package(
        folder, samples.SEEING, patch=(64, 64, 64), name="seeing", made=samples.seeing_network()
    ).path
    return ExamplePlace(
        write_scan(folder / "atlas.nii.gz", atlas),
        masks,
        write_scan(folder / "scan.nii.gz", scan),
        balls,
        package,
        folder,
    )


@pytest.fixture
def place(given: ExamplePlace, tmp_path: Path) -> ExamplePlace:
    return ExamplePlace(given.atlas, given.masks, given.scan, given.balls, given.package, tmp_path)


def shown_masks() -> dict[str, Array]:
    return samples.scan_of_parts(affine=AFFINE)[1]


def segments(path: Path) -> dict[str, Array]:
    """Name -> (k, j, i) of a written segmentation."""
    found = slicerio.read_segmentation(str(path))
    voxels = found["voxels"] if found["voxels"].ndim == 4 else found["voxels"][None]
    return {s["name"]: np.equal(voxels[s["layer"]].T, s["labelValue"]) for s in found["segments"]}


# Masks in every form


def write_segments(
    path: Path,
    layers: list[Array],
    names: list[tuple[str, int, int]],
    low: tuple[int, int, int] = (0, 0, 0),
    **fields: Any,
) -> Path:
    """A segmentation as Slicer saves it. layers: (k, j, i) each, that begin at voxel `low` of the atlas; names: of the
    segments, with layer and value.
    """
    affine = AFFINE.copy()
    affine[:3, 3] = (AFFINE @ [*low[::-1], 1.0])[:3]
    voxels = (
        np.stack([layer.astype(np.uint8).T for layer in layers]) if len(layers) > 1 else layers[0].astype(np.uint8).T
    )
    described = [
        {"id": f"Segment_{n}", "name": name, "color": [0.1, 0.2 * n, 0.9], "labelValue": value, "layer": layer}
        for n, (name, layer, value) in enumerate(names, 1)
    ]
    slicerio.write_segmentation(
        str(path), {"voxels": voxels, "ijkToLPS": LPS_TO_RAS @ affine, "segments": described, **fields}
    )
    return path


@pytest.mark.parametrize("suffix", [".nii.gz", ".nii", ".nrrd", ".mha"])
def test_a_structure_shown_by_a_mask_is_found_in_another_scan(suffix: str, place: ExamplePlace) -> None:
    mask = write_scan(place.out / "given" / f"mask{suffix}", as_mask(7 * shown_masks()["bright"]))
    assert main(place.words("found.nii.gz", *place.show(mask=mask))) == 0
    voxels, _ = read_back(place.out / "found.nii.gz")
    assert set(np.unique(voxels)) == {0, 202}
    assert dice(voxels == 202, place.balls["bright"]) > 0.99
    assert same_place(place.out / "found.nii.gz", place.scan)
    names = json.loads((place.out / "found.json").read_text())
    assert {value: entry["name"] for value, entry in names["values"].items()} == {"202": "bright ball"}


@pytest.mark.parametrize(
    "chosen",
    [["--name", "anything", "--segment", "dark ball"], ["--name", "Dark Ball"]],
    ids=["by --segment", "by --name"],
)
@pytest.mark.parametrize("form", ["values of one layer", "layers", "cropped"])
def test_a_structure_shown_by_a_segment_is_found(form: str, chosen: list[str], place: ExamplePlace) -> None:
    balls = shown_masks()
    path, names = place.out / "shown.seg.nrrd", ("bright ball", "dark ball")
    if form == "values of one layer":
        write_segments(path, [balls["bright"] * 1 + balls["dark"] * 2], [(names[0], 0, 1), (names[1], 0, 2)])
    elif form == "layers":  # which overlap
        write_segments(path, [balls["bright"] | balls["dark"], balls["dark"]], [(names[0], 0, 1), (names[1], 1, 1)])
    else:
        write_segments(path, [balls["dark"][5:30, 4:30, 15:38]], [("other", 0, 2), (names[1], 0, 1)], (5, 4, 15))
        assert balls["dark"][5:30, 4:30, 15:38].sum() == balls["dark"].sum()
    assert (
        main(
            place.words(
                "found.seg.nrrd",
                "--example",
                place.atlas,
                path,
                *chosen,
                "--save-label",
                place.out / "l.lcs-label.json",
            )
        )
        == 0
    )
    assert dice(segments(place.out / "found.seg.nrrd")[chosen[1]], place.balls["dark"]) > 0.99
    assert read_prompt(place.out / "l.lcs-label.json").color == pytest.approx((0.1, 0.4, 0.9))  # that of the segment
    assert read_prompt(place.out / "l.lcs-label.json").examples[0]["millilitres"] == pytest.approx(
        balls["dark"].sum() / 1000
    )


def test_the_only_segment_is_taken_whatever_it_is_called(place: ExamplePlace) -> None:
    path = write_segments(place.out / "shown.seg.nrrd", [shown_masks()["bright"]], [("Segment_1", 0, 1)])
    assert main(place.words("found.mha", *place.show(mask=path))) == 0
    assert dice(read_back(place.out / "found.mha")[0] > 0, place.balls["bright"]) > 0.99


@pytest.mark.parametrize(
    "chosen",
    [[], ["--segment", "DARK ball", "--segment", "bright ball"], ["--segment", "dark ball"]],
    ids=["all", "both", "one"],
)
def test_without_a_name_segments_are_structures_of_their_own_names(chosen: list[str], place: ExamplePlace) -> None:
    path = segmentation(place, ("bright ball", "dark ball"))
    words = place.words(
        "found.seg.nrrd",
        "--example",
        place.atlas,
        path,
        *chosen,
        "--inside",
        "Rest",
        "--save-label",
        place.out / "{name}.lcs-label.json",
    )
    assert main(words) == 0
    wanted = {"dark"} if len(chosen) == 2 else {"bright", "dark"}
    found = segments(place.out / "found.seg.nrrd")
    assert set(found) == {f"{ball} ball" for ball in wanted}
    for ball in wanted:
        label = read_prompt(place.out / f"{ball} ball.lcs-label.json")
        assert (label.name, label.parent) == (f"{ball} ball", "Rest")
        assert label.color == pytest.approx((0.1, {"bright": 0.2, "dark": 0.4}[ball], 0.9))
        assert label.examples[0]["millilitres"] == pytest.approx(shown_masks()[ball].sum() / 1000)


def test_structures_shown_together_are_found_apart_and_each_again_by_its_file(place: ExamplePlace) -> None:
    path = segmentation(place, ("bright ball", "dark: ball"))
    assert (
        main(
            place.words(
                "found.nii.gz", "--example", place.atlas, path, "--save-label", place.out / "{name}.lcs-label.json"
            )
        )
        == 0
    )
    names = {
        entry["name"]: int(value)
        for value, entry in json.loads((place.out / "found.json").read_text())["values"].items()
    }
    voxels, _ = read_back(place.out / "found.nii.gz")
    assert dice(voxels == names["bright ball"], place.balls["bright"]) > 0.99
    assert dice(voxels == names["dark: ball"], place.balls["dark"]) > 0.99
    files = [
        word
        for name in ("bright ball", "dark_ ball")
        for word in ("--label-file", str(place.out / f"{name}.lcs-label.json"))
    ]
    assert main(place.words("again.nii.gz", *files)) == 0
    assert np.array_equal(read_back(place.out / "again.nii.gz")[0], voxels)


def test_a_structure_that_several_atlases_show_under_one_name_is_one_label(place: ExamplePlace) -> None:
    (place.out / "given").mkdir()
    first = segmentation(place, ("bright ball", "dark ball"))
    second = write_segments(place.out / "given" / "second.seg.nrrd", [place.balls["dark"]], [("Dark Ball", 0, 1)])
    words: list[str | Path] = [
        "--example",
        place.atlas,
        first,
        "--example",
        place.scan,
        second,
        "--save-label",
        place.out / "{name}.lcs-label.json",
    ]
    assert main(place.words("found.seg.nrrd", *words)) == 0
    assert set(segments(place.out / "found.seg.nrrd")) == {"bright ball", "dark ball"}
    scans = {
        ball: [known["scan"] for known in read_prompt(place.out / f"{ball} ball.lcs-label.json").examples]
        for ball in ("bright", "dark")
    }
    assert scans == {"bright": ["atlas.nii.gz"], "dark": ["atlas.nii.gz", "scan.nii.gz"]}


def test_segments_of_older_files_have_a_layer_each(place: ExamplePlace) -> None:
    balls = shown_masks()
    path = write_segments(
        place.out / "shown.seg.nrrd", [balls["bright"], balls["dark"]], [("bright ball", 0, 1), ("dark ball", 1, 1)]
    )
    header, blank, voxels = path.read_bytes().partition(b"\n\n")
    kept = [line for line in header.split(b"\n") if b"_Layer" not in line and b"_LabelValue" not in line]
    path.write_bytes(b"\n".join(kept) + blank + voxels)
    assert main(place.words("found.mha", *place.show("dark", path))) == 0
    assert dice(read_back(place.out / "found.mha")[0] > 0, place.balls["dark"]) > 0.99


def test_names_with_letters_of_any_language_are_read_and_written(place: ExamplePlace) -> None:
    balls = shown_masks()
    path = write_segments(
        place.out / "shown.seg.nrrd", [balls["bright"] * 1 + balls["dark"] * 2], [("Koerner", 0, 1), ("rest", 0, 2)]
    )
    path.write_bytes(path.read_bytes().replace(b"Koerner", "Körner 層".encode()))  # as Slicer writes it
    assert main(place.words("found.seg.nrrd", *place.show(mask=path, name="KÖRNER 層"))) == 0
    image = sitk.ReadImage(str(place.out / "found.seg.nrrd"))
    assert image.GetMetaData("Segment0_Name") == "KÖRNER 層"
    assert dice(sitk.GetArrayFromImage(image) == 202, place.balls["bright"]) > 0.99


def test_a_folder_of_dicom_can_be_the_atlas(place: ExamplePlace) -> None:
    write_series(place.out / "series", sitk.ReadImage(str(place.atlas)))
    words = place.words("found.mha", "--example", place.out / "series", place.masks["bright"], "--name", "bright ball")
    assert main(words) == 0
    assert dice(read_back(place.out / "found.mha")[0] > 0, place.balls["bright"]) > 0.99


def test_several_examples_become_one_label(place: ExamplePlace) -> None:
    (place.out / "given").mkdir()
    second = write_scan(
        place.out / "given" / "second.nii.gz", Volume(place.balls["bright"].astype(np.uint8)[None], AFFINE)
    )
    label = place.out / "bright.lcs-label.json"
    words = place.words(
        "found.mha",
        *place.show(),
        "--example",
        place.scan,
        second,
        "--save-label",
        label,
        "--example-metadata",
        "age=31",
    )
    assert main(words) == 0
    kept = read_prompt(label)
    assert [known["scan"] for known in kept.examples] == ["atlas.nii.gz", "scan.nii.gz"]
    assert [known["metadata"] for known in kept.examples] == [{"age": 31.0}] * 2
    assert dice(read_back(place.out / "found.mha")[0] > 0, place.balls["bright"]) > 0.99


# Kept labels


@pytest.mark.parametrize("suffix", [".nii.gz", ".seg.nrrd"])
def test_a_kept_label_gives_the_same_file_bit_for_bit(suffix: str, place: ExamplePlace) -> None:
    label = place.out / "labels" / "bright.lcs-label.json"
    assert (
        main(place.words(f"first{suffix}", *place.show(), "--inside", "deep gray MATTER", "--save-label", label)) == 0
    )
    assert main(place.words(f"second{suffix}", "--label-file", label)) == 0
    first, second = ((place.out / f"{name}{suffix}").read_bytes() for name in ("first", "second"))
    if suffix == ".seg.nrrd":  # whose header tells the time
        first, second = (
            b"\n".join(line for line in data.split(b"\n") if not line.startswith(b"# on ")) for data in (first, second)
        )
    assert first == second
    assert read_prompt(label).parent == "Deep gray matter"  # as the model calls it


def test_several_kept_labels_and_a_shown_one_compete(place: ExamplePlace) -> None:
    label = place.out / "dark.lcs-label.json"
    assert main(place.words("dark.mha", *place.show("dark"), "--save-label", label)) == 0
    assert (
        main(
            place.words(
                "both.mha", *place.show("bright"), "--label-file", label, "--volumes", place.out / "volumes.csv"
            )
        )
        == 0
    )
    voxels, _ = read_back(place.out / "both.mha")
    assert dice(voxels == 202, place.balls["bright"]) > 0.99
    assert dice(voxels == 203, place.balls["dark"]) > 0.99
    with (place.out / "volumes.csv").open(newline="") as file:
        rows = {row["label"]: row for row in csv.DictReader(file)}
    assert float(rows["bright ball"]["millilitres"]) == pytest.approx(np.count_nonzero(voxels == 202) / 1000, abs=1e-3)
    assert (rows["dark ball"]["id"], rows["dark ball"]["code"]) == ("203", "")


def test_a_label_stays_inside_the_label_it_was_given(place: ExamplePlace) -> None:
    assert main(place.words("all.mha")) == 0
    assert main(place.words("found.mha", *place.show("dark"), "--inside", "Rest")) == 0
    rest = np.isin(
        read_back(place.out / "all.mha")[0], [leaf.id for leaf in samples.label_tree().leaves if leaf.parent == 201]
    )
    found = read_back(place.out / "found.mha")[0] > 0
    assert np.array_equal(found, found & rest)
    assert 0 < rest.sum() < rest.size


# Beside the labels of the model


@pytest.mark.parametrize(
    "labels",
    [["--labels", "Deep gray matter,Right Hippocampus"], ["--labels", "all"], ["--labels-file", "labels.txt"]],
    ids=str,
)
def test_labels_of_the_model_and_by_example_lie_in_layers_of_one_segmentation(
    labels: list[str], place: ExamplePlace
) -> None:
    (place.out / "labels.txt").write_text("Left Putamen\n")
    labels = [labels[0], labels[1].replace("labels.txt", str(place.out / "labels.txt"))]
    assert main(place.words("both.seg.nrrd", *place.show(), *labels, "--preview", place.out / "picture.png")) == 0
    assert main(place.words("model.seg.nrrd", *labels)) == 0
    both, model = segments(place.out / "both.seg.nrrd"), segments(place.out / "model.seg.nrrd")
    assert list(both) == [*model, "bright ball"]
    assert all(np.array_equal(both[name], model[name]) for name in model)
    assert dice(both["bright ball"], place.balls["bright"]) > 0.99
    assert any((both[name] & both["bright ball"]).any() for name in model) or labels[0] == "--labels-file"


# The report, and how often the network runs


def test_the_report_names_the_labels_by_example_and_what_is_known_of_them(place: ExamplePlace) -> None:
    assert main(place.words("found.mha", *place.show(), "--inside", "Rest", "--report", place.out / "report.json")) == 0
    report = json.loads((place.out / "report.json").read_text())
    (label,) = report["labels_by_example"]
    assert (label["name"], label["inside"]) == ("bright ball", "Rest")
    (known,) = label["examples"]
    assert known["scan"] == "atlas.nii.gz"
    assert known["millilitres"] == pytest.approx(shown_masks()["bright"].sum() / 1000)
    assert known["grid"]["shape_kji"] == [36, 44, 40]
    assert report["grid"]["shape_kji"] == [40, 38, 44]


def test_a_run_without_examples_reports_none(place: ExamplePlace) -> None:
    assert main(place.words("found.mha", "--report", place.out / "report.json")) == 0
    assert "labels_by_example" not in json.loads((place.out / "report.json").read_text())


def test_the_atlas_is_run_once_for_a_whole_batch(place: ExamplePlace, monkeypatch: pytest.MonkeyPatch) -> None:
    passes: list[tuple[int, ...]] = []
    real = Trunk.levels

    def counted(self: Trunk, image: torch.Tensor, *more: Any) -> list[torch.Tensor]:
        passes.append(tuple(image.shape))
        return real(self, image, *more)

    monkeypatch.setattr(Trunk, "levels", counted)
    scans = [
        write_scan(place.out / "given" / f"{name}.nii.gz", samples.scan_of_parts((40, 38, 44), AFFINE, seed=n)[0])
        for n, name in enumerate("abc")
    ]
    (place.out / "given" / "bad.nii.gz").write_text("not an image")
    words = [
        "segment",
        *map(str, [*scans, place.out / "given" / "bad.nii.gz"]),
        "-o",
        str(place.out / "{name}.mha"),
        "--model",
        str(place.package),
    ]
    label = place.out / "kept.lcs-label.json"
    assert main([*words, *place.show(), "--save-label", str(label), "--report", str(place.out / "report.json")]) == 1
    assert len(passes) == 4  # the atlas and three scans
    for name in "abc":
        assert dice(read_back(place.out / f"{name}.mha")[0] > 0, place.balls["bright"]) > 0.99
    runs = json.loads((place.out / "report.json").read_text())["runs"]
    assert [run["labels_by_example"][0]["name"] for run in runs] == ["bright ball"] * 3
    assert read_prompt(label).name == "bright ball"


def test_what_is_odd_about_the_atlas_is_told(place: ExamplePlace, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(place.words("found.mha", *place.show(), "--example-metadata", "age=90")) == 0
    assert f"warning: {place.atlas}: age = 90" in capsys.readouterr().err


# What is refused: one sentence, exit status 2, nothing written, and before the network runs


Make = Callable[[ExamplePlace], list[str]]
REFUSED: dict[str, tuple[Make, tuple[str, ...]]] = {}


def refused(name: str, *says: str) -> Callable[[Make], Make]:
    """Make a function, that gives the words after those for scan, output (a label map) and model, a case of the test
    below.
    """

    def add(make: Make) -> Make:
        REFUSED[name] = (make, says)
        return make

    return add


def segmentation(place: ExamplePlace, names: tuple[str, ...] = ("one", "two"), **fields: Any) -> Path:
    balls = shown_masks()
    return write_segments(
        place.out / "shown.seg.nrrd",
        [balls["bright"] * 1 + balls["dark"] * 2],
        [(name, 0, n + 1) for n, name in enumerate(names)],
        **fields,
    )


def other_file(place: ExamplePlace, name: str, content: str | bytes) -> Path:
    path = place.out / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def kept(place: ExamplePlace, **changes: Any) -> list[str]:
    """A label file that fits the model, apart from what is changed."""
    sha = json.loads((place.package / "model.json").read_text())["weights_sha256"]
    values: dict[str, Any] = {
        "name": "kept",
        "vector": (0.0,) * 16,
        "bias": 0.0,
        "package": "seeing",
        "weights_sha256": sha,
    }
    write_prompt(ExamplePrompt(**values | changes), place.out / "kept.lcs-label.json")
    return ["--label-file", str(place.out / "kept.lcs-label.json")]


REFUSED |= {
    "no name": (lambda p: p.show()[:3], ("--name", "needs a name")),
    "empty name": (lambda p: [*p.show()[:3], "--name", " "], ("needs a name",)),
    "name of a label of the model": (lambda p: p.show(name="left hippocampus"), ("There is a label", "another name")),
    "name with a line break": (lambda p: p.show(name="a\nb"), ("line break",)),
    "name without example": (lambda p: ["--name", "x"], ("--name belongs", "--example ATLAS MASK")),
    "segment without example": (lambda p: ["--segment", "x"], ("--segment belongs", "--example ATLAS MASK")),
    "inside without example": (lambda p: [*kept(p), "--inside", "Rest"], ("--inside belongs",)),
    "label to save without example": (
        lambda p: [*kept(p), "--save-label", "x.lcs-label.json"],
        ("--save-label belongs",),
    ),
    "metadata of no example": (lambda p: ["--example-metadata", "age=3"], ("--example-metadata belongs",)),
    "unknown place": (
        lambda p: [*p.show(), "--inside", "Deep grey matter"],
        ("Deep grey matter", 'Nearest: "Deep gray matter"'),
    ),
    "label saved under another suffix": (
        lambda p: [*p.show(), "--save-label", str(p.out / "x.json")],
        ("x.json", ".lcs-label.json"),
    ),
    "label to save below a file": (
        lambda p: [*p.show(), "--save-label", f"{p.scan}/x.lcs-label.json"],
        ("cannot be written",),
    ),
    "no atlas": (
        lambda p: ["--example", "/nowhere.nii", str(p.masks["dark"]), "--name", "x"],
        ("no file", "/nowhere.nii"),
    ),
    "no mask": (lambda p: p.show(mask=Path("/nowhere.nii")), ("no file", "/nowhere.nii")),
    "a mask of no known kind": (
        lambda p: p.show(mask=other_file(p, "mask.stl", "solid")),
        ("mask.stl", "no mask that can be read", ".seg.nrrd"),
    ),
    "a mask that is no image": (
        lambda p: p.show(mask=other_file(p, "mask.nii.gz", "text")),
        ("mask.nii.gz", "cannot be read as an image"),
    ),
    "a segmentation that is none": (
        lambda p: p.show(mask=other_file(p, "mask.seg.nrrd", "text" * 99)),
        ("mask.seg.nrrd", "cannot be read as a segmentation"),
    ),
    "an empty file": (
        lambda p: p.show(mask=other_file(p, "mask.seg.nrrd", "")),
        ("mask.seg.nrrd", "cannot be read as a segmentation"),
    ),
    "an atlas that is no image": (
        lambda p: ["--example", str(other_file(p, "a.nii", "text")), *p.show()[2:]],
        ("a.nii", "cannot be read as an image"),
    ),
    "atlas and mask exchanged": (
        lambda p: ["--example", str(p.masks["bright"]), str(p.atlas), "--name", "x"],
        ("bright.nii.gz", "label map or mask"),
    ),
    "segment of a mask": (lambda p: [*p.show(), "--segment", "one"], ("no segments to choose", "--segment")),
    "unknown segment": (
        lambda p: [*p.show(mask=segmentation(p)), "--segment", "three"],
        ('no segment "three"', 'it has "one", "two"'),
    ),
    "several segments": (
        lambda p: p.show(mask=segmentation(p)),
        ("several segments", 'none is called "bright ball"', '"one", "two"', "--segment"),
    ),
    "segments of one name": (
        lambda p: [*p.show(mask=segmentation(p, ("one", "one"))), "--segment", "one"],
        ("2 segments", "different names"),
    ),
    "several segments of one name": (
        lambda p: [*p.show(mask=segmentation(p)), "--segment", "one", "--segment", "two"],
        ("leave --name out", "one --segment"),
    ),
    "an empty name for segments": (
        lambda p: ["--example", str(p.atlas), str(segmentation(p)), "--name", " "],
        ("needs a name",),
    ),
    "all segments, two of one name": (
        lambda p: ["--example", str(p.atlas), str(segmentation(p, ("one", "ONE")))],
        ("2 segments", "different names"),
    ),
    "an unknown segment among others": (
        lambda p: ["--example", str(p.atlas), str(segmentation(p)), "--segment", "one", "--segment", "three"],
        ('no segment "three"', 'it has "one", "two"'),
    ),
    "several labels saved as one": (
        lambda p: ["--example", str(p.atlas), str(segmentation(p)), "--save-label", str(p.out / "x.lcs-label.json")],
        ("2 labels cannot all be saved", "{name}"),
    ),
    "labels whose files would be one": (
        lambda p: [
            "--example",
            str(p.atlas),
            str(segmentation(p, ("a:b", "a/b"))),
            "--save-label",
            str(p.out / "{name}.lcs-label.json"),
        ],
        ("Two results", "a_b.lcs-label.json"),
    ),
    "a segment called as a label of the model": (
        lambda p: ["--example", str(p.atlas), str(segmentation(p, ("one", "Left Hippocampus")))],
        ("There is a label",),
    ),
    "no metadata of the atlas": (lambda p: [*p.show(), "--example-metadata", "agee=3"], ('"agee"', '"age"')),
    "a label of another model": (
        lambda p: kept(p, weights_sha256="0" * 64, package="brian"),
        ('"kept"', "another model (brian)"),
    ),
    "a label of other flips": (lambda p: kept(p, vector=(0.0,) * 32), ("another model",)),
    "a kept label called as one of the model": (lambda p: kept(p, name="Left Hippocampus"), ("There is a label",)),
    "a kept label called as the shown one": (
        lambda p: [*kept(p, name="Bright Ball"), *p.show()],
        ("There is a label",),
    ),
    "a kept label inside an unknown one": (lambda p: kept(p, parent="Moon"), ('"Moon"',)),
    "no label file": (
        lambda p: ["--label-file", "/nowhere.lcs-label.json"],
        ("/nowhere.lcs-label.json", "cannot be read"),
    ),
    "a label file that is none": (
        lambda p: ["--label-file", str(other_file(p, "x.lcs-label.json", "{}"))],
        ("x.lcs-label.json", "no label by example"),
    ),
    "labels of the model in a label map": (
        lambda p: [*p.show(), "--labels", "Left Hippocampus"],
        ("may overlap", "found.mha", ".seg.nrrd"),
    ),
    "all labels in a label map": (lambda p: [*kept(p), "--labels", "all"], ("may overlap", "leave --labels out")),
}


@refused("an empty mask", "is empty", "Paint the structure")
def _(place: ExamplePlace) -> list[str]:
    return place.show(mask=write_scan(place.out / "empty.nii.gz", as_mask(shown_masks()["bright"] * 0)))


@refused("a segment without a voxel", 'segment "two" of', "is empty", "another segment")
def _(place: ExamplePlace) -> list[str]:
    path = write_segments(place.out / "shown.seg.nrrd", [shown_masks()["bright"] * 1], [("one", 0, 1), ("two", 0, 2)])
    return [*place.show(mask=path), "--segment", "two"]


@refused("a mask of another scan", "scan.nii.gz", "does not lie on the voxels of its scan", "resample")
def _(place: ExamplePlace) -> list[str]:
    shifted = AFFINE.copy()
    shifted[0, 3] += 0.5
    return place.show(
        mask=write_scan(
            place.out / "of another scan.nii.gz", Volume(shown_masks()["bright"].astype(np.uint8)[None], shifted)
        )
    )


@refused("a mask in the air", "outside of what the model sees")
def _(place: ExamplePlace) -> list[str]:
    mask = np.zeros((36, 44, 40), dtype=bool)
    mask[:2, :2, :2] = True
    return place.show(mask=write_scan(place.out / "air.nii.gz", as_mask(mask)))


@refused("a segmentation without segments", "holds no segments")
def _(place: ExamplePlace) -> list[str]:
    return place.show(mask=write_scan(place.out / "plain.seg.nrrd", as_mask(shown_masks()["bright"])))


@refused("segments that are not understood", "shown.seg.nrrd", "not understood")
def _(place: ExamplePlace) -> list[str]:
    path = segmentation(place)
    path.write_bytes(path.read_bytes().replace(b"Segment0_Layer:=0", b"Segment0_Layer:=9"))
    return [*place.show(mask=path), "--segment", "one"]


@refused("a truncated segmentation", "shown.seg.nrrd", "damaged")
def _(place: ExamplePlace) -> list[str]:
    noise = np.random.default_rng(0).integers(0, 2, (36, 44, 40))
    path = write_segments(place.out / "shown.seg.nrrd", [noise], [("one", 0, 1)])
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return place.show(mask=path)


@refused("a model that cannot learn from examples", '"tiny" was not trained to learn labels from examples')
def _(place: ExamplePlace) -> list[str]:
    return [
        *place.show(),
        "--model",
        str(samples.package(place.out / "models", replace(samples.TINY, conditioning="decoder")).path),
    ]


@refused("a label that exists already", "x.lcs-label.json", "exists", "--overwrite")
def _(place: ExamplePlace) -> list[str]:
    return [*place.show(), "--save-label", str(other_file(place, "x.lcs-label.json", "precious"))]


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_used_is_refused_in_one_sentence_before_the_network_runs(
    name: str, place: ExamplePlace, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Trunk, "levels", lambda *_: pytest.fail("the network ran"))
    make, says = REFUSED[name]
    words = [*place.words("found.mha"), *make(place)]
    before = contents(place.out, place.package)
    assert main(words) == 2
    sentence = one_sentence(capfd.readouterr().err)
    for expected in says:
        assert expected in sentence
    assert contents(place.out, place.package) == before


def test_an_existing_label_is_replaced_where_that_is_wanted(place: ExamplePlace) -> None:
    label = other_file(place, "x.lcs-label.json", "old")
    assert main(place.words("found.mha", *place.show(), "--save-label", label, "--overwrite")) == 0
    assert read_prompt(label).name == "bright ball"


def test_a_scan_that_fails_leaves_no_label(place: ExamplePlace, capsys: pytest.CaptureFixture[str]) -> None:
    constant = write_scan(
        place.out / "given" / "constant.nii.gz", Volume(np.full((1, 20, 20, 20), 7, np.int16), np.eye(4))
    )
    assert (
        main(place.words("found.mha", *place.show(), "--save-label", place.out / "x.lcs-label.json", scan=constant))
        == 2
    )
    assert "constant" in one_sentence(capsys.readouterr().err)
    assert not (place.out / "x.lcs-label.json").exists()


@pytest.mark.slow
def test_ctrl_c_while_the_atlas_is_run_leaves_no_file(tmp_path: Path) -> None:
    given, out = tmp_path / "given", tmp_path / "out"
    out.mkdir()
    package = samples.package(given, replace(samples.TINY, examples=True), patch=(16, 16, 16)).path
    noise = np.random.default_rng(0).integers(1, 1000, (1, 128, 128, 128)).astype(np.int16)
    atlas, mask = (
        write_scan(given / "large.nii", Volume(noise, np.eye(4))),
        write_scan(given / "mask.nii", Volume((noise > 500).astype(np.uint8), np.eye(4))),
    )
    words = [
        "segment",
        write_scan(given / "scan.nii"),
        "-o",
        out / "found.mha",
        "--model",
        package,
        "--example",
        atlas,
        mask,
        "--name",
        "half of it",
    ]
    process = subprocess.Popen(
        [*LCS, *map(str, words), "--save-label", str(out / "x.lcs-label.json")],
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    )
    try:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("model tiny")
        time.sleep(2)
        assert process.poll() is None  # in the middle
        process.send_signal(signal.SIGINT)
        stderr = process.communicate(timeout=60)[1]
    finally:
        process.kill()
    assert process.returncode == 130
    assert "nothing was written" in one_sentence(stderr)
    assert contents(out) == {}
