"""Draws the figures: a bar for each subject, grouped by case, ADD beside DEL."""

from collections.abc import Iterator, Sequence
from typing import Final

from tests.bench.rows import NAMES, Row

BAR, GAP, GROUP_GAP, LABEL, WIDE = 16, 4, 22, 150, 250
TOP, BOTTOM = 54, 14
DRAWN: Final = ("netlink", "sriovbond", "bond-cni")
STYLE: Final = """
    text { font: 13px system-ui, sans-serif; fill: #1f2328 }
    .title { font-weight: 600 }
    .figure { font-size: 12px }
    .netlink { fill: #8c959f } .sriovbond { fill: #0969da } .bond-cni { fill: #bf8700 }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3 }
      .netlink { fill: #848d97 } .sriovbond { fill: #4493f8 } .bond-cni { fill: #d29922 }
    }"""


def draw(rows: Sequence[Row]) -> str:
    """Return an SVG that is read on light and on dark."""
    shown = [row for row in rows if row.case.subject in DRAWN]
    titles = list(dict.fromkeys(row.case.title() for row in shown))
    most = max(row.median_ms for row in shown)
    step = len(DRAWN) * (BAR + GAP) + GROUP_GAP + 18
    height = TOP + step * len(titles) + BOTTOM
    width = 2 * (LABEL + WIDE) + 60
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">',
        "  <title>ADD and DEL in the emulated machine, median in ms: shorter is better</title>",
        f"  <style>{STYLE}\n  </style>",
        *_legend(width),
    ]
    for place, title in enumerate(titles):
        top = TOP + place * step
        lines.append(f'  <text class="title" x="10" y="{top + 12}">{title}</text>')
        for column, command in enumerate(("ADD", "DEL")):
            mine = [
                row for row in shown if (row.case.title(), row.case.command) == (title, command)
            ]
            left = 10 + column * (LABEL + WIDE + 40)
            lines += _bars(mine, left, top + 20, WIDE / most)
    return "\n".join([*lines, "</svg>"]) + "\n"


def _legend(width: int) -> Iterator[str]:
    yield '  <text class="title" x="10" y="20">ADD, ms</text>'
    yield f'  <text class="title" x="{10 + LABEL + WIDE + 40}" y="20">DEL, ms</text>'
    yield f'  <text x="{width - 10}" y="20" text-anchor="end">shorter is better</text>'


def _bars(rows: Sequence[Row], left: int, top: int, scale: float) -> Iterator[str]:
    ordered = sorted(rows, key=lambda row: DRAWN.index(row.case.subject))
    for place, row in enumerate(ordered):
        y, wide = top + place * (BAR + GAP), row.median_ms * scale
        subject, words, start = row.case.subject, y + BAR - 4, left + LABEL - 20
        box = f'x="{start}" y="{y}" width="{wide:.1f}" height="{BAR}" rx="2"'
        end = f'x="{start + wide + 5:.1f}" y="{words}"'
        yield f'  <text x="{start - 6}" y="{words}" text-anchor="end">{NAMES[subject]}</text>'
        yield f'  <rect class="{subject}" {box}/>'
        yield f'  <text class="figure" {end}>{row.median_ms:.0f}</text>'
