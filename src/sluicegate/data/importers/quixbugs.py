"""QuixBugs: a folder with `python_programs`, `correct_python_programs` and `json_testcases`.

The words below each program are its request, together with the broken program; the cases become assertions. Programs
on graphs have tests of another kind there, which lean on that repository's own modules: they come without tests.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from sluicegate.data.importers import Asked, Draft, Rows, python
from sluicegate.data.importers.rows import decoded
from sluicegate.data.reader import LineError, fault_inside
from sluicegate.errors import UserError

SCENARIO, LANGUAGE = "bugfix", "python"
BROKEN, FIXED, CASES = "python_programs", "correct_python_programs", "json_testcases"
NO_CASES: Final = "no cases in JSON: imported without tests"
REQUEST: Final = (
    "{told}\n\nThis Python program does not do so. Find the fault, and answer with the whole program:\n\n{broken}"
)
WITHIN: Final = {"sqrt": ", given[-1]"}
"""Programs whose last argument says how near they must come."""
TESTS: Final = '''\
import math


def same(seen, wanted, within=1e-9):
    """Lists may be tuples or generators, and reals are equal to 6 digits, or `within` what the program was given."""
    if isinstance(wanted, list):
        if isinstance(seen, (str, int, float, type(None))):
            return False
        parts = list(seen)
        return len(parts) == len(wanted) and all(map(same, parts, wanted))
    if isinstance(wanted, float):
        return isinstance(seen, (int, float)) and math.isclose(seen, wanted, rel_tol=1e-6, abs_tol=within)
    return isinstance(seen, bool) == isinstance(wanted, bool) and seen == wanted


CASES = [
{cases}
]
for given, wanted in CASES:
    assert same({name}(*given), wanted{within}), given
'''


def rows(path: Path, asked: Asked) -> Rows:
    """See `Format`; a row is a program."""
    if not (path / BROKEN).is_dir() or not (path / FIXED).is_dir():
        raise UserError(
            f"{path}: no QuixBugs folder", wanted=f"a folder with {BROKEN}, {FIXED} and {CASES}",
            seen=", ".join(sorted(one.name for one in path.iterdir())[:8]) if path.is_dir() else "no folder",
        )  # fmt: skip
    for broken in sorted((path / BROKEN).glob("*.py")):
        name = broken.stem
        if not name.endswith("_test") and name not in ("node", "__init__"):
            yield str(broken), _row(path, name)


def _row(path: Path, name: str) -> dict[str, Any] | LineError:
    cases = path / CASES / f"{name}.json"
    try:
        return {
            "name": name,
            "broken": _source(path / BROKEN / f"{name}.py"),
            "fixed": _source(path / FIXED / f"{name}.py"),
            "cases": _cases(cases) if cases.is_file() else None,
        }
    except UserError as fault:
        return LineError(f"{fault.what} ({fault.seen})")
    except LineError as fault:
        return fault


def _source(path: Path) -> str:
    source = decoded(path)
    if why := fault_inside(source):
        raise LineError(f"{path}: not UTF-8, or {why}")
    return source


def _cases(path: Path) -> list[tuple[list[Any], Any]]:
    """Arguments and wanted value, one pair a line."""
    found = []
    for number, line in enumerate(decoded(path).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            case = json.loads(line)
        except (ValueError, RecursionError) as fault:
            raise LineError(f"{path}:{number}: not JSON: {fault}") from None
        if not isinstance(case, list) or len(case) != 2 or fault_inside(case):
            raise LineError(f"{path}:{number}: wanted [arguments, value], seen {line!r:.80}")
        found.append((case[0] if isinstance(case[0], list) else [case[0]], case[1]))
    return found


def draft(row: Mapping[str, Any], asked: Asked) -> Draft:
    """See `Format`."""
    name, cases = row["name"], row["cases"]
    told, broken = _apart("the broken program", row["broken"])
    _, fixed = _apart("the correct program", row["fixed"])
    if name not in python.names(python.parsed("the correct program", fixed)):
        raise LineError(f"the correct program does not define {name}")
    return Draft(
        REQUEST.format(told=told or f"`{name}` has a fault.", broken=broken.rstrip()), fixed, id=f"quixbugs-{name}",
        tests=_tests(name, cases) if cases else "",
        meta={"broken": broken}, noted=() if cases else (NO_CASES,),
    )  # fmt: skip


def _tests(name: str, cases: list[tuple[list[Any], Any]]) -> str:
    lines = "\n".join(f"    ({given!r}, {wanted!r})," for given, wanted in cases)
    return TESTS.replace("{name}", name).replace("{within}", WITHIN.get(name, "")).replace("{cases}", lines)


def _apart(what: str, source: str) -> tuple[str, str]:
    """The words of a program, which stand in a text of their own, and the program without such texts."""
    texts = [node for node in python.parsed(what, source).body if isinstance(node, ast.Expr) and _is_text(node.value)]
    told = [node.value.value.strip() for node in texts]  # type: ignore[attr-defined]
    taken = {line for node in texts for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)}
    kept = [line for number, line in enumerate(source.split("\n"), start=1) if number not in taken]
    return "\n\n".join(told), "\n".join(kept).strip() + "\n"


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)
