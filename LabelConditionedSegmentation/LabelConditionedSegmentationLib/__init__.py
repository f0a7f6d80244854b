"""Label conditioned segmentation: a network that is told which structure to find and what is known about the scan."""

__version__ = "0.1.0"
