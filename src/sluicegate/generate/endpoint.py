"""Answers of an OpenAI-compatible endpoint: requests side by side, tried again where that may help.

An answer that was paid for is handed on at once and never asked for twice. One that cannot be had stops the
work: an empty text would be scored as the model's wrong answer. The key goes into the request's header and
nowhere else, and redirects are not followed, because they would carry it to another host.
"""

from __future__ import annotations

import email.utils
import http.client
import json
import os
import random
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from email.message import Message
from typing import IO, Any

from sluicegate.errors import UserError
from sluicegate.generate.reply import PASSING, PassingError, Reply, message, read_reply, refused
from sluicegate.generate.request import Ask, Batches, Request, seed_of
from sluicegate.records import Prediction

PATHS = {"chat": "/chat/completions", "completions": "/completions"}
KEY = "OPENAI_API_KEY"
BODY_LIMIT = 16 * 2**20
"""Bytes of an answer; a longer one is no answer."""
NEWER = "max_completion_tokens"


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


PATIENCE = Patience()


def answers(request: Request, asks: Sequence[Ask], patience: Patience | None = None) -> Batches:
    """The predictions of `asks`, one at a time as they come in.

    Raises:
        UserError: an answer cannot be had. What is in flight then is still awaited and handed on first.
    """
    client = _Client(request, _key(), patience or PATIENCE)
    return _side_by_side(client, request, asks)


def _side_by_side(client: _Client, request: Request, asks: Sequence[Ask]) -> Batches:
    fault: UserError | None = None
    pool = ThreadPoolExecutor(min(request.batch_size, len(asks)), thread_name_prefix="endpoint")
    try:
        futures = [pool.submit(client.prediction, ask) for ask in asks]
        for future in as_completed(futures):
            try:
                yield [future.result()]
            except CancelledError:
                continue
            except UserError as seen:
                fault = fault or seen
                client.stop.set()
                for waiting in futures:
                    waiting.cancel()
    finally:
        client.stop.set()
        pool.shutdown(cancel_futures=True)
    if fault:
        raise fault


def _key() -> str:
    """The key, or nothing.

    Raises:
        UserError: characters that no header can carry; the message does not show it.
    """
    key = os.environ.get(KEY, "").strip()
    if not key.isascii() or not key.isprintable():
        raise UserError(
            KEY, wanted="a key of plain ASCII characters", seen="a value that is not shown, with others in it"
        )
    return key


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        """None makes the redirect an error."""


class _Client:
    """Asks one endpoint.

    Attributes:
        stop: set when no further try is wanted.
    """

    def __init__(self, request: Request, key: str, patience: Patience) -> None:
        self.stop = threading.Event()
        self._request, self._patience = request, patience
        self._url = request.model.rstrip("/") + PATHS[request.endpoint_api]
        self._headers = {
            "Content-Type": "application/json",
            "Accept": "application/json",
            "User-Agent": "sluicegate",
        }
        if key:
            self._headers["Authorization"] = f"Bearer {key}"
        self._limit_name = "max_tokens"
        self._opener = urllib.request.build_opener(_NoRedirect)

    def prediction(self, ask: Ask) -> Prediction:
        """The answer to one sample and draw.

        Raises:
            UserError: it cannot be had, with the sample named.
        """
        started = time.monotonic()
        try:
            reply = self._patiently(ask)
        except UserError as fault:
            what = f"sample {ask.sample.id}, draw {ask.draw}: {fault.what}"
            raise UserError(what, wanted=fault.wanted, seen=fault.seen, mend=fault.mend) from None
        seconds = round(time.monotonic() - started, 6)
        return Prediction(ask.sample.id, self._request.name, ask.draw, reply.text, reply.tokens, seconds, reply.finish)

    def _patiently(self, ask: Ask) -> Reply:
        """Ask until there is an answer, with growing pauses."""
        patience = self._patience
        for tried in range(1, patience.tries + 1):
            try:
                return self._once(ask)
            except PassingError as fault:
                seen, asked = str(fault), fault.wait_s
            # Half of the pause is random, so that requests refused together do not come back together.
            pause = patience.first_wait_s * 2 ** (tried - 1) * random.uniform(0.5, 1.0)  # noqa: S311
            pause = min(max(pause, asked or 0.0), patience.longest_wait_s)
            if tried < patience.tries and self.stop.wait(pause):
                break
        raise UserError(
            f"{self._url}: no answer",
            wanted=f"an answer within {patience.tries} tries",
            seen=f"{seen}, after {tried} tries",
            mend="run the same command again later: what was answered is kept",
        )

    def _once(self, ask: Ask) -> Reply:
        """One try.

        Raises:
            PassingError: trying again may help; UserError: it would not.
        """
        limit_name = self._limit_name
        status, headers, body = self._post(self._payload(ask, limit_name))
        if status == 200:
            return read_reply(self._url, body)
        if status == 400 and NEWER.encode() in body and limit_name != NEWER:
            self._limit_name = NEWER  # newer models of OpenAI refuse the older name
            return self._once(ask)
        if status in PASSING and b"insufficient_quota" not in body:
            raise PassingError(f"{status}: {message(body)}", _retry_after(headers))
        raise refused(self._url, status, body)

    def _payload(self, ask: Ask, limit_name: str) -> bytes:
        request = self._request
        prompt = ask.sample.prompt
        asked = (
            {"messages": [{"role": "user", "content": prompt}]}
            if request.endpoint_api == "chat"
            else {"prompt": prompt}
        )
        drawn = {
            "temperature": request.temperature,
            "top_p": request.top_p,
            limit_name: request.max_new_tokens,
        }
        # 31 bits: several servers keep seeds in a signed 32-bit number.
        seed = seed_of(request.seed, ask.key) % 2**31
        return json.dumps({"model": request.endpoint_model, **asked, **drawn, "seed": seed, "stream": False}).encode()

    def _post(self, payload: bytes) -> tuple[int, Message, bytes]:
        """Status, headers and body of one request.

        Raises:
            PassingError: no connection, time-out, a connection cut; UserError: a body without end.
        """
        deadline = time.monotonic() + self._patience.timeout_s
        asked = urllib.request.Request(self._url, payload, self._headers)  # noqa: S310 (http and https only)
        try:
            with self._opener.open(asked, timeout=self._patience.timeout_s) as answer:
                return answer.status, answer.headers, self._body(answer, deadline)
        except urllib.error.HTTPError as answer:
            with answer:
                return answer.code, answer.headers, self._body(answer, deadline)
        except (OSError, http.client.HTTPException) as fault:
            reason = getattr(fault, "reason", fault)
            raise PassingError(f"{type(reason).__name__}: {reason}"[:300]) from None

    def _body(self, answer: IO[bytes], deadline: float) -> bytes:
        """The whole body, in bounded memory and time: a drip of bytes would outlast the socket's time-out."""
        body = bytearray()
        while chunk := answer.read1(65536):  # type: ignore[attr-defined]
            body += chunk
            if len(body) > BODY_LIMIT:
                raise UserError(f"{self._url}: endless answer", wanted=f"at most {BODY_LIMIT} bytes", seen="more")
            if time.monotonic() > deadline:
                raise TimeoutError(f"the answer was not complete after {self._patience.timeout_s:g} s")
        return bytes(body)


def _retry_after(headers: Message) -> float | None:
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
