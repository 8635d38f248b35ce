"""When a CronJob runs, in cron's fields and in words."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from sluicegate.data.k8s.grammar.draw import weighted


@dataclass(frozen=True, slots=True)
class Schedule:
    """The same time twice: `30 2 * * *`, `nightly`."""

    text: str
    words: str


def schedule(rng: Random) -> Schedule:
    """Draw one: most work that people schedule runs by night."""
    minute = rng.choice((0, 0, 0, 5, 10, 15, 20, 30, 30, 45, 50, rng.randint(0, 59)))
    night, day = rng.randint(0, 5), rng.randint(6, 22)
    return weighted(
        rng,
        (
            (34, Schedule(f"{minute} {night} * * *", "nightly")),
            (16, Schedule(f"{minute} {day} * * *", "daily")),
            (10, Schedule(f"{minute} * * * *", "hourly")),
            (8, Schedule(f"*/{rng.choice((2, 5, 5, 10, 15, 20, 30))} * * * *", "regular")),
            (7, Schedule(f"{minute} */{rng.choice((2, 3, 4, 6, 8, 12))} * * *", "regular")),
            (10, Schedule(f"{minute} {night} * * {rng.randint(0, 6)}", "weekly")),
            (6, Schedule(f"{minute} {day} * * 1-5", "weekday")),
            (5, Schedule(f"{minute} {night} {rng.choice((1, 1, 2, 5, 15, 28))} * *", "monthly")),
            (2, Schedule(rng.choice(("@daily", "@midnight")), "daily")),
            (2, Schedule(*rng.choice((("@hourly", "hourly"), ("@weekly", "weekly"), ("@monthly", "monthly"))))),
        ),
    )
