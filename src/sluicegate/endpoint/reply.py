"""What an endpoint answers, taken apart: a text, or the reason why there is none. Pure functions, no network.

An endpoint may say anything, and a proxy before it anything else. Only what is certainly a model's answer
becomes a text; everything else is a fault, either one that passes (`PassingError`) or one that a user must
mend (`UserError`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from sluicegate.errors import UserError
from sluicegate.records import Finish

PASSING = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529})
"""HTTP statuses after which the same request may succeed."""
FINISHES: dict[str | None, Finish] = {
    None: "stop", "stop": "stop", "eos": "stop", "eos_token": "stop", "stop_sequence": "stop",
    "end_turn": "stop", "length": "length", "max_tokens": "length",
}  # fmt: skip
SHOWN = 200


class PassingError(Exception):
    """A fault that may be gone at the next try.

    Args:
        wait_s: how long the server asks to wait; None where it does not say.
        sent: whether the request may have reached the model, and so may cost something.
    """

    def __init__(self, seen: str, wait_s: float | None = None, *, sent: bool = True) -> None:
        super().__init__(seen)
        self.wait_s, self.sent = wait_s, sent


@dataclass(frozen=True, slots=True)
class Reply:
    """A model's answer.

    Args:
        tokens: as the endpoint counts them; 0 where it does not say.
        prompt_tokens: as the endpoint counts them; None where it does not say.
    """

    text: str
    tokens: int
    finish: Finish
    prompt_tokens: int | None = None


def read_reply(url: str, body: bytes) -> Reply:
    """The answer in the body of a 200.

    Raises:
        PassingError: cut off or not JSON.
        UserError: a web page, an error in JSON, an answer without a text, one that was filtered.

    >>> read_reply("http://x", b'{"choices": [{"text": "ab", "finish_reason": "length"}]}')
    Reply(text='ab', tokens=0, finish='length', prompt_tokens=None)
    """
    if body.lstrip()[:1] == b"<":
        raise _not_an_endpoint(url, "a web page")
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError):
        raise PassingError(f"malformed or truncated JSON, {len(body)} bytes: {shown(body)!r}") from None
    choice = _choice(payload)
    if choice is None:
        raise _not_an_endpoint(url, message(body))
    return Reply(
        _text(url, choice), _count(payload, "completion_tokens") or 0, _finish(url, choice),
        _count(payload, "prompt_tokens"),
    )  # fmt: skip


def _choice(payload: Any) -> dict[str, Any] | None:
    choices = payload.get("choices") if isinstance(payload, dict) else None
    first = choices[0] if isinstance(choices, list) and choices else None
    return first if isinstance(first, dict) else None


def _text(url: str, choice: dict[str, Any]) -> str:
    """The text of a choice, of either call; a refusal in words is the model's answer too."""
    told = choice.get("message")
    inside = told if isinstance(told, dict) else choice
    for name in ("content", "text", "refusal"):
        if isinstance(inside.get(name), str):
            # Half a surrogate pair is legal in JSON and not in UTF-8.
            return str(inside[name]).encode("utf-8", "replace").decode()
    if choice.get("finish_reason") == "length":
        return ""
    raise UserError(
        f"{url}: an answer without a text",
        wanted="choices[0].message.content or choices[0].text",
        seen=f"finish_reason {choice.get('finish_reason')!r}, fields {', '.join(sorted(inside))[:SHOWN]}",
        mend="leave the sample out of the data, or ask another model",
    )


def _finish(url: str, choice: dict[str, Any]) -> Finish:
    reason = choice.get("finish_reason")
    if (reason is None or isinstance(reason, str)) and reason in FINISHES:
        return FINISHES[reason]
    raise UserError(
        f"{url}: an answer that did not end of itself",
        wanted="finish_reason stop or length",
        seen=f"finish_reason {str(reason)[:SHOWN]!r}",
        mend="leave the sample out of the data, or ask another model",
    )


def _count(payload: dict[str, Any], name: str) -> int | None:
    """Tokens, where the endpoint says a whole number that is none below 0."""
    usage = payload.get("usage")
    count = usage.get(name) if isinstance(usage, dict) else None
    return count if type(count) is int and count >= 0 else None


def refused(url: str, status: int, body: bytes, key: str) -> UserError:
    """The message for a status that trying again would not change; `key` is the variable that holds the key."""
    mends = {
        401: f"set {key} to a key of this endpoint",
        403: f"set {key} to a key that may use this model",
        404: "check the base address (it mostly ends in /v1), endpoint_model and endpoint_api",
        413: "shorten the prompts",
    }
    return UserError(
        f"{url}: refused with {status}",
        wanted="an answer of the model",
        seen=message(body),
        mend=mends.get(status, "mend what the endpoint names, then run the same command again"),
    )


def message(body: bytes) -> str:
    """What an error's body says, on one line, cut short.

    >>> message(b'{"error": {"message": "no such model"}}'), message(b"<html>..."), message(b"")
    ('no such model', 'a web page', 'an empty body')
    """
    if body.lstrip()[:1] == b"<":
        return "a web page"
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return shown(body) or "an empty body"
    error = told.get("error") or told.get("detail") or told.get("message") if isinstance(told, dict) else None
    if isinstance(error, dict):
        error = error.get("message")
    return " ".join(str(error).split())[:SHOWN] if error else shown(body)


def shown(body: bytes) -> str:
    """The start of a body on one line, without control characters."""
    text = " ".join(body[: 4 * SHOWN].decode("utf-8", "replace").split())
    return "".join(sign for sign in text if sign.isprintable())[:SHOWN]


def _not_an_endpoint(url: str, seen: str) -> UserError:
    return UserError(
        f"{url}: not an OpenAI-compatible answer",
        wanted='JSON with "choices"',
        seen=seen,
        mend="check the base address: it mostly ends in /v1",
    )
