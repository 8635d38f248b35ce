"""What the report says in words, once for the page and the text: the claim, the account of alpha, what was registered.

Every sentence of a claim stands in `CLAIMS`. Nothing here is computed; figures come from the files as they are.
"""

from __future__ import annotations

from collections.abc import Iterator

from sluicegate.records import Claim, Need, Outcome, Verdict
from sluicegate.report.clean import NONE, amount, figure, one_line, points, share, short
from sluicegate.report.forecast import Chances, Forecast, Needed, Overrun, Quantity
from sluicegate.report.registration import Registration
from sluicegate.study import DECIDING_STAGES, LAST_STAGE, Study

MEANING = {
    Outcome.GO: "The evidence carries the next stage.",
    Outcome.STOP: "The gain is too small to matter, or it harms. More data will not save it.",
    Outcome.INCONCLUSIVE: "Too little evidence to say go or stop.",
    Outcome.RETRY: "Something broke or the evidence is invalid. Mend it and run the stage again.",
}
LAST_GO = "The evidence carries the result."
CLAIMS: dict[Claim, str] = {
    "": "",
    "checkpoint": (
        "This checkpoint is better: of the models trained here, the experiment's does better on these items. "
        "Whether training again would show it too, one run an arm cannot tell."
    ),
    "recipe": "This recipe is better: the gain holds over the training runs of each arm as well as over the items.",
}
NEED = ("of", "had", "wanted in all", "likely range", "more time", "more cost")
ALONE = "Each alone, the others as they were."
QUANTITY = ("low", "expected", "high", "actual", "")
RANGE = "Low to high was meant to hold the truth four times in five"
SECONDARY = "secondary: Holm-adjusted, never opens a gate"
OVERRIDDEN = "Stages of this study that were started with --override, not on the former stage's GO:"
UNKNOWN = "registration.json could not be read: overrides of this study, if there were any, are not known."
FORESEEN = "said before the stage ran"
Rows = Iterator[tuple[str, str]]


def meaning(verdict: Verdict) -> str:
    """What the outcome means."""
    last = verdict.outcome is Outcome.GO and verdict.stage == LAST_STAGE
    return LAST_GO if last else MEANING[verdict.outcome]


def claim(verdict: Verdict) -> str:
    """What a GO of a deciding stage claims; of the recipe only where the check over the runs says so too.

    >>> row = Verdict(3, Outcome.STOP, (), 0.0, 0.0, "", claim="recipe")
    >>> claim(row)
    ''
    """
    if verdict.outcome is not Outcome.GO or verdict.stage not in DECIDING_STAGES:
        return ""
    shown = any(check.name == "recipe" and check.passed for check in verdict.checks)
    return CLAIMS["checkpoint" if verdict.claim == "recipe" and not shown else verdict.claim]


def decision(verdict: Verdict, in_all: float | None) -> str:
    """The account of alpha: which decision this is, or that none was spent; empty where a stage tests nothing.

    Args:
        in_all: alpha of all declared decisions together.

    >>> decision(Verdict(3, Outcome.GO, (), 0.0, 0.0, "", attempt=1, attempts=2, alpha=0.025), 0.05)
    'decision 1 of 2 declared, tested at alpha 0.025 (0.05 in all)'
    """
    if verdict.open:
        return "no alpha spent: the attempt is open and goes on when the stage is run again"
    if not verdict.attempt:
        return ""
    whole = "" if in_all is None else f" ({in_all:g} in all)"
    return f"decision {verdict.attempt} of {verdict.attempts} declared, tested at alpha {verdict.alpha:g}{whole}"


def ran_out(overrun: Overrun) -> str:
    """Which budget ran out and where.

    >>> ran_out(Overrun("hours", 5.0, 5.02, "train experiment-s1", 7))
    'The hours ran out: 5 h 01 min used of 5 h 00 min, stopped at step train experiment-s1, 7 not done.'
    """
    unit = {"hours": "h", "dollars": "$"}[overrun.what]
    left = "" if overrun.left is None else f", {overrun.left:,} not done"
    return (
        f"The {overrun.what} ran out: {amount(overrun.spent, unit)} used of {amount(overrun.budget, unit)}, "
        f"stopped at step {one_line(overrun.step, 80)}{left}."
    )


def used(spent: float, budget: float | None, unit: str) -> str:
    """What was used, of how much.

    >>> used(1.5, 5.0, "h"), used(0.25, None, "$")
    ('1 h 30 min of 5 h 00 min', '$0.25')
    """
    return amount(spent, unit) + ("" if budget is None else f" of {amount(budget, unit)}")


def need(row: Need) -> tuple[str, str, str, str, str, str]:
    """What would settle it, as cells: of what, have, wanted, likely range, more time, more dollars.

    >>> need(Need("items", 100, 240, 180, None, 1.5, 2.0))
    ('items', '100', '240', '180 or more', '1 h 30 min', '$2.00')
    >>> need(Need("draws", 4, None))[2:]
    ('not by this alone', '–', '–', '–')
    """
    wanted = "not by this alone" if row.wanted is None else figure(row.wanted)
    high = " or more" if row.high is None else f" to {row.high:,}"
    likely = NONE if row.low is None else f"{row.low:,}{high}"
    return row.vary, figure(row.have), wanted, likely, amount(row.hours, "h"), amount(row.dollars, "$")


def quantity(row: Quantity) -> tuple[str, str, str, str, str]:
    """A quantity as cells: low, expected, high, actual, and where the actual figure lies.

    >>> quantity(Quantity("train", "h", 1.0, 1.5, 2.0, actual=2.5))
    ('1 h 00 min', '1 h 30 min', '2 h 00 min', '2 h 30 min', 'above')
    """
    low, expected, high, actual = (amount(value, row.unit) for value in (row.low, row.expected, row.high, row.actual))
    return low, expected, high, actual, row.held


def margin(study: Study | None, metric: str) -> str:
    """How far a metric may not fall; empty where the study does not guard it."""
    allowed = study.must_not_worsen.get(metric) if study else None
    return "" if allowed is None else f"must not worsen: lower bound above {points(-allowed)} points"


def registered(found: Registration) -> Rows:
    """(name, value) of what was registered before the stage ran."""
    line = found.line
    tests = line.alpha > 0
    guarded = [f"{one_line(name, 60)}: lower bound above {points(-by)}" for name, by in line.must_not_worsen.items()]
    yield "time", one_line(line.time)
    yield "primary metric", one_line(line.primary)
    yield "minimum gain", f"{points(line.minimum_gain)} points"
    yield "must not worsen", "; ".join(guarded) + " points" if guarded else "no metric named"
    yield "alpha", (
        f"{line.alpha:g} one-sided; {line.spent:g} of {line.allowed:g} spent by decisions before"
        if tests else "none: its GO rests on no test"
    )  # fmt: skip
    if tests:
        yield "decision", f"{line.number:,} of {line.attempts:,} declared"
    if line.stage:
        overridden = "none: overridden" if line.override else "none"
        go = f"GO of {one_line(found.former.attempt)}, {one_line(found.former.time)}" if found.former else overridden
        yield "former stage", go
    commit = f", commit {short(line.git_commit)}" if line.git_commit else ""
    yield "study", short(line.study_sha256)
    yield "code", short(line.code_sha256) + commit
    yield "ledger line", short(found.sha256)


def chances(found: Chances) -> Rows:
    """(name, value) of what the decision was said to risk and to find, before the stage ran."""
    gain = "" if found.design_gain is None else f" of {points(found.design_gain)} points"
    over = "" if found.attempts is None else f", each of {found.attempts:,} declared"
    yield "test", one_line(found.test) or NONE
    if found.alpha is not None:
        yield "alpha", f"{found.alpha:g} one-sided{over}"
    if found.false_go is not None:
        yield "chance of a false GO", f"{share(found.false_go)} over all declared decisions{_uncovered(found)}"
    if found.false_stop is not None:
        yield "chance of a false STOP", f"{share(found.false_stop)} at the design gain{gain}"
    if found.stop_without_gain is not None:
        yield "STOP without a gain", share(found.stop_without_gain)
    if found.power is not None:
        yield "power", f"{share(found.power)} at the design gain{gain}"
    if found.mde is not None:
        yield "detectable gain", f"{points(found.mde)} points (MDE)"
    if found.needed and found.power is not None:
        yield "needed", _needed(found.needed)
    if computed := "; ".join(one_line(part) for part in (found.method, found.basis) if part):
        yield "computed from", computed


def _uncovered(found: Chances) -> str:
    """The chance that the claim about checkpoints does not cover."""
    if found.false_go_recipe is None:
        return ""
    return f"; {share(found.false_go_recipe)} for a recipe without gain, of which a GO here says nothing"


def _needed(found: Needed) -> str:
    """What the design gain needs, in words.

    >>> _needed(Needed(items=240, seeds=5))
    '240 items, or 5 seeds, the rest as planned; no number of draws alone'
    """
    numbers = {"items": found.items, "draws": found.draws, "seeds": found.seeds}
    enough = [f"{number:,} {name}" for name, number in numbers.items() if number is not None]
    never = [name for name, number in numbers.items() if number is None]
    parts = [
        f"{', or '.join(enough)}, the rest as planned" if enough else "",
        f"no number of {' or '.join(never)} alone" if never else "",
    ]
    return "; ".join(part for part in parts if part)


def testable(found: Forecast) -> str:
    """Whether the stage could find the design gain as planned, why not, and the cheapest change; empty for no test."""
    if found.testable is None:
        return ""
    parts = [
        "testable as planned" if found.testable else "NOT TESTABLE as planned",
        one_line(found.why),
        f"cheapest change: {one_line(found.cheapest)}" if found.cheapest else "",
    ]
    return "; ".join(part for part in parts if part)
