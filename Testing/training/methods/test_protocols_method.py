"""Several data sets that divide a scan in different ways, as protocols of one network: trained, resumed, exported,
added to a package, scored and asked for.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from LabelConditionedSegmentationLib.cli.main import main
from LabelConditionedSegmentationLib.core.inference.segmenter import Segmenter
from LabelConditionedSegmentationLib.core.package.model_package import ModelPackage
from LabelConditionedSegmentationLib.core.scan.image_io import read_volume
from safetensors.torch import load_file

from Testing.training.data.test_sources import write_halves
from Testing.training.engine.test_train import rows
from Testing.training.made_up_data import write_data_set
from Training.data.training_samples import Samples
from Training.engine.config import Config, read_config
from Training.engine.loop import train
from Training.engine.run_data import load_data
from Training.evaluation.scan_evaluation import evaluate
from Training.losses.streamed_softmax import plain_softmax_loss
from Training.losses.truth import IGNORE, Truth
from Training.methods.protocols import inside
from Training.methods.registry import check_method

Roots = tuple[Path, Path]


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> Roots:
    folder = tmp_path_factory.mktemp("data")
    return write_data_set(folder / "made_up"), write_halves(folder / "halves")


def config_of(folder: Path, sources: Sequence[str], *overrides: str, method: str = "protocols") -> Config:
    path = folder / "run.yaml"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(f"""
method: {method}
output: {folder / "run"}
accelerator: cpu
precision: 32-true
validate_every: 1000
data: {{sources: [{", ".join(sources)}], cache: {folder / "cache"}, patch: [32, 36, 36], points: 1000, workers: 0}}
network: {{widths: [8, 16], blocks: [1, 1], feature_channels: 8}}
optimizer: {{learning_rate: 1e-2, steps: 2, warmup: 1, decay: 0, averaging: 0.9}}
package: {{name: both, patch: [48, 48, 48], flip: true}}
""")
    return read_config(path, list(overrides))


def both(roots: Roots) -> list[str]:
    a, b = roots
    return [
        *(f'{{root: "{a}"}}', f'{{root: "{a}", role: validate, cases: [case_2]}}'),
        *(f'{{root: "{b}"}}', f'{{root: "{b}", role: validate, cases: [case_1]}}'),
    ]


@pytest.fixture(scope="module")
def run(roots: Roots, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    train(config_of(folder, both(roots), "optimizer.steps=40"))
    return folder


@pytest.fixture(scope="module")
def package(run: Path) -> ModelPackage:
    return ModelPackage.load(run / "run" / "package")


def test_every_data_set_is_a_protocol_whose_names_and_ids_can_be_told_apart(package: ModelPackage) -> None:
    tree = package.labels
    assert list(tree.parts) == ["made_up", "halves"]
    assert tree.find("Left Hippocampus").id == 48  # the first protocol keeps names and ids
    other = tree.find("Left Hippocampus (halves)")
    assert [leaf.name for leaf in tree.leaves_under(other)] == ["Front of it", "Back of it"]
    assert tree.find("Thalamus").id not in (48, other.id)
    assert tree.find("left hippocampus (MADE_UP)").id == 48
    assert tree.part_of("Halves").find("Left Hippocampus") == other


def test_all_protocols_are_learned_on_one_trunk(run: Path, roots: Roots, package: ModelPackage) -> None:
    assert float(rows(run)[-1]["dice"]) > 0.35
    segmenter = Segmenter.from_package(package.path, "cpu")
    for root, most in zip(roots, ("Right Hippocampus", "Thalamus"), strict=True):
        found = evaluate(segmenter, root)
        assert {row.label for row in found.rows} <= {leaf.id for leaf in package.labels.parts[root.stem].leaves}
        wanted = package.labels.part_of(root.stem).find(most)
        assert np.mean([row.scores.dice for row in found.rows if row.label == wanted.id]) > 0.5
    with pytest.raises(Exception, match='no protocol "nothing"; it has "made_up" or "halves"'):
        evaluate(segmenter, roots[0], protocol="nothing")


def test_a_run_goes_on_as_if_it_had_never_stopped(roots: Roots, tmp_path: Path) -> None:
    for folder, stops in (("whole", [2]), ("resumed", [1, 2])):
        for steps in stops:
            train(config_of(tmp_path / folder, both(roots), f"optimizer.steps={steps}"))
    whole, resumed = (load_file(tmp_path / name / "run" / "last.safetensors") for name in ("whole", "resumed"))
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)


def test_the_command_line_asks_by_protocol_and_refuses_two_in_one_label_map(
    package: ModelPackage, roots: Roots, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scan, out = str(roots[0] / "imagesTr" / "case_2_0000.nii.gz"), tmp_path / "found.nii.gz"
    words = ["segment", scan, "--model", str(package.path), "--device", "cpu"]
    assert main([*words, "-o", str(tmp_path / "all.seg.nrrd")]) == 0
    assert main([*words, "-o", str(out)]) == 2
    assert "belong to 2 protocols (made_up, halves)" in capsys.readouterr().err
    assert main([*words, "-o", str(out), "--labels", "Front of it,Right Hippocampus"]) == 2
    assert not out.exists()
    assert main([*words, "-o", str(out), "--protocol", "halves"]) == 0
    leaves = package.labels.parts["halves"].leaves
    assert set(np.unique(read_volume(out).array)) <= {0, *(leaf.id for leaf in leaves)}
    assert (
        main([*words, "-o", str(tmp_path / "b.nii.gz"), "--protocol", "halves", "--labels", "Right Hippocampus"]) == 2
    )
    assert 'knows no label "Right Hippocampus"' in capsys.readouterr().err
    assert main([*words, "-o", str(tmp_path / "b.nii.gz"), "--protocol", "freesurfer"]) == 2
    assert 'no protocol "freesurfer"; it has "made_up" or "halves"' in capsys.readouterr().err
    assert main(["labels", "--model", str(package.path)]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert [line for line in listed if line.startswith("protocol")] == ["protocol made_up", "protocol halves"]


def test_a_protocol_added_to_a_package_leaves_the_answers_of_the_others_bit_equal(roots: Roots, tmp_path: Path) -> None:
    alone = config_of(tmp_path / "alone", [f'{{root: "{roots[0]}"}}'], method="lcs")
    alone.package.flip = False
    train(alone)
    before = tmp_path / "alone" / "run" / "package"
    added = config_of(
        *(tmp_path / "added", [f'{{root: "{roots[1]}"}}'], f"init_from={before}", "optimizer.freeze=[trunk]"),
        *("package.flip=false", "optimizer.weight_decay=0", "network={}"),
    )
    train(added)
    old, new = (Segmenter.from_package(path, "cpu") for path in (before, tmp_path / "added" / "run" / "package"))
    assert list(new.package.labels.parts) == ["both", "halves"]
    scan = read_volume(roots[0] / "imagesTr" / "case_2_0000.nii.gz")
    kept = [str(leaf.id) for leaf in old.package.labels.leaves]
    assert np.array_equal(old.segment(scan).label_map.array, new.segment(scan, kept).label_map.array)


def test_a_loss_is_that_of_a_network_with_its_protocol_alone() -> None:
    generator = torch.Generator().manual_seed(0)
    features, prompts = torch.randn(40, 4, generator=generator), torch.randn(7, 4, generator=generator)
    members = torch.tensor([[0, 1, 1, 0, 0, 0, 0], [0, 0, 0, 0, 0, 1, 1]], dtype=torch.bool)
    local = torch.tensor([0, 1, 2, 4, IGNORE] * 8)  # background, two classes, a parent of both, unknown
    moved = torch.where(local == 4, 8, torch.where(local > 0, local + 4, local))
    annotated = torch.tensor([True, False, False, False, False, True, True])
    its = inside(Truth(moved, annotated, members), slice(4, 7))
    by_hand = Truth(
        torch.where(local == 4, 3, local), torch.ones(3, dtype=torch.bool), torch.tensor([[False, True, True]])
    )
    zero = torch.zeros(3)
    assert torch.equal(its.target, by_hand.target)
    assert torch.equal(its.members, by_hand.members)
    assert plain_softmax_loss(features, prompts[4:], zero, its) == plain_softmax_loss(
        features, prompts[4:], zero, by_hand
    )


def test_one_scan_in_two_data_sets_is_refused_unless_two_protocols_learn_from_it(roots: Roots, tmp_path: Path) -> None:
    twice = tmp_path / "twice"
    shutil.copytree(roots[0], twice)
    plain, again = f'{{root: "{roots[0]}"}}', f'{{root: "{twice}"}}'
    with pytest.raises(SystemExit, match="have the same scan: case_0 there is case_0 here"):
        load_data(config_of(tmp_path, [plain, again], method="lcs"))
    with pytest.raises(SystemExit, match="have the same scan"):
        load_data(config_of(tmp_path, [plain, f'{{root: "{twice}", role: validate, protocol: made_up}}']))
    assert len(load_data(config_of(tmp_path, [plain, again])).training) == 6


def test_data_sets_of_one_protocol_have_to_agree_about_ids(roots: Roots, tmp_path: Path) -> None:
    sources = [f'{{root: "{roots[0]}"}}', f'{{root: "{roots[1]}", protocol: made_up}}']
    with pytest.raises(SystemExit, match=r'The id 48 is "Thalamus" in .* but "Left Hippocampus" in another source'):
        load_data(config_of(tmp_path, sources))


def test_protocols_are_for_the_method_that_keeps_them(roots: Roots, tmp_path: Path) -> None:
    sources = [f'{{root: "{roots[0]}", protocol: first}}']
    with pytest.raises(SystemExit, match="Only method=protocols keeps protocols"):
        check_method(config_of(tmp_path, sources, method="lcs"))
    unlearned = [f'{{root: "{roots[0]}"}}', f'{{root: "{roots[1]}", role: validate}}']
    with pytest.raises(SystemExit, match="No source is trained on for the protocol halves"):
        load_data(config_of(tmp_path, unlearned))


def test_a_package_of_several_protocols_goes_on_only_with_protocols(
    package: ModelPackage, roots: Roots, tmp_path: Path
) -> None:
    words = (f"init_from={package.path}", "network={}")
    with pytest.raises(SystemExit, match="take method=protocols"):
        train(config_of(tmp_path, [f'{{root: "{roots[0]}"}}'], *words, method="lcs"))


def test_scans_are_flipped_only_where_their_protocol_has_both_sides(roots: Roots, tmp_path: Path) -> None:
    """The other table has a left hippocampus in two parts and nothing on the right."""
    (tmp_path / "left").mkdir()
    left = shutil.copytree(roots[1], tmp_path / "left" / "halves")
    rows = "1,Left Front,left,\n2,Left Back,left,\n48,Thalamus,midline,\n"
    (left / "labels.csv").write_text("id,name,hemisphere,parent\n" + rows)
    symmetric = f'{{root: "{roots[0]}", labels: [Right Hippocampus, Left Hippocampus]}}'
    config = config_of(tmp_path, [symmetric, f'{{root: "{left}"}}'])
    data = load_data(config)
    samples = Samples(data.training, data.code, config)
    assert samples.spatial.settings.flip  # for the other protocol
    sides = set()
    for number in range(24):
        sample = samples[number]
        i, front = sample["points"][:, 0].float(), sample["target"] == 4
        if samples.case_of(number).source == 1:
            sides.add(bool(i[front].mean() < i.mean()))
    assert sides == {True}
