"""Plain values as a few lines of YAML: what a remedy looks like, and what a fix inserts. Not a general writer."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Final

from sluicegate.k8s.parse import Value

PLAIN: Final = re.compile(r"[A-Za-z/][A-Za-z0-9_./@-]*(?::[A-Za-z0-9][A-Za-z0-9_.-]*)?|[1-9][0-9]*(?:m|[KMGT]i?)")
"""Texts that YAML reads as themselves without quotes; all others are quoted."""
WORDS: Final = frozenset({"true", "false", "yes", "no", "on", "off", "y", "n", "null"})


def block(value: Mapping[str, Value], *, step: int = 2, dash: int = 2) -> list[str]:
    """The lines of a mapping in block style.

    Args:
        step: columns that a nested mapping is indented by.
        dash: columns that the dash of a list item is indented by, from its key.

    >>> print("\\n".join(block({"ports": [{"name": "web", "port": 80}], "drop": ["ALL"], "volume": {}})))
    ports:
      - name: web
        port: 80
    drop:
      - ALL
    volume: {}
    """
    lines: list[str] = []
    for key, item in value.items():
        name = scalar(key)
        if isinstance(item, dict) and item:
            lines += [f"{name}:", *(" " * step + line for line in block(item, step=step, dash=dash))]
        elif isinstance(item, list) and item:
            lines += [f"{name}:", *(" " * dash + line for entry in item for line in dashed(entry, step, dash))]
        else:
            lines.append(f"{name}: {flow(item)}")
    return lines


def dashed(entry: Value, step: int = 2, dash: int = 2) -> list[str]:
    """The lines of one list item, its dash included."""
    first, *rest = block(entry, step=step, dash=dash) if isinstance(entry, dict) and entry else [flow(entry)]
    return [f"- {first}", *(f"  {line}" for line in rest)]


def flow(value: Value, *, quoted: bool = False) -> str:
    """A value on one line.

    Args:
        quoted: quote all texts, as JSON does.

    >>> flow({"drop": ["ALL"], "user": "1000", "cpu": "100m"}), flow({"drop": ["ALL"]}, quoted=True)
    ('{drop: [ALL], user: "1000", cpu: 100m}', '{"drop": ["ALL"]}')
    """
    if isinstance(value, dict):
        inner = ", ".join(f"{scalar(key, quoted)}: {flow(item, quoted=quoted)}" for key, item in value.items())
        return f"{{{inner}}}"
    if isinstance(value, list):
        return f"[{', '.join(flow(item, quoted=quoted) for item in value)}]"
    return scalar(value, quoted)


def scalar(value: str | float | bool | None, quoted: bool = False) -> str:
    """A scalar as YAML reads it back.

    >>> [scalar(value) for value in ("RuntimeDefault", "yes", "nginx:1.0.0", "", "a: b", True, None, 80, "500m", "1e3")]
    ['RuntimeDefault', '"yes"', 'nginx:1.0.0', '""', '"a: b"', 'true', 'null', '80', '500m', '"1e3"']
    """
    if isinstance(value, str) and not quoted and PLAIN.fullmatch(value) and value.lower() not in WORDS:
        return value
    return json.dumps(value)
