"""Groups that lie whole in one split, and how close the splits come all the same.

A group is a repository, a cluster of near-duplicate manifests or one of near-duplicate requests, and whatever hangs
together through several of them. It is written into the samples' metadata, where `sluicegate.data.splits` reads it, so
whoever splits these samples later keeps them together too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sluicegate.data.k8s.near import NEAR, Features, across, clusters, of_manifest, of_text
from sluicegate.data.k8s.pairs import bodies, with_group
from sluicegate.data.manifest import Near
from sluicegate.data.splits import Splits
from sluicegate.records import Sample

Sets = Mapping[str, tuple[Features, Features]]
"""Sample id → what near-duplicates share: of the manifest, and of the request."""


def sets(samples: Iterable[Sample]) -> Sets:
    """What near-duplicates of each sample share."""
    return {sample.id: (of_manifest(bodies(sample.completion)), of_text(sample.prompt)) for sample in samples}


def grouped(samples: Sequence[Sample], known: Sets) -> list[Sample]:
    """Samples with the group of each in its metadata, named after the first sample of it.

    Args:
        known: of these samples at least.
    """
    manifests, requests = (clusters(known[sample.id][part] for sample in samples) for part in (0, 1))
    keys = [
        [f"manifest {one}", f"request {another}", *_told(sample)]
        for one, another, sample in zip(manifests, requests, samples, strict=True)
    ]
    return [with_group(sample, samples[place].id) for sample, place in zip(samples, _components(keys), strict=True)]


def _told(sample: Sample) -> list[str]:
    """What a sample's own metadata keeps together."""
    return [f"{name} {found}" for name in ("repository", "group") if (found := sample.meta.get(name))]


def _components(keys: Sequence[Sequence[str]]) -> list[int]:
    """For each row of keys the place of the first row that it hangs together with.

    >>> _components([["a"], ["b"], ["c", "a"], ["d", "b"], ["e"]])
    [0, 1, 0, 1, 4]
    """
    root = list(range(len(keys)))
    seen: dict[str, int] = {}

    def find(place: int) -> int:
        while root[place] != place:
            root[place] = root[root[place]]
            place = root[place]
        return place

    for place, row in enumerate(keys):
        for key in row:
            one, another = sorted((find(seen.setdefault(key, place)), find(place)))
            root[another] = one
    return [find(place) for place in range(len(keys))]


def nearness(splits: Splits, known: Sets) -> tuple[Near, ...]:
    """How close validation and test come to training, by manifest and by request; every pair is compared."""
    return tuple(
        _near(name, what, *([known[sample.id][place] for sample in part] for part in (held_out, splits.train)))
        for name, held_out in (("val", splits.val), ("test", splits.test))
        for place, what in enumerate(("manifest", "request"))
    )


def _near(name: str, what: str, held_out: Sequence[Features], train: Sequence[Features]) -> Near:
    found = across(held_out, train)
    highest = found.highest[-1] if found.highest else None
    return Near(name, what, NEAR, found.pairs, found.near, round(found.share, 8), found.touched, highest)
