"""Secrets: each way in which one might reach a spool, and what looks like one and is none."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.tracking.redact import is_secret, without_secrets
from sluicegate.tracking.spool import Spool

SECRET = "hunter2hunter2"
SHAPED = "hf_" + "aB3" * 10
WAYS: dict[str, dict[str, object]] = {
    "name of a parameter": {"hf_token": SECRET},
    "name in capitals": {"AWS_SECRET_ACCESS_KEY": SECRET},
    "inside a value": {"options": {"hub": {"password": SECRET, "rows": 3}}},
    "inside a list": {"options": [{"apiKey": SECRET}]},
    "user of a URI": {"base_model": f"https://me:{SECRET}@host/model"},
    "query of a URI": {"base_model": f"https://host/model?access_token={SECRET}&x=1"},
    "header": {"headers": f"Authorization: Bearer {SECRET}"},
    "basic header": {"headers": f"Basic {SECRET}=="},
    "header of another kind": {"headers": f"Authorization: Token {SECRET}"},
    "a variable's value": {"note": f"the server said {SECRET} is wrong"},
    "as a name": {f"https://me:{SECRET}@host": 1},
}
SHAPES = (
    SHAPED, "sk-" + "a1B2" * 8, "ghp_" + "a1B2" * 9, "github_pat_" + "a1B2" * 9, "AKIA" + "A1B2" * 4,
    "xoxb-1234567890-abcdef", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl",
)  # fmt: skip


PLAIN = ("2e-4", "runs/demo/stage1", "https://host:5000/x?page=2", "Basic training", "sk-learn")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", ["params", "tags", "model", "path"])
def test_no_secret_reaches_the_spool(way: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", SECRET)
    spool, values = Spool(tmp_path), WAYS[way]
    texts = {name: str(value) for name, value in values.items()}
    spool.run("a", "demo", tags=texts if kind == "tags" else {})
    if kind == "params":
        spool.params(values)
    if kind == "model":
        spool.model("a", [], texts)
    if kind == "path":
        spool.dataset("train", Path(next(iter(texts.values()))), "ab", 1)
    assert SECRET not in spool.path.read_text()


@pytest.mark.parametrize("shape", SHAPES)
def test_secrets_are_known_by_the_shape_that_issuers_give_them(shape: str) -> None:
    assert without_secrets(f"use {shape}, it works", {}) == "use ***, it works"


@pytest.mark.parametrize(
    "name", ["max_new_tokens", "tokenizer", "keyword", "monkey", "train/tokens_per_s", "author", "passes", "keep"]
)
def test_settings_that_sound_like_secrets_are_none(name: str) -> None:
    assert not is_secret(name)


@pytest.mark.parametrize("text", PLAIN)
def test_plain_values_stay_as_they_are(text: str) -> None:
    assert without_secrets(text, {"TOKEN_LIMIT": "100000", "AUTH": "on", "PWD": "runs/demo"}) == text


@given(before=st.text(), after=st.text())
def test_a_variables_value_is_found_in_any_text(before: str, after: str) -> None:
    assert SECRET not in without_secrets(before + SECRET + after, {"DB_PASSWORD": SECRET})
