"""What a label is called in DICOM: SNOMED CT codes where the label table has them, else a code of a private scheme."""

from __future__ import annotations

from dataclasses import dataclass

from .label_tree import Code, Label

PRIVATE_SCHEME = "99LCS"
"""Designator of the coding scheme of labels without a SNOMED CT code: "MODEL:ID" means the label of this id of the
model. Designators that begin with 99 are private by DICOM PS3.16, section 8.2.
"""

PRIVATE_SCHEME_NAME = "Labels of models of LabelConditionedSegmentation"

TISSUE = Code("SCT", "85756007", "Tissue")
"""The category (DICOM PS3.16, CID 7150) of a label of which no more is known than that it is in a picture of a body."""

SIDES = {"left": Code("SCT", "7771000", "Left"), "right": Code("SCT", "24028007", "Right")}
"""Of DICOM PS3.16, CID 244, by the laterality of a label."""

LONGEST = 64
"""Bytes of a value of the DICOM type LO, such as a code's meaning and the name of a segment. The standard counts
letters; programs that read and check files count bytes.
"""


@dataclass(frozen=True)
class DicomCodes:
    """category, type: of the segmented property. modifiers: of the type, such as the side."""

    category: Code
    type: Code
    modifiers: tuple[Code, ...] = ()


def dicom_codes(label: Label, model: str) -> DicomCodes:
    """The codes of a label of a model.

    A label that is known as a part of a coded structure has that one's code, narrowed by its position and side.
    """
    if label.type is None and label.broader is not None and label.position is not None:
        sides = (SIDES[label.laterality],) if label.laterality in SIDES else ()
        return DicomCodes(label.category or TISSUE, label.broader, (label.position, *sides))
    if label.type is None:
        return DicomCodes(TISSUE, Code(PRIVATE_SCHEME, plain_text(f"{model}:{label.id}"), plain_text(label.name)))
    return DicomCodes(label.category or TISSUE, label.type, (label.modifier,) if label.modifier else ())


def plain_text(text: str) -> str:
    """A text as one value of the DICOM type LO: no backslash, which would divide it, no control characters, and not
    too long.
    """
    letters = "".join(letter if letter.isprintable() else " " for letter in text.replace("\\", "/"))
    return letters.strip().encode("utf-8", "replace")[:LONGEST].decode("utf-8", "ignore").strip()
