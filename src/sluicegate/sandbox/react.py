"""Runs React answers: translated by esbuild, shown on a page of jsdom inside, and looked at from outside.

The program's components are shown by React in the sandbox. After each request the referee is told what is on the page,
as a list of nodes, and builds a page of its own from it: the tests' queries and assertions run outside, with
Testing Library on that page, and what they expect never enters the sandbox. docs/sandbox.md has what tests may use.
"""

from __future__ import annotations

import os
import re
import shutil

from sluicegate.sandbox import python
from sluicegate.sandbox.javascript import BUILT_IN, packages, text
from sluicegate.sandbox.limits import Limits, Outcome
from sluicegate.sandbox.packages import MissingError, bundles
from sluicegate.sandbox.referee import printable
from sluicegate.sandbox.typescript import all_translated

LIMITS = Limits(wall_s=30, cpu_s=6)
"""A page of jsdom takes half a second of CPU before a program begins."""
PACKAGED = frozenset({"prop-types", "react", "react-dom"})
"""What every program has."""
SHOWN = ("--loader=tsx", "--format=cjs", "--jsx=automatic")
TESTED = ("--loader=tsx", "--jsx=transform")
IMPORT = re.compile(r'^import (?:(?P<names>[^";]+) from )?"(?P<source>[^"]+)";$', re.MULTILINE)
"""As esbuild writes it."""


def run(candidate: str, tests: str, *, reference: str = "", limits: Limits = LIMITS, backend: str = "") -> Outcome:
    """Run a program and its tests; threads may share it, and no program makes it raise.

    Args:
        candidate, tests: source text, JSX or TSX.
        reference: a program known to be right, or empty: what its objects do, others' objects may do.
        backend: empty for the best that works here.
    """
    node = shutil.which("node")
    if node is None:
        return Outcome("infra", "node is not installed (apt-get install nodejs)")
    if missing := packages(reference) - PACKAGED - BUILT_IN:
        return Outcome("tests", f"the reference needs packages that are not here: {', '.join(sorted(missing))}")
    try:
        modules = str(bundles())
    except MissingError as fault:
        return Outcome("infra", printable(str(fault)))
    made = all_translated(candidate, tests, reference, SHOWN, TESTED)
    if isinstance(made, Outcome):
        return made
    program, translated_tests, known = made
    ends = {
        "modules": modules,
        "node": os.path.realpath(node),
        "inside": text("peer", "inside", "react_inside") + "serveCandidate(preparePage);\n",
        "referee": text("peer", "requests", "referee", "react_referee") + "main(equipPage);\n",
    }
    return python.run(program, _imports(translated_tests), reference=known, limits=limits, backend=backend, other=ends)


def _imports(tests: str) -> str:
    r"""Imports as statements that may stand in a function.

    >>> _imports('import a, { b as c } from "./x";')
    'const { b: c } = require("./x"), a = ((m) => m.default ?? m)(require("./x"));'
    >>> _imports('import * as all from "x";\nimport "y";')
    'const all = require("x");\nrequire("y");'
    """
    return IMPORT.sub(_required, tests)


def _required(found: re.Match[str]) -> str:
    asked = f'require("{found["source"]}")'
    names = found["names"]
    if names is None:
        return f"{asked};"
    default, _, rest = ("", "", names) if names.startswith(("{", "*")) else names.partition(", ")
    parts = []
    if rest.startswith("*"):
        parts.append(f"{rest.removeprefix('* as ')} = {asked}")
    elif rest:
        parts.append(f"{rest.replace(' as ', ': ')} = {asked}")
    if default:
        parts.append(f"{default} = ((m) => m.default ?? m)({asked})")
    return f"const {', '.join(parts)};"
