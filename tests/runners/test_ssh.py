"""The docker runner through SSH: which faults are told apart, and a connection that breaks in the middle."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import paramiko
import pytest

from runners.fake_engine import FakeEngine
from runners.ssh_host import DIAL, Host
from sluicegate.errors import UserError
from sluicegate.runners import Job, docker, engine
from sluicegate.runners.ssh import AwayError, known_hosts

pytestmark = pytest.mark.process


@pytest.fixture
def host(tmp_path: Path, fake: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    made = Host(tmp_path / "home", fake.path)
    monkeypatch.setenv("HOME", str(made.home))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.setattr(engine, "LONGEST_WAIT_S", 0.2)
    monkeypatch.setattr(docker, "LOOK_S", 0.2)
    yield made
    made.close()


def test_a_job_runs_through_it_and_the_users_config_counts(
    host: Host, fake: FakeEngine, make_job: Callable[..., Job]
) -> None:
    shown: list[str] = []
    job = make_job("print('there', flush=True)", host="ssh://tower")
    assert docker.run(job, shown.append).tail == "there"
    assert "there" in shown and fake.containers == {}
    assert set(host.asked) == {DIAL}


def test_a_connection_that_breaks_is_made_again(host: Host, fake: FakeEngine, make_job: Callable[..., Job]) -> None:
    shown: list[str] = []

    def show(line: str) -> None:
        shown.append(line)
        if line == "one":
            host.cut()
            (fake.steps()[0].folder / "go").touch()

    code = "print('one', flush=True)\nwhile not Path('go').exists(): time.sleep(0.02)\nprint('two', flush=True)"
    result = docker.run(make_job(code, host="ssh://tower"), show)
    assert (result.code, result.tail) == (0, "one\ntwo")
    assert [line for line in shown if line in {"one", "two"}] == ["one", "two"]
    assert len(fake.steps()) == 1


def fault(url: str) -> UserError:
    with pytest.raises(UserError) as told:
        engine.connect(url, "tower")
    return told.value


def test_a_host_key_that_is_not_known(host: Host) -> None:
    host.known(None)
    told = fault("ssh://tower")
    assert "is not known here" in told.what and f"ssh -p {host.port} somebody@127.0.0.1" in told.mend


def test_a_host_key_that_changed(host: Host) -> None:
    host.known(paramiko.ECDSAKey.generate())
    told = fault("ssh://tower")
    assert "another host key" in told.what and f"ssh-keygen -R '[127.0.0.1]:{host.port}'" in told.mend


def test_a_key_that_is_not_let_in(host: Host) -> None:
    told = fault("ssh://other@tower")
    assert "permission denied" in told.what and "ssh-copy-id" in told.mend


def test_a_key_with_a_passphrase(host: Host) -> None:
    host.user_key.write_private_key_file(str(host.home / ".ssh" / "key"), password="word")
    assert "ssh-add" in fault("ssh://tower").mend


def test_a_machine_that_is_off(host: Host) -> None:
    host.close()
    told = fault("ssh://tower")
    assert isinstance(told, AwayError) and "cannot be reached by SSH" in told.what


@pytest.mark.parametrize("url", ["ssh://", "ssh://tower:x", "ssh://user:word@tower"])
def test_a_host_that_is_none(host: Host, url: str) -> None:
    assert "ssh://[user@]host[:port]" in fault(url).wanted


@pytest.mark.parametrize(
    ("answer", "what", "may_come_back"),
    [
        ((127, "sh: 1: docker: not found"), "no docker command there", False),
        ((1, "'docker' is not recognized as an internal or external command"), "no docker command there", False),
        ((1, "permission denied while trying to connect to the Docker daemon socket"), "may not use", False),
        ((1, "Cannot connect to the Docker daemon at unix:///x. Is it running?"), "does not run", True),
    ],
)
def test_why_there_is_no_engine(host: Host, answer: tuple[int, str], what: str, may_come_back: bool) -> None:
    host.is_up, host.answer = False, answer
    told = fault("ssh://tower")
    assert what in told.what and told.seen == answer[1]
    assert isinstance(told, AwayError) is may_come_back


def test_files_of_known_hosts_are_the_users_and_the_systems() -> None:
    names = [str(path) for path in known_hosts("")]
    assert names == [str(Path.home() / ".ssh/known_hosts"), str(Path.home() / ".ssh/known_hosts2"),
                     "/etc/ssh/ssh_known_hosts"]  # fmt: skip


def test_a_default_key_is_tried_where_only_named_ones_are_wanted_and_none_is_named(host: Host) -> None:
    home = host.home / ".ssh"
    (home / "key").rename(home / "id_ecdsa")
    config = (home / "config").read_text().replace("  IdentityFile ~/.ssh/key\n", "")
    (home / "config").write_text(config)
    engine.connect("ssh://tower", "tower").close()
