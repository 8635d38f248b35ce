"""What comes back from another machine stays within the job's outputs."""

from pathlib import Path
from typing import Any, cast

import pytest

from sluicegate.errors import UserError
from sluicegate.runners import Files, Place
from sluicegate.runners.container import Image
from sluicegate.runners.transfer import Site, refuse_outside
from sluicegate.study import Machine


@pytest.fixture
def site(tmp_path: Path) -> Site:
    attempt = tmp_path / "demo" / "stage1-x"
    files = Files(attempt, (), (attempt / "arms" / "a-s0", attempt / "one.jsonl"), (), "abc")
    place = Place("tower", Machine(runner="docker"))
    return Site(cast(Any, None), place, files, Image("sha256:1", "10001:10001", ""), "job")


def test_outputs_pass(site: Site) -> None:
    refuse_outside(site, ["stage1-x/arms/a-s0/deep/model.safetensors", "stage1-x/one.jsonl"])


@pytest.mark.parametrize(
    "name",
    [
        "../../.ssh/authorized_keys",
        "/etc/passwd",
        "stage1-x/verdict.json",
        "stage1-x/arms/a-s0/../b-s0/result.json",
        "stage1-x/arms/a-s01",
        "",
    ],
)
def test_anything_else_is_refused(site: Site, name: str) -> None:
    with pytest.raises(UserError, match="not the job's"):
        refuse_outside(site, [name])
