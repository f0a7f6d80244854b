"""The words of core that the panel speaks in; the panel itself never imports core."""

from __future__ import annotations

from ..core.errors import (
    Cancelled,
    DeviceError,
    InputError,
    LabelError,
    LCSError,
    MetadataError,
    OutputError,
    PackageError,
    PackageInstallError,
)
from ..core.examples.example_prompt import ExamplePrompt, averaged, tree_of_prompts
from ..core.findings import Finding
from ..core.inference.winners import Winners
from ..core.labels.label_tree import Code, Label, LabelTree
from ..core.package.model_package import ModelPackage
from ..core.scan.input_spec import InputSpec
from ..core.scan.metadata import UNKNOWN, Field, MetadataSchema
from ..core.scan.scan_checks import LABEL_MAP
from ..core.scan.volume import Array, Volume

__all__ = [
    "LABEL_MAP",
    "UNKNOWN",
    "Array",
    "Cancelled",
    "Code",
    "DeviceError",
    "ExamplePrompt",
    "Field",
    "Finding",
    "InputError",
    "InputSpec",
    "LCSError",
    "Label",
    "LabelError",
    "LabelTree",
    "MetadataError",
    "MetadataSchema",
    "ModelPackage",
    "OutputError",
    "PackageError",
    "PackageInstallError",
    "Volume",
    "Winners",
    "averaged",
    "tree_of_prompts",
]
