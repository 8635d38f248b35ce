"""What makes two samples the same task: their text, apart from whitespace, case and Unicode spelling.

Ids say nothing about content, so splits and leak checks stand on these keys. Case and layout are dropped
even for code, where they can carry meaning: calling two tasks the same costs little (they stay in one
split), while calling them different may put the answer to a test into the training data.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable

from sluicegate.records import Sample


def normalised(text: str) -> str:
    """One spelling of a text: NFKC, lower case, no whitespace.

    >>> normalised("Return  X+1\\n") == normalised("return x + 1")
    True
    """
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())


def key(*texts: str) -> str:
    """A digest of some texts as `normalised` spells them.

    >>> key("a", "bc") == key("ab", "c"), key("A", "b c") == key("a", "bc")
    (False, True)
    """
    return hashlib.sha256("\0".join(normalised(text) for text in texts).encode()).hexdigest()


def question(sample: Sample) -> str:
    """Key of what is asked: the prompt with its context."""
    return "question " + key(sample.prompt, sample.context)


def answer(sample: Sample) -> str:
    """Key of what is answered."""
    return "answer " + key(sample.completion)


def kin(sample: Sample) -> str:
    """Key of the group that a sample's metadata names: whatever must stay together with it; empty where it names none.

    >>> kin(Sample("1", "a", "b", "x", meta={"group": "r1"})), kin(Sample("1", "a", "b"))
    ('group x r1', '')
    """
    group = sample.meta.get("group")
    return f"group {sample.scenario} {group}" if isinstance(group, str) and group else ""


def duplicates(samples: Iterable[Sample]) -> list[tuple[str, ...]]:
    """Ids of samples with the same question and the same answer, a tuple a group, in order of appearance."""
    groups: dict[tuple[str, str], list[str]] = {}
    for sample in samples:
        groups.setdefault((question(sample), answer(sample)), []).append(sample.id)
    return [tuple(group) for group in groups.values() if len(group) > 1]
