"""What is shared by all who ask an endpoint; the requests themselves are tested where they are made."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from email.message import Message
from email.utils import format_datetime

import pytest

from sluicegate.endpoint import Client, NoAnswer, Patience, address, patiently, retry_after, usable_key
from sluicegate.endpoint.reply import PassingError, read_reply
from sluicegate.errors import UserError


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd", "ftp://host/v1", "host/v1", "http://", "http://:80", "http://h:99999", "http://ho st/",
        "http://h\n/v1", "http://[::1", "", "javascript:alert(1)",
    ],
)  # fmt: skip
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(UserError, match="model: not an address"):
        address(url, "model", "KEY")


@pytest.mark.parametrize(
    "url", ["http://me:pa55@h/v1", "http://h/v1?k=pa55", "http://h/#pa55", "ftp://me:pa55@h/?pa55"]
)
def test_secrets_in_an_address_are_refused_and_not_shown(url: str) -> None:
    with pytest.raises(UserError) as caught:
        address(url, "model", "KEY")
    assert "pa55" not in str(caught.value)


def test_a_key_that_no_header_can_carry_is_not_shown() -> None:
    for key in ("pa55\nX-Evil: 1", "pa55\x00", "pa55ü"):
        with pytest.raises(UserError, match="KEY") as caught:
            usable_key("KEY", key)
        assert "pa55" not in str(caught.value)
    assert usable_key("KEY", " sk-1 \n") == "sk-1"


def headers(told: str | None) -> Message:
    found = Message()
    if told is not None:
        found["Retry-After"] = told
    return found


@pytest.mark.parametrize(
    ("told", "seconds"),
    [(None, None), ("", None), ("2.5", 2.5), ("-1", 0.0), ("nan", 0.0), ("soon", None), ("Mon, 99 Jan 2001", None)],
)
def test_the_pause_that_is_asked_for(told: str | None, seconds: float | None) -> None:
    assert retry_after(headers(told)) == seconds


def test_a_pause_until_a_date() -> None:
    later = retry_after(headers(format_datetime(datetime.now(UTC) + timedelta(hours=1))))
    assert later is not None
    assert 3000 < later <= 3600
    assert retry_after(headers("Mon, 01 Jan 2001 00:00:00 GMT")) == 0.0


class Fails:
    """Fails so often, then answers."""

    def __init__(self, times: int, wait_s: float | None = None) -> None:
        self.left, self.wait_s, self.asked = times, wait_s, 0

    def __call__(self) -> str:
        self.asked += 1
        if self.left:
            self.left -= 1
            raise PassingError("busy", self.wait_s)
        return "done"


QUICK = Patience(tries=3, first_wait_s=0.001, longest_wait_s=0.01, timeout_s=1)


def test_tries_are_counted() -> None:
    never, twice = threading.Event(), Fails(2)
    assert patiently(twice, QUICK, url="u", stop=never) == "done"
    assert twice.asked == 3
    with pytest.raises(NoAnswer, match="u: no answer") as caught:
        patiently(Fails(3), QUICK, url="u", stop=never, mend="later")
    assert (caught.value.seen, caught.value.mend) == ("busy, after 3 tries", "later")


def test_other_faults_are_not_tried_again() -> None:
    asked = []

    def broken() -> None:
        asked.append(1)
        raise UserError("no")

    with pytest.raises(UserError, match="no"):
        patiently(broken, QUICK, url="u", stop=threading.Event())
    assert asked == [1]


def test_no_pause_is_longer_than_the_longest_and_a_stop_ends_it() -> None:
    started = time.monotonic()
    assert patiently(Fails(2, 3600.0), QUICK, url="u", stop=threading.Event()) == "done"
    stop = threading.Event()
    stop.set()
    with pytest.raises(NoAnswer, match="no answer"):
        patiently(Fails(9), Patience(9, 3600, 3600, 1), url="u", stop=stop)
    assert time.monotonic() - started < 60


def test_a_key_is_cut_out_of_what_a_server_says() -> None:
    client = Client("http://127.0.0.1:9/", "sk-0123456789", 1.0, 100)
    assert client.without_key("your key sk-0123456789 is bad") == "your key [key] is bad"
    assert Client("http://127.0.0.1:9/", "", 1.0, 100).without_key("ab") == "ab"
    assert Client("http://127.0.0.1:9/", "a", 1.0, 100).without_key("banana") == "banana", "no secret"


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        ('{"prompt_tokens": 7, "completion_tokens": 2}', (7, 2)),
        ('{"prompt_tokens": true, "completion_tokens": -2}', (None, 0)),
        ('{"prompt_tokens": 7.0}', (None, 0)),
        ("[]", (None, 0)),
        ("null", (None, 0)),
    ],
)
def test_counts_are_whole_numbers_or_unknown(usage: str, tokens: tuple[int | None, int]) -> None:
    reply = read_reply("u", f'{{"choices": [{{"text": "x"}}], "usage": {usage}}}'.encode())
    assert (reply.prompt_tokens, reply.tokens) == tokens
