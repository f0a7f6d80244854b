"""One data set as two sources: its stored scans, and images made of its label maps that are divided by those scans."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from LabelConditionedSegmentationLib.core.scan.metadata import Field
from LabelConditionedSegmentationLib.core.scan.preprocessing import BACKGROUND
from monai.transforms import Compose

from Testing import samples
from Testing.training.made_up_data import write_data_set
from Training.data.acquisition import Acquisition, Contrast, Tissues
from Training.data.augmentation import Augmentation, View
from Training.data.image_sources import StoredImages
from Training.data.sources import Source, check_sources
from Training.data.training_samples import Samples
from Training.engine.config import Config, DataConfig, read_config, write_config
from Training.engine.run_data import load_data

CONTRASTS = Field("contrast", "choice", choices=("T1", "T2", "other"))
TOLD = len(samples.SCHEMA.fields)
"""The place of the contrast among the metadata."""


@pytest.fixture(scope="module")
def data_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data_set(tmp_path_factory.mktemp("data") / "scans", cases=4)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def config_of(cache: Path, *sources: Source, **acquisition: Any) -> Config:
    config = Config(network=samples.TINY, metadata=[*samples.SCHEMA.fields, CONTRASTS], field_dropout=0)
    config.data = DataConfig(sources=list(sources), cache=str(cache), patch=(32, 36, 36), points=300)
    tissues = Tissues("3rd Ventricle", "Left Hippocampus", "Insular cortex")
    config.acquisition = Acquisition(stripped=0, black_air=1, cropped=0, faint=0, tissues=tissues, **acquisition)
    return config


def both(data_set: Path, **made: Any) -> list[Source]:
    return [
        Source(str(data_set), cases=["case_1", "case_2", "case_3"], metadata={"contrast": "T1"}),
        Source(str(data_set), cases=["case_1", "case_2", "case_3"], images="made", **made),
    ]


def test_stored_and_made_images_of_one_case_are_two_of_the_run(data_set: Path, cache: Path) -> None:
    held_out = Source(str(data_set), "validate", cases=["case_0"])
    data = load_data(config_of(cache, *both(data_set), held_out))
    names = [case.name for case in data.training]
    assert names == [f"scans{kind}/case_{n}" for kind in ("", "-made") for n in (1, 2, 3)]
    assert [case.map is not None for case in data.training] == [False] * 3 + [True] * 3
    for stored, made in zip(data.training[:3], data.training[3:], strict=True):
        assert int(made.target.max()) == int(stored.target.max())


def test_what_is_kept_for_validation_is_not_made_into_images_either(data_set: Path, cache: Path) -> None:
    sources = [
        Source(str(data_set)),
        Source(str(data_set), images="made"),
        Source(str(data_set), "validate", cases=["case_0"]),
    ]
    data = load_data(config_of(cache, *sources))
    assert {case.name.split("/")[1] for case in data.training} == {"case_1", "case_2", "case_3"}
    sources[1].cases = ["case_0", "case_1"]
    with pytest.raises(SystemExit, match=r"case_0 .* is named twice"):
        load_data(config_of(cache, *sources))


def test_the_scan_divides_the_labels_of_its_map(data_set: Path, cache: Path) -> None:
    data = load_data(config_of(cache, *both(data_set, parts=3)))
    stored, made = data.training[0], data.training[3]
    assert torch.equal(made.foreground, stored.foreground)
    assert torch.equal(made.target, stored.target)
    assert bool((made.image == BACKGROUND).all())
    assert made.map is not None
    classes = made.map.classes
    assert torch.equal(classes > 0, stored.foreground)
    hippocampus = made.map.within("Left Hippocampus")
    assert len(hippocampus) == 3
    levels = [made.map.levels[number] for number in hippocampus]
    assert levels == sorted(levels)
    measured = [float(stored.image[0].float()[classes == number].mean()) for number in hippocampus]
    assert measured == pytest.approx(levels, abs=0.02)


def test_a_made_sample_is_told_the_contrast_that_it_has_and_a_stored_one_its_own(data_set: Path, cache: Path) -> None:
    contrasts = [Contrast("T2", 0.5, (230, 250), (100, 120), (40, 60))]
    config = config_of(cache, *both(data_set, parts=2), contrasts=contrasts, offset=0)
    data = load_data(config)
    drawn = Samples(data.training, data.code, config)
    told: dict[str, set[float]] = {"stored": set(), "made": set()}
    for n in range(24):
        made = drawn.case_of(n).map is not None
        told["made" if made else "stored"].add(float(drawn[n]["metadata"][TOLD]))
    assert told == {"stored": {0.0}, "made": {1.0, 2.0}}


def test_made_scans_for_validation_are_told_it_too(data_set: Path, cache: Path) -> None:
    held_out = Source(str(data_set), "validate", cases=["case_0"], images="made")
    config = config_of(cache, *both(data_set)[:1], held_out, contrasts=[Contrast("T2", 1.0)])
    assert [float(case.metadata[TOLD]) for case in load_data(config).validation] == [1.0] * 4


def test_a_contrast_that_the_field_does_not_have_is_refused(tmp_path: Path) -> None:
    config = config_of(tmp_path, Source("somewhere"), contrasts=[Contrast("FLAIR", 0.5)])
    write_config(config, tmp_path / "run.yaml")
    with pytest.raises(SystemExit, match='contrast "FLAIR", but the metadata field "contrast" does not have it'):
        read_config(tmp_path / "run.yaml")


def test_shares_of_contrasts_cannot_exceed_1(tmp_path: Path) -> None:
    config = config_of(tmp_path, Source("somewhere"), contrasts=[Contrast("T1", 0.7), Contrast("T2", 0.5)])
    write_config(config, tmp_path / "run.yaml")
    with pytest.raises(SystemExit, match=r"are 1\.2 together"):
        read_config(tmp_path / "run.yaml")


def test_a_tissue_that_the_table_lacks_is_named(data_set: Path, cache: Path) -> None:
    config = config_of(cache, *both(data_set, parts=2))
    config.acquisition = replace(config.acquisition, tissues=Tissues("Water", "Left Hippocampus", "Insular cortex"))
    with pytest.raises(SystemExit, match=r'no label "Water", .* acquisition\.tissues\.fluid'):
        load_data(config)


@pytest.mark.parametrize("setting", [{"alike": ["Cortex"]}, {"parts": 2}])
def test_what_is_for_made_images_is_refused_of_stored_ones(setting: dict[str, Any]) -> None:
    with pytest.raises(SystemExit, match="alike or parts, which are for images that are made"):
        check_sources(DataConfig(sources=[Source("somewhere", **setting)]))


def test_lesions_and_age_need_their_labels(data_set: Path, cache: Path) -> None:
    config = config_of(cache, *both(data_set)[:1])
    data = load_data(config)
    for change, setting in (
        (Augmentation(lesions=0.1), "augmentation.lesions_in"),
        (Augmentation(ageing=0.1), "augmentation.ageing_fluid"),
    ):
        config.augmentation = change
        with pytest.raises(SystemExit, match=setting):
            Samples(data.training, data.code, config)


def test_lesions_change_the_image_and_age_the_shape_of_samples(data_set: Path, cache: Path) -> None:
    config = config_of(cache, *both(data_set)[:1])
    data = load_data(config)
    still = Augmentation(0, 0, 0, 0, flip=False, crop=0, intensity=False)
    with_age = replace(still, ageing=1, ageing_fluid=["3rd Ventricle"], wider_mm=(3, 3), thinner_mm=(1, 1))
    plain, ill, old = (
        Samples(data.training, data.code, replace(config, augmentation=augmentation))[0]
        for augmentation in (still, replace(still, lesions=1, lesions_in=["Left Hippocampus"]), with_age)
    )
    assert torch.equal(plain["foreground"], ill["foreground"])
    assert not torch.equal(plain["image"][0], ill["image"][0])
    assert int(old["foreground"].sum()) < int(plain["foreground"].sum())


def test_thick_slices_blur_one_axis_of_stored_images() -> None:
    image = torch.from_numpy(np.random.default_rng(0).normal(0, 1, (1, 24, 24, 24))).float()
    everywhere = torch.ones(24, 24, 24)
    view = View(image, everywhere, everywhere.long())
    settings = Augmentation(thick=1, thickness_mm=(4, 4))
    calm = StoredImages(settings, (1, 1, 1))
    calm._variation = Compose([])  # the other changes would hide this one
    thick = calm.image(view, True, np.random.default_rng(3))[0]
    rough = [float(thick.diff(dim=axis).abs().mean() / thick.std()) for axis in range(3)]
    assert min(rough) < 0.6 * sorted(rough)[1]
    assert torch.equal(calm.image(view, False, np.random.default_rng(3)), image)
