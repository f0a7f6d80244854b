"""What `lcs segment` makes of a good scan: every output format, choice of labels, tables, pictures, batches, progress,
Ctrl-C.
"""

from __future__ import annotations

import csv
import fcntl
import importlib.util
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
import slicerio
from LabelConditionedSegmentationLib.cli.main import main
from LabelConditionedSegmentationLib.core.inference.result import Result
from LabelConditionedSegmentationLib.core.inference.segmenter import Segmenter
from LabelConditionedSegmentationLib.core.scan.image_io import read_volume
from LabelConditionedSegmentationLib.core.scan.volume import Array, Volume
from PIL import Image

from Testing import samples
from Testing.cli.command import ENVIRONMENT, LCS, contents, one_sentence, read_back, same_place, write_scan

OBLIQUE = np.array([[-0.9, -0.3, 0.0, 31.5], [0.27, -1.0, 0.0, 12.25], [0.0, 0.0, 1.7, -70.0], [0.0, 0.0, 0.0, 1.0]])
OBLIQUE[:3, 0] *= 0.9 / np.linalg.norm(OBLIQUE[:3, 0])
OBLIQUE[:3, 1] = 1.1 * np.cross(OBLIQUE[:3, 2] / 1.7, OBLIQUE[:3, 0] / 0.9)


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An oblique, anisotropic scan."""
    return write_scan(tmp_path_factory.mktemp("scans") / "scan.nii.gz", samples.scan((24, 36, 40), OBLIQUE))


@pytest.fixture(scope="module")
def expected(scan: Path, tiny_package: Path) -> Result:
    """What the segmenter itself says of that scan."""
    return Segmenter.from_package(tiny_package, "cpu").segment(read_volume(scan))


def segment(scan: Path, output: Path, package: Path, *words: str | Path) -> Path:
    """Run the command in this process; it has to succeed."""
    assert main(["segment", str(scan), "-o", str(output), "--model", str(package), *map(str, words)]) == 0
    return output


# -------------------------------------------------------------------------------------------------------------------------------------------  # noqa: E501
# formats


@pytest.mark.parametrize("suffix", [".nii.gz", ".nii", ".nrrd", ".mha", ".seg.nrrd"])
def test_every_format_holds_the_result_on_the_grid_of_the_scan(
    suffix: str, scan: Path, expected: Result, tiny_package: Path, tmp_path: Path
) -> None:
    output = segment(scan, tmp_path / f"result{suffix}", tiny_package)
    voxels, _ = read_back(output)
    wanted = expected.label_map.array[0]
    assert len(np.unique(wanted)) > 3
    assert np.array_equal(voxels, wanted)
    assert voxels.dtype == np.uint8
    assert same_place(output, scan)


@pytest.mark.parametrize("suffix", [".nii.gz", ".mha"])
def test_file_beside_a_label_map_names_its_values(suffix: str, scan: Path, tiny_package: Path, tmp_path: Path) -> None:
    output = segment(scan, tmp_path / f"result{suffix}", tiny_package)
    assert set(contents(tmp_path)) == {output, tmp_path / "result.json"}
    names = json.loads((tmp_path / "result.json").read_text())
    assert names["model"] == "tiny"
    assert names["background"] == 0
    assert {int(value): entry["name"] for value, entry in names["values"].items()} == {
        leaf.id: leaf.name for leaf in samples.label_tree().leaves
    }
    assert names["values"]["47"]["code"] == ["SCT", "5366008", "Hippocampus"]
    assert names["values"]["47"]["modifier"] == ["SCT", "7771000", "Left"]
    assert set(np.unique(read_back(output)[0])) <= {0, *map(int, names["values"])}


def test_segmentation_is_read_by_slicerio_with_names_colours_and_terminology(
    scan: Path, expected: Result, tiny_package: Path, tmp_path: Path
) -> None:
    output = segment(scan, tmp_path / "result.seg.nrrd", tiny_package)
    found = slicerio.read_segmentation(str(output))
    leaves = samples.label_tree().leaves
    assert [(s["name"], s["labelValue"]) for s in found["segments"]] == [(leaf.name, leaf.id) for leaf in leaves]
    assert np.allclose([s["color"] for s in found["segments"]], [leaf.color for leaf in leaves], atol=1e-3)
    hippocampus = found["segments"][0]["terminology"]
    assert hippocampus["category"] == ["SCT", "123037004", "Anatomical Structure"]
    assert hippocampus["type"] == ["SCT", "5366008", "Hippocampus"]
    assert hippocampus["typeModifier"] == ["SCT", "7771000", "Left"]
    assert "terminology" not in found["segments"][2]  # no cited table gives a code
    assert np.array_equal(found["voxels"].T, expected.label_map.array[0])


READ_AS_SLICER = """
import json, sys
import numpy as np, slicer, vtk
from vtk.util.numpy_support import vtk_to_numpy
scene = slicer.vtkMRMLScene()
storage = slicer.vtkMRMLSegmentationStorageNode()
storage.SetFileName(sys.argv[1])
scene.AddNode(storage)
node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Result")
assert storage.ReadData(node)
segments, masks = [], {}
for n in range(node.GetSegmentation().GetNumberOfSegments()):
    ident = node.GetSegmentation().GetNthSegmentID(n)
    segment = node.GetSegmentation().GetSegment(ident)
    tag = slicer.vtkSegment.GetTerminologyEntryTagName()
    terminology = vtk.reference("")
    segment.GetTag(tag, terminology)
    segments.append([segment.GetName(), list(segment.GetColor()), str(terminology), segment.GetLabelValue()])
    image = slicer.vtkOrientedImageData()
    node.GetBinaryLabelmapRepresentation(ident, image)
    low_i, high_i, low_j, high_j, low_k, high_k = image.GetExtent()
    scalars = image.GetPointData().GetScalars()
    kji = vtk_to_numpy(scalars).reshape(high_k - low_k + 1, high_j - low_j + 1, high_i - low_i + 1) if scalars else np.zeros((0, 0, 0))
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    at = np.argwhere(kji > 0)[:, ::-1] + (low_i, low_j, low_k)
    masks[segment.GetName()] = at
    masks[segment.GetName() + " matrix"] = np.array([[matrix.GetElement(r, c) for c in range(4)] for r in range(4)])
np.savez(sys.argv[2], **masks)
print(json.dumps(segments))
"""  # noqa: E501


def read_as_slicer(segmentation: Path, folder: Path) -> tuple[list[Any], dict[str, Array]]:
    """Segments (name, colour, terminology, value) and their voxels (i, j, k), as the storage node of 3D Slicer reads
    them; in a process of its own.
    """
    if importlib.util.find_spec("slicer") is None:
        pytest.skip("slicer-core is not installed")
    words = [sys.executable, "-c", READ_AS_SLICER, str(segmentation), str(folder / "masks.npz")]
    finished = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False, env=ENVIRONMENT)
    assert finished.returncode == 0, finished.stderr
    with np.load(folder / "masks.npz") as masks:
        return json.loads(finished.stdout.splitlines()[-1]), dict(masks)


def test_segmentation_opens_in_slicer_with_names_colours_terminology_and_voxels(
    scan: Path, tiny_package: Path, tmp_path: Path
) -> None:
    """With a parent and a child, which lie in two layers."""
    wanted = ["Deep gray matter", "Right Hippocampus", "Left Putamen"]
    output = segment(scan, tmp_path / "result.seg.nrrd", tiny_package, "--labels", ",".join(wanted))
    segments, masks = read_as_slicer(output, tmp_path)
    volume = read_volume(scan)
    result = Segmenter.from_package(tiny_package, "cpu").segment(volume, wanted)
    assert len(result.layers) == 2
    assert [name for name, *_ in segments] == wanted
    for (name, color, terminology, value), entry in zip(segments, result.labels, strict=True):
        assert value == entry.value
        assert color == pytest.approx(entry.label.color, abs=1e-3)
        assert ("SCT^5366008^Hippocampus~SCT^24028007^Right" in terminology) == (name == "Right Hippocampus")
        there = np.argwhere(result.mask(entry.value).to_numpy())[:, ::-1]
        assert len(there) > 0
        assert {tuple(index) for index in masks[name]} == {tuple(index) for index in there}
        assert np.allclose(masks[f"{name} matrix"], volume.affine, atol=1e-4)


def test_parent_and_child_become_layers(scan: Path, expected: Result, tiny_package: Path, tmp_path: Path) -> None:
    tree = samples.label_tree()
    output = segment(scan, tmp_path / "result.seg.nrrd", tiny_package, "--labels", "Right Hippocampus,Deep gray matter")
    found = slicerio.read_segmentation(str(output))
    leaves = expected.label_map.array[0]
    layer = {s["name"]: np.equal(found["voxels"][s["layer"]].T, s["labelValue"]) for s in found["segments"]}
    assert np.array_equal(layer["Right Hippocampus"], leaves == 46)
    assert np.array_equal(
        layer["Deep gray matter"], np.isin(leaves, [leaf.id for leaf in tree.leaves_under(tree[200])])
    )
    assert layer["Deep gray matter"].sum() > layer["Right Hippocampus"].sum() > 0


# -------------------------------------------------------------------------------------------------------------------------------  # noqa: E501
# labels and metadata


@pytest.mark.parametrize(
    "words", ["right hippocampus,Right Amygdala", "Hippocampus R,Amygdala R", "46,44", "46, Right Amygdala ,46"]
)
def test_labels_by_name_synonym_or_id(
    words: str, scan: Path, expected: Result, tiny_package: Path, tmp_path: Path
) -> None:
    voxels, _ = read_back(segment(scan, tmp_path / "result.mha", tiny_package, "--labels", words))
    everything = expected.label_map.array[0]
    assert np.array_equal(voxels, np.where(np.isin(everything, (46, 44)), everything, 0))
    assert set(np.unique(voxels)) == {0, 44, 46}


def test_labels_from_a_file_with_comments(scan: Path, tiny_package: Path, tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("# the temporal lobe\nRight Hippocampus\n\n  # and\n  Amygdala R\n")
    voxels, _ = read_back(
        segment(scan, tmp_path / "result.mha", tiny_package, "--labels-file", tmp_path / "labels.txt")
    )
    assert set(np.unique(voxels)) == {0, 44, 46}


def test_metadata_changes_the_result_and_unknown_equals_nothing_said(
    scan: Path, expected: Result, tiny_package: Path, tmp_path: Path
) -> None:
    told, _ = read_back(segment(scan, tmp_path / "told.mha", tiny_package, "--metadata", "age=31", "sex=F"))
    unknown, _ = read_back(
        segment(scan, tmp_path / "unknown.mha", tiny_package, "--metadata", "age=unknown", "sex=unknown")
    )
    assert not np.array_equal(told, expected.label_map.array[0])
    assert np.array_equal(unknown, expected.label_map.array[0])


# ------------------------------------------------------------------------------------------------------------------------------  # noqa: E501
# tables and pictures


def test_volumes_are_voxels_times_their_size(scan: Path, expected: Result, tiny_package: Path, tmp_path: Path) -> None:
    segment(scan, tmp_path / "result.mha", tiny_package, "--volumes", tmp_path / "volumes.csv")
    with (tmp_path / "volumes.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["label"] for row in rows] == [leaf.name for leaf in samples.label_tree().leaves]
    voxel_ml = 0.9 * 1.1 * 1.7 / 1000
    for row in rows:
        assert row["scan"] == str(scan)
        assert float(row["millilitres"]) == pytest.approx(
            np.count_nonzero(expected.label_map.array == int(row["id"])) * voxel_ml, abs=6e-4
        )
    assert rows[0]["code"] == "SCT 5366008"
    assert sum(float(row["millilitres"]) for row in rows) > 1


def test_report_says_what_ran_where_and_how_long(
    scan: Path, expected: Result, tiny_package: Path, tmp_path: Path
) -> None:
    output = segment(
        scan, tmp_path / "result.mha", tiny_package, "--metadata", "sex=f", "--report", tmp_path / "report.json"
    )
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["scan"], report["output"], report["model"]) == (str(scan), str(output), "tiny")
    assert report["package_sha256"] == json.loads((tiny_package / "model.json").read_text())["weights_sha256"]
    assert report["metadata"] == {"sex": "F", "age": "unknown"}
    assert {"torch", "numpy", "SimpleITK", "python", "LabelConditionedSegmentation"} <= set(report["versions"])
    assert {"reading", "preparing", "network", "scoring", "labels"} <= set(report["timings_s"])
    assert report["grid"]["shape_kji"] == [24, 36, 40]
    assert np.allclose(report["grid"]["affine_ijk_to_ras"], expected.label_map.affine, atol=1e-5)
    assert report["trunk_passes"] == expected.report.trunk_passes > 1
    assert all(size > 0 for size in report["peak_memory_mb"].values())
    assert report["device"]
    assert report["fallbacks"] == []
    assert report["findings"] == []


def test_preview_shows_the_labels_in_colour_below_the_grey_scan(scan: Path, tiny_package: Path, tmp_path: Path) -> None:
    segment(scan, tmp_path / "result.mha", tiny_package, "--preview", tmp_path / "picture.png")
    with Image.open(tmp_path / "picture.png") as picture:
        assert picture.format == "PNG"
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    height, width, _ = pixels.shape
    assert 600 < height < 1200
    assert 600 < width < 4000
    colored = np.ptp(pixels, axis=2) > 40
    assert colored[: height * 2 // 5].sum() == 0
    assert colored[height // 2 :].mean() > 0.1
    assert pixels[: height * 2 // 5].std() > 20


# -------------------------------------------------------------------------------------------------------------------------------------------  # noqa: E501
# batches


def test_folder_is_searched_and_results_keep_its_structure(tiny_package: Path, tmp_path: Path) -> None:
    small = samples.scan((16, 18, 20))
    for name in ("a.nii.gz", "sub/b.nrrd", "sub/deeper/c.mha", ".hidden.nii.gz"):
        write_scan(tmp_path / "scans" / name, small)
    (tmp_path / "scans" / "notes.txt").write_text("not a scan")
    words: list[str | Path] = [
        "--report",
        tmp_path / "report.json",
        "--volumes",
        tmp_path / "volumes.csv",
        "--preview",
        tmp_path / "pictures" / "{name}.png",
    ]
    segment(tmp_path / "scans", tmp_path / "out" / "{name}_labels.nii.gz", tiny_package, "-r", *words)
    made = {
        str(path.relative_to(tmp_path))
        for path, what in contents(tmp_path / "out", tmp_path / "pictures").items()
        if what != "folder"
    }
    names = ("a", "sub/b", "sub/deeper/c")
    assert made == {
        *(f"out/{name}_labels.nii.gz" for name in names),
        *(f"out/{name}_labels.json" for name in names),
        *(f"pictures/{name}.png" for name in names),
    }
    runs = json.loads((tmp_path / "report.json").read_text())["runs"]
    assert [Path(run["scan"]).name for run in runs] == ["a.nii.gz", "b.nrrd", "c.mha"]
    with (tmp_path / "volumes.csv").open(newline="") as file:
        assert len({row["scan"] for row in csv.DictReader(file)}) == 3


def test_folder_as_output_takes_one_segmentation_a_scan(tiny_package: Path, tmp_path: Path) -> None:
    scans = [write_scan(tmp_path / f"{name}.nii.gz", samples.scan((16, 18, 20), seed=n)) for n, name in enumerate("ab")]
    assert main(["segment", *map(str, scans), "-o", str(tmp_path / "out"), "--model", str(tiny_package)]) == 0
    assert {path.name for path in contents(tmp_path / "out")} == {"a.seg.nrrd", "b.seg.nrrd"}


def test_overwrite_replaces_all_files(scan: Path, tiny_package: Path, tmp_path: Path) -> None:
    for name in ("result.mha", "result.json", "picture.png", "report.json", "volumes.csv"):
        (tmp_path / name).write_text("old")
    words: list[str | Path] = [
        "--preview",
        tmp_path / "picture.png",
        "--report",
        tmp_path / "report.json",
        "--volumes",
        tmp_path / "volumes.csv",
    ]
    before = contents(tmp_path)
    segment(scan, tmp_path / "result.mha", tiny_package, "--overwrite", *words)
    after = contents(tmp_path)
    assert set(after) == set(before)
    assert all(after[path] != before[path] for path in before)


# ---------------------------------------------------------------------------------------------------------------------------------------------  # noqa: E501
# DICOM


def write_series(folder: Path, image: sitk.Image) -> None:
    """A DICOM series, a file a slice, whose file names are not in the order of the slices."""
    folder.mkdir()
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    direction = image.GetDirection()
    for k in range(image.GetDepth()):
        piece = image[:, :, k]
        tags = {
            "0008|0060": "MR",
            "0008|0016": "1.2.840.10008.5.1.4.1.1.4",
            "0008|0018": f"1.2.826.0.1.3680043.2.1125.1.{k + 1}",
            "0020|000d": "1.2.826.0.1.3680043.2.1125.2",
            "0020|000e": "1.2.826.0.1.3680043.2.1125.3",
            "0020|0013": str(k + 1),
            "0020|0032": "\\".join(f"{x:.9g}" for x in image.TransformIndexToPhysicalPoint((0, 0, k))),
            "0020|0037": "\\".join(f"{direction[n]:.12g}" for n in (0, 3, 6, 1, 4, 7)),
            "0018|0050": f"{image.GetSpacing()[2]:.9g}",
        }
        for tag, value in tags.items():
            piece.SetMetaData(tag, value)
        writer.SetFileName(str(folder / f"{(k * 7) % image.GetDepth():03d}.dcm"))
        writer.Execute(piece)


def test_folder_of_dicom_gives_the_same_as_nifti(
    scan: Path, expected: Result, tiny_package: Path, tmp_path: Path
) -> None:
    write_series(tmp_path / "series", sitk.ReadImage(str(scan)))
    assert len(list((tmp_path / "series").iterdir())) == 24
    output = segment(tmp_path / "series", tmp_path / "result.nii.gz", tiny_package)
    voxels, _ = read_back(output)
    assert np.array_equal(voxels, expected.label_map.array[0])
    assert np.allclose(read_volume(output).affine, expected.label_map.affine, atol=1e-4)


# ------------------------------------------------------------------------------------------------------------------------------  # noqa: E501
# process and terminal


def test_module_and_script_give_the_same_help() -> None:
    script = Path(sys.executable).with_name("lcs")
    if not script.exists():
        pytest.skip("the package is not installed beside this interpreter")
    helps = [
        subprocess.run([*start, "segment", "--help"], capture_output=True, text=True, check=True, timeout=60).stdout
        for start in (LCS, [script])
    ]
    assert helps[0] == helps[1]
    assert helps[0].startswith("usage: lcs segment")


BAR = re.compile(r"(\d+)%\|")


def percentages(text: str) -> list[int]:
    """What the bar has shown, one after the other."""
    return [int(n) for n in BAR.findall(text)]


def on_a_terminal(words: list[str]) -> tuple[subprocess.Popen[bytes], int]:
    """A command whose standard error is a terminal, and where to read what that shows."""
    reader, writer = pty.openpty()
    fcntl.ioctl(writer, termios.TIOCSWINSZ, struct.pack("4H", 40, 120, 0, 0))
    process = subprocess.Popen([*LCS, *words], stderr=writer, env=ENVIRONMENT)
    os.close(writer)
    return process, reader


def rest_of(reader: int) -> bytes:
    """All that a terminal shows until the other end is closed."""
    shown = b""
    try:
        while piece := os.read(reader, 4096):
            shown += piece
    except OSError:  # how Linux says that the other end was closed
        pass
    return shown


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A command that takes minutes: thousands of small windows over a large scan."""
    folder = tmp_path_factory.mktemp("slow")
    noise = np.random.default_rng(0).integers(1, 1000, (1, 160, 160, 160)).astype(np.int16)
    package = samples.package(folder, patch=(16, 16, 16)).path
    return ["segment", str(write_scan(folder / "large.nii", Volume(noise, np.eye(4)))), "--model", str(package)]


@pytest.mark.slow
def test_ctrl_c_leaves_no_file(slow: list[str], tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*LCS, *slow, "-o", str(tmp_path / "deep" / "folder" / "result.nii.gz")],
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    )
    try:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("model tiny")
        time.sleep(1)
        assert process.poll() is None  # in the middle
        process.send_signal(signal.SIGINT)
        stderr = process.communicate(timeout=120)[1]
    finally:
        process.kill()
    assert process.returncode == 130
    assert "nothing was written" in one_sentence(stderr)
    assert contents(tmp_path) == {}


@pytest.mark.slow
def test_ctrl_c_ends_a_run_between_two_of_its_windows(slow: list[str], tmp_path: Path) -> None:
    """The bar says how far it came."""
    process, reader = on_a_terminal([*slow, "-o", str(tmp_path / "result.seg.nrrd")])
    try:
        shown = b""
        while not BAR.search(shown.decode()):
            shown += os.read(reader, 4096)
        process.send_signal(signal.SIGINT)
        shown += rest_of(reader)
        assert process.wait(120) == 130
    finally:
        process.kill()
        os.close(reader)
    text = shown.decode()
    assert max(percentages(text)) < 50
    assert "nothing was written" in text.splitlines()[-1]
    assert "Traceback" not in text
    assert contents(tmp_path) == {}


def test_ctrl_c_while_torch_is_loaded_shows_no_traceback(tmp_path: Path) -> None:
    """Python code stands for the user's hand: it interrupts at the moment when torch is asked for."""
    code = """
import sys
class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupt())
open("scan.nii.gz", "w").close()
from LabelConditionedSegmentationLib.cli.main import main
sys.exit(main(["segment", "scan.nii.gz", "-o", "result.nii.gz"]))
"""
    finished = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=ENVIRONMENT,
        timeout=60,
        check=False,
    )
    assert "Interrupted" in one_sentence(finished.stderr)
    assert finished.returncode == 130


def test_no_progress_bar_where_nobody_looks(
    scan: Path, tiny_package: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    segment(scan, tmp_path / "result.mha", tiny_package)
    captured = capfd.readouterr()
    assert captured.out == ""
    assert not BAR.search(captured.err)
    assert len(captured.err.splitlines()) == 2  # the model, and what became of the scan


@pytest.mark.slow
def test_progress_bar_on_a_terminal_reaches_the_end(scan: Path, tiny_package: Path, tmp_path: Path) -> None:
    process, reader = on_a_terminal(
        ["segment", str(scan), "-o", str(tmp_path / "result.mha"), "--model", str(tiny_package)]
    )
    try:
        found = percentages(rest_of(reader).decode())
    finally:
        os.close(reader)
    assert process.wait(60) == 0
    assert found == sorted(found)
    assert found[-1] == 100
