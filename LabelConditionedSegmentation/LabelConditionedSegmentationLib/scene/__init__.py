"""MRML in and out: volumes, transforms, segmentations, terminology, DICOM metadata. slicer and vtk, never qt, ctk or
torch.
"""
