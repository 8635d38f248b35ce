"""Near-duplicates are found by their leaves and words; the fast index agrees with comparing every pair."""

from __future__ import annotations

from random import Random

from sluicegate.data.k8s.near import NEAR, Features, Index, across, clusters, of_manifest, of_text, similarity

POD = {
    "kind": "Pod",
    "metadata": {"name": "shop", "labels": {"app": "shop"}},
    "spec": {"containers": [{"name": "shop", "image": "nginx:1", "env": [{"name": "A", "value": "1"}]}]},
}


def renamed(old: str, new: str, value: object) -> object:
    if isinstance(value, dict):
        return {key: renamed(old, new, part) for key, part in value.items()}
    if isinstance(value, list):
        return [renamed(old, new, part) for part in value]
    return value.replace(old, new) if isinstance(value, str) else value


def some(count: int, seed: int) -> list[Features]:
    """Sets of which many are near each other."""
    rng = Random(seed)  # noqa: S311
    found: list[Features] = []
    for _ in range(count):
        if found and rng.random() < 0.5:
            base = set(rng.choice(found))
            base -= set(rng.sample(sorted(base), min(len(base), rng.randint(0, 6))))
            base |= {rng.getrandbits(60) for _ in range(rng.randint(0, 6))}
        else:
            base = {rng.getrandbits(60) for _ in range(rng.randint(5, 60))}
        found.append(frozenset(base))
    return found


def test_a_renamed_and_reordered_manifest_is_the_same() -> None:
    other = renamed("shop", "store", POD)
    assert isinstance(other, dict)
    assert of_manifest([POD]) == of_manifest([dict(reversed(other.items()))])


def test_another_image_is_another_manifest() -> None:
    other = renamed("nginx:1", "redis:7", POD)
    assert isinstance(other, dict)
    assert 0 < similarity(of_manifest([POD]), of_manifest([other])) < 1


def test_requests_are_near_when_almost_every_word_is_the_same() -> None:
    words = "please write a deployment named shop with three replicas that runs nginx and opens port 80 for the team"
    assert similarity(of_text(words), of_text(words.upper())) == 1.0
    assert similarity(of_text(words), of_text(words.replace("80", "81"))) < 1.0
    assert similarity(of_text(words), of_text("a cron job")) == 0.0
    assert of_text("") == of_text("  ")


def test_the_index_misses_next_to_nothing() -> None:
    every = some(400, seed=1)
    index, missed, pairs = Index(), 0, 0
    for place, each in enumerate(every):
        wanted = [other for other in range(place) if similarity(each, every[other]) >= NEAR]
        found = index.near(each)
        assert set(found) <= set(wanted)
        missed += len(wanted) - len(found)
        pairs += len(wanted)
        index.add(each)
    assert pairs > 100
    assert missed <= 0.01 * pairs


def test_across_counts_what_comparing_every_pair_counts() -> None:
    every = some(300, seed=2)
    held_out, train = every[:100], every[100:]
    found = across(held_out, train)
    table = [[similarity(one, other) for other in train] for one in held_out]
    assert found.pairs == 20000 and found.items == 100
    assert found.near == sum(value >= NEAR for row in table for value in row) > 0
    assert found.touched == sum(max(row) >= NEAR for row in table)
    assert found.highest[-1] == round(max(map(max, table)), 4)
    assert across([], train).share == 0.0


def test_clusters_reach_through_others() -> None:
    rng = Random(0)  # noqa: S311
    values = [rng.getrandbits(60) for _ in range(52)]
    chain = [frozenset(values[start : start + 40]) for start in (0, 4, 8, 12)]
    assert similarity(chain[0], chain[3]) < NEAR <= similarity(chain[0], chain[1])
    assert clusters([*chain, frozenset({999})]) == [0, 0, 0, 0, 4]
    assert clusters([chain[0], chain[3], chain[2], chain[1]]) == [0, 0, 0, 0]


def test_empty_sets_are_the_same() -> None:
    assert similarity(frozenset(), frozenset()) == 1.0
    assert clusters([frozenset(), frozenset()]) == [0, 0]
