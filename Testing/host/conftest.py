"""The stand-in itself is the fixture here."""

from Testing.host.fixtures import host

__all__ = ["host"]
