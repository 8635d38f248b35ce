"""What is wrong with an object: where, what was wanted, what was seen, on one line each."""

from __future__ import annotations

from dataclasses import dataclass

from sluicegate.k8s.document import Path, Value

SHOWN = 60
ISSUES_KEPT = 20
"""Of one object, by the schema and by the rules each; who mends twenty runs it again."""
ISSUES_OF_TEXT = 1000
"""Of all objects of a text, by the schemas and by the rules each; after these, of each object one more at most."""


def allowed(told: int) -> int:
    """How many issues may be told of the next object of a text, after so many; one at least, so that none looks clean.

    >>> allowed(0), allowed(990), allowed(5000)
    (20, 10, 1)
    """
    return max(1, min(ISSUES_OF_TEXT - told, ISSUES_KEPT))


@dataclass(frozen=True, slots=True)
class Issue:
    """One fault of an object.

    Args:
        rule: `schema`, `object`, or the name of a semantic rule.
        path: of the field within the object's body; it need not exist.
    """

    rule: str
    path: Path
    wanted: str
    seen: str

    def __str__(self) -> str:
        """The issue on one line.

        >>> print(Issue("ports", ("spec", "ports", 0, "port"), "1 to 65535", "99999"))
        spec.ports[0].port: wanted 1 to 65535, seen 99999
        """
        return f"{place(self.path)}: wanted {self.wanted}, seen {self.seen}"


def place(path: Path) -> str:
    """A path as people write it; keys with a dot or a break in them are quoted, long ones are cut.

    >>> place(("spec", "containers", 0, "image")), place(("data", "a.b")), place(())
    ('spec.containers[0].image', "data['a.b']", 'the object')
    """
    parts: list[str] = []
    for step in path:
        if isinstance(step, int):
            parts.append(f"[{step}]")
        elif step.replace("-", "").replace("_", "").isalnum() and len(step) <= SHOWN:
            parts.append(f".{step}" if parts else step)
        else:
            parts.append(f"[{cut(step)}]")
    return "".join(parts) or "the object"


def said(value: Value) -> str:
    """A value as it is shown: short, on one line, a text told apart from a number or truth value.

    >>> said(None), said(True), said(3), said("3"), said([1]), said({}), said("x" * 99)[-5:]
    ('null', 'true', '3', "the text '3'", 'a list', 'an empty mapping', "xxx'…")
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (dict, list)):
        kind = "mapping" if isinstance(value, dict) else "list"
        return f"a {kind}" if value else f"an empty {kind}"
    return f"the text {cut(value)}" if isinstance(value, str) else str(value)


def cut(text: str) -> str:
    """A text in quotes, on one line, at most some 60 characters of it."""
    return repr(text) if len(text) <= SHOWN else f"{text[:SHOWN]!r}…"


def visible(text: str) -> str:
    """A text without quotes where it is short and printable.

    >>> visible("apps/v1 Deployment"), visible("a\\nb")
    ('apps/v1 Deployment', "'a\\\\nb'")
    """
    return text if text.isprintable() and len(text) <= SHOWN else cut(text)
