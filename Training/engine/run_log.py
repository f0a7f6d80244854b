"""What a run shows while it goes: a progress bar, a CSV line a step, and curves and pictures for TensorBoard."""

from __future__ import annotations

import colorsys
import csv
import io
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from LabelConditionedSegmentationLib.core.inference.memory_ladder import peak_memory_mb
from LabelConditionedSegmentationLib.core.labels.label_tree import LabelTree
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from .whole_files import writing_to, written_whole

COLUMNS = ("step", "loss", "rate", "dice", "seconds", "memory_mb")
"""memory_mb: the most that the process has had so far, on the GPU where it works there."""


class RunLog:
    """The log of a run in its output folder; a run that goes on writes on, without the lines of steps that it makes
    again.
    """

    def __init__(self, folder: Path, first: int, steps: int, more: Sequence[str] = ()) -> None:
        """more: columns of the method."""
        self.path = folder / "log.csv"
        self.columns = (*COLUMNS, *more)
        kept = _rows_before(self.path, first, self.columns)
        self.hook, threading.excepthook = threading.excepthook, _leave_to_the_next_write
        with writing_to(folder):
            folder.mkdir(parents=True, exist_ok=True)
            _write(self.path, kept, self.columns)
            self.file = self.path.open("ab", buffering=0)  # so that nothing is left to write when it could not be
            self.curves = SummaryWriter(str(folder / "tensorboard"), purge_step=first)
        self.earlier = float(kept[-1]["seconds"]) if kept else 0.0
        self.bar = tqdm(total=steps, initial=first, desc="training", unit="step", disable=not sys.stderr.isatty())
        self.dice = float("nan")

    def step(
        self,
        step: int,
        loss: float,
        rate: float,
        seconds: float,
        scores: dict[str, np.ndarray] | None,
        tree: LabelTree,
        measured: Mapping[str, float] = MappingProxyType({}),
    ) -> None:
        """One step: its mean loss, what the method measured and, where the run was validated after it, Dice of every
        leaf in every case.
        """
        with writing_to(self.path.parent):
            dice = float("nan")
            if scores is not None:
                dice = self.dice = float(np.nanmean(np.stack(list(scores.values()))))
                self._validated(step, scores, tree)
            row = {
                "step": step,
                "loss": loss,
                "rate": rate,
                "dice": dice,
                "seconds": round(self.earlier + seconds, 1),
                "memory_mb": _memory_mb(),
            }
            self._append({**row, **measured})
            for name, value in {"loss": loss, "rate": rate, **measured}.items():
                self.curves.add_scalar(name, value, step)
        self.bar.set_postfix(loss=f"{loss:.3f}", dice=f"{self.dice:.3f}")
        self.bar.update()

    def _append(self, row: Mapping[str, Any]) -> None:
        line = io.StringIO(newline="")
        csv.DictWriter(line, self.columns, restval=float("nan")).writerow(row)
        left = line.getvalue().encode()
        while left:  # the last bytes of a full disk are taken before it says so
            left = left[self.file.write(left) :]

    def _validated(self, step: int, scores: dict[str, np.ndarray], tree: LabelTree) -> None:
        self.curves.add_scalar("dice/mean", self.dice, step)
        for case, values in scores.items():
            self.curves.add_scalar(f"dice/case/{case}", float(np.nanmean(values)), step)
        table = np.stack(list(scores.values()))
        for root in tree.roots:
            values = table[:, [c - 1 for c in tree.classes_under(root)]]
            if not np.isnan(values).all():
                self.curves.add_scalar(f"dice/{root.name}", float(np.nanmean(values)), step)

    def picture(
        self, step: int, image: torch.Tensor, truth: torch.Tensor, found: torch.Tensor, tree: LabelTree
    ) -> None:
        """The scan, the truth and what was found in three slices: image, truth and found (k, j, i), classes with
        negative values for unknown.
        """
        colours = torch.tensor([(0.0, 0.0, 0.0), *(leaf.color for leaf in tree.leaves)])
        self._add_sheet("scan, truth, found", sheet_of(image, [truth, found], colours), step)

    def context(self, step: int, image: torch.Tensor, classes: torch.Tensor, tree: LabelTree) -> None:
        """A sample and how its target is divided: image (k, j, i), classes (k, j, i) of labels and of the context after
        them.
        """
        more = [colorsys.hsv_to_rgb(n * 0.618 % 1, 0.7, 0.9) for n in range(int(classes.max()) - len(tree.leaves))]
        colours = torch.tensor([(0.0, 0.0, 0.0), *(leaf.color for leaf in tree.leaves), *more])
        self._add_sheet("sample, context", sheet_of(image, [classes], colours), step)

    def _add_sheet(self, name: str, sheet: torch.Tensor, step: int) -> None:
        with writing_to(self.path.parent):
            self.curves.add_image(name, sheet, step, dataformats="HWC")

    def close(self) -> None:
        """End bar and files."""
        threading.excepthook = self.hook
        self.bar.close()
        with writing_to(self.path.parent):
            self.file.close()
            self.curves.close()


def sheet_of(image: torch.Tensor, maps: Sequence[torch.Tensor], colours: torch.Tensor) -> torch.Tensor:
    """Three slices, one below the other, of an image (k, j, i) and, beside it, of maps of classes (k, j, i) over it:
    (height, width, 3) from 0 to 1.

    colours (classes, 3): that of class 0, and of negative ones, is not drawn.
    """
    low, high = torch.quantile(
        image[:: max(1, len(image) // 8)].float().reshape(-1)[:1_000_000], torch.tensor([0.01, 0.995])
    ).tolist()
    rows = []
    for axis in range(3):
        middle = image.shape[axis] // 2
        gray, *slices = (volume.select(axis, middle).flip(0) for volume in (image.float(), *maps))
        gray = ((gray - low) / max(high - low, 1e-6)).clamp(0, 1)[..., None].expand(-1, -1, 3)
        panels = [gray]
        for classes in slices:
            shown = classes.clamp(0, len(colours) - 1)
            panels.append(torch.where((classes > 0)[..., None], 0.4 * gray + 0.6 * colours[shown], gray))
        rows.append(torch.cat(panels, dim=1))
    width = max(row.shape[1] for row in rows)
    return torch.cat([torch.nn.functional.pad(row, (0, 0, 0, width - row.shape[1])) for row in rows])


def _leave_to_the_next_write(hooked: threading.ExceptHookArgs) -> None:
    """TensorBoard writes in a thread of its own; its error is kept there, and what is written next raises it."""
    if not isinstance(hooked.exc_value, OSError):
        threading.__excepthook__(hooked)


def _memory_mb() -> float:
    found = peak_memory_mb(torch.device("cuda" if torch.cuda.is_initialized() else "cpu"))  # type: ignore[no-untyped-call]
    return round(found.get("gpu", found.get("process", float("nan"))))


def _write(path: Path, rows: list[dict[str, Any]], columns: Sequence[str]) -> None:
    with written_whole(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, columns)
        table.writeheader()
        table.writerows(rows)


def _rows_before(path: Path, first: int, columns: Sequence[str]) -> list[dict[str, Any]]:
    """The lines of a log up to a step; the last one of a killed run may be half a line and goes."""
    if not first or not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if all(row.get(column) for column in columns)]
    return [row for row in rows if int(row["step"]) < first]
