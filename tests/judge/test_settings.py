from __future__ import annotations

from pathlib import Path

import pytest

from judge_server import KEY, MODEL, PRICE, PRICES
from sluicegate.errors import UserError, UserErrors
from sluicegate.judge.settings import read


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "prices.yaml").write_text(PRICES)
    return {
        "JUDGE_BASE_URL": "https://judge.example/v1/",
        "JUDGE_MODEL": MODEL,
        "JUDGE_API_KEY": KEY,
        "JUDGE_PRICES": str(tmp_path / "prices.yaml"),
        "JUDGE_DOLLARS": "2.5",
    }


def test_what_the_environment_says(environment: dict[str, str], tmp_path: Path) -> None:
    found = read(environment, tmp_path / "judge.sqlite")
    assert (found.url, found.model, found.price, found.key) == ("https://judge.example/v1", MODEL, PRICE, KEY)
    assert (found.cap, found.account_cap, found.account, found.max_tokens) == (2_500_000_000, None, "", 512)
    assert found.ledger == tmp_path / "judge.sqlite"


def test_the_rest_of_it(environment: dict[str, str], tmp_path: Path) -> None:
    more = {"STAGE_DOLLARS": "1", "ACCOUNT": "stage3-x", "LEDGER": "there.sqlite", "MAX_TOKENS": "64"}
    found = read({**environment, **{f"JUDGE_{name}": value for name, value in more.items()}}, tmp_path)
    assert (found.account_cap, found.account, found.max_tokens) == (10**9, "stage3-x", 64)
    assert found.ledger == Path("there.sqlite")


def test_the_key_is_in_no_repr(environment: dict[str, str], tmp_path: Path) -> None:
    assert KEY not in repr(read(environment, tmp_path))


def test_any_of_it_may_come_from_a_file(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "key").write_text(KEY + "\n")
    del environment["JUDGE_API_KEY"]
    assert read({**environment, "JUDGE_API_KEY_FILE": str(tmp_path / "key")}, tmp_path).key == KEY
    with pytest.raises(UserErrors, match="JUDGE_API_KEY: given twice") as caught:
        read({**environment, "JUDGE_API_KEY": KEY, "JUDGE_API_KEY_FILE": str(tmp_path / "key")}, tmp_path)
    assert KEY not in str(caught.value)
    with pytest.raises(UserErrors, match=r"JUDGE_API_KEY_FILE: .*not found"):
        read({**environment, "JUDGE_API_KEY_FILE": str(tmp_path / "none")}, tmp_path)


def test_no_key_is_a_setting_too(environment: dict[str, str], tmp_path: Path) -> None:
    del environment["JUDGE_API_KEY"]
    assert read(environment, tmp_path).key == ""


BAD = {
    "JUDGE_BASE_URL": ["ftp://host/v1", "file:///etc/passwd", "host/v1", "http://", "http://ho st/v1", "http://h/v1#x"],
    "JUDGE_DOLLARS": ["much", "-1", "nan", "inf", "1e99"],
    "JUDGE_STAGE_DOLLARS": ["-0.01", "x"],
    "JUDGE_MAX_TOKENS": ["0", "1.5", "-3", "x", "9" * 50, "²"],
    "JUDGE_PRICES": ["/none.yaml"],
    "JUDGE_API_KEY": ["a\nX-Evil: 1", "schlüssel"],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in BAD.items() for value in values])
def test_a_bad_value_is_named(environment: dict[str, str], tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(UserError) as caught:
        read({**environment, name: value}, tmp_path)
    assert name.removesuffix("_PRICES") in str(caught.value) or value in str(caught.value)


def test_secrets_in_the_address_are_refused_and_not_shown(environment: dict[str, str], tmp_path: Path) -> None:
    for url in ("https://user:pa55word@host/v1", "https://host/v1?key=pa55word", "ftp://u:pa55word@host"):
        with pytest.raises(UserError) as caught:
            read({**environment, "JUDGE_BASE_URL": url}, tmp_path)
        assert "pa55word" not in str(caught.value)


def test_every_fault_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(UserErrors) as caught:
        read({"JUDGE_MAX_TOKENS": "x", "JUDGE_MODEL": "  "}, tmp_path)
    named = ("JUDGE_BASE_URL", "JUDGE_MODEL", "JUDGE_PRICES", "JUDGE_DOLLARS", "JUDGE_MAX_TOKENS")
    assert all(name in str(caught.value) for name in named)


def test_there_is_no_judging_without_a_cap(environment: dict[str, str], tmp_path: Path) -> None:
    del environment["JUDGE_DOLLARS"]
    with pytest.raises(UserErrors, match="JUDGE_DOLLARS: not set"):
        read(environment, tmp_path)
    assert read({**environment, "JUDGE_STAGE_DOLLARS": "0"}, tmp_path).account_cap == 0
