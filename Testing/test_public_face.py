"""The examples in the docstrings of the public face, which the API page shows: each runs, and gives what it says."""

from __future__ import annotations

import doctest
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from LabelConditionedSegmentationLib import LCSError, ModelPackage, Segmenter, Volume, read_volume
from LabelConditionedSegmentationLib.core.examples.painted_examples import Example
from LabelConditionedSegmentationLib.core.inference.features import Features
from LabelConditionedSegmentationLib.core.inference.instances import Instances
from LabelConditionedSegmentationLib.core.inference.probability_maps import ProbabilityMaps
from LabelConditionedSegmentationLib.core.inference.result import Result

from Testing import samples
from Testing.cli.command import write_scan

FACE = (LCSError, ModelPackage, Segmenter, Volume, read_volume, Features, Result, Instances, ProbabilityMaps)
TOP = Path(__file__).resolve().parents[1]


def examples() -> Iterator[doctest.DocTest]:
    finder = doctest.DocTestFinder(exclude_empty=True)
    for thing in FACE:
        yield from (found for found in finder.find(thing, thing.__name__) if found.examples)


@pytest.fixture(scope="module")
def known() -> dict[str, Any]:
    """What the examples speak of."""
    scan = samples.scan((24, 28, 26))
    segmenter = Segmenter.from_package(TOP / "Resources" / "Models" / "brain", "cpu")
    features = segmenter.features(scan)
    return {
        **{thing.__name__: thing for thing in (*FACE, Example)},
        "scan": scan,
        "atlas": scan,
        "segmenter": segmenter,
        "features": features,
        "result": with_lesions(features.segment()),
        "maps": features.probabilities(["Left Hippocampus"]),
    }


def with_lesions(result: Result) -> Result:
    """A result in which a structure is called a lesion as well, and comes in pieces."""
    before = result.trees[0].find("Left Hippocampus")
    lesion = replace(before, synonyms=(*before.synonyms, "Lesion"), instances=True)
    trees = tuple(replace(t, labels=tuple(lesion if x == before else x for x in t.labels)) for t in result.trees)
    labels = tuple(replace(each, label=lesion) if each.label == before else each for each in result.labels)
    return replace(result, trees=trees, labels=labels)


@pytest.mark.parametrize("example", list(examples()), ids=lambda example: example.name)
def test_an_example_gives_what_it_says(
    example: doctest.DocTest,
    known: dict[str, Any],
    tiny_package: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "Resources").symlink_to(TOP / "Resources")
    for n in range(5):
        (tmp_path / f"runs/fold_{n}").mkdir(parents=True)
        (tmp_path / f"runs/fold_{n}/package").symlink_to(tiny_package)
    write_scan(tmp_path / "scan.nii.gz", known["scan"])
    monkeypatch.chdir(tmp_path)
    example.globs = dict(known)
    failed, tried = doctest.DocTestRunner(verbose=False).run(example)
    assert tried > 0
    assert failed == 0, capsys.readouterr().out


def test_every_public_method_has_an_example_and_says_what_it_returns_or_raises() -> None:
    shown = {example.name for example in examples()}
    assert {thing.__name__ for thing in FACE} - shown == {"ModelPackage"}  # its `load` has one
    methods = {
        Segmenter: ("from_package", "from_packages", "segment", "features", "examples", "close"),
        Volume: ("from_numpy", "from_sitk", "from_nibabel", "to_numpy", "to_sitk", "to_nibabel", "save"),
        Features: ("segment", "probabilities", "at", "by_example"),
        Result: ("mask", "instances", "volumes", "save"),
        Instances: ("save",),
        ProbabilityMaps: ("__getitem__", "save"),
        ModelPackage: ("load", "build_network"),
    }
    for kind, names in methods.items():
        for name in names:
            assert f"{kind.__name__}.{name}" in shown
            text = getattr(kind, name).__doc__
            assert name == "close" or "Returns:" in text or "Raises:" in text
