"""The contrast of an MRI scan (T1, T2, FLAIR or PD), derived from what its files say of how it was acquired.

The name is the suffix of BIDS or else the words of SeriesDescription or, where that says nothing, of ProtocolName;
AcquisitionContrast counts beside it. It may leave several contrasts open ("PD T2"), of which the times then choose.
Echo, repetition and inversion time (TE, TR, TI; ms) tell by themselves

- spin echo without inversion: T1 where TR <= 1000 and TE <= 30; PD where TR >= 2000 and TE <= 40; T2 where
  TR >= 2000 and TE >= 70;
- with inversion: FLAIR where TI >= 1500 and TE >= 70 and it is no gradient echo; T1 where 400 <= TI <= 1200 and
  TE <= 30, as in MPRAGE, IR-SPGR and T1 FLAIR.

A gradient echo without inversion is told by its name alone, since an angiogram may have the same times as a T1; so
is any scan without inversion of which nothing says that it is a spin echo. Times that tell nothing by themselves
still contradict a name: T2 and FLAIR need TE >= 40 and no gradient echo (whose long echoes show T2*), T1 and PD
TE <= 50, FLAIR TI >= 1200, and with TI < 300 (STIR) it is none of the four.

Limits of short and long times: C. Westbrook, Handbook of MRI Technique, table "Summary of parameters" (spin echo:
TE up to 30 and from 70, TR up to 900 and from 2000 ms; STIR TI 100 to 210 ms; FLAIR TE from 80 ms). TI: Mugler and
Brookeman, Magn Reson Med 15 (1990) 152 and Jack et al., J Magn Reson Imaging 27 (2008) 685 for T1; Hajnal et al.,
J Comput Assist Tomogr 16 (1992) 841 for FLAIR.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

from .facts import Fact, Lookup, OddValueError, taken
from .metadata import Field

CONTRAST_KEYWORD = "AcquisitionContrast"
"""The keyword by which a field asks for the contrast: few scanners write it, so the rest is derived."""

CONTRASTS = frozenset({"T1", "T2", "FLAIR", "PD"})

TERMS = {
    "T1": {"T1"},
    "T2": {"T2", "FLAIR"},
    "FLUID_ATTENUATED": {"FLAIR", "T1"},
    "PROTON_DENSITY": {"PD"},
}
"""What the defined terms of AcquisitionContrast leave open (DICOM PS3.3, C.8.13.3.1.2): FLAIR is weighted by T2 as
well, and T1 is acquired with attenuated fluid too. All other terms are of other contrasts, except UNKNOWN.
"""

SUFFIXES_OF_BIDS = {
    "T1w": {"T1"},
    "inplaneT1": {"T1"},
    "T2w": {"T2"},
    "inplaneT2": {"T2"},
    "FLAIR": {"FLAIR"},
    "PDw": {"PD"},
    "PDT2": {"PD", "T2"},
}
"""Of file names; all others are of other images."""

_BEFORE = r"(?<![a-z0-9])(?:[23]d|o?ax|axial|tra|sag|cor|[sed])?"
_WORDS = {
    "T1": re.compile(_BEFORE + r"t1(?![0-9])|mp[ _-]?rage|spgr|bravo|(?<![a-z0-9])tfl"),
    "T2": re.compile(rf"(?:{_BEFORE}|pd)t2(?![0-9])"),
    "FLAIR": re.compile(r"flair|dark[ _-]?fl|da-fl"),
    "PD": re.compile(_BEFORE + r"pd(?:wi?|fs|t2)?(?![a-z0-9])|proton"),
}
_TIRM = re.compile(r"(?<![a-z])tirm(?![a-z])")
_OTHER_WORDS = re.compile(
    r"(?<![a-z])(?:adc|dwi|dti|diff|diffusion|trace|tracew|bold|fmri|epi|ep2d|asl|pcasl|perf|perfusion|dsc|dce|tof|mra"
    r"|mrv|angio|swi|swan|mip|minip|pha|phase|qsm|stir|psir|dir|ciss|fiesta|trufi|b?ssfp|localizer|scout|survey"
    r"|subtraction|b1|mrs|csi|svs)(?![a-z])|maps?(?![a-z])|mapping|mp2rage|t[12]rho|t2[ _-]*(?:\*|star|s(?![a-z0-9]))"
)
_OTHER_IMAGES = re.compile(r"P|PHASE|R|REAL|I|IMAGINARY|.*MAP|E?ADC|FA|TRACEW|DIFFUSION|PERFUSION|UNI|MIP|SUB\w*")

TIMES = ("EchoTime", "RepetitionTime", "InversionTime")

_KINDS = {"SE": "spin echo", "SPIN": "spin echo", "GR": "gradient echo", "GRADIENT": "gradient echo"}


@dataclass(frozen=True)
class _Statement:
    """What one part of a file says. contrasts: those that it leaves open. words: for a sentence. source: where it
    stands.
    """

    contrasts: frozenset[str]
    words: str
    source: str


@dataclass(frozen=True)
class _Times:
    """In ms, None where they are not told. kind: spin echo, gradient echo, or empty where it is not told."""

    echo: float | None
    repetition: float | None
    inversion: float | None
    kind: str

    @property
    def likely(self) -> str:
        """The contrast that the times alone tell; empty where they do not. See above."""
        echo, repetition, inversion = self.echo, self.repetition, self.inversion
        if echo is None:
            return ""
        if inversion is not None:
            if inversion >= 1500 and echo >= 70 and self.kind != "gradient echo":
                return "FLAIR"
            return "T1" if 400 <= inversion <= 1200 and echo <= 30 else ""
        if repetition is None or self.kind != "spin echo":
            return ""
        if repetition <= 1000:
            return "T1" if echo <= 30 else ""
        return ("PD" if echo <= 40 else "T2" if echo >= 70 else "") if repetition >= 2000 else ""

    @property
    def possible(self) -> frozenset[str]:
        """The contrasts that the times leave open. See above."""
        if self.likely:
            return frozenset({"T2", "FLAIR"} if self.likely == "T2" else {self.likely})
        left = set(CONTRASTS)
        if self.echo is not None:
            left -= ({"T2", "FLAIR"} if self.echo < 40 else set()) | ({"T1", "PD"} if self.echo > 50 else set())
        if self.kind == "gradient echo":
            left -= {"T2", "FLAIR"}
        if self.inversion is not None and self.inversion < 1200:
            left -= {"FLAIR"}
        return frozenset(set() if self.inversion is not None and self.inversion < 300 else left)

    @property
    def words(self) -> str:
        told = ", ".join(f"{name} {value:g} ms" for name, value in self.told.items())
        return f"{told} of a {self.kind}" if told and self.kind else told or f"a {self.kind}"

    @property
    def told(self) -> dict[str, float]:
        values = zip(TIMES, (self.echo, self.repetition, self.inversion), strict=True)
        return {name: value for name, value in values if value is not None}


def wants_contrast(field: Field) -> bool:
    """Whether a field is filled with the contrast of a scan."""
    return field.kind == "choice" and CONTRAST_KEYWORD in field.dicom


def contrast_fact(field: Field, lookup: Lookup, source: str, place: str, suffix: str = "") -> Fact | None:
    """The contrast of an MRI scan, as a choice of the field; None where nothing tells it.

    Unknown, with a sentence, where these do not agree or the field has no such choice. Nothing is told of scans that
    are not MR, and of those whose name or header says that they show something else, such as diffusion, T2*, phase, an
    angiogram, a map or an echo-planar image.

    Args:
        field: Of kind choice.
        lookup: DICOM keyword -> text; times in ms.
        source: What comes before keywords where the source is told.
        place: The same in a sentence.
        suffix: Of a file name of BIDS; empty where there is none.
    """
    if _is_other_image(lookup):
        return None
    said = list(_names(lookup, suffix))
    times = _times(lookup)
    if not all(one.contrasts for one in said) or not (said or times.likely):
        return None
    if times.possible != CONTRASTS:
        said.append(_Statement(times.possible, times.words, ", ".join(times.told) or "ScanningSequence"))
    left = frozenset.intersection(*(one.contrasts for one in said))
    origin = _origin(said, source, suffix)
    if not left:
        return Fact(None, origin, _contradiction(field, place, said))
    value = next(iter(left)) if len(left) == 1 else times.likely
    return _fact(field, value, origin, place) if value else None


def _fact(field: Field, value: str, origin: str, place: str) -> Fact:
    try:
        return Fact(taken(field, value), origin)
    except OddValueError as odd:
        return Fact(None, origin, f'{place} {field.name} is "{value}", {odd}; left unknown.')


def _contradiction(field: Field, place: str, said: list[_Statement]) -> str:
    """Of the first two statements that leave nothing open together."""
    apart = ((a, b) for a, b in combinations(said, 2) if not a.contrasts & b.contrasts)
    one, other = next(apart, (said[0], said[-1]))
    return (
        f"{place} {one.words} says {_listed(one.contrasts)}, but {other.words} says {_listed(other.contrasts)}; the"
        f" {field.name} is left unknown."
    )


def _origin(said: list[_Statement], source: str, suffix: str) -> str:
    names = [one.source for one in said if not (suffix and one is said[0])]
    of_file = [f"file name _{suffix}"] if suffix else []
    return ", ".join([*of_file, *([source + ", ".join(names)] if names else [])])


def _listed(contrasts: frozenset[str]) -> str:
    return " or ".join(sorted(contrasts)) or "none of T1, T2, FLAIR and PD"


def _names(lookup: Lookup, suffix: str) -> Iterator[_Statement]:
    """What the name says, and AcquisitionContrast; no contrasts where it is something else."""
    if suffix:
        yield _Statement(frozenset(SUFFIXES_OF_BIDS.get(suffix, ())), f'the file name "_{suffix}"', "")
    else:
        for keyword in ("SeriesDescription", "ProtocolName"):
            text = lookup(keyword).strip(" \0")
            contrasts = _of_words(text.lower())
            if contrasts is not None:
                yield _Statement(contrasts, f'{keyword} "{text}"', keyword)
                break
    term = lookup(CONTRAST_KEYWORD).strip(" \0").upper()
    if term and term != "UNKNOWN":
        yield _Statement(frozenset(TERMS.get(term, ())), f'{CONTRAST_KEYWORD} "{term}"', CONTRAST_KEYWORD)


def _of_words(text: str) -> frozenset[str] | None:
    """What a name in small letters leaves open; nothing where it is of something else, None where it says nothing."""
    if _OTHER_WORDS.search(text):
        return frozenset()
    found = {contrast for contrast, words in _WORDS.items() if words.search(text)}
    if "FLAIR" in found:
        found -= {"T2"}  # "T2 FLAIR"
    elif _TIRM.search(text):
        found |= {"FLAIR", "T2"} - ({"T2"} if "T1" in found else set())  # the name of both FLAIR and STIR
    return frozenset(found) or None


def _is_other_image(lookup: Lookup) -> bool:
    """Whether a header says that this is no MR image of one of the contrasts, whatever its name."""
    modality, angiogram = (lookup(keyword).strip(" \0").upper() for keyword in ("Modality", "AngioFlag"))
    if modality not in ("", "MR") or angiogram in ("Y", "YES"):
        return True
    types = (one.strip(" \0").upper() for one in lookup("ImageType").split("\\"))
    is_planar = lookup("EchoPlanarPulseSequence").strip(" \0").upper() == "YES" or "EP" in _sequences(lookup)
    return is_planar or any(_OTHER_IMAGES.fullmatch(one) for one in types)


def _sequences(lookup: Lookup) -> set[str]:
    return set(re.split(r"[^A-Z]+", f"{lookup('ScanningSequence')} {lookup('EchoPulseSequence')}".upper()))


def _times(lookup: Lookup) -> _Times:
    kinds = {_KINDS[one] for one in _sequences(lookup) if one in _KINDS}
    echo, repetition, inversion = (_time(lookup(keyword)) for keyword in TIMES)
    return _Times(echo, repetition, inversion, kinds.pop() if len(kinds) == 1 else "")


def _time(text: str) -> float | None:
    """A time; None where it is none, or 0 as for no inversion."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 < value < math.inf else None
