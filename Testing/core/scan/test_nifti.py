"""Where a NIfTI scan lies: one rule, what the header says twice is told, and results say all that the scan said."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Sequence
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from LabelConditionedSegmentationLib.core.errors import InputError
from LabelConditionedSegmentationLib.core.scan.image_io import read_volume
from LabelConditionedSegmentationLib.core.scan.nifti import write_nifti
from LabelConditionedSegmentationLib.core.scan.volume import Affine, Array, Volume

from Testing import samples

STRAIGHT = np.array([[-1.0, 0, 0, 20], [0, 1.5, 0, -30], [0, 0, 2, -25], [0, 0, 0, 1]])
VOXELS = samples.scan((20, 24, 22)).array[0].T  # (i, j, k), as nibabel has them


def turned(affine: Affine, degrees: float) -> Affine:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, -s, 0, 0], [s, c, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]) @ affine


def mirrored(affine: Affine) -> Affine:
    return np.diag([-1.0, 1, 1, 1]) @ affine


def moved(affine: Affine, millimetres: float) -> Affine:
    out = affine.copy()
    out[1, 3] += millimetres
    return out


def write(
    path: Path,
    sform: tuple[Affine | None, int],
    qform: tuple[Affine | None, int],
    change: Callable[[nib.Nifti1Header], None] = lambda header: None,
    voxels: Array = VOXELS,
    kind: type[nib.Nifti1Image] = nib.Nifti1Image,
) -> Path:
    """A NIfTI file whose header says exactly this."""
    image = kind(voxels, None)
    image.header["pixdim"][1:4] = np.linalg.norm(STRAIGHT[:3, :3], axis=0)
    if qform[0] is not None:
        image.header.set_qform(qform[0], qform[1])
    if sform[0] is not None:
        image.header.set_sform(sform[0], sform[1])
    image.header["sform_code"], image.header["qform_code"] = sform[1], qform[1]
    change(image.header)
    data = image.to_bytes()
    path.write_bytes(gzip.compress(data) if path.name.endswith(".gz") else data)
    return path


def texts(volume: Volume) -> str:
    return " ".join(f"{finding.level}: {finding}" for finding in volume.findings)


@pytest.mark.parametrize("codes", [(1, 0), (0, 1), (1, 1), (2, 1), (4, 1), (1, 4), (3, 2)])
def test_the_sform_is_taken_where_it_has_a_code_and_else_the_qform(tmp_path: Path, codes: tuple[int, int]) -> None:
    sform, qform = turned(STRAIGHT, 20), STRAIGHT
    path = write(tmp_path / "scan.nii.gz", (sform, codes[0]), (qform, codes[1]))
    volume = read_volume(path)
    assert np.allclose(volume.affine, sform if codes[0] else qform, atol=1e-5)
    assert np.allclose(volume.affine, nib.load(path).affine, atol=1e-5)
    assert np.array_equal(volume.array[0], VOXELS.T)


@pytest.mark.parametrize("codes", [(1, 1), (2, 1), (4, 1), (1, 3)])
def test_forms_of_other_handedness_are_told_as_left_and_right(tmp_path: Path, codes: tuple[int, int]) -> None:
    volume = read_volume(write(tmp_path / "s.nii", (mirrored(STRAIGHT), codes[0]), (STRAIGHT, codes[1])))
    assert np.allclose(volume.affine, mirrored(STRAIGHT))
    assert f"sform (code {codes[0]}) and qform (code {codes[1]}) disagree about left and right" in texts(volume)
    assert "warning" in texts(volume)


@pytest.mark.parametrize(("millimetres", "is_told"), [(0.02, False), (0.2, True), (49.0, True)])
def test_forms_that_lie_apart_are_told_with_how_far(tmp_path: Path, millimetres: float, is_told: bool) -> None:
    volume = read_volume(write(tmp_path / "s.nii", (moved(STRAIGHT, millimetres), 2), (STRAIGHT, 1)))
    assert (f"lie up to {millimetres:.3g} mm apart" in texts(volume)) is is_told
    assert bool(volume.findings) is is_told


def test_forms_that_agree_are_told_nothing(tmp_path: Path) -> None:
    assert read_volume(write(tmp_path / "s.nii", (turned(STRAIGHT, 33), 1), (turned(STRAIGHT, 33), 1))).findings == ()


def test_an_sform_of_other_lengths_than_pixdim_is_told(tmp_path: Path) -> None:
    larger = STRAIGHT @ np.diag([1.2, 1, 1, 1])
    volume = read_volume(write(tmp_path / "s.nii", (larger, 4), (None, 0)))
    assert "1.2 x 1.5 x 2 mm by the header's sform and 1 x 1.5 x 2 mm by its pixdim" in texts(volume)
    assert volume.spacing == pytest.approx((1.2, 1.5, 2))


def test_a_qform_that_is_no_rotation_is_told_and_the_sform_taken(tmp_path: Path) -> None:
    def damage(header: nib.Nifti1Header) -> None:
        header["quatern_b"] = header["quatern_c"] = 3

    volume = read_volume(write(tmp_path / "s.nii", (STRAIGHT, 1), (STRAIGHT, 1), damage))
    assert "qform holds impossible numbers" in texts(volume)
    with pytest.raises(InputError, match="which way its voxel axes run"):
        read_volume(write(tmp_path / "q.nii", (None, 0), (STRAIGHT, 1), damage))


def test_without_codes_left_and_right_are_not_known(tmp_path: Path) -> None:
    path = write(tmp_path / "s.nii.gz", (STRAIGHT, 0), (STRAIGHT, 0))
    with pytest.raises(InputError, match=r"left and right are not known.*--assume-orientation"):
        read_volume(path)
    volume = read_volume(path, assume_orientation="lps")
    assert np.allclose(volume.affine[:3, :3], np.diag([-1, -1.5, 2]))
    assert np.allclose(volume.affine @ [10.5, 11.5, 9.5, 1], [0, 0, 0, 1])
    assert "LPS was assumed" in texts(volume)


def test_what_was_assumed_does_not_overrule_what_a_file_says(tmp_path: Path) -> None:
    path = write(tmp_path / "s.nii.gz", (STRAIGHT, 1), (STRAIGHT, 1))
    volume = read_volume(path, assume_orientation="RAS")
    assert np.allclose(volume.affine, STRAIGHT)
    assert volume.findings == ()


@pytest.mark.parametrize("letters", ["RA", "RAX", "RAL", "RASP", "LRS", "xyz"])
def test_letters_that_are_no_orientation_are_refused(tmp_path: Path, letters: str) -> None:
    path = write(tmp_path / "s.nii.gz", (STRAIGHT, 0), (STRAIGHT, 0))
    with pytest.raises(InputError, match=f'"{letters}" is no orientation'):
        read_volume(path, assume_orientation=letters)


@pytest.mark.parametrize("magic", [b"\0\0\0", b"n-1", b"xyz"])
def test_a_header_without_a_nifti_magic_says_nothing_of_sides(tmp_path: Path, magic: bytes) -> None:
    path = write(tmp_path / "s.nii", (STRAIGHT, 1), (STRAIGHT, 1))
    data = path.read_bytes()
    path.write_bytes(data[:344] + magic + data[347:])
    with pytest.raises(InputError, match="left and right are not known"):
        read_volume(path)
    assert np.array_equal(read_volume(path, assume_orientation="RAS").array[0], VOXELS.T)


@pytest.mark.parametrize("given", ["scan.hdr", "scan.img"])
def test_an_analyze_pair_needs_to_be_told_its_orientation(tmp_path: Path, given: str) -> None:
    image = nib.AnalyzeImage(VOXELS, np.diag([2.0, 2, 2, 1]))
    nib.save(image, tmp_path / "scan.hdr")
    with pytest.raises(InputError, match="left and right are not known"):
        read_volume(tmp_path / given)
    volume = read_volume(tmp_path / given, assume_orientation="LAS")
    assert np.array_equal(volume.array[0], VOXELS.T)
    assert volume.spacing == (2, 2, 2)


@pytest.mark.parametrize("missing", ["scan.hdr", "scan.img"])
def test_half_a_pair_is_refused_by_name(tmp_path: Path, missing: str) -> None:
    nib.save(nib.Nifti1Pair(VOXELS, STRAIGHT), tmp_path / "scan.img")
    (tmp_path / missing).unlink()
    given = tmp_path / ("scan.img" if missing == "scan.hdr" else "scan.hdr")
    with pytest.raises(InputError, match=f'there is no "{missing}" beside it'):
        read_volume(given)


@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
def test_axes_that_lean_are_read_as_they_lie(tmp_path: Path, kind: type[nib.Nifti1Image]) -> None:
    sheared = STRAIGHT @ np.array([[1, 0.3, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    volume = read_volume(write(tmp_path / "s.nii", (sheared, 1), (None, 0), kind=kind))
    assert np.allclose(volume.affine, sheared)
    assert "note: The voxel axes of the scan lean against each other by up to" in texts(volume)


def test_cosines_that_were_rounded_are_no_finding(tmp_path: Path) -> None:
    oblique = turned(STRAIGHT, 17)
    lengths = np.linalg.norm(oblique[:3, :3], axis=0)
    oblique[:3, :3] = np.round(oblique[:3, :3] / lengths, 3) * lengths
    volume = read_volume(write(tmp_path / "s.nii", (oblique, 1), (None, 0)))
    assert np.allclose(volume.affine, oblique)
    assert volume.findings == ()


@pytest.mark.parametrize(("code", "factor"), [(1, 1e-3), (3, 1e3)])
def test_lengths_in_metres_and_micrometres_are_millimetres_afterwards(tmp_path: Path, code: int, factor: float) -> None:
    def other_unit(header: nib.Nifti1Header) -> None:
        header["pixdim"][1:4] *= factor
        header["xyzt_units"] = code

    scale = np.diag([factor] * 3 + [1.0])
    volume = read_volume(write(tmp_path / "s.nii", (scale @ STRAIGHT, 1), (None, 0), other_unit))
    assert np.allclose(volume.affine, STRAIGHT, atol=1e-4)
    assert "metres" in texts(volume)


# ------------------------------------------------------------------------------------------------------------ voxels


@pytest.mark.parametrize("end", ["<", ">"])
@pytest.mark.parametrize("kind", ["u1", "i2", "u2", "i4", "f4", "f8"])
def test_every_kind_of_voxel_in_either_byte_order_is_read(tmp_path: Path, kind: str, end: str) -> None:
    voxels = VOXELS.clip(0, 200).astype(kind)
    header = nib.Nifti1Header(endianness=end)
    header.set_data_dtype(np.dtype(kind))
    image = nib.Nifti1Image(voxels, STRAIGHT, header)
    nib.save(image, tmp_path / "s.nii")
    array = read_volume(tmp_path / "s.nii").array
    assert np.array_equal(array[0], voxels.T)
    assert array.dtype == np.dtype(kind)
    assert array.dtype.isnative


def test_scaled_integers_are_what_the_header_says(tmp_path: Path) -> None:
    path = write(tmp_path / "s.nii", (STRAIGHT, 1), (STRAIGHT, 1))
    data = bytearray(path.read_bytes())
    data[112:120] = np.array([0.1, 100], dtype="<f4").tobytes()
    path.write_bytes(data)
    array = read_volume(path).array
    assert array.dtype == np.float32
    assert np.allclose(array[0], VOXELS.T * 0.1 + 100, atol=1e-4)


@pytest.mark.parametrize("junk", [b"\xff" * 64, bytes(512), b"ID3 and more", b"\x1f\x8b\x08" + bytes(7) + b"\xff" * 20])
@pytest.mark.parametrize("name", ["s.nii", "s.nii.gz", "pair.img"])
def test_what_follows_the_voxels_is_ignored(tmp_path: Path, name: str, junk: bytes) -> None:
    voxels = VOXELS.astype(np.float32)
    nib.save((nib.Nifti1Pair if name == "pair.img" else nib.Nifti1Image)(voxels, STRAIGHT), tmp_path / name)
    with (tmp_path / name).open("ab") as stream:
        stream.write(junk)
    array = read_volume(tmp_path / name).array
    assert np.array_equal(array[0], voxels.T)


def test_voxels_in_several_gzip_members_and_under_a_plain_name_are_read(tmp_path: Path) -> None:
    data = write(tmp_path / "s.nii", (STRAIGHT, 1), (STRAIGHT, 1)).read_bytes()
    packed = gzip.compress(data[:5000]) + gzip.compress(data[5000:])
    for name in ("members.nii.gz", "plain.nii"):
        (tmp_path / name).write_bytes(packed)
        assert np.array_equal(read_volume(tmp_path / name).array[0], VOXELS.T)


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def wrong_checksum(data: bytes) -> bytes:
    return data[:-8] + bytes(4) + data[-4:]


def without_end(data: bytes) -> bytes:
    return data[:-6]


@pytest.mark.parametrize(
    ("name", "damage"),
    [("s.nii", cut), ("s.nii.gz", cut), ("pair.img", cut), ("s.nii.gz", wrong_checksum), ("s.nii.gz", without_end)],
)
def test_missing_voxels_and_wrong_checksums_are_told(
    tmp_path: Path, name: str, damage: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / name
    nib.save((nib.Nifti1Pair if name == "pair.img" else nib.Nifti1Image)(VOXELS, STRAIGHT), path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match="damaged or incomplete: some of its voxels are missing"):
        read_volume(path)


def with_dim(path: Path, dim: Sequence[int]) -> Path:
    """A scan whose header states these numbers of axes and voxels."""
    data = write(path, (STRAIGHT, 1), (STRAIGHT, 1)).read_bytes()
    path.write_bytes(data[:40] + np.array(dim, dtype="<i2").tobytes() + data[40 + 2 * len(dim) :])
    return path


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_header_that_promises_more_than_there_can_be_asks_for_no_memory(
    tmp_path: Path, pack: Callable[[bytes], bytes]
) -> None:
    path = with_dim(tmp_path / "s.nii", (3, 32000, 32000, 32000))
    path.write_bytes(pack(path.read_bytes()))
    with pytest.raises(InputError, match="voxels are missing"):
        read_volume(path)


@pytest.mark.parametrize(
    ("dim", "says"),
    [((0, 1, 1), "cannot be read"), ((3, 0, 4), "cannot be read"), ((9, 3, 3), "cannot be read"), ((2, 20, 24), "2D")],
)
def test_impossible_numbers_of_voxels_are_refused(tmp_path: Path, dim: tuple[int, ...], says: str) -> None:
    with pytest.raises(InputError, match=says):
        read_volume(with_dim(tmp_path / "s.nii", dim))


def test_one_frame_of_time_is_a_scan_and_three_are_not(tmp_path: Path) -> None:
    one = write(tmp_path / "one.nii", (STRAIGHT, 1), (STRAIGHT, 1), voxels=VOXELS[..., None])
    assert np.array_equal(read_volume(one).array[0], VOXELS.T)
    with pytest.raises(InputError, match=r"4D.*one frame"):
        read_volume(write(tmp_path / "three.nii", (STRAIGHT, 1), (STRAIGHT, 1), voxels=np.stack([VOXELS] * 3, -1)))


def test_colour_and_vectors_are_told_with_their_number_of_values(tmp_path: Path) -> None:
    colour = np.zeros(VOXELS.shape, dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    for voxels in (colour, np.zeros((*VOXELS.shape, 1, 3), dtype=np.float32)):
        nib.save(nib.Nifti1Image(voxels, STRAIGHT), tmp_path / "s.nii")
        with pytest.raises(InputError, match="3 values a voxel"):
            read_volume(tmp_path / "s.nii")


# ---------------------------------------------------------------------------------------------------- FreeSurfer, NRRD


def test_freesurfer_volumes_are_read_where_they_lie(tmp_path: Path) -> None:
    for name in ("s.mgz", "s.mgh"):
        nib.save(nib.MGHImage(VOXELS.astype(np.float32), turned(STRAIGHT, 20)), tmp_path / name)
        volume = read_volume(tmp_path / name)
        assert np.array_equal(volume.array[0], VOXELS.T)
        assert np.allclose(volume.affine, turned(STRAIGHT, 20), atol=1e-4)


def test_a_freesurfer_volume_that_says_nothing_of_sides_or_is_cut_is_refused(tmp_path: Path) -> None:
    nib.save(nib.MGHImage(VOXELS.astype(np.float32), STRAIGHT), tmp_path / "s.mgh")
    data = (tmp_path / "s.mgh").read_bytes()
    (tmp_path / "s.mgh").write_bytes(data[:28] + bytes(2) + data[30:])
    with pytest.raises(InputError, match="left and right are not known"):
        read_volume(tmp_path / "s.mgh")
    (tmp_path / "s.mgh").write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match="damaged or incomplete"):
        read_volume(tmp_path / "s.mgh")


def image() -> sitk.Image:
    out = sitk.GetImageFromArray(VOXELS.T)
    out.SetSpacing((1, 1.5, 2))
    return out


@pytest.mark.parametrize(
    ("name", "line", "instead"),
    [
        ("s.nrrd", b"space: left-posterior-superior", b"space dimension: 3"),
        ("s.nrrd", b"space: left-posterior-superior", b"space: 3D-right-handed"),
        ("s.mha", b"TransformMatrix = 1 0 0 0 1 0 0 0 1\n", b""),
    ],
)
def test_other_formats_that_say_nothing_of_sides_are_refused(
    tmp_path: Path, name: str, line: bytes, instead: bytes
) -> None:
    path = tmp_path / name
    sitk.WriteImage(image(), str(path))
    assert np.allclose(np.diag(read_volume(path).affine), [-1, -1.5, 2, 1])
    data = path.read_bytes()
    assert line in data
    path.write_bytes(data.replace(line, instead))
    with pytest.raises(InputError, match="left and right are not known"):
        read_volume(path)
    assert np.allclose(np.diag(read_volume(path, assume_orientation="RAS").affine), [1, 1.5, 2, 1])


def test_a_picture_stack_says_nothing_of_sides(tmp_path: Path) -> None:
    sitk.WriteImage(image(), str(tmp_path / "s.tif"))
    with pytest.raises(InputError, match="left and right are not known"):
        read_volume(tmp_path / "s.tif")


@pytest.mark.parametrize("space", ["right-anterior-superior", "RAS", "left-anterior-superior", "LPS"])
def test_nrrd_lies_where_its_space_says(tmp_path: Path, space: str) -> None:
    sitk.WriteImage(image(), str(tmp_path / "s.nrrd"))
    data = (tmp_path / "s.nrrd").read_bytes()
    (tmp_path / "s.nrrd").write_bytes(data.replace(b"left-posterior-superior", space.encode()))
    signs = {"r": [1, 1, 1], "l": [-1, 1, 1] if "anterior" in space else [-1, -1, 1]}[space[0].lower()]
    assert np.allclose(np.diag(read_volume(tmp_path / "s.nrrd").affine)[:3], np.array(signs) * [1, 1.5, 2])


@pytest.mark.parametrize("name", ["s.nrrd", "s.mha"])
def test_leaning_axes_of_other_formats_are_read_as_they_lie(tmp_path: Path, name: str) -> None:
    leaning = image()
    leaning.SetDirection((1, 0, 0, 0, 1, 0.3, 0, 0, 1))
    sitk.WriteImage(leaning, str(tmp_path / name))
    volume = read_volume(tmp_path / name)
    wanted = np.array([[-1, 0, 0], [0, -1.5, -0.6], [0, 0, 2]])
    assert np.allclose(volume.affine[:3, :3], wanted)
    assert "lean against each other by up to 16.7 degrees" in texts(volume)


def test_a_damaged_nrrd_is_told(tmp_path: Path) -> None:
    path = tmp_path / "s.nrrd"
    sitk.WriteImage(image(), str(path), useCompression=True)
    data = bytearray(path.read_bytes())
    data[-200:-150] = bytes(50)
    path.write_bytes(data)
    with pytest.raises(InputError, match="damaged or incomplete"):
        read_volume(path)


# ----------------------------------------------------------------------------------------------------------- writing


@pytest.mark.parametrize("codes", [(1, 1), (2, 1), (4, 1), (0, 1), (1, 0), (0, 0), (3, 4)])
@pytest.mark.parametrize("unit", [0, 2, 3])
def test_a_result_says_all_that_its_scan_says_of_its_place(tmp_path: Path, codes: tuple[int, int], unit: int) -> None:
    def units(header: nib.Nifti1Header) -> None:
        header["xyzt_units"] = unit

    path = write(tmp_path / "s.nii.gz", (mirrored(turned(STRAIGHT, 20)), codes[0]), (STRAIGHT, codes[1]), units)
    scan = read_volume(path, assume_orientation="RAS")
    write_nifti(tmp_path / "out.nii.gz", scan.with_array(np.ones(scan.array.shape, dtype=np.uint8)))
    one, two = nib.load(path), nib.load(tmp_path / "out.nii.gz")
    assert np.array_equal(one.affine, two.affine)
    for name in ("sform_code", "qform_code", "quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y"):
        assert one.header[name] == two.header[name]
    assert np.array_equal(one.header.get_sform(), two.header.get_sform())
    assert np.array_equal(one.header.get_qform(), two.header.get_qform())
    itk_one, itk_two = sitk.ReadImage(str(path)), sitk.ReadImage(str(tmp_path / "out.nii.gz"))
    assert itk_one.GetDirection() == itk_two.GetDirection()
    assert itk_one.GetOrigin() == itk_two.GetOrigin()
    assert itk_one.GetSpacing() == itk_two.GetSpacing()


@pytest.mark.parametrize("name", ["out.nii", "out.nii.gz"])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.uint32])
def test_a_result_of_another_format_says_its_place_in_both_forms(tmp_path: Path, name: str, kind: type) -> None:
    labels: Array = np.arange(VOXELS.size).reshape(VOXELS.T.shape).astype(kind)
    write_nifti(tmp_path / name, Volume(labels[None], turned(STRAIGHT, 20)))
    header = nib.load(tmp_path / name).header
    assert (header["sform_code"], header["qform_code"]) == (1, 1)
    assert np.allclose(header.get_sform(), turned(STRAIGHT, 20), atol=1e-5)
    assert np.allclose(header.get_qform(), turned(STRAIGHT, 20), atol=1e-5)
    back = read_volume(tmp_path / name)
    assert back.array.dtype == kind
    assert np.array_equal(back.array[0], labels)


def test_a_grid_that_leans_is_written_as_an_sform_alone(tmp_path: Path) -> None:
    sheared = STRAIGHT @ np.array([[1, 0.3, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    write_nifti(tmp_path / "out.nii.gz", Volume(VOXELS.T[None].astype(np.uint8), sheared))
    header = nib.load(tmp_path / "out.nii.gz").header
    assert (header["sform_code"], header["qform_code"]) == (1, 0)
    assert np.allclose(header.get_sform(), sheared, atol=1e-5)
