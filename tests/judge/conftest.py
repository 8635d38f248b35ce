"""Servers that behave like an OpenAI-compatible API, and settings that point at them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from judge_server import KEY, MODEL, PATIENCE, PRICE, Api, Script
from sluicegate.judge import asking, ledger
from sluicegate.judge.settings import VARIABLES, Settings


@pytest.fixture(autouse=True)
def no_power_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests need not wait for the disk."""
    monkeypatch.setattr(ledger, "SYNCHRONOUS", "OFF")


@pytest.fixture(autouse=True)
def no_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test asks the judge of whoever runs it."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(f"{name}_FILE", raising=False)


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Script], Api]]:
    """Starts servers, and makes pauses between tries short."""
    monkeypatch.setattr(asking, "PATIENCE", PATIENCE)
    started: list[Api] = []

    def start(script: Script) -> Api:
        started.append(Api(script))
        return started[-1]

    yield start
    for server in started:
        server.close()


@pytest.fixture
def settings_for(tmp_path: Path) -> Callable[..., Settings]:
    """Settings of a judge at an address."""

    def make(url: str, dollars: float = 1.0, **changes: Any) -> Settings:
        told: dict[str, Any] = {
            "url": url, "model": MODEL, "price": PRICE, "ledger": tmp_path / "judge.sqlite",
            "cap": round(dollars * 10**9), "account_cap": None, "max_tokens": 64, "key": KEY,
        }  # fmt: skip
        return Settings(**{**told, **changes})

    return make
