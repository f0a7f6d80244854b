"""A small stand-in for the Slicer application, made of real MRML: a test aid that the module never needs."""
