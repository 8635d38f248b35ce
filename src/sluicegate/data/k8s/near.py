"""Near-duplicates: manifests that say the same but for their names, and requests in almost the same words.

A manifest is the set of its leaves, each a path and a value; list items lose their place, and the objects' own names
are masked wherever they occur, so that renaming or reordering does not make a manifest new. A request is the set of
its word triples. Two are near-duplicates when the Jaccard similarity of their sets (shared / all) reaches `NEAR`.

`Index` finds them as they come, by MinHash in bands and then exactly: a pair at the threshold is missed with a chance
below 0.3%, one at 0.9 below one in ten million. `across` then measures every pair of two splits, exactly and by another
way.

Source: Broder 1997, On the resemblance and containment of documents; Leskovec, Rajaraman and Ullman, Mining of Massive
Datasets, chapter 3 (bands). The threshold is that of Allamanis 2019 (arXiv 1812.06469) for code.
"""

from __future__ import annotations

import hashlib
import re
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

NEAR = 0.8
"""Jaccard similarity from which two samples count as the same."""
BANDS, ROWS = 20, 6
TRIPLE = 3
CHUNK = 256
"""Held-out items compared at once: bounds the memory of `across` to CHUNK x training items."""
WORD = re.compile(r"\w+(?:[-./:]\w+)*")
_MULTIPLIERS, _OFFSETS = np.random.default_rng(0x5147).integers(1, 2**63, (2, BANDS * ROWS, 1), dtype=np.uint64) | 1

Features = frozenset[int]


def of_manifest(bodies: Sequence[Mapping[str, Any]]) -> Features:
    """The masked leaves of some objects, hashed.

    >>> one, two = ({"kind": "Pod", "metadata": {"name": n, "labels": {"app": f"{n}-v1"}}} for n in ("web", "api"))
    >>> of_manifest([one]) == of_manifest([two])
    True
    """
    names = sorted({name for body in bodies if (name := _name(body))}, key=lambda name: (-len(name), name))
    mask = re.compile(rf"(?<![a-z0-9])(?:{'|'.join(map(re.escape, names))})(?![a-z0-9])") if names else None
    return frozenset(
        _hashed(f"{path}={mask.sub('*', value) if mask else value}")
        for body in bodies
        for path, value in _leaves(body, str(body.get("kind", "")))
    )


def of_text(text: str) -> Features:
    """The word triples of a request, hashed; of a shorter one, all its words as one."""
    words = WORD.findall(text.lower())
    return frozenset(_hashed(" ".join(words[at : at + TRIPLE])) for at in range(max(len(words) - TRIPLE + 1, 1)))


def _name(body: Mapping[str, Any]) -> str:
    metadata = body.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return name if isinstance(name, str) else ""


def _leaves(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for key, part in value.items():
            yield from _leaves(part, f"{path}.{key}")
    elif isinstance(value, list) and value:
        for part in value:
            yield from _leaves(part, f"{path}[{_key(part) if path.endswith('.env') else ''}]")
    else:
        yield path, str(value)


def _key(item: Any) -> str:
    """Environment variables go by name: a value means something only together with it."""
    return str(item.get("name", "")) if isinstance(item, Mapping) else ""


@lru_cache(maxsize=1 << 16)
def _hashed(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest(), "little")


def similarity(one: Features, two: Features) -> float:
    """Jaccard similarity, in [0, 1]; two empty sets are the same.

    >>> similarity(frozenset({1, 2, 3}), frozenset({2, 3, 4}))
    0.5
    """
    return len(one & two) / len(one | two) if one or two else 1.0


class Index:
    """Sets seen so far, and which of them a new one is a near-duplicate of.

    Memory grows by about 8 bytes a leaf and 2 kB a set.
    """

    def __init__(self, threshold: float = NEAR) -> None:
        self.threshold = threshold
        self._sets: list[array[int]] = []
        self._bands: list[dict[bytes, list[int]]] = [{} for _ in range(BANDS)]

    def near(self, features: Features) -> list[int]:
        """Places of the sets, in order of addition, whose similarity reaches the threshold."""
        bands = zip(self._bands, _banded(features), strict=True)
        candidates = sorted({place for band, key in bands for place in band.get(key, ())})
        return [place for place in candidates if self._similarity(features, place) >= self.threshold]

    def _similarity(self, features: Features, place: int) -> float:
        other = self._sets[place]
        shared = sum(map(features.__contains__, other))
        every = len(features) + len(other) - shared
        return shared / every if every else 1.0

    def add(self, features: Features) -> int:
        """Remember a set; returns its place."""
        place = len(self._sets)
        self._sets.append(array("Q", sorted(features)))
        for band, key in zip(self._bands, _banded(features), strict=True):
            band.setdefault(key, []).append(place)
        return place


@lru_cache(maxsize=64)
def _banded(features: Features) -> tuple[bytes, ...]:
    """The MinHash signature of a set, cut into bands."""
    values = np.fromiter(features, dtype=np.uint64, count=len(features))
    if not len(values):
        return (b"",) * BANDS
    lowest = ((values * _MULTIPLIERS) ^ ((values * _OFFSETS) >> np.uint64(31))).min(axis=1)
    return tuple(part.tobytes() for part in lowest.reshape(BANDS, ROWS))


def clusters(sets: Iterable[Features], threshold: float = NEAR) -> list[int]:
    """For each set the place of the first one of its cluster: sets near each other, directly or through others."""
    index = Index(threshold)
    root: list[int] = []

    def find(place: int) -> int:
        while root[place] != place:
            root[place] = root[root[place]]
            place = root[place]
        return place

    for features in sets:
        found = {find(place) for place in index.near(features)}
        root.append(index.add(features))
        first = min(found, default=root[-1])
        for place in (*found, len(root) - 1):
            root[place] = first
    return [find(place) for place in range(len(root))]


@dataclass(frozen=True, slots=True)
class Across:
    """How close two splits come.

    Args:
        pairs: held-out items x training items.
        near: pairs whose similarity reaches the threshold.
        items: held-out items.
        touched: held-out items with at least one near-duplicate in training.
        highest: each held-out item's highest similarity to training, as quantiles at 0, 25, 50, 75, 100%; empty
            where a split is.
    """

    pairs: int
    near: int
    items: int
    touched: int
    highest: tuple[float, ...]

    @property
    def share(self) -> float:
        """Near-duplicate pairs / pairs."""
        return self.near / self.pairs if self.pairs else 0.0


def across(held_out: Sequence[Features], train: Sequence[Features], threshold: float = NEAR) -> Across:
    """Every pair of a held-out and a training set compared: exact, no hashing into bands."""
    if not held_out or not train:
        return Across(0, 0, len(held_out), 0, ())
    ones, others, sizes = _matrices(held_out, train)
    near, highest = 0, []
    for start in range(0, len(held_out), CHUNK):
        part = ones[start : start + CHUNK]
        shared = (part @ others).toarray()
        every = np.asarray(part.sum(axis=1)).reshape(-1, 1) + sizes - shared
        similar = np.divide(shared, every, out=np.ones(shared.shape), where=every > 0)
        near += int((similar >= threshold).sum())
        highest.append(similar.max(axis=1))
    top = np.concatenate(highest)
    quantiles = tuple(round(float(value), 4) for value in np.quantile(top, (0, 0.25, 0.5, 0.75, 1)))
    return Across(len(held_out) * len(train), near, len(held_out), int((top >= threshold).sum()), quantiles)


def _matrices(held_out: Sequence[Features], train: Sequence[Features]) -> tuple[Any, Any, NDArray[np.float64]]:
    """Sets as 0/1 rows (held-out) and columns (training), and the sizes of the latter."""
    columns: dict[int, int] = {}
    places = [[columns.setdefault(each, len(columns)) for each in features] for features in (*held_out, *train)]
    sizes = np.array([len(row) for row in places])
    matrix = csr_array(
        (np.ones(sizes.sum()), np.concatenate([np.array(row, dtype=np.int64) for row in places]), [0, *sizes.cumsum()]),
        shape=(len(places), len(columns)),
    )
    split = len(held_out)
    return matrix[:split], matrix[split:].T.tocsr(), sizes[split:].astype(np.float64)
