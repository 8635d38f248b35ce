"""A Docker engine over SSH: a connection by paramiko, each request through `docker system dial-stdio` there.

The key of the host must be known; `~/.ssh/config` counts. A dead link is noticed by the kernel within `DEAD_S`.
"""

from __future__ import annotations

import contextlib
import logging
import re
import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import paramiko
from docker.transport import SSHHTTPAdapter
from paramiko.ssh_exception import BadHostKeyException, PasswordRequiredException

from sluicegate.errors import UserError

CONNECT_S, DEAD_S, KEEP_ALIVE_S = 10, 12, 4
DIAL = "docker version --format {{.Server.Version}}"
CONFIG, SYSTEM_KEYS = ".ssh/config", "/etc/ssh/ssh_known_hosts"


class AwayError(UserError):
    """The machine or its engine does not answer now, and may later."""


class Adapter(SSHHTTPAdapter):  # type: ignore[misc]
    """The SDK's way through SSH, over a connection that is open already."""

    def __init__(self, client: paramiko.SSHClient, timeout: float) -> None:
        self._open = client
        super().__init__("ssh://", timeout)

    def _create_paramiko_client(self, base_url: str) -> None:
        self.ssh_client = self._open

    def _connect(self) -> None:
        """Nothing: a connection that was lost is not opened again behind our back."""


def connect(url: str, where: str) -> paramiko.SSHClient:
    """An open connection to `ssh://[user@]host[:port]`.

    Raises:
        AwayError: the machine does not answer. UserError: its key is unknown or another, it does not let us in, or the
            URL is none.
    """
    logging.getLogger("paramiko").setLevel(logging.CRITICAL)
    told = _told(url, where)
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(paramiko.RejectPolicy())
    for path in known_hosts(told.pop("userknownhostsfile", "")):
        with contextlib.suppress(OSError, paramiko.SSHException):
            client.load_system_host_keys(str(path))
    try:
        client.connect(timeout=CONNECT_S, banner_timeout=CONNECT_S, auth_timeout=CONNECT_S, **told)
    except (paramiko.SSHException, OSError, EOFError) as fault:
        transport = client.get_transport()
        is_refused = transport is not None and transport.is_active() and transport.initial_kex_done
        client.close()
        raise _fault(fault, where, told, is_refused=is_refused) from None
    _keep_alive(client)
    return client


def _keep_alive(client: paramiko.SSHClient) -> None:
    """Say something now and then, and notice where it is not heard."""
    transport = client.get_transport()
    if transport is not None:
        transport.set_keepalive(KEEP_ALIVE_S)
        if isinstance(transport.sock, socket.socket):
            _notice_death(transport.sock)


def _told(url: str, where: str) -> dict[str, Any]:
    """What `connect` of paramiko is told, from the URL and from `~/.ssh/config`."""
    try:
        parts = urlsplit(url)
        name, port = parts.hostname or "", parts.port
    except ValueError:
        name, port = "", None
    if not name or parts.path not in {"", "/"} or parts.password:
        raise UserError(f"{where}: host", wanted="ssh://[user@]host[:port], without a password", seen=url)
    path = Path.home() / CONFIG
    said = paramiko.SSHConfig.from_path(str(path)).lookup(name) if path.is_file() else {"hostname": name}
    told: dict[str, Any] = {"hostname": said["hostname"], "port": port or int(said.get("port", 22))}
    told["username"] = parts.username or said.get("user")
    if keys := [key for key in said.get("identityfile", []) if Path(key).expanduser().is_file()]:
        told["key_filename"] = [str(Path(key).expanduser()) for key in keys]
    if said.get("identitiesonly") == "yes":
        told |= {"allow_agent": False, "look_for_keys": not keys}
    if command := _proxy(said, told):
        told["sock"] = paramiko.ProxyCommand(command)
    return told | {"userknownhostsfile": said.get("userknownhostsfile", "")}


def _proxy(said: Any, told: dict[str, Any]) -> str:
    """The command that the connection goes through; empty for a direct one."""
    jump = said.get("proxyjump", "none")
    if jump != "none":
        return f"ssh -W {told['hostname']}:{told['port']} {jump}"
    command = said.get("proxycommand", "none")
    return "" if command == "none" else str(command)


def known_hosts(said: str) -> list[Path]:
    """The files of known keys: those of the user, as OpenSSH's `UserKnownHostsFile` names them, and the system's.

    >>> [path.name for path in known_hosts("/a/one /a/two")]
    ['one', 'two', 'ssh_known_hosts']
    """
    own = said.split() or ["~/.ssh/known_hosts", "~/.ssh/known_hosts2"]
    return [Path(name).expanduser() for name in own] + [Path(SYSTEM_KEYS)]


def _notice_death(wire: socket.socket) -> None:
    """Have the kernel give the connection up once nothing was acknowledged for `DEAD_S`; where it can."""
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    options = {"TCP_USER_TIMEOUT": DEAD_S * 1000, "TCP_KEEPIDLE": KEEP_ALIVE_S, "TCP_KEEPINTVL": KEEP_ALIVE_S,
               "TCP_KEEPCNT": DEAD_S // KEEP_ALIVE_S}  # fmt: skip
    for name, value in options.items():
        if hasattr(socket, name):
            wire.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _fault(fault: Exception, where: str, told: dict[str, Any], *, is_refused: bool) -> UserError:
    """A failed connection in words, told apart by what the user can do about it.

    Args:
        is_refused: whether the connection stood, so that only the login can have failed; of several keys that were
            tried the fault tells of the last one only, and of nothing but its format in the worst case.
    """
    host, port = told["hostname"], told["port"]
    dial = f"ssh {'' if port == 22 else f'-p {port} '}{told['username'] + '@' if told['username'] else ''}{host}"
    known = host if port == 22 else f"'[{host}]:{port}'"
    seen = " ".join(str(fault).split())
    if isinstance(fault, BadHostKeyException):
        return UserError(
            f"{where}: {host} shows another host key than the known one",
            wanted="the machine that was there before",
            seen="a new installation, or somebody in between",
            mend=f"if you know why: ssh-keygen -R {known}, then once: {dial}",
        )
    if "not found in known_hosts" in seen:
        return UserError(
            f"{where}: the host key of {host} is not known here",
            wanted="a key in ~/.ssh/known_hosts",
            seen="none",
            mend=f"once, comparing the fingerprint: {dial}",
        )
    if is_refused and (locked := [path for path in told.get("key_filename", ()) if _is_locked(path)]):
        return UserError(
            f"{where}: the SSH key {locked[0]} has a passphrase",
            wanted="an agent that holds it",
            seen="none that lets us in",
            mend=f"ssh-add {locked[0]}",
        )
    if is_refused:
        return UserError(
            f"{where}: {host} does not let us in (permission denied)",
            wanted="login by key, without a question",
            seen=seen,
            mend=f"ssh-copy-id{dial.removeprefix('ssh')}; on Windows: docs/three-machines.md",
        )
    return AwayError(
        f"{where}: {host} port {port} cannot be reached by SSH",
        wanted="a machine that is on and lets SSH through",
        seen=seen or type(fault).__name__,
        mend=f"try: {dial}",
    )


def _is_locked(path: str) -> bool:
    """Whether a private key is kept under a passphrase."""
    try:
        paramiko.PKey.from_path(path)
    except (PasswordRequiredException, TypeError):  # a TypeError, of the library below, for keys in PEM
        return True
    except (paramiko.SSHException, OSError, ValueError):
        return False
    return False


def why_no_engine(client: paramiko.SSHClient, where: str) -> UserError:
    """Why no engine answers behind an open connection: asked of the docker command there."""
    try:
        _, out, err = client.exec_command(DIAL, timeout=CONNECT_S)
        said = (err.read() + out.read()).decode(errors="replace")
        code = out.channel.recv_exit_status()
    except (paramiko.SSHException, OSError, EOFError) as fault:
        return AwayError(f"{where}: the link was lost", wanted="a connection", seen=str(fault) or type(fault).__name__)
    seen = " ".join(said.split())[:300] or f"exit code {code}"
    if code == 127 or re.search(r"not found|not recognized", said):
        return UserError(
            f"{where}: no docker command there",
            wanted="`docker` on the PATH of a login without a terminal",
            seen=seen,
            mend="install Docker there; on Windows let Docker Desktop put it on the PATH and restart sshd",
        )
    if "permission denied" in said.lower():
        return UserError(
            f"{where}: the user there may not use the Docker engine",
            wanted="a member of the group docker",
            seen=seen,
            mend="there: sudo usermod -aG docker USER, and log in anew",
        )
    return AwayError(f"{where}: the Docker engine does not run", wanted="an engine that answers", seen=seen,
                     mend="start Docker there (systemctl start docker, or Docker Desktop)")  # fmt: skip
