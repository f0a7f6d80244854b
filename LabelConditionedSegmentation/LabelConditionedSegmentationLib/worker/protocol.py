"""What a worker reports of its requests: events, and the JSON lines that carry both."""

from __future__ import annotations

import json
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, get_args

from ..core.scan.volume import Array
from .request import Request

Kind = Literal["progress", "done", "failed", "cancelled"]


@dataclass(frozen=True)
class Event:
    """What a worker says about a request; exactly one event that is no progress ends it.

    fraction: done so far, in [0, 1]. text: what is being done or, at the end, a sentence for the user. values, arrays:
    the answer; where the request failed,
    `values["error"]` is the class of the error and `details` its traceback or the end of the log.
    """

    request: int
    kind: Kind
    fraction: float = 0.0
    text: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, Array] = field(default_factory=dict)
    details: str = ""


class Worker(Protocol):
    """Answers one request after the other, and keeps the model loaded and the features of the last run in between."""

    def send(self, request: Request) -> int:
        """Send a request and return its number.

        Its arrays may change afterwards. Raises OutputError where they cannot be handed over.
        """

    def poll(self) -> list[Event]:
        """What happened since the last call, oldest first. To be called every 50 ms or so."""

    def cancel(self, request: int) -> None:
        """Stop a request: it ends as cancelled, or as failed where it fails first, and never as done.

        Does nothing where it has ended.
        """

    @property
    def busy(self) -> bool:
        """Whether a request has not ended, or its end was not polled yet."""

    def close(self) -> None:
        """End everything and leave nothing behind; requests that have not ended are dropped.

        May be called twice; a later `send` begins anew.
        """


class ProtocolError(Exception):
    """The other end sent something that cannot be understood."""


def cancelled(request: int, text: str = "Cancelled; nothing was changed.") -> Event:
    """The end of a request that the user did not want any more."""
    return Event(request, "cancelled", text=text)


def failed(request: int, error: BaseException, text: str, details: str = "") -> Event:
    """The end of a request that did not work; details: the error's traceback, where nothing better is known."""
    return Event(
        request,
        "failed",
        text=text,
        values={"error": type(error).__name__},
        details=details or "".join(traceback.format_exception(error)),
    )


def to_line(message: Mapping[str, Any]) -> bytes:
    """A message as a line of ASCII."""
    return json.dumps(message).encode("ascii") + b"\n"


def from_line(line: bytes) -> dict[str, Any]:
    """Inverse of `to_line`. Raises ProtocolError."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        message = None
    if not isinstance(message, dict):
        raise ProtocolError(f"no message: {line[:200]!r}")
    return message


EVENT_PARTS = {
    "request": int,
    "kind": str,
    "fraction": int | float,
    "text": str,
    "values": dict,
    "arrays": dict,
    "details": str,
}
"""What an event's line has; its arrays are the claims of an exchange."""


def check_event(message: Mapping[str, Any]) -> None:
    """Raise ProtocolError unless a message has the parts of an event, each of the right kind."""
    if message.keys() != EVENT_PARTS.keys() or not all(
        isinstance(message[part], kind) for part, kind in EVENT_PARTS.items()
    ):
        raise ProtocolError(f"no event: {str(message)[:200]}")
    if message["kind"] not in get_args(Kind) or not 0 <= message["fraction"] <= 1:
        raise ProtocolError(f"an impossible event: {message['kind']!r} {message['fraction']}")
