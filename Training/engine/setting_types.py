"""The kinds of numbers and names that settings are, with their ranges."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field


def _in_utf8(path: str) -> str:
    """Names of files that are no text cannot be taken by some libraries that read or write there."""
    if any("\ud800" <= letter <= "\udfff" for letter in path):
        raise ValueError("which is no name in UTF-8; rename that file or folder")
    return path


Count = Annotated[int, Field(ge=1)]
Whole = Annotated[int, Field(ge=0)]
Amount = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
FilePath = Annotated[str, AfterValidator(_in_utf8)]
