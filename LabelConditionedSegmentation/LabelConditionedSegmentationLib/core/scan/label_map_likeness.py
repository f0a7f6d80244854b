"""Whether an image is a label map that was taken for a scan: told by how its values lie beside each other."""

from __future__ import annotations

import numpy as np

from .placed_array import Array

FLAT = 0.3
"""The share of a voxel's neighbours that hold the same value, on average over all values, from which on regions are
flat; thin ones have no more.
"""

FEW, MANY = 8, 50
"""Fewer values say nothing about their order; scans of more values than many are flat only where they were enlarged,
and have no order from voxel to voxel either.
"""

TOGETHER = 0.65
"""Of the variance of all positions: voxels of one label lie closer together than this, on average over all labels,
while those of one brightness lie all over a scan.
"""

GRADUAL = 0.45
"""The share of steps between neighbours that lead to the very next value, in a scan of so few values that it is flat.
"""

COPIES = 6
"""Voxels in a row, up to so many, that are taken for copies of one where a scan was enlarged."""

ROWS = 64
"""Along each of two axes, at most, that are looked at."""


def looks_like_label_map(channel: Array) -> bool:
    """Whether a channel (k, j, i) of finite values, of any real dtype, consists of flat regions whose values are no
    brightnesses.

    Scans of few grey levels and scans that were enlarged by copying voxels are flat too; what tells them apart is where
    equal and similar values lie.
    """
    sample = channel[:: -(-channel.shape[0] // ROWS), :: -(-channel.shape[1] // ROWS)]
    values, ranks = np.unique(sample, return_inverse=True)
    ranks = ranks.reshape(sample.shape)
    if len(values) < FEW:
        return _flatness(ranks) >= FLAT
    ranks = _without_copies(ranks)
    return _flatness(ranks) >= FLAT and (
        _scatter(ranks) < TOGETHER or (len(values) < MANY and _share_of_next(ranks) < GRADUAL)
    )


def _without_copies(ranks: Array) -> Array:
    """(k, j, i) with columns that repeat the one before left out, where runs of them are short enough to come from
    enlarging a scan.
    """
    new = np.flatnonzero((ranks[..., 1:] != ranks[..., :-1]).any(axis=(0, 1))) + 1
    return ranks[..., new] if len(new) > 1 and np.median(np.diff(new)) <= COPIES else ranks


def _flatness(ranks: Array) -> float:
    """The share of right neighbours that hold the same value, averaged over values, so that the background is one of
    many.
    """
    left, right = ranks[..., :-1], ranks[..., 1:]
    if not left.size:
        return 0.0
    all_of = np.bincount(left.ravel())
    same_of = np.bincount(left[left == right], minlength=len(all_of))
    return float((same_of[all_of > 0] / all_of[all_of > 0]).mean())


def _scatter(ranks: Array) -> float:
    """The variance of the positions of one value, averaged over values, in parts of that of all of them; the most
    frequent value is left aside.
    """
    inside = ranks != np.bincount(ranks.ravel()).argmax()
    value, places = ranks[inside], np.argwhere(inside).astype(np.float64)
    count = np.bincount(value)
    several = count > 1
    if not several.any():
        return 1.0
    within = np.zeros(int(several.sum()))
    for along in places.T:
        total, squares = (np.bincount(value, along**power)[several] for power in (1, 2))
        within += (squares - total**2 / count[several]) / (count[several] - 1)
    return float(within.mean() / places.var(axis=0).sum())


def _share_of_next(ranks: Array) -> float:
    """The share of steps between different right neighbours that lead to the very next value; the most frequent value
    is left aside.
    """
    background = np.bincount(ranks.ravel()).argmax()
    left, right = ranks[..., :-1], ranks[..., 1:]
    steps = np.abs(left - right)[(left != right) & (left != background) & (right != background)]
    return float((steps == 1).mean()) if steps.size else 0.0
