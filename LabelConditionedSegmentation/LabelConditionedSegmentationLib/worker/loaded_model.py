"""LoadedModel: the model that the worker keeps loaded between requests, and the features of its last run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core.errors import InputError
from ..core.package.model_package import ModelPackage
from ..core.package.needed import needed_package
from ..core.progress import Progress

if TYPE_CHECKING:
    from ..core.inference.features import Features
    from ..core.inference.segmenter import Segmenter


class NotKeptError(InputError):
    """What the network found in a run is gone."""


class LoadedModel:
    """None at first; torch is imported by the first request that needs a model.

    trunk_passes, loads: how often a network has run, and a model was loaded, so far.
    """

    def __init__(self) -> None:
        self.trunk_passes = 0
        self.loads = 0
        self._segmenter: Segmenter | None = None
        self._device = ""
        self._features: tuple[int, Features] | None = None

    @property
    def place(self) -> tuple[str, str]:
        """The path of the model's package and the device that it is on; empty where none is loaded."""
        loaded = self._segmenter
        return (str(loaded.package.path), str(loaded.plan.device)) if loaded else ("", "")

    def segmenter(self, path: str, device: str, progress: Progress) -> Segmenter:
        """The segmenter of the last run, unless the package (its weights' hash included) or the device is another one
        now.
        """
        package = ModelPackage.load(path)
        if self._segmenter is None or (self._segmenter.package, self._device) != (package, device):
            progress.update(0.0, 1.0, 0.0, "loading the model")
            from ..core.inference.devices import choose_device
            from ..core.inference.segmenter import EXAMPLE_BUDGET, FEATURE_BUDGET, Segmenter

            where = choose_device(device)
            self._segmenter = None  # two models at once might not fit
            budget = EXAMPLE_BUDGET if package.architecture.learns_examples else FEATURE_BUDGET
            needed = needed_package(package)
            self._segmenter = Segmenter(package, package.build_network(), where, budget, needed=needed)
            self._device = device
            self.loads += 1
        return self._segmenter

    def keep(self, run: int, features: Features) -> None:
        """Keep what the network found in a run, instead of what it found in the one before."""
        self._features = run, features

    def features_of(self, run: int, purpose: str) -> Features:
        """What the network found in a run. purpose: "ask for ...".

        Raises NotKeptError where it is not kept any more.
        """
        number, features = self._features or (None, None)
        if features is None or number != run:
            raise NotKeptError(
                f"What the network found in that run is not kept any more; press Apply again to {purpose}."
            )
        return features
