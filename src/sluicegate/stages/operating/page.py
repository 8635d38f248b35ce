"""docs/operating.md from docs/operating.json, and nothing else: every figure on the page stands in the data."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Sequence

from sluicegate.stages.operating.figures import Figures, rows_in
from sluicegate.stages.operating.findings import COVERED, findings, percent, told
from sluicegate.stages.operating.grid import BASES, DRAWS, ITEMS, LIKENESS, RETRIES, TARGET, Row, beyond
from sluicegate.stages.operating.rates import FEW_DIFFER
from sluicegate.stages.operating.rule import Rule
from sluicegate.stats.power import FEW_ITEMS


def page(figures: Figures) -> str:
    """The whole page."""
    parts = (
        _head, _wanted, _nothing, _retries, _several, _recipes, _checkpoint, _outcomes, _stops, _guards, _testable,
        _intervals, _sizes, _older, _limits,
    )  # fmt: skip
    return "\n\n".join(_flow(block) for part in parts for block in part(figures).strip().split("\n\n")) + "\n"


def _flow(block: str) -> str:
    """A paragraph in lines of 120; tables, lists and headings as they are."""
    if block.startswith(("|", "#", "-", "!", "<")):
        return block
    return textwrap.fill(" ".join(block.split()), 120, break_long_words=False, break_on_hyphens=False)


def _head(figures: Figures) -> str:
    everything = [row for group in figures for row in rows_in(figures, group)]
    experiments = sum(row["experiments"] for row in everything)
    return f"""
<!-- made by scripts/operating.py from docs/operating.json; `make operating` writes it again -->

# How often the gate is wrong

The gate of stages 3 and 4 is a rule, and a rule has error rates. Here they are: {len(everything):,} designs,
{experiments / 1e6:.1f} million simulated experiments, each decided by the statistics that decide a real stage.
`make operating` computes all of it again in minutes, with the same seeds; the data are in
[operating.json](operating.json).

The rule, with a for alpha divided by the declared attempts: **STOP** if the upper bound of the gain (two-sided interval
at 1 - 2a, of the whole claim) is below the smallest gain worth its cost; else **GO** if the one-sided sign-flip test
over items holds at a, and with three runs an arm or more also the test over runs and items crossed, and with five
scenarios or more also t over scenarios; else **INCONCLUSIVE**.

Experiments are drawn from the variance model of the planner (`stats/variance.py`): n items of unequal difficulty, K
pass/fail draws of each, two arms that agree on most of the difficulty, noise of training seeds and of scenarios.
Unless a table says otherwise the base rate is 50%, ρ (how unequal the items are) 0.5, r (how far the arms agree) 0.9.

![False GO against n, power at +10 points, noise of training seeds, coverage](operating.svg)
"""


def _wanted(figures: Figures) -> str:
    lines = ["## What was wanted, and what was found", "", "| | wanted | found | |", "| --- | --- | --- | --- |"]
    lines += [
        f"| {row.what} | {row.wanted} | {row.found} | {'met' if row.met else '**missed**'} |"
        for row in findings(figures)
    ]
    return "\n".join(lines)


def _nothing(figures: Figures) -> str:
    rows = rows_in(figures, "no gain")
    plain = [row for row in rows if (row["heterogeneity"], row["agreement"]) == LIKENESS[0]]
    table = _pivot(
        plain,
        ("n", "draws"),
        across="base",
        values=BASES,
        cell=lambda row: percent(row["go"]),
        head=lambda base: f"base {base:.0%}",
    )
    others = [row["go"] for row in rows if row not in plain]
    return f"""
## A change that is worth nothing

Two arms that are the same (an A/A experiment), one run an arm, one attempt: how often the gate says GO. The smallest
gain worth its cost is set to 0 here, the worst case: a larger one turns some of these into a STOP.

{table}

Few differing items make the test strict, never loose. With items and arms less alike (ρ 0.2, r 0.5) and more alike (ρ
0.8, r 1), {len(others)} further designs: {percent(min(others))} to {percent(max(others))}.
"""


def _retries(figures: Figures) -> str:
    rows = rows_in(figures, "attempts")
    counts = sorted({row["attempts"] for row in rows})
    table = _pivot(
        rows,
        ("n", "draws"),
        across="attempts",
        values=counts,
        cell=lambda row: percent(row["go"]),
        head=lambda count: f"{count:.0f}",
    )
    return f"""
## Declared attempts

A study declares how often a stage may be decided; alpha is divided by that number. False GO of the whole series, a GO
of any attempt, by the number of attempts:

{table}
"""


def _several(figures: Figures) -> str:
    rows = [row for row in rows_in(figures, "scenarios") if row["draws"] == 10]
    lines = ["| n | scenarios | their sd in points | items alone | the gate | 95% interval over scenarios covers |"]
    lines += [_rule(6)]
    lines += [
        f"| {row['n']:.0f} | {row['scenarios']:.0f} | {100 * row['scenario_sd']:.0f} | {percent(row['items alone'])} | "
        f"{percent(row['go'])} | {percent(row['clusters covers'])} |"
        for row in rows
    ]
    table = "\n".join(lines)
    return f"""
## Scenarios

The gain may differ from scenario to scenario though it is 0 on average. A test over items takes the luck of these
scenarios for evidence; t over scenarios does not. K = 10, no gain, false GO:

{table}
"""


def _recipes(figures: Figures) -> str:
    rows = rows_in(figures, "recipes")
    shown = [row for row in rows if row["draws"] == 10 and row["scenarios"] == 1]
    heads = ("n", "runs an arm", "seed sd in points", "items alone", "runs alone (Welch)", "both of these",
             "the gate (crossed)", "95% interval covers")  # fmt: skip
    lines = [f"| {' | '.join(heads)} |", _rule(len(heads))]
    lines += [
        f"| {row['n']:.0f} | {row['seeds']:.0f} | {100 * row['seed_sd']:.0f} | {percent(row['items alone'])} | "
        f"{percent(row['runs alone'])} | {percent(row['items and runs alone'])} | {percent(row['go'])} | "
        f"{percent(row['recipe covers'])} |"
        for row in shown
    ]
    table = "\n".join(lines)
    worst = max(rows, key=lambda row: row["items and runs alone"])
    many = [row for row in rows if row["scenarios"] > 1]
    fewer = [row for row in rows if row["scenarios"] == 1 and row["draws"] != 10]
    return f"""
## Recipes: three runs an arm or more

"This recipe is better" is a claim over training seeds. A test over items does not see their noise; Welch's t over runs
does not see that of the items. Asking for both is not enough either, where both noises are of a size: up to
{percent(worst["items and runs alone"])} ({told(worst)}). The gate crosses runs and items, so that their variances add.
K = 10, no gain, false GO:

{table}

With fewer draws, {len(fewer)} designs: {percent(min(row["go"] for row in fewer))} to
{percent(max(row["go"] for row in fewer))}. With five scenarios as well, {len(many)} designs:
{percent(min(row["go"] for row in many))} to {percent(max(row["go"] for row in many))}.
"""


def _checkpoint(figures: Figures) -> str:
    rows = rows_in(figures, "checkpoints")
    noise = sorted({row["seed_sd"] for row in rows})
    table = _pivot(
        rows,
        ("n",),
        across="seed_sd",
        values=noise,
        cell=lambda row: percent(row["go"]),
        head=lambda sd: f"seed sd {100 * sd:.0f} points",
    )
    return f"""
## One run an arm: what a checkpoint claim does not cover

With one run an arm the gate says "this checkpoint is better", and means it: a lucky seed is a better checkpoint. Who
reads it as "this recipe is better" is wrong this often, the recipes being the same (K = 10):

{table}

So the report never uses the second wording without three runs an arm.
"""


def _outcomes(figures: Figures) -> str:
    rows = rows_in(figures, "outcomes")
    gains = sorted({row["gain"] for row in rows})

    def cell(row: Row) -> str:
        return " / ".join(f"{100 * row[name]:.0f}" for name in ("go", "stop", "inconclusive"))

    table = _pivot(
        rows, ("n", "draws"), across="gain", values=gains, cell=cell, head=lambda gain: f"true gain {100 * gain:+.0f}"
    )
    return f"""
## What the gate says

GO / STOP / INCONCLUSIVE in percent, where 5 points are the smallest gain worth its cost:

{table}

At a true gain of exactly 5 points the one is as right as the other: the gain is real, and it is no more than the least
that is worth its cost.
"""


def _reads() -> str:
    return "The gate reads the latter." if Rule().bounds == "claim" else "The gate reads the former."


def _stops(figures: Figures) -> str:
    rows = rows_in(figures, "stops")
    lines = ["| design | bound over items | bound of the whole claim |", _rule(3, words=1)]
    for row in (row for row in rows if not row["of the claim"]):
        wide = [other for other in rows if other["of the claim"] and told(other) == told(row)]
        lines.append(f"| {told(row)} | {percent(row['stop'])} | {percent(wide[0]['stop']) if wide else ''} |")
    table = "\n".join(lines)
    return f"""
## A gain of exactly the smallest size, stopped

One upper bound in twenty should fall below the truth. The bound over items does so more often where runs or scenarios
add noise that it does not see; the bound of the whole claim (runs and items crossed, or t over scenarios) does not.
{_reads()} STOP at a true gain of 5 points:

{table}
"""


def _guards(figures: Figures) -> str:
    rows = rows_in(figures, "guards")
    places = list(dict.fromkeys((row["n"], row["seeds"], row["seed_sd"]) for row in rows))
    found = {(row["n"], row["seeds"], row["seed_sd"], row["falls"], row["of the claim"]): row["go"] for row in rows}

    def cells(place: tuple[float, float, float]) -> list[str]:
        shares = [found.get((*place, fall, wide)) for fall in (-0.05, 0.0) for wide in (0.0, 1.0)]
        return ["" if share is None else percent(share) for share in shares]

    heads = ("n", "runs an arm", "seed sd in points", "falls by 5: over items", "of the claim",
             "does not fall: over items", "of the claim")  # fmt: skip
    lines = [f"| {' | '.join(heads)} |", _rule(len(heads))]
    lines += [f"| {n:.0f} | {s:.0f} | {100 * sd:.0f} | {' | '.join(cells((n, s, sd)))} |" for n, s, sd in places]
    table = "\n".join(lines)
    return f"""
## A metric that must not worsen

A metric at 90% that must not fall by 5 points, beside a primary metric whose gain is sure: how often it is held to be
safe, when it falls by exactly that much (an error, 5% wanted), and when it does not fall (what is wanted). By the lower
bound over items, and by that of the whole claim. {_reads()}

{table}
"""


def _testable(figures: Figures) -> str:
    rows = rows_in(figures, "power")
    names: list[tuple[str, Callable[[Row], bool]]] = [
        ("items", lambda row: row["seeds"] == 1 and row["scenarios"] == 1),
        ("5 scenarios", lambda row: row["scenarios"] > 1),
        ("3 or 5 runs an arm", lambda row: row["seeds"] > 1),
    ]
    lines = ["| claim over | true gain | designs | lowest power | at | below 80% beyond chance |", _rule(6, words=1)]
    for name, mine in names:
        for gain in sorted({row["gain"] for row in rows}):
            found = [row for row in rows if mine(row) and row["gain"] == gain]
            if not found:
                continue
            worst = min(found, key=lambda row: row["go"])
            surely = sum(beyond(1 - row["go"], int(row["experiments"]), 1 - TARGET, len(rows)) for row in found)
            lines.append(
                f"| {name} | {100 * gain:+.0f} | {len(found)} | {percent(worst['go'])} (planned "
                f"{percent(worst['planned'])}) | {told(worst)} | {surely} |"
            )
    table = "\n".join(lines)
    return f"""
## Power where the planner says testable

Every design of the grid (n {", ".join(map(str, ITEMS))}; K {", ".join(map(str, DRAWS))}; base rates {BASES[0]:.0%} to
{BASES[-1]:.0%}) for which the planner promises 80% or more at the true gain, with 5 points as the smallest gain worth
its cost:

{table}
"""


def _intervals(figures: Figures) -> str:
    rows = rows_in(figures, "no gain", "gained")
    bands = ((0, 2), (2, 5), (5, 10), (10, 20), (20, 50), (50, 1000))
    lines = [
        "| items that differ, on average | designs | lowest | highest | below 93% | above 97% |",
        _rule(6, words=1),
    ]
    for low, high in bands:
        found = [row["items covers"] for row in rows if low <= row["differ"] < high]
        if found:
            below, above = sum(share < COVERED[0] for share in found), sum(share > COVERED[1] for share in found)
            span = f"{low} to {high}" if high < 1000 else f"{low} or more"
            lines.append(
                f"| {span} | {len(found)} | {percent(min(found))} | {percent(max(found))} | {below} | {above} |"
            )
    table = "\n".join(lines)
    return f"""
## Intervals

How often the 95% interval of the gain holds the true gain, in {len(rows)} designs (n 15 to 500; without a gain, and
with one of 10 points). What counts is how many items differ between the arms at all:

{table}

Below {FEW_DIFFER} differing items no interval of so few values can be right everywhere; this one is mostly too wide,
at times too narrow, and `compare` says so in its note.
"""


def _sizes(figures: Figures) -> str:
    rows = rows_in(figures, "sizes")
    lines = ["| design | `plan` prints | `stats.needed` | simulated | off |", _rule(5, words=1)]
    lines += [
        f"| {told(row)} | {row['plan prints']:.0f} | {row['needed']:.0f} | {row['simulated']:.1f} | {row['off']:+.1%} |"
        for row in rows
    ]
    table = "\n".join(lines)
    return f"""
## The planner's n

The number of items that gives 80% power: as `sluicegate plan` prints it, by `stats.needed`, and the one at which
simulation gets there. Up to {FEW_ITEMS} items both of them simulate, for there a formula asks for up to a sixth too
many where gains are lopsided or heavy-tailed.

{table}
"""


def _older(figures: Figures) -> str:
    rows, beside = rows_in(figures, "older"), rows_in(figures, "beside")
    ours = {(row["n"], row["draws"], row["gain"], row["attempts"]): row["go"] for row in beside}
    heads = ("n", "false GO, paired t", "unpaired t", "paired, 4 retries", "ours", "ours, 4 retries", "power, paired t",
             "unpaired t", "gain on one metric", "ours", "ours, K = 1")  # fmt: skip
    lines = [f"| {' | '.join(heads)} |", _rule(len(heads))]
    for n in sorted({row["n"] for row in rows}):
        paired, unpaired = (next(row for row in rows if row["n"] == n and row["paired"] == kind) for kind in (1.0, 0.0))
        cells = (
            paired["false_go"], unpaired["false_go"], paired["false_go_with_retries"], ours[n, 10, 0.0, 1],
            ours[n, 10, 0.0, 1 + RETRIES], paired["power"], unpaired["power"], paired["power_one"],
            ours[n, 10, 0.1, 1], ours[n, 1, 0.1, 1],
        )  # fmt: skip
        lines.append(f"| {n:.0f} | {' | '.join(percent(cell) for cell in cells)} |")
    table = "\n".join(lines)
    little = next(row["power"] for row in rows if row["n"] == 20 and not row["paired"])
    return f"""
## The older criterion beside it

"Average relative improvement over all metrics above 10%, and any metric's p below 0.05", simulated with seven metrics
graded in five steps, one answer an item, grades of one answer alike (correlation 0.5 of their normal scores), the same
items and arms as above. Retries are at the same thresholds there; ours are declared, and divide alpha. Power is at a
true gain of 10 points, on all seven metrics or on one; ours is for one primary metric, K = 10 draws.

{table}

With an unpaired test it finds {percent(little)} of the gains on all metrics at 20 items; with a paired one it takes any
of seven p for evidence, and every retry adds. `stages/older.json` has these rates for 1 to 10 metrics; the report shows
them where it shows the criterion.
"""


def _limits(figures: Figures) -> str:
    return """
## What this does not say

- The model is not your benchmark. Difficulties are Beta distributed, gains are spread over items as r says, and noise
  of seeds and scenarios is normal. With no gain the sign-flip test needs none of that, only that two like arms are
  alike; t over scenarios and the crossed test rest on it more, power and the planner's n entirely.
- A change that is worth nothing on average may still not be two like arms: where it helps nearly every item a little
  and harms a few a lot, and those few are rare enough to be missed by the test items, neither the sign-flip test nor t
  can know of them, and a GO is more frequent than alpha. More items mend it; looking at the samples lost shows it.
- Scenarios have as many items each here, give or take one. Where a few of them hold most of the items, t over scenarios
  has as few degrees of freedom, down to 1: it keeps its level and finds less than these tables and the planner say.
- Attempts are simulated as new experiments. Attempts on the same items are alike, which makes one GO among them rarer.
- Metrics that must not worsen stand in one table only; each is one more condition for a GO, so they lower the false GO
  and the power.
- RETRY is not simulated: invalid evidence is found by checks, not by chance.
"""


def _pivot(
    rows: Iterable[Row],
    keys: Sequence[str],
    *,
    across: str,
    values: Sequence[float],
    cell: Callable[[Row], str],
    head: Callable[[float], str],
) -> str:
    """A table with a line for each value of the keys and a column for each value of `across`."""
    found = {(*(row[key] for key in keys), row[across]): cell(row) for row in rows}
    names = [{"n": "n", "draws": "K"}[key] for key in keys]
    lines = [f"| {' | '.join((*names, *(head(value) for value in values)))} |", _rule(len(keys) + len(values))]
    for line in dict.fromkeys(place[:-1] for place in found):
        cells = [found.get((*line, value), "") for value in values]
        lines.append(f"| {' | '.join((*(f'{value:.0f}' for value in line), *cells))} |")
    return "\n".join(lines)


def _rule(columns: int, words: int = 0) -> str:
    """The line below a table's head: the first columns hold words, the others figures."""
    return "|" + " :--- |" * words + " ---: |" * (columns - words)
