"""The gallery of the documentation: every real scan at hand with what `brain` finds in it, good or bad:
python -m Testing.benchmarks.gallery.
"""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from LabelConditionedSegmentationLib.cli.preview import render_preview
from LabelConditionedSegmentationLib.core.inference.result import Result
from LabelConditionedSegmentationLib.core.inference.segmenter import Segmenter
from LabelConditionedSegmentationLib.core.scan.image_io import read_volume
from LabelConditionedSegmentationLib.resources import resources_folder, sample_scan
from PIL import Image

HEADS = Path(os.environ.get("LCS_HEADS", "../shared/data/heads"))
MODEL = resources_folder() / "Models" / "brain"
TOP = Path(__file__).resolve().parents[2]
PICTURES = TOP / "Resources" / "Screenshots"
PAGE = TOP / "Documentation" / "gallery.md"
WIDTH = 720
COLOURS = 128
"""Of a picture: few enough for small files."""

INTRODUCTION = """# Gallery

What the model `brain` makes of {count} real scans as they come, none of which it learned from: nothing was told of
them, nothing was chosen, and the bad ones are shown too. The upper row of a picture is the scan, the lower one the
answer; below it stand the findings that a user is told. Made with `python -m Testing.benchmarks.gallery`.
"""


class Shown(NamedTuple):
    """A scan of the gallery. file: below the folder of heads, or the name of a sample scan."""

    file: str
    what: str
    source: str


OPEN_MS = "Lesjak et al., Neuroinformatics 2017, CC BY (open_ms_data)"
ADULTS = "OpenNeuro ds002748, CC0"
SCANS = (
    Shown("colin27_t1_head.nii.gz", "Colin27, T1 of a whole head", "terms beside the sample data"),
    Shown("mni152_t1_brain.nii.gz", "MNI152, average of many T1, skull-stripped", "terms beside the sample data"),
    Shown("raw/lesion_T1.nii.gz", "T1 of a whole head with a lesion and subdural electrodes", "Seg3DData, MIT"),
    Shown("raw/coarse_T1.nii.gz", "T1 of head and neck, voxels of 2 mm, much noise", "pumi-minitest, PDDL"),
    Shown("raw/adult_T2.nii.gz", "T2 of a whole head", "Clinical toolbox, BSD-2"),
    Shown("raw/adult_FLAIR.nii.gz", "FLAIR of a whole head", "py_synthsr, Apache-2.0"),
    Shown("raw/adult_PD.nii.gz", "proton density, a part of the head, slices of 2.4 mm", "niivue, CC BY-NC 4.0"),
    Shown("ms/patient07_T1.nii.gz", "T1 of a person of 53 with multiple sclerosis, skull-stripped", OPEN_MS),
    Shown("ms/patient07_T2.nii.gz", "T2 of the same person", OPEN_MS),
    Shown("ms/patient07_FLAIR.nii.gz", "FLAIR of the same person", OPEN_MS),
)


def scans() -> Iterator[tuple[Shown, Path]]:
    """Those that are there, and the adults."""
    for shown in SCANS:
        path = HEADS / shown.file if "/" in shown.file else sample_scan(shown.file)
        if path.is_file():
            yield shown, path
    for path in sorted((HEADS / "adults").glob("*.nii.gz")):
        yield Shown(f"adults/{path.name}", f"T1 of an adult, skull-stripped ({path.name.split('.')[0]})", ADULTS), path


def name_of(shown: Shown) -> str:
    return "gallery_" + Path(shown.file).name.split(".")[0].lower().replace("-", "_") + ".png"


def said_of(result: Result) -> str:
    """The findings that a user is told, one a line of a list."""
    found = [f"- {finding.level}: {finding.text}" for finding in result.report.findings] or ["- no finding"]
    return "\n".join("\n".join(textwrap.wrap(line, 116, subsequent_indent="  ")) for line in found)


def main() -> None:
    parts = []
    with Segmenter.from_package(MODEL, "cpu") as segmenter:
        for shown, path in scans():
            scan = read_volume(path)
            result = segmenter.segment(scan)
            picture = render_preview(scan, result)
            size = (WIDTH, round(picture.height * WIDTH / picture.width))
            small = picture.resize(size, Image.Resampling.LANCZOS).quantize(COLOURS)
            small.save(PICTURES / name_of(shown), format="PNG", optimize=True)
            image = f"![{shown.what}](pictures/{name_of(shown)})"
            parts.append(f"## {shown.what}\n\n{image}\n\nScan: {shown.source}.\n\n{said_of(result)}\n")
            print(f"{shown.file}: {', '.join(f.level for f in result.report.findings) or 'no finding'}")
    PAGE.write_text(INTRODUCTION.format(count=len(parts)) + "\n" + "\n".join(parts), encoding="utf-8")


if __name__ == "__main__":
    main()
