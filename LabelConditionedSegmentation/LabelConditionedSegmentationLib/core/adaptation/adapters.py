"""The ways to adapt a network to one scan, by name, and what a user may choose of them. Nothing here imports torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ..errors import InputError

if TYPE_CHECKING:
    from ..package.model_package import ModelPackage

MOST_STEPS = 10
DEFAULT_STEPS = 5
DEFAULT_ADAPTER = "g2p-scale"


@dataclass(frozen=True)
class Adapter:
    """One way to adapt.

    what: in words. objective: what is made small, a name of `objectives.OBJECTIVES`; empty where nothing is learned.
    guide: what the ratio of gradient to parameter of a layer decides: which layers move, or how fast each does.
    """

    what: str
    objective: Literal["", "entropy", "alignment"] = ""
    guide: Literal["", "choose", "scale"] = ""


ADAPTERS: dict[str, Adapter] = {
    "none": Adapter("the network as it is"),
    "norm": Adapter("statistics of normalisation layers are taken from the scan, in networks that store them"),
    "tent": Adapter("the scale and shift of normalisation layers make answers more certain", "entropy"),
    "align": Adapter("features are brought nearer to those of the training scans", "alignment"),
    "g2p-choose": Adapter(
        "as align, in the layers with the largest ratio of gradient to parameter", "alignment", "choose"
    ),
    "g2p-scale": Adapter(
        "as align, each layer as fast as its ratio of gradient to parameter says", "alignment", "scale"
    ),
}
"""Entropy minimisation: Wang et al., "Tent", ICLR 2021, arXiv 2006.10726. The ratio of gradient to parameter that
guides an alignment of features: ISBI 2024, doi 10.1109/ISBI56570.2024.10635451.
"""


@dataclass(frozen=True)
class Adaptation:
    """What is asked for: `adapter`, a name of ADAPTERS, and how many steps of Adam of the learning rate `rate`.

    always: the adapted network is taken also where it is not to be trusted more than the original one, for comparisons.
    Raises InputError for what there is not.
    """

    adapter: str = DEFAULT_ADAPTER
    steps: int = DEFAULT_STEPS
    rate: float = 3e-4
    always: bool = False

    def __post_init__(self) -> None:
        if self.adapter not in ADAPTERS:
            raise InputError(f'There is no adapter "{self.adapter}"; choose one of {", ".join(ADAPTERS)}.')
        if not 1 <= self.steps <= MOST_STEPS:
            raise InputError(f"A network is adapted in 1 to {MOST_STEPS} steps, not in {self.steps}.")

    def check(self, package: ModelPackage) -> None:
        """Raise InputError where the network of a package cannot be adapted."""
        if self.adapter == "none":
            return
        if package.architecture.conditioning != "head":
            raise InputError(
                f'The model "{package.name}" cannot be adapted to a scan, since its features depend on the label; leave'
                " the adaptation out, or choose another model."
            )
        if not package.statistics_sha256:
            raise InputError(
                f'The model "{package.name}" cannot be adapted to a scan, since it has no statistics of its features;'
                " leave the adaptation out, or let the maker of the model add them (python -m"
                " Training.studies.feature_statistics)."
            )
