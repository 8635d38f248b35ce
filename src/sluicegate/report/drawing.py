"""How every picture is drawn: in one style, to an SVG of the same bytes wherever it is drawn.

A user's matplotlibrc, and what another library has set, are left out. Axes lie where they are put: a layout that
measures text differs in the last bits from machine to machine. Ids are counted, for matplotlib makes them of a digest
over every bit of a coordinate.
"""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator, Mapping
from typing import Any

import matplotlib
from matplotlib.figure import Figure

SAME = {"svg.hashsalt": "sluicegate", "svg.fonttype": "none", "font.size": 10.0, "text.parse_math": False}
"""What all pictures share: fixed ids, text as text, and no formulas in names."""
NOTHING = dict.fromkeys(("Date", "Creator", "Format", "Type"))


@contextlib.contextmanager
def styled(style: Mapping[str, Any]) -> Iterator[None]:
    """Matplotlib's own defaults with a style, whatever was set before; afterwards it is set again."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update({**SAME, **style})
        yield


def svg(figure: Figure, prefix: str) -> str:
    """The figure as an SVG document whose ids are the prefix with a number; to be called where it was `styled`."""
    stream = io.StringIO()
    figure.savefig(stream, format="svg", metadata=NOTHING)
    drawn = stream.getvalue()
    found = re.findall(r'\bid="([^"]+)"', drawn)
    ids = {name: f"{prefix}-{number}" for number, name in enumerate(dict.fromkeys(found), start=1)}
    drawn = re.sub(r'(\bid="|href="#|url\(#)([^")]+)', lambda match: match[1] + ids[match[2]], drawn)
    return "\n".join(line.rstrip() for line in drawn.splitlines()) + "\n"
