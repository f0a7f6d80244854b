"""The scans of a BIDS data set, and what their results are called in a data set of derivatives."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import InputError
from ..core.scan.bids_place import place_of

FIGURES = "figures"
ENDINGS = (".nii.gz", ".nii")


@dataclass(frozen=True)
class BidsScan:
    """A scan of a data set.

    file: the image. participant, session: without sub- and ses-; the session is empty where there are none. stem: the
    name of the image without its suffix, such as sub-01_ses-2_run-1.
    """

    file: Path
    participant: str
    session: str
    stem: str

    def result(self, folder: Path, segmentation: str, ending: str) -> Path:
        """Where a result of this scan goes below the folder of derivatives. segmentation: which one, as the entity
        `seg` has it.
        """
        sessions = (f"ses-{self.session}",) if self.session else ()
        return Path(folder, f"sub-{self.participant}", *sessions, "anat", f"{self.stem}_seg-{segmentation}_{ending}")

    def figure(self, folder: Path, segmentation: str) -> Path:
        """Where the picture of a result goes."""
        return Path(folder, f"sub-{self.participant}", FIGURES, f"{self.stem}_seg-{segmentation}_dseg.png")


def find_scans(data_set: Path, suffix: str, participants: Sequence[str] = ()) -> list[BidsScan]:
    """The scans with this suffix of all participants, or of those that are named, by name.

    Raises InputError where there is no data set, or a participant is not in it or has no such scan.
    """
    folders = {path.name.removeprefix("sub-"): path for path in sorted(data_set.glob("sub-*")) if path.is_dir()}
    if not folders:
        raise InputError(f'"{data_set}" is no BIDS data set: it holds no folders sub-XX of participants.')
    wanted = [name.removeprefix("sub-") for name in participants] or list(folders)
    for name in wanted:
        if name not in folders:
            raise InputError(f'There is no participant "{name}" in "{data_set}"; there are {_listed(list(folders))}.')
    scans = {name: _of_participant(name, folders[name], suffix) for name in dict.fromkeys(wanted)}
    empty = [name for name, found in scans.items() if not found]
    if empty and (participants or len(empty) == len(scans)):
        raise InputError(
            f'Participant {_listed(empty)} of "{data_set}" has no scan called *_{suffix}.nii.gz in a folder anat;'
            " choose another suffix with --suffix."
        )
    return [scan for found in scans.values() for scan in found]


def segmentation_name(model: str) -> str:
    """The name of a model as the value of a BIDS entity, which has letters and digits alone."""
    return re.sub(r"[^A-Za-z0-9]", "", model) or "model"


def _of_participant(name: str, folder: Path, suffix: str) -> list[BidsScan]:
    places = [("", folder / "anat"), *((path.name[4:], path / "anat") for path in sorted(folder.glob("ses-*")))]
    found: dict[str, BidsScan] = {}
    for session, anat in places:
        for file in sorted(anat.glob(f"*_{suffix}.nii*")):
            ending = next((ending for ending in ENDINGS if file.name.endswith(f"_{suffix}{ending}")), "")
            stem = file.name.removesuffix(f"_{suffix}{ending}")
            if ending and place_of(file).suffix == suffix:  # a phase image is none
                found.setdefault(stem, BidsScan(file, name, session, stem))
    return list(found.values())


def _listed(names: Sequence[str], most: int = 8) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
