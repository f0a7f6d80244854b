"""Arrays between two processes."""

from __future__ import annotations

import shutil
import stat
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from LabelConditionedSegmentationLib.core.errors import OutputError
from LabelConditionedSegmentationLib.core.scan.volume import Array
from LabelConditionedSegmentationLib.worker.exchange import Exchange
from LabelConditionedSegmentationLib.worker.protocol import ProtocolError, from_line, to_line

from Testing.worker.helpers import largest_file

COUNTING = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
ARRAYS: dict[str, Array] = {
    **{
        name: COUNTING.astype(name)
        for name in ("uint8", "int16", "uint16", "int32", "int64", "float16", "float32", "float64", ">i2", ">f8")
    },
    "bool": COUNTING % 3 == 0,
    "every second voxel": COUNTING[:, ::2, :, ::-1],
    "axes in Fortran's order": np.asfortranarray(COUNTING),
    "not a number": np.array([[np.nan, np.inf, -0.0]]),
    "a single value": np.array(7.5),
    "nothing": np.zeros((0, 4), np.int16),
}


@pytest.fixture
def exchange(places: list[Path]) -> Exchange:
    return Exchange.create()


def files(places: list[Path]) -> list[Path]:
    return [path for place in places for path in place.rglob("*") if path.is_file()]


@pytest.mark.parametrize("kind", ARRAYS)
def test_every_kind_of_array_arrives_as_it_was_and_its_file_is_gone(
    kind: str, exchange: Exchange, places: list[Path]
) -> None:
    array = ARRAYS[kind]
    claim = from_line(to_line(exchange.put(array)))
    assert len(files(places)) == 1
    found = exchange.take(claim)
    assert files(places) == []
    assert (found.dtype, found.shape) == (array.dtype, array.shape)
    assert np.array_equal(found, array, equal_nan=array.dtype.kind == "f")


def test_folders_are_private_and_the_first_is_used(exchange: Exchange, places: list[Path]) -> None:
    exchange.put(COUNTING)
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in exchange.folders] == [0o700, 0o700]
    assert files(places)[0].is_relative_to(places[0])


def test_where_the_first_folder_has_no_room_the_next_one_is_used(
    exchange: Exchange, places: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    free = {exchange.folders[0]: COUNTING.nbytes - 1, exchange.folders[1]: COUNTING.nbytes}
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=free[folder]))
    claim = exchange.put(COUNTING)
    assert files(places)[0].is_relative_to(places[1])
    assert np.array_equal(exchange.take(claim), COUNTING)
    with pytest.raises(OutputError, match="No space left on device"):
        exchange.put(np.append(COUNTING, 0))
    assert files(places) == []


def test_full_disk_is_told_in_a_sentence_and_leaves_no_file(exchange: Exchange, places: list[Path]) -> None:
    with (
        largest_file(10_000),
        pytest.raises(OutputError, match=r"^2 MB cannot be handed .*File too large.*; free disk space in .*\.$"),
    ):
        exchange.put(np.zeros(2**21, np.uint8))
    assert files(places) == []


@pytest.mark.parametrize(
    "change",
    [
        {"file": "/etc/passwd"},
        {"file": ".."},
        {"file": 3},
        {"shape": [2, 3, 4, 6]},
        {"shape": [119]},
        {"shape": [-2, -60]},
        {"shape": [True, 120]},
        {"shape": "120"},
        {"shape": None},
        {"dtype": "|O8"},
        {"dtype": "<i3"},
        {"dtype": "<U1"},
        {"dtype": "i2,i2,i2"},
        {"dtype": None},
    ],
)
def test_claim_that_does_not_fit_its_file_is_refused(change: dict[str, Any], exchange: Exchange) -> None:
    claim = exchange.put(COUNTING)
    if change.get("file") == "..":
        change = {"file": f"{exchange.folders[0]}/.."}
    with pytest.raises(ProtocolError):
        exchange.take({**claim, **change})
    assert np.array_equal(exchange.take(claim), COUNTING)  # the claim as it was is fine


def test_claim_is_good_once(exchange: Exchange) -> None:
    claim = exchange.put(COUNTING)
    exchange.take(claim)
    with pytest.raises(ProtocolError):
        exchange.take(claim)


def test_nothing_can_be_put_after_removal(exchange: Exchange, places: list[Path]) -> None:
    exchange.put(COUNTING)
    exchange.remove()
    with pytest.raises(OutputError):
        exchange.put(COUNTING)
    assert [list(place.iterdir()) for place in places] == [[], []]
