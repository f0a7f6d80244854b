"""What `lcs segment` does with what it cannot use: one clear sentence, exit status 2, no file left behind, inputs
untouched.
"""

from __future__ import annotations

import hashlib
import json
import resource
import shutil
import stat
import struct
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from LabelConditionedSegmentationLib.cli.main import main
from LabelConditionedSegmentationLib.core.scan.itk import image_of
from LabelConditionedSegmentationLib.core.scan.volume import Array, Volume
from safetensors.torch import load, save

from Testing import samples
from Testing.cli.command import contents, lcs, one_sentence, same_place, write_scan


@dataclass(frozen=True)
class BadInputPlace:
    """Where a test works: `given` for inputs, `out` for outputs, and the model package."""

    given: Path
    out: Path
    package: Path

    def scan(self, name: str = "scan.nii.gz", **geometry: Any) -> Path:
        return write_scan(self.given / name, samples.scan(**geometry))

    def words(
        self, scan: Path | None = None, output: str | Path = "result.nii.gz", model: str | Path | None = None
    ) -> list[str]:
        """A command that has nothing wrong apart from what is given."""
        return [
            "segment",
            str(scan or self.scan()),
            "-o",
            str(self.out / output),
            "--model",
            str(model or self.package),
        ]


@pytest.fixture
def place(tmp_path: Path, tiny_package: Path) -> BadInputPlace:
    """Empty folders for inputs and outputs."""
    for name in ("given", "out"):
        (tmp_path / name).mkdir()
    return BadInputPlace(tmp_path / "given", tmp_path / "out", tiny_package)


Make = Callable[[BadInputPlace], list[str]]


@dataclass(frozen=True)
class BadInputCase:
    """make: prepares the inputs and gives the words of the command. says: what the sentence has to hold."""

    make: Make
    says: tuple[str, ...]


CASES: dict[str, BadInputCase] = {}
"""Run in this process, which saves the two seconds that torch needs to start."""

AS_PROCESSES = (
    "text file called .nii.gz",
    "NaN voxels",
    "unknown label",
    "output in /proc",
    "pickle as weights",
)
"""Those of the cases that are run as processes of their own too: one of every kind."""


def case(name: str, *says: str) -> Callable[[Make], Make]:
    """Make a function a case of the test below."""

    def add(function: Make) -> Make:
        CASES[name] = BadInputCase(function, says)
        return function

    return add


def voxels_case(
    name: str,
    change: Callable[[Array], Array],
    *says: str,
    file: str = "scan.nii.gz",
) -> None:
    """A case whose scan has other voxels."""

    def make(place: BadInputPlace) -> list[str]:
        volume = samples.scan()
        return place.words(write_scan(place.given / file, volume.with_array(change(volume.array))))

    CASES[name] = BadInputCase(make, says)


def image_case(name: str, file: str, image: Callable[[], sitk.Image], *says: str) -> None:
    """A case whose scan is this image."""

    def make(place: BadInputPlace) -> list[str]:
        sitk.WriteImage(image(), str(place.given / file))
        return place.words(place.given / file)

    CASES[name] = BadInputCase(make, says)


def bytes_case(name: str, file: str, change: Callable[[bytes], bytes], *says: str) -> None:
    """A case whose scan is a good file (1 x 1.5 x 2 mm) with other bytes."""

    def make(place: BadInputPlace) -> list[str]:
        path = place.scan(file, affine=np.diag([-1.0, -1.5, 2.0, 1.0]))
        good = path.read_bytes()
        changed = change(good)
        assert changed != good
        path.write_bytes(changed)
        return place.words(path)

    CASES[name] = BadInputCase(make, says)


def words_case(name: str, words: list[str], *says: str) -> None:
    """A case that has these words more."""
    CASES[name] = BadInputCase(lambda place: [*place.words(), *words], says)


def package_case(name: str, change: Callable[[Path], None], *says: str) -> None:
    """A case whose model package is a changed copy."""

    def make(place: BadInputPlace) -> list[str]:
        copy = place.given / "model"
        shutil.copytree(place.package, copy)
        change(copy)
        return place.words(model=copy)

    CASES[name] = BadInputCase(make, says)


def archive_case(name: str, entry: str | zipfile.ZipInfo, *says: str) -> None:
    """A case whose model package is a good zip with one entry more."""

    def make(place: BadInputPlace) -> list[str]:
        archive = zipped(place.package, place.given / "model.zip")
        with zipfile.ZipFile(archive, "a") as file:
            file.writestr(entry, "../../target")
        return place.words(model=archive)

    CASES[name] = BadInputCase(make, ("refused", *says))


# ----------------------------------------------------------------------------------------------------------------------------------------------  # noqa: E501
# files


@case("missing file", "no file", "nothing-here.nii.gz")
def _(place: BadInputPlace) -> list[str]:
    return place.words(place.given / "nothing-here.nii.gz")


@case("text file called .nii.gz", "text.nii.gz", "cannot be read as an image")
def _(place: BadInputPlace) -> list[str]:
    (place.given / "text.nii.gz").write_text("This is not an image.\n" * 100)
    return place.words(place.given / "text.nii.gz")


@case("empty file", "empty.nii.gz", "cannot be read as an image", "empty")
def _(place: BadInputPlace) -> list[str]:
    (place.given / "empty.nii.gz").touch()
    return place.words(place.given / "empty.nii.gz")


@case("folder without DICOM", "DICOM", "no")
def _(place: BadInputPlace) -> list[str]:
    place.scan()
    return place.words(place.given)


bytes_case("truncated .nii.gz", "cut.nii.gz", lambda data: data[: len(data) // 2], "cut.nii.gz", "incomplete")
bytes_case("truncated .nii", "cut.nii", lambda data: data[: len(data) // 2], "incomplete")


def damaged_mha(place: BadInputPlace) -> list[str]:
    """Other bytes in the middle of the compressed voxels, which ITK's reader lets pass."""
    path = place.given / "scan.mha"
    sitk.WriteImage(image_of(samples.scan()), str(path), useCompression=True)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 64] = bytes(64)
    path.write_bytes(data)
    return place.words(path)


CASES["damaged compression of .mha"] = BadInputCase(damaged_mha, ("scan.mha", "damaged"))
image_case("2D picture", "flat.png", lambda: sitk.Image(30, 40, sitk.sitkUInt8), "flat.png", "2D", "3D scan is needed")
image_case("single slice", "slice.nii.gz", lambda: sitk.Image(30, 40, 1, sitk.sitkInt16), "3D scan is needed")
image_case(
    "4D series",
    "series.nii.gz",
    lambda: sitk.JoinSeries([sitk.Image(12, 12, 12, sitk.sitkInt16) + n for n in range(3)]),
    "4D",
    "one frame",
)
image_case(
    "colour image", "colour.mha", lambda: sitk.Image([20, 20, 20], sitk.sitkVectorUInt8, 3), "colour", "grey-value"
)

# ---------------------------------------------------------------------------------------------------------------------------------------------  # noqa: E501
# voxels

voxels_case("all voxels zero", lambda a: np.zeros_like(a), "empty", "every voxel is 0")
voxels_case("all voxels equal", lambda a: np.full_like(a, 7), "constant")


def with_some(value: float) -> Callable[[Array], Array]:
    """Put a value into five voxels."""

    def change(array: Array) -> Array:
        out = array.astype(np.float32)
        out[0, 10, 10, 10:15] = value
        return out

    return change


voxels_case("NaN voxels", with_some(np.nan), "5 voxels", "NaN")
voxels_case("infinite voxels", with_some(np.inf), "5 voxels", "infinite")
voxels_case("NaN voxels in NRRD", with_some(np.nan), "5 voxels", "NaN", file="scan.nrrd")
voxels_case(
    "NaN voxels in NIfTI of float64",
    lambda a: with_some(np.nan)(a).astype(np.float64),
    "5 voxels",
    "NaN",
    file="scan.nii",
)
voxels_case(
    "label map instead of a scan",
    lambda a: (np.digitize(a, [100, 600]) * (a > 0)).astype(np.uint8),
    "label map",
    "Give the scan",
)

# --------------------------------------------------------------------------------------------------------------------------------------------  # noqa: E501
# spacing ITK reads a NIfTI spacing of 0, NaN or infinity as 1 mm and mirrors the axis of a negative one; it refuses 0
# and mirrors negative ones in NRRD and MHA.


def in_nifti(value: float) -> Callable[[bytes], bytes]:
    """Replace the second of the header's `pixdim`."""
    return lambda data: data[:84] + struct.pack("<f", value) + data[88:]


def in_sform(value: float) -> Callable[[bytes], bytes]:
    """Replace the second row of the header's `srow`."""
    return lambda data: data[:296] + struct.pack("<4f", 0, value, 0, 0) + data[312:]


def in_mha(spacing: str) -> Callable[[bytes], bytes]:
    """Replace the second of `ElementSpacing`."""
    return lambda data: data.replace(b"ElementSpacing = 1 1.5 2", f"ElementSpacing = 1 {spacing} 2".encode())


for shown in ("0", "-1.5", "nan", "inf"):
    impossible = f"impossible voxel spacing {shown} mm"
    bytes_case(f"NIfTI spacing {shown}", "scan.nii", in_nifti(float(shown)), "scan.nii", impossible)
    bytes_case(f"MHA spacing {shown}", "scan.mha", in_mha(shown), "scan.mha", impossible)
bytes_case("NIfTI sform 0", "scan.nii", in_sform(0), "impossible voxel spacing 0 mm")
bytes_case("NIfTI sform nan", "scan.nii", in_sform(np.nan), "impossible voxel spacing nan mm")
bytes_case(
    "NRRD direction 0", "scan.nrrd", lambda d: d.replace(b"(0,1.5,0)", b"(0,0,0)"), "impossible voxel spacing 0 mm"
)
bytes_case(
    "NRRD direction nan",
    "scan.nrrd",
    lambda d: d.replace(b"(0,1.5,0)", b"(0,nan,0)"),
    "impossible voxel spacing nan mm",
)


def nrrd_spacings(value: str) -> Callable[[bytes], bytes]:
    """The older kind of NRRD header, that has spacings and no directions."""

    def change(data: bytes) -> bytes:
        lines = data.split(b"\n\n", 1)[0].split(b"\n")
        kept = [line for line in lines if not line.startswith(b"space")]
        return b"\n".join([*kept, f"spacings: 1 {value} 2".encode()]) + b"\n\n" + data.split(b"\n\n", 1)[1]

    return change


for shown in ("0", "-1.5", "nan"):
    bytes_case(
        f"NRRD spacings {shown}",
        "scan.nrrd",
        nrrd_spacings(shown),
        f"impossible voxel spacing {shown} mm",
    )


bytes_case("a scan metres long", "scan.mha", in_mha("150"), "spacing is wrong")

# -------------------------------------------------------------------------------------------------------------------------------  # noqa: E501
# labels and metadata

words_case("unknown label", ["--labels", "Left Hipocampus"], '"Left Hipocampus"', "Nearest", '"Left Hippocampus"')
words_case("unknown metadata field", ["--metadata", "agee=31"], '"agee"', 'Did you mean "age"')
words_case("negative age", ["--metadata", "age=-5"], '"age"', "-5", "0 to 120 years")
words_case("age that is no number", ["--metadata", "age=abc"], '"age"', "needs a number", '"abc"')
words_case("unknown sex", ["--metadata", "sex=X"], '"sex"', '"X"', "F, M or unknown")
words_case(
    "overlapping labels in a label map",
    ["--labels", "Deep gray matter,Left Hippocampus"],
    '"Left Hippocampus" overlaps',
    ".seg.nrrd",
)
words_case("no such device", ["--device", "cuda:99"], "cuda:99")

# -------------------------------------------------------------------------------------------------------------------------------------------  # noqa: E501
# outputs


@case("output below a file", "cannot be written", "not a folder")
def _(place: BadInputPlace) -> list[str]:
    (place.out / "file").write_text("a file")
    return place.words(output="file/result.nii.gz")


@case("output in /proc", "/proc/lcs/result.nii.gz", "nothing was left")
def _(place: BadInputPlace) -> list[str]:
    return place.words(output="/proc/lcs/result.nii.gz")


@case("output with an unknown suffix", "result.jpg", ".seg.nrrd", ".nii.gz")
def _(place: BadInputPlace) -> list[str]:
    return place.words(output="result.jpg")


@case("output exists", "result.nii.gz", "exists", "--overwrite")
def _(place: BadInputPlace) -> list[str]:
    (place.out / "result.nii.gz").write_text("precious")
    return place.words()


@case("names file exists", "result.json", "exists", "--overwrite")
def _(place: BadInputPlace) -> list[str]:
    (place.out / "result.json").write_text("precious")
    return place.words()


# --------------------------------------------------------------------------------------------------------------------------------------  # noqa: E501
# model packages


@case("no such model", '"brian"', 'Did you mean "brain"')
def _(place: BadInputPlace) -> list[str]:
    return place.words(model="brian")


@case("no such model folder", "no model package", "nowhere")
def _(place: BadInputPlace) -> list[str]:
    return place.words(model=place.given / "nowhere")


def write_description(package: Path, text: str) -> None:
    """Another model.json."""
    (package / "model.json").write_text(text)


def describe(package: Path, **entries: Any) -> None:
    """Change entries of model.json."""
    write_description(package, json.dumps(json.loads((package / "model.json").read_text()) | entries))


def put_weights(package: Path, data: bytes) -> None:
    """Other weights, under their right hash."""
    (package / "weights.safetensors").write_bytes(data)
    describe(package, weights_sha256=hashlib.sha256(data).hexdigest())


def change_tensors(change: Callable[[dict[str, torch.Tensor]], Mapping[str, torch.Tensor]]) -> Callable[[Path], None]:
    """Other tensors in a valid file under its right hash."""
    return lambda package: put_weights(
        package, save(dict(change(load((package / "weights.safetensors").read_bytes()))))
    )


def pickled(package: Path, new_format: bool) -> None:
    tensors = load((package / "weights.safetensors").read_bytes())
    torch.save(tensors, package / "pickle", _use_new_zipfile_serialization=new_format)
    put_weights(package, (package / "pickle").read_bytes())
    (package / "pickle").unlink()


def truncate(package: Path) -> None:
    data = (package / "weights.safetensors").read_bytes()
    put_weights(package, data[: len(data) // 2])


package_case("wrong hash", lambda p: describe(p, weights_sha256="0" * 64), "weights.safetensors", "SHA-256")
package_case("truncated weights", truncate, "weights.safetensors", "safetensors")
package_case("weights of four bytes", lambda p: put_weights(p, b"\x00\x01\x02\x03"), "truncated")
package_case("extra tensors", change_tensors(lambda t: t | {"surplus.weight": torch.ones(2)}), "unknown surplus.weight")
package_case(
    "missing tensors", change_tensors(lambda t: {k: v for k, v in t.items() if k != "head.bias"}), "lacks head.bias"
)
package_case(
    "tensor of another shape",
    change_tensors(lambda t: t | {"head.bias": torch.ones(99)}),
    "head.bias",
    "99",
)
package_case(
    "weights that are not finite",
    change_tensors(lambda t: t | {"head.bias": t["head.bias"] * torch.nan}),
    "head.bias",
    "finite",
)
package_case("newer format", lambda p: describe(p, format=3), "format 3", "update")
package_case("pickle as weights", lambda p: pickled(p, True), "pickle", "never opened")
package_case("old pickle as weights", lambda p: pickled(p, False), "pickle", "never opened")
package_case("model.json is not JSON", lambda p: write_description(p, "{"), "model.json", "JSON")
package_case("model.json lacks an entry", lambda p: write_description(p, '{"format": 1}'), "model.json", "lacks")
package_case(
    "no weights",
    lambda p: p.joinpath("weights.safetensors").unlink(),
    "weights.safetensors",
    "no complete",
)


def zipped(package: Path, path: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(package.iterdir()):
            archive.write(file, file.name)
    return path


def link_entry() -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo("link")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    return entry


archive_case("zip with ..", "../evil.txt", "../evil.txt", "leads out")
archive_case("zip with an absolute path", "/tmp/evil.txt", "/tmp/evil.txt", "leads out")
archive_case("zip with a link", link_entry(), "link")
archive_case("zip with something else", "setup.py", "setup.py", "no part of a model package")


@case("zip with damaged content", "model.zip", "damaged")
def _(place: BadInputPlace) -> list[str]:
    archive = zipped(place.package, place.given / "model.zip")
    with zipfile.ZipFile(archive) as file:
        entry = file.getinfo("model.json")
    data = bytearray(archive.read_bytes())
    middle = entry.header_offset + 30 + len(entry.filename) + entry.compress_size // 2
    data[middle : middle + 20] = bytes(20)
    archive.write_bytes(data)
    return place.words(model=archive)


# ----------------------------------------------------------------------------------------------------------------------------------------------  # noqa: E501
# tests


@pytest.mark.parametrize("name", CASES)
def test_what_cannot_be_used_is_refused_in_one_sentence(
    name: str, place: BadInputPlace, capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    words = CASES[name].make(place)
    before = contents(place.given, place.out, place.package)
    recwarn.clear()
    assert main(words) == 2
    stdout, stderr = capfd.readouterr()
    sentence = one_sentence(stderr)
    for expected in CASES[name].says:
        assert expected in sentence
    assert stdout == ""
    assert [str(w) for w in recwarn if not issubclass(w.category, DeprecationWarning)] == []  # the others are printed
    assert contents(place.given, place.out, place.package) == before


@pytest.mark.parametrize("name", AS_PROCESSES)
def test_the_process_says_no_more_than_the_sentence_and_ends_with_2(name: str, place: BadInputPlace) -> None:
    words = CASES[name].make(place)
    before = contents(place.given, place.out, place.package)
    finished = lcs(*words)
    sentence = one_sentence(finished.stderr)
    assert all(expected in sentence for expected in CASES[name].says)
    assert (finished.returncode, finished.stdout) == (2, "")
    assert contents(place.given, place.out, place.package) == before


def test_unusual_but_good_files_are_not_refused(place: BadInputPlace) -> None:
    """Compressed MHA; a plain NIfTI under a compressed name; NRRD with a mirrored axis."""
    files = [place.given / name for name in ("packed.mha", "plain.nii", "mirrored.nrrd")]
    for file in files:
        sitk.WriteImage(image_of(samples.scan()), str(file), useCompression=file.suffix == ".mha")
    assert b"CompressedData = True" in files[0].read_bytes()
    assert b"space directions: (-1," in files[2].read_bytes()
    files[1] = files[1].rename(place.given / "plain.nii.gz")
    for file in files:
        assert main(place.words(file, f"{file.name}.mha")) == 0
        assert same_place(place.out / f"{file.name}.mha", file)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--labels-file", "/nowhere.txt"], "/nowhere.txt"),
        (["--labels", " , "], "No label"),
        (["--metadata", "age"], "KEY=VALUE"),
        (["--metadata", "age=31", "age=32"], "twice"),
        (["--preview", "picture.jpg"], ".png"),
        (["--report", "/proc/version/report.json"], "cannot be written"),
        (["-r"], "is not a folder"),
    ],
)
def test_mistakes_in_the_words_are_told_before_any_work(
    words: list[str], says: str, place: BadInputPlace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*place.words(), *words]) == 2
    stderr = capsys.readouterr().err
    assert says in one_sentence(stderr)
    assert "model tiny" not in stderr
    assert contents(place.out) == {}


def test_several_scans_are_not_written_to_one_file(place: BadInputPlace, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["segment", str(place.scan("a.nii.gz")), str(place.scan("b.nii.gz")), "--model", str(place.package), "-o"]
    assert main([*words, str(place.out / "c.nii.gz")]) == 2
    assert "{name}" in one_sentence(capsys.readouterr().err)
    assert contents(place.out) == {}


def test_two_scans_of_one_name_do_not_overwrite_each_other(
    place: BadInputPlace, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "segment",
        str(place.scan("1/a.nii.gz")),
        str(place.scan("2/a.nii.gz")),
        "--model",
        str(place.package),
        "-o",
    ]
    assert main([*words, str(place.out / "{name}.nii.gz")]) == 2
    assert "Two results" in one_sentence(capsys.readouterr().err)
    assert contents(place.out) == {}


def limit_files() -> None:
    """Files end after 2000 bytes, as on a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".nii.gz", ".seg.nrrd", ".mha"])
def test_full_disk_leaves_nothing_behind(suffix: str, place: BadInputPlace) -> None:
    noise = np.random.default_rng(0).integers(1, 1000, (1, 48, 48, 48)).astype(np.int16)
    words = place.words(write_scan(place.given / "noise.nii.gz", Volume(noise, np.eye(4))), f"result{suffix}")
    before = contents(place.given)
    finished = lcs(*words, before=limit_files)
    stderr = "".join(
        line for line in finished.stderr.splitlines(True) if not line.startswith("MetaImage:")
    )  # it talks, and cannot be told not to
    assert "could not be written" in one_sentence(stderr)
    assert finished.returncode == 2
    assert contents(place.out) == {}
    assert contents(place.given) == before
    assert main(words) == 0
    assert (place.out / f"result{suffix}").stat().st_size > 4000  # so the limit was in its middle


@pytest.mark.slow
def test_full_disk_at_the_last_file_leaves_none_of_them(place: BadInputPlace) -> None:
    """The label map and its names fit, the preview does not."""
    few = write_scan(place.given / "few.nii.gz", samples.scan((20, 20, 20)))
    words = [*place.words(few), "--labels", "Left Hippocampus", "--preview", str(place.out / "picture.png")]
    finished = lcs(*words, before=limit_files)
    assert "picture.png" in one_sentence(finished.stderr)
    assert finished.returncode == 2
    assert contents(place.out) == {}


def test_overlapping_labels_are_accepted_for_a_segmentation(place: BadInputPlace) -> None:
    assert main([*place.words(output="result.seg.nrrd"), "--labels", "Deep gray matter,Left Hippocampus"]) == 0
    assert list(contents(place.out)) == [place.out / "result.seg.nrrd"]


@pytest.mark.slow
def test_bad_scan_in_a_batch_does_not_stop_the_others(place: BadInputPlace) -> None:
    (place.given / "b.nii.gz").write_text("not an image")
    scans = [place.scan("a.nii.gz"), place.given / "b.nii.gz", place.scan("c.nii.gz", seed=1)]
    before = contents(place.given)
    finished = lcs(
        "segment",
        *scans,
        "-o",
        place.out / "{name}.nii.gz",
        "--model",
        place.package,
        "--volumes",
        place.out / "all.csv",
    )
    assert finished.returncode == 1
    assert {path.name for path in contents(place.out)} == {"a.nii.gz", "a.json", "c.nii.gz", "c.json", "all.csv"}
    *_, which, summary = finished.stderr.splitlines()
    assert "b.nii.gz" in which
    assert "cannot be read as an image" in which
    assert summary == "lcs: 1 of 3 scans failed; the others are done."
    assert "Traceback" not in finished.stderr
    assert contents(place.given) == before


def test_debug_shows_the_traceback(place: BadInputPlace, capsys: pytest.CaptureFixture[str]) -> None:
    words = place.words(place.given / "nothing.nii.gz")
    assert main(words) == 2
    assert "Traceback" not in capsys.readouterr().err
    assert main([*words, "--debug"]) == 2
    stderr = capsys.readouterr().err
    assert "Traceback" in stderr
    assert "InputError" in stderr
    assert stderr.splitlines()[-1].startswith("lcs: There is no file")


# ------------------------------------------------------------------------------------------------------------------------------  # noqa: E501
# done, with a warning


def report_of(place: BadInputPlace, words: list[str]) -> dict[str, Any]:
    assert main([*words, "--report", str(place.out / "report.json")]) == 0
    content: dict[str, Any] = json.loads((place.out / "report.json").read_text())
    return content


def warnings_of(report: dict[str, Any]) -> list[str]:
    return [finding["text"] for finding in report["findings"] if finding["level"] == "warning"]


def test_age_beyond_the_training_is_unknown_with_a_warning(
    place: BadInputPlace, capsys: pytest.CaptureFixture[str]
) -> None:
    report = report_of(place, [*place.words(), "--metadata", "age=90", "sex=f"])
    assert report["metadata"] == {"sex": "F", "age": "unknown"}
    assert any("age = 90" in text and "19 to 34 years" in text for text in warnings_of(report))
    assert "warning: age = 90 lies outside" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("statistics", "says"),
    [
        ({"foreground_ml": [1, 5]}, "more than the model was trained on (1 ml to 5 ml)"),
        ({"foreground_ml": [900, 1800]}, "Only"),
        ({"foreground_ml": [1, 500], "rim_contrast": [50, 60]}, "contrast differs"),
    ],
)
def test_scan_unlike_those_of_the_training_gets_a_warning(
    statistics: dict[str, list[float]], says: str, place: BadInputPlace, capsys: pytest.CaptureFixture[str]
) -> None:
    package = samples.package(place.given, statistics=statistics).path
    warnings = warnings_of(report_of(place, place.words(place.scan(shape=(60, 64, 62)), model=package)))
    assert len(warnings) == 1
    assert says in warnings[0]
    assert f"warning: {warnings[0]}" in capsys.readouterr().err


def test_scan_like_those_of_the_training_gets_no_warning(place: BadInputPlace) -> None:
    package = samples.package(place.given, statistics={"foreground_ml": [1, 500], "rim_contrast": [-60, 60]}).path
    assert warnings_of(report_of(place, place.words(place.scan(shape=(60, 64, 62)), model=package))) == []


@pytest.mark.parametrize("orientation", ["LPI", "PSR", "AIL", "SRA", "IPR"])
def test_orientation_of_the_voxels_does_not_matter(orientation: str, place: BadInputPlace) -> None:
    straight = place.scan()
    turned = place.given / "turned.nii.gz"
    sitk.WriteImage(sitk.DICOMOrient(sitk.ReadImage(str(straight)), orientation), str(turned))
    assert not same_place(straight, turned)
    for scan, output in ((straight, "straight.mha"), (turned, "turned.mha")):
        assert main(place.words(scan, output)) == 0
    assert same_place(place.out / "turned.mha", turned)
    original = sitk.ReadImage(str(place.out / "straight.mha"))
    back = sitk.DICOMOrient(
        sitk.ReadImage(str(place.out / "turned.mha")),
        sitk.DICOMOrientImageFilter.GetOrientationFromDirectionCosines(original.GetDirection()),
    )
    one, two = (sitk.GetArrayFromImage(image) for image in (original, back))
    assert len(np.unique(one)) > 2
    assert (one == two).mean() > 0.999


def oblique() -> Array:
    """Turned by 0.3 about S and 0.2 about R, with anisotropic spacing and an origin."""
    about_s = np.array([[np.cos(0.3), -np.sin(0.3), 0], [np.sin(0.3), np.cos(0.3), 0], [0, 0, 1]])
    about_r = np.array([[1, 0, 0], [0, np.cos(0.2), -np.sin(0.2)], [0, np.sin(0.2), np.cos(0.2)]])
    affine = np.eye(4)
    affine[:3, :3] = about_s @ about_r @ np.diag([0.9, 1.1, 1.7])
    affine[:3, 3] = (-31.5, 12.25, 70)
    return affine


@pytest.mark.parametrize(
    ("affine", "shape", "warns"),
    [
        (oblique(), (30, 40, 44), False),
        (np.diag([0.3, 0.3, 0.3, 1]), (60, 64, 62), False),
        (np.diag([6.0, 6, 6, 1]), (9, 10, 8), True),
    ],
    ids=["oblique", "0.3 mm", "6 mm"],
)
def test_result_lies_on_the_grid_of_any_scan(
    affine: Array, shape: tuple[int, int, int], warns: bool, place: BadInputPlace
) -> None:
    scan = place.scan(affine=affine, shape=shape)
    report = report_of(place, place.words(scan))
    assert same_place(place.out / "result.nii.gz", scan)
    assert any("mm long" in text for text in warnings_of(report)) == warns
    assert len(np.unique(sitk.GetArrayViewFromImage(sitk.ReadImage(str(place.out / "result.nii.gz"))))) > 2
