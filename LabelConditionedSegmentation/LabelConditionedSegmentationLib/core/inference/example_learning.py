"""From structures that were painted on an atlas to prompts of a model: fitted to the atlas's features, or pooled by a
network that was trained for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import torch

from ..errors import InputError
from ..examples.example_fit import draw_voxels, features_at, fit, in_layers
from ..examples.example_prompt import ExamplePrompt
from ..examples.painted_examples import Example, is_visible, shares_on
from ..package.model_package import ModelPackage
from ..progress import CancelToken, Progress
from ..scan.geometry import Grid
from ..scan.preprocessing import NetworkInput
from ..scan.volume import Array, Volume
from .example_pooling import pooled_over
from .features import Features
from .network_pass import NetworkPass
from .report import RunReport


@dataclass(frozen=True)
class ShownStructures:
    """Structures on an atlas, one entry each: names, volumes in ml, masks packed to bits, and the share of each in
    every voxel of the feature grid (see `shares_on`).
    """

    names: tuple[str, ...]
    millilitres: tuple[float, ...]
    masks: tuple[Array, ...]
    shares: tuple[torch.Tensor, ...]


def shown_on(atlas: Volume, prepared: NetworkInput, stride: int, examples: Iterable[Example]) -> ShownStructures:
    """The structures of `examples` on a prepared atlas. The masks are read one by one and kept packed.

    Raises InputError where there is none, or one lies outside of what the model works on.
    """
    names, volumes, masks, shares = [], [], [], []
    for example in examples:
        names.append(example.name)
        volumes.append(int(np.count_nonzero(example.mask)) * atlas.voxel_millilitres)
        shares.append(shares_on(Grid.of(atlas), prepared, example.mask, stride))
        masks.append(np.packbits(example.mask))
        if not is_visible(shares[-1], prepared, stride):
            raise InputError(
                f'The mask of "{example.name}" lies outside of what the model sees of its scan, which is all but'
                " the background; give the scan that it was painted on."
            )
    if not names:
        raise InputError("No structure was shown; give at least one mask.")
    return ShownStructures(tuple(names), tuple(volumes), tuple(masks), tuple(shares))


def fitted_prompts(
    atlas: Volume, features: Features, shown: ShownStructures, steps: Progress, start: float, cancel: CancelToken | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Vectors (n, C) and bias (n,) of structures, fitted to the features of the atlas, those against each other that do
    not overlap. start: of this stage, as a fraction of the whole run.
    """
    stored = features.kept("learn from an example on it")
    (k0, j0, i0), (k1, j1, i1) = features.region
    scanned = np.zeros(atlas.shape, dtype=bool)
    scanned[k0:k1, j0:j1, i0:i1] = True
    layers = in_layers(np.unpackbits(mask, count=scanned.size).reshape(atlas.shape).view(bool) for mask in shown.masks)
    vectors, bias = torch.zeros(len(shown.masks), stored.shape[3]), torch.zeros(len(shown.masks))
    for n, (members, target) in enumerate(layers):
        voxels, counts = draw_voxels(target, scanned, np.random.default_rng(0))
        found = features_at(stored, Grid.of(atlas).to(features.feature_grid), voxels)
        truth = torch.from_numpy(target[tuple(voxels.T)].astype(np.int64)).to(stored.device)

        def on_round(done: float, text: str, before: int = n) -> None:
            steps.update(start, 1.0, (before + done) / len(layers), text)

        part = Progress(on_round, cancel)
        fitted = fit(found, truth, torch.from_numpy(counts).to(stored.device, torch.float32), part)
        vectors[members], bias[members] = (values.cpu() for values in fitted)
    return vectors, bias


def pooled_prompts(
    network_pass: NetworkPass,
    prepared: NetworkInput,
    shown: ShownStructures,
    metadata: torch.Tensor,
    steps: Progress,
    start: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Vectors (n, C) and bias (n,) that the network makes of structures on a prepared atlas; with flips, those of the
    mirrored masks on the mirrored atlas beside them, as the prompts of a network pass have them.
    """
    encoder = network_pass.network.examples
    assert encoder is not None
    windows = network_pass.windows(prepared.grid.shape)
    views: list[tuple[torch.Tensor, Sequence[torch.Tensor]]] = [(prepared.image, shown.shares)]
    if network_pass.mirrored_classes is not None:
        views.append((network_pass.mirrored(prepared.image), [share.flip(-1) for share in shown.shares]))
    known = metadata.to(network_pass.plan.device)
    found = []
    for n, (image, shares) in enumerate(views):

        def on_window(done: int, before: int = n) -> None:
            fraction = (before + done / windows.count) / len(views)
            steps.update(start, 1.0, fraction, f"atlas, patch {done} of {windows.count}")

        pooled = pooled_over(network_pass.network, image, shares, known, windows, on_window)
        with torch.inference_mode():
            found.append(encoder(pooled))
    vectors, bias = torch.cat([v for v, _ in found], dim=1) / len(found), sum(b for _, b in found) / len(found)
    return vectors.cpu(), torch.as_tensor(bias).cpu()


def named_prompts(
    package: ModelPackage, shown: ShownStructures, vectors: torch.Tensor, bias: torch.Tensor, report: RunReport
) -> list[ExamplePrompt]:
    """The prompts of structures, each with what is known about the scan that it was painted on."""
    known: dict[str, Any] = {
        "grid": report.grid,
        "metadata": {key: value for key, value in report.metadata.items() if value is not None},
        "date": datetime.now(UTC).date().isoformat(),
    }
    if report.findings:
        known["findings"] = [finding.to_json() for finding in report.findings]
    return [
        ExamplePrompt(
            name,
            tuple(vector.tolist()),
            float(offset),
            package.name,
            package.weights_sha256,
            examples=({"millilitres": round(volume, 4), **known},),
        )
        for name, volume, vector, offset in zip(shown.names, shown.millilitres, vectors, bias, strict=True)
    ]
