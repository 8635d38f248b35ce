"""The manifest in a model's answer: the whole answer, or what is in its fences where it is one fenced block.

Chat models like to put a fence around YAML, which says nothing of the manifest. Exactly one block is unwrapped, and
only where nothing but blank space stands around it; everything else, such as words before it or a second block, is
judged as it stands, since what is applied to a cluster is the answer and not a choice from it.
"""

from __future__ import annotations

import re
from typing import Final

OPENING: Final = re.compile(r"(`{3,}|~{3,})[^\n`~]*\n")


def manifest(text: str) -> str:
    r"""The answer without the fence around it.

    >>> manifest("\n```yaml\nkind: Pod\n```\n"), manifest("```\na: 1\n```\n```\nb: 1\n```")
    ('kind: Pod\n', '```\na: 1\n```\n```\nb: 1\n```')
    >>> manifest("Here you are:\n```yaml\nkind: Pod\n```"), manifest("kind: Pod\n")
    ('Here you are:\n```yaml\nkind: Pod\n```', 'kind: Pod\n')
    """
    stripped = text.strip().replace("\r\n", "\n")
    opening = OPENING.match(stripped)
    if opening is None:
        return text
    fence, inner = opening[1], stripped[opening.end() :]
    end = inner.rfind("\n") + 1
    if inner[end:] != fence or any(line.startswith(fence) for line in inner[:end].splitlines()):
        return text
    return inner[:end]
