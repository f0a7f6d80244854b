"""Model packages: data, never code."""
