"""The device of a run: a processor that only emulates the arithmetic that was asked for says so."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from Training.engine.config import Config
from Training.engine.processes import make_fabric

ABLE = {"architecture": "x86_64", "avx512_bf16": True}


@pytest.mark.parametrize(
    ("precision", "processor", "said"),
    [
        ("bf16-mixed", ABLE | {"avx512_bf16": False}, True),
        ("bf16-mixed", ABLE, False),
        ("32-true", ABLE | {"avx512_bf16": False}, False),
        ("bf16-mixed", {"architecture": "aarch64"}, False),
    ],
)
def test_emulated_bfloat16_is_told_of(
    precision: str,
    processor: dict[str, Any],
    said: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: processor, raising=False)
    make_fabric(Config(accelerator="cpu", precision=precision))
    told = capsys.readouterr().err
    assert ("precision=32-true; set that for a faster run" in told) == said
