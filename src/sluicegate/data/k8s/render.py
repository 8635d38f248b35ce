"""Manifest bodies as YAML text: one layout for every sample, so that a model learns manifests and not layouts.

Keys keep their order, list items stand under their key without further indent, text of several lines is a literal
block, and what YAML 1.1 or kubectl would take for something else (`yes`, `y`, `1e3`, `22:22`) is quoted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from sluicegate.k8s.scalars import plain

Body = dict[str, Any]
"""One Kubernetes object as parsed YAML: JSON values only."""

_Base: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class _Dumper(_Base):  # type: ignore[misc]
    """Multi-line text as a literal block; no anchors, which few people write."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _text(dumper: Any, value: str) -> Any:
    block = "\n" in value and not any(line != line.rstrip() for line in value.split("\n"))
    # PyYAML leaves 1e3 and 0968164 bare, since it reads them as texts; kubectl reads numbers.
    bare = isinstance(plain(value), str)
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if block else None if bare else "'")


_Dumper.add_representer(str, _text)


def to_yaml(bodies: Iterable[Mapping[str, Any]]) -> str:
    r"""The documents of a manifest, `---` between them.

    >>> print(to_yaml([{"kind": "Pod", "metadata": {"name": "1e3"}}, {"data": {"a": "1\n2\n"}}]), end="")
    kind: Pod
    metadata:
      name: '1e3'
    ---
    data:
      a: |
        1
        2
    """
    return "---\n".join(
        yaml.dump(dict(body), Dumper=_Dumper, sort_keys=False, width=10**6, allow_unicode=True) for body in bodies
    )


def height(value: Any) -> int:
    r"""How many lines `to_yaml` makes of a mapping or list, without writing them; texts of several are blocks.

    >>> height({"a": 1, "b": [], "c": [{"d": 1, "e": 2}, {"d": "x\ny\n"}]})
    8
    """
    if isinstance(value, dict) and value:
        return sum(height(part) + (bool(part) and isinstance(part, (dict, list))) for part in value.values())
    if isinstance(value, list) and value:
        return sum(map(height, value))
    return 1 + (value.rstrip("\n").count("\n") + 1 if isinstance(value, str) and "\n" in value else 0)


def shortest(value: Any) -> int:
    r"""Characters that `to_yaml` makes of a value at least, without writing it: no indents, no quotes.

    >>> body = {"a": 1, "b": [], "c": [{"d": 1}, "x\ny\n"]}
    >>> shortest(body), len(to_yaml([body]))
    (26, 33)
    """
    if isinstance(value, dict) and value:
        return sum(len(key) + 2 + shortest(part) for key, part in value.items())
    if isinstance(value, list) and value:
        return sum(2 + shortest(part) for part in value)
    return len(value.rstrip("\n")) + 1 if isinstance(value, str) else 2
