"""Model code: labels, metadata, packages, geometry, network, segmenter. Never imports slicer, vtk, qt or Training."""
