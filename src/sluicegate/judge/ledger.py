"""The ledger of a judge's money, in SQLite: reserved before a call, settled after it, never above the cap.

A call's worst case is reserved in one transaction that also looks at the caps (`BEGIN IMMEDIATE`, so that one process
at a time does), and the row stays reserved until the call is settled. A process that was killed in between leaves it
reserved: it counts as spent for ever, since nobody knows whether the call was billed, unless the user, who can read
the bill, releases it. A reply is kept in the transaction that settles its call, so none is paid for twice.

What it does not do: it holds the caps that its callers name, so somebody who raises a cap or removes the file spends
more; and it believes SQLite's locks, which some network file systems do not keep.
"""

from __future__ import annotations

import contextlib
import functools
import os
import platform
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import psutil

from sluicegate.errors import UserError
from sluicegate.judge.money import shown

APPLICATION, VERSION = 0x51D1CE, 1
BUSY_S = 120.0
"""How long a transaction waits for those of others."""
SYNCHRONOUS = "FULL"
"""A reservation is on the disk before its call is sent, so that a power cut does not forget it."""
STALE_AFTER = timedelta(minutes=30)
"""A reservation is of one try of one call, which takes minutes at most."""
How = Literal["paid", "worst", "lost", "free"]
"""How a call ended: its usage was believed; its usage was not, so it counts at its worst; it has no usable reply and
may have been billed, so it counts at its worst; it was refused before the model saw it, so it counts nothing."""
Usage = tuple[int | None, int | None]
"""Tokens of prompt and reply; None where they are not known."""
SCHEMA = """
CREATE TABLE calls (
    id INTEGER PRIMARY KEY,
    account TEXT NOT NULL,
    request TEXT NOT NULL,
    owner TEXT NOT NULL,
    at TEXT NOT NULL,
    reserved INTEGER NOT NULL CHECK (reserved >= 0),
    charged INTEGER CHECK (charged >= 0 AND charged <= reserved),
    how TEXT NOT NULL CHECK (how IN ('open', 'paid', 'worst', 'lost', 'free', 'released')),
    prompt_tokens INTEGER,
    completion_tokens INTEGER,
    CHECK ((how = 'open') = (charged IS NULL))
);
CREATE INDEX of_account ON calls (account, how, charged);
CREATE INDEX in_all ON calls (how, charged);
CREATE TABLE replies (request TEXT PRIMARY KEY, text TEXT NOT NULL, charged INTEGER NOT NULL);
"""


class Full(Exception):
    """The cap does not allow this call.

    Args:
        waits: whether calls that are in flight may leave enough when they are settled.
    """

    def __init__(self, told: str, *, waits: bool) -> None:
        super().__init__(told)
        self.waits = waits


@dataclass(frozen=True, slots=True)
class Caps:
    """The most that may be spent and reserved, in nanodollars; None for no such cap."""

    account: int | None = None
    total: int | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """A reply that was paid for, and what it cost in nanodollars."""

    text: str
    charged: int


@dataclass(frozen=True, slots=True)
class Sums:
    """What one account has used, in nanodollars.

    Args:
        spent: by calls that are settled.
        live: reserved for calls that are in flight.
        stale: reserved by processes that are gone; counts as spent.
        calls: that were begun.
        failed, doubted: calls at their worst: without a usable reply, and with a usage that was not believed.
        lost: nanodollars of the failed ones.
    """

    account: str = ""
    spent: int = 0
    live: int = 0
    stale: int = 0
    calls: int = 0
    failed: int = 0
    doubted: int = 0
    lost: int = 0

    @property
    def committed(self) -> int:
        """What counts against a cap."""
        return self.spent + self.live + self.stale


@functools.cache
def _owner_of(process: int) -> str:
    """This process, told apart from a later one of the same number."""
    return f"{platform.node()}:{process}:{psutil.Process(process).create_time():.2f}"


def _gone(owner: str, at: str) -> bool:
    """Whether who reserved will not settle: its process has ended, or it had longer than any call takes."""
    if datetime.now(UTC) - datetime.fromisoformat(at) > STALE_AFTER:
        return True
    node, process, born = owner.rsplit(":", 2)
    if node != platform.node():
        return False
    try:
        found = psutil.Process(int(process))
        return f"{found.create_time():.2f}" != born or found.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
    except psutil.Error:
        return False


class Ledger:
    """One ledger file; to be used by any number of threads and processes at once.

    Raises:
        UserError: it cannot be written, or is no ledger; nothing is spent then.
    """

    def __init__(self, path: Path, *, new: bool = True) -> None:
        self.path = path
        if not new and not path.is_file():
            raise UserError(f"{path}: not found", wanted="a judge's ledger", seen="no such file")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as fault:
            raise UserError(f"{path}: cannot be written", wanted="a writable folder", seen=str(fault)) from None
        with self._changing() if new else self._open() as base:
            found = tuple(base.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version"))
            if new and found == (0, 0) and not base.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                for statement in filter(str.strip, SCHEMA.split(";")):
                    base.execute(statement)
                base.execute(f"PRAGMA application_id = {APPLICATION}")
                base.execute(f"PRAGMA user_version = {VERSION}")
            elif found != (APPLICATION, VERSION):
                raise self._damaged(f"another database, of application {found[0]}, version {found[1]}")

    def reserve(self, account: str, request: str, worst: int, caps: Caps) -> int:
        """Reserve a call's worst case; the number of the call.

        Args:
            account: what it is for.
            request: digest of what is asked.
            worst: nanodollars, the most that it can cost.

        Raises:
            Full: spent + reserved + worst would pass a cap; nothing is reserved then.
        """
        owner = _owner_of(os.getpid())
        with self._changing() as base:
            if caps.account is not None:
                _refuse_above(caps.account, _sums(base, account), worst, f"of {account or 'this account'}")
            if caps.total is not None:
                _refuse_above(caps.total, _sums(base, None), worst, "in all")
            row = base.execute(
                "INSERT INTO calls (account, request, owner, at, reserved, how) VALUES (?, ?, ?, ?, ?, 'open')",
                (account, request, owner, datetime.now(UTC).isoformat(timespec="seconds"), worst),
            )
            assert row.lastrowid is not None  # noqa: S101 (an INSERT has one)
            return row.lastrowid

    def settle(
        self, call: int, charged: int, how: How, *, usage: Usage = (None, None), reply: str | None = None
    ) -> None:
        """End a call: what it cost, and the reply to keep.

        Args:
            charged: nanodollars, at most what was reserved.
            usage: prompt and completion tokens, where the server's counts were believed.
            reply: a usable one; it is kept for every later call of the same request.
        """
        with self._changing() as base:
            base.execute(
                "UPDATE calls SET charged = ?, how = ?, prompt_tokens = ?, completion_tokens = ? WHERE id = ? "
                "AND how IN ('open', 'released')",
                (charged, how, *usage, call),
            )
            if reply is not None:
                base.execute(
                    "INSERT OR IGNORE INTO replies SELECT request, ?, ? FROM calls WHERE id = ?", (reply, charged, call)
                )

    def kept(self, request: str) -> Kept | None:
        """The reply to a request that was paid for before."""
        with self._open() as base:
            row = base.execute("SELECT text, charged FROM replies WHERE request = ?", (request,)).fetchone()
        return Kept(*row) if row else None

    def sums(self) -> list[Sums]:
        """Each account's, by name."""
        with self._open() as base:
            accounts = [row[0] for row in base.execute("SELECT DISTINCT account FROM calls ORDER BY account")]
            return [_sums(base, account) for account in accounts]

    def total(self) -> Sums:
        """Of all accounts."""
        with self._open() as base:
            return _sums(base, None)

    def of(self, account: str) -> Sums:
        """One account's."""
        with self._open() as base:
            return _sums(base, account)

    def release(self) -> int:
        """Count what processes that are gone had reserved as not spent; nanodollars that are free again.

        Only the user can know that: from the provider's bill.
        """
        with self._changing() as base:
            rows = base.execute("SELECT id, owner, at, reserved FROM calls WHERE how = 'open'").fetchall()
            gone = [(call, reserved) for call, owner, at, reserved in rows if _gone(owner, at)]
            for call, _ in gone:
                base.execute("UPDATE calls SET charged = 0, how = 'released' WHERE id = ?", (call,))
        return sum(reserved for _, reserved in gone)

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """A connection of one use: none is shared by threads or inherited by a fork."""
        try:
            with contextlib.closing(sqlite3.connect(self.path, timeout=BUSY_S, isolation_level=None)) as base:
                yield base
        except sqlite3.OperationalError as fault:
            raise UserError(
                f"{self.path}: the ledger cannot be used; nothing more is spent",
                wanted="a writable file on a local disk with free space",
                seen=str(fault),
                mend=f"check `df -h {self.path.parent}` and `ls -ld {self.path.parent}`",
            ) from None
        except sqlite3.DatabaseError as fault:
            raise self._damaged(str(fault)) from None

    @contextlib.contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        """One transaction, the only one that writes; undone as a whole where the block does not end."""
        with self._open() as base:
            base.execute(f"PRAGMA synchronous = {SYNCHRONOUS}")
            base.execute("BEGIN IMMEDIATE")
            try:
                yield base
            except BaseException:
                base.execute("ROLLBACK")
                raise
            base.execute("COMMIT")

    def _damaged(self, seen: str) -> UserError:
        return UserError(
            f"{self.path}: not a judge's ledger, or damaged; nothing was spent",
            wanted="the ledger as this version wrote it",
            seen=seen,
            mend="restore it from a copy, or name another file in JUDGE_LEDGER (which knows of nothing spent)",
        )


def _refuse_above(cap: int, sums: Sums, worst: int, name: str) -> None:
    if sums.committed + worst <= cap:
        return
    reserved = f", {shown(sums.live + sums.stale)} reserved" if sums.live + sums.stale else ""
    told = f"a call may cost {shown(worst)}; {shown(sums.spent)} spent{reserved} of {shown(cap)} {name}"
    raise Full(told, waits=sums.spent + sums.stale + worst <= cap)


def _sums(base: sqlite3.Connection, account: str | None) -> Sums:
    """Of one account, or of all."""
    where, asked = ("TRUE", ()) if account is None else ("account = ?", (account,))
    ended = base.execute(
        f"SELECT how, count(*), sum(charged) FROM calls WHERE {where} AND how != 'open' GROUP BY how",  # noqa: S608
        asked,
    ).fetchall()
    opened = base.execute(f"SELECT owner, at, reserved FROM calls WHERE {where} AND how = 'open'", asked).fetchall()  # noqa: S608
    counts = {how: (count, charged) for how, count, charged in ended}
    stale = sum(reserved for owner, at, reserved in opened if _gone(owner, at))
    return Sums(
        account=account or "",
        spent=sum(charged for _, charged in counts.values()),
        live=sum(reserved for *_, reserved in opened) - stale,
        stale=stale,
        calls=sum(count for count, _ in counts.values()) + len(opened),
        failed=counts.get("lost", (0, 0))[0],
        doubted=counts.get("worst", (0, 0))[0],
        lost=counts.get("lost", (0, 0))[1],
    )
