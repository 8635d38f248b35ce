"""A server that behaves like an OpenAI-compatible API, counts what it would bill, and can be made to misbehave."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from sluicegate.endpoint import Patience
from sluicegate.judge.money import Price

KEY = "sk-judge-0123456789abcdef"
MODEL = "grader"
PRICE = Price(Fraction(2000), Fraction(8000))
"""Nanodollars a token: 2 and 8 dollars a million."""
PRICES = f"{MODEL}: {{input: 2, output: 8}}\n"
PATIENCE = Patience(tries=3, first_wait_s=0.01, longest_wait_s=0.2, timeout_s=30.0)
Reply = tuple[int, Mapping[str, str], bytes]
Script = Callable[[int, dict[str, Any]], Reply]
MARKED = re.compile(r"<(\w+)-([0-9a-f]{12})>\n(.*?)\n</\1-\2>", re.DOTALL)


def parts(payload: Mapping[str, Any]) -> dict[str, str]:
    """The marked texts of a prompt."""
    return {name: text for name, _, text in MARKED.findall(payload["messages"][1]["content"])}


def said(text: str | None, payload: Mapping[str, Any], *, finish: str = "stop", usage: Any = ...) -> Reply:
    """A chat completion with a usage that can be true."""
    asked = sum(len(row["content"]) for row in payload["messages"])
    told = {"prompt_tokens": asked // 4, "completion_tokens": 1 + len(text or "") // 4} if usage is ... else usage
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}
    body = {"id": "x", "object": "chat.completion", "choices": [choice], **({} if told is None else {"usage": told})}
    return 200, {}, json.dumps(body).encode()


def graded(payload: Mapping[str, Any], grade: Any, **more: Any) -> Reply:
    return said(json.dumps({"reason": "so it is", "grade": grade}), payload, **more)


def wants_choice(payload: Mapping[str, Any]) -> bool:
    return '"better"' in payload["messages"][0]["content"]


def scale(payload: Mapping[str, Any]) -> tuple[int, int]:
    """The ends of the scale that the prompt names."""
    low, high = re.findall(r"whole numbers from (\d+) to (\d+)", payload["messages"][0]["content"])[0]
    return int(low), int(high)


def expert(bad: frozenset[str]) -> Script:
    """A judge that knows which texts are bad and is right about them."""

    def script(_: int, payload: dict[str, Any]) -> Reply:
        shown = parts(payload)
        if wants_choice(payload):
            better = "A" if shown["B"] in bad else "B"
            return said(json.dumps({"reason": "known", "better": better}), payload)
        low, high = scale(payload)
        is_bad = bool(bad & set(shown.values()))
        best, worst = (low, high) if low == 0 else (high, low)
        return graded(payload, worst if is_bad else best)

    return script


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """A client that hangs up is part of the tests."""


@dataclass
class Api:
    """The server.

    Attributes:
        asked: payloads in the order they came; `headers` and `paths` of each.
        billed: nanodollars that the provider would bill, at `PRICE`, for every answer with status 200.
    """

    script: Script
    asked: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    billed: int = 0

    def __post_init__(self) -> None:
        lock, api = threading.Lock(), self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                payload = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with lock:
                    number = len(api.asked)
                    api.asked.append(payload)
                    api.headers.append(dict(self.headers.items()))
                    api.paths.append(self.path)
                status, headers, body = api.script(number, payload)
                with lock:
                    api.billed += _bill(status, body)
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = _Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _bill(status: int, body: bytes) -> int:
    try:
        usage = json.loads(body)["usage"]
        return PRICE.cost(usage["prompt_tokens"], usage["completion_tokens"]) if status == 200 else 0
    except (ValueError, KeyError, TypeError, RecursionError):
        return 0
