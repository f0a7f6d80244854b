"""Request: the base of all that a worker can do, and how it travels: by name, plain values and arrays."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from ..core.progress import CancelToken, Progress
from ..core.scan.volume import Array

if TYPE_CHECKING:
    from .loaded_model import LoadedModel

Reply = tuple[dict[str, Any], dict[str, Array]]
"""Plain values and arrays, by name."""


@dataclass(frozen=True)
class RequestContext:
    """What a request is answered with. number: under which its sender knows it."""

    number: int
    model: LoadedModel
    progress: Progress
    cancel: CancelToken


@dataclass(frozen=True)
class Request(ABC):
    """What has to be known for an answer, and the answer.

    A new one is a dataclass with a name of its own (`class Undo(Request, name="undo")`) in a module that both sides
    import, such as `requests`. Where its fields are neither plain values nor arrays it says how they travel, by
    `encode` and `decode`.
    """

    name: ClassVar[str]
    by_name: ClassVar[dict[str, type[Request]]] = {}

    def __init_subclass__(cls, name: str = "") -> None:
        """name: under which it travels; a base of several requests has none."""
        if name in Request.by_name:
            raise ValueError(f"there is a request {name!r} already")
        if name:
            cls.name = name
            Request.by_name[name] = cls

    def encode(self) -> Reply:
        """What JSON can hold, and arrays; see `decode`."""
        parts = {part.name: getattr(self, part.name) for part in fields(self)}
        arrays = {name: value for name, value in parts.items() if isinstance(value, np.ndarray)}
        return {name: value for name, value in parts.items() if name not in arrays}, arrays

    @classmethod
    def decode(cls, values: Mapping[str, Any], arrays: Mapping[str, Array]) -> Self:
        """Inverse of `encode`. Raises TypeError, KeyError or ValueError where they are those of another request."""
        return cls(**values, **arrays)

    @abstractmethod
    def answer(self, context: RequestContext) -> Reply:
        """Do it, in the worker. Raises LCSError with a sentence for the user, or Cancelled."""


@dataclass(frozen=True)
class Call:
    """A request on its way. name: which it is. values, arrays: see `Request.encode`."""

    number: int
    name: str
    values: dict[str, Any]
    arrays: dict[str, Array]

    @staticmethod
    def of(number: int, request: Request) -> Call:
        """Encode a request."""
        return Call(number, request.name, *request.encode())

    @property
    def request(self) -> Request:
        """Decode it. Raises KeyError, TypeError or ValueError."""
        return Request.by_name[self.name].decode(self.values, self.arrays)
