"""Losses.

Every one takes the set of labels that were annotated: what was not annotated is unknown, never background.
"""
