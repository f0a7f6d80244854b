"""Prepared cases: what they hold, when they are made anew, and that nobody ever sees half of one."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from LabelConditionedSegmentationLib.core.labels.label_tree import LabelTree
from LabelConditionedSegmentationLib.core.scan.image_io import read_volume
from LabelConditionedSegmentationLib.core.scan.input_spec import InputSpec, Intensity
from LabelConditionedSegmentationLib.core.scan.itk import image_of
from LabelConditionedSegmentationLib.core.scan.metadata import MetadataSchema
from LabelConditionedSegmentationLib.core.scan.preprocessing import BACKGROUND
from LabelConditionedSegmentationLib.core.scan.volume import Volume

from Testing import samples
from Testing.training.made_up_data import as_datalist, write_data_set
from Training.data import prepared_cases as prepare
from Training.data.datasets import DataSet, read_data_set, read_labels
from Training.data.prepared_cases import (
    Case,
    is_prepared,
    open_prepared,
    prepare_cases,
    prepare_files,
    settings_of,
    write_index,
)
from Training.data.targets import TargetCode, select
from Training.engine.preparation import prepare_data
from Training.losses.truth import IGNORE

ROOT = Path(__file__).resolve().parents[3]
SPEC, SCHEMA, MULTIPLE = InputSpec(), samples.SCHEMA, 4


@pytest.fixture(scope="module")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data_set(tmp_path_factory.mktemp("data") / "made_up")


@pytest.fixture(scope="module")
def data_set(made_up: Path) -> DataSet:
    return read_data_set(made_up)


@pytest.fixture(scope="module")
def code(data_set: DataSet) -> TargetCode:
    return TargetCode(data_set.table, data_set.table, data_set.ignored_ids)


@pytest.fixture(scope="module")
def cache(data_set: DataSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared folder."""
    folder = tmp_path_factory.mktemp("cache")
    keys = prepare_files(data_set, data_set.table, SPEC, SCHEMA, MULTIPLE, folder)
    write_index(folder, keys, settings_of(data_set, data_set.table, SPEC, SCHEMA, MULTIPLE))
    return folder


@pytest.fixture(scope="module")
def cases(cache: Path) -> list[Case]:
    return open_prepared(cache, SPEC, SCHEMA, MULTIPLE).cases


def assert_same(one: Sequence[Case], other: Sequence[Case]) -> None:
    assert [case.name for case in one] == [case.name for case in other]
    for a, b in zip(one, other, strict=True):
        assert torch.equal(a.image, b.image)
        assert torch.equal(a.foreground, b.foreground)
        assert torch.equal(a.target, b.target)
        assert torch.equal(a.annotated, b.annotated)
        assert torch.equal(a.metadata.nan_to_num(9), b.metadata.nan_to_num(9))
        assert a.statistics == b.statistics


def folders(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.iterdir() if path.name != "prepared.json")


# ----------------------------------------------------------------------------------------------------------------------
# what a case holds


def test_a_case_has_the_shapes_and_types_that_are_stated(cases: list[Case], code: TargetCode) -> None:
    assert [case.name for case in cases] == ["case_0", "case_1", "case_2"]
    for case in cases:
        assert case.image.dtype == torch.float16
        assert case.target.dtype == torch.int16
        assert case.image.shape == (1, *case.target.shape)
        assert (case.foreground.dtype, case.foreground.shape) == (torch.bool, case.target.shape)
        assert bool((case.image[0][~case.foreground] == BACKGROUND).all())
        assert all(n % MULTIPLE == 0 for n in case.target.shape)
        assert case.annotated.shape == (code.classes,)
        assert case.annotated.dtype == torch.bool
        assert bool(case.annotated.all())
        assert case.statistics["foreground_ml"] > 10


def test_targets_lie_where_the_labels_were_drawn(cases: list[Case], code: TargetCode, data_set: DataSet) -> None:
    tree = data_set.table
    of = {
        name: tree.class_of[ident] for name, ident in (("ventricle", 4), ("right", 47), ("left", 48), ("anterior", 103))
    }
    first, second = (case.target.numpy() for case in cases[:2])
    (undivided,) = code.encode(np.array([65]))
    assert undivided >= code.classes
    assert set(np.unique(first)) == {
        IGNORE,
        0,
        of["ventricle"],
        of["right"],
        of["left"],
        undivided,
    }  # the vessel is ignored
    assert set(np.unique(second)) == {IGNORE, 0, of["ventricle"], of["right"], of["left"], of["anterior"]}
    for case, files in zip(
        cases, data_set.cases, strict=True
    ):  # 1 mm scans along the axes: voxels are copied, and counts stay
        ids = read_labels(files).array
        for name, ident in (("ventricle", 4), ("right", 47), ("left", 48)):
            assert int((case.target == of[name]).sum()) == int((ids == ident).sum())
    left, right = (np.argwhere(second == of[side])[:, 2].mean() for side in ("left", "right"))
    assert left < right


def test_metadata_is_encoded_and_what_is_unknown_stays_so(cases: list[Case]) -> None:
    assert cases[0].metadata[0] == 0  # F
    assert cases[1].metadata[0] == 1  # M
    assert cases[0].metadata[1] == pytest.approx((2 * 20 - 19 - 34) / 15)
    assert bool(cases[2].metadata.isnan().all())
    assert cases[2].metadata.shape == (2,)


def test_annotated_labels_come_from_the_data_set_or_from_the_settings(
    data_set: DataSet, code: TargetCode, tmp_path: Path
) -> None:
    first = replace(data_set.cases[0], annotated=("Left Hippocampus",))
    few = replace(data_set, cases=(first, *data_set.cases[1:]))
    cases = prepare_cases(few, data_set.table, SPEC, SCHEMA, MULTIPLE, tmp_path, {"case_1": ["3rd Ventricle"]})
    tree = data_set.table
    assert cases[0].annotated.nonzero()[:, 0].tolist() == sorted({0, tree.class_of[48]})
    assert cases[1].annotated.nonzero()[:, 0].tolist() == sorted({0, tree.class_of[4]})
    assert bool(cases[2].annotated.all())


def test_channels_are_stacked_in_order(made_up: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(made_up, tmp_path / "copy"))
    for path in list(folder.glob("imagesTr/*")):
        volume = read_volume(path)
        second = volume.with_array((volume.array.astype(np.int32) ** 2 // 1000 + (volume.array > 0)).astype(np.int16))
        sitk.WriteImage(image_of(second), str(path).replace("_0000", "_0001"))
    data_set = read_data_set(folder, ["case_1"])
    spec = InputSpec(channels=("T1", "T2"))
    (case,) = prepare_cases(data_set, data_set.table, spec, SCHEMA, MULTIPLE, tmp_path / "cache")
    (alone,) = prepare_cases(
        read_data_set(made_up, ["case_1"]), data_set.table, SPEC, SCHEMA, MULTIPLE, tmp_path / "cache"
    )
    assert case.image.shape == (2, *case.target.shape)
    assert torch.equal(case.image[0], alone.image[0])
    assert not torch.equal(case.image[0], case.image[1])


def test_an_oblique_scan_is_turned_with_its_labels(made_up: Path, tmp_path: Path) -> None:
    """The structures keep their volumes and sides on the network's grid."""
    folder = Path(shutil.copytree(made_up, tmp_path / "copy"))
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(0.3), -np.sin(0.3)], [np.sin(0.3), np.cos(0.3)]]
    for path in [folder / "imagesTr" / "case_1_0000.nii.gz", folder / "labelsTr" / "case_1.nii.gz"]:
        volume = read_volume(path)
        sitk.WriteImage(image_of(Volume(volume.array, turn @ volume.affine)), str(path))
    data_set = read_data_set(folder, ["case_1"])
    (case,) = prepare_cases(data_set, data_set.table, SPEC, SCHEMA, MULTIPLE, tmp_path / "cache")
    ids = read_labels(data_set.cases[0]).array
    for ident in (47, 48):
        count = int((case.target == data_set.table.class_of[ident]).sum())
        assert count == pytest.approx(int((ids == ident).sum()), rel=0.03)


def test_writing_to_a_case_changes_no_file(data_set: DataSet, cache: Path) -> None:
    before = open_prepared(cache, SPEC, SCHEMA, MULTIPLE, names=["case_0"]).cases[0]
    kept = before.target.clone()
    before.target.fill_(7)
    assert torch.equal(open_prepared(cache, SPEC, SCHEMA, MULTIPLE, names=["case_0"]).cases[0].target, kept)


# ----------------------------------------------------------------------------------------------------------------------
# when it is made anew


def change_in_secret(path: Path) -> None:
    """Other voxels in an image file of the same time."""
    volume = read_volume(path)
    array = volume.array.copy()
    array[array == 4] = 47
    array[0, 16, 18, 17] += 1
    stamp = path.stat()
    sitk.WriteImage(image_of(volume.with_array(array)), str(path))
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))  # the content counts, not the time


def test_a_case_is_made_once_and_again_when_anything_that_matters_changes(made_up: Path, tmp_path: Path) -> None:
    folder, cache = Path(shutil.copytree(made_up, tmp_path / "copy")), tmp_path / "cache"

    def key(
        spec: InputSpec = SPEC,
        schema: MetadataSchema = SCHEMA,
        multiple: int = MULTIPLE,
        labels: Sequence[str] = (),
        **annotated: list[str],
    ) -> str:
        data_set = read_data_set(folder, ["case_1"])
        return prepare_files(data_set, select(data_set.table, labels), spec, schema, multiple, cache, annotated)[
            "case_1"
        ]

    seen = [key()]
    made = (cache / seen[0] / "image.npy").stat().st_mtime_ns
    assert key() == seen[0]
    assert (cache / seen[0] / "image.npy").stat().st_mtime_ns == made
    seen += [
        key(InputSpec(spacing=(2, 2, 2))),
        key(multiple=8),
        key(schema=MetadataSchema()),
        key(labels=["Left Hippocampus"]),
    ]
    seen += [key(case_1=["Left Hippocampus"])]
    (folder / "participants.tsv").write_text("participant_id\tsex\tage\ncase_1\tF\t21\n")
    seen += [key()]
    (folder / "labels.csv").write_text((folder / "labels.csv").read_text().replace("other,,0", "other,,1"))
    seen += [key()]
    for path in (folder / "imagesTr" / "case_1_0000.nii.gz", folder / "labelsTr" / "case_1.nii.gz"):
        change_in_secret(path)
        seen += [key()]
    assert len(set(seen)) == len(seen)
    assert folders(cache) == sorted(seen)


def test_the_same_files_in_another_place_are_the_same_case(made_up: Path, data_set: DataSet, tmp_path: Path) -> None:
    moved = read_data_set(Path(shutil.copytree(made_up, tmp_path / "moved")))
    keys = [prepare_files(d, d.table, SPEC, SCHEMA, MULTIPLE, tmp_path / "cache") for d in (data_set, moved)]
    assert keys[0] == keys[1]


# ----------------------------------------------------------------------------------------------------------------------
# other processes

PREPARE = """
import os, signal, sys, time
from pathlib import Path
import numpy as np
from LabelConditionedSegmentationLib.core.scan.input_spec import InputSpec
from Testing import samples
from Training.data.datasets import read_data_set
from Training.data.prepared_cases import prepare_cases
data_set, cache = read_data_set(Path(sys.argv[1])), Path(sys.argv[2])
{before}
cases = prepare_cases(data_set, data_set.table, InputSpec(), samples.SCHEMA, 4, cache)
print(len(cases), {after})
"""

KILLED_AT_THE_SECOND_FILE_OF_THE_SECOND_CASE = """
from Training.data import prepared_cases as prepare
saved, save = [], prepare._write_array
def save_or_die(path, array):
    saved.append(path)
    if len(saved) == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    save(path, array)
prepare._write_array = save_or_die
"""

KILLED_BEFORE_THE_CASE_IS_PUT_IN_PLACE = """
def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)
os.rename = die
"""

MEETING_AT_THE_LAST_MOMENT = """
rename, lost = os.rename, []
def meet(source, target):
    (cache / f".met-{os.getpid()}-{target.name}").touch()
    deadline = time.monotonic() + 60
    while len(list(cache.glob(f".met-*-{target.name}"))) < 2:
        assert time.monotonic() < deadline, "the other process did not come"
        time.sleep(0.01)
    try:
        rename(source, target)
    except OSError:
        lost.append(target)
        raise
os.rename = meet
"""


def started(made_up: Path, cache: Path, before: str, after: str = "0") -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PREPARE.format(before=before, after=after), str(made_up), str(cache)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("before", "whole"),
    [(KILLED_AT_THE_SECOND_FILE_OF_THE_SECOND_CASE, 1), (KILLED_BEFORE_THE_CASE_IS_PUT_IN_PLACE, 0)],
    ids=["at the second file of the second case", "before the case is put in place"],
)
def test_a_killed_process_leaves_no_half_case_and_its_leftovers_are_removed(
    made_up: Path, data_set: DataSet, cases: list[Case], tmp_path: Path, before: str, whole: int
) -> None:
    process = started(made_up, tmp_path / "cache", before)
    assert process.wait(timeout=120) == -signal.SIGKILL
    left = [name for name in folders(tmp_path / "cache") if name.startswith(".")]
    assert len(left) == 1  # else the test tests nothing
    assert len(folders(tmp_path / "cache")) == 1 + whole
    assert_same(prepare_cases(data_set, data_set.table, SPEC, SCHEMA, MULTIPLE, tmp_path / "cache"), cases)
    assert all(len(name) == 64 for name in folders(tmp_path / "cache"))


def test_what_a_running_process_is_writing_stays(data_set: DataSet, tmp_path: Path) -> None:
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    host = prepare_host(data_set, tmp_path)
    try:
        names = [f".making-{host}-{sleeper.pid}-x", f".making-elsewhere-{2**22 + 5}-x"]
        for name in names:
            (tmp_path / name).mkdir()
        prepare_files(data_set, data_set.table, SPEC, SCHEMA, MULTIPLE, tmp_path)
        assert all((tmp_path / name).is_dir() for name in names)
    finally:
        sleeper.kill()
        sleeper.wait()
    prepare_files(data_set, data_set.table, SPEC, SCHEMA, MULTIPLE, tmp_path)
    assert [(tmp_path / name).is_dir() for name in names] == [False, True]


def prepare_host(data_set: DataSet, folder: Path) -> str:
    """How this computer is named in temporary names: taken from one that is being written."""
    seen: list[str] = []
    save = prepare._write_array

    def look(path: Path, array: np.ndarray) -> None:
        seen.append(path.parent.name)
        save(path, array)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prepare, "_write_array", look)
        prepare_files(
            replace(data_set, cases=data_set.cases[:1]), data_set.table, SPEC, SCHEMA, MULTIPLE, folder / "other"
        )
    return seen[0].split("-")[1]


@pytest.mark.slow
def test_two_processes_that_finish_the_same_case_at_once_both_succeed(
    made_up: Path, data_set: DataSet, cases: list[Case], tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    processes = [started(made_up, cache, MEETING_AT_THE_LAST_MOMENT, "len(lost)") for _ in range(2)]
    said = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    counts = [tuple(map(int, out.split())) for out, _ in said]
    assert [number for number, _ in counts] == [3, 3]
    assert sum(lost for _, lost in counts) == 3  # in each of the three cases one of the two came second
    assert len([name for name in folders(cache) if len(name) == 64]) == 3
    assert not list(cache.glob(".making-*"))
    assert_same(prepare_cases(data_set, data_set.table, SPEC, SCHEMA, MULTIPLE, cache), cases)


def test_a_prepared_folder_is_opened_without_scans_and_without_their_reader(made_up: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(made_up, tmp_path / "copy"))
    data_set = read_data_set(folder)
    keys = prepare_files(data_set, data_set.table, SPEC, SCHEMA, MULTIPLE, tmp_path / "cache")
    write_index(tmp_path / "cache", keys, settings_of(data_set, data_set.table, SPEC, SCHEMA, MULTIPLE))
    code = f"""
import sys
sys.modules["SimpleITK"] = None
from pathlib import Path
from Testing import samples
from LabelConditionedSegmentationLib.core.scan.input_spec import InputSpec
from Training.data.datasets import read_data_set, read_image
from Training.data.prepared_cases import open_prepared
prepared = open_prepared(Path({str(tmp_path / "cache")!r}), InputSpec(), samples.SCHEMA, 4)
print([case.name for case in prepared.cases], float(prepared.cases[0].image.float().abs().max()) > 1)
try:
    read_image(read_data_set(Path({str(made_up)!r})).cases[0])
except ImportError:
    print("blocked")
"""
    shutil.rmtree(folder)
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.stdout.splitlines() == ["['case_0', 'case_1', 'case_2'] True", "blocked"], done.stderr


# ----------------------------------------------------------------------------------------------------------------------
# opening


def test_a_prepared_folder_gives_its_labels_and_the_cases_that_are_named(
    cache: Path, cases: list[Case], data_set: DataSet
) -> None:
    prepared = open_prepared(cache, SPEC, SCHEMA, MULTIPLE, names=["case_2", "case_0"])
    assert_same(prepared.cases, [cases[0], cases[2]])
    assert prepared.tree.to_json() == data_set.table.to_json()
    assert is_prepared(cache)
    assert not is_prepared(cache.parent)
    with pytest.raises(SystemExit, match="case_9"):
        open_prepared(cache, SPEC, SCHEMA, MULTIPLE, names=["case_9"])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"spec": InputSpec(spacing=(1, 1, 2))}, r"input\.spacing: \[1\.0, 1\.0, 1\.0\] there, \[1, 1, 2\] here"),
        ({"spec": InputSpec(foreground="all")}, "input.foreground"),
        ({"schema": MetadataSchema(samples.SCHEMA.fields[:1])}, "setting of metadata"),
        ({"multiple": 8}, "network.multiple: 4 there, 8 here"),
        ({"labels": ["Left Hippocampus"]}, 'data.labels: .*"3rd Ventricle".* there, .*"Left Hippocampus".* here'),
        ({"annotated": {"case_1": ["Left Hippocampus"]}}, "data.annotated: {} there"),
    ],
)
def test_other_settings_are_refused_by_name(cache: Path, changes: dict[str, object], words: str) -> None:
    settings: dict[str, object] = {"spec": SPEC, "schema": SCHEMA, "multiple": MULTIPLE} | changes
    with pytest.raises(SystemExit, match=words):
        open_prepared(cache, **settings)  # type: ignore[arg-type]


def test_whole_numbers_and_real_ones_are_the_same_setting(cache: Path) -> None:
    assert open_prepared(cache, InputSpec(spacing=(1, 1, 1), margin_mm=2), SCHEMA, MULTIPLE).cases


def test_chosen_labels_are_those_of_the_prepared_folder(data_set: DataSet, tmp_path: Path) -> None:
    tree = select(data_set.table, ["Left Insula", "3rd Ventricle"])
    keys = prepare_files(data_set, tree, SPEC, SCHEMA, MULTIPLE, tmp_path)
    write_index(tmp_path, keys, settings_of(data_set, tree, SPEC, SCHEMA, MULTIPLE))
    prepared = open_prepared(tmp_path, SPEC, SCHEMA, MULTIPLE, ["3rd ventricle", "left insula"])
    assert [leaf.name for leaf in prepared.tree.leaves] == [leaf.name for leaf in tree.leaves]
    assert set(np.unique(prepared.cases[0].target.numpy())) == {IGNORE, 0, *tree.class_of.values()}
    with pytest.raises(SystemExit, match=r"data\.labels"):
        open_prepared(tmp_path, SPEC, SCHEMA, MULTIPLE)


def test_damage_is_told(cache: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(cache, tmp_path / "copy"))
    image = next(copy.glob("*/image.npy"))
    image.write_bytes(image.read_bytes()[:-100])
    with pytest.raises(SystemExit, match="missing or damaged"):
        open_prepared(copy, SPEC, SCHEMA, MULTIPLE)
    index = json.loads((cache / "prepared.json").read_text())
    for content, words in (
        ("{", "is damaged"),
        (json.dumps(index | {"cases": {"case_0": "../../elsewhere"}}), "is damaged"),
        (json.dumps(index | {"settings": index["settings"] | {"format": 99}}), "another version"),
    ):
        (copy / "prepared.json").write_text(content)
        with pytest.raises(SystemExit, match=words):
            open_prepared(copy, SPEC, SCHEMA, MULTIPLE)
    with pytest.raises(SystemExit, match="no folder of prepared cases"):
        open_prepared(tmp_path, SPEC, SCHEMA, MULTIPLE)


# ----------------------------------------------------------------------------------------------------------------------
# refusals


def test_a_case_that_cannot_be_used_is_named(data_set: DataSet, made_up: Path, tmp_path: Path) -> None:
    def refused(words: str, **changes: object) -> None:
        wrong = replace(data_set, cases=(data_set.cases[0], replace(data_set.cases[1], **changes)))  # type: ignore[arg-type]
        with pytest.raises(SystemExit, match=words):
            prepare_cases(wrong, data_set.table, SPEC, SCHEMA, MULTIPLE, tmp_path)

    refused("Case case_1: .*cannot be read: No such file", label=made_up / "nothing.nii.gz")
    refused('Case case_1: .*"sex" cannot be "X"', metadata={"sex": "X"})
    refused("Case case_1: .*needs 1 channel", images=data_set.cases[1].images * 2)
    refused("Two cases .* are called case_0", name="case_0")
    refused("annotated: .*Hipocampus", annotated=("Left Hipocampus",))
    assert not list(tmp_path.glob(".making-*"))
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit, match=r"cannot be made.*data\.cache"):
        prepare_files(data_set, data_set.table, SPEC, SCHEMA, MULTIPLE, tmp_path / "file" / "cache")


def test_the_command_prepares_what_a_configuration_describes(
    made_up: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from Training.engine.config import read_config

    path = tmp_path / "run.yaml"
    path.write_text(
        f"data: {{root: {as_datalist(made_up, tmp_path / 'list.json')}, cache: {tmp_path / 'cache'}, labels: [Left"
        " Hippocampus, Right Hippocampus]}\nnetwork: {widths: [8, 16], blocks: [1, 1], feature_channels: 8}\n"
    )
    config = read_config(path, [])
    folder = prepare_data(config)
    assert f"data.root={folder}" in capsys.readouterr().out
    prepared = open_prepared(folder, config.input, MetadataSchema(), config.network.multiple, config.data.labels)
    assert [leaf.name for leaf in prepared.tree.leaves] == ["Right Hippocampus", "Left Hippocampus"]
    assert isinstance(prepared.table, LabelTree)
    assert len(prepared.cases) == 3
    (made_up / "labelsTr" / "case_0.nii.gz").rename(tmp_path / "away.nii.gz")
    try:
        with pytest.raises(SystemExit, match=r"1 problem:\n- case_0: There is no file"):
            prepare_data(config)
    finally:
        (tmp_path / "away.nii.gz").rename(made_up / "labelsTr" / "case_0.nii.gz")


# ----------------------------------------------------------------------------------------------------------------------
# the intensity scheme


WINDOW = InputSpec(intensity=Intensity("window", 300, 600))


def test_cases_are_normalised_by_the_intensity_scheme_of_the_network_and_kept_apart(
    data_set: DataSet, cache: Path, tmp_path: Path
) -> None:
    shutil.copytree(cache, tmp_path / "cache")
    before = set(folders(tmp_path / "cache"))
    (case, *_) = prepare_cases(data_set, data_set.table, WINDOW, SCHEMA, MULTIPLE, tmp_path / "cache", progress=False)
    inside = case.image[:, case.foreground]
    assert (float(inside.min()), float(inside.max())) == (-1, 1)
    assert len(set(folders(tmp_path / "cache")) - before) == len(data_set.cases)
    (again, *_) = prepare_cases(data_set, data_set.table, SPEC, SCHEMA, MULTIPLE, tmp_path / "cache", progress=False)
    assert set(folders(tmp_path / "cache")) > before
    assert again.image[:, again.foreground].float().mean().abs() < 0.01


def test_a_folder_that_was_prepared_by_another_intensity_scheme_is_refused_both_ways(
    data_set: DataSet, cache: Path, tmp_path: Path
) -> None:
    with pytest.raises(SystemExit, match=r'another setting of input\.intensity: .*"z-score".* there, .*"window"'):
        open_prepared(cache, WINDOW, SCHEMA, MULTIPLE)
    keys = prepare_files(data_set, data_set.table, WINDOW, SCHEMA, MULTIPLE, tmp_path, progress=False)
    write_index(tmp_path, keys, settings_of(data_set, data_set.table, WINDOW, SCHEMA, MULTIPLE))
    assert len(open_prepared(tmp_path, WINDOW, SCHEMA, MULTIPLE).cases) == len(data_set.cases)
    with pytest.raises(SystemExit, match=r'another setting of input\.intensity: .*"window".* there, .*"z-score"'):
        open_prepared(tmp_path, SPEC, SCHEMA, MULTIPLE)
