"""A copy of a network is adapted to one scan, without labels."""
