"""Values keep their value however they are said."""

from __future__ import annotations

import re
from itertools import product

import pytest

from sluicegate.data.k8s.intents.wording import amounts, article, counts, cpus, enumerations, listing, schedules
from sluicegate.data.k8s.intents.wording import seconds as time
from sluicegate.k8s.agreement import equal


@pytest.mark.parametrize(
    ("cron", "said"),
    [
        ("*/5 * * * *", "every 5 minutes"),
        ("0 * * * *", "every hour"),
        ("0 */6 * * *", "every 6 hours"),
        ("5 0 * * *", "every day at 00:05"),
        ("45 23 * * *", "every day at 23:45"),
        ("0 0 * * 0", "every Sunday at 00:00"),
        ("0 0 * * 7", "every Sunday at 00:00"),
        ("20 5 * * 6", "every Saturday at 05:20"),
        ("0 6 * * 1-5", "on weekdays at 06:00"),
        ("0 1 15 * *", "on day 15 of every month at 01:00"),
    ],
)
def test_everyday_schedules_are_said_in_words(cron: str, said: str) -> None:
    assert said in schedules(cron)
    assert f'"{cron}"' in schedules(cron)


@pytest.mark.parametrize(
    "cron",
    ["*/7 * * * *", "30 */6 * * *", "0 */5 * * *", "0 9-17 * * 1-5", "0 1 15 * 1", "10 */2 * * 3", "@daily",
     "0 0 1 1 *", "*/5 3 * * *", "* * * * *", "0 0 * * 1,2", ""],
)  # fmt: skip
def test_a_schedule_that_words_would_change_stays_as_it_is(cron: str) -> None:
    assert schedules(cron) == [f'"{cron}"']


def test_no_two_schedules_are_said_alike() -> None:
    minutes, hours = ("0", "30", "*/5", "*/15"), ("0", "2", "14", "*", "*/6")
    days, weekdays = ("*", "1", "15"), ("*", "0", "1", "1-5")
    said: dict[str, str] = {}
    for parts in product(minutes, hours, days, weekdays):
        cron = f"{parts[0]} {parts[1]} {parts[2]} * {parts[3]}"
        for words in schedules(cron):
            assert said.setdefault(words, cron) == cron
    assert len(said) > 300


@pytest.mark.parametrize("quantity", ["512Mi", "1Gi", "64Ki", "2Ti"])
def test_sizes_keep_their_amount(quantity: str) -> None:
    for said in amounts(quantity):
        assert equal(quantity, re.sub(" |B", "", said), "memory")
    assert len(amounts(quantity)) == 3


@pytest.mark.parametrize("quantity", ["1G", "500M", "1.5Gi", "1073741824", "", "x"])
def test_other_sizes_stay_as_they_are(quantity: str) -> None:
    assert amounts(quantity) == [quantity]


def test_cpus_keep_their_amount() -> None:
    assert cpus("100m") == ["100m CPU", "100m of CPU", "100 millicores"]
    assert cpus("500m")[-1] == "half a core"
    assert cpus("1") == ["1 CPU", "1 core", "one core"]
    assert cpus("2") == ["2 CPUs", "2 cores", "two cores"]
    assert cpus("1.5") == ["1.5 CPUs", "1.5 cores"]


def test_numbers_lists_times_and_articles() -> None:
    assert counts("10") == ["10", "ten"] and counts("11") == ["11"] and counts("50%") == ["50%"]
    assert [listing(list("abc")[:count]) for count in range(4)] == ["", "a", "a and b", "a, b and c"]
    assert time("1") == "1 second" and time("0") == "0 seconds"
    assert enumerations("ReadWriteMany") == ["ReadWriteMany", "RWX"] and enumerations("Always") == ["Always"]
    told = [article(word) for word in ("`ingress`", "unit", "one-off job", "RBAC role", "PVC", "PDB", "UDP port")]
    assert told == ["an `ingress`", "a unit", "a one-off job", "an RBAC role", "a PVC", "a PDB", "a UDP port"]
