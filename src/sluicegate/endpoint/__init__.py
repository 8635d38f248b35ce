"""An OpenAI-compatible endpoint, asked over HTTP: one POST, tried again where that may help.

Shared by everything that asks a model elsewhere. The key goes into a request's header and nowhere else, and redirects
are not followed, because they would carry it to another host. A reply is read in bounded memory and time. What a reply
means, and what it costs, is known to the caller only.
"""

from __future__ import annotations

import contextlib
import email.utils
import functools
import http.client
import random
import re
import socket
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from email.message import Message
from typing import IO, Any, TypeVar
from urllib.parse import urlsplit

from sluicegate.endpoint.reply import PassingError
from sluicegate.errors import UserError

BODY_LIMIT = 16 * 2**20
"""Bytes of an answer; a longer one is no answer."""
NEVER_SENT = (ConnectionRefusedError, socket.gaierror, ssl.SSLCertVerificationError)
"""Faults before a request leaves this machine: nobody there, or somebody who is not who they should be."""
SHORT = 8
"""A key of fewer characters is no secret, and would be cut out of ordinary words."""
NEWER = "max_completion_tokens"
"""What newer models of OpenAI call `max_tokens`; they refuse the older name."""
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Patience:
    """How often and how long.

    Args:
        tries: of one request, at least 1.
        first_wait_s: before the second try; doubled each time.
        longest_wait_s: between two tries, also where the server asks for more.
        timeout_s: of one try, connecting and reading.
    """

    tries: int = 6
    first_wait_s: float = 1.0
    longest_wait_s: float = 60.0
    timeout_s: float = 300.0


class NoAnswer(UserError):
    """Every try ended in a fault that might have passed."""


def address(url: str, name: str, key: str) -> str:
    """The base address without a slash at its end; one with a secret is refused, since addresses are recorded.

    Args:
        name: what the message calls the setting.
        key: the variable that a key belongs into.

    Raises:
        UserError: not an http(s) address, or one with credentials, a query or a fragment.

    >>> address("http://localhost:8000/v1/", "model", "OPENAI_API_KEY")
    'http://localhost:8000/v1'
    """
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable or re.search(r"[\s\x00-\x1f\x7f]", url):
        raise UserError(
            f"{name}: not an address", wanted="such as http://localhost:8000/v1", seen=repr(_without_user(url))[:80]
        )
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise UserError(
            f"{name}: the address at {parts.hostname} carries credentials or a query",
            wanted="a plain base address, such as https://host/v1",
            seen="a part that could be a secret and would be recorded",
            mend=f"put the key into {key}",
        )
    return url.rstrip("/")


def _without_user(url: str) -> str:
    return re.sub(r"(?<=://)[^/]*@", "", url).partition("?")[0]


def usable_key(name: str, said: str) -> str:
    """A key that a header can carry, or nothing.

    Raises:
        UserError: characters that no header can carry; the message does not show it.
    """
    key = said.strip()
    if not key.isascii() or not key.isprintable():
        raise UserError(
            name, wanted="a key of plain ASCII characters", seen="a value that is not shown, with others in it"
        )
    return key


def patiently(
    once: Callable[[], Answer], patience: Patience, *, url: str, stop: threading.Event, mend: str = ""
) -> Answer:
    """Ask until there is an answer, with growing pauses.

    Args:
        once: one try; a `PassingError` of it is a reason to try again, anything else is handed up.
        stop: set when no further try is wanted.
        mend: of the message when no try had an answer.

    Raises:
        NoAnswer: after the last try.
    """
    for tried in range(1, patience.tries + 1):
        try:
            return once()
        except PassingError as fault:
            seen, asked = str(fault), fault.wait_s
        # Half of the pause is random, so that requests refused together do not come back together.
        pause = patience.first_wait_s * 2 ** (tried - 1) * random.uniform(0.5, 1.0)  # noqa: S311
        pause = min(max(pause, asked or 0.0), patience.longest_wait_s)
        if tried < patience.tries and stop.wait(pause):
            break
    raise NoAnswer(
        f"{url}: no answer",
        wanted=f"an answer within {patience.tries} tries",
        seen=f"{seen}, after {tried} tries",
        mend=mend,
    )


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        """None makes the redirect an error."""


@functools.cache
def _context() -> ssl.SSLContext:
    """The system's certificates, read once."""
    return ssl.create_default_context()


class _Line:
    """The socket of one request, to be cut when its time is over, whatever it is busy with."""

    def __init__(self) -> None:
        self.socket: socket.socket | None = None
        self.was_cut = False

    def cut(self) -> None:
        """Whoever reads from it sees its end."""
        self.was_cut = True
        if self.socket is not None:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(self.socket, socket.SHUT_RDWR)

    def handlers(self) -> tuple[urllib.request.BaseHandler, ...]:
        """For an opener whose connection is this line."""
        line = self

        class Plain(http.client.HTTPConnection):
            def connect(self) -> None:
                super().connect()
                line.socket = self.sock

        class Secure(http.client.HTTPSConnection):
            def connect(self) -> None:
                super().connect()
                line.socket = self.sock

        class OpenPlain(urllib.request.HTTPHandler):
            def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
                return self.do_open(Plain, req)

        class OpenSecure(urllib.request.HTTPSHandler):
            def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
                return self.do_open(Secure, req, context=_context())

        return OpenPlain(), OpenSecure()


class Client:
    """Posts to one address.

    Args:
        url: where to.
        key: goes into the header; empty for none.
        timeout_s: of one request, connecting and reading.
        body_limit: bytes of a reply.
    """

    def __init__(self, url: str, key: str, timeout_s: float, body_limit: int) -> None:
        self.url = url
        self._timeout_s, self._body_limit = timeout_s, body_limit
        self._headers = {
            "Content-Type": "application/json",
            "Accept": "application/json",
            "User-Agent": "sluicegate",
        }
        self._key = key
        if key:
            self._headers["Authorization"] = f"Bearer {key}"

    def post(self, payload: bytes) -> tuple[int, Message, bytes]:
        """Status, headers and body of one request.

        Raises:
            PassingError: no connection, time-out, a connection cut; UserError: a body without end.
        """
        deadline = time.monotonic() + self._timeout_s
        asked = urllib.request.Request(self.url, payload, self._headers)  # noqa: S310 (http and https only)
        line = _Line()
        opener = urllib.request.build_opener(_NoRedirect, *line.handlers())
        timer = threading.Timer(self._timeout_s, line.cut)  # a socket's own time-out begins anew with every byte
        timer.daemon = True
        timer.start()
        try:
            with opener.open(asked, timeout=self._timeout_s) as answer:
                return answer.status, answer.headers, self._body(answer, deadline)
        except urllib.error.HTTPError as answer:
            with answer:
                return answer.code, answer.headers, self._body(answer, deadline)
        except (OSError, http.client.HTTPException) as fault:
            reason = getattr(fault, "reason", fault)
            if line.was_cut and not isinstance(reason, TimeoutError):
                reason = TimeoutError("timed out")
            sent = not isinstance(reason, NEVER_SENT)
            raise PassingError(f"{type(reason).__name__}: {reason}"[:300], sent=sent) from None
        finally:
            timer.cancel()

    def without_key(self, text: str) -> str:
        """A server's text without the key, which it may have sent back."""
        return text.replace(self._key, "[key]") if len(self._key) >= SHORT else text

    def _body(self, answer: IO[bytes], deadline: float) -> bytes:
        """The whole body, in bounded memory and time: a drip of bytes would outlast the socket's time-out."""
        body = bytearray()
        while chunk := answer.read1(65536):  # type: ignore[attr-defined]
            body += chunk
            if len(body) > self._body_limit:
                raise UserError(f"{self.url}: endless answer", wanted=f"at most {self._body_limit} bytes", seen="more")
            if time.monotonic() > deadline:
                break
        if time.monotonic() > deadline:
            raise TimeoutError(f"the answer was not complete after {self._timeout_s:g} s")
        return self._without_key(bytes(body))

    def _without_key(self, body: bytes) -> bytes:
        return body.replace(self._key.encode(), b"[key]") if len(self._key) >= SHORT else body


def retry_after(headers: Message) -> float | None:
    """Seconds that a server asks to wait, given as a number or as a date."""
    told = (headers.get("Retry-After") or "").strip()
    try:
        return max(0.0, float(told)) if told else None
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(told).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None
