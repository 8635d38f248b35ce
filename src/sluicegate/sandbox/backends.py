"""What keeps programs in: the literal dict of backends, and the choice of the best that works here."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from sluicegate.sandbox import UNSAFE, bwrap, docker, rlimits

BACKENDS = (bwrap.NAME, docker.NAME, rlimits.NAME)
"""In the order of preference."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen.

    Args:
        name: of the backend; empty where programs cannot be run at all.
        is_safe: whether it is a sandbox.
        flavour: of bwrap.
        engine: of docker.
        why: why what comes before it was not chosen, or why there is none.
        modules: a folder of node packages that programs may have; empty for none.
    """

    name: str
    is_safe: bool
    flavour: bwrap.Flavour | None = None
    engine: docker.Engine | None = None
    why: str = ""
    modules: str = ""

    @property
    def label(self) -> str:
        """As outcomes name it.

        >>> Choice("bwrap", True).label, Choice("rlimits", False).label
        ('bwrap', 'rlimits, UNSAFE')
        """
        return self.name if self.is_safe else f"{self.name}, {UNSAFE}"

    @property
    def parts(self) -> dict[str, bwrap.Flavour | docker.Engine | None]:
        """What a worker is told of it."""
        return {"flavour": self.flavour, "engine": self.engine}


def choose(name: str = "") -> Choice:
    """The best backend that works here, or the named one; found out once a process.

    >>> choose("none such").why
    'no such backend'
    """
    return _found(name)


@functools.cache
def _found(name: str) -> Choice:
    if name not in ("", *BACKENDS):
        return Choice("", False, why="no such backend")
    reasons: list[str] = []
    if name in ("", bwrap.NAME):
        flavour, why = bwrap.probe()
        if flavour is not None:
            return Choice(bwrap.NAME, True, flavour)
        reasons.append(why)
    if name in ("", docker.NAME):
        engine, why = docker.probe()
        if engine is not None:
            return Choice(docker.NAME, True, engine=engine, why="; ".join(reasons))
        reasons.append(why)
    if name in ("", rlimits.NAME):
        refused = rlimits.refused()
        return Choice("" if refused else rlimits.NAME, False, why=refused or "; ".join(reasons))
    return Choice("", False, why="; ".join(reasons))
