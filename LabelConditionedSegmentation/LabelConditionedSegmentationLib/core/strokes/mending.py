"""Mending an answer of the network by strokes: what is taken from one label goes to another, and none is left over."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..errors import LabelError
from ..inference.features import Features
from ..labels.label_tree import LabelTree
from ..progress import CancelToken, ProgressCallback
from ..scan.volume import Array, Volume
from .painted_strokes import Strokes
from .propagation import Propagation, propagate
from .stroke_names import BACKGROUND


def mend(
    strokes: Strokes,
    scan: Volume,
    features: Features,
    answer: Array,
    progress: ProgressCallback | None = None,
    cancel: CancelToken | None = None,
) -> tuple[Array, Propagation]:
    """An answer that has the strokes right, and its labels beside them as the random walks then have it.

    All labels of the answer in the box around the strokes compete with what was painted, believed as the network
    believes them. The answer stays outside of the box, and where a voxel would go from one label to another of which
    nothing was painted: no stroke speaks of that.

    Args:
        strokes: Of labels that the model knows, and of the background, by their names.
        scan: What was segmented.
        features: What the network found in it.
        answer: (k, j, i) of the scan: ids of leaves of the model, 0 where there is none.
        progress: Gets the fraction that is done and what goes on.
        cancel: Ends the work between two steps of the solver when it is cancelled.

    Returns:
        The mended answer (k, j, i), of the same type, and the probabilities that it was decided by.

    Raises:
        LabelError: The model does not know a painted name, or it is that of a group of labels.
        InputError: The model knows no label in the box, the box is larger than the memory, or the features were not
            kept.
        Cancelled: It was cancelled.
    """
    tree = features.labels
    cut = tuple(slice(a, b) for a, b in zip(*strokes.box, strict=True))
    there = [tree[int(number)].name for number in np.unique(answer[cut]) if number]
    painted = [_leaf(tree, name) for name in strokes.names]
    names = tuple(dict.fromkeys([*painted, *there]))
    classes = np.array([0, *(names.index(name) + 1 for name in painted)], dtype=strokes.seeds.dtype)
    competing = replace(strokes, seeds=classes[strokes.seeds], names=names).with_background()
    found = propagate(competing, scan, features, features, progress, cancel)
    ids = [0 if n == competing.background else tree.find(name).id for n, name in enumerate(competing.names)]
    won = np.array(ids, dtype=answer.dtype)[found.probabilities.argmax(0).cpu().numpy()]
    spoken_of = [ids[names.index(name)] for name in painted]
    mended = answer.copy()
    mended[cut] = np.where(np.isin(won, spoken_of) | np.isin(answer[cut], spoken_of), won, answer[cut])
    return mended, found


def _leaf(tree: LabelTree, name: str) -> str:
    """The label that a painted name means. Raises LabelError where it is none that competes."""
    if name.casefold() == BACKGROUND.casefold():
        return BACKGROUND
    label = tree.find(name)
    if label.id in tree.children:
        part = tree.leaves_under(label)[0].name
        raise LabelError(f'"{label.name}" is a group of structures; paint strokes of its parts, such as "{part}".')
    return label.name
