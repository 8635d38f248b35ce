"""What the audit's tests share: data sets made on the spot, and a cache of their own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sluicegate.sandbox import python

Rows = list[dict[str, Any]]
SOUND: dict[str, Any] = {
    "id": "sound",
    "prompt": "Write gross(prices, rate), the sum of prices with tax; a rate below zero is a ValueError.",
    "completion": (
        "def gross(prices, rate):\n"
        "    if rate < 0:\n"
        '        raise ValueError("a rate below zero")\n'
        "    return sum(prices) * (1 + rate)\n"
    ),
    "tests": (
        "assert gross([4, 5], 1) == 18\n"
        "assert gross([4], 0) == 4\n"
        "try:\n    gross([], -1)\nexcept ValueError:\n    pass\nelse:\n    raise AssertionError('no error')\n"
    ),
    "meta": {"language": "python", "licence": "Apache-2.0", "difficulty": "easy"},
}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "sluicegate" / "audit"


@pytest.fixture
def written(tmp_path: Path) -> Callable[[Rows], Path]:
    """Writes samples into a folder of one scenario, and names the folder."""

    def write(rows: Rows, scenario: str = "python") -> Path:
        path = tmp_path / "set" / scenario / "samples.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return tmp_path / "set"

    return write


@pytest.fixture(scope="session", autouse=True)
def no_workers_left() -> Iterator[None]:
    yield
    python.close()
