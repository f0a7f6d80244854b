"""The trunk: a residual U-Net that gives C feature channels.

With conditioning at the head it never sees a label and runs once per patch.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import torch
from torch import nn

from ..scan.metadata import Field
from .architecture import ATLAS_PAIR, POSITION_CHANNELS, Architecture
from .film import FilmGenerator, FilmLayers, Modulation, after, modulate


def _conv(dimensions: int, *args: int, **kwargs: int | bool) -> nn.Module:
    return (nn.Conv2d if dimensions == 2 else nn.Conv3d)(*args, **kwargs)  # type: ignore[arg-type]


class InstanceNorm(nn.Module):
    """Instance normalisation with learned scale and shift, over any number of spatial axes.

    Batch normalisation of a single sample IS instance normalisation, and PyTorch's kernel for it keeps the
    channels-last layout, where `torch.nn.InstanceNorm3d` copies to channels-first and back (several times slower on a
    CPU).
    """

    def __init__(self, channels: int, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.epsilon = epsilon

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x[0, 0].numel() == 1:  # a single voxel is its own mean; PyTorch refuses to normalise it
            shape = (1, -1, *[1] * (x.ndim - 2))
            return (x - x) * self.weight.view(shape) + self.bias.view(shape)
        samples = [
            nn.functional.batch_norm(s, None, None, self.weight, self.bias, training=True, eps=self.epsilon)
            for s in torch.split(x, 1)
        ]
        return samples[0] if len(samples) == 1 else torch.cat(samples)


class ResidualBlock(nn.Module):
    """conv-norm-act-conv-norm, the skip added, FiLM, act.

    A stride or another width is taken by the first convolution and a 1x1x1 in the skip.
    """

    def __init__(self, dimensions: int, width_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = _conv(dimensions, width_in, width, 3, stride=stride, padding=1, bias=False)
        self.norm1 = InstanceNorm(width)
        self.conv2 = _conv(dimensions, width, width, 3, padding=1, bias=False)
        self.norm2 = InstanceNorm(width)
        changes = stride > 1 or width_in != width
        self.skip = _conv(dimensions, width_in, width, stride, stride=stride, bias=False) if changes else nn.Identity()
        self.act = nn.LeakyReLU(0.01, inplace=True)

    def forward(self, x: torch.Tensor, film: Modulation | None = None) -> torch.Tensor:
        out = self.norm2(self.conv2(self.act(self.norm1(self.conv1(x)))))
        if film is not None:
            out = modulate(out, *film)
        return self.act(out + self.skip(x))  # type: ignore[no-any-return]


class UpBlock(nn.Module):
    """Transposed convolution by 2, the encoder's features concatenated, conv-norm, FiLM, act."""

    def __init__(self, dimensions: int, width_in: int, width: int) -> None:
        super().__init__()
        transposed = nn.ConvTranspose2d if dimensions == 2 else nn.ConvTranspose3d
        self.up = transposed(width_in, width, 2, stride=2, bias=False)
        self.conv = _conv(dimensions, 2 * width, width, 3, padding=1, bias=False)
        self.norm = InstanceNorm(width)
        self.act = nn.LeakyReLU(0.01, inplace=True)

    def forward(
        self, x: torch.Tensor, skip: torch.Tensor, film: Modulation | None = None, offset: torch.Tensor | None = None
    ) -> torch.Tensor:
        out = self.norm(self.conv(torch.cat([self.up(x), skip], dim=1)))
        if film is not None:
            out = modulate(out, *film)
        return self.act(out if offset is None else out + offset)  # type: ignore[no-any-return]


class PositionEncoding(nn.Module):
    """Where a voxel lies in the scanned region -> `width` channels, through sines of the coordinates at three
    wavelengths.

    It is added AFTER a normalisation, since instance normalisation would take the mean position of a patch away.
    """

    FREQUENCIES = (1.0, 2.0, 4.0)

    def __init__(self, dimensions: int, width: int) -> None:
        super().__init__()
        self.project = _conv(dimensions, POSITION_CHANNELS * (1 + 2 * len(self.FREQUENCIES)), width, 1)

    def forward(self, position: torch.Tensor) -> torch.Tensor:
        angles = torch.cat([position * (torch.pi / 2 * f) for f in self.FREQUENCIES], dim=1)
        return self.project(torch.cat([position, angles.sin(), angles.cos()], dim=1))  # type: ignore[no-any-return]


class Trunk(nn.Module):
    """Residual U-Net from an image to a feature map at 1/`output_stride` of its resolution.

    Input (batch, image channels [+ 3 position channels], *space), every axis a multiple of `architecture.multiple`;
    metadata (batch, fields) with NaN for unknown. Output (batch, feature_channels, *space / output_stride). Where the
    label enters the trunk, `codes` (labels, feature_channels) scale and shift the channels of the `conditioned` stages
    (after their normalisations, which would take a constant away); from the first of them on, stages run once a label,
    and the output has batch x labels samples, the labels of a sample side by side. With `atlas_pair`, `codes` are the
    pairs (labels, image channels + 1, *space / stride_before_deepest) instead: they stand beside the input of the
    deepest stage, and no other stage sees the label.
    """

    def __init__(self, architecture: Architecture, fields: Sequence[Field] = ()) -> None:
        super().__init__()
        a, d = architecture, architecture.dimensions
        self.architecture = architecture
        self.stem = _stem(a)
        self.stem_norm = InstanceNorm(a.widths[0])
        self.act = nn.LeakyReLU(0.01, inplace=True)
        self.position = nn.ModuleList([PositionEncoding(d, a.widths[0]) for _ in range(2)]) if a.position else None
        self.encoder = nn.ModuleList([_encoder_stage(a, level) for level in range(len(a.widths))])
        self.decoder = nn.ModuleList(
            [UpBlock(d, a.widths[level + 1], a.widths[level]) for level in reversed(range(len(a.widths) - 1))]
        )
        self.to_features = _conv(d, a.widths[0], a.feature_channels, 1)
        stage_widths = list(a.level_channels.values())
        self.film = FilmGenerator(fields, stage_widths, a.film) if a.film != "none" and fields else None
        self.conditioned = _conditioned_stages(a)
        self.label_film = None
        if self.conditioned and a.conditioning != ATLAS_PAIR:
            mode = "paper" if a.film == "paper" else "identity"
            self.label_film = FilmLayers(
                a.feature_channels, [stage_widths[n] for n in self.conditioned], mode, hidden=64
            )

    @property
    def stride_before_deepest(self) -> int:
        """Voxels of the image, along an axis, in one of the deepest stage's input."""
        return int(self.architecture.output_stride * 2 ** max(len(self.architecture.widths) - 2, 0))

    def forward(
        self, image: torch.Tensor, metadata: torch.Tensor | None = None, codes: torch.Tensor | None = None
    ) -> torch.Tensor:
        return self.to_features(self.levels(image, metadata, codes)[-1])  # type: ignore[no-any-return]

    def levels(
        self, image: torch.Tensor, metadata: torch.Tensor | None = None, codes: torch.Tensor | None = None
    ) -> list[torch.Tensor]:
        """What comes out of the deepest stage and of every stage of the decoder, coarsest first; the last one becomes
        the features.
        """
        return self._levels(image, metadata, codes)[1]

    def with_activations(
        self,
        image: torch.Tensor,
        names: Collection[str],
        metadata: torch.Tensor | None = None,
        codes: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """One pass -> the features, as `forward` gives them, and the activations of the named levels.

        names: of `architecture.level_channels`; the activations (batch, channels, *space of the level) come in its
        order, with their gradients where those are kept. Raises ValueError for a level that there is not.
        """
        known = list(self.architecture.level_channels)
        if unknown := sorted(set(names) - set(known)):
            raise ValueError(f'The network has no level "{unknown[0]}"; it has {", ".join(known)}.')
        encoded, decoded = self._levels(image, metadata, codes)
        levels = zip(known, [*encoded, *decoded[1:]], strict=True)
        return self.to_features(decoded[-1]), {name: level for name, level in levels if name in names}

    def _levels(
        self, image: torch.Tensor, metadata: torch.Tensor | None, codes: torch.Tensor | None
    ) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """What comes out of every stage of the encoder, finest first, and what enters the decoder and comes out of
        every stage of it, coarsest first.
        """
        labels = 1 if codes is None else len(codes)
        films = self._films(metadata, codes, image.shape[0])
        image, offsets = self._split_positions(image)
        encoded = self._encode(image, offsets[0], films[: len(self.encoder)], codes)
        x = encoded[-1]
        if self.conditioned and self.conditioned[0] == len(self.encoder):
            x = x.repeat_interleave(labels, dim=0)
        decoded = [x]
        last = len(self.decoder) - 1
        for n, (up, skip) in enumerate(zip(self.decoder, reversed(encoded[:-1]), strict=True)):
            offset = offsets[1] if n == last else None
            if labels > 1:
                skip = skip if len(skip) == len(x) else skip.repeat_interleave(labels, dim=0)
                offset = None if offset is None else offset.repeat_interleave(labels, dim=0)
            x = up(x, skip, films[len(self.encoder) + n], offset)
            decoded.append(x)
        return encoded, decoded

    def _split_positions(self, image: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor | None]]:
        """The image channels, and what the positions add to the first and to the last stage."""
        if self.position is None:
            return image, [None, None]
        image, position = image[:, :-POSITION_CHANNELS], image[:, -POSITION_CHANNELS:]
        stride = self.architecture.output_stride
        if stride > 1:
            pool = nn.functional.avg_pool2d if self.architecture.dimensions == 2 else nn.functional.avg_pool3d
            position = pool(position, stride)
        return image, [encode(position) for encode in self.position]

    def _encode(
        self,
        image: torch.Tensor,
        offset: torch.Tensor | None,
        films: Sequence[Modulation | None],
        codes: torch.Tensor | None,
    ) -> list[torch.Tensor]:
        """What comes out of every stage of the encoder, finest first."""
        x = self.stem_norm(self.stem(image))
        x = self.act(x if offset is None else x + offset)
        encoded = []
        for n, (stage, film) in enumerate(zip(self.encoder, films, strict=True)):
            if codes is not None and self.conditioned and n == self.conditioned[0]:
                x = x.repeat_interleave(len(codes), dim=0)
                if self.label_film is None:
                    x = torch.cat([x, codes.repeat(len(image), *[1] * (codes.ndim - 1)).to(x.dtype)], dim=1)
            for block in stage:  # type: ignore[attr-defined]
                x = block(x, film)
            encoded.append(x)
        return encoded

    def _films(self, metadata: torch.Tensor | None, codes: torch.Tensor | None, batch: int) -> list[Modulation | None]:
        """Scale and shift of every stage: the metadata's and, where the label enters, the label's after it."""
        films: list[Modulation | None] = [None] * (2 * len(self.encoder) - 1)
        if self.film is not None and metadata is not None:
            films = list(self.film(metadata))
        if self.label_film is not None:
            assert codes is not None, "a trunk that is conditioned on the label needs its code"
            for n, (gamma, beta) in zip(self.conditioned, self.label_film(codes), strict=True):
                films[n] = after(_repeated(films[n], len(codes)), (gamma.repeat(batch, 1), beta.repeat(batch, 1)))
            films[self.conditioned[-1] + 1 :] = [
                _repeated(film, len(codes)) for film in films[self.conditioned[-1] + 1 :]
            ]
        elif codes is not None:
            films[self.conditioned[0] :] = [_repeated(film, len(codes)) for film in films[self.conditioned[0] :]]
        return films


def _stem(a: Architecture) -> nn.Module:
    """The first convolution, which takes the image to the trunk's finest resolution."""
    stride = a.output_stride
    kernel, padding = (3, 1) if stride == 1 else (2 * stride, stride // 2)
    return _conv(a.dimensions, a.in_channels, a.widths[0], kernel, stride=stride, padding=padding, bias=False)


def _encoder_stage(a: Architecture, level: int) -> nn.ModuleList:
    """The residual blocks of a level; the first one takes what comes from the level above."""
    width_in, stride = (a.widths[level - 1], 2) if level else (a.widths[0], 1)
    if a.conditioning == ATLAS_PAIR and level == len(a.widths) - 1:
        width_in += a.in_channels + 1
    first = ResidualBlock(a.dimensions, width_in, a.widths[level], stride)
    more = [ResidualBlock(a.dimensions, a.widths[level], a.widths[level], 1) for _ in range(a.blocks[level] - 1)]
    return nn.ModuleList([first, *more])


def _conditioned_stages(a: Architecture) -> range:
    """The stages of encoder and decoder, counted through, that see the label."""
    deepest, stages = len(a.widths) - 1, len(a.level_channels)
    return {
        "head": range(0),
        "bottleneck": range(deepest, deepest + 1),
        ATLAS_PAIR: range(deepest, deepest + 1),
        "decoder": range(deepest + 1, stages),
        "trunk": range(stages),
    }[a.conditioning]


def _repeated(film: Modulation | None, labels: int) -> Modulation | None:
    """The modulation of every sample, once a label."""
    return (
        None if film is None else (film[0].repeat_interleave(labels, dim=0), film[1].repeat_interleave(labels, dim=0))
    )
