"""What lies below a searched folder: images, slices of DICOM, links that lead nowhere.

Hidden things and results of earlier runs are left out.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..core.scan.dicom import is_dicom_file
from ..core.scan.file_formats import LABEL_MAPS, SEGMENTATION, names_file

SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd", ".mgz", ".img")
"""Of image files that are scans; of a pair .img/.hdr the first."""

SLICE = ".dcm"

TEXTS = ("README", "CHANGES", "LICENSE")
"""Files without a suffix that are no scans, and no folders of any."""


@dataclass(frozen=True)
class Folder:
    """What lies directly in a folder.

    images: files of one scan each. has_slices: whether files are DICOM, whatever their names. lost_images, lost_slices:
    links that lead nowhere. results: count of files that earlier runs wrote. problem: why the folder cannot be looked
    into.
    """

    path: Path
    images: tuple[Path, ...] = ()
    has_slices: bool = False
    lost_images: tuple[Path, ...] = ()
    lost_slices: tuple[Path, ...] = ()
    results: int = 0
    problem: str = ""


def visible_folders(top: Path, seen: set[tuple[int, int]]) -> Iterator[Folder]:
    """A folder and all below it that are not hidden.

    Links to folders are followed after all that is no link, and no folder is entered twice.

    seen: the folders that were entered (device, inode); grows.
    """
    linked = [top]
    while linked:
        waiting = [linked.pop(0)]
        while waiting:
            path = waiting.pop()
            try:
                status = path.stat()
                if (status.st_dev, status.st_ino) in seen:
                    continue
                seen.add((status.st_dev, status.st_ino))
                entries = sorted(Path(path, name) for name in os.listdir(path) if not name.startswith("."))
            except OSError as error:
                yield Folder(path, problem=f'The folder "{path}" cannot be read ({error.strerror}).')
                continue
            below = [entry for entry in entries if os.path.isdir(entry)]
            linked += [entry for entry in below if entry.is_symlink()]
            waiting += [entry for entry in reversed(below) if not entry.is_symlink()]
            yield _looked_into(path, [entry for entry in entries if not os.path.isdir(entry)])


def holds_slices(folder: Path) -> bool:
    """Whether files directly in a folder are DICOM, or are called as if they were."""
    try:
        return any(entry.suffix.lower() == SLICE or is_dicom_file(entry) for entry in _files(folder.iterdir()))
    except OSError:
        return False


def holds_scans(top: Path) -> bool:
    """Whether there are scans somewhere below a folder."""
    return any(folder.images or folder.has_slices for folder in visible_folders(top, set()))


def _looked_into(path: Path, entries: list[Path]) -> Folder:
    files = _files(entries)
    images = [file for file in files if _is_image(file)]
    results = [image for image in images if _is_result(image)]
    lost = [entry for entry in entries if not os.path.exists(entry)]
    has_slices = any(is_dicom_file(file) for file in files if not _is_image(file))
    lost_slices = [link for link in lost if link.suffix.lower() == SLICE or (has_slices and not link.suffix)]
    lost_images = [
        link
        for link in lost
        if link not in lost_slices and (_is_image(link) or not (link.suffix or link.name in TEXTS))
    ]  # without a suffix: perhaps the folder of a subject
    return Folder(
        path,
        tuple(image for image in images if image not in results),
        has_slices,
        tuple(lost_images),
        tuple(lost_slices),
        len(results),
    )


def _files(entries: Iterable[Path]) -> list[Path]:
    return [entry for entry in entries if os.path.isfile(entry)]


def _is_image(path: Path) -> bool:
    return path.name.lower().endswith(SUFFIXES)


def _is_result(image: Path) -> bool:
    """Whether an image is a segmentation, or a label map or probability maps that this command wrote: the file beside
    it that names its values says so.
    """
    name = image.name.lower()
    if name.endswith(SEGMENTATION):
        return True
    if not name.endswith(LABEL_MAPS) or name in LABEL_MAPS:
        return False
    try:
        names = json.loads(names_file(image).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    if isinstance(names, dict) and names.get("probabilities") == image.name:
        return True
    if not (isinstance(names, dict) and {"model", "background", "values"} <= names.keys()):
        return False
    stem = names_file(image).with_suffix("")
    others = [stem.with_name(stem.name + suffix) for suffix in LABEL_MAPS]
    alone = not any(other.exists() for other in others if other != image)
    return bool(names["label_map"] == image.name if "label_map" in names else alone)  # earlier versions did not say
