"""Measure and write the figures into BENCHMARKS.md: python -m Testing.benchmarks.run [SECTION ...]. Every figure there
comes from here.
"""

from __future__ import annotations

import argparse
import re
import textwrap
from collections.abc import Callable
from pathlib import Path

from Testing.benchmarks import (
    absent,
    adaptation,
    around_result,
    heads,
    instant,
    large,
    mending,
    methods,
    plain,
    shifts,
    strokes,
    trunks,
)
from Testing.benchmarks import context_classes as context
from Testing.benchmarks import many_labels as labels
from Testing.benchmarks import panel_times as panel
from Testing.benchmarks.measure import hardware

PAGE = Path(__file__).resolve().parents[2] / "BENCHMARKS.md"

SECTIONS: dict[str, Callable[[], str]] = {
    "trunks": trunks.run,
    "labels": labels.run,
    "instant": instant.run,
    "plain": plain.run,
    "large": large.run,
    "methods": methods.run,
    "absent": absent.run,
    "panel": panel.run,
    "around_result": around_result.run,
    "context": context.run,
    "heads": heads.run,
    "shifts": shifts.run,
    "adaptation": adaptation.run,
    "strokes": strokes.run,
    "mending": mending.run,
}


def write_section(page: str, name: str, content: str) -> str:
    """Replace what stands between the section's markers. A page without them is refused."""
    pattern = re.compile(rf"(<!-- begin {name} -->\n).*?(<!-- end {name} -->)", re.DOTALL)
    if not pattern.search(page):
        raise SystemExit(f"BENCHMARKS.md has no markers for the section {name}.")
    return pattern.sub(lambda match: match.group(1) + content + "\n" + match.group(2), page)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "sections",
        nargs="*",
        choices=[[], *SECTIONS],
        metavar="SECTION",
        help=", ".join(SECTIONS) + " (all by default)",
    )
    parser.add_argument("--print", action="store_true", help="print only, leave BENCHMARKS.md as it is")
    arguments = parser.parse_args()
    for name in arguments.sections or SECTIONS:
        print(f"== {name}", flush=True)
        measured = f"Measured with `python -m Testing.benchmarks.run {name}` on {hardware()}."
        content = f"{textwrap.fill(measured, 118, break_on_hyphens=False)}\n\n{SECTIONS[name]()}"
        print(content, flush=True)
        if not arguments.print:
            PAGE.write_text(write_section(PAGE.read_text(encoding="utf-8"), name, content), encoding="utf-8")


if __name__ == "__main__":
    main()
