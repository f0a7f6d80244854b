"""A DICOM series becomes a volume where its slices say they lie, or is refused with a sentence that says what is wrong
with it.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from LabelConditionedSegmentationLib.core.errors import InputError
from LabelConditionedSegmentationLib.core.scan.dicom import find_series
from LabelConditionedSegmentationLib.core.scan.image_io import read_volume
from LabelConditionedSegmentationLib.core.scan.volume import Affine, Volume
from pydicom.uid import MediaStorageDirectoryStorage, SegmentationStorage

from Testing.dicom_files import LPS, dataset, voxels, write_enhanced, write_series

RAS = np.diag([-1.0, -1, 1, 1])


def oblique() -> Affine:
    c, s = np.cos(0.4), np.sin(0.4)
    out: Affine = np.array([[1, 0, 0, 0], [0, c, -s, 0], [0, s, c, 0], [0, 0, 0, 1.0]]) @ LPS
    return out


def says(volume: Volume) -> str:
    return " ".join(f"{finding.level}: {finding}" for finding in volume.findings)


@pytest.mark.parametrize("lps", [LPS, oblique(), LPS @ np.diag([1, 1, -1, 1.0])], ids=["axial", "oblique", "downwards"])
def test_slices_lie_where_they_say_whatever_their_names(
    tmp_path: Path, lps: Affine, capfd: pytest.CaptureFixture[str]
) -> None:
    volume = read_volume(write_series(tmp_path / "scan", lps=lps))
    for k, plane in enumerate(voxels()):  # the k-th slice is found again at its place in the world
        index = np.linalg.solve(volume.affine, RAS @ lps @ [0, 0, k, 1])
        assert np.allclose(index[:2], 0, atol=1e-3)
        assert np.array_equal(volume.array[0, round(index[2])], plane)
    assert np.allclose(np.linalg.norm(volume.affine[:3, :3], axis=0), [0.9, 1.1, 2], atol=1e-4)
    assert volume.findings == ()
    assert capfd.readouterr() == ("", "")


def test_rescaling_is_that_of_each_slice(tmp_path: Path) -> None:
    slopes = {n: {"RescaleSlope": n + 1, "RescaleIntercept": -1024} for n in range(12)}
    volume = read_volume(write_series(tmp_path / "scan", of_slice=slopes))
    assert np.allclose(volume.array[0], voxels() * np.arange(1, 13)[:, None, None] - 1024)


def test_a_tilted_gantry_makes_a_leaning_grid(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    tilted = LPS.copy()
    tilted[1, 2] = 2 * np.tan(np.radians(18))
    volume = read_volume(write_series(tmp_path / "scan", lps=tilted))
    assert np.allclose(volume.affine, RAS @ tilted, atol=1e-3)
    assert np.array_equal(volume.array[0], voxels())
    assert "note: The voxel axes of the scan lean against each other by up to 18.0 degrees" in says(volume)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("missing", [[5], [4, 5, 6], [2, 8]])
def test_missing_slices_are_counted_and_refused(
    tmp_path: Path, missing: list[int], capfd: pytest.CaptureFixture[str]
) -> None:
    kept = [k for k in range(12) if k not in missing]
    folder = write_series(tmp_path / "scan", voxels()[kept], heights=kept)
    with pytest.raises(InputError, match=rf"lacks {len(missing)} of its slices, between .*--fill-gaps"):
        read_volume(folder)
    assert capfd.readouterr() == ("", "")


def test_missing_slices_are_interpolated_on_request_and_told(tmp_path: Path) -> None:
    kept = [0, 1, 2, 3, 6, 7, 8, 9, 10, 11]
    volume = read_volume(write_series(tmp_path / "scan", voxels()[kept], heights=kept), fill_gaps=True)
    assert np.allclose(volume.affine, RAS @ LPS, atol=1e-3)
    assert np.allclose(volume.array[0, kept], voxels()[kept])
    before, after = voxels()[3].astype(float), voxels()[6].astype(float)
    assert np.allclose(volume.array[0, 4], (2 * before + after) / 3, atol=1e-3)
    assert "warning: The series has 10 slices for 12 even places" in says(volume)


def test_uneven_slices_are_refused_with_their_distances(tmp_path: Path) -> None:
    heights = [0, 1, 2, 3.4, 4.5, 5.6, 6.5, 7.5, 8.5, 9.6, 10.5, 12]
    folder = write_series(tmp_path / "scan", heights=heights)
    with pytest.raises(InputError, match=r"unevenly spaced slices, 1.8 to 3 mm apart"):
        read_volume(folder)
    assert read_volume(folder, fill_gaps=True).shape[1:] == (20, 18)


def test_positions_that_were_rounded_are_even(tmp_path: Path) -> None:
    rounded = {n: {"ImagePositionPatient": [-40, -50, round(-30 + 1.1666667 * n, 1)]} for n in range(12)}
    volume = read_volume(write_series(tmp_path / "scan", of_slice=rounded))
    assert volume.spacing[2] == pytest.approx(1.1666667, abs=0.01)
    assert volume.findings == ()


def test_slices_that_were_copied_twice_are_taken_once_and_told(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "scan")
    for n, file in enumerate(sorted(folder.iterdir())[:4]):
        shutil.copy(file, folder / f"copy{n}.dcm")
    volume = read_volume(folder)
    assert np.array_equal(volume.array[0], voxels())
    assert "4 slices of the series lie in the folder twice" in says(volume)


ECHOES = [("EchoTime", 4.6, 9.2), ("TemporalPositionIdentifier", 1, 2), ("ImageType", ["M", "ND"], ["P", "ND"])]


@pytest.mark.parametrize(("keyword", "first", "second"), ECHOES)
def test_several_volumes_under_one_uid_are_listed_and_chosen(
    tmp_path: Path, keyword: str, first: Any, second: Any
) -> None:
    folder, other = tmp_path / "scan", voxels(seed=1)
    write_series(folder, uid="1.2.3", SeriesNumber=7, **{keyword: first})
    write_series(folder, other, uid="1.2.3", SeriesNumber=7, prefix="B", **{keyword: second})
    with pytest.raises(InputError, match=r"holds 2 DICOM series; choose one with --series: 7\.1: .*12 slices.*7\.2: "):
        read_volume(folder)
    assert np.array_equal(read_volume(folder, series="7.1").array[0], voxels())
    assert np.array_equal(read_volume(folder, series="7.2").array[0], other)
    with pytest.raises(InputError, match="holds 2 series"):
        read_volume(folder, series="7")


def test_slices_at_one_place_that_nothing_tells_apart_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "scan"
    write_series(folder, uid="1.2.3")
    write_series(folder, voxels(seed=1), uid="1.2.3", prefix="B")
    with pytest.raises(InputError, match="several slices at one place"):
        read_volume(folder)


def test_a_localizer_is_refused(tmp_path: Path) -> None:
    turned = np.array([[0, 0, 2, 0], [1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1.0]])
    folder = tmp_path / "scan"
    write_series(folder, uid="1.2.3", array=voxels()[:3])
    write_series(folder, uid="1.2.3", array=voxels()[:3], lps=turned, prefix="B")
    with pytest.raises(InputError, match=r"in 2 different directions \(a localizer\)"):
        read_volume(folder)


def test_slices_that_do_not_lie_behind_each_other_are_refused(tmp_path: Path) -> None:
    askew = {6: {"ImagePositionPatient": [-30, -50, -18]}}
    with pytest.raises(InputError, match="do not lie behind each other"):
        read_volume(write_series(tmp_path / "scan", of_slice=askew))


@pytest.mark.parametrize("keyword", ["ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"])
def test_slices_that_do_not_say_where_they_lie_are_refused(tmp_path: Path, keyword: str) -> None:
    folder = write_series(tmp_path / "scan", of_slice={n: {keyword: None} for n in range(12)})
    with pytest.raises(InputError, match="12 slices that do not say where they lie"):
        read_volume(folder)


def test_slices_of_different_sizes_are_refused(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "scan", uid="1.2.3", array=voxels()[:6])
    write_series(folder, uid="1.2.3", array=voxels((6, 10, 10)), heights=range(6, 12), prefix="B")
    with pytest.raises(InputError, match="different sizes"):
        read_volume(folder)


# ------------------------------------------------------------------------------------------------------ several series


def two(folder: Path, **numbers: Any) -> Path:
    write_series(folder, uid="1.2.1", **{"SeriesNumber": 3, "SeriesDescription": "MPRAGE", **numbers})
    fields = {"SeriesNumber": 5, "SeriesDescription": "T2 TSE", **numbers}
    return write_series(folder, voxels(seed=1)[:9], uid="1.2.2", prefix="B", **fields)


def test_several_series_are_listed_with_what_they_are(tmp_path: Path) -> None:
    wanted = r'2 DICOM series; choose one with --series: 3: "MPRAGE" \(MR, 12 slices\); 5: "T2 TSE" \(MR, 9 slices\)'
    with pytest.raises(InputError, match=wanted):
        read_volume(two(tmp_path / "scan"))


def test_of_very_many_series_the_first_are_listed(tmp_path: Path) -> None:
    for n in range(1, 31):
        write_series(tmp_path / "scan", voxels((2, 4, 4)), prefix=f"S{n:02d}_", SeriesNumber=n)
    with pytest.raises(InputError, match=r'holds 30 DICOM series.* 20: "T1" \(MR, 2 slices\); and 10 more\.$'):
        read_volume(tmp_path / "scan")


@pytest.mark.parametrize("wanted", ["5", "1.2.2", " 5 "])
def test_a_series_is_chosen_by_number_or_uid(tmp_path: Path, wanted: str) -> None:
    assert np.array_equal(read_volume(two(tmp_path / "scan"), series=wanted).array[0], voxels(seed=1)[:9])


def test_a_series_that_is_not_there_is_refused_with_the_list(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r'no series "4".*3: "MPRAGE"'):
        read_volume(two(tmp_path / "scan"), series="4")
    with pytest.raises(InputError, match=r'no series "4".*1: "T1"'):
        read_volume(write_series(tmp_path / "one"), series="4")


@pytest.mark.parametrize("number", [None, 4])
def test_series_without_numbers_of_their_own_are_counted(tmp_path: Path, number: int | None) -> None:
    folder = two(tmp_path / "scan", SeriesNumber=number)
    assert [one.choice for one in find_series(folder)] == ["1", "2"]
    assert read_volume(folder, series="2").shape[0] == 9


def test_what_is_no_scan_does_not_count(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "scan")
    dataset(voxels()[0], SegmentationStorage, Modality="SEG", SeriesInstanceUID="1.9").save_as(
        folder / "seg.dcm", enforce_file_format=True
    )
    directory = dataset(voxels()[0])
    directory.file_meta.MediaStorageSOPClassUID = MediaStorageDirectoryStorage
    for keyword in ("SOPClassUID", "SOPInstanceUID", "Modality", "Rows", "Columns", "PixelData"):
        delattr(directory, keyword)
    directory.save_as(folder / "DICOMDIR", enforce_file_format=False)
    (folder / "notes.txt").write_text("no DICOM")
    (folder / ".hidden.dcm").write_bytes((folder / "IM0003.dcm").read_bytes())
    volume = read_volume(folder)
    assert np.array_equal(volume.array[0], voxels())
    assert volume.findings == ()


@pytest.mark.parametrize("content", [b"\0" * 128 + b"DICM" + b"nonsense" * 9, b""])
def test_damaged_files_beside_a_series_are_told(tmp_path: Path, content: bytes) -> None:
    folder = write_series(tmp_path / "scan")
    (folder / "broken.dcm").write_bytes(content)
    assert '1 files beside the series are DICOM and damaged, such as "broken.dcm"' in says(read_volume(folder))


def test_a_slice_whose_pixels_are_cut_is_refused_by_name(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "scan")
    data = (folder / "IM0003.dcm").read_bytes()
    (folder / "IM0003.dcm").write_bytes(data[:-100])
    with pytest.raises(InputError, match=r'"IM0003\.dcm" is damaged'):
        read_volume(folder)


def test_a_study_says_which_folder_to_give(tmp_path: Path) -> None:
    write_series(tmp_path / "study" / "series")
    with pytest.raises(InputError, match=r'holds no DICOM series.*study/series" below it does.*-r'):
        read_volume(tmp_path / "study")


def test_a_single_slice_says_to_give_the_folder(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "scan")
    with pytest.raises(InputError, match="single slice of a DICOM series; give the folder"):
        read_volume(folder / "IM0003.dcm")


@pytest.mark.parametrize("order", [range(12), range(11, -1, -1), [*range(0, 12, 2), *range(1, 12, 2)]])
def test_a_multi_frame_file_is_read_alone_and_in_its_folder(tmp_path: Path, order: Any) -> None:
    path = write_enhanced(tmp_path / "scan" / "IM0001.dcm", order=order)
    for given in (path, path.parent):
        volume = read_volume(given)
        assert np.array_equal(volume.array[0], voxels())
        assert np.allclose(volume.affine, RAS @ LPS, atol=1e-3)


def test_files_whose_names_are_no_utf8_are_read(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "scan")
    for n, file in enumerate(sorted(folder.iterdir())):
        os.rename(file, os.fsencode(folder) + b"/lat\xe9%d.dcm" % n)
    assert np.array_equal(read_volume(folder).array[0], voxels())
