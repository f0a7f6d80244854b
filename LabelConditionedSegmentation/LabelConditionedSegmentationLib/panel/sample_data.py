"""The sample scan of the module, which lies in the extension: the module Sample Data loads it without a download."""

from __future__ import annotations

from ..resources import resources_folder

NAME = "LCSBrainT1"
FILE = "mni152_t1_brain.nii.gz"
SHA256 = "421a10e872fd6cadae7f61d358dffbcc1795a497d61ee76c5dda2503e1a1e9e6"


def register() -> None:
    """Offer the scan in the module Sample Data."""
    import SampleData

    resources = resources_folder()
    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category="LabelConditionedSegmentation",
        sampleName=NAME,
        thumbnailFileName=str(resources / "Icons" / "LCSBrainT1.png"),
        uris=(resources / "SampleData" / FILE).as_uri(),
        fileNames=FILE,
        nodeNames=NAME,
        checksums=f"SHA256:{SHA256}",
    )
