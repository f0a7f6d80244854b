"""Prompts by example as values and as files: what they may hold, how several become one, and what of a
file is refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from LabelConditionedSegmentationLib.core.errors import InputError, LabelError
from LabelConditionedSegmentationLib.core.examples.example_prompt import (
    ExamplePrompt,
    averaged,
    check_model,
    read_prompt,
    tree_of_prompts,
    write_prompt,
)
from LabelConditionedSegmentationLib.core.labels.label_tree import LARGEST_ID, Label, LabelTree

from Testing import samples

PROMPT = ExamplePrompt(
    "Körnerschicht",
    tuple(float(n) for n in np.random.default_rng(0).normal(size=8).astype(np.float32)),
    -0.1,
    "tiny",
    "ab" * 32,
    "Deep gray matter",
    (0.2, 0.4, 0.6),
    ({"scan": "atlas.nii.gz", "millilitres": 1.25, "metadata": {"age": 31}},),
)


def changed(**entries: Any) -> dict[str, Any]:
    return PROMPT.to_json() | entries


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "label.lcs-label.json"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_a_prompt_comes_back_from_its_file_with_every_digit(tmp_path: Path) -> None:
    path = tmp_path / "label.lcs-label.json"
    prompt = averaged(
        [PROMPT, replace(PROMPT, vector=PROMPT.vector[::-1], bias=0.3), replace(PROMPT, bias=1e-7)]
    )  # thirds, which no short decimal is
    write_prompt(prompt, path)
    assert read_prompt(path) == prompt
    assert "Körnerschicht" in path.read_text(encoding="utf-8")


def test_a_file_without_a_parent_means_anywhere(tmp_path: Path) -> None:
    assert "parent" not in replace(PROMPT, parent="").to_json()
    write_prompt(replace(PROMPT, parent=""), tmp_path / "label.lcs-label.json")
    assert read_prompt(tmp_path / "label.lcs-label.json").parent == ""


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "JSON"),
        ("{", "JSON"),
        (b"\xff\xfe\x00", "JSON"),
        ("[" * 100_000, "JSON"),
        ('{"format": ' + "9" * 5000 + "}", "JSON"),
        ("[]", "no label by example"),
        ("3", "no label by example"),
        ('{"format": 1}', "lacks something"),
        (json.dumps(changed(format="1")), "wrong kind"),
        (json.dumps(changed(format=2)), "format 2, this version reads up to 1; update"),
        (json.dumps(changed(name=" ")), "needs a name"),
        (json.dumps(changed(name="two\nlines")), "line break"),
        (json.dumps(changed(name="half a \ud800 letter")), "cannot be written"),
        (json.dumps(changed(vector=[1.0, float("nan")])), "numbers that no model makes"),
        (json.dumps(changed(vector=[1.0, 1e30])), "numbers that no model makes"),
        (json.dumps(changed(bias=-float("inf"))), "numbers that no model makes"),
        (json.dumps(changed(bias=10**400)), "wrong kind"),
        (json.dumps(changed(vector=[1.0, "one"])), "wrong kind"),
        (json.dumps(changed(vector=None)), "wrong kind"),
        (json.dumps(changed(color=[1, 2])), "wrong kind"),
        (json.dumps(changed(examples=["atlas"])), "wrong kind"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_a_file_that_is_no_label_is_refused_with_its_name(text: str | bytes, says: str, tmp_path: Path) -> None:
    path = written(tmp_path, text)
    with pytest.raises(InputError) as refused:
        read_prompt(path)
    assert str(path) in str(refused.value)
    assert says in str(refused.value)


def test_a_file_that_is_missing_or_enormous_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_prompt(tmp_path / "nothing.lcs-label.json")
    with pytest.raises(InputError, match="cannot be read"):
        read_prompt(tmp_path)
    with (tmp_path / "large.lcs-label.json").open("wb") as file:
        file.truncate(2**25)
    with pytest.raises(InputError, match="larger than any label"):
        read_prompt(tmp_path / "large.lcs-label.json")


def test_colours_out_of_range_are_brought_into_it() -> None:
    assert ExamplePrompt.from_json(changed(color=[-1, 0.5, 7])).color == (0.0, 0.5, 1.0)


def test_the_mean_of_prompts_scores_as_the_mean_of_their_scores() -> None:
    prompts = [
        replace(
            PROMPT, vector=tuple(np.random.default_rng(n).normal(size=8)), bias=float(n), examples=({"scan": str(n)},)
        )
        for n in range(3)
    ]
    mean = averaged(prompts)
    feature = np.random.default_rng(9).normal(size=8)
    assert feature @ mean.vector + mean.bias == pytest.approx(np.mean([feature @ p.vector + p.bias for p in prompts]))
    assert (mean.name, mean.parent, mean.color) == (PROMPT.name, PROMPT.parent, PROMPT.color)
    assert [known["scan"] for known in mean.examples] == ["0", "1", "2"]
    assert averaged([PROMPT]) == PROMPT


def test_a_prompt_weighs_as_much_as_the_examples_it_was_made_from() -> None:
    one, two, three = (
        replace(
            PROMPT, vector=tuple(np.random.default_rng(n).normal(size=8)), bias=float(n), examples=({"scan": str(n)},)
        )
        for n in range(3)
    )
    together, step_by_step = averaged([one, two, three]), averaged([averaged([one, two]), three])
    assert step_by_step.vector == pytest.approx(together.vector)
    assert step_by_step.bias == pytest.approx(together.bias) == 1.0
    assert step_by_step.count == 3
    unknown = replace(two, examples=())
    assert (unknown.count, averaged([one, unknown]).bias) == (1, 0.5)


@pytest.mark.parametrize("change", [{"weights_sha256": "cd" * 32}, {"vector": (1.0,) * 16}])
def test_prompts_of_different_models_have_no_mean(change: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="different models"):
        averaged([PROMPT, replace(PROMPT, **change)])


@pytest.mark.parametrize(("sha", "length"), [("cd" * 32, 8), ("ab" * 32, 16)])
def test_a_prompt_of_another_model_is_refused_by_the_names_of_both(sha: str, length: int) -> None:
    check_model([PROMPT], "other", "ab" * 32, 8)
    with pytest.raises(InputError, match=r'"Körnerschicht" was made with another model \(tiny\) than "other"'):
        check_model([PROMPT], "other", sha, length)


def test_labels_by_example_get_the_first_free_ids_in_their_order_or_the_ids_that_are_given() -> None:
    known = samples.label_tree()
    prompts = [replace(PROMPT, name=name) for name in "BA"]
    assert [(label.id, label.name, label.parent) for label in tree_of_prompts(prompts, known).labels] == [
        (202, "B", None),
        (203, "A", None),
    ]
    assert [label.id for label in tree_of_prompts(prompts, known, [7, 3]).labels] == [7, 3]
    assert tree_of_prompts(prompts, known).labels[0].color == PROMPT.color


@pytest.mark.parametrize(
    ("prompts", "says"),
    [
        ([replace(PROMPT, name="left HIPPOCAMPUS")], "There is a label"),
        ([PROMPT, replace(PROMPT, name="KÖRNERSCHICHT")], "There is a label"),
        ([replace(PROMPT, parent="Deep grey matter")], 'Nearest: "Deep gray matter"'),
    ],
    ids=["name of the model", "same name twice", "unknown parent"],
)
def test_names_that_are_taken_and_parents_that_are_none_are_refused(prompts: list[ExamplePrompt], says: str) -> None:
    with pytest.raises(LabelError, match=says):
        tree_of_prompts(prompts, samples.label_tree())


def test_where_the_model_has_the_largest_id_no_label_fits_beside_it() -> None:
    with pytest.raises(LabelError, match="ids are 1 to"):
        tree_of_prompts([PROMPT], LabelTree((Label(LARGEST_ID, "Deep gray matter"),)))


@pytest.mark.parametrize(
    "make",
    [
        lambda: replace(PROMPT, name=""),
        lambda: replace(PROMPT, name="a\tb"),
        lambda: replace(PROMPT, bias=float("nan")),
    ],
)
def test_no_prompt_is_made_that_no_file_could_hold(make: Callable[[], ExamplePrompt]) -> None:
    with pytest.raises((InputError, LabelError)):
        make()
