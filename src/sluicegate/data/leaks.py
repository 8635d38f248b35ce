"""Does the training data hold what the test asks? Equality, and overlap of 13-grams.

Equality of question, answer or both (as written, or as `content` spells them) is always a leak. Overlap is
a measure: the share of a test item's 13-grams that occur anywhere in the training data. Corpora made from
templates share most of their n-grams by nature, so what a gate makes of overlap is the gate's business.

Source of 13-grams of lower-case words: Brown et al. 2020 (arXiv 2005.14165), appendix C. Source of the
threshold, 80% of an item found in training: Touvron et al. 2023 (arXiv 2307.09288), appendix A.6, "dirty",
who count tokens in shared n-grams. Unlike both, punctuation counts as words here: in code it is what
differs.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, count
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sluicegate.data.content import answer, question
from sluicegate.records import Sample

GRAM = 13
DIRTY = 0.8
TOKEN = re.compile(r"\w+|[^\w\s]")
Kind = Literal["exact", "normalised", "question", "answer", "overlap"]
Hashes = NDArray[np.uint64]
Owners = NDArray[np.int64]
Found = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Leak:
    """One test item that the training data gives away.

    Args:
        kind: `exact` prompt and completion as written; `normalised` the same apart from whitespace, case and
            Unicode spelling; `question` or `answer` only one of the two, normalised; `overlap` of 13-grams.
        share: of the test item's 13-grams found in training, in [0, 1]; 1 for the equalities.
    """

    test_id: str
    train_id: str
    kind: Kind
    share: float

    @property
    def told(self) -> str:
        """The leak in words.

        >>> Leak("t1", "s7", "question", 1.0).told
        't1: question of sample s7'
        """
        what = f"{self.share:.0%} of its 13-grams in training, most in" if self.kind == "overlap" else f"{self.kind} of"
        return f"{self.test_id}: {what} sample {self.train_id}"


def find(train: Sequence[Sample], test: Sequence[Sample], *, dirty: float = DIRTY) -> list[Leak]:
    """At most one leak a test item, the gravest, in the order of the test items.

    Overlap is a leak from a share of `dirty` on, in (0, 1]. Time and memory grow with the amount of text, not
    with the number of pairs.

    Raises:
        ValueError: `dirty` is out of range.
    """
    if not 0 < dirty <= 1:
        raise ValueError(f"dirty: wanted (0, 1], seen {dirty}")
    grams = _Grams.of(train, test)
    found = {leak.test_id: leak for leak in _overlapping(grams, train, test, dirty)} | _equal(train, test)
    return [found[sample.id] for sample in test if sample.id in found]


def overlap(train: Sequence[Sample], test: Sequence[Sample]) -> list[float | None]:
    """For each test item the share of its 13-grams found in training, in [0, 1]; None if it has none.

    >>> one = Sample("1", "one two three four five six seven eight nine ten eleven twelve thirteen", "x")
    >>> overlap([one], [one, Sample("2", "a short one", "y")])
    [1.0, None]
    """
    return _Grams.of(train, test).shares()


KEYS: tuple[tuple[Kind, Callable[[Sample], Hashable]], ...] = (
    ("exact", lambda sample: (sample.prompt, sample.context, sample.completion)),
    ("normalised", lambda sample: (question(sample), answer(sample))),
    ("question", question),
    ("answer", answer),
)
"""The equalities, the gravest first."""


def equal(train: Sequence[Sample], test: Sequence[Sample]) -> list[Leak]:
    """As `find`, without overlap: the equalities alone, in memory for one key a sample."""
    found = _equal(train, test)
    return [found[sample.id] for sample in test if sample.id in found]


def _equal(train: Sequence[Sample], test: Sequence[Sample]) -> dict[str, Leak]:
    """Test items that equal a training sample in question, answer or both, by id."""
    found: dict[str, Leak] = {}
    for kind, key in KEYS:
        known: dict[Hashable, str] = {}
        for sample in train:
            known.setdefault(key(sample), sample.id)
        for sample in test:
            if sample.id not in found and (match := known.get(key(sample))) is not None:
                found[sample.id] = Leak(sample.id, match, kind, 1.0)
    return found


@dataclass(frozen=True, slots=True)
class _Grams:
    """Hashes of the 13-grams of the test and the training samples, each with the place of its sample.

    A gram lies within one text: prompt, context or completion. Among ten million grams the chance of any two
    sharing a 64-bit hash is below one in 300,000.
    """

    tests: int
    test: Hashes
    test_owner: Owners
    train: Hashes
    train_owner: Owners

    @classmethod
    def of(cls, train: Sequence[Sample], test: Sequence[Sample]) -> _Grams:
        """Training hashes are kept in rising order, for binary search."""
        hashes, owners = _hashed(chain(test, train))
        ours = owners < len(test)
        theirs = hashes[~ours]
        order = np.argsort(theirs, kind="stable")
        return cls(len(test), hashes[ours], owners[ours], theirs[order], (owners[~ours] - len(test))[order])

    def known(self, grams: Hashes) -> tuple[Found, Owners]:
        """Which grams occur in training, and the first training sample of each that does."""
        if not len(self.train):
            return np.zeros(len(grams), dtype=np.bool_), np.zeros(0, dtype=np.int64)
        spots = np.minimum(np.searchsorted(self.train, grams), len(self.train) - 1)
        found = self.train[spots] == grams
        return found, self.train_owner[spots[found]]

    def shares(self) -> list[float | None]:
        """As `overlap`."""
        found, _ = self.known(self.test)
        total = np.bincount(self.test_owner, minlength=self.tests)
        known = np.bincount(self.test_owner[found], minlength=self.tests)
        return [int(some) / int(every) if every else None for some, every in zip(known, total, strict=True)]


def _overlapping(grams: _Grams, train: Sequence[Sample], test: Sequence[Sample], dirty: float) -> Iterator[Leak]:
    """Leaks by overlap, each with the training sample that most of its grams point to."""
    for place, share in enumerate(grams.shares()):
        if share and share >= dirty:
            _, owners = grams.known(grams.test[grams.test_owner == place])
            owner = Counter(owners.tolist()).most_common(1)[0][0]
            yield Leak(test[place].id, train[owner].id, "overlap", round(share, 4))


def _hashed(samples: Iterator[Sample]) -> tuple[Hashes, Owners]:
    """Every 13-gram's hash, and the place of the sample it lies in."""
    numbers: defaultdict[str, int] = defaultdict(count().__next__)
    codes: list[int] = []
    lengths: list[int] = []
    for sample in samples:
        for text in (sample.prompt, sample.context, sample.completion):
            tokens = TOKEN.findall(text.lower())
            codes.extend(map(numbers.__getitem__, tokens))
            lengths.append(len(tokens))
    texts = np.repeat(np.arange(len(lengths)), lengths)
    grams = max(len(codes) - GRAM + 1, 0)
    whole = texts[:grams] == texts[GRAM - 1 :][:grams]
    scattered = _scatter(np.array(codes, dtype=np.uint64))
    hashes = np.zeros(grams, dtype=np.uint64)
    for shift in range(GRAM):
        hashes = hashes * np.uint64(0x9E3779B97F4A7C15) + scattered[shift : shift + grams]
    return hashes[whole], (texts[:grams] // 3)[whole]


def _scatter(codes: Hashes) -> Hashes:
    """Spread small numbers over 64 bits (the finaliser of SplitMix64, Steele et al. 2014)."""
    mixed = (codes + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
