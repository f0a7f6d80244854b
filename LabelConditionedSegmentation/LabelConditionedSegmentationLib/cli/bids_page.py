"""The page of `lcs bids ... group`: a picture of every scan, the worst first. One file of HTML beside the pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

STYLE = """
body { font: 15px/1.4 sans-serif; margin: 2em auto; max-width: 80em; padding: 0 1em; color: #222; background: #fff; }
section { border-left: 6px solid #9a9; padding: 0.2em 1em; margin: 1.5em 0; }
section.warning { border-color: #d90; }
section.error { border-color: #c22; }
img { max-width: 100%; height: auto; }
dl { display: grid; grid-template-columns: max-content auto; gap: 0 1em; margin: 0.5em 0; }
dd { margin: 0; }
"""

MEANING = (
    "The scans that deserve a look come first: those without a result, then by oddness (how far the answer is from"
    " those that the model usually gives, 0 is as usual, from 1 on it has failed), then by how far the volumes are from"
    " those of the other scans. Neither is an opinion on the person. For research; not for diagnosis."
)


@dataclass(frozen=True)
class Entry:
    """A scan on the page. picture: its way from the page; empty where there is none. numbers: name -> text. level: the
    gravest of its findings.
    """

    title: str
    picture: str
    numbers: Mapping[str, str]
    findings: Sequence[str]
    level: str


def page_of(entries: Sequence[Entry], model: str) -> str:
    """The page, in the order of the entries."""
    sections = "\n".join(map(_section, entries))
    title = f"{len(entries)} scans, {escape(model)}"
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f"<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{title}</h1>\n<p>{escape(MEANING)}</p>\n{sections}\n</body>\n</html>\n"
    )


def _section(entry: Entry) -> str:
    numbers = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in entry.numbers.items())
    findings = "".join(f"<li>{escape(text)}</li>" for text in entry.findings)
    way = escape(entry.picture.replace("%", "%25").replace("#", "%23").replace("?", "%3F"))
    picture = f'<img src="{way}" alt="{escape(entry.title)}" loading="lazy">' if way else ""
    return (
        f'<section class="{escape(entry.level)}">\n<h2>{escape(entry.title)}</h2>\n<dl>{numbers}</dl>\n'
        f"{f'<ul>{findings}</ul>' if findings else ''}\n{picture}\n</section>"
    )
