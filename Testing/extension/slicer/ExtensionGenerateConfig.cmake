# Slicer writes the extension's own CMake configuration here; a scripted module installs nothing by it.
