"""What DICOM says about a volume: the fields of a model's metadata schema, from the volume's instance or from the
subject hierarchy, with their source.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import slicer
from pydicom.datadict import tag_for_keyword

from ..core.scan.dicom_facts import dicom_facts
from ..core.scan.facts import Fact, Lookup, first_known
from ..core.scan.metadata import MetadataSchema
from .nodes import is_present


def known_facts(node: Any, schema: MetadataSchema, database: Any = None) -> dict[str, Fact]:
    """Field name -> what DICOM says of it; fields of which nothing is said are left out.

    Odd values stay unknown and carry a problem; nothing is raised.

    database: a ctkDICOMDatabase, by default the application's own.
    """
    if not is_present(node):
        return {}
    found = {}
    for field in schema.fields:
        facts = (
            fact for lookup, source in _sources(node, database) for fact in dicom_facts(field, lookup, f"{source}: ")
        )
        if (known := first_known(facts)) is not None:
            found[field.name] = known
    return found


def _sources(node: Any, database: Any) -> Iterable[tuple[Lookup, str]]:
    """How a keyword is looked up, and what users call that place; the first that knows a fact wins."""
    database = database or getattr(slicer, "dicomDatabase", None)
    instances = (node.GetAttribute("DICOM.instanceUIDs") or "").split()
    if database is not None and instances:
        yield lambda keyword: str(database.instanceValue(instances[0], _tag(keyword)) or ""), "from DICOM"
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(node.GetScene())
    item = hierarchy.GetItemByDataNode(node)
    if item != hierarchy.GetInvalidItemID():
        yield (
            lambda keyword: str(hierarchy.GetAttributeFromItemAncestor(item, f"DICOM.{keyword}") or ""),
            "from the subject",
        )


def _tag(keyword: str) -> str:
    number = int(tag_for_keyword(keyword) or 0)
    return f"{number >> 16:04x},{number & 0xFFFF:04x}"
