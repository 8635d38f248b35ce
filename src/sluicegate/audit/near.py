"""Near-duplicates: samples that ask, or answer, in almost the same words.

A text is the set of its runs of `RUN` tokens: words and signs in lower case, comments and layout left out, each number
written `0`. Two samples are near when the sets of their requests, or of their answers, share `NEAR` or more (Jaccard).
MinHash finds the candidates and each is then measured exactly; see `data.k8s.near`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from sluicegate.audit.reading import Row
from sluicegate.data.content import kin
from sluicegate.data.k8s.near import NEAR, Features, Index, similarity

RUN: Final = 3
READ: Final = 200_000
"""Characters of a text that are compared."""
TOKEN: Final = re.compile(r"\w+|[^\w\s]")
NUMBER: Final = re.compile(r"\d+")
COMMENT: Final = re.compile(r"/\*.*?\*/|(?m:^\s*(?:#|//|--)[^\n]*$)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two samples that are near each other.

    Args:
        what: `request` or `answer`.
        splits: of the two, joined: `train-test`; one name where both lie in it.
        similarity: in [0.8, 1].
        apart: whether both name groups in their metadata: made to be near, and kept apart by group.
    """

    what: str
    one: Row
    two: Row
    splits: str
    similarity: float
    apart: bool


def features(text: str) -> Features:
    """The runs of tokens of a text, hashed; of a shorter one, all its tokens as one.

    >>> features("x = 1  # one") == features("X = 27  # one")
    True
    """
    plain = COMMENT.sub("", text[:READ]).lower()
    tokens = ["0" if NUMBER.fullmatch(token) else token for token in TOKEN.findall(plain)]
    runs = {" ".join(tokens[at : at + RUN]) for at in range(max(len(tokens) - RUN + 1, 1))}
    return frozenset(int.from_bytes(hashlib.blake2b(run.encode(), digest_size=8).digest(), "little") for run in runs)


def pairs(rows: Sequence[Row]) -> list[Pair]:
    """All pairs of near samples, of equal ones too."""
    return [pair for what in ("request", "answer") for pair in _pairs(rows, what)]


def _pairs(rows: Sequence[Row], what: str) -> Iterator[Pair]:
    index, sets = Index(NEAR), list[Features]()
    for row in rows:
        told = features(row.sample.prompt if what == "request" else row.sample.completion)
        for place in index.near(told):
            yield _pair(what, rows[place], row, similarity(sets[place], told))
        sets.append(told)
        index.add(told)


def _pair(what: str, one: Row, two: Row, measured: float) -> Pair:
    splits = sorted({one.split, two.split}, key=("train", "val", "test", "").index)
    apart = bool(kin(one.sample) and kin(two.sample))
    return Pair(what, one, two, "-".join(filter(None, splits)), round(measured, 4), apart)
