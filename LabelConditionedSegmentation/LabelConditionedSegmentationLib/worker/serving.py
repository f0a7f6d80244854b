"""Server: answers one request after another, and turns whatever happens to it into events."""

from __future__ import annotations

from collections.abc import Callable

from ..core.errors import Cancelled, LCSError
from ..core.progress import CancelToken, Progress
from . import requests, stroke_request  # noqa: F401  # importing them makes them known by name
from .loaded_model import LoadedModel
from .protocol import Event, cancelled, failed
from .request import Call, RequestContext


class Server:
    """Keeps the model loaded between requests."""

    def __init__(self) -> None:
        self.model = LoadedModel()

    def serve(self, call: Call, emit: Callable[[Event], None], cancel: CancelToken) -> None:
        """Answer a request and emit its events. What goes wrong becomes an event too: the worker lives on."""
        try:
            progress = Progress(lambda fraction, text: emit(Event(call.number, "progress", fraction, text)), cancel)
            cancel.check()
            values, arrays = call.request.answer(RequestContext(call.number, self.model, progress, cancel))
            cancel.check()
        except Cancelled:
            emit(cancelled(call.number))
        except Exception as error:
            emit(failed(call.number, error, _sentence(error)))
        else:
            emit(Event(call.number, "done", 1.0, "Done.", values, arrays))


def _sentence(error: Exception) -> str:
    """The sentence that the user reads of an error."""
    if isinstance(error, LCSError):
        return str(error)
    if isinstance(error, ImportError):
        return f"PyTorch, or something it needs, cannot be loaded ({error}); install it again."
    what = f"{type(error).__name__}: {error}"
    return f"Something unexpected went wrong in the segmentation ({what}). The log has the details."
