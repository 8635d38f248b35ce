"""Runs JavaScript answers against their tests in node: the same referee and the same sandbox as for Python.

The tests are statements (await is allowed), and functions given to `test`, `it` or `describe`; `assert` is node's
`node:assert`. They run in node outside, with the candidate's top-level names and exports, but for those by which the
reference calls node's own `assert` and `test`; the candidate runs in node inside. Both of CommonJS and `import` and
`export` at the beginning of a line are understood. A program may have the packages of `PACKAGED` where its reference
uses them; there are no others.

An Express application or router is asked over HTTP on the program's own loopback, and each exchange comes
back as plain data: `await request(app).post("/path").send({…}).expect(201)`, and for a router
`request(router, { at: "/users" })`.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
from pathlib import Path

from sluicegate.sandbox import python
from sluicegate.sandbox.limits import Limits, Outcome
from sluicegate.sandbox.packages import MissingError, installed
from sluicegate.sandbox.referee import printable

LIMITS = Limits()
BUILT_IN = frozenset(
    "assert async_hooks buffer child_process cluster console constants crypto dgram diagnostics_channel dns domain "  # noqa: SIM905
    "events fs http http2 https inspector module net os path perf_hooks process punycode querystring readline repl "
    "stream string_decoder sys test timers tls trace_events tty url util v8 vm wasi worker_threads zlib".split()
)
"""What node itself has."""
PACKAGED = frozenset({"express"})
"""What a program may have besides, where its reference has it."""
PACKAGE = re.compile(
    r"""(?:\brequire\(\s*|^[ \t]*(?:import|export)\b[^;"'`]{0,2000}?\bfrom\s+|^[ \t]*import\s+)["']([^"']+)["']""",
    re.MULTILINE,
)
"""What names a package: `require(…)`, or a line that begins with `import` or `export`; not the words of a comment."""
FOLDER = Path(__file__).with_name("node")


def run(candidate: str, tests: str, *, reference: str = "", limits: Limits = LIMITS, backend: str = "") -> Outcome:
    """Run a program and its tests; threads may share it, and no program makes it raise.

    Args:
        candidate, tests: source text.
        reference: a program known to be right, or empty: what its objects do, others' objects may do.
        backend: empty for the best that works here.
    """
    node = shutil.which("node")
    if node is None:
        return Outcome("infra", "node is not installed (apt-get install nodejs)")
    needed = packages(reference) - BUILT_IN
    if missing := needed - PACKAGED:
        return Outcome("tests", f"the reference needs packages that are not here: {', '.join(sorted(missing))}")
    try:
        modules = str(installed() / "node_modules") if needed else ""
    except MissingError as fault:
        return Outcome("infra", printable(str(fault)))
    languages = {
        "modules": modules,
        "node": os.path.realpath(node),
        "inside": text("peer", "inside") + "serveCandidate();\n",
        "referee": text("peer", "requests", "referee") + "main();\n",
    }
    return python.run(candidate, tests, reference=reference, limits=limits, backend=backend, other=languages)


def packages(source: str) -> set[str]:
    """The packages that a program requires or imports by name, its own files left out.

    >>> sorted(packages("const e = require('express');\\nimport x from 'node:fs';\\nimport './own.js';"))
    ['express', 'fs']
    """
    named = PACKAGE.findall(source)
    return {name.removeprefix("node:").partition("/")[0] for name in named if not name.startswith((".", "/"))}


@functools.cache
def text(*names: str) -> str:
    """The code of one end, from its files in turn."""
    return "".join((FOLDER / f"{name}.js").read_text(encoding="utf-8") for name in names)
