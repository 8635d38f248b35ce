"""The Docker engine of a machine: reached, why it cannot be, and reached again when the link was cut.

Every request is asked in a way that may be repeated, so a link that breaks in the middle costs nothing but time.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import time
from collections.abc import Callable
from typing import Any, TypeVar

from sluicegate.errors import Interrupted, UserError
from sluicegate.runners import Place
from sluicegate.runners.stopping import Stop

OLDEST_API = "1.41"
REQUEST_S = 30.0
"""A request that says nothing for so long is given up, and its link with it; a dead SSH link is found earlier."""
LONGEST_WAIT_S, NEWS_S, WAKE_S = 15.0, 60.0, 0.2
MOST_BREAKS = 8
"""A request that breaks off so often, although the engine can be reached, is given up."""
Found = TypeVar("Found")


class Link:
    """A connection to an engine that is opened again when it breaks.

    Args:
        show: is told when the link is lost, once a minute while it stays so, and when it is back.
        idle: is called again and again while it is waited for.

    Raises:
        UserError: the engine cannot be reached to begin with.
    """

    def __init__(self, place: Place, show: Callable[[str], None], stop: Stop, idle: Callable[[], object]) -> None:
        self.where = place.name
        self.cuts = 0
        """How often it was lost."""
        self._url, self._show, self._stop, self._idle = place.machine.host, show, stop, idle
        self._api: Any = connect(self._url, self.where)

    def call(self, action: Callable[[Any], Found]) -> Found:
        """What an action does with the SDK's client; done again from its beginning when the link breaks.

        Raises:
            docker.errors.APIError: the engine's answer. UserError: the way there is barred now. Interrupted: asked to
                stop, and the engine did not come back in time.
        """
        from docker.errors import APIError

        breaks = 0
        while True:
            try:
                return action(self._api)
            except APIError:
                raise
            except faults() as fault:
                breaks = 0 if self._reach_again(fault) else breaks + 1
                if breaks == MOST_BREAKS:
                    raise UserError(
                        f"{self.where}: answers, but breaks off at the same request again and again",
                        wanted="an engine and a link that carry it through",
                        seen=_one_line(fault),
                        mend="look at the log of Docker and of sshd there; the same command goes on",
                    ) from None
                self._wait(min(2.0 ** (breaks - 2), LONGEST_WAIT_S) if breaks > 1 else 0.0)

    def peek(self, action: Callable[[Any], object]) -> None:
        """Do something once that may fail: what matters is found out by `call`."""
        from docker.errors import APIError

        with contextlib.suppress(APIError, *faults()):
            action(self._api)

    def _reach_again(self, fault: Exception) -> bool:
        """Connect anew, however long that takes; whether it was away, and not only the connection gone."""
        from sluicegate.runners.ssh import AwayError

        self.cuts += 1
        self._api.close()
        started = told = time.monotonic()
        reason, wait = _one_line(fault), 0.0
        while True:
            self._wait(wait)
            try:
                self._api = connect(self._url, self.where)
            except AwayError as away:
                if not wait:
                    self._show(f"{self.where}: link lost ({reason}); what runs there goes on; waiting for it")
                elif time.monotonic() - told > NEWS_S:
                    told = time.monotonic()
                    self._show(f"{self.where}: away for {told - started:.0f} s: {away.what} ({away.seen})")
                wait = min(2 * wait or 1.0, LONGEST_WAIT_S)
            else:
                if wait:
                    self._show(f"{self.where}: back after {time.monotonic() - started:.0f} s")
                return wait > 0

    def _wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            time.sleep(WAKE_S)
            self._idle()
            if self._stop.overdue():
                raise Interrupted(f"{self.where} is away: what runs there goes on, and the same command rejoins it")

    def close(self) -> None:
        """Let go of the engine."""
        self._api.close()

    def __enter__(self) -> Link:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def faults() -> tuple[type[Exception], ...]:
    """What a broken link shows itself by."""
    import paramiko
    import requests
    import urllib3

    from sluicegate.runners.archive import CutError

    return (CutError, paramiko.SSHException, requests.RequestException, urllib3.exceptions.HTTPError, OSError, EOFError)


def _one_line(fault: Exception) -> str:
    import requests

    if isinstance(fault, requests.Timeout):
        return f"no answer for {REQUEST_S:g} s"
    if isinstance(fault, EOFError) or "RemoteDisconnected" in str(fault):
        return "the connection broke"
    return " ".join(str(fault).split())[:200] or type(fault).__name__


def require(where: str) -> None:
    """See that the packages are there.

    Raises:
        UserError: one is not installed.
    """
    missing = [name for name in ("docker", "paramiko") if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(
            f"{where}: runner docker",
            wanted="the packages docker and paramiko",
            seen=f"missing {', '.join(missing)}",
            mend="pip install 'sluicegate[docker]'",
        )


def connect(url: str, where: str) -> Any:
    """The SDK's client of an engine, at the newest version that both know.

    Args:
        url: of the engine; empty: the one that the docker command finds (DOCKER_HOST, the context in use, the socket).

    Raises:
        AwayError: no answer. UserError: the way there is barred.
    """
    url, tls = (url, None) if url else usual()
    return _through_ssh(url, where) if url.startswith("ssh://") else _direct(url, tls, where)


def usual() -> tuple[str, Any]:
    """The address and the TLS settings that the docker command would use."""
    import docker

    if os.environ.get("DOCKER_HOST"):
        told = docker.utils.kwargs_from_env()
        return str(told["base_url"]), told.get("tls")
    context = docker.ContextAPI.get_context(os.environ.get("DOCKER_CONTEXT") or None)
    if context is None:
        raise UserError("DOCKER_CONTEXT", wanted="a context of docker", seen=os.environ.get("DOCKER_CONTEXT", ""))
    return str(context.Host or "unix:///var/run/docker.sock"), context.TLSConfig


def _through_ssh(url: str, where: str) -> Any:
    from sluicegate.runners import ssh

    client = ssh.connect(url, where)

    def made(version: str) -> Any:
        import docker

        api = docker.APIClient(base_url="http://ssh:22", version=version, timeout=REQUEST_S)
        api.base_url = "http+docker://ssh"
        api.mount(api.base_url, ssh.Adapter(client, REQUEST_S))
        return api

    try:
        return _newest(made)
    except faults() as fault:
        why = ssh.why_no_engine(client, where)
        client.close()
        raise why from fault


def _direct(url: str, tls: Any, where: str) -> Any:
    import docker

    from sluicegate.runners.ssh import AwayError

    def made(version: str) -> Any:
        return docker.APIClient(base_url=url, version=version, timeout=REQUEST_S, tls=tls or False)

    try:
        return _newest(made)
    except (*faults(), docker.errors.DockerException) as fault:
        seen = _one_line(fault)
        if "Permission denied" in seen:
            raise UserError(
                f"{where}: you may not use the Docker engine at {url}",
                wanted="a member of the group docker",
                seen=seen,
                mend="sudo usermod -aG docker $USER, and log in anew",
            ) from None
        raise AwayError(
            f"{where}: no Docker engine answers at {url}",
            wanted="a running engine",
            seen=seen,
            mend="start Docker; or name the engine in the study file (machines.NAME.host), or in DOCKER_HOST",
        ) from None


def _newest(made: Callable[[str], Any]) -> Any:
    """A client of the newest version that the SDK and the engine know."""
    from docker.constants import DEFAULT_DOCKER_API_VERSION as OURS

    first = made(OURS)
    theirs = str(first.version(api_version=False)["ApiVersion"])
    if _number(theirs) >= _number(OURS):
        return first
    if _number(theirs) < _number(OLDEST_API):
        raise UserError("the Docker engine is too old", wanted=f"API {OLDEST_API}, that is Docker 20.10", seen=theirs)
    return made(theirs)


def _number(version: str) -> tuple[int, ...]:
    """A version as it compares.

    >>> _number("1.9") < _number("1.41")
    True
    """
    return tuple(int(part) for part in version.split("."))
