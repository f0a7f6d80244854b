"""The packages that are installed, as `lcs models` and the panel list them: also those that cannot be used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import PackageError
from .model_package import ModelPackage, packages_by_name


@dataclass(frozen=True)
class ListedPackage:
    """A package under the name that it is found by. package: what it says of itself; None where it cannot be used, and
    then `problem` says why.
    """

    name: str
    path: Path
    package: ModelPackage | None
    problem: str = ""

    @property
    def title(self) -> str:
        """What it is called in the panel."""
        about = self.package.about if self.package else {}
        return str(about.get("title") or self.name)

    @property
    def size(self) -> str:
        """On disk, such as "4.2 MB"; "" where it cannot be used."""
        return f"{self.package.size_bytes / 2**20:.1f} MB" if self.package else ""

    @property
    def licence(self) -> str:
        """What it says of its licence."""
        about = self.package.about if self.package else {}
        return str(about.get("licence") or ("not stated" if self.package else ""))

    @property
    def version(self) -> str:
        """Its version where it states one, else the date of its training, else the beginning of the hash of its
        weights, which no other version shares.
        """
        if self.package is None:
            return ""
        provenance = self.package.about.get("provenance")
        dated = provenance.get("date") if isinstance(provenance, dict) else None
        return str(self.package.about.get("version") or dated or self.package.weights_sha256[:8])


def list_packages(folders: Sequence[Path]) -> list[ListedPackage]:
    """Every package in these folders, sorted by name; earlier folders win over later ones of the same name."""
    listed = []
    for name, path in packages_by_name(folders).items():
        try:
            listed.append(ListedPackage(name, path, ModelPackage.load(path)))
        except (PackageError, OSError) as error:
            listed.append(ListedPackage(name, path, None, str(error)))
    return listed
