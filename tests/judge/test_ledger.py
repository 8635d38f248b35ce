from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, MultipleResults, RuleBasedStateMachine, consumes, invariant, multiple, rule

from sluicegate.errors import UserError
from sluicegate.judge import ledger as module
from sluicegate.judge.ledger import Caps, Full, Kept, Ledger, Sums


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "deep" / "judge.sqlite")


def abandon(path: Path, call: int) -> None:
    """As if the process that reserved it had been killed long ago."""
    with closing(sqlite3.connect(path)) as base, base:
        base.execute("UPDATE calls SET at = '2020-01-01T00:00:00+00:00' WHERE id = ?", (call,))


def test_a_call_is_reserved_and_then_settled(ledger: Ledger) -> None:
    call = ledger.reserve("s", "r", 100, Caps(total=100))
    assert ledger.total() == Sums(live=100, calls=1)
    ledger.settle(call, 30, "paid", usage=(1, 2), reply="so")
    assert ledger.total() == Sums(spent=30, calls=1)
    assert ledger.kept("r") == Kept("so", 30)
    assert ledger.kept("q") is None


def test_a_cap_is_kept_to_the_last_nanodollar(ledger: Ledger) -> None:
    ledger.reserve("s", "r", 60, Caps(total=100))
    with pytest.raises(Full):
        ledger.reserve("s", "r", 41, Caps(total=100))
    ledger.reserve("s", "r", 40, Caps(total=100))
    assert ledger.total().committed == 100
    with pytest.raises(Full):
        ledger.reserve("s", "r", 1, Caps(total=100))
    ledger.reserve("s", "r", 0, Caps(total=100))


def test_both_caps_are_kept(ledger: Ledger) -> None:
    caps = Caps(account=50, total=80)
    ledger.reserve("a", "r", 50, caps)
    with pytest.raises(Full, match="of a"):
        ledger.reserve("a", "r", 1, caps)
    with pytest.raises(Full, match="in all"):
        ledger.reserve("b", "r", 31, caps)
    ledger.reserve("b", "r", 30, caps)
    assert [(row.account, row.live) for row in ledger.sums()] == [("a", 50), ("b", 30)]


def test_a_lowered_cap_refuses_and_a_raised_one_allows(ledger: Ledger) -> None:
    ledger.settle(ledger.reserve("s", "r", 50, Caps(total=50)), 50, "paid")
    with pytest.raises(Full):
        ledger.reserve("s", "r", 0, Caps(total=10))
    ledger.reserve("s", "r", 50, Caps(total=100))


def test_refusals_say_whether_waiting_helps(ledger: Ledger) -> None:
    call = ledger.reserve("s", "r", 60, Caps(total=100))
    with pytest.raises(Full) as caught:
        ledger.reserve("s", "r", 50, Caps(total=100))
    assert caught.value.waits
    with pytest.raises(Full) as caught:
        ledger.reserve("s", "r", 101, Caps(total=100))
    assert not caught.value.waits
    ledger.settle(call, 60, "worst")
    with pytest.raises(Full) as caught:
        ledger.reserve("s", "r", 50, Caps(total=100))
    assert not caught.value.waits


def test_a_reservation_of_the_dead_counts_until_the_user_releases_it(ledger: Ledger) -> None:
    call = ledger.reserve("s", "r", 60, Caps(total=100))
    abandon(ledger.path, call)
    assert ledger.total() == Sums(stale=60, calls=1)
    with pytest.raises(Full) as caught:
        ledger.reserve("s", "r", 50, Caps(total=100))
    assert not caught.value.waits, "nobody will settle it"
    assert ledger.release() == 60
    assert ledger.release() == 0
    assert ledger.total() == Sums(calls=1)
    ledger.reserve("s", "r", 100, Caps(total=100))
    assert ledger.total().live == 100, "what is alive is not released"


def test_a_late_settlement_counts_after_a_release(ledger: Ledger) -> None:
    call = ledger.reserve("s", "r", 60, Caps(total=100))
    abandon(ledger.path, call)
    ledger.release()
    ledger.settle(call, 25, "paid")
    assert ledger.total().spent == 25


def test_a_call_is_settled_once(ledger: Ledger) -> None:
    call = ledger.reserve("s", "r", 60, Caps(total=100))
    ledger.settle(call, 60, "lost")
    ledger.settle(call, 0, "free")
    assert ledger.total() == Sums(spent=60, calls=1, failed=1, lost=60)


def test_more_than_was_reserved_cannot_be_charged(ledger: Ledger) -> None:
    call = ledger.reserve("s", "r", 10, Caps(total=100))
    with pytest.raises(UserError):
        ledger.settle(call, 11, "paid")
    assert ledger.total().live == 10


def test_a_process_is_told_from_a_later_one_of_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    now = datetime.now(UTC).isoformat()
    mine = module._owner_of(os.getpid())
    node, process, _ = mine.rsplit(":", 2)
    assert not module._gone(mine, now)
    assert module._gone(f"{node}:{process}:1.00", now)
    assert not module._gone("another-machine:1:0.00", now)
    assert module._gone("another-machine:1:0.00", "2020-01-01T00:00:00+00:00")
    child = subprocess.Popen([sys.executable, "-c", ""])
    born = module._owner_of(child.pid)
    child.wait()
    assert module._gone(born, now)


BROKEN = {
    "text": b"a letter to somebody\n" * 100,
    "a torn database": b"SQLite format 3\x00" + b"\x00" * 500,
    "zeros": b"\x00" * 8192,
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_no_ledger_is_refused_as_it_is(tmp_path: Path, case: str) -> None:
    path = tmp_path / "judge.sqlite"
    path.write_bytes(BROKEN[case])
    with pytest.raises(UserError, match="not a judge's ledger, or damaged"):
        Ledger(path)
    assert path.read_bytes() == BROKEN[case]


def test_another_database_and_another_version_are_refused(tmp_path: Path, ledger: Ledger) -> None:
    other = tmp_path / "other.sqlite"
    with closing(sqlite3.connect(other)) as base, base:
        base.execute("CREATE TABLE mine (a)")
    with pytest.raises(UserError, match="another database"):
        Ledger(other)
    with closing(sqlite3.connect(ledger.path)) as base, base:
        base.execute("PRAGMA user_version = 99")
    with pytest.raises(UserError, match="version 99"):
        Ledger(ledger.path)


def test_a_folder_a_missing_file_and_a_file_in_the_way_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be used"):
        Ledger(tmp_path)
    with pytest.raises(UserError, match="not found"):
        Ledger(tmp_path / "none.sqlite", new=False)
    assert not (tmp_path / "none.sqlite").exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        Ledger(tmp_path / "file" / "judge.sqlite")


def test_a_file_that_became_damaged_allows_nothing(ledger: Ledger) -> None:
    ledger.path.write_bytes(b"x" * 5000)
    with pytest.raises(UserError):
        ledger.reserve("s", "r", 1, Caps(total=100))


class Interleaved(RuleBasedStateMachine):
    """Workers in any order: they reserve, settle, are killed; users release and change caps."""

    calls: Bundle[tuple[int, int]] = Bundle("calls")

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        path = Path(self._folder.name) / "judge.sqlite"
        self.workers = [Ledger(path), Ledger(path), Ledger(path)]
        self.cap, self.most, self.billed = 1000, 1000, 0

    def teardown(self) -> None:
        self._folder.cleanup()

    @rule(target=calls, worker=st.integers(0, 2), account=st.sampled_from("ab"), worst=st.integers(0, 400))
    def reserve(self, worker: int, account: str, worst: int) -> tuple[int, int] | MultipleResults[tuple[int, int]]:
        before = self.workers[0].total().committed
        try:
            call = self.workers[worker].reserve(account, "r", worst, Caps(account=700, total=self.cap))
        except Full:
            assert before + worst > self.cap or self.workers[0].of(account).committed + worst > 700
            return multiple()
        return call, worst

    @rule(call=consumes(calls), worker=st.integers(0, 2), share=st.floats(0, 1))
    def settle(self, call: tuple[int, int], worker: int, share: float) -> None:
        charged = int(call[1] * share)
        self.billed += charged
        self.workers[worker].settle(call[0], charged, "paid")

    @rule(call=consumes(calls), share=st.floats(0, 1))
    def killed(self, call: tuple[int, int], share: float) -> None:
        self.billed += int(call[1] * share)
        abandon(self.workers[0].path, call[0])

    @rule(cap=st.integers(0, 2000))
    def change_cap(self, cap: int) -> None:
        self.cap = cap
        self.most = max(self.most, cap)

    @invariant()
    def never_above_the_highest_cap_that_was_given(self) -> None:
        total = self.workers[1].total()
        assert self.billed <= total.committed <= self.most
        assert all(row.committed <= 700 for row in self.workers[2].sums())


TestInterleaved = Interleaved.TestCase
TestInterleaved.settings = settings(
    max_examples=20, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)


@pytest.mark.process
def test_threads_at_once_never_pass_the_cap_and_use_it_up(ledger: Ledger) -> None:
    """Each thread takes an uneven part; at every moment the sum of what they hold is below the cap."""
    lock, held, most = threading.Lock(), 0, 0

    def work(seed: int) -> None:
        nonlocal held, most
        chance = random.Random(seed)  # noqa: S311
        for _ in range(12):
            worst = chance.randrange(1, 100)
            try:
                call = ledger.reserve("s", "r", worst, Caps(total=1000))
            except Full:
                continue
            with lock:
                held += worst
                most = max(most, held)
            charged = chance.randrange(worst + 1)
            with lock:  # before the ledger is told: so `held` is never more than what it counts
                held -= worst - charged
            ledger.settle(call, charged, "paid")

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    total = ledger.total()
    assert total.committed == total.spent == held
    assert 500 < most <= 1000


PAYER = """
import os, random, sys, time
from datetime import UTC, datetime
from pathlib import Path
from sluicegate.judge import ledger as module
from sluicegate.judge.ledger import Caps, Full, Ledger
module.SYNCHRONOUS = "OFF"  # a kill is no power cut
ledger, bill, seed = Ledger(Path(sys.argv[1])), os.open(sys.argv[2], os.O_WRONLY | os.O_APPEND), int(sys.argv[3])
chance = random.Random(seed)
print("ready", flush=True)
while True:
    worst = chance.randrange(1, 50)
    try:
        call = ledger.reserve("s", "r", worst, Caps(total=3000))
    except Full as fault:
        if not fault.waits:
            break
        time.sleep(0.01)
        continue
    charged = chance.randrange(worst + 1)
    os.write(bill, b"%d\\n" % charged)  # the provider bills it, whatever becomes of us
    ledger.settle(call, charged, "paid")
"""


def payers(path: Path, bill: Path, seeds: range) -> list[subprocess.Popen[str]]:
    argv = [sys.executable, "-c", PAYER, str(path), str(bill)]
    return [subprocess.Popen([*argv, str(seed)], stdout=subprocess.PIPE, text=True) for seed in seeds]


@pytest.mark.process
def test_processes_that_are_killed_never_pass_the_cap_and_others_go_on(ledger: Ledger, tmp_path: Path) -> None:
    """Kill -9 in the middle of paying, twice over; the bill is never above the ledger, nor that above the cap."""
    bill, chance = tmp_path / "bill", random.Random(7)  # noqa: S311
    bill.write_text("")
    for round_ in range(2):
        children = payers(ledger.path, bill, range(3 * round_, 3 * round_ + 3))
        for child in children:
            assert child.stdout is not None
            child.stdout.readline()
        until = time.monotonic() + 0.3
        while time.monotonic() < until:
            assert ledger.total().committed <= 3000
        for child in children:
            time.sleep(chance.random() / 50)
            os.kill(child.pid, signal.SIGKILL)
            child.communicate()
    total = ledger.total()
    assert total.live == 0
    assert billed(bill) <= total.committed <= 3000
    for child in payers(ledger.path, bill, range(100, 101)):
        child.communicate(timeout=240)
        assert child.returncode == 0
    total = ledger.total()
    assert billed(bill) <= total.committed <= 3000
    assert total.committed > 3000 - 50, "the rest was used up after the kills"


def billed(bill: Path) -> int:
    return sum(int(line) for line in bill.read_text().splitlines())
