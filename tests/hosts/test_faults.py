"""Faults while the tower trains for the laptop: afterwards everything is as if there had been none.

Each test prints the longest time between two steps of the training, and how long it took to go on.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from hosts.experiment import (
    ARMS,
    SAVE_EVERY,
    TRAIN,
    Laptop,
    Tower,
    begun_anew,
    longest_block,
    require_tracked,
    results,
    verdict,
)
from hosts.network import Hosts, end, until
from hosts.services import Mlflow, Tunnel

CUT_S = 30
SLOW = 0.1
"""Of a processor, for a training that is to outlast a minute."""
REDONE = [TRAIN, f"generate {ARMS[0]}"]
"""What a stage that begins anew with the control's training does on the tower."""
Settled = Callable[[float], None]


@pytest.fixture
def laptop(undisturbed: Laptop, tower: Tower, hosts: Hosts, mlflow: Mlflow, tmp_path: Path) -> Iterator[Laptop]:
    """The experiment, the control's training and what follows from it still to be done; all cables in."""
    yield begun_anew(undisturbed, tmp_path / "laptop")
    for host in ("tower", "server"):
        hosts.mend(host)
    mlflow.ensure()


@pytest.fixture
def settled(laptop: Laptop, undisturbed: Laptop, mlflow: Mlflow, request: pytest.FixtureRequest) -> Settled:
    """Requires the undisturbed results, all of them in MLflow once; prints what the fault cost."""

    def settle(goes_on_s: float) -> None:
        block = longest_block(laptop.attempt / "arms" / ARMS[0])
        usual = longest_block(undisturbed.attempt / "arms" / ARMS[0])
        told = f"longest block {block:.1f} s ({usual:.1f} s undisturbed), on after {goes_on_s:.1f} s"
        print(f"\n{request.node.name}: {told}")
        assert results(laptop.attempt) == results(undisturbed.attempt)
        assert decided(laptop.attempt) == decided(undisturbed.attempt)
        require_tracked(mlflow.client(), laptop.attempt)

    return settle


def trains(tower: Tower) -> None:
    """Wait until the control's training is behind its first checkpoint."""
    until("the training on tower", lambda: tower.trains(SAVE_EVERY + 3), 900)


def test_the_servers_cable_is_cut_for_a_minute(
    laptop: Laptop, tower: Tower, hosts: Hosts, tunnel: Tunnel, settled: Settled
) -> None:
    process = laptop.start()
    trains(tower)
    with tower.slowed(SLOW):
        hosts.cut("server")
        time.sleep(60)
        hosts.mend("server")
        seconds = tunnel.back()
    laptop.ends(process)
    assert tower.begun() == REDONE
    assert verdict(laptop.attempt)[1]["tracking_complete"] is True
    settled(seconds)


def test_the_servers_cable_is_cut_for_good(
    laptop: Laptop, tower: Tower, hosts: Hosts, tunnel: Tunnel, settled: Settled
) -> None:
    process = laptop.start()
    trains(tower)
    hosts.cut("server")
    laptop.ends(process)
    assert f"sluicegate sync {laptop.attempt.relative_to(laptop.folder)}" in laptop.said()
    assert verdict(laptop.attempt)[1]["tracking_complete"] is None
    hosts.mend("server")
    tunnel.back()
    settled(sent_later(laptop))
    assert tower.begun() == REDONE


@pytest.mark.parametrize("moment", ["start", "middle", "end"])
def test_mlflow_is_killed(moment: str, laptop: Laptop, tower: Tower, mlflow: Mlflow, settled: Settled) -> None:
    process = laptop.start()
    if moment == "start":
        until("the stage", lambda: "stage 1 micro" in laptop.said())
    elif moment == "middle":
        trains(tower)
    else:
        until("the last step", lambda: f"evaluate {ARMS[0]}" in laptop.said(), 900)
    mlflow.kill()
    if moment == "middle":
        mlflow.start()
    laptop.ends(process)
    mlflow.ensure()
    settled(sent_later(laptop))
    assert tower.begun() == REDONE


def test_the_towers_cable_is_cut_while_logs_are_streamed(
    laptop: Laptop, tower: Tower, hosts: Hosts, settled: Settled
) -> None:
    process = laptop.start()
    trains(tower)
    hosts.cut("tower")
    until("the news of it", lambda: "link lost" in laptop.said(), 60)
    time.sleep(CUT_S)
    hosts.mend("tower")
    seconds = until("the news that it is back", lambda: "tower: back after" in laptop.said())
    laptop.ends(process)
    assert tower.begun() == REDONE
    settled(seconds)


def test_the_towers_cable_is_cut_while_results_are_brought(
    laptop: Laptop, tower: Tower, hosts: Hosts, settled: Settled
) -> None:
    with hosts.slow("tower", "1mbit"):
        process = laptop.start()
        incoming = laptop.attempt / ".incoming"
        until("a file of the model", lambda: any(incoming.rglob("*.safetensors")), 900)
        assert not (laptop.attempt / "arms" / ARMS[0] / "result.json").exists()
        hosts.cut("tower")
        until("the news of it", lambda: "link lost" in laptop.said(), 60)
        time.sleep(5)
    hosts.mend("tower")
    seconds = until("the model", (laptop.attempt / "arms" / ARMS[0] / "result.json").exists)
    laptop.ends(process)
    assert tower.begun() == REDONE
    settled(seconds)


def test_the_container_is_killed(laptop: Laptop, tower: Tower, settled: Settled) -> None:
    process = laptop.start()
    trains(tower)
    tower.engine.docker("kill", tower.running())
    laptop.ends(process, code=10)
    settled(gone_on(laptop, tower))
    assert tower.begun() == [TRAIN, *REDONE]


def test_the_container_is_stopped(laptop: Laptop, tower: Tower, settled: Settled) -> None:
    process = laptop.start()
    trains(tower)
    tower.engine.docker("stop", "--time", "120", tower.running())
    laptop.ends(process, code=130)
    settled(gone_on(laptop, tower))
    assert tower.begun() == [TRAIN, *REDONE]


def test_the_container_runs_out_of_memory(laptop: Laptop, tower: Tower, settled: Settled) -> None:
    laptop.tower(memory_gib=0.1)
    laptop.run(code=10)
    assert "memory" in laptop.said()
    laptop.tower()
    begun = time.monotonic()
    process = laptop.start()
    until("the training on tower", lambda: tower.trains(1), 900)
    seconds = time.monotonic() - begun
    laptop.ends(process)
    settled(seconds)


def test_the_towers_disk_is_full(laptop: Laptop, tower: Tower, settled: Settled) -> None:
    process = laptop.start()
    trains(tower)
    with full(tower.engine.volumes):
        laptop.ends(process, code=10)
    settled(gone_on(laptop, tower))
    assert tower.begun() == [TRAIN, *REDONE]


def test_the_laptops_clock_is_an_hour_ahead(laptop: Laptop, tower: Tower, settled: Settled) -> None:
    if shutil.which("faketime") is None:
        pytest.skip("clock skew: needs faketime on PATH")
    seconds = laptop.run(before=("faketime", "--exclude-monotonic", "-f", "+1h"))
    assert tower.begun() == REDONE
    settled(seconds)


def test_the_laptops_process_is_killed_in_each_step(
    undisturbed: Laptop, tower: Tower, mlflow: Mlflow, tmp_path: Path
) -> None:
    laptop = Laptop(undisturbed.hosts, tmp_path / "laptop", undisturbed.environment)
    there = ["base", *(f"{verb} {arm}" for verb in ("train", "generate") for arm in ARMS)]
    steps = ["data", *there, *(f"evaluate {arm}" for arm in ARMS)]
    waited = {}
    for step in steps:
        begun = time.monotonic()
        process = laptop.start()
        until(step, partial(laptop.does, step), 900)
        waited[step] = time.monotonic() - begun
        end(process, signal.SIGKILL)
        if step not in there:
            time.sleep(3)  # its child finds that nobody reads what it says
    laptop.run()
    print("\nfrom the command to the next step:", ", ".join(f"{step} {s:.0f} s" for step, s in waited.items()))
    assert tower.begun() == there
    assert tower.engine.containers() == []
    assert results(laptop.attempt) == results(undisturbed.attempt)
    assert verdict(laptop.attempt) == verdict(undisturbed.attempt)
    require_tracked(mlflow.client(), laptop.attempt)


def sent_later(laptop: Laptop) -> float:
    """Send what is left; the seconds that it took."""
    begun = time.monotonic()
    assert "0 lines left unsent" in laptop.sync()
    return time.monotonic() - begun


def decided(attempt: Path) -> tuple[str, dict[str, bool | None]]:
    """Outcome and checks but for the one that the server's absence may show in, and which decides nothing."""
    outcome, checks = verdict(attempt)
    assert checks.pop("tracking_complete") in {True, None}
    return outcome, checks


def gone_on(laptop: Laptop, tower: Tower) -> float:
    """Give the same command again; the seconds until the training goes on, which it does from a checkpoint."""
    known = tower.steps()
    begun = time.monotonic()
    process = laptop.start()
    until("the training goes on", lambda: len(tower.steps()) > len(known), 900)
    seconds = time.monotonic() - begun
    laptop.ends(process)
    assert re.search(rf"{ARMS[0]}: going on from step [1-9]\d* of ", laptop.said())
    return seconds


@contextlib.contextmanager
def full(folder: Path) -> Iterator[None]:
    """While inside, the file system of a folder is full; it must be a small one of the test's own."""
    assert shutil.disk_usage(folder).total < 2**30, f"{folder} lies on a disk of the machine"
    filler = folder / "filler"
    try:
        with filler.open("wb", buffering=0) as stream, contextlib.suppress(OSError):
            while stream.write(bytes(2**20)) == 2**20:
                pass
        yield
    finally:
        filler.unlink()
