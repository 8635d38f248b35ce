"""Asks a judge: kept replies first, then a call whose worst case is reserved before and settled after.

Every try is a call of its own in the ledger, since one that timed out may have been billed. What cannot be had is
`Unanswered`, with a reason, and never a grade; a cap that does not allow the call is `OutOfBudget`, and from then on
every call is refused, so that it is not the cheap rows that go on being judged.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sluicegate.endpoint import NEWER, Client, NoAnswer, Patience, patiently, retry_after
from sluicegate.endpoint.reply import PASSING, PassingError, Reply, message, read_reply, refused
from sluicegate.errors import UserError
from sluicegate.judge.ledger import Caps, Full, How, Kept, Ledger, Usage
from sluicegate.judge.money import believable, prompt_bound
from sluicegate.judge.rubrics import Message
from sluicegate.judge.settings import KEY, Settings
from sluicegate.records import digest

PATH = "/chat/completions"
PATIENCE = Patience()
BODY_LIMIT = 2**20
"""Bytes of a reply: a grade and a sentence."""
UNREADABLE_TRIES = 2
"""How often a judge may write something else than the JSON it is asked for."""
SILENT_IN_A_ROW = 3
"""After so many requests without any answer the endpoint is given up for this run."""
NOT_BILLED = frozenset({409, 425, 429})
"""Passing statuses that say that the model was not asked; the others may hide an answer that was billed."""
FATAL = frozenset({401, 402, 403, 404, 405, 410})
"""Statuses that every other request would get too."""
STRIPES = 64
WAKE_S = 0.5
FORMS = ("json_schema", "json_object", "text")
"""How structured output is asked for, the strictest first; servers that do not know one get the next."""
Read = TypeVar("Read")


class Unanswered(Exception):
    """There is no usable reply, for a reason of ours or of the endpoint."""


class OutOfBudget(Unanswered):
    """The cap does not allow another call."""


class _Unreadable(Exception):
    """A reply without the JSON that was asked for."""


class _Strange(Exception):
    """An answer that no endpoint of this kind gives."""


@dataclass(frozen=True, slots=True)
class Ask(Generic[Read]):
    """One question.

    Args:
        messages: the prompt.
        schema: of the reply.
        tag: name and version of the rubric.
        read: takes the reply's text apart; a ValueError says that it is not what was asked for.
    """

    messages: Sequence[Message]
    schema: Mapping[str, Any]
    tag: str
    read: Callable[[str], Read]


@dataclass(frozen=True, slots=True)
class Said(Generic[Read]):
    """What the judge said, and the nanodollars that the reply cost when it was bought."""

    value: Read
    charged: int


class Judge:
    """One model at one endpoint, one account of a ledger; to be asked by any number of threads.

    Attributes:
        stop: set when no further try is wanted; questions are unanswered from then on.
    """

    def __init__(self, settings: Settings, ledger: Ledger, patience: Patience | None = None) -> None:
        self.stop = threading.Event()
        self._settings, self._ledger, self._patience = settings, ledger, patience or PATIENCE
        self._client = Client(settings.url + PATH, settings.key, self._patience.timeout_s, BODY_LIMIT)
        self._caps = Caps(settings.account_cap, settings.cap)
        self._form, self._limit_name = 0, "max_tokens"
        self._turns = [threading.Lock() for _ in range(STRIPES)]
        self._settled = threading.Condition()
        self._lock = threading.Lock()
        self._silent = 0
        self._ended: Unanswered | None = None

    def ask(self, asked: Ask[Read]) -> Said[Read]:
        """The reply to a question, bought once.

        Raises:
            Unanswered: there is none; UserError: the endpoint refuses every request, or the ledger cannot be used.
        """
        request = self.request(asked)
        with self._turns[int(request[:8], 16) % STRIPES]:  # the same question asked twice at once is bought once
            kept = self._ledger.kept(request)
            if kept is None:
                kept = self._buy(asked, request)
        try:
            return Said(asked.read(kept.text), kept.charged)
        except ValueError as fault:
            raise Unanswered(f"the ledger was tampered with: a kept reply is {fault}") from None

    def hush(self) -> None:
        """Ask nothing more: somebody wants to leave."""
        self._end(Unanswered("interrupted"))

    def request(self, asked: Ask[Read]) -> str:
        """Digest of model, prompt, parameters and rubric version: what a kept reply is found by."""
        return digest(
            {
                "model": self._settings.model,
                "messages": list(asked.messages),
                "temperature": 0,
                "max_tokens": self._settings.max_tokens,
                "rubric": asked.tag,
            }
        )

    def _buy(self, asked: Ask[Read], request: str) -> Kept:
        told = ""
        for _ in range(UNREADABLE_TRIES):
            self._refuse_if_ended()
            try:
                kept = patiently(
                    lambda: self._call(asked, request), self._patience, url=self._client.url, stop=self.stop
                )
            except _Unreadable as fault:
                told = str(fault)
                continue
            except (NoAnswer, _Strange) as fault:
                told = f"no answer: {fault.seen}" if isinstance(fault, NoAnswer) else str(fault)
                self._was_silent(told)
                raise Unanswered(told) from None
            self._silent = 0
            return kept
        raise Unanswered(told)

    def _was_silent(self, told: str) -> None:
        with self._lock:
            self._silent += 1
            if self._silent >= SILENT_IN_A_ROW:
                self._end(Unanswered(f"the endpoint was given up, last {told}"))

    def _refuse_if_ended(self) -> None:
        """A new exception each time: one that is raised again and again keeps every traceback."""
        if self._ended is not None:
            raise type(self._ended)(*self._ended.args)

    def _end(self, why: Unanswered) -> None:
        """Refuse every later question."""
        self._ended = self._ended or why
        self.stop.set()

    def _call(self, asked: Ask[Read], request: str) -> Kept:
        """One try.

        Raises:
            PassingError: trying again may help; _Unreadable, _Strange, Unanswered, UserError: it would not.
        """
        payload, form, limit_name = self._payload(asked)
        worst = self._settings.price.cost(prompt_bound(payload), self._settings.max_tokens)
        call = self._reserve(request, worst)
        try:
            status, headers, body = self._client.post(payload)
        except PassingError as fault:
            self._settle(call, *((worst, "lost") if fault.sent else (0, "free")))
            raise
        except UserError as fault:
            self._settle(call, worst, "lost")
            raise _Strange(f"{fault.what}: {fault.seen}") from None
        if status == 200:
            return self._read(asked, call, worst, payload, body)
        if status in PASSING:
            self._settle(call, *((0, "free") if status in NOT_BILLED else (worst, "lost")))
            if b"insufficient_quota" not in body:
                raise PassingError(f"{status}: {self._told(body)}", retry_after(headers))
        else:
            self._settle(call, 0, "free")
        if status == 400 and self._loosened(body, form, limit_name):
            return self._call(asked, request)
        if status in FATAL or status in PASSING or 300 <= status < 400:
            self._end(Unanswered(f"refused with {status}"))
            raise refused(self._client.url, status, self._told(body).encode(), KEY)
        raise Unanswered(f"refused with {status}: {self._told(body)}")

    def _told(self, body: bytes) -> str:
        """What an error's body says; a key that was sent back in it, however it is spelt, is cut out."""
        return self._client.without_key(message(body))

    def _reserve(self, request: str, worst: int) -> int:
        """Reserve, after those in flight where they may leave enough."""
        while True:
            self._refuse_if_ended()
            try:
                return self._ledger.reserve(self._settings.account, request, worst, self._caps)
            except Full as fault:
                if not fault.waits or self.stop.is_set():
                    out = OutOfBudget(str(fault))
                    self._end(out)
                    raise out from None
            with self._settled:
                self._settled.wait(WAKE_S)

    def _settle(self, call: int, charged: int, how: How, usage: Usage = (None, None), text: str | None = None) -> None:
        self._ledger.settle(call, charged, how, usage=usage, reply=text)
        with self._settled:
            self._settled.notify_all()

    def _read(self, asked: Ask[Read], call: int, worst: int, payload: bytes, body: bytes) -> Kept:
        """The reply in the body of a 200, settled by its usage where that can be true."""
        try:
            reply = read_reply(self._client.url, body)
        except PassingError as fault:
            self._settle(call, worst, "lost")
            raise PassingError(self._client.without_key(str(fault))) from None
        except UserError as fault:
            self._settle(call, worst, "lost")
            raise _Strange(self._client.without_key(f"{fault.what}: {fault.seen}")) from None
        charged, how = self._charge(asked, reply, worst, payload)
        usage = (reply.prompt_tokens, reply.tokens) if how == "paid" else (None, None)
        text = self._client.without_key(reply.text)
        try:
            if reply.finish == "length":
                raise ValueError(f"cut off at {self._settings.max_tokens} tokens: raise JUDGE_MAX_TOKENS")
            asked.read(text)
        except ValueError as fault:
            self._settle(call, charged, how, usage)
            raise _Unreadable(str(fault)) from None
        self._settle(call, charged, how, usage, text)
        return Kept(text, charged)

    def _charge(self, asked: Ask[Read], reply: Reply, worst: int, payload: bytes) -> tuple[int, How]:
        """What a reply cost by its usage, or at worst where that is missing or cannot be true."""
        prompt, written = reply.prompt_tokens, reply.tokens
        shown = sum(len(message["content"].encode("utf-8", "replace")) for message in asked.messages)
        if (
            prompt is not None
            and believable(prompt, shown, prompt_bound(payload))
            and believable(written, len(reply.text.encode()), self._settings.max_tokens)
        ):
            return self._settings.price.cost(prompt, written), "paid"
        return worst, "worst"

    def _payload(self, asked: Ask[Read]) -> tuple[bytes, int, str]:
        """The request, and the form and the name of the limit that it was spelt with."""
        form, limit_name = self._form, self._limit_name
        told: dict[str, Any] = {
            "model": self._settings.model,
            "messages": list(asked.messages),
            "temperature": 0,
            limit_name: self._settings.max_tokens,
            "stream": False,
        }
        if FORMS[form] == "json_schema":
            schema = {"name": "reply", "strict": True, "schema": asked.schema}
            told["response_format"] = {"type": "json_schema", "json_schema": schema}
        elif FORMS[form] == "json_object":
            told["response_format"] = {"type": "json_object"}
        return json.dumps(told, ensure_ascii=False).encode("utf-8", "replace"), form, limit_name

    def _loosened(self, body: bytes, form: int, limit_name: str) -> bool:
        """Whether the server does not know a field of the request that can be spelt otherwise; it is from now on."""
        with self._lock:
            if NEWER.encode() in body and limit_name != NEWER:
                self._limit_name = NEWER
                return True
            if (b"response_format" in body or b"json_schema" in body) and form < len(FORMS) - 1:
                self._form = max(self._form, form + 1)
                return True
        return False
