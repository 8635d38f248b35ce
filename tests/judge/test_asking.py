from __future__ import annotations

import json
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from fractions import Fraction
from typing import Any

import pytest

from judge_server import KEY, PATIENCE, PRICE, Api, Reply, Script, graded, said
from sluicegate.endpoint import Patience
from sluicegate.errors import UserError
from sluicegate.judge import asking
from sluicegate.judge.asking import Ask, Judge, OutOfBudget, Unanswered
from sluicegate.judge.ledger import Ledger
from sluicegate.judge.money import Price
from sluicegate.judge.rubrics import RUBRICS, Grade, grade_schema, prompt, read_grade
from sluicegate.judge.settings import Settings

pytestmark = pytest.mark.process
Serve = Callable[[Script], Api]
SettingsFor = Callable[..., Settings]
COHERENCE = RUBRICS["coherence"]


def ask(text: str = "x = 1", tag: str = "coherence-1") -> Ask[Grade]:
    messages = prompt(COHERENCE, [("answer", text)])
    return Ask(messages, grade_schema(COHERENCE), tag, lambda reply: read_grade(COHERENCE, reply))


def judge_at(settings: Settings, patience: Patience = PATIENCE) -> tuple[Judge, Ledger]:
    ledger = Ledger(settings.ledger)
    return Judge(settings, ledger, patience), ledger


def always(grade: Any) -> Script:
    return lambda _, payload: graded(payload, grade)


def listed(*replies: Reply | Script) -> Script:
    """One reply after the other, the last for ever."""

    def script(number: int, payload: dict[str, Any]) -> Reply:
        reply = replies[min(number, len(replies) - 1)]
        return reply(number, payload) if callable(reply) else reply

    return script


def worst_case(payload: Mapping[str, Any]) -> int:
    return PRICE.cost(len(json.dumps(payload, ensure_ascii=False).encode()) + 256, 64)


def test_what_is_asked(serve: Serve, settings_for: SettingsFor) -> None:
    api = serve(always(4))
    judge, _ = judge_at(settings_for(api.url))
    assert judge.ask(ask()).value == Grade(4, "so it is")
    payload = api.asked[0]
    plain = {name: payload[name] for name in ("model", "temperature", "max_tokens", "stream")}
    assert plain == {"model": "grader", "temperature": 0, "max_tokens": 64, "stream": False}
    form = payload["response_format"]
    assert form["type"] == "json_schema"
    assert form["json_schema"]["strict"] is True
    assert form["json_schema"]["schema"]["properties"]["grade"]["enum"] == [1, 2, 3, 4, 5]
    assert api.paths == ["/v1/chat/completions"]
    assert api.headers[0]["Authorization"] == f"Bearer {KEY}"


def test_a_call_costs_what_its_usage_says(serve: Serve, settings_for: SettingsFor) -> None:
    api = serve(always(4))
    judge, ledger = judge_at(settings_for(api.url))
    bought = judge.ask(ask())
    assert bought.charged == ledger.total().spent == api.billed > 0
    assert ledger.total().committed == api.billed, "nothing stays reserved"


def test_a_reply_is_bought_once(serve: Serve, settings_for: SettingsFor) -> None:
    api = serve(always(4))
    settings = settings_for(api.url)
    first = judge_at(settings)[0].ask(ask())
    again = judge_at(settings)[0].ask(ask())
    assert again == first
    assert len(api.asked) == 1


def test_the_same_question_asked_by_many_at_once_is_bought_once(serve: Serve, settings_for: SettingsFor) -> None:
    def slow(_: int, payload: dict[str, Any]) -> Reply:
        time.sleep(0.1)
        return graded(payload, 4)

    api = serve(slow)
    judge, _ = judge_at(settings_for(api.url))
    threads = [threading.Thread(target=judge.ask, args=(ask(),)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(api.asked) == 1


def test_the_key_of_a_kept_reply_is_model_prompt_parameters_and_rubric(settings_for: SettingsFor) -> None:
    def key(asked: Ask[Grade] = ask(), **changes: Any) -> str:  # noqa: B008 (a value)
        return judge_at(settings_for("http://127.0.0.1:9/v1", **changes))[0].request(asked)

    others = [key(ask("other")), key(ask(tag="coherence-2")), key(model="other"), key(max_tokens=65)]
    assert len({key(), *others}) == 5
    assert key(key="another", dollars=9.0) == key()


REFUSED_FREE = {
    "429": (429, {"Retry-After": "0.05"}, b'{"error": {"message": "slow down"}}'),
    "429 with a date": (429, {"Retry-After": "Mon, 01 Jan 2001 00:00:00 GMT"}, b""),
    "429 with nonsense": (429, {"Retry-After": "soon"}, b""),
    "409": (409, {}, b""),
    "425": (425, {}, b""),
    "429 for ever": (429, {"Retry-After": "inf"}, b""),
}
MAYBE_BILLED = {
    "408": (408, {}, b""),
    "500": (500, {}, b"<html>oops</html>"),
    "503": (503, {}, b""),
    "504": (504, {}, b""),
    "truncated JSON": (200, {}, b'{"choices": [{"message": {"content": "{\\"grade'),
    "malformed JSON": (200, {}, b"grade: 4"),
    "body shorter than told": (200, {"Content-Length": "100"}, b'{"choices": ['),
    "empty": (200, {}, b""),
    "nested": (200, {}, b"[" * 100_000),
    "not UTF-8": (200, {}, b'{"choices": "\xff\xfe"}'),
}


@pytest.mark.parametrize("fault", [*REFUSED_FREE, *MAYBE_BILLED])
def test_a_fault_that_passes_is_tried_again(serve: Serve, settings_for: SettingsFor, fault: str) -> None:
    api = serve(listed({**REFUSED_FREE, **MAYBE_BILLED}[fault], always(2)))
    judge, ledger = judge_at(settings_for(api.url))
    assert judge.ask(ask()).value.said == 2
    assert len(api.asked) == 2
    failed = 0 if fault in REFUSED_FREE else worst_case(api.asked[0])
    assert ledger.total().spent == failed + api.billed


@pytest.mark.parametrize("fault", [*REFUSED_FREE, *MAYBE_BILLED])
def test_a_fault_that_stays_is_no_grade(serve: Serve, settings_for: SettingsFor, fault: str) -> None:
    api = serve(listed({**REFUSED_FREE, **MAYBE_BILLED}[fault]))
    judge, ledger = judge_at(settings_for(api.url))
    with pytest.raises(Unanswered, match="no answer"):
        judge.ask(ask())
    assert len(api.asked) == PATIENCE.tries
    assert ledger.total().spent == (0 if fault in REFUSED_FREE else 3 * worst_case(api.asked[0]))
    assert ledger.total().live == 0


def test_the_pause_that_a_server_asks_for_is_kept(serve: Serve, settings_for: SettingsFor) -> None:
    times: list[float] = []

    def script(number: int, payload: dict[str, Any]) -> Reply:
        times.append(time.monotonic())
        return (429, {"Retry-After": "0.15"}, b"") if number == 0 else graded(payload, 3)

    judge_at(settings_for(serve(script).url))[0].ask(ask())
    assert times[1] - times[0] >= 0.15


UNREADABLE = {
    "prose": lambda payload: said("It is good.", payload),
    "truncated": lambda payload: said('{"reason": "so', payload, finish="length"),
    "whole but cut off": lambda payload: graded(payload, 4, finish="length"),
    "out of range": lambda payload: graded(payload, 9),
    "a text for a grade": lambda payload: graded(payload, "4"),
    "empty": lambda payload: said("", payload),
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_a_reply_without_a_grade_is_paid_asked_again_and_no_grade(
    serve: Serve, settings_for: SettingsFor, case: str
) -> None:
    api = serve(lambda _, payload: UNREADABLE[case](payload))
    judge, ledger = judge_at(settings_for(api.url))
    with pytest.raises(Unanswered):
        judge.ask(ask())
    assert len(api.asked) == asking.UNREADABLE_TRIES
    assert ledger.total().spent >= api.billed > 0
    assert ledger.kept(judge.request(ask())) is None


def test_a_reply_that_is_readable_at_last_is_kept(serve: Serve, settings_for: SettingsFor) -> None:
    api = serve(listed(lambda _, payload: UNREADABLE["prose"](payload), always(5)))
    judge, _ = judge_at(settings_for(api.url))
    assert judge.ask(ask()).value.said == 5
    assert judge.ask(ask()).value.said == 5
    assert len(api.asked) == 2


USAGES = {
    "missing": None,
    "empty": {},
    "null": {"prompt_tokens": None, "completion_tokens": None},
    "text": {"prompt_tokens": "100", "completion_tokens": "5"},
    "true": {"prompt_tokens": True, "completion_tokens": True},
    "negative": {"prompt_tokens": -100, "completion_tokens": -1},
    "fractions": {"prompt_tokens": 100.5, "completion_tokens": 5.0},
    "nothing for something": {"prompt_tokens": 0, "completion_tokens": 0},
    "one for much": {"prompt_tokens": 1, "completion_tokens": 5},
    "no reply": {"prompt_tokens": 300, "completion_tokens": 0},
    "more than was sent": {"prompt_tokens": 10**6, "completion_tokens": 5},
    "more than was allowed": {"prompt_tokens": 300, "completion_tokens": 65},
    "astronomic": {"prompt_tokens": 10**30, "completion_tokens": 10**30},
    "a list": [300, 5],
}


@pytest.mark.parametrize("case", USAGES)
def test_a_usage_that_cannot_be_true_costs_the_worst_case(serve: Serve, settings_for: SettingsFor, case: str) -> None:
    api = serve(lambda _, payload: graded(payload, 3, usage=USAGES[case]))
    judge, ledger = judge_at(settings_for(api.url))
    assert judge.ask(ask()).value.said == 3
    total = ledger.total()
    assert total.spent == worst_case(api.asked[0])
    assert (total.doubted, total.live) == (1, 0)


FATAL: dict[str, Reply] = {
    "401": (401, {}, b'{"error": {"message": "no such key"}}'),
    "403": (403, {}, b"{}"),
    "404": (404, {}, b'{"detail": "no such model"}'),
    "402": (402, {}, b"{}"),
    "no money there": (429, {}, b'{"error": {"message": "pay", "code": "insufficient_quota"}}'),
}


@pytest.mark.parametrize("case", FATAL)
def test_what_every_request_would_get_ends_the_work_and_costs_nothing(
    serve: Serve, settings_for: SettingsFor, case: str
) -> None:
    api = serve(listed(FATAL[case]))
    judge, ledger = judge_at(settings_for(api.url))
    with pytest.raises(UserError, match="refused with"):
        judge.ask(ask())
    with pytest.raises(Unanswered, match="refused with"):
        judge.ask(ask("another"))
    assert len(api.asked) == 1
    assert ledger.total().committed == 0


@pytest.mark.parametrize("status", [400, 413, 422])
def test_what_only_this_request_gets_is_no_grade_of_this_row(
    serve: Serve, settings_for: SettingsFor, status: int
) -> None:
    api = serve(listed((status, {}, b'{"error": {"message": "too long"}}'), always(5)))
    judge, ledger = judge_at(settings_for(api.url))
    with pytest.raises(Unanswered, match=f"refused with {status}: too long"):
        judge.ask(ask())
    assert judge.ask(ask("another")).value.said == 5
    assert ledger.total().committed == api.billed


def test_a_redirect_is_not_followed_and_the_key_stays(serve: Serve, settings_for: SettingsFor) -> None:
    other = serve(always(5))
    for status in (301, 302, 303, 307, 308):
        api = serve(listed((status, {"Location": f"{other.url}/chat/completions"}, b"")))
        judge, _ = judge_at(settings_for(api.url))
        with pytest.raises(UserError, match=f"refused with {status}"):
            judge.ask(ask())
    assert other.asked == []


def test_a_key_that_the_server_sends_back_is_shown_and_kept_nowhere(serve: Serve, settings_for: SettingsFor) -> None:
    spelt = "".join(f"\\u{ord(sign):04x}" for sign in KEY)
    replies: list[Reply] = [
        (400, {}, f'{{"error": {{"message": "bad {KEY}"}}}}'.encode()),
        (400, {}, f'{{"error": {{"message": "bad {spelt}"}}}}'.encode()),
        (200, {}, f'{{"choices": [], "error": "{spelt}"}}'.encode()),
    ]
    api = serve(listed(*replies, lambda _, payload: said(json.dumps({"grade": 4, "reason": KEY}), payload)))
    judge, ledger = judge_at(settings_for(api.url))
    for number in range(3):
        with pytest.raises(Unanswered) as caught:
            judge.ask(ask(str(number)))
        assert KEY not in str(caught.value)
    assert KEY not in judge.ask(ask("last")).value.reason
    assert KEY.encode() not in ledger.path.read_bytes()


def test_a_server_that_does_not_know_a_field_is_asked_otherwise(serve: Serve, settings_for: SettingsFor) -> None:
    def script(_: int, payload: dict[str, Any]) -> Reply:
        if "max_tokens" in payload:
            return 400, {}, b'{"error": {"message": "Use \'max_completion_tokens\' instead."}}'
        if payload.get("response_format", {}).get("type") in {"json_schema", "json_object"}:
            return 400, {}, b'{"error": {"message": "response_format is not supported"}}'
        return graded(payload, 4)

    api = serve(script)
    judge, ledger = judge_at(settings_for(api.url))
    assert judge.ask(ask()).value.said == 4
    assert judge.ask(ask("another")).value.said == 4
    assert len(api.asked) == 5
    assert "response_format" not in api.asked[-1]
    assert api.asked[-1]["max_completion_tokens"] == 64
    assert ledger.total().committed == api.billed


def test_a_server_that_dies_is_given_up_after_some_silence(serve: Serve, settings_for: SettingsFor) -> None:
    api = serve(always(4))
    judge, ledger = judge_at(settings_for(api.url))
    assert judge.ask(ask("0")).value.said == 4
    api.close()
    reasons = []
    for number in range(1, 8):
        with pytest.raises(Unanswered) as caught:
            judge.ask(ask(str(number)))
        reasons.append(str(caught.value))
    assert [reason.startswith("the endpoint was given up") for reason in reasons] == [False] * 3 + [True] * 4
    assert judge.ask(ask("0")).value.said == 4, "what was bought is at hand"
    assert ledger.total().committed == api.billed, "nobody there costs nothing"
    api.__post_init__()


@contextmanager
def raw(talk: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server below HTTP: what it sends is what `talk` sends."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:

        def serve_all() -> None:
            while True:
                try:
                    peer, _ = server.accept()
                except OSError:
                    return
                with peer:
                    try:
                        peer.recv(65536)
                        talk(peer)
                    except OSError:
                        continue

        thread = threading.Thread(target=serve_all, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/v1"
        server.shutdown(socket.SHUT_RDWR)
    thread.join(30)


OK = b"HTTP/1.1 200 OK\r\n"


def silent(peer: socket.socket) -> None:
    time.sleep(1.2)


def hangs_up(peer: socket.socket) -> None:
    peer.sendall(OK + b"Content-Length: 100\r\n\r\n{")


def drip(head: bytes, piece: bytes) -> Callable[[socket.socket], None]:
    """A server that goes on for ever, and never says nothing for long."""

    def talk(peer: socket.socket) -> None:
        peer.sendall(head)
        until = time.monotonic() + 200
        while time.monotonic() < until:
            peer.sendall(piece)
            time.sleep(0.02)

    return talk


def flood(peer: socket.socket) -> None:
    peer.sendall(OK + b"Content-Length: 100000000000\r\n\r\n")
    while True:
        peer.sendall(b" " * 65536)


HOSTILE = {
    "silent": silent,
    "hangs up": hangs_up,
    "huge body": flood,
    "body without end": drip(OK + b"\r\n", b" "),
    "chunks without end": drip(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "a chunk's size without end": drip(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"0"),
    "headers without end": drip(OK, b"X-Y: z\r\n"),
    "one header without end": drip(OK + b"X: ", b"y"),
    "continue without end": drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "no HTTP": drip(b"SSH-2.0-OpenSSH_9\r\n", b"hello\r\n"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_server_ends_in_bounded_time_and_memory(
    settings_for: SettingsFor, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    """Its own limits are short, so the test's is far from them: a request that never ended would take minutes."""
    monkeypatch.setattr(asking, "BODY_LIMIT", 2**17)
    with raw(HOSTILE[case]) as url:
        judge, ledger = judge_at(settings_for(url), Patience(1, 0.01, 0.1, 0.4))
        started = time.monotonic()
        with pytest.raises(Unanswered):
            judge.ask(ask())
        assert time.monotonic() - started < 100
    total = ledger.total()
    assert total.live == 0
    assert total.failed == 1, "it may have been billed, so it counts"


def test_a_cap_refuses_before_anything_is_sent(serve: Serve, settings_for: SettingsFor) -> None:
    api = serve(always(4))
    judge, ledger = judge_at(settings_for(api.url, dollars=0.0001))
    with pytest.raises(OutOfBudget, match=r"of \$0.0001 in all"):
        judge.ask(ask())
    assert api.asked == []
    assert ledger.total().committed == 0


def test_after_the_first_refusal_cheaper_questions_are_refused_too(serve: Serve, settings_for: SettingsFor) -> None:
    api = serve(always(4))
    judge, _ = judge_at(settings_for(api.url, dollars=0.02))
    judge.ask(ask("kept"))
    with pytest.raises(OutOfBudget):
        judge.ask(ask("x" * 20_000))
    with pytest.raises(OutOfBudget):
        judge.ask(ask("x"))
    assert len(api.asked) == 1
    assert judge.ask(ask("kept")).value.said == 4


def test_a_free_judge_needs_a_cap_of_nothing(serve: Serve, settings_for: SettingsFor) -> None:
    api = serve(always(4))
    free = Price(Fraction(0), Fraction(0))
    judge, ledger = judge_at(settings_for(api.url, dollars=0, price=free))
    assert judge.ask(ask()).value.said == 4
    assert ledger.total().spent == 0


def test_workers_wait_for_each_other_rather_than_give_up(serve: Serve, settings_for: SettingsFor) -> None:
    """Two worst cases do not fit under the cap at once, but all twelve real costs do."""

    def slow(_: int, payload: dict[str, Any]) -> Reply:
        time.sleep(0.02)
        return graded(payload, 4)

    api = serve(slow)
    single = judge_at(settings_for(api.url))[0]
    single.ask(ask("probe"))
    worst, real = worst_case(api.asked[0]), api.billed
    cap = real * 14 + worst
    assert 2 * worst > cap - real * 13, "the premise"
    judge, ledger = judge_at(settings_for(api.url, dollars=cap / 10**9))
    said_: list[int] = []
    threads = [
        threading.Thread(target=lambda n=n: said_.append(judge.ask(ask(f"{n:05}")).value.said)) for n in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said_ == [4] * 12
    assert api.billed == ledger.total().spent <= cap


def test_the_bill_never_passes_the_cap_whatever_the_server_does(serve: Serve, settings_for: SettingsFor) -> None:
    """Eight workers, a server that fails in every way in turn, until the cap is reached."""
    faults = [*MAYBE_BILLED.values(), *REFUSED_FREE.values()]

    def script(number: int, payload: dict[str, Any]) -> Reply:
        if number % 3 == 2:
            return faults[number // 3 % len(faults)]
        return graded(payload, 4, usage=None if number % 5 == 0 else ...)

    api = serve(script)
    judge, ledger = judge_at(settings_for(api.url, dollars=0.1))
    outcomes: list[str] = []

    def work(first: int) -> None:
        for number in range(first, 200, 8):
            try:
                outcomes.append(str(judge.ask(ask(f"answer {number}")).value.said))
            except Unanswered as fault:
                outcomes.append(type(fault).__name__)
            assert ledger.total().committed <= 10**8

    threads = [threading.Thread(target=work, args=(first,)) for first in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 200
    assert "OutOfBudget" in outcomes
    assert outcomes.count("4") > 5
    assert api.billed <= ledger.total().committed <= 10**8


def test_who_hushes_it_is_not_kept_waiting(serve: Serve, settings_for: SettingsFor) -> None:
    api = serve(listed((429, {"Retry-After": "60"}, b"")))
    judge, _ = judge_at(settings_for(api.url), Patience(5, 60.0, 60.0, 30.0))
    threading.Timer(0.3, judge.hush).start()
    started = time.monotonic()
    with pytest.raises(Unanswered):
        judge.ask(ask())
    assert time.monotonic() - started < 30


STRANGE = {
    "a web page": (200, {"Content-Type": "text/html"}, b"<!doctype html><p>Welcome"),
    "an error with 200": (200, {}, b'{"error": {"message": "overloaded"}}'),
    "no choices": (200, {}, b'{"choices": []}'),
    "a list": (200, {}, b"[1, 2]"),
    "filtered": (200, {}, b'{"choices": [{"message": {"content": "x"}, "finish_reason": "content_filter"}]}'),
}


@pytest.mark.parametrize("case", STRANGE)
def test_what_is_no_endpoint_is_given_up_before_it_costs_the_whole_budget(
    serve: Serve, settings_for: SettingsFor, case: str
) -> None:
    api = serve(listed(STRANGE[case]))
    judge, ledger = judge_at(settings_for(api.url))
    for number in range(6):
        with pytest.raises(Unanswered):
            judge.ask(ask(str(number)))
    assert len(api.asked) == asking.SILENT_IN_A_ROW
    assert ledger.total().failed == 3


def test_refusals_do_not_pile_up_tracebacks(serve: Serve, settings_for: SettingsFor) -> None:
    judge, _ = judge_at(settings_for(serve(always(4)).url, dollars=0))
    seen = []
    for number in range(3):
        with pytest.raises(OutOfBudget) as caught:
            judge.ask(ask(str(number)))
        seen.append(caught.value)
    assert len({id(fault) for fault in seen}) == 3


def test_a_kept_reply_that_was_changed_is_no_grade(serve: Serve, settings_for: SettingsFor) -> None:
    api = serve(always(4))
    judge, ledger = judge_at(settings_for(api.url))
    judge.ask(ask())
    with closing(sqlite3.connect(ledger.path)) as base, base:
        base.execute("""UPDATE replies SET text = '{"grade": 99}'""")
    with pytest.raises(Unanswered, match="tampered"):
        judge.ask(ask())
