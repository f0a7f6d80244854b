"""Strokes: sparse seeds that a person painted, and the random walks that spread them over a box of a scan."""
