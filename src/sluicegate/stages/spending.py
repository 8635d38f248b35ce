"""What judging and machines cost, stage by stage: spent, reserved, forecast; from ledgers and run folders.

Only reading, but for `release`, which counts what killed processes had reserved as not spent.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sluicegate import folder, study
from sluicegate.errors import UserError
from sluicegate.judge.ledger import Ledger, Sums
from sluicegate.judge.money import nano, shown
from sluicegate.judge.settings import FILE
from sluicegate.stages.budget import machine_dollars
from sluicegate.stages.forecast import machines
from sluicegate.stages.forecast.cost import quantities
from sluicegate.stages.forecast.figures import dollars, ranged
from sluicegate.stages.forecast.layout import lay_out
from sluicegate.stages.forecast.measured import before
from sluicegate.stages.forecast.records import Quantity
from sluicegate.stages.forecast.work import texts, work
from sluicegate.stages.plan import STAGES, Plan, resolve
from sluicegate.study import Study

STAGE = re.compile(r"stage(\d)-")
DEPTH = 3
"""How many folders below a study's a ledger may lie."""
HEADS = ("stage", "judging", "machines", "reserved", "forecast", "budget")


@dataclass(frozen=True, slots=True)
class Place:
    """The folder of one study, or of scores that belong to none.

    Args:
        study: where it was named; else it is read from the newest run folder, if there is one.
    """

    path: Path
    ledgers: tuple[Path, ...]
    study: Study | None = None


@dataclass(frozen=True, slots=True)
class Account:
    """One account of one ledger; `stage` is None where no stage spent it."""

    stage: int | None
    sums: Sums


def command(where: str, runs: Path, *, release: bool = False) -> str:
    """The costs of everything at `where`, as text.

    Args:
        where: a ledger, a folder of runs, or a study by its name or file, whose runs lie under `runs`.
        release: first count what killed processes had reserved as not spent.

    Raises:
        UserError: there is neither a ledger nor a run folder, or one of them cannot be read.
    """
    places = list(_places(where, runs))
    if not places:
        raise UserError(
            f"{where}: nothing was spent here",
            wanted=f"a ledger ({FILE}), a folder of runs, or a study",
            seen="no ledger and no run folder in it" if Path(where).exists() else "no such file or folder",
        )
    return "\n\n".join(_section(place, release=release) for place in places)


def _places(where: str, runs: Path) -> Iterator[Place]:
    path = Path(where)
    if path.is_file() and path.suffix not in {".yaml", ".yml"}:
        yield Place(path.parent, (path,))
    elif path.is_dir() and _is_study(path):
        yield Place(path, _ledgers(path, DEPTH))
    elif path.is_dir():
        yield from (Place(path, own) for own in [_ledgers(path, 0)] if own)
        for below in sorted(below for below in path.iterdir() if below.is_dir()):
            inside = _ledgers(below, DEPTH)
            if inside or _is_study(below):
                yield Place(below, inside)
    elif path != runs:
        known = study.load(where)
        yield Place(runs / known.name, _ledgers(runs / known.name, DEPTH), known)


def _is_study(place: Path) -> bool:
    return any(path.is_dir() for path in _below(place, "stage[0-9]-*"))


def _ledgers(place: Path, depth: int) -> tuple[Path, ...]:
    found: list[Path] = []
    for here, folders, files in os.walk(place, followlinks=True):
        if len(Path(here).relative_to(place).parts) == depth:
            folders.clear()
        found += [Path(here, FILE)] if FILE in files else []
    return tuple(sorted(path for path in found if path.is_file()))


def _below(place: Path, pattern: str) -> list[Path]:
    """What lies there; a folder that goes away while it is looked at, or shows nothing, has nothing."""
    with contextlib.suppress(OSError):
        return sorted(place.glob(pattern))
    return []


def _section(place: Place, *, release: bool) -> str:
    """One study's table, and what is to be known of its calls."""
    ledgers = [Ledger(path, new=False) for path in place.ledgers]
    freed = sum(ledger.release() for ledger in ledgers) if release else 0
    accounts = [Account(_stage_of(ledger.path, sums), sums) for ledger in ledgers for sums in ledger.sums()]
    known = place.study or _newest_study(place.path)
    numbers = range(len(STAGES)) if known else sorted({row.stage for row in accounts if row.stage is not None})
    rows = [_row(place.path, number, accounts, known) for number in numbers]
    if by_hand := [row.sums for row in accounts if row.stage is None]:
        rows.append(("by hand", *_spent(by_hand, 0), "", ""))
    sums = [row.sums for row in accounts]
    hours = sum(_machines(path) for number in numbers for path in _attempts(place.path, number))
    rows.append(("in all", *_spent(sums, hours), "", ""))
    return "\n".join([str(place.path), *_table([HEADS, *rows]), *_notes(sums, freed, released=release)])


def _stage_of(ledger: Path, sums: Sums) -> int | None:
    """By the account's name, else by the run folder that the ledger lies in."""
    found = next(filter(None, map(STAGE.match, (sums.account, *reversed(ledger.parts)))), None)
    return int(found[1]) if found else None


def _attempts(place: Path, number: int) -> list[Path]:
    return [path for path in _below(place, f"stage{number}-*") if path.is_dir()]


def _newest_study(place: Path) -> Study | None:
    """As the newest run folder has it; None where none can be read."""
    found = _below(place, f"stage[0-9]-*/{folder.STUDY}")
    found.sort(key=lambda path: path.parent.name.partition("-")[2])
    for path in reversed(found):
        with contextlib.suppress(UserError):
            return study.load(path)
    return None


def _machines(attempt: Path) -> int:
    """Nanodollars of the machines, for the seconds of an attempt's steps; what it does not tell is 0."""
    with contextlib.suppress(UserError):
        if (attempt / "steps.json").exists():
            seconds = folder.Steps(attempt / "steps.json").seconds()
            return nano(round(machine_dollars(study.load(attempt / folder.STUDY), seconds), 9))
    return 0


Cells = tuple[str, ...]


def _row(place: Path, number: int, accounts: Sequence[Account], known: Study | None) -> Cells:
    """One stage: what its attempts spent, and what one attempt is forecast to."""
    sums = [row.sums for row in accounts if row.stage == number]
    spent = _spent(sums, sum(_machines(path) for path in _attempts(place, number)))
    if known is None:
        return (f"{number}", *spent, "", "")
    plan = resolve(known, number)
    expected = ranged(_forecast(known, plan, place.parent))
    return (f"{number} {STAGES[number].name}", *spent, expected, dollars(plan.dollars))


def _forecast(known: Study, plan: Plan, runs: Path) -> Quantity:
    """The dollars of a stage, as `sluicegate plan` has them."""
    number = plan.stage.number
    asked = work(known, plan, texts(known, plan))
    stage = lay_out(known, plan, asked, machines.of(known), before(runs, known.name, number))
    return next(row for row in quantities(stage) if row.name == "dollars")


def _spent(sums: Sequence[Sums], hours: int) -> Cells:
    """Judging, machines (given in nanodollars), reserved."""
    return (
        shown(sum(row.spent for row in sums)),
        shown(hours),
        shown(sum(row.live + row.stale for row in sums)),
    )


def _table(rows: Sequence[Cells]) -> list[str]:
    wide = [max(len(row[column]) for row in rows) for column in range(len(HEADS))]
    sides = "<>>>>>"
    return [
        "  ".join(f"{text:{side}{width}}" for text, side, width in zip(row, sides, wide, strict=True)).rstrip()
        for row in rows
    ]


def _notes(sums: Sequence[Sums], freed: int, *, released: bool) -> Iterator[str]:
    """What stands behind the figures, where there is something to say."""
    failed, doubted = sum(row.failed for row in sums), sum(row.doubted for row in sums)
    lost, stale = sum(row.lost for row in sums), sum(row.stale for row in sums)
    if calls := sum(row.calls for row in sums):
        yield f"calls: {calls}"
    if failed:
        yield f"without a usable reply: {failed}, counted at their worst case, {shown(lost)}"
    if doubted:
        yield f"with a usage that is missing or cannot be true: {doubted}, counted at their worst case"
    if stale:
        yield (
            f"reserved by processes that are gone: {shown(stale)}, counts as spent. Where the provider's bill does not "
            "have these calls: sluicegate cost --release"
        )
    if released:
        yield f"released: {shown(freed)}"
