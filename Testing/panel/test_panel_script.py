"""Segmentation from a script: what `process` makes, what it refuses, and that script, panel and command line agree
voxel for voxel.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
import torch
from LabelConditionedSegmentationLib.cli.main import main
from LabelConditionedSegmentationLib.core.errors import InputError, LabelError, LCSError, MetadataError
from LabelConditionedSegmentationLib.core.examples.example_prompt import ExamplePrompt, read_prompt, write_prompt
from LabelConditionedSegmentationLib.core.inference import segmenter
from LabelConditionedSegmentationLib.core.inference.segmenter import Segmenter
from LabelConditionedSegmentationLib.core.scan.input_spec import InputSpec
from LabelConditionedSegmentationLib.scene.run_report import report_of
from LabelConditionedSegmentationLib.worker.in_process import InProcessWorker

from Testing import samples
from Testing.cli.command import write_scan
from Testing.host.application import Host
from Testing.panel.pictures import load_volume
from Testing.panel.user import PLACE, User, assert_same_masks, masks, segment_names
from Testing.scene import made_nodes as nodes


@pytest.fixture
def user(host: Host, tiny_package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> User:
    """The module is open, with a folder of models of its own."""
    shutil.copytree(tiny_package, tmp_path / "models" / "tiny")
    monkeypatch.setenv("LCS_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return User(host)


@pytest.fixture
def logic(user: User) -> Any:
    """The logic of a script, with the network in this process."""
    made = new_logic()
    made.runner.worker = InProcessWorker()
    return made


def new_logic() -> Any:
    from LabelConditionedSegmentation import LabelConditionedSegmentationLogic

    return LabelConditionedSegmentationLogic()


def test_process_makes_a_segmentation_or_fills_the_one_that_is_given(user: User, logic: Any) -> None:
    volume = user.add_volume()
    steps: list[tuple[float, str]] = []
    made = logic.process(
        volume,
        labels=["Putamen L", "Deep gray matter"],
        metadata={"age": 31},
        model="tiny",
        progress=lambda *step: steps.append(step),
    )
    assert segment_names(made) == ["Left Putamen", "Deep gray matter"]
    assert json.loads(report_of(made) or "")["metadata"] == {"sex": "unknown", "age": 31.0}
    assert steps
    own = user.host.scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Mine")
    own.CreateDefaultDisplayNodes()
    own.GetSegmentation().AddEmptySegment("lesion", "Lesion", [1, 0, 0])
    assert logic.process(volume, own, labels=["Deep gray matter"], metadata={"age": 31}, model="tiny") is own
    assert segment_names(own) == ["Lesion", "Deep gray matter"]
    np.testing.assert_array_equal(masks(own, volume)["Deep gray matter"], masks(made, volume)["Deep gray matter"])
    logic.close()


def test_without_labels_every_leaf_is_segmented(user: User, logic: Any) -> None:
    assert len(segment_names(logic.process(user.add_volume(), model="tiny"))) == 6


def test_what_looks_like_a_label_map_is_segmented_where_the_script_says_that_it_is_a_scan(
    user: User, logic: Any
) -> None:
    volume = nodes.volume(user.host.scene, PLACE, samples.scan().array[0] // 300 * 300)
    with pytest.raises(InputError, match="label map or mask"):
        logic.process(volume, model="tiny")
    assert len(segment_names(logic.process(volume, model="tiny", notALabelMap=True))) > 3


def test_a_single_name_is_one_label(user: User, logic: Any) -> None:
    assert segment_names(logic.process(user.add_volume(), labels="Left Putamen", model="tiny")) == ["Left Putamen"]


def test_a_model_is_found_by_its_folder_and_its_zip(user: User, logic: Any, tiny_package: Path, tmp_path: Path) -> None:
    packed = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", tiny_package.parent, tiny_package.name))
    volume = user.add_volume()
    first, second = (logic.process(volume, labels=["Left Putamen"], model=path) for path in (tiny_package, packed))
    assert_same_masks(masks(first, volume), masks(second, volume))


def example_file(folder: Path, user: User, name: str, **change: Any) -> Path:
    """A label by example of the model, in a file."""
    package = user.panel.package
    vector = tuple(float(n) for n in np.random.default_rng(len(name)).normal(size=package.prompt_length))
    path = folder / f"{name}.lcs-label.json"
    write_prompt(replace(ExamplePrompt(name, vector, 0.5, package.name, package.weights_sha256), **change), path)
    return path


def test_labels_by_example_are_found_beside_those_of_the_model(user: User, logic: Any, tmp_path: Path) -> None:
    volume = user.add_volume()
    files: list[Path | str] = [
        example_file(tmp_path, user, "Lesion"),
        str(example_file(tmp_path, user, "Cyst", parent="Deep gray matter")),
    ]
    alone = logic.process(volume, labels=[], model="tiny", examples=files)
    passes = logic.runner.worker._server.model.trunk_passes
    assert segment_names(alone) == ["Lesion", "Cyst"]
    features = Segmenter.from_package(user.panel.package.path, "cpu").features(samples.scan(affine=PLACE))
    result = features.by_example([read_prompt(Path(file)) for file in files]).segment()
    wanted = {entry.label.name: result.mask(entry.label.name).to_numpy() for entry in result.labels}
    assert any(mask.any() for mask in wanted.values())
    assert_same_masks(masks(alone, volume), wanted)
    assert segment_names(logic.process(volume, labels=["Left Putamen"], model="tiny", examples=files[0])) == [
        "Left Putamen",
        "Lesion",
    ]
    everything = logic.process(volume, model="tiny", examples=files)
    assert segment_names(everything) == [*segment_names(logic.process(volume, model="tiny")), "Lesion", "Cyst"]
    assert logic.runner.worker._server.model.trunk_passes == passes


def test_a_file_of_a_label_by_example_that_cannot_be_used_is_a_sentence(user: User, logic: Any, tmp_path: Path) -> None:
    volume, good = user.add_volume(), example_file(tmp_path, user, "Lesion")
    (tmp_path / "broken.json").write_text("{")
    other = example_file(tmp_path, user, "Foreign", weights_sha256="0" * 64, package="zebra")
    wrong: list[tuple[Any, type[LCSError], str]] = [
        ([tmp_path / "none.json"], InputError, "none.json.* cannot be read"),
        ([good, tmp_path / "broken.json"], InputError, "not readable as JSON"),
        ([other], InputError, r"was made with another model \(zebra\)"),
        ([good, good], LabelError, 'There is a label "Lesion" already'),
        ([example_file(tmp_path, user, "left putamen")], LabelError, "already"),
        ([example_file(tmp_path, user, "Cyst", parent="Moon")], LabelError, "Moon"),
    ]
    for examples, error, says in wrong:
        with pytest.raises(error, match=says):
            logic.process(volume, labels=[], model="tiny", examples=examples)
    assert slicer.util.getNodesByClass("vtkMRMLSegmentationNode") == []
    assert logic.runner.answer is None  # the network was not asked


def test_features_that_were_not_kept_are_told_and_nothing_is_written(
    user: User, logic: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segmenter, "EXAMPLE_BUDGET", 0)
    with pytest.raises(LCSError, match="larger than the memory"):
        logic.process(user.add_volume(), model="tiny", examples=[example_file(tmp_path, user, "Lesion")])
    assert slicer.util.getNodesByClass("vtkMRMLSegmentationNode") == []


def test_a_second_call_for_the_same_volume_runs_no_network(user: User, logic: Any) -> None:
    volume = user.add_volume()
    logic.process(volume, labels=["Left Putamen"], model="tiny")
    passes = logic.runner.worker._server.model.trunk_passes
    logic.process(volume, labels=["Deep gray matter"], model="tiny")
    assert logic.runner.worker._server.model.trunk_passes == passes > 0
    slicer.util.arrayFromVolume(volume)[20, 20, 20] += 1
    slicer.util.arrayFromVolumeModified(volume)
    logic.process(volume, labels=["Deep gray matter"], model="tiny")
    assert logic.runner.worker._server.model.trunk_passes > passes


def test_metadata_outside_the_trained_range_are_unknown_and_the_report_says_so(user: User, logic: Any) -> None:
    report = json.loads(
        report_of(logic.process(user.add_volume(), labels=["Left Putamen"], metadata={"age": 70}, model="tiny")) or ""
    )
    assert report["metadata"]["age"] == "unknown"
    assert any("age = 70 lies outside" in finding["text"] for finding in report["findings"])


@pytest.mark.parametrize(
    ("wrong", "error", "says"),
    [
        ({"labels": ["Left Putamem"]}, LabelError, "Left Putamen"),
        ({"labels": []}, InputError, "No label was asked for"),
        ({"metadata": {"agee": 31}}, MetadataError, 'Did you mean "age"'),
        ({"metadata": {"age": 400}}, MetadataError, "cannot be 400"),
        ({"model": "tinny"}, InputError, 'There is no model "tinny"'),
        ({"device": "cuda:7"}, LCSError, "cuda:7"),
    ],
)
def test_what_is_wrong_is_a_sentence(
    user: User, logic: Any, wrong: dict[str, Any], error: type[Exception], says: str
) -> None:
    volume = user.add_volume()
    with pytest.raises(error, match=says):
        logic.process(volume, **{"labels": ["Left Putamen"], "model": "tiny", **wrong})
    assert slicer.util.getNodesByClass("vtkMRMLSegmentationNode") == []
    assert segment_names(logic.process(volume, labels=["Left Putamen"], model="tiny")) == ["Left Putamen"]


def test_volumes_that_are_none_or_too_many_are_a_sentence(user: User, logic: Any) -> None:
    with pytest.raises(InputError, match="No volume is chosen"):
        logic.process(None, model="tiny")
    with pytest.raises(InputError, match="takes 1 volume, T1; 2 were given"):
        logic.process([user.add_volume(), user.add_volume()], model="tiny")


def test_several_channels_are_given_as_a_sequence(user: User, logic: Any, tmp_path: Path) -> None:
    samples.package(
        tmp_path / "models", replace(samples.TINY, in_channels=2), name="pair", spec=InputSpec(("T1", "T2"))
    )
    one, two = user.add_volume(), user.add_volume(seed=1)
    made = logic.process([one, two], labels=["Deep gray matter"], model="pair")
    assert masks(made, one)["Deep gray matter"].any()
    with pytest.raises(InputError, match="takes 2 volumes, T1 and T2; 1 was given"):
        logic.process(one, model="pair")


@pytest.fixture
def one_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As `lcs` has it in tests, here and in the worker's process: on another number of threads sums are rounded
    otherwise, which can decide a tie.
    """
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("affine", "step"),
    [
        (nodes.oblique(), 1),
        (np.diag([-0.7, 1.1, 2.2, 1.0]), -1),  # left-handed: Slicer turns the slices round as it loads the file
    ],
    ids=["oblique", "left-handed"],
)
def test_script_panel_and_command_line_agree_voxel_for_voxel(
    user: User, tmp_path: Path, affine: Any, step: int, one_thread: None
) -> None:
    file = write_scan(tmp_path / "scan.nii.gz", samples.scan(affine=affine))
    wanted = ["Deep gray matter", "Left Putamen"]
    output = tmp_path / "out.nii.gz"
    words = ["--labels", ",".join(wanted), "--metadata", "age=31", "sex=F", "--device", "cpu"]
    assert main(["segment", str(file), "-o", str(output), "--model", str(tmp_path / "models" / "tiny"), *words]) == 0
    values = sitk.GetArrayFromImage(sitk.ReadImage(str(output)))
    labels = user.panel.package.labels
    expected = {name: values[::step] == labels.find(name).id for name in wanted}
    assert expected["Deep gray matter"].any()

    volume = load_volume(file, "Scan")
    logic = new_logic()  # as users have it, in a process of its own
    made = logic.process(volume, labels=wanted, metadata={"age": 31, "sex": "F"}, model="tiny", device="cpu")
    logic.close()
    assert_same_masks(masks(made, volume), expected)

    user.choose(volume)
    user.ui.sidesBox.checked = False
    user.tick(*wanted)
    user.tick("Deep gray matter", as_one=True)
    user.editor("age").text = "31"
    user.editor("sex").currentIndex = 1
    assert_same_masks(masks(user.apply(), volume), expected)
