"""Headless training: methods, data, losses. Uses core; never slicer, vtk or qt."""
