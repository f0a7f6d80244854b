"""A small labelled data set in the nnU-Net raw layout, made up."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from LabelConditionedSegmentationLib.core.scan.itk import image_of

from Testing import samples

ROWS = (
    ("4", "3rd Ventricle", "3rd Ventricle", "midline", "ventricles_csf", "ventricles_csf", "CSF", "1"),
    ("47", "Right Hippocampus", "Hippocampus", "right", "deep_gray", "deep_gray", "GM", "1"),
    ("48", "Left Hippocampus", "Hippocampus", "left", "deep_gray", "deep_gray", "GM", "1"),
    ("65", "Left Insula", "Insula", "left", "insula", "cortex", "GM", "0"),
    ("103", "Left AIns anterior insula", "AIns anterior insula", "left", "insula", "cortex", "GM", "1"),
    ("173", "Left PIns posterior insula", "PIns posterior insula", "left", "insula", "cortex", "GM", "1"),
    ("63", "Right vessel", "vessel", "right", "other", "other", "", "0"),
)


def write_data_set(folder: Path, cases: int = 3, first: int = 0) -> Path:
    """Cases whose labels follow position: left and right hippocampus, a midline ventricle, an insula, an unscored
    vessel. first: of the seeds of the scans.
    """
    (folder / "imagesTr").mkdir(parents=True)
    (folder / "labelsTr").mkdir()
    for n in range(cases):
        volume = samples.scan((32, 36, 34), seed=first + n)
        inside = volume.array[0] > 0
        k, j, i = np.indices(volume.shape)
        labels = np.zeros(volume.shape, dtype=np.uint8)
        labels[inside & (i < 15)] = 48  # left lies at smaller right-anterior-superior x
        labels[inside & (i > 18)] = 47
        labels[inside & (i >= 15) & (i <= 18)] = 4
        labels[inside & (i < 15) & (j > 25)] = 103 if n else 65
        labels[inside & (i > 18) & (k > 24)] = 63
        sitk.WriteImage(image_of(volume), str(folder / "imagesTr" / f"case_{n}_0000.nii.gz"))
        sitk.WriteImage(image_of(volume.with_array(labels)), str(folder / "labelsTr" / f"case_{n}.nii.gz"))
    header = "id,name,structure,hemisphere,group,compartment,tissue,scored\n"
    (folder / "labels.csv").write_text(header + "".join(",".join(row) + "\n" for row in ROWS))
    people = "".join(f"case_{n}\t{'FM'[n % 2]}\t{20 + n}\n" for n in range(cases - 1)) + f"case_{cases - 1}\tn/a\tn/a\n"
    (folder / "participants.tsv").write_text("participant_id\tsex\tage\n" + people)
    return folder


def as_datalist(data_set: Path, path: Path) -> Path:
    """A MONAI datalist of a made-up data set: the last case is in "validation", labels are {"id": "name"}, files are
    given relative to the list.
    """
    people = {
        row[0]: row[1:]
        for row in (line.split("\t") for line in (data_set / "participants.tsv").read_text().splitlines()[1:])
    }
    entries = []
    for label in sorted((data_set / "labelsTr").iterdir()):
        name = label.name.removesuffix(".nii.gz")
        image = data_set / "imagesTr" / f"{name}_0000.nii.gz"
        sex, age = people[name]
        files = {key: os.path.relpath(file, path.parent) for key, file in (("image", image), ("label", label))}
        entries.append({**files, "sex": None if sex == "n/a" else sex, "age": None if age == "n/a" else int(age)})
    content = {"labels": {row[0]: row[1] for row in ROWS}, "training": entries[:-1], "validation": entries[-1:]}
    path.write_text(json.dumps(content))
    return path


def as_bids(data_set: Path, folder: Path) -> Path:
    """The scans of a made-up data set as a BIDS folder with a derivative of label maps; the first person has two
    sessions.
    """
    derivative = folder / "derivatives" / "manual"
    people = ["participant_id\tsex\tage"]
    for n, label in enumerate(sorted((data_set / "labelsTr").iterdir())):
        place, stem = (
            (Path("sub-00") / f"ses-{n}" / "anat", f"sub-00_ses-{n}")
            if n < 2
            else (Path(f"sub-{n:02d}") / "anat", f"sub-{n:02d}")
        )
        (folder / place).mkdir(parents=True)
        (derivative / place).mkdir(parents=True)
        shutil.copy(
            data_set / "imagesTr" / label.name.replace(".nii.gz", "_0000.nii.gz"), folder / place / f"{stem}_T1w.nii.gz"
        )
        shutil.copy(label, derivative / place / f"{stem}_space-T1w_dseg.nii.gz")
        if n != 1:
            people.append(f"sub-{n:02d}\t{'FM'[n % 2]}\t{20 + n}")
    (folder / "participants.tsv").write_text("\n".join(people) + "\n")
    (derivative / "dseg.tsv").write_text(
        "index\tname\tcolor\n" + "".join(f"{row[0]}\t{row[1]}\t#ff0000\n" for row in ROWS)
    )
    return folder
