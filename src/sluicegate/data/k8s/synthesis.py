"""Manifests of the grammar as drafts: as many as asked for, all valid, none nearly equal to another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from sluicegate.data.k8s.manifests import Harvest
from sluicegate.data.k8s.near import Index, of_manifest
from sluicegate.data.k8s.pairs import Draft
from sluicegate.data.k8s.render import Body, shortest, to_yaml
from sluicegate.errors import UserError
from sluicegate.k8s.validity import validity

LICENCE = "Apache-2.0"
MOST = 1_000_000
"""Manifests, as a study's source may make."""
TRIES = 5
"""Manifests that are made for each one that is wanted, at most."""
TRIES_FOR_SHORT = 50
"""The same where only short ones are wanted: one in seven has 500 characters or fewer."""


class Made(Protocol):
    """What a grammar makes: objects, and what they are for, as a noun."""

    @property
    def bodies(self) -> Sequence[Body]:
        """At least one object."""

    @property
    def purpose(self) -> str:
        """Empty where there is nothing to say."""


Make = Callable[[int, int], Made]
"""Seed and place to a manifest; the same for the same arguments."""


def synthesise(count: int, seed: int, make: Make | None = None, *, longest: int | None = None) -> Harvest:
    """Make manifests.

    Args:
        make: the grammar; the package's own where none is given.
        longest: characters that one may have; None for any. Longer ones are left out.

    Raises:
        UserError: fewer than 1, more than `MOST`, or more than the grammar has to offer.
    """
    if count < 1:
        raise UserError("--synthesize: too few", wanted="1 or more", seen=str(count))
    if count > MOST:
        seen = f"a number of {len(str(count))} digits"
        raise UserError("--synthesize: too many", wanted=f"{MOST:,} or fewer", seen=seen)
    grammar = make or _grammar()
    index, left_out = Index(), Counter[str]()
    drafts: list[Draft] = []
    for place in range(count * (TRIES if longest is None else TRIES_FOR_SHORT)):
        draft = _draft(grammar(seed, place), seed, place, longest)
        if draft is None:
            left_out["too long"] += 1
            continue
        features = of_manifest(draft.bodies)
        near = bool(index.near(features))
        if near or not validity(draft.text).valid:
            left_out["near-duplicate of another" if near else "invalid"] += 1
            continue
        index.add(features)
        drafts.append(draft)
        if len(drafts) == count:
            return Harvest(tuple(drafts), _sorted(left_out))
    raise UserError(
        f"--synthesize {count}: the grammar has no more to offer",
        wanted=f"{count} manifests that differ",
        seen=f"{len(drafts)} in {place + 1} tries ({', '.join(f'{n} {why}' for why, n in left_out.items())})",
        mend="ask for fewer",
    )


def _grammar() -> Make:
    from sluicegate.data.k8s.grammar import make

    return make


def _draft(made: Made, seed: int, place: int, longest: int | None) -> Draft | None:
    """None where it is longer; most that are need not be written to tell."""
    most = float("inf") if longest is None else longest
    if sum(map(shortest, made.bodies)) > most or len(text := to_yaml(made.bodies)) > most:
        return None
    meta = {"licence": LICENCE, "source": {"grammar": f"{seed}/{place}"}}
    return Draft(f"k8s-{seed}-{place:06}", tuple(made.bodies), text, purpose=made.purpose, meta=meta)


def _sorted(counts: Counter[str]) -> Mapping[str, int]:
    return dict(sorted(counts.items(), key=lambda row: (-row[1], row[0])))
