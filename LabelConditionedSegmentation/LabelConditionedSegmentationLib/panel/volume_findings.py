"""What is odd about the chosen volumes, looked for again only where they have changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..core.findings import Finding
from ..core.package.model_package import ModelPackage
from ..scene.volumes import check_nodes, fingerprint, is_declared_scan


class VolumeFindings:
    """Remembers the findings of the volumes that were looked at last. name: of the first of them, as it was then."""

    def __init__(self) -> None:
        self.name = ""
        self._state: tuple[str, tuple[str, ...], tuple[bool, ...], str] | None = None
        self._found: tuple[Finding, ...] = ()

    def of(self, nodes: Sequence[Any], package: ModelPackage | None) -> tuple[Finding, ...]:
        """What `check_nodes` says of the volume nodes, one a channel of the model, which name them; nothing without a
        model.
        """
        if package is None:
            return ()
        names = tuple(node.GetName() if node else "" for node in nodes)
        declared = tuple(is_declared_scan(node) for node in nodes)
        state = fingerprint(nodes), names, declared, package.weights_sha256
        if state != self._state:
            self._state, self._found = state, tuple(check_nodes(nodes, package))
            self.name = next((name for name in names if name), "")
        return self._found

    def are_of_others(self, nodes: Sequence[Any]) -> bool:
        """Whether the volumes have another place or other voxels than those that were looked at last; another name
        makes no other volume.
        """
        return self._state is None or self._state[0] != fingerprint(nodes)
