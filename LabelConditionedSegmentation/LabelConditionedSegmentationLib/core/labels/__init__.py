"""Labels, and the trees in which they contain one another."""
