"""Sentences that core, the worker, the tools and the plain decisions say in English, in the application's language."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from functools import lru_cache

from slicer.i18n import translate

from ..resources import resources_folder

CONTEXT = "LabelConditionedSegmentation.sentences"
"""Under which they stand in the files for translators."""

SOURCES = "LabelConditionedSegmentation_en-US.ts"
"""Lists them, with {0}, {1} where a sentence has numbers and names in it: `Utilities.update_translations` collects
them.
"""

PLACEHOLDER = re.compile(r"\{(\d+)\}")
SEAM = re.compile(r"(?<=[.:;?]) ")
"""Where one sentence, or a name before it, may end and another one begin."""


@lru_cache(maxsize=1024)
def translated(text: str) -> str:
    """A text of one or several sentences in the language of the application; what is not known stays as it is."""
    whole = _whole(text)
    return _in_parts(text) if whole is None else whole


def _whole(text: str) -> str | None:
    """A text that is one of the sentences; None where it is none."""
    for pattern, source in _patterns():
        found = pattern.fullmatch(text)
        if found:
            return _filled(source, [translated(value) for value in found.groups()])
    return None


def _in_parts(text: str) -> str:
    """The longest first part that is a sentence, then the rest; else what comes before a sentence, such as a channel,
    as it is.
    """
    seams = [seam.start() for seam in SEAM.finditer(text)]
    for end in reversed(seams):
        whole = _with_its_sign(text[:end])
        if whole is not None:
            return f"{whole} {translated(text[end + 1 :])}"
    for end in seams:
        rest = translated(text[end + 1 :])
        if rest != text[end + 1 :]:
            return f"{text[:end]} {rest}"
    return _with_its_sign(text) or text


def _with_its_sign(text: str) -> str | None:
    """A sentence, or one that another sign was put behind; None where it is none."""
    whole = _whole(text)
    if whole is None and text[-1:] in (".", ":", ";"):
        whole = _whole(text[:-1])
        return None if whole is None else whole + text[-1]
    return whole


def _filled(source: str, values: Sequence[str]) -> str:
    """The translation of a sentence with its values; the sentence itself where the translator lost one of them."""
    translation = str(translate(CONTEXT, source))
    if sorted(PLACEHOLDER.findall(translation)) != sorted(PLACEHOLDER.findall(source)):
        translation = source
    return PLACEHOLDER.sub(lambda place: values[int(place[1])], translation)


@lru_cache(maxsize=1)
def _patterns() -> list[tuple[re.Pattern[str], str]]:
    """What each sentence looks like; those that say most come first, since others may fit as well."""
    contexts = ElementTree.parse(resources_folder() / "Translations" / SOURCES).iter("context")
    messages = next(context for context in contexts if context.findtext("name") == CONTEXT).iter("message")
    sources = [message.findtext("source") or "" for message in messages]
    sources.sort(key=lambda source: len(PLACEHOLDER.sub("", source)), reverse=True)
    return [(re.compile(_pattern(source), re.DOTALL), source) for source in sources]


def _pattern(source: str) -> str:
    return "(.+?)".join(map(re.escape, PLACEHOLDER.sub("\0", source).split("\0")))
