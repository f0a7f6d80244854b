"""The words of core that the panel speaks in; the panel itself never imports core."""

from __future__ import annotations

from ..core.checks import LABEL_MAP
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
from ..core.example_prompt import ExamplePrompt, averaged, tree_of_prompts
from ..core.findings import Finding
from ..core.input_spec import InputSpec
from ..core.labels import Code, Label, LabelTree
from ..core.metadata import UNKNOWN, Field, MetadataSchema
from ..core.package import ModelPackage
from ..core.volume import Array, Volume
from ..core.winners import Winners

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
