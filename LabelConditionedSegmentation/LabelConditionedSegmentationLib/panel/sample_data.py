"""The sample scans of the module, which lie in the extension: the module Sample Data loads them without a download."""

from __future__ import annotations

from dataclasses import dataclass

from ..resources import resources_folder, sample_scan


@dataclass(frozen=True)
class Sample:
    """A scan that is offered. name: of its volume node and of its thumbnail."""

    name: str
    file: str
    sha256: str


SAMPLES = (
    Sample("LCSHeadT1", "colin27_t1_head.nii.gz", "a009051127f64dc3dd554d5f5b589870ea72106d9642c21b4e7093e478cfc309"),
    Sample(
        "LCSBrainT1",
        "mni152_t1_brain.nii.gz",
        "421a10e872fd6cadae7f61d358dffbcc1795a497d61ee76c5dda2503e1a1e9e6",
    ),
)


def register() -> None:
    """Offer the scans in the module Sample Data."""
    import SampleData

    for sample in SAMPLES:
        SampleData.SampleDataLogic.registerCustomSampleDataSource(
            category="LabelConditionedSegmentation",
            sampleName=sample.name,
            thumbnailFileName=str(resources_folder() / "Icons" / f"{sample.name}.png"),
            uris=sample_scan(sample.file).as_uri(),
            fileNames=sample.file,
            nodeNames=sample.name,
            checksums=f"SHA256:{sample.sha256}",
        )
