"""What the sandbox's tests share: backends that are not here are skipped, and say so."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from sluicegate.sandbox import python
from sluicegate.sandbox.backends import choose


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = os.path.dirname(__file__)  # noqa: PTH120
    for item in items:
        if str(item.path).startswith(here) and "bwrap" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("sandbox"))


@pytest.fixture
def bwrap() -> str:
    """The backend's name; skips where bubblewrap does not run."""
    chosen = choose("bwrap")
    if not chosen.name:
        pytest.skip(f"bwrap cannot be tested here: {chosen.why}")
    return chosen.name


@pytest.fixture(scope="session", autouse=True)
def no_workers_left() -> Iterator[None]:
    yield
    python.close()
