"""The requests of a worker, one dataclass each: what the panel sends, and how the worker answers it.

torch is imported by the answers that need it, so that the panel can make requests without it, and one can be cancelled,
or fail with a sentence, while that goes on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ..core.adaptation.adapters import Adaptation
from ..core.errors import OutputError
from ..core.examples.example_prompt import ExamplePrompt
from ..core.package.model_package import install_package
from ..core.package.package_changes import update_package
from ..core.progress import CancelToken, Progress
from ..core.scan.volume import Array, Volume
from .request import Reply, Request, RequestContext

if TYPE_CHECKING:
    from ..core.inference.features import Features

NETWORK = 0.9
"""Where the network ends and the labels begin, as a fraction of a run."""


@dataclass(frozen=True)
class DevicesRequest(Request, name="devices"):
    """Which devices there are.

    Answer: devices [[name, description], ...], note (why there is no GPU, or nothing).
    """

    def answer(self, context: RequestContext) -> Reply:
        context.progress.update(0.0, 1.0, 0.0, "loading PyTorch")
        from ..core.inference.devices import found_devices, why_no_gpu

        return {"devices": [list(device) for device in found_devices()], "note": why_no_gpu()}, {}


class VolumeRequest(Request):
    """A request that has a scan among its fields, as `volume`."""

    volume: Volume

    def encode(self) -> Reply:
        values, arrays = super().encode()
        del values["volume"]
        return {**values, "affine": self.volume.affine.tolist()}, {**arrays, "volume": self.volume.array}

    @classmethod
    def decode(cls, values: Mapping[str, Any], arrays: Mapping[str, Array]) -> Self:
        affine = np.array(values["affine"], dtype=np.float64)
        parts = {**values, **arrays, "volume": Volume(arrays["volume"], affine)}
        del parts["affine"]
        return cls(**parts)


@dataclass(frozen=True)
class ScanRequest(VolumeRequest):
    """What each request that runs the network over a scan says.

    model: path of the package. metadata: field -> value. not_a_label_map, stripped: as in `Segmenter.features`.
    """

    model: str
    device: str
    metadata: Mapping[str, Any]
    volume: Volume
    not_a_label_map: bool
    stripped: str

    def encode(self) -> Reply:
        values, arrays = super().encode()
        return {**values, "metadata": dict(self.metadata)}, arrays


@dataclass(frozen=True)
class RunRequest(ScanRequest, name="run"):
    """Run the network over a scan. adapt: a copy of it is adapted to the scan first.

    Answer: region [[k, j, i], [k, j, i]] of the input grid, report, can_rank (whether `PointRequest` and
    `ExamplesRequest` can be answered), array winners (protocols, k, j, i) of the region.
    """

    adapt: bool = False

    def answer(self, context: RequestContext) -> Reply:
        model, progress, cancel = context.model, context.progress, context.cancel
        features = model.segmenter(self.model, self.device, progress).features(
            self.volume,
            self.metadata,
            lambda done, text: progress.update(0.0, NETWORK, done, text),
            cancel,
            not_a_label_map=self.not_a_label_map,
            stripped=self.stripped,
            adaptation=Adaptation() if self.adapt else None,
        )
        model.trunk_passes += features.report.trunk_passes
        winners = _winners(features, progress, cancel)
        cancel.check()
        model.keep(context.number, features)  # not before: a cancelled run leaves the answers of the last one
        return {
            "region": [list(corner) for corner in features.region],
            "report": features.report.to_json(),
            "can_rank": features.stored is not None,
        }, {"winners": winners}


def _winners(features: Features, progress: Progress, cancel: CancelToken) -> Array:
    """(protocols, k, j, i): the winner map of every protocol of a model, in order."""
    maps: list[Array] = []
    for part in features.parts.values():

        def on_part(done: float, text: str, before: int = len(maps)) -> None:
            progress.update(NETWORK, 1.0, (before + done) / len(features.parts), text)

        maps.append(part.winner_map(Progress(on_part, cancel)))
    return np.stack(maps) if len(maps) > 1 else maps[0][None]


@dataclass(frozen=True)
class KeptRunRequest(Request):
    """What each request says that needs what the network found in a run. run: the number of that run."""

    run: int

    def has_lost_run(self, error: str) -> bool:  # noqa: ARG002
        """Whether the run has to be taken for lost after this failed. error: name of what was raised."""
        return True


@dataclass(frozen=True)
class PointRequest(KeptRunRequest, name="at"):
    """Which labels lie at a point (RAS millimetres).

    Answer: ranked [[label id, probability], ...], best first, at most `count`.
    """

    position_ras: tuple[float, float, float]
    count: int

    def answer(self, context: RequestContext) -> Reply:
        x, y, z = self.position_ras
        ranked = context.model.features_of(self.run, "ask for single points").at((x, y, z), self.count)
        return {"ranked": [[found.label.id, found.probability] for found in ranked]}, {}


@dataclass(frozen=True)
class ExampleRequest(ScanRequest, name="example"):
    """Learn a label from an example. volume: the atlas. label_name: of the structure. mask: (k, j, i), bool, of the
    structure on the atlas.

    Answer: prompt (as ExamplePrompt.to_json).
    """

    label_name: str
    mask: Array

    def answer(self, context: RequestContext) -> Reply:
        segmenter = context.model.segmenter(self.model, self.device, context.progress)
        from ..core.examples.painted_examples import Example

        (prompt,) = segmenter.examples(
            self.volume,
            [Example(self.label_name, self.mask)],
            self.metadata,
            lambda done, text: context.progress.update(0.0, 1.0, done, text),
            context.cancel,
            not_a_label_map=self.not_a_label_map,
            stripped=self.stripped,
        )
        return {"prompt": prompt.to_json()}, {}


@dataclass(frozen=True)
class ExamplesRequest(KeptRunRequest, name="examples"):
    """Which label by example wins where. ids: of the labels of the prompts.

    Answer: array winners (k, j, i) of the region, among these prompts (1, 2, ...) and a background.
    """

    prompts: tuple[ExamplePrompt, ...]
    ids: tuple[int, ...]

    def encode(self) -> Reply:
        values, arrays = super().encode()
        return {**values, "prompts": [prompt.to_json() for prompt in self.prompts]}, arrays

    @classmethod
    def decode(cls, values: Mapping[str, Any], arrays: Mapping[str, Array]) -> Self:
        prompts = tuple(ExamplePrompt.from_json(entry) for entry in values["prompts"])
        return super().decode({**values, "prompts": prompts}, arrays)

    def answer(self, context: RequestContext) -> Reply:
        features = context.model.features_of(self.run, "ask for labels by example")
        return {}, {"winners": features.by_example(self.prompts, self.ids).winner_map(context.progress)}


@dataclass(frozen=True)
class InstallRequest(Request, name="install"):
    """Check a model package (folder or zip) and install it into a folder; both are paths. replaces: the path of an
    installed one, of the same name, that it comes in the place of.

    Answer: path, name.
    """

    source: str
    folder: str
    replaces: str = ""

    def answer(self, context: RequestContext) -> Reply:
        context.progress.update(0.0, 1.0, 0.0, "checking the model")
        try:
            source, replaces = Path(self.source), self.replaces
            package = update_package(source, Path(replaces)) if replaces else install_package(source, Path(self.folder))
        except OSError as error:
            raise OutputError(
                f'The model cannot be installed in "{self.folder}" ({error.strerror or error}).'
            ) from error
        return {"path": str(package.path), "name": package.name}, {}


@dataclass(frozen=True)
class StatusRequest(Request, name="status"):
    """What the worker has done since it began.

    Answer: trunk_passes, loads (of models), model (path), device.
    """

    def answer(self, context: RequestContext) -> Reply:
        model = context.model
        path, device = model.place
        return {"trunk_passes": model.trunk_passes, "loads": model.loads, "model": path, "device": device}, {}
