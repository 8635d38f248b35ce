"""The docker runner against an engine of our own making: files both ways, cut links, kills, refusals, rejoining."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from runners import fake_engine
from runners.fake_engine import FakeEngine
from sluicegate.errors import Interrupted, UserError
from sluicegate.folder import EVENTS
from sluicegate.runners import Job, docker, engine
from sluicegate.tracking.spool import Spool
from sluicegate.tracking.state import SENT

pytestmark = pytest.mark.process

MODEL = "home = Path(os.environ['OUT']); model = home / 'arms' / 'model'; model.mkdir(parents=True, exist_ok=True)\n"
WRITES = MODEL + (
    "print('read', (home / 'data' / 'in.txt').read_text().strip(), flush=True)\n"
    "(model / 'weights').write_text('w' * 1000)\n(model / 'result.json').write_text('{}')\n"
    "(model / 'checkpoints').mkdir(exist_ok=True)\n(model / 'checkpoints' / 'state').write_text('c')\n"
)
WAITS = "while not (home / 'go').exists(): time.sleep(0.02)\n"
SAVES = (
    "def save(*_):\n    (model / 'checkpoints').mkdir(exist_ok=True)\n"
    "    (model / 'checkpoints' / 'state').write_text('saved')\n    sys.exit(130)\n"
    "signal.signal(signal.SIGTERM, save)\nprint('ready', flush=True)\n"
)


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(docker, "LOOK_S", 0.2)
    monkeypatch.setattr(docker, "MIRROR_S", 0.2)
    monkeypatch.setattr(engine, "LONGEST_WAIT_S", 0.2)
    yield


def folder_of(job: Job) -> Path:
    assert job.files is not None
    return job.files.folder


def there(fake: FakeEngine, job: Job) -> Path:
    """The run folder on the other side."""
    return fake.made[0].folder / folder_of(job).name


def logged(job: Job) -> list[str]:
    """The lines of the log that containers wrote."""
    return [line for line in job.log.read_text().splitlines() if not line.startswith("container ")]


class Shown(list[str]):
    """What was shown; an event is set once a line holds a word."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting: list[tuple[str, threading.Event]] = []

    def __call__(self, line: str) -> None:
        self.append(line)
        for word, event in self._waiting:
            if word in line:
                event.set()

    def when(self, word: str, act: Callable[[], object]) -> threading.Thread:
        event = threading.Event()
        self._waiting.append((word, event))

        def wait() -> None:
            if event.wait(60):
                act()

        thread = threading.Thread(target=wait, daemon=True)
        thread.start()
        return thread

    @property
    def text(self) -> str:
        return "\n".join(self)


@pytest.fixture
def shown() -> Shown:
    return Shown()


class Killed(BaseException):
    """In place of a kill: nothing is tidied up."""


def dying_at(word: str) -> Callable[[str], None]:
    def die(line: str) -> None:
        if line == word:
            raise Killed

    return die


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_files_go_there_and_results_come_back(fake: FakeEngine, make_job: Callable[..., Job], shown: Shown) -> None:
    job = make_job(WRITES)
    result = docker.run(job, shown)
    model = folder_of(job) / "arms" / "model"
    assert result.code == 0
    assert result.tail == "read given" == logged(job)[0]
    assert (model / "weights").read_text() == "w" * 1000
    assert (model / "result.json").exists() and not (model / "checkpoints").exists()
    assert not (folder_of(job) / ".incoming").exists()
    assert fake.containers == {}
    assert next(iter(fake.volumes.values())) == {"sluicegate.study": "demo", "sluicegate.attempt": "stage1-x"}


def test_the_container_is_confined(fake: FakeEngine, make_job: Callable[..., Job], shown: Shown) -> None:
    bound = [{"source": "H:/data", "target": "/data"}, {"source": "hub", "target": "/cache", "read_only": False}]
    job = make_job(WRITES, mounts=bound, memory_gib=2, shm_gib=0.5, gpu="RTX 4070 Ti")
    docker.run(job, shown)
    config = fake.steps()[0].config
    host = config["HostConfig"]
    assert host["CapDrop"] == ["ALL"] and host["ReadonlyRootfs"] and host["Init"]
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert host["PidsLimit"] > 0 and host["Memory"] == host["MemorySwap"] == 2 * 2**30 and host["ShmSize"] == 2**29
    assert host["DeviceRequests"][0]["Capabilities"] == [["gpu"]]
    kinds = [(row["Type"], row["Source"], row["Target"], row["ReadOnly"]) for row in host["Mounts"]]
    assert kinds[1:] == [("bind", "H:/data", "/data", True), ("volume", "hub", "/cache", False)]
    assert "docker.sock" not in json.dumps(config)
    assert config["User"] == fake_engine.USER
    asking = next(one for one in fake.made if one.name.endswith("-ask")).config["HostConfig"]
    assert asking["NetworkMode"] == "none" and not asking.get("DeviceRequests")


def test_secrets_come_from_the_environment_and_nothing_else_does(
    fake: FakeEngine, make_job: Callable[..., Job], shown: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("OTHER", "x")
    job = make_job(WRITES, secrets=["HF_TOKEN"], env={"PLAIN": "1"})
    docker.run(job, shown)
    told = fake.steps()[0].config["Env"]
    assert {"HF_TOKEN=hf_secret", "PLAIN=1"} <= set(told) and not [word for word in told if word.startswith("OTHER")]
    assert "hf_secret" not in job.log.read_text() + shown.text
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(UserError, match="HF_TOKEN: not set"):
        docker.run(job, shown)
    assert fake.containers == {}


def test_only_what_differs_is_sent(fake: FakeEngine, make_job: Callable[..., Job], shown: Shown) -> None:
    job = make_job(WRITES)
    docker.run(job, shown)
    before = fake.asked.count("PUT archive")
    docker.run(job, shown)
    assert fake.asked.count("PUT archive") == before
    (folder_of(job) / "data" / "in.txt").write_text("changed\n")
    assert docker.run(job, shown).tail == "read changed"


def test_what_the_sender_here_writes_at_any_moment_does_not_travel(
    fake: FakeEngine, make_job: Callable[..., Job], shown: Shown
) -> None:
    job = make_job(MODEL + "print(sorted(path.name for path in home.rglob('*.*') if path.is_file()))\n")
    assert job.files is not None
    other, own = (folder_of(job) / "arms" / name for name in ("other", "model"))
    for folder in (other, own):
        folder.mkdir(parents=True)
        for name in ("run.json", EVENTS, SENT):
            (folder / name).write_text(folder.name)
    job = replace(job, files=replace(job.files, inputs=(*job.files.inputs, other)))
    told = docker.run(job, shown).tail
    assert told.count("run.json") == 2 and told.count(EVENTS) == 1 and SENT not in told
    assert (own / SENT).read_text() == "model"


def test_a_training_that_was_begun_here_goes_on_there(
    fake: FakeEngine, make_job: Callable[..., Job], shown: Shown
) -> None:
    job = make_job(MODEL + "print((model / 'checkpoints' / 'state').read_text())\n")
    begun = folder_of(job) / "arms" / "model" / "checkpoints"
    begun.mkdir(parents=True)
    (begun / "state").write_text("of here")
    assert docker.run(job, shown).tail == "of here"
    (begun / "state").write_text("older")
    assert docker.run(job, shown).tail == "of here"


@pytest.mark.parametrize(
    ("asked", "fault"),
    [
        ("GET json", fake_engine.drop),
        ("POST create", fake_engine.drop),
        ("POST create", fake_engine.late_drop),
        ("POST start", fake_engine.drop),
        ("POST start", fake_engine.late_drop),
        ("PUT archive", fake_engine.drop),
        ("PUT archive", fake_engine.late_drop),
        ("GET archive", fake_engine.drop),
        ("GET archive", fake_engine.cut_off),
        ("GET archive", fake_engine.damaged),
        ("GET logs", fake_engine.drop),
        ("GET logs", fake_engine.silent_end),
        ("DELETE container", fake_engine.late_drop),
    ],
)
def test_a_link_that_breaks_once_anywhere_changes_nothing(
    fake: FakeEngine, make_job: Callable[..., Job], shown: Shown, asked: str, fault: fake_engine.Fault
) -> None:
    """The later ones of the requests too: the fault strikes the first, the third and the fifth of its kind."""
    passes: fake_engine.Fault = lambda _: False  # noqa: E731
    fake.faults[asked] = [fault, passes, fault, passes, fault]
    job = make_job(WRITES)
    assert docker.run(job, shown).code == 0
    assert (folder_of(job) / "arms" / "model" / "weights").read_text() == "w" * 1000
    assert logged(job) == ["read given"]
    assert len(fake.steps()) == 1 and fake.containers == {}


def test_a_request_that_always_breaks_off_is_given_up(
    fake: FakeEngine, make_job: Callable[..., Job], shown: Shown
) -> None:
    fake.faults["PUT archive"] = [fake_engine.drop] * 20
    with pytest.raises(UserError, match="breaks off at the same request again and again"):
        docker.run(make_job(WRITES), shown)
    assert fake.asked.count("PUT archive") == engine.MOST_BREAKS
    assert fake.containers == {}


def test_a_cut_cable_is_waited_for(fake: FakeEngine, make_job: Callable[..., Job], shown: Shown) -> None:
    job = make_job(WRITES + "print('cut now', flush=True)\n" + WAITS + "print('after', flush=True)\n")

    def cut() -> None:
        fake.cut()
        (there(fake, job) / "go").touch()
        time.sleep(1.5)
        fake.mend()

    thread = shown.when("cut now", cut)
    assert docker.run(job, shown).code == 0
    thread.join()
    assert logged(job) == ["read given", "cut now", "after"]
    assert "tower: link lost" in shown.text and "tower: back after" in shown.text
    assert len(fake.steps()) == 1


def test_an_engine_that_is_restarted_takes_its_containers_along(
    fake: FakeEngine, make_job: Callable[..., Job], shown: Shown
) -> None:
    job = make_job(MODEL + "print('ready', flush=True)\ntime.sleep(60)")

    def restart() -> None:
        fake.cut()
        process = fake.steps()[0].process
        assert process is not None
        process.kill()
        time.sleep(1)
        fake.mend()

    thread = shown.when("ready", restart)
    result = docker.run(job, shown)
    thread.join()
    assert result.code == 137
    assert result.tail.startswith("ready\ntower: killed while its engine was away")
    assert fake.containers == {}


def test_one_that_runs_is_rejoined_and_no_line_is_lost_or_doubled(
    fake: FakeEngine, make_job: Callable[..., Job], shown: Shown
) -> None:
    job = make_job(WRITES + "print('second', flush=True)\n" + WAITS + "print('third', flush=True)\n")

    with pytest.raises(Killed):
        docker.run(job, dying_at("second"))
    assert fake.steps()[0].is_running
    (there(fake, job) / "go").touch()
    assert docker.run(job, shown).tail == "read given\nsecond\nthird"
    assert logged(job) == ["read given", "second", "third"]
    assert "rejoined" in shown.text or "collected" in shown.text
    assert len(fake.steps()) == 1


def test_one_that_ended_well_meanwhile_is_collected(
    fake: FakeEngine, make_job: Callable[..., Job], shown: Shown
) -> None:
    job = make_job(WRITES)
    fake.faults["GET archive"] = [fake_engine.refuse(500, "not now")] * 20
    with pytest.raises(UserError, match="not now"):
        docker.run(job, shown)
    fake.faults.clear()
    assert docker.run(job, shown).code == 0
    assert "collected" in shown.text
    assert (folder_of(job) / "arms" / "model" / "result.json").exists()
    assert len(fake.steps()) == 1


def test_one_that_failed_meanwhile_is_told_of_and_started_anew(
    fake: FakeEngine, make_job: Callable[..., Job], shown: Shown
) -> None:
    job = make_job(MODEL + "print('ready', flush=True)\n" + WAITS + "sys.exit(0 if (home / 'well').exists() else 3)")
    with pytest.raises(Killed):
        docker.run(job, dying_at("ready"))
    (there(fake, job) / "go").touch()
    while fake.steps()[0].state["Status"] == "running":
        time.sleep(0.02)
    (there(fake, job) / "well").touch()
    assert docker.run(job, shown).code == 0
    assert "had failed on tower with exit code 3: starts anew" in shown.text
    assert len(fake.steps()) == 2 and fake.containers == {}


def test_a_failure_is_a_result_and_nothing_stays(fake: FakeEngine, make_job: Callable[..., Job], shown: Shown) -> None:
    result = docker.run(make_job("print('bad', flush=True)\nsys.exit(2)"), shown)
    assert (result.code, result.tail) == (2, "bad")
    assert fake.containers == {}


def test_a_signal_stops_it_and_the_checkpoint_comes_back(
    fake: FakeEngine, make_job: Callable[..., Job], shown: Shown
) -> None:
    job = make_job(MODEL + SAVES + "time.sleep(60)")
    thread = shown.when("ready", interrupt)
    with pytest.raises(Interrupted):
        docker.run(job, shown)
    thread.join()
    assert (folder_of(job) / "arms" / "model" / "checkpoints" / "state").read_text() == "saved"
    assert fake.steps()[0].signals == [signal.SIGTERM]
    assert fake.containers == {}


def test_one_that_does_not_stop_is_killed(
    fake: FakeEngine, make_job: Callable[..., Job], shown: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docker, "GRACE_S", 0.5)
    job = make_job("signal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('ready', flush=True)\ntime.sleep(60)")
    thread = shown.when("ready", interrupt)
    with pytest.raises(Interrupted):
        docker.run(job, shown)
    thread.join()
    assert fake.steps()[0].signals == [signal.SIGTERM, signal.SIGKILL]
    assert "asked to stop, it did not in time and was killed" in shown.text


def test_a_signal_while_the_engine_is_away_leaves_it_running(
    fake: FakeEngine, make_job: Callable[..., Job], shown: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docker, "GRACE_S", 0.5)
    job = make_job("print('ready', flush=True)\ntime.sleep(60)")
    threads = [shown.when("ready", fake.cut), shown.when("link lost", interrupt)]
    with pytest.raises(Interrupted, match="tower is away: what runs there goes on"):
        docker.run(job, shown)
    for thread in threads:
        thread.join()
    assert fake.steps()[0].is_running


def test_a_budget_that_runs_out_stops_it(fake: FakeEngine, make_job: Callable[..., Job], shown: Shown) -> None:
    job = make_job(MODEL + SAVES + "time.sleep(60)")
    result = docker.run(job, shown, over=lambda: "ready" in shown)
    assert result.code == 130
    assert (folder_of(job) / "arms" / "model" / "checkpoints" / "state").read_text() == "saved"


def test_a_spool_is_seen_while_it_grows_but_no_artifact_before_its_file(
    fake: FakeEngine, make_job: Callable[..., Job], shown: Shown, tmp_path: Path
) -> None:
    spool = Spool(tmp_path / "told")
    spool.run("model", "demo")
    spool.metrics({"train/loss": 1.0}, 1)
    early = spool.path.read_bytes()
    (tmp_path / "told" / "weights").touch()
    spool.artifact(tmp_path / "told" / "weights", "model")
    spool.end("FINISHED")
    spool.close()
    code = f"told = {spool.path.read_bytes()!r}\n(model / {EVENTS!r}).write_bytes(told)\nprint('told', flush=True)\n"
    job = make_job(WRITES + code + WAITS)
    here = folder_of(job) / "arms" / "model" / EVENTS
    seen: list[bytes] = []

    def look() -> None:
        until = time.monotonic() + 30
        while not here.exists() and time.monotonic() < until:
            time.sleep(0.05)
        seen.append(here.read_bytes())
        (there(fake, job) / "go").touch()

    thread = shown.when("told", look)
    assert docker.run(job, shown).code == 0
    thread.join()
    assert seen == [early]
    assert here.read_bytes() == spool.path.read_bytes()


@pytest.mark.parametrize(
    "refusal",
    [
        ("POST start", 500, 'could not select device driver "" with capabilities: [[gpu]]', "containers get no GPU"),
        ("POST start", 404, 'exec: "python": executable file not found in $PATH', "cannot run python"),
        ("POST create", 400, "invalid mount config: bind source path does not exist: /srv", "a mount of the study"),
        ("POST start", 500, "write /x: no space left on device", "the disk of the engine is full"),
        ("PUT archive", 500, "write /x: no space left on device", "the disk of the engine is full"),
        ("POST start", 500, "something else", "does not run the step train model"),
    ],
)
def test_refusals_are_told_apart_and_leave_nothing_behind(
    fake: FakeEngine, make_job: Callable[..., Job], refusal: tuple[str, int, str, str]
) -> None:
    asked, status, said, expected = refusal

    def refuse(handler: fake_engine.Handler) -> bool:
        """The container that is asked for digests is let through."""
        name = handler.words[1] if handler.words[1] != "create" else handler.query.get("name", "-ask")
        return not handler.is_helper(name) and handler.give(status, {"message": said})

    fake.faults[asked] = [refuse] * 20
    with pytest.raises(UserError, match=expected) as told:
        docker.run(make_job(WRITES, gpu="RTX 4070 Ti"), print)
    assert said in told.value.seen
    assert fake.containers == {}


def test_a_missing_image_says_how_to_build_it(fake: FakeEngine, make_job: Callable[..., Job], shown: Shown) -> None:
    with pytest.raises(UserError, match="no image other") as told:
        docker.run(make_job(WRITES, image="other"), shown)
    assert "docker build -f Dockerfile.training -t other" in told.value.mend


def test_an_image_of_other_code_is_refused(fake: FakeEngine, make_job: Callable[..., Job], shown: Shown) -> None:
    fake.code("other")
    with pytest.raises(UserError, match="another version of this program"):
        docker.run(make_job(WRITES), shown)
    assert fake.containers == {}
    fake.images["llama3-training"]["Config"]["Labels"] = {"org.opencontainers.image.revision": "0" * 40}
    assert docker.run(make_job(WRITES), shown).code == 0
    assert "differs from the checkout's" in shown.text


def test_memory_and_other_kills_are_told_apart(fake: FakeEngine, make_job: Callable[..., Job], shown: Shown) -> None:
    def killed() -> None:
        process = fake.steps()[-1].process
        assert process is not None
        process.kill()

    def out_of_memory() -> None:
        fake.steps()[-1].state["OOMKilled"] = True
        killed()

    for act, expected in ((out_of_memory, "more memory than 2 GiB"), (killed, "not by us and not for memory")):
        said = Shown()
        thread = said.when("ready", act)
        result = docker.run(make_job("print('ready', flush=True)\ntime.sleep(60)", memory_gib=2), said)
        thread.join()
        assert result.code == 137
        assert expected in result.tail


def test_an_engine_that_is_not_there(make_job: Callable[..., Job], shown: Shown) -> None:
    with pytest.raises(UserError, match="no Docker engine answers"):
        docker.run(make_job(WRITES, host="unix:///none/such.sock"), shown)


def test_packages_that_are_missing(make_job: Callable[..., Job], shown: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError) as told:
        docker.run(make_job(WRITES), shown)
    assert "sluicegate[docker]" in told.value.mend


def test_an_older_engine_is_spoken_to_in_its_version(
    fake: FakeEngine, make_job: Callable[..., Job], shown: Shown
) -> None:
    fake.api = "1.41"
    assert docker.run(make_job(WRITES), shown).code == 0
    fake.api = "1.30"
    with pytest.raises(UserError, match="too old"):
        docker.run(make_job(WRITES), shown)


def test_files_that_never_arrive_whole_are_given_up(
    fake: FakeEngine, make_job: Callable[..., Job], shown: Shown
) -> None:
    fake.faults["GET archive"] = [fake_engine.damaged] * 20
    job = make_job(WRITES)
    with pytest.raises(UserError, match="arrives damaged"):
        docker.run(job, shown)
    assert not [path for path in (folder_of(job) / "arms").rglob("*") if path.is_file()]
    fake.faults.clear()
    assert docker.run(job, shown).code == 0
