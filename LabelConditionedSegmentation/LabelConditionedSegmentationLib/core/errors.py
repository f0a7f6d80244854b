"""The errors that core raises on purpose: each carries one sentence for the user, and nothing else catches anything
broader.
"""

from __future__ import annotations


class LCSError(Exception):
    """Base of every expected error. Its text is one clear sentence: what is wrong and what to do.

    Examples:
        >>> from LabelConditionedSegmentationLib import LCSError, read_volume
        >>> try:
        ...     read_volume("missing.nii.gz")
        ... except LCSError as error:
        ...     print(error)
        There is no file "missing.nii.gz".
    """


class InputError(LCSError):
    """A scan, or another file that the user gave, cannot be used."""


class OutputError(LCSError):
    """The result cannot be written where it was asked for."""


class LabelError(LCSError):
    """A label is not known to the model, or the request for labels contradicts itself."""


class MetadataError(LCSError):
    """A metadata field or value is not one that the model's schema allows."""


class DeviceError(LCSError):
    """The device that was asked for is not there, or nothing smaller fits its memory."""


class DependencyError(LCSError):
    """A Python package that only this needs is not installed."""


class WorkerError(LCSError):
    """The processes that scans are divided among, or what divides them, are not there or cannot work."""


class PackageError(LCSError):
    """A model package cannot be used. The subclasses say why."""


class PackageNotFoundError(PackageError):
    """No model package at this place or of this name."""


class PackageFormatError(PackageError):
    """`model.json` is missing, malformed, incomplete or of a newer format."""


class PackageIntegrityError(PackageError):
    """The weights are not those that `model.json` describes: wrong hash, truncated, extra or missing tensors, wrong
    shapes.
    """


class PackageInstallError(PackageError):
    """An archive or folder is refused before anything of it is installed."""


class Cancelled(LCSError):  # noqa: N818  no error, but what the user wanted
    """The user cancelled; nothing was written."""
