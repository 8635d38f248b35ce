"""What keeps programs in: the literal dict of backends, and the choice of the best that works here."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from sluicegate.sandbox import UNSAFE, bwrap, rlimits

BACKENDS = (bwrap.NAME, rlimits.NAME)
"""In the order of preference. A pool of containers belongs between the two."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen.

    Args:
        name: of the backend; empty where programs cannot be run at all.
        is_safe: whether it is a sandbox.
        flavour: of bwrap.
        why: why what comes before it was not chosen, or why there is none.
        modules: a folder of node packages that programs may have; empty for none.
    """

    name: str
    is_safe: bool
    flavour: bwrap.Flavour | None = None
    why: str = ""
    modules: str = ""

    @property
    def label(self) -> str:
        """As outcomes name it.

        >>> Choice("bwrap", True).label, Choice("rlimits", False).label
        ('bwrap', 'rlimits, UNSAFE')
        """
        return self.name if self.is_safe else f"{self.name}, {UNSAFE}"


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
    why = ""
    if name != rlimits.NAME:
        flavour, why = bwrap.probe()
        if flavour is not None or name:
            return Choice(bwrap.NAME if flavour else "", flavour is not None, flavour, why)
    refused = rlimits.refused()
    return Choice("" if refused else rlimits.NAME, False, why=refused or why)
