"""The version of the library, which reports and model packages name."""

__version__ = "0.1.0"
