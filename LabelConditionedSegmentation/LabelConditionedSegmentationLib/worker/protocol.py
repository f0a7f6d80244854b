"""What the panel and a worker say to each other: requests, events, and the JSON lines that carry them."""

from __future__ import annotations

import json
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, get_args

from ..core.scan.volume import Array

Kind = Literal["progress", "done", "failed", "cancelled"]


@dataclass(frozen=True)
class Request:
    """Something asked of a worker. what: devices, run, at, example, examples, install or status. arrays: name ->
    voxels.
    """

    number: int
    what: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, Array] = field(default_factory=dict)


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
    """Does what the panel asks for, one request after the other, and keeps the model loaded and the features of the
    last run in between.

    Requests, their arguments and the values of their answers:
    - devices: -> devices [[name, words], ...], note (why there is no GPU, or nothing)
    - run: model (path), device, metadata {field: value}, affine (4x4 IJK to RAS), array volume (channel, k, j, i),
      not_a_label_map (as in
      `Segmenter.features`; may be left out) -> region [[k, j, i], [k, j, i]] of the input grid, report,
      can_rank (whether `at` and `examples` can answer), array winners (k, j, i) of the region
    - at: run (number of the request), position_ras (mm), count -> ranked [[label id, probability], ...]
    - example: as run, with the atlas for the volume, name and array mask (k, j, i), bool, of the structure on it ->
      prompt (as ExamplePrompt.to_json)
    - examples: run (number of the request), prompts, ids (of their labels) -> array winners (k, j, i) of the region,
      among these prompts (1, 2, ...) and a background
    - install: source, folder -> path, name
    - status: -> trunk_passes, loads (models), model (path), device
    """

    def ask(
        self, what: str, arguments: Mapping[str, Any] | None = None, arrays: Mapping[str, Array] | None = None
    ) -> int:
        """Ask for something and return the number of the request.

        The arrays may change afterwards. Raises OutputError where they cannot be handed over.
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

        May be called twice; a later `ask` begins anew.
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
