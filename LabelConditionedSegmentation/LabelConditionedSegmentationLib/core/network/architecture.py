"""The hyper-parameters of a network, as they stand in `model.json`, and the registry of names that may stand there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from ..errors import PackageFormatError

POSITION_CHANNELS = 3
"""Coordinates (R, A, S) appended to the image channels where the network uses positions."""

NAMES = ("residual_unet",)
FILM_MODES = ("none", "identity", "paper")
CONDITIONING = ("head", "decoder", "bottleneck", "trunk")
ATLAS_PAIR = "atlas_pair"
"""The label enters as another scan and its mask, which a model package cannot hold: such a network is for comparisons
in training.
"""


@dataclass(frozen=True)
class Architecture:
    """A residual U-Net that is conditioned on the label to find.

    dimensions: 2 or 3. in_channels: image channels. widths: channels of the stages, finest first. blocks: residual
    blocks a stage.
    output_stride: the trunk's finest resolution (1: that of the image, 2: half of it; the features are up-sampled
    linearly).
    feature_channels: C, the length of features and prompts. position: append where a voxel lies in the scanned region.
    film: how metadata enters (`none`, `identity`, `paper`). conditioning: where the label enters: at the `head` (one
    pass serves all labels), or, with one pass a label, at every stage of the `decoder`, at the `bottleneck`, or at
    every stage of the `trunk`; `atlas_pair`: as published, another scan and its mask, pooled, beside the input of the
    deepest stage. context_classes: further classes of the head, after the labels, that divide the background; they
    compete like any class, and a voxel that one of them wins is background. examples: the network can make a prompt
    from an example too.
    """

    name: str = "residual_unet"
    dimensions: int = 3
    in_channels: int = 1
    widths: tuple[int, ...] = (32, 64, 128, 256)
    blocks: tuple[int, ...] = (1, 1, 1, 1)
    output_stride: int = 2
    feature_channels: int = 32
    position: bool = True
    film: str = "identity"
    conditioning: str = "head"
    context_classes: int = 0
    examples: bool = False

    def __post_init__(self) -> None:
        problems = []
        for value, allowed, what in (
            (self.name, NAMES, "architecture"),
            (self.film, FILM_MODES, "film"),
            (self.conditioning, (*CONDITIONING, ATLAS_PAIR), "conditioning"),
            (self.dimensions, (2, 3), "dimensions"),
            (self.output_stride, (1, 2, 4), "output_stride"),
        ):
            if value not in allowed:
                problems.append(f'{what} "{value}" is not known (known: {", ".join(map(str, allowed))})')
        if not self.widths or len(self.widths) != len(self.blocks):
            problems.append("widths and blocks need one number a stage each")
        if any(n < 1 for n in (*self.widths, *self.blocks, self.in_channels, self.feature_channels)):
            problems.append("widths, blocks and channels are at least 1")
        if not 0 <= self.context_classes <= 255 or (self.context_classes and self.conditioning != "head"):
            problems.append("context_classes is from 0 to 255, and 0 where the label does not enter at the head")
        if self.examples and (self.conditioning != "head" or self.dimensions != 3):
            problems.append("examples need conditioning at the head, and 3 dimensions")
        if (
            max((*self.widths, self.in_channels, self.feature_channels)) > 4096
            or len(self.widths) > 8
            or max(self.blocks, default=0) > 64
        ):
            problems.append("widths, blocks or channels are larger than any network that this version runs")
        if problems:
            raise PackageFormatError("The network's description cannot be used: " + "; ".join(problems) + ".")

    @property
    def multiple(self) -> int:
        """Every axis of the input is a multiple of this."""
        return int(self.output_stride * 2 ** (len(self.widths) - 1))

    @property
    def level_channels(self) -> dict[str, int]:
        """Name of every level of the trunk -> its channels, in the order in which they are computed: the stages of the
        encoder, finest first, and those of the decoder, coarsest first.
        """
        encoder = {f"encoder.{n}": width for n, width in enumerate(self.widths)}
        return encoder | {f"decoder.{n}": width for n, width in enumerate(reversed(self.widths[:-1]))}

    @property
    def learns_examples(self) -> bool:
        """Whether a model of this kind can be shown further structures: its features do not depend on the label."""
        return self.conditioning == "head" and self.dimensions == 3

    @property
    def input_channels(self) -> int:
        """Channels of the tensor that the trunk takes: the image's and, where used, the positions."""
        return self.in_channels + (POSITION_CHANNELS if self.position else 0)

    def to_json(self) -> dict[str, Any]:
        """As it stands in `model.json`; later settings are left out where they are not used, so that versions that do
        not know them read the package.
        """
        return {
            k: list(v) if isinstance(v, tuple) else v
            for k, v in asdict(self).items()
            if k not in ("context_classes", "examples") or v
        }

    @staticmethod
    def from_json(entry: Mapping[str, Any]) -> Architecture:
        """Inverse of `to_json`; unknown keys and wrong types raise PackageFormatError."""
        known = {f.name: f for f in fields(Architecture)}
        unknown = sorted(set(entry) - set(known))
        if unknown:
            raise PackageFormatError(
                f"The network's description has settings that this version does not know: {', '.join(unknown)}."
            )
        values: dict[str, Any] = {}
        for key, value in entry.items():
            default = known[key].default
            if isinstance(default, tuple):
                if not isinstance(value, list | tuple) or not all(
                    isinstance(v, int) and not isinstance(v, bool) for v in value
                ):
                    raise PackageFormatError(f'The network\'s setting "{key}" has to be a list of whole numbers.')
                value = tuple(value)
            elif type(value) is not type(default):
                raise PackageFormatError(
                    f'The network\'s setting "{key}" has to be of the kind {type(default).__name__}.'
                )
            values[key] = value
        if values.get("conditioning") == ATLAS_PAIR:
            raise PackageFormatError(
                "This network needs a labelled scan at every pass (conditioning atlas_pair), which a model package does"
                " not hold; take its checkpoint."
            )
        return Architecture(**values)
