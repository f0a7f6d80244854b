"""Runs core in a process of its own, for the panel. Importing it needs no torch; never slicer, vtk or qt."""
