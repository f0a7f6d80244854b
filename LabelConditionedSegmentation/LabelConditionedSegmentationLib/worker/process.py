"""The worker's process: reads requests from its standard input, answers on its standard output, and ends when its
parent does.
"""

from __future__ import annotations

import faulthandler
import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import IO

from ..core.errors import OutputError
from ..core.progress import CancelToken
from .exchange import Exchange
from .protocol import Event, failed, to_line
from .request import Call
from .serving import Server


def main(folders: Sequence[str]) -> None:
    """Serve until the parent is gone. folders: those of the exchange."""
    faulthandler.enable()
    lines, answers = _own_streams()
    exchange = Exchange([Path(folder) for folder in folders])
    calls: SimpleQueue[tuple[Call, CancelToken]] = SimpleQueue()
    threading.Thread(target=_listen, args=(lines, exchange, calls), daemon=True).start()
    server = Server()
    try:
        while True:
            call, cancel = calls.get()
            _log(f"{call.name} {call.number}")
            server.serve(call, lambda event: _send(event, answers, exchange), cancel)
    finally:  # a parent that is gone may be noticed here before it is in the other thread, when nobody takes an answer
        exchange.remove()


def _own_streams() -> tuple[IO[bytes], IO[bytes]]:
    """Standard input and output for the protocol alone; what else is printed goes to the log, and what else is read is
    empty.

    On Windows a library that looks at its standard input while it is loaded waits for as long as a thread reads from
    that.
    """
    lines, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    return lines, answers


def _listen(lines: IO[bytes], exchange: Exchange, calls: SimpleQueue[tuple[Call, CancelToken]]) -> None:
    """Take requests and cancels in a thread of their own, while the main thread is at work.

    The parent's end closes the stream and with it everything.
    """
    cancel = CancelToken()
    try:
        for line in lines:
            message = json.loads(line)
            if message.get("cancel"):
                cancel.cancel()  # the parent sends one request at a time, so it means the last
            else:
                cancel = CancelToken()
                calls.put((Call(**{**message, "arrays": exchange.take_all(message["arrays"])}), cancel))
    finally:
        if sys.exc_info()[0] is not None:
            traceback.print_exc()
        exchange.remove()
        os._exit(0)  # a thread cannot end the process otherwise, and the main thread may be busy for minutes


def _send(event: Event, answers: IO[bytes], exchange: Exchange) -> None:
    try:
        claims = {name: exchange.put(array) for name, array in event.arrays.items()}
    except OutputError as error:
        event, claims = failed(event.request, error, str(error)), {}
    if event.kind != "progress":
        _log(f"{event.request} {event.kind}: {event.text}\n{event.details}")
    answers.write(to_line({**vars(event), "arrays": claims}))
    answers.flush()


def _log(text: str) -> None:
    print(time.strftime("%Y-%m-%d %H:%M:%S"), text.rstrip(), file=sys.stderr)
