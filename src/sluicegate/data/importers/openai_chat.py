"""Conversations as OpenAI's fine-tuning takes them: `messages`, each with `role` and `content`.

The last message is the answer, the ones before it are the request: a system's words first, then the user's. Longer
conversations are told as such, `user: …` and `assistant: …`; what an earlier answer said is not learnt.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from sluicegate.data.importers import Asked, Draft, Rows, text, unused
from sluicegate.data.importers.rows import json_rows
from sluicegate.data.reader import LineError

SCENARIO, LANGUAGE = "openai-chat", ""
SYSTEM: Final = ("system", "developer")
ROLES: Final = (*SYSTEM, "user", "assistant")
SEVERAL = "several turns: the earlier ones became a part of the request"


def rows(path: Path, asked: Asked) -> Rows:
    """See `Format`."""
    return json_rows(path)


def draft(row: Mapping[str, Any], asked: Asked) -> Draft:
    """See `Format`."""
    messages = row.get("messages")
    if not isinstance(messages, list) or not messages:
        raise LineError("messages: wanted a list of messages")
    told = [_message(one, number) for number, one in enumerate(messages, start=1)]
    if told[-1][0] != "assistant":
        raise LineError(f"messages: the last one is of {told[-1][0]}, wanted assistant")
    if messages[-1].get("weight") == 0:
        raise LineError("messages: the answer has weight 0, so it is not to be learnt")
    before = [one for one in told[:-1] if one[0] not in SYSTEM]
    if not before or before[-1][0] != "user":
        raise LineError("messages: wanted a message of user before the answer")
    first = [said for role, said in told[:-1] if role in SYSTEM]
    is_one = len(before) == 1
    asking = [before[0][1]] if is_one else [f"{role}: {said}" for role, said in before]
    return Draft(
        "\n\n".join(part.strip() for part in [*first, *asking] if part.strip()), told[-1][1],
        unused=unused(row, "messages"), noted=() if is_one else (SEVERAL,),
    )  # fmt: skip


def _message(one: Any, number: int) -> tuple[str, str]:
    """Role and text of a message."""
    if not isinstance(one, dict):
        raise LineError(f"message {number}: wanted an object, seen {type(one).__name__}")
    role = one.get("role")
    if role not in ROLES:
        raise LineError(f"message {number}: role {role!r:.40}, known are {', '.join(ROLES)}")
    if one.get("tool_calls") or one.get("function_call"):
        raise LineError(f"message {number}: calls of tools cannot be told as text")
    content = one.get("content")
    if not isinstance(content, list):
        return role, text(one, "content")
    if not all(isinstance(part, dict) and part.get("type") == "text" for part in content):
        raise LineError(f"message {number}: content that is not text")
    return role, "".join(text(part, "text") for part in content)
