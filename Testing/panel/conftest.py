"""The stand-in for the application, for the tests of the panel."""

from Testing.host.fixtures import host as host
