"""How good a package is: metrics, their tables and pages, cross-validation."""
