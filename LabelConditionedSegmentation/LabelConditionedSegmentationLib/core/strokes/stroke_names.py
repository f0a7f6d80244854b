"""What strokes are called, for whoever reads them without torch."""

BACKGROUND = "Background"
"""The name, in letters of any case, of strokes where none of the structures is."""
