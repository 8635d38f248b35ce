"""Risks of Python programs: bandit's plugins, run in this process; `# nosec` is not heeded.

Left out are its findings on `assert` and on mere imports, since an import harms nobody.
"""

from __future__ import annotations

import logging
from functools import lru_cache
from threading import Lock
from typing import Any, Final

from sluicegate.evaluators.risks import SEVERITIES, Risk
from sluicegate.evaluators.syntax import python, too_deep

LEFT_OUT: Final = frozenset(("B101", *(f"B{number}" for number in range(401, 416))))
_lock = Lock()


def risks(text: str) -> list[Risk]:
    """The findings in a program, by line.

    Raises:
        UnparsableError: not Python, too long or too deep.
    """
    from bandit.core.metrics import Metrics
    from bandit.core.node_visitor import BanditNodeVisitor

    python.module(text)
    settings, tests = _bandit()
    metrics = Metrics()
    metrics.begin("answer")
    source = text.encode()
    visitor = BanditNodeVisitor("answer", source, settings, tests, False, {}, metrics)
    try:
        visitor.process(source)
    except RecursionError:
        raise too_deep() from None
    found = (Risk(issue.lineno, issue.test_id, SEVERITIES.get(issue.severity, 0), issue.text.splitlines()[0])
             for issue in visitor.tester.results if issue.test_id not in LEFT_OUT)  # fmt: skip
    return sorted(risk for risk in found if risk.points)


def _bandit() -> tuple[Any, Any]:
    with _lock:  # two threads must not load the plugins side by side
        return _loaded()


@lru_cache
def _loaded() -> tuple[Any, Any]:
    from bandit.core.config import BanditConfig
    from bandit.core.meta_ast import BanditMetaAst
    from bandit.core.test_set import BanditTestSet

    logging.getLogger("bandit").setLevel(logging.CRITICAL)
    return BanditMetaAst(), BanditTestSet(BanditConfig())
