"""The sources of training data as a configuration names them: where each lies, what it is for, and how often it is
drawn.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..engine.setting_types import Count

if TYPE_CHECKING:
    from ..engine.config import DataConfig

ROLES = ("train", "target", "meta", "validate")
IMAGES = ("stored", "made")


@dataclass
class Source:
    """One source of `data.sources`."""

    root: str = ""
    """A data set (raw layout of nnU-Net, MONAI datalist, BIDS)."""
    role: str = "train"
    """train; target: scans that are learned from without labels (label maps, where there are some, are not read); meta:
    kept for an outer loss; validate: kept out of training."""
    name: str = ""
    """What its cases are called by, as in name/case; empty: the name of the folder."""
    cases: list[str] = field(default_factory=list)
    """Those that are taken; none named: all that no other source of the same root names."""
    labels: list[str] = field(default_factory=list)
    """What is learned; none named: the whole table."""
    annotated: dict[str, list[str]] = field(default_factory=dict)
    """Case -> the labels that somebody looked for in it, where that is not all."""
    weight: float = 1.0
    """How often it is drawn, beside the other sources of its role."""
    domain: str = ""
    """Sources of one domain share its name; empty: a domain of its own."""
    protocol: str = ""
    """With method=protocols, the way to divide a scan that its labels are of; sources that agree share its name; empty:
    that of the source."""
    images: str = "stored"
    """Where images come from: stored in files, or made, anew for every sample, from the label maps."""
    alike: list[str] = field(default_factory=list)
    """Labels of which all that lies below looks alike in made images, such as the whole cortex."""
    parts: Count = 1
    """Into how many parts of made images the stored scan divides each label by its intensities."""
    metadata: dict[str, str] = field(default_factory=dict)
    """What is known about all of its scans: field -> value, where a case does not say it itself."""


def check_sources(data: DataConfig) -> None:
    """Sources that cannot be, or contradict the other settings of the data, end the program with a sentence."""
    if not data.sources:
        return
    _check_alone(data)
    for source in data.sources:
        _check_source(source)
    _check_apart(named(data.sources))
    if not any(source.role == "train" for source in data.sources):
        raise SystemExit("None of data.sources has the role train; a run needs labelled scans to learn from.")


def _check_alone(data: DataConfig) -> None:
    """`data.sources` says all that the settings for a single root say."""
    for setting in ("root", "train", "validation", "labels", "annotated"):
        if getattr(data, setting):
            raise SystemExit(
                f"data.{setting} is for a single data set: leave it out, or leave data.sources out and name the data"
                " set with data.root."
            )


def _check_source(source: Source) -> None:
    if not source.root:
        raise SystemExit("One of data.sources has no root; name the place of its data set.")
    where = f'Of data.sources, "{source.root}" has'
    if source.role not in ROLES:
        raise SystemExit(f'{where} the role "{source.role}", but it has to be {" or ".join(ROLES)}.')
    if source.images not in IMAGES:
        raise SystemExit(f"{where} images: {source.images}, but images can only be {' or '.join(IMAGES)}.")
    if not 0 < source.weight < math.inf:
        raise SystemExit(f"{where} the weight {source.weight:g}, but has to be above 0; leave out what is not drawn.")
    if source.images == "stored" and (source.alike or source.parts != 1):
        raise SystemExit(f"{where} alike or parts, which are for images that are made; set its images to made as well.")
    if source.role == "target" and source.images == "made":
        raise SystemExit(f"{where} the role target, of which no label maps are read, so no images can be made.")
    if source.role == "target" and (source.labels or source.annotated):
        raise SystemExit(
            f"{where} the role target, of which no labels are read: leave its labels and annotated out, or give it the"
            " role train."
        )


def _check_apart(sources: Sequence[Source]) -> None:
    """No case may have two roles, and no two cases one name."""
    roots: dict[str, str] = {}
    for source in sources:
        if roots.setdefault(source.name, source.root) != source.root:
            raise SystemExit(
                f'Two of data.sources, "{roots[source.name]}" and "{source.root}", are called {source.name}; give each'
                " a name of its own."
            )
    whole = Counter((source.root, source.images) for source in sources if not source.cases)
    if twice := [root for (root, _), times in whole.items() if times > 1]:
        raise SystemExit(f'Two of data.sources take all cases of "{twice[0]}"; name the cases of all but one of them.')


def check_roles(sources: Iterable[Source], taken: Collection[str], method: str) -> None:
    """SystemExit where a method would leave a source unused. taken: the roles that it takes beside training and
    validation.
    """
    for source in sources:
        if source.role not in ("train", "validate", *taken):
            teacher = ", set teacher.share to learn from it with a teacher" if source.role == "target" else ""
            raise SystemExit(
                f'method={method} has no use for a source of the role {source.role}; leave "{source.root}" out of'
                f" data.sources{teacher}, or take another method."
            )


def named(sources: Sequence[Source]) -> list[Source]:
    """The sources with the names, domains and protocols that they leave out, and their roots spelled alike. One whose
    images are made beside the stored ones of the same root is called ROOT-made.
    """
    stored = {str(Path(source.root)) for source in sources if source.images == "stored"}
    full = []
    for source in sources:
        root = Path(source.root)
        beside = "-made" if source.images == "made" and str(root) in stored else ""
        full.append(
            replace(
                source,
                root=str(root),
                name=source.name or root.stem + beside,
                protocol=source.protocol or source.name or root.stem,
            )
        )
    return [replace(source, domain=source.domain or source.name) for source in full]


def sources_of(data: DataConfig, meta_cases: Sequence[str]) -> list[Source]:
    """The sources of a run: those of `data.sources` or, without names, the parts that `data.root` is divided into.
    meta_cases: those of `data.root` that are kept for an outer loss.
    """
    if data.sources:
        if meta_cases:
            raise SystemExit("With data.sources, cases of an outer loss are a source of the role meta, not meta_cases.")
        return named(data.sources)
    held_out = {*data.validation, *meta_cases}
    learned = [case for case in dict.fromkeys(data.train) if case not in held_out]
    if data.train and not learned:
        raise _nothing_left(data.root)
    parts = (("train", learned), ("validate", data.validation), ("meta", meta_cases))
    return [
        Source(data.root, role, cases=list(cases), labels=data.labels, annotated=data.annotated)
        for role, cases in parts
        if role == "train" or cases
    ]


def domains_of(sources: Sequence[Source]) -> list[int]:
    """The number of every source's domain, counted from 0 in the order of the sources."""
    order = list(dict.fromkeys(source.domain for source in sources))
    return [order.index(source.domain) for source in sources]


def cases_of(sources: Sequence[Source], n: int, there: Sequence[str]) -> list[str]:
    """The cases that source n takes of those that are there: the named ones, or all that no other source of the same
    root names. SystemExit for a case that is not there, or that two sources name.

    In one role a case may come twice, with its stored image and with made ones.
    """
    source = sources[n]
    missing = sorted({*source.cases, *source.annotated} - set(there))
    if missing:
        raise SystemExit(
            f'"{source.root}" has no case called {", ".join(missing)}; its cases are'
            f" {', '.join(sorted(there)[:20])}{' ...' if len(there) > 20 else ''}."
        )
    others = [other for k, other in enumerate(sources) if k != n and other.root == source.root]
    others = [other for other in others if (other.images, other.role) != (_other_kind(source.images), source.role)]
    elsewhere = {case for other in others for case in other.cases}
    if twice := [case for case, times in Counter(source.cases).items() if times > 1 or case in elsewhere]:
        raise SystemExit(f'The case {twice[0]} of "{source.root}" is named twice; name each case in one source, once.')
    taken = sorted(source.cases or set(there) - elsewhere)
    if not taken:
        raise _nothing_left(source.root)
    return taken


def _other_kind(images: str) -> str:
    return IMAGES[1 - IMAGES.index(images)]


def _nothing_left(root: str) -> SystemExit:
    return SystemExit(
        f'No case of "{root}" is left to train on: all of them are in data.validation, kept for an outer'
        " loss or in another source."
    )


def only_root(data: DataConfig, program: str) -> Path:
    """The single data set of a configuration. SystemExit where it has several sources. program: what needs one."""
    if data.sources:
        raise SystemExit(f"{program} works on one data set: name it with data.root in place of data.sources.")
    return Path(data.root)
