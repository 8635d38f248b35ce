"""An SSH server for tests: one key is let in, and `docker system dial-stdio` leads to a fake engine's socket."""

from __future__ import annotations

import contextlib
import socket
import threading
from dataclasses import dataclass, field
from pathlib import Path

import paramiko

DIAL = "docker system dial-stdio"


@dataclass
class Host:
    """The server; `home` is the home of a user who knows it and has the key that it lets in.

    Args:
        answer: of every command where `is_up` is False: exit code and what it says.
    """

    home: Path
    engine: Path
    is_up: bool = True
    answer: tuple[int, str] = (0, "")
    asked: list[str] = field(default_factory=list)
    transports: list[paramiko.Transport] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.host_key, self.user_key = paramiko.ECDSAKey.generate(), paramiko.ECDSAKey.generate()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        (self.home / ".ssh").mkdir(parents=True)
        self.user_key.write_private_key_file(str(self.home / ".ssh" / "key"))
        self.known(self.host_key)
        config = f"Host tower\n  HostName 127.0.0.1\n  Port {self.port}\n  User somebody\n  IdentityFile ~/.ssh/key\n"
        (self.home / ".ssh" / "config").write_text(f"{config}  IdentitiesOnly yes\n")
        threading.Thread(target=self._accept, daemon=True).start()

    def known(self, key: paramiko.PKey | None) -> None:
        """Write the file of known hosts, with this key or without any."""
        line = f"[127.0.0.1]:{self.port} {key.get_name()} {key.get_base64()}\n" if key else ""
        (self.home / ".ssh" / "known_hosts").write_text(line)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                wire, _ = self._listening.accept()
                transport = paramiko.Transport(wire)
                transport.add_server_key(self.host_key)
                self.transports.append(transport)
                with contextlib.suppress(paramiko.SSHException, EOFError):
                    transport.start_server(server=_Door(self))

    def cut(self) -> None:
        """Break every connection."""
        for transport in self.transports:
            transport.close()

    def close(self) -> None:
        with contextlib.suppress(OSError):  # closing alone would leave the waiting thread one more connection
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self.cut()


class _Door(paramiko.ServerInterface):  # type: ignore[misc]
    def __init__(self, host: Host) -> None:
        self.host = host

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        known = username == "somebody" and key == self.host.user_key
        return int(paramiko.AUTH_SUCCESSFUL if known else paramiko.AUTH_FAILED)

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return int(paramiko.OPEN_SUCCEEDED)

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        said = command.decode()
        self.host.asked.append(said)
        act = self._dial if said == DIAL and self.host.is_up else self._say
        threading.Timer(0.05, act, (channel,)).start()  # behind the answer to this request
        return True

    def _say(self, channel: paramiko.Channel) -> None:
        code, said = self.host.answer
        with contextlib.suppress(OSError, EOFError):
            channel.sendall_stderr(said.encode())
            channel.send_exit_status(code)
            channel.close()

    def _dial(self, channel: paramiko.Channel) -> None:
        with socket.socket(socket.AF_UNIX) as wire:
            wire.connect(str(self.host.engine))
            back = threading.Thread(target=_copy, args=(wire, channel))
            back.start()
            _copy(channel, wire)
            with contextlib.suppress(OSError):
                wire.shutdown(socket.SHUT_RDWR)
            back.join()
        with contextlib.suppress(EOFError):
            channel.close()


def _copy(one: socket.socket | paramiko.Channel, other: socket.socket | paramiko.Channel) -> None:
    with contextlib.suppress(OSError, EOFError):
        while data := one.recv(65536):
            other.sendall(data)
