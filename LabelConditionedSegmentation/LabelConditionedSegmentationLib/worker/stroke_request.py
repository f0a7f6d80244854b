"""The request that spreads strokes over a scan, or mends with them what the network has answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ..core.scan.volume import Array, Volume
from ..core.strokes.stroke_names import protocol_to_mend
from ..worker.requests import KeptRunRequest, VolumeRequest
from .request import Reply, RequestContext

if TYPE_CHECKING:
    from ..core.inference.features import Features
    from ..core.strokes.painted_strokes import Strokes
    from ..core.strokes.propagation import Propagation

NO_RUN = 0
"""In place of the number of a run: no network has seen the scan."""

SENTENCES = ("InputError", "LabelError", "DeviceError")
"""What strokes that cannot be spread are refused with: the run is still there then."""


@dataclass(frozen=True)
class StrokesRequest(VolumeRequest, KeptRunRequest, name="strokes"):
    """Spread strokes in a box around them. run: whose features the walks go over; NO_RUN for intensities. seeds:
    (k, j, i) of the scan, 0 where nothing was painted, n + 1 for the class `names[n]`. mend: the answer of that run is
    mended, of which `names` are labels; of several protocols the one that they belong to (see `protocol_to_mend`).

    Answer: start [k, j, i] of the box, findings, arrays winners (k, j, i) of the box and certainty (the same, uint8, in
    percent). Winners are n + 1 where `names[n]` wins, and 0 where the background does; of a mended answer classes of
    the protocol, as its winner map has them.
    """

    volume: Volume
    seeds: Array
    names: tuple[str, ...]
    mend: bool = False

    @classmethod
    def decode(cls, values: Mapping[str, Any], arrays: Mapping[str, Array]) -> Self:
        return super().decode({**values, "names": tuple(values["names"])}, arrays)

    def has_lost_run(self, error: str) -> bool:
        return self.run != NO_RUN and error not in SENTENCES

    def answer(self, context: RequestContext) -> Reply:
        context.progress.update(0.0, 1.0, 0.0, "looking at the strokes")
        from ..core.scan.geometry import Grid
        from ..core.strokes.painted_strokes import Strokes

        strokes = Strokes(Grid.of(self.volume), self.seeds, self.names)
        purpose = "mend its answer" if self.mend else "spread strokes by it"
        features = context.model.features_of(self.run, purpose) if self.run != NO_RUN else None
        is_mend = self.mend and features is not None
        winners, found = (self._mended if is_mend else self._spread)(strokes, features, context)
        findings = [] if is_mend else found.findings  # beyond the box what was there before stays
        cut = tuple(slice(a, b) for a, b in zip(found.start, found.stop, strict=True))
        percent = np.rint(100 * found.certainty[cut]).astype(np.uint8)
        told = {"start": list(found.start), "findings": [vars(finding) for finding in findings]}
        return told, {"winners": np.ascontiguousarray(winners[cut]), "certainty": percent}

    def _spread(
        self, strokes: Strokes, features: Features | None, context: RequestContext
    ) -> tuple[Array, Propagation]:
        from ..core.strokes.propagation import propagate

        found = propagate(strokes, self.volume, features, None, _telling(context), context.cancel)
        return found.label_map, found

    def _mended(
        self, strokes: Strokes, features: Features | None, context: RequestContext
    ) -> tuple[Array, Propagation]:
        from ..core.strokes.mending import mend

        assert features is not None
        features = features.parts[protocol_to_mend(features.labels, strokes.names)]
        tree, winners = features.labels, features.winner_map()
        ids = np.array([0, *(leaf.id for leaf in tree.leaves)])
        answer = np.zeros(self.volume.shape, dtype=ids.dtype)
        answer[tuple(slice(a, b) for a, b in zip(*features.region, strict=True))] = ids[winners]
        mended, found = mend(strokes, self.volume, features, answer, _telling(context), context.cancel)
        classes = np.zeros(ids.max() + 1, dtype=winners.dtype)
        classes[ids] = np.arange(len(ids))
        return classes[mended], found


def _telling(context: RequestContext) -> Any:
    """Hands progress on."""
    return lambda done, text: context.progress.update(0.0, 1.0, done, text)
