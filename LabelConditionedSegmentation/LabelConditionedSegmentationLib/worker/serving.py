"""Server: what each request does, with the model kept loaded and the features of the last run kept for questions about
single points and labels by example.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.errors import Cancelled, InputError, LCSError, OutputError
from ..core.examples.example_prompt import ExamplePrompt
from ..core.package.model_package import ModelPackage, install_package
from ..core.progress import CancelToken, Progress
from ..core.scan.volume import Array, Volume
from .protocol import Event, Request, cancelled, failed

if TYPE_CHECKING:
    from ..core.inference.features import Features
    from ..core.inference.segmenter import Segmenter

Answer = tuple[dict[str, Any], dict[str, Array]]
"""Values and arrays."""

NETWORK = 0.9
"""Where the network ends and the labels begin, as a fraction of a run."""


class Server:
    """Answers requests. torch is imported by the first that needs it, so that a request can be cancelled, or fail with
    a sentence, while that goes on.
    """

    def __init__(self) -> None:
        self._segmenter: Segmenter | None = None
        self._device = ""
        self._features: tuple[int, Features] | None = None
        self._trunk_passes = 0
        self._loads = 0
        self._answers: dict[str, Callable[[Request, Progress, CancelToken], Answer]] = {
            "devices": self._devices,
            "run": self._run,
            "at": self._at,
            "example": self._example,
            "examples": self._examples,
            "install": self._install,
            "status": self._status,
        }

    def serve(self, request: Request, emit: Callable[[Event], None], cancel: CancelToken) -> None:
        """Do what is asked and emit its events. What goes wrong becomes an event too: the worker lives on."""
        try:
            progress = Progress(lambda fraction, text: emit(Event(request.number, "progress", fraction, text)), cancel)
            cancel.check()
            values, arrays = self._answers[request.what](request, progress, cancel)
            cancel.check()
        except Cancelled:
            emit(cancelled(request.number))
        except LCSError as error:
            emit(failed(request.number, error, str(error)))
        except ImportError as error:
            emit(
                failed(
                    request.number,
                    error,
                    f"PyTorch, or something it needs, cannot be loaded ({error}); install it again.",
                )
            )
        except Exception as error:
            what = f"{type(error).__name__}: {error}"
            emit(
                failed(
                    request.number,
                    error,
                    f"Something unexpected went wrong in the segmentation ({what}). The log has the details.",
                )
            )
        else:
            emit(Event(request.number, "done", 1.0, "Done.", values, arrays))

    def _devices(self, _request: Request, progress: Progress, _cancel: CancelToken) -> Answer:
        progress.update(0.0, 1.0, 0.0, "loading PyTorch")
        from ..core.inference.devices import found_devices, why_no_gpu

        return {"devices": [list(device) for device in found_devices()], "note": why_no_gpu()}, {}

    def _run(self, request: Request, progress: Progress, cancel: CancelToken) -> Answer:
        arguments = request.arguments
        volume = Volume(request.arrays["volume"], np.array(arguments["affine"], dtype=np.float64))
        segmenter = self._segmenter_for(arguments["model"], arguments["device"], progress)
        features = segmenter.features(
            volume,
            arguments["metadata"],
            lambda done, text: progress.update(0.0, NETWORK, done, text),
            cancel,
            not_a_label_map=arguments.get("not_a_label_map", False),
        )
        self._trunk_passes += features.report.trunk_passes
        winners = features.winner_map(Progress(lambda done, text: progress.update(NETWORK, 1.0, done, text), cancel))
        cancel.check()
        self._features = request.number, features  # not before: a run that is cancelled leaves the last one's answers
        return {
            "region": [list(corner) for corner in features.region],
            "report": features.report.to_json(),
            "can_rank": features.stored is not None,
        }, {"winners": winners}

    def _segmenter_for(self, path: str, device: str, progress: Progress) -> Segmenter:
        """The segmenter of the last run, unless the package (its weights' hash included) or the device is another one
        now.
        """
        package = ModelPackage.load(path)
        if self._segmenter is None or (self._segmenter.package, self._device) != (package, device):
            progress.update(0.0, 1.0, 0.0, "loading the model")
            from ..core.inference.devices import choose_device
            from ..core.inference.segmenter import EXAMPLE_BUDGET, FEATURE_BUDGET, Segmenter

            where = choose_device(device)
            self._segmenter = None  # two models at once might not fit
            budget = EXAMPLE_BUDGET if package.architecture.learns_examples else FEATURE_BUDGET
            self._segmenter = Segmenter(package, package.build_network(), where, budget)
            self._device = device
            self._loads += 1
        return self._segmenter

    def _at(self, request: Request, _progress: Progress, _cancel: CancelToken) -> Answer:
        features = self._features_of(request.arguments["run"], "ask for single points")
        ranked = features.at(tuple(request.arguments["position_ras"]), request.arguments["count"])
        return {"ranked": [[found.label.id, found.probability] for found in ranked]}, {}

    def _example(self, request: Request, progress: Progress, cancel: CancelToken) -> Answer:
        arguments = request.arguments
        atlas = Volume(request.arrays["volume"], np.array(arguments["affine"], dtype=np.float64))
        segmenter = self._segmenter_for(arguments["model"], arguments["device"], progress)
        from ..core.examples.painted_examples import Example

        shown = [Example(arguments["name"], request.arrays["mask"])]
        (prompt,) = segmenter.examples(
            atlas,
            shown,
            arguments["metadata"],
            lambda done, text: progress.update(0.0, 1.0, done, text),
            cancel,
            not_a_label_map=arguments.get("not_a_label_map", False),
        )
        return {"prompt": prompt.to_json()}, {}

    def _examples(self, request: Request, progress: Progress, _cancel: CancelToken) -> Answer:
        features = self._features_of(request.arguments["run"], "ask for labels by example")
        prompts = [ExamplePrompt.from_json(entry) for entry in request.arguments["prompts"]]
        return {}, {"winners": features.by_example(prompts, request.arguments["ids"]).winner_map(progress)}

    def _features_of(self, run: int, what: str) -> Features:
        """What the network found in a run, where it is still kept."""
        number, features = self._features or (None, None)
        if features is None or number != run:
            raise InputError(f"What the network found in that run is not kept any more; press Apply again to {what}.")
        return features

    def _install(self, request: Request, progress: Progress, _cancel: CancelToken) -> Answer:
        source, folder = Path(request.arguments["source"]), Path(request.arguments["folder"])
        progress.update(0.0, 1.0, 0.0, "checking the model")
        try:
            package = install_package(source, folder)
        except OSError as error:
            raise OutputError(f'The model cannot be installed in "{folder}" ({error.strerror or error}).') from error
        return {"path": str(package.path), "name": package.name}, {}

    def _status(self, _request: Request, _progress: Progress, _cancel: CancelToken) -> Answer:
        model, device = (
            (str(self._segmenter.package.path), str(self._segmenter.plan.device)) if self._segmenter else ("", "")
        )
        return {"trunk_passes": self._trunk_passes, "loads": self._loads, "model": model, "device": device}, {}
