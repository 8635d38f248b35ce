"""What is near stays together, also through others, and across the splits nothing is near."""

from __future__ import annotations

from sluicegate.data.content import kin
from sluicegate.data.k8s import SCENARIO
from sluicegate.data.k8s.split import grouped, nearness, sets
from sluicegate.data.splits import Splits, split
from sluicegate.records import Sample


def manifest(name: str, *keys: str) -> str:
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n" + "".join(
        f"  {key}: v{key}\n" for key in keys
    )


def sample(name: str, request: str, answer: str, **meta: object) -> Sample:
    return Sample(name, request, answer, SCENARIO, meta=meta)


def words(start: int, count: int = 12) -> str:
    return " ".join(f"word{number}" for number in range(start, start + count))


def groups(*every: Sample) -> list[str]:
    found = grouped(every, sets(every))
    assert [one.prompt for one in found] == [one.prompt for one in every]
    return [str(one.meta["group"]) for one in found]


KEYS = [f"k{number}" for number in range(20)]


def test_near_manifests_are_a_group() -> None:
    one = sample("1", words(0), manifest("a", *KEYS))
    renamed = sample("2", words(100), manifest("b", *KEYS))
    other = sample("3", words(200), manifest("c", *(f"x{key}" for key in KEYS)))
    assert groups(one, renamed, other) == ["1", "1", "3"]


def test_near_requests_are_a_group() -> None:
    far = [manifest("a", *(f"{letter}{key}" for key in KEYS)) for letter in "xyz"]
    every = [sample("1", words(0, 40), far[0]), sample("2", words(1, 40), far[1]), sample("3", words(99, 40), far[2])]
    assert groups(*every) == ["1", "1", "3"]


def test_a_repository_and_a_group_of_its_own_are_kept_together_and_chained() -> None:
    far = [manifest("a", *(f"{letter}{key}" for key in KEYS)) for letter in "vwxyz"]
    every = [
        sample("1", words(0), far[0], repository="r"),
        sample("2", words(100), far[1], repository="r"),
        sample("3", words(200), far[1]),
        sample("4", words(300), far[2], group="g"),
        sample("5", words(400), far[3], group="g"),
        sample("6", words(500), far[4], repository="other"),
    ]
    assert groups(*every) == ["1", "1", "1", "4", "4", "6"]


def test_groups_stay_whole_in_data_splits() -> None:
    every = [
        sample(f"{group}-{n}", words(1000 * group + 50 * n), manifest("a", *(f"g{group}n{n}{key}" for key in KEYS)),
               repository=f"r{group}")
        for group in range(20) for n in range(5)
    ]  # fmt: skip
    found = split(grouped(every, sets(every)), seed=0)
    homes = [{kin(one) for one in part} for part in (found.train, found.val, found.test)]
    assert [len(home) for home in homes] == [14, 3, 3]
    assert not (homes[0] & homes[1] or homes[0] & homes[2] or homes[1] & homes[2])


def test_nearness_tells_what_comes_near() -> None:
    one = sample("1", words(0, 40), manifest("a", *KEYS))
    near = sample("2", words(1, 40), manifest("b", *KEYS, "more"))
    far = sample("3", words(500, 40), manifest("c", *(f"x{key}" for key in KEYS)))
    found = nearness(Splits((one,), (far,), (near, far)), sets([one, near, far]))
    told = {(each.held_out, each.what): (each.pairs, each.near, each.items) for each in found}
    assert told == {
        ("val", "manifest"): (1, 0, 0), ("val", "request"): (1, 0, 0),
        ("test", "manifest"): (2, 1, 1), ("test", "request"): (2, 1, 1),
    }  # fmt: skip
    assert all(each.share == each.near / each.pairs for each in found)
