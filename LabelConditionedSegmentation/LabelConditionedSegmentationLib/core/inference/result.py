"""The result of a run: which voxel carries which label, on the input grid."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import cached_property, partial, reduce
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import DependencyError, LabelError
from ..labels.label_tree import LabelTree
from ..scan.file_formats import DICOM, SEGMENTATION, names_file, suffix_of
from ..scan.image_writing import write_image
from ..scan.volume import Volume
from ..scan.whole_files import Writer, save_all
from .dicom_report import write_structured_report
from .dicom_segmentation import DicomSegmentation, Origin, of_layers
from .instances import Instances, instances_of
from .probability_maps import ProbabilityMaps
from .report import RunReport
from .result_files import write_names, write_segmentation
from .segmented_label import SegmentedLabel, find_label

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Result:
    """A segmentation on the input grid.

    Attributes:
        layers: Label maps (1, k, j, i) of the smallest unsigned integer type, 0 is background; more than one only where
            labels that overlap were asked for (a parent and something under it, a label by example and one of the
            model's).
        labels: Which value is which label. A value is the label's id, whatever else was asked for.
        report: Versions, device, seconds a stage, what was noticed.
        trees: The labels that could have been asked for.
        probabilities: Of the labels whose probabilities were asked for; None where they were not.

    Examples:
        >>> from LabelConditionedSegmentationLib import Segmenter, read_volume
        >>> with Segmenter.from_package("Resources/Models/brain") as segmenter:
        ...     result = segmenter.segment(read_volume("scan.nii.gz"))
        >>> left = result.mask("Left Hippocampus").to_numpy()
        >>> result.save("scan.seg.nrrd")
        >>> table = result.volumes()
    """

    layers: tuple[Volume, ...]
    labels: tuple[SegmentedLabel, ...]
    report: RunReport
    trees: tuple[LabelTree, ...]
    probabilities: ProbabilityMaps | None = None

    @property
    def label_map(self) -> Volume:
        """The one label map.

        Raises:
            LabelError: Labels overlap, and a voxel of a label map has one value.
        """
        if len(self.layers) > 1:
            inner = next(entry.label.name for entry in self.labels if entry.layer > 0)
            raise LabelError(
                f'"{inner}" overlaps another label that was asked for (a structure and a part of it, labels of two'
                " protocols, or one by example and one of the model), which a label map cannot hold; ask for one of"
                " them, or write a .seg.nrrd file."
            )
        return self.layers[0]

    @cached_property
    def dicom(self) -> DicomSegmentation:
        """The segments as DICOM has them, with their identifiers. Raises DependencyError and LabelError."""
        origin = Origin(self.report.model, self.report.package_sha256, self.report.is_interactive)
        return of_layers(self.layers, [(entry.layer, entry.value, entry.label) for entry in self.labels], origin)

    def beside(self, other: Result) -> Result:
        """Both answers of one run, the layers of `other` after these."""
        moved = (replace(entry, layer=entry.layer + len(self.layers)) for entry in other.labels)
        maps = [result.probabilities for result in (self, other) if result.probabilities is not None]
        return Result(
            (*self.layers, *other.layers),
            (*self.labels, *moved),
            self.report,
            (*self.trees, *other.trees),
            reduce(ProbabilityMaps.beside, maps) if maps else None,
        )

    def mask(self, label: str | int) -> Volume:
        """Where one label is.

        Args:
            label: Its name, a synonym or its id. A structure that has parts is their union; it, or all of its parts,
                must have been asked for.

        Returns:
            A volume of true and false on the input grid: `to_numpy()` gives the array (k, j, i), and `save` writes 1
            and 0.

        Raises:
            LabelError: The model does not know the label, or it was not asked for.

        Examples:
            >>> inside = scan.to_numpy()[result.mask("Left Hippocampus").to_numpy()]
            >>> result.mask("Left Hippocampus").save("hippocampus.nii.gz")
        """
        tree, wanted = find_label(self.trees, label)
        entries = [entry for entry in self.labels if entry.label == wanted]
        if not entries:
            parts = tree.leaves_under(wanted)
            entries = [entry for entry in self.labels if entry.label in parts]
            if len(entries) < len(parts):
                raise LabelError(f'"{wanted.name}" is not in this result; ask for it when the scan is segmented.')
        inside = np.zeros(self.layers[0].shape, dtype=bool)
        for layer in {entry.layer for entry in entries}:
            values = [entry.value for entry in entries if entry.layer == layer]
            inside |= np.isin(self.layers[layer].array[0], values)
        return self.layers[0].with_array(inside)

    def instances(self, label: str | int) -> Instances:
        """The connected pieces of a label, numbered from the largest one.

        Args:
            label: Its name, a synonym or its id; a label of which the model says that its pieces are things of their
                own, such as lesions.

        Returns:
            A map of numbers on the input grid, and the name, volume and centre of each piece.

        Raises:
            LabelError: The model does not know the label or does not say so of it, or it was not asked for.

        Examples:
            >>> for piece in result.instances("Lesion").pieces:
            ...     described = f"{piece.name}: {piece.ml:.2f} ml"
        """
        tree, wanted = find_label(self.trees, label)
        tree.check_instances(wanted)
        return instances_of(self.mask(wanted.id), wanted)

    def masked(self, scan: Volume) -> Volume:
        """The scan, as it was stored, with nothing left outside of the labels of this result, such as a brain without
        its skull.

        Args:
            scan: What was segmented.

        Returns:
            The same voxels; outside they are 0, or the lowest value of a scan that has values below 0 (as CT has).

        Examples:
            >>> with Segmenter.from_package("Resources/Models/head") as head:
            ...     head.segment(scan, ["Brain"]).masked(scan).save("brain.nii.gz")
        """
        inside = np.logical_or.reduce([layer.array[0] > 0 for layer in self.layers])
        outside = min(scan.array.dtype.type(0), scan.array.min())
        return scan.with_array(np.where(inside, scan.array, outside))

    def volumes(self) -> pd.DataFrame:
        """How large every label is.

        Returns:
            A row a label, in the order they were asked for: `name`, `id`, `voxels` (of the input grid) and `ml`
            (millilitres).

        Raises:
            DependencyError: pandas is not installed.

        Examples:
            >>> result.volumes().to_csv("volumes.csv", index=False)
        """
        try:
            import pandas as pd
        except ImportError:
            raise DependencyError(
                "A table of volumes is made by pandas, which is not installed: pip install pandas."
            ) from None
        millilitres = self.millilitres()
        rows = [
            (entry.label.name, entry.label.id, self._voxels[entry], millilitres[entry.label.id])
            for entry in self.labels
        ]
        return pd.DataFrame(rows, columns=["name", "id", "voxels", "ml"])

    def save(self, path: str | os.PathLike[str], overwrite: bool = False) -> None:
        """Write the segmentation as `lcs segment -o` does; its files appear whole, or none of them.

        Args:
            path: Ends in .seg.nrrd for a segmentation that 3D Slicer opens with names, colours and terminology; in
                .nii.gz, .nii, .nrrd or .mha for a label map, beside which a .json file names the values; or, where the
                scan was read from DICOM, in .dcm for a DICOM segmentation that refers to the series.
            overwrite: Replace files that exist.

        Raises:
            InputError: A DICOM segmentation was asked for, and the scan is no DICOM series.
            DependencyError: The package that writes this format is not installed.
            OutputError: The name says no format, a file exists, cannot be written, or cannot say where the scan lies.
            LabelError: Labels overlap, which a label map cannot hold.

        Examples:
            >>> result.save("scan.seg.nrrd")
        """
        save_all(self.files(Path(path)), overwrite)

    def files(self, path: Path) -> dict[Path, Writer]:
        """The files that `save` writes for this name, and what writes each. Raises as it does."""
        suffix = suffix_of(path)
        if suffix == SEGMENTATION:
            return {path: partial(write_segmentation, self.layers, self.labels)}
        if suffix == DICOM:
            return {path: self.dicom.write}
        return {
            path: partial(write_image, self.label_map),
            names_file(path): partial(write_names, self.labels, self.report.model, path),
        }

    def structured_report(self) -> Writer:
        """A writer of the volumes as a DICOM structured report on the segmentation that `files` writes.

        Raises DependencyError and LabelError.
        """
        return partial(write_structured_report, self.dicom, self.millilitres())

    def millilitres(self) -> dict[int, float]:
        """Label id -> volume in millilitres."""
        return {entry.label.id: count * self.layers[0].voxel_millilitres for entry, count in self._voxels.items()}

    @cached_property
    def _voxels(self) -> dict[SegmentedLabel, int]:
        """Voxels of every label."""
        counts = [np.bincount(layer.array.ravel(), minlength=1) for layer in self.layers]
        return {
            entry: int(counts[entry.layer][entry.value]) if entry.value < len(counts[entry.layer]) else 0
            for entry in self.labels
        }
