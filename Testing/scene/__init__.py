"""Tests of the scene room, on real MRML."""
