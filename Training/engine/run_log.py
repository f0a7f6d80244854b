"""What a run shows while it goes: a progress bar, a CSV line a step, and curves and pictures for TensorBoard."""

from __future__ import annotations

import colorsys
import csv
import io
import sys
import threading
from collections.abc import Mapping, Sequence
from functools import partial
from io import FileIO
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from LabelConditionedSegmentationLib.core.inference.memory_ladder import peak_memory_mb
from LabelConditionedSegmentationLib.core.labels.label_tree import LabelTree
from LabelConditionedSegmentationLib.core.scan.geometry import Grid
from LabelConditionedSegmentationLib.core.scan.slice_pictures import (
    VIEWS,
    class_slice,
    coloured,
    extent_of,
    gray_slice,
    gray_window,
    slice_grid,
)
from LabelConditionedSegmentationLib.core.scan.volume import Volume
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from ..methods.method import Picture
from .kept_files import writing_to, written_whole

OPACITY = 0.6
"""Of classes over a scan."""

COLUMNS = ("step", "loss", "learning_rate", "dice", "seconds", "memory_mb")
"""memory_mb: the most that the process has had so far, on the GPU where it works there."""


class RunLog:
    """The log of a run in its output folder; a run that goes on writes on, without the lines of steps that it makes
    again.
    """

    def __init__(self, folder: Path, first: int, steps: int, tree: LabelTree) -> None:
        self.path = folder / "log.csv"
        self.tree = tree
        self.columns, kept = _rows_before(self.path, first)
        self.hook, threading.excepthook = threading.excepthook, _leave_to_the_next_write
        with writing_to(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self.file = self._written(kept)
            self.curves = SummaryWriter(str(folder / "tensorboard"), purge_step=first)
        self.earlier = float(kept[-1]["seconds"]) if kept else 0.0
        self.bar = tqdm(total=steps, initial=first, desc="training", unit="step", disable=not sys.stderr.isatty())
        self.dice = float("nan")

    def step(
        self,
        step: int,
        loss: float,
        learning_rate: float,
        seconds: float,
        scores: dict[str, np.ndarray] | None,
        measured: Mapping[str, float] = MappingProxyType({}),
    ) -> None:
        """One step: its mean loss, what the method measured and, where the run was validated after it, Dice of every
        leaf in every case.
        """
        with writing_to(self.path.parent):
            dice = float("nan")
            if scores is not None:
                dice = self.dice = float(np.nanmean(np.stack(list(scores.values()))))
                self._validated(step, scores)
            row = {
                "step": step,
                "loss": loss,
                "learning_rate": learning_rate,
                "dice": dice,
                "seconds": round(self.earlier + seconds, 1),
                "memory_mb": _memory_mb(),
            }
            self._widen(measured)
            self._append({**row, **measured})
            for name, value in {"loss": loss, "learning_rate": learning_rate, **measured}.items():
                self.curves.add_scalar(name, value, step)
        self.bar.set_postfix(loss=f"{loss:.3f}", dice=f"{self.dice:.3f}")
        self.bar.update()

    def _widen(self, measured: Mapping[str, float]) -> None:
        """A column for everything that is measured for the first time; earlier steps have none of it."""
        if more := [name for name in measured if name not in self.columns]:
            self.file.close()
            _, kept = _rows_before(self.path, sys.maxsize)
            self.columns = (*self.columns, *more)
            self.file = self._written(kept)

    def _written(self, rows: list[dict[str, Any]]) -> FileIO:
        """The file, anew with these rows, to write on to."""
        with written_whole(self.path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
            table = csv.DictWriter(file, self.columns, restval=float("nan"))
            table.writeheader()
            table.writerows(rows)
        return self.path.open("ab", buffering=0)  # so that nothing is left to write when it could not be

    def _append(self, row: Mapping[str, Any]) -> None:
        line = io.StringIO(newline="")
        csv.DictWriter(line, self.columns, restval=float("nan")).writerow(row)
        left = line.getvalue().encode()
        while left:  # the last bytes of a full disk are taken before it says so
            left = left[self.file.write(left) :]

    def _validated(self, step: int, scores: dict[str, np.ndarray]) -> None:
        self.curves.add_scalar("dice/mean", self.dice, step)
        for case, values in scores.items():
            self.curves.add_scalar(f"dice/case/{case}", float(np.nanmean(values)), step)
        table = np.stack(list(scores.values()))
        for root in self.tree.roots:
            values = table[:, [c - 1 for c in self.tree.network_classes_under(root)]]
            if not np.isnan(values).all():
                self.curves.add_scalar(f"dice/{root.name}", float(np.nanmean(values)), step)

    def picture(self, step: int, name: str, image: torch.Tensor, maps: Sequence[torch.Tensor]) -> None:
        """A scan and maps of classes over it in three slices: image and maps (k, j, i), on a grid along the RAS axes;
        classes are labels and, with colours of their own, others after them; negative values stand for unknown.
        """
        black = (0.0, 0.0, 0.0)
        own = [colour for part in self.tree.parts.values() for colour in (black, *(x.color for x in part.leaves))]
        further = max(0, max(int(classes.max()) for classes in maps) + 1 - len(own))
        more = [colorsys.hsv_to_rgb(n * 0.618 % 1, 0.7, 0.9) for n in range(further)]
        colours = np.array([*own, *more], dtype=np.float32)
        sheet = _sheet_of(image.float().cpu().numpy(), [classes.cpu().numpy() for classes in maps], colours)
        with writing_to(self.path.parent):
            self.curves.add_image(name, sheet, step, dataformats="HWC")

    def pictures_after(self, step: int) -> Picture:
        """What shows pictures of a step to those who know no step."""
        return partial(self.picture, step)

    def close(self) -> None:
        """End bar and files."""
        threading.excepthook = self.hook
        self.bar.close()
        with writing_to(self.path.parent):
            self.file.close()
            self.curves.close()


def _sheet_of(image: np.ndarray, maps: Sequence[np.ndarray], colours: np.ndarray) -> np.ndarray:
    """Three slices, one below the other, through the middle of an image (k, j, i) and, beside it, of maps of classes
    (k, j, i) over it: (height, width, 3) from 0 to 1, a pixel a voxel. i, j and k run to the right, anterior and
    superior. colours (classes, 3).
    """
    scan = Volume(image[None], np.eye(4))
    grid, window = Grid.of(scan), gray_window(image)
    (low, high), middle = extent_of(grid), np.array(image.shape[::-1]) // 2
    rows = []
    for view in VIEWS:
        plane = slice_grid(view, middle, low, high, 1.0)
        gray = gray_slice(scan, plane, window)
        slices = [class_slice(classes.clip(max=len(colours) - 1), grid, plane) for classes in maps]
        rows.append(np.hstack([gray, *(coloured(gray, classes, colours, OPACITY) for classes in slices)]))
    width = max(row.shape[1] for row in rows)
    return np.vstack([np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0))) for row in rows])


def _leave_to_the_next_write(hooked: threading.ExceptHookArgs) -> None:
    """TensorBoard writes in a thread of its own; its error is kept there, and what is written next raises it."""
    if not isinstance(hooked.exc_value, OSError):
        threading.__excepthook__(hooked)


def _memory_mb() -> float:
    found = peak_memory_mb(torch.device("cuda" if torch.cuda.is_initialized() else "cpu"))  # type: ignore[no-untyped-call]
    return round(found.get("gpu", found.get("process", float("nan"))))


def _rows_before(path: Path, first: int) -> tuple[tuple[str, ...], list[dict[str, Any]]]:
    """The columns of a log and its lines up to a step; the last one of a killed run may be half a line and goes.

    A log of before may call the learning rate "rate".
    """
    if not first or not path.exists():
        return COLUMNS, []
    with path.open(newline="", encoding="utf-8") as file:
        header, *lines = csv.reader(file)
    columns = tuple("learning_rate" if name == "rate" else name for name in header)
    rows = [dict(zip(columns, line, strict=True)) for line in lines if len(line) == len(columns) and all(line)]
    return columns, [row for row in rows if int(row["step"]) < first]
