"""Probability maps: how probable each of a few labels is in every voxel, on the input grid."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import LabelError
from ..labels.label_tree import Label, LabelTree
from ..scan.file_formats import check_maps_name, is_dicom_name, names_file
from ..scan.image_writing import write_image
from ..scan.volume import Volume
from ..scan.whole_files import Writer, as_json, save_all, write_text
from .dicom_segmentation import Origin, of_maps
from .segmented_label import find_label


@dataclass(frozen=True)
class ProbabilityMaps:
    """The probabilities of labels, in the order they were asked for.

    Attributes:
        volume: (label, k, j, i) float32 in [0, 1], on the input grid.
        labels: Which channel is which label.
        trees: The labels that could have been asked for.
        model: The model's name.
        sha256: Of the model's weights; empty where no network ran.
        is_interactive: Whether a person painted what decided it.

    Examples:
        >>> maps = features.probabilities(["Left Hippocampus", "Right Hippocampus"])
        >>> left = maps["Left Hippocampus"].to_numpy()
    """

    volume: Volume
    labels: tuple[Label, ...]
    trees: tuple[LabelTree, ...]
    model: str
    sha256: str = ""
    is_interactive: bool = False

    def __getitem__(self, label: str | int) -> Volume:
        """The map of one label.

        Args:
            label: Its name, a synonym or its id.

        Returns:
            A volume of one channel, float32 in [0, 1].

        Raises:
            LabelError: The model does not know the label, or it was not asked for.

        Examples:
            >>> maps["Left Hippocampus"].save("left.nii.gz")
        """
        _, wanted = find_label(self.trees, label)
        if wanted not in self.labels:
            raise LabelError(f'There is no probability map of "{wanted.name}"; ask for it with the others.')
        return self.volume.with_array(self.volume.array[self.labels.index(wanted)])

    def beside(self, other: ProbabilityMaps) -> ProbabilityMaps:
        """Both answers of one run, the maps of `other` after these."""
        return ProbabilityMaps(
            self.volume.with_array(np.concatenate([self.volume.array, other.volume.array])),
            (*self.labels, *other.labels),
            (*self.trees, *other.trees),
            self.model,
            self.sha256,
            self.is_interactive,
        )

    def of(self, labels: Sequence[Label]) -> ProbabilityMaps:
        """The maps of these labels, which are among those there are, in this order."""
        channels = [self.labels.index(label) for label in labels]
        return replace(self, volume=self.volume.with_array(self.volume.array[channels]), labels=tuple(labels))

    def save(self, path: str | os.PathLike[str], overwrite: bool = False) -> None:
        """Write all maps to one file, and beside it a .json file that names them; both appear whole, or none.

        The map of one label is a 3D image. Several are 4D in NIfTI, in the order of `labels`, and else the components
        of each voxel.

        Args:
            path: Ends in .nii.gz, .nii, .nrrd or .mha, which is the format; or, where the scan was read from DICOM, in
                .dcm for a fractional DICOM segmentation, which has 255 steps.
            overwrite: Replace files that exist.

        Raises:
            OutputError: The name says no format, a file exists, cannot be written, or cannot say where the scan lies.

        Examples:
            >>> maps.save("hippocampi.nii.gz")
        """
        save_all(self.files(Path(path)), overwrite)

    def files(self, path: Path) -> dict[Path, Writer]:
        """The files that `save` writes for this name, and what writes each. Raises as it does."""
        check_maps_name(path)
        if is_dicom_name(path):
            return {path: of_maps(self.volume, self.labels, self._origin).write}
        return {path: partial(write_image, self.volume), names_file(path): partial(self._write_names, path)}

    @property
    def _origin(self) -> Origin:
        return Origin(self.model, self.sha256, self.is_interactive)

    def names(self, maps: Path) -> dict[str, Any]:
        """What the JSON beside a file of maps says: which map is of which label."""
        names = [{"id": label.id, "name": label.name} for label in self.labels]
        return {"model": self.model, "probabilities": maps.name, "labels": names}

    def _write_names(self, maps: Path, path: Path) -> None:
        write_text(as_json(self.names(maps)), path)
