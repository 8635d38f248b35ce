"""Answers of an OpenAI-compatible endpoint: requests side by side, tried again where that may help.

An answer that was paid for is handed on at once and never asked for twice. One that cannot be had stops the
work: an empty text would be scored as the model's wrong answer.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor, as_completed

from sluicegate.endpoint import BODY_LIMIT, NEWER, Client, Patience, patiently, retry_after, usable_key
from sluicegate.endpoint.reply import PASSING, PassingError, Reply, message, read_reply, refused
from sluicegate.errors import UserError
from sluicegate.generate.request import KEY_VARIABLE, Ask, Batches, Request, seed_of
from sluicegate.records import Prediction

PATHS = {"chat": "/chat/completions", "completions": "/completions"}
PATIENCE = Patience()
IN_FLIGHT = 16
"""Requests at once where the request names no number."""


def answers(request: Request, asks: Sequence[Ask], patience: Patience | None = None) -> Batches:
    """The predictions of `asks`, one at a time as they come in.

    Raises:
        UserError: an answer cannot be had. What is in flight then is still awaited and handed on first.
    """
    client = _Client(request, usable_key(KEY_VARIABLE, os.environ.get(KEY_VARIABLE, "")), patience or PATIENCE)
    return _side_by_side(client, request, asks)


def _side_by_side(client: _Client, request: Request, asks: Sequence[Ask]) -> Batches:
    fault: UserError | None = None
    pool = ThreadPoolExecutor(min(request.batch_size or IN_FLIGHT, len(asks)), thread_name_prefix="endpoint")
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


class _Client:
    """Asks one endpoint.

    Attributes:
        stop: set when no further try is wanted.
    """

    def __init__(self, request: Request, key: str, patience: Patience) -> None:
        self.stop = threading.Event()
        self._request, self._patience = request, patience
        url = request.model.rstrip("/") + PATHS[request.endpoint_api]
        self._client = Client(url, key, patience.timeout_s, BODY_LIMIT)
        self._limit_name = "max_tokens"

    def prediction(self, ask: Ask) -> Prediction:
        """The answer to one sample and draw.

        Raises:
            UserError: it cannot be had, with the sample named.
        """
        started = time.monotonic()
        try:
            reply = patiently(
                lambda: self._once(ask), self._patience, url=self._client.url, stop=self.stop,
                mend="run the same command again later: what was answered is kept",
            )  # fmt: skip
        except UserError as fault:
            what = f"sample {ask.sample.id}, draw {ask.draw}: {fault.what}"
            raise UserError(what, wanted=fault.wanted, seen=fault.seen, mend=fault.mend) from None
        seconds = round(time.monotonic() - started, 6)
        return Prediction(ask.sample.id, self._request.name, ask.draw, reply.text, reply.tokens, seconds, reply.finish)

    def _once(self, ask: Ask) -> Reply:
        """One try.

        Raises:
            PassingError: trying again may help; UserError: it would not.
        """
        limit_name = self._limit_name
        status, headers, body = self._client.post(self._payload(ask, limit_name))
        if status == 200:
            return read_reply(self._client.url, body)
        if status == 400 and NEWER.encode() in body and limit_name != NEWER:
            self._limit_name = NEWER  # newer models of OpenAI refuse the older name
            return self._once(ask)
        if status in PASSING and b"insufficient_quota" not in body:
            raise PassingError(f"{status}: {message(body)}", retry_after(headers))
        raise refused(self._client.url, status, body, KEY_VARIABLE)

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
