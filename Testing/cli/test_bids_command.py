"""`lcs bids`: from a data set to derivatives that validators take, and a page that shows the worst first."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from LabelConditionedSegmentationLib import Segmenter, read_volume
from LabelConditionedSegmentationLib.cli.bids_group import group_deviations
from LabelConditionedSegmentationLib.cli.bids_page import Entry, page_of
from LabelConditionedSegmentationLib.cli.main import main

from Testing import samples
from Testing.cli.command import contents, one_sentence

SCANS = (
    "sub-01/ses-1/anat/sub-01_ses-1_T1w.nii.gz",
    "sub-01/ses-2/anat/sub-01_ses-2_run-1_T1w.nii.gz",
    "sub-02/anat/sub-02_T1w.nii",
)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two participants, one of them seen twice, with scans that are not asked for beside."""
    folder = tmp_path_factory.mktemp("bids") / "study"
    for n, name in enumerate((*SCANS, "sub-02/anat/sub-02_T2w.nii.gz", "sub-02/anat/sub-02_part-phase_T1w.nii.gz")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        samples.scan((18, 20, 22), seed=n).save(folder / name)
    (folder / "sub-01/ses-1/anat/sub-01_ses-1_T1w.json").write_text('{"Modality": "MR"}')
    (folder / "dataset_description.json").write_text('{"Name": "Study", "BIDSVersion": "1.10.0"}')
    (folder / "README").write_text("A study of two, made in code for a test of the program that reads it.\n")
    (folder / "participants.tsv").write_text("participant_id\tage\tsex\nsub-01\t31\tF\nsub-02\t22\tM\n")
    return folder


@pytest.fixture(scope="module")
def derivatives(study: Path, tiny_package: Path) -> Path:
    """Both levels of it."""
    folder = study / "derivatives" / "lcs"
    words = ["bids", str(study), str(folder)]
    assert main([*words, "participant", "--model", str(tiny_package), "--probabilities"]) == 0
    assert main([*words, "group", "--model", str(tiny_package)]) == 0
    return folder


def table(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream, delimiter="\t"))


def test_every_scan_has_its_results_under_names_of_bids(study: Path, derivatives: Path) -> None:
    found = {str(path.relative_to(derivatives)) for path in contents(derivatives) if path.is_file()}
    stems = [re.sub(r"_T1w\.nii(\.gz)?$", "_seg-tiny", name) for name in SCANS]
    endings = ("dseg.nii.gz", "dseg.json", "dseg.tsv", "probseg.nii.gz", "probseg.json", "volumes.tsv", "report.json")
    expected = {f"{stem}_{ending}" for stem in stems for ending in endings}
    expected |= {f"{stem.split('/')[0]}/figures/{stem.split('/')[-1]}_dseg.png" for stem in stems}
    group = {"group_volumes.tsv", "group_quality.tsv", "group.html"}
    assert found == expected | group | {"dataset_description.json", "README", ".bidsignore"}
    described = json.loads((derivatives / "dataset_description.json").read_text())
    assert described["DatasetType"] == "derivative"
    assert described["GeneratedBy"][0]["Name"] == "LabelConditionedSegmentation"
    assert described["SourceDatasets"][0]["URL"] == study.resolve().as_uri()


def test_label_maps_probabilities_and_tables_tell_the_same(study: Path, derivatives: Path, tiny_package: Path) -> None:
    base = derivatives / "sub-02/anat/sub-02_seg-tiny"
    scan = read_volume(study / SCANS[2])
    with Segmenter.from_package(tiny_package, "cpu") as segmenter:
        features = segmenter.features(scan, {"age": 22, "sex": "M"})
        result, maps = features.segment(), features.probabilities()
    labels = np.asarray(nibabel.load(f"{base}_dseg.nii.gz").dataobj).T
    assert np.array_equal(labels, result.label_map.to_numpy())
    assert len(np.unique(labels)) > 3
    probabilities = np.asarray(nibabel.load(f"{base}_probseg.nii.gz").dataobj).T
    # features are kept in half precision, so that the last bit of a pass of the network may round to another value
    assert np.allclose(probabilities, maps.volume.array, atol=1e-3)
    assert np.mean(np.abs(probabilities - maps.volume.array)) < 1e-5
    named = json.loads(Path(f"{base}_probseg.json").read_text())
    assert named["LabelMap"] == [label.name for label in maps.labels]
    rows = table(Path(f"{base}_dseg.tsv"))
    assert {int(row["index"]): row["name"] for row in rows} == {leaf.id: leaf.name for leaf in result.trees[0].leaves}
    assert {row["snomed_ct"] for row in rows if "Hippocampus" in row["name"]} == {"5366008"}
    assert all(re.fullmatch(r"#[0-9a-f]{6}", row["color"]) for row in rows)
    volumes = {row["name"]: float(row["millilitres"]) for row in table(Path(f"{base}_volumes.tsv"))}
    told = {result.trees[0][ident].name: value for ident, value in result.millilitres().items()}
    assert volumes == pytest.approx(told, abs=5e-4)
    sidecar = json.loads(Path(f"{base}_dseg.json").read_text())
    assert sidecar["Sources"] == ["bids:raw:sub-02/anat/sub-02_T1w.nii"]
    assert json.loads(Path(f"{base}_report.json").read_text())["metadata"] == {"age": 22, "sex": "M"}


class Pictures(HTMLParser):
    """What a page shows, in order."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.pictures: list[Path] = []
        self.page = page
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            self.pictures.append(self.page.parent / str(dict(attributes)["src"]))


def test_the_group_has_a_row_and_a_picture_a_scan(derivatives: Path) -> None:
    rows = table(derivatives / "group_volumes.tsv")
    assert [(row["participant_id"], row["session_id"]) for row in rows] == [
        ("sub-01", "ses-1"),
        ("sub-01", "ses-2"),
        ("sub-02", "n/a"),
    ]
    one = {row["name"]: row["millilitres"] for row in table(derivatives / "sub-02/anat/sub-02_seg-tiny_volumes.tsv")}
    assert {name: rows[2][name] for name in one} == one
    pictures = Pictures(derivatives / "group.html").pictures
    assert len(pictures) == 3
    assert all(picture.read_bytes().startswith(b"\x89PNG") for picture in pictures)


def test_scans_without_a_result_and_odd_ones_come_first(
    study: Path, derivatives: Path, tiny_package: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "lcs"
    shutil.copytree(derivatives, folder)
    odd = folder / "sub-02/anat/sub-02_seg-tiny_report.json"
    report = json.loads(odd.read_text()) | {"answer": {"oddness": 0.7}}
    report["findings"] = [{"level": "warning", "text": "The result <may> be wrong.", "fix": ""}]
    odd.write_text(json.dumps(report))
    (folder / "sub-01/ses-2/anat/sub-01_ses-2_run-1_seg-tiny_report.json").unlink()
    assert main(["bids", str(study), str(folder), "group", "--model", str(tiny_package)]) == 0
    rows = table(folder / "group_quality.tsv")
    assert [row["scan"] for row in rows] == ["sub-01_ses-2_run-1", "sub-02", "sub-01_ses-1"]
    assert [row["findings"] for row in rows][:2] == ["error", "warning"]
    assert rows[1]["oddness"] == "0.700"
    page = (folder / "group.html").read_text()
    assert "<may>" not in page
    assert page.index("There is no result") < page.index("&lt;may&gt;")


def test_one_scan_unlike_the_others_is_seen_in_its_volumes() -> None:
    generator = np.random.default_rng(0)
    usual = [{str(n): float(v) for n, v in enumerate(10 * np.exp(generator.normal(0, 0.1, 30)))} for _ in range(12)]
    larger = {name: 1.4 * value for name, value in usual[0].items()}
    odd = {name: value * (3 if int(name) % 2 else 1) for name, value in usual[1].items()}
    *others, large, strange, lost = group_deviations([*usual, larger, odd, {}])
    assert lost is None
    assert strange is not None
    assert strange > 2 * max(value for value in (*others, large) if value is not None)
    assert group_deviations(usual[:4]) == [None] * 4


def test_only_some_participants_and_what_is_left_to_do(study: Path, tiny_package: Path, tmp_path: Path) -> None:
    words = ["bids", str(study), str(tmp_path / "out"), "participant", "--model", str(tiny_package)]
    assert main([*words, "--participant-label", "sub-02"]) == 0
    before = contents(tmp_path / "out")
    assert {path.name for path in before if path.name.startswith("sub-")} >= {"sub-02"}
    assert "sub-01" not in {path.name for path in before}
    assert main([*words, "--skip-existing", "--participant-label", "02"]) == 0
    assert contents(tmp_path / "out") == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("missing", "out", "participant"), 'no folder "missing"'),
        (("study", "study", "participant"), "derivatives/lcs"),
        (("empty", "out", "participant"), "is no BIDS data set"),
        (("study", "out", "participant", "--participant-label", "03"), 'no participant "03"'),
        (("study", "out", "participant", "--suffix", "FLAIR"), "choose another suffix"),
        (("study", "out", "group"), "run the level participant first"),
        (("study", "other", "participant"), "has not made"),
        (("study", "other", "group"), "has not made"),
        (("study", "out", "group", "--participant-label", "01"), "leave --participant-label out"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_sentence(
    words: tuple[str, ...],
    said: str,
    study: Path,
    tiny_package: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "study").symlink_to(study)
    (tmp_path / "empty").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other/dataset_description.json").write_text('{"Name": "Other", "GeneratedBy": [{"Name": "Else"}]}')
    monkeypatch.chdir(tmp_path)
    assert main(["bids", *words, "--model", str(tiny_package)]) == 2
    assert said in one_sentence(capsys.readouterr().err)
    assert not (tmp_path / "out").exists()


def test_names_in_the_page_are_no_markup() -> None:
    page = page_of([Entry("a<b>", 'sub-"1".png', {"x": "<i>"}, ["<script>"], "error")], "m<n>")
    assert not re.search(r"<b>|<i>|<script>|<n>", page)


def validated(*words: str | Path) -> dict[str, Any]:
    if shutil.which(str(words[0])) is None:
        pytest.skip(f"{words[0]} is not installed")
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, timeout=110, check=False)
    issues: dict[str, Any] = json.loads(done.stdout)["issues"]
    return issues


def test_the_validator_of_the_schema_finds_no_error_in_the_results(derivatives: Path, tmp_path: Path) -> None:
    shutil.copytree(derivatives, tmp_path / "lcs")
    issues = validated("bids-validator-deno", tmp_path / "lcs", "--format", "json")["issues"]  # of PyPI
    assert [issue["code"] for issue in issues if issue["severity"] == "error"] == []
    assert "TOO_FEW_AUTHORS" in {issue["code"] for issue in issues}


def test_the_former_validator_finds_no_error_in_the_study_with_its_results(study: Path, derivatives: Path) -> None:
    assert derivatives.is_relative_to(study)
    issues = validated("bids-validator", study, "--json")  # of npm; it looks into no derivatives
    assert [issue["key"] for issue in issues["errors"]] == []
