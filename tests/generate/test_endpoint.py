from __future__ import annotations

import dataclasses
import json
import resource
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sluicegate import jsonl
from sluicegate.endpoint import Patience
from sluicegate.endpoint.reply import FINISHES
from sluicegate.errors import UserError, UserErrors
from sluicegate.generate import Request, endpoint, generate
from sluicegate.records import Prediction, Sample

pytestmark = pytest.mark.process
Serve = Callable[..., Any]
WORDS = ["add", "subtract", "reverse", "sort", "count", "upper", "filter", "merge", "split", "join"]
KEY = "sk-very-secret-0123456789"


def chat(text: str | None, finish: str | None = "stop", tokens: int = 3) -> tuple[int, dict[str, str], bytes]:
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": finish}
    return 200, {}, json.dumps({"choices": [choice], "usage": {"completion_tokens": tokens}}).encode()


def echo(_: int, payload: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
    return chat(f"{payload['messages'][0]['content'].split()[1]} {payload['seed']}")


@pytest.fixture
def request_(data: Path, tmp_path: Path) -> Request:
    return Request(
        model="http://127.0.0.1:9/v1", name="remote", data=data, out=tmp_path / "out.jsonl", batch_size=4,
        temperature=0.7, max_new_tokens=11, endpoint_model="big",
    )  # fmt: skip


def at(request: Request, url: str, **changes: Any) -> Request:
    return dataclasses.replace(request, model=url, **changes)


def rows(request: Request) -> list[Prediction]:
    return jsonl.read(Prediction, request.out)


def test_every_sample_and_draw_is_asked_once_with_its_own_seed(serve: Serve, request_: Request) -> None:
    server = serve(echo)
    asked = at(request_, server.url + "/", draws=2)
    assert generate(asked) == 20
    found = rows(asked)
    assert [(row.sample_id, row.draw) for row in found[:3]] == [("add", 0), ("add", 1), ("subtract", 0)]
    assert all(row.text.startswith(row.sample_id) and row.tokens == 3 and row.finish == "stop" for row in found)
    assert len(server.asked) == 20
    assert len({payload["seed"] for payload in server.asked}) == 20
    assert all(0 <= payload["seed"] < 2**31 for payload in server.asked)
    fields = {key: value for key, value in server.asked[0].items() if key not in {"messages", "seed"}}
    assert fields == {"model": "big", "temperature": 0.7, "top_p": 1.0, "max_tokens": 11, "stream": False}
    assert set(server.paths) == {"/v1/chat/completions"}


def test_the_completions_call(serve: Serve, request_: Request) -> None:
    body = json.dumps({"choices": [{"text": " x", "finish_reason": "length"}]}).encode()
    server = serve([(200, {}, body)])
    asked = at(request_, server.url, endpoint_api="completions", limit=1)
    generate(asked)
    assert server.paths == ["/v1/completions"]
    assert server.asked[0]["prompt"].startswith("Write add")
    assert (rows(asked)[0].text, rows(asked)[0].finish, rows(asked)[0].tokens) == (" x", "length", 0)


def test_requests_in_flight_are_bounded_by_the_batch_size(
    serve: Serve, request_: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    flying, most, lock = 0, 0, threading.Lock()

    def slow(number: int, payload: dict[str, Any]) -> Any:
        nonlocal flying, most
        with lock:
            flying += 1
            most = max(most, flying)
        time.sleep(0.03)
        with lock:
            flying -= 1
        return echo(number, payload)

    generate(at(request_, serve(slow).url, batch_size=3, draws=2))
    assert 2 <= most <= 3
    monkeypatch.setattr(endpoint, "IN_FLIGHT", 4)
    generate(at(request_, serve(slow).url, batch_size=0, draws=2, out=request_.out.with_name("more.jsonl")))
    assert most == 4


def test_the_key_is_sent_and_shown_nowhere(
    serve: Serve, request_: Request, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    server = serve([chat("a"), (401, {}, b'{"error": {"message": "wrong key"}}')])
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    asked = at(request_, server.url, batch_size=1)
    with pytest.raises(UserError) as caught:
        generate(asked)
    assert server.headers[0]["Authorization"] == f"Bearer {KEY}"
    written = "".join(path.read_text() for path in request_.out.parent.iterdir())
    assert KEY not in written + str(caught.value) + "".join(capfd.readouterr())


def test_a_key_that_no_header_can_carry_is_not_shown(request_: Request, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret\nX-Evil: 1")
    with pytest.raises(UserError, match="OPENAI_API_KEY") as caught:
        generate(request_)
    assert "secret" not in str(caught.value)


def test_no_key_no_header(serve: Serve, request_: Request) -> None:
    server = serve(echo)
    generate(at(request_, server.url, limit=1))
    assert "Authorization" not in server.headers[0]


PASSING = {
    "429": (429, {"Retry-After": "0.05"}, b'{"error": {"message": "slow down"}}'),
    "429 with a date": (429, {"Retry-After": "Mon, 01 Jan 2001 00:00:00 GMT"}, b""),
    "429 with nonsense": (429, {"Retry-After": "soon"}, b""),
    "500": (500, {}, b"<html>oops</html>"),
    "503": (503, {}, b""),
    "truncated JSON": (200, {}, b'{"choices": [{"message": {"content": "x = '),
    "body shorter than told": (200, {"Content-Length": "100"}, b'{"choices": ['),
    "empty": (200, {}, b""),
    "nested": (200, {}, b"[" * 100_000),
    "not UTF-8": (200, {}, b'{"choices": "\xff\xfe"}'),
}


@pytest.mark.parametrize("fault", PASSING)
def test_a_fault_that_passes_is_tried_again(serve: Serve, request_: Request, fault: str) -> None:
    server = serve([PASSING[fault], chat("late")])
    asked = at(request_, server.url, limit=1)
    assert generate(asked) == 1
    assert rows(asked)[0].text == "late"
    assert len(server.asked) == 2
    assert server.asked[0] == server.asked[1]


@pytest.mark.parametrize("fault", PASSING)
def test_a_fault_that_stays_ends_the_work(serve: Serve, request_: Request, fault: str) -> None:
    server = serve([PASSING[fault]])
    with pytest.raises(UserError, match=r"sample add, draw 0: .*no answer") as caught:
        generate(at(request_, server.url, limit=1))
    assert "after 3 tries" in caught.value.seen
    assert len(server.asked) == 3
    assert request_.out.read_text() == ""


def test_the_server_may_ask_for_a_pause(serve: Serve, request_: Request) -> None:
    times: list[float] = []

    def script(number: int, payload: dict[str, Any]) -> Any:
        times.append(time.monotonic())
        return (429, {"Retry-After": "0.09"}, b"") if number == 0 else echo(number, payload)

    generate(at(request_, serve(script).url, limit=1))
    assert times[1] - times[0] >= 0.09


FINAL = {
    "401": ((401, {}, b'{"error": {"message": "no such key"}}'), "refused with 401", "no such key"),
    "404": ((404, {}, b'{"detail": "no such model"}'), "refused with 404", "no such model"),
    "400": ((400, {}, b'{"error": "bad temperature"}'), "refused with 400", "bad temperature"),
    "quota": ((429, {}, b'{"error": {"message": "pay", "code": "insufficient_quota"}}'), "refused with 429", "pay"),
    "redirect": ((302, {"Location": "http://127.0.0.1:9/"}, b""), "refused with 302", "empty body"),
    "web page": ((200, {"Content-Type": "text/html"}, b"<!doctype html><p>hi"), "not an OpenAI", "web page"),
    "error with 200": ((200, {}, b'{"error": {"message": "overloaded"}}'), "not an OpenAI", "overloaded"),
    "no choices": ((200, {}, b'{"choices": []}'), "not an OpenAI", "choices"),
    "a list": ((200, {}, b"[1, 2]"), "not an OpenAI", "[1, 2]"),
    "odd choice": ((200, {}, b'{"choices": [7]}'), "not an OpenAI", "choices"),
    "no text": (chat(None), "without a text", "finish_reason 'stop'"),
    "number for a text": ((200, {}, b'{"choices": [{"text": 7}]}'), "without a text", "text"),
    "filtered": (chat("half", "content_filter"), "did not end of itself", "content_filter"),
    "odd reason": ((200, {}, b'{"choices": [{"text": "a", "finish_reason": {}}]}'), "did not end", "{}"),
}  # fmt: skip


@pytest.mark.parametrize("case", FINAL)
def test_a_fault_that_does_not_pass_is_not_tried_again(serve: Serve, request_: Request, case: str) -> None:
    answer, what, seen = FINAL[case]
    server = serve([answer])
    with pytest.raises(UserError) as caught:
        generate(at(request_, server.url, limit=1))
    assert what in caught.value.what
    assert caught.value.what.startswith("sample add, draw 0: ")
    assert seen in caught.value.seen
    assert len(server.asked) == 1
    assert request_.out.read_text() == ""


def test_a_silent_server_runs_into_the_time_limit(
    serve: Serve, request_: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = threading.Event()

    def silent(_: int, __: dict[str, Any]) -> Any:
        done.wait(5)
        return chat("too late")

    server = serve(silent)
    monkeypatch.setattr(endpoint, "PATIENCE", Patience(2, 0.01, 0.1, 0.2))
    with pytest.raises(UserError, match="no answer") as caught:
        generate(at(request_, server.url, limit=1))
    done.set()
    assert "imed out" in caught.value.seen or "Timeout" in caught.value.seen


def test_a_drip_of_bytes_runs_into_the_time_limit(request_: Request, monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            peer, _ = server.accept()
            with peer:
                peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
                while not over.wait(0.02):
                    try:
                        peer.sendall(b" ")
                    except OSError:
                        return

        thread = threading.Thread(target=drip)
        thread.start()
        monkeypatch.setattr(endpoint, "PATIENCE", Patience(1, 0.01, 0.1, 0.3))
        with pytest.raises(UserError, match="no answer") as caught:
            generate(at(request_, f"http://127.0.0.1:{server.getsockname()[1]}/v1", limit=1))
        over.set()
        thread.join()
    assert "not complete after 0.3 s" in caught.value.seen


def test_an_endless_body_is_refused(serve: Serve, request_: Request, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "BODY_LIMIT", 1000)
    with pytest.raises(UserError, match="endless answer"):
        generate(at(request_, serve([(200, {}, b" " * 5000)]).url, limit=1))


def test_nobody_there(request_: Request, serve: Serve) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(UserError, match="no answer") as caught:
        generate(at(request_, f"http://127.0.0.1:{port}/v1", limit=1))
    assert "refused" in caught.value.seen


def test_dying_half_way_keeps_the_answers_and_asks_only_the_rest(serve: Serve, request_: Request) -> None:
    def half(number: int, payload: dict[str, Any]) -> Any:
        return echo(number, payload) if number < 7 else (403, {}, b"{}")

    first = serve(half)
    asked = at(request_, first.url, draws=2)
    with pytest.raises(UserError, match="refused with 403"):
        generate(asked)
    kept = rows(asked)
    assert len(kept) == 7
    assert len(first.asked) < 20

    second = serve(echo)
    sidecar = Path(f"{asked.out}.request.json")
    sidecar.write_text(sidecar.read_text().replace(first.url, second.url))
    assert generate(at(asked, second.url)) == 20
    assert len(second.asked) == 13
    by_key = {(row.sample_id, row.draw): row for row in rows(asked)}
    assert all(by_key[row.sample_id, row.draw] == row for row in kept)


def test_what_is_in_flight_when_one_fails_is_kept(serve: Serve, request_: Request) -> None:
    failed = threading.Event()

    def script(number: int, payload: dict[str, Any]) -> Any:
        if payload["messages"][0]["content"].startswith("Write add"):
            failed.set()
            return 401, {}, b"{}"
        failed.wait(5)
        time.sleep(0.1)
        return echo(number, payload)

    asked = at(request_, serve(script).url, batch_size=3)
    with pytest.raises(UserError, match="sample add"):
        generate(asked)
    assert {"subtract", "reverse"} <= {row.sample_id for row in rows(asked)} < set(WORDS)


def test_newer_models_get_the_newer_name_of_the_limit(serve: Serve, request_: Request) -> None:
    def script(number: int, payload: dict[str, Any]) -> Any:
        if "max_tokens" in payload:
            return 400, {}, b'{"error": {"message": "Use \'max_completion_tokens\' instead."}}'
        return echo(number, payload)

    server = serve(script)
    assert generate(at(request_, server.url, batch_size=1)) == 10
    assert len(server.asked) == 11
    assert server.asked[-1]["max_completion_tokens"] == 11


@pytest.mark.parametrize(("reason", "finish"), FINISHES.items())
def test_finish_reasons(serve: Serve, request_: Request, reason: str | None, finish: str) -> None:
    asked = at(request_, serve([chat("x", reason)]).url, limit=1)
    generate(asked)
    assert rows(asked)[0].finish == finish


def test_an_empty_answer_is_an_answer(serve: Serve, request_: Request) -> None:
    asked = at(request_, serve([chat("")]).url, limit=1)
    assert generate(asked) == 1
    assert rows(asked)[0].text == ""


def test_thinking_up_to_the_limit_is_an_empty_answer_cut_off(serve: Serve, request_: Request) -> None:
    asked = at(request_, serve([chat(None, "length")]).url, limit=1)
    generate(asked)
    assert (rows(asked)[0].text, rows(asked)[0].finish) == ("", "length")


def test_half_a_surrogate_pair_does_not_break_the_file(serve: Serve, request_: Request) -> None:
    body = b'{"choices": [{"message": {"content": "a\\ud800b \\ud83d\\ude00"}, "finish_reason": "stop"}]}'
    asked = at(request_, serve([(200, {}, body)]).url, limit=1)
    generate(asked)
    assert rows(asked)[0].text == "a?b 😀"


@pytest.mark.parametrize(
    "url",
    [
        "http://user:pw@host/v1",
        "https://host/v1?key=abc",
        "http://",
        "http://host:99999/v1",
        "http://ho st/v1",
        "http://h/v1#x",
    ],
)
def test_addresses_that_are_none_or_carry_secrets(request_: Request, url: str) -> None:
    with pytest.raises(UserError) as caught:
        generate(at(request_, url))
    assert "pw" not in str(caught.value)
    assert "abc" not in str(caught.value)
    assert not request_.out.exists()


def test_another_endpoint_model_is_refused_for_the_same_file(serve: Serve, request_: Request) -> None:
    url = serve(echo).url
    generate(at(request_, url, limit=1))
    with pytest.raises(UserError, match="other settings: endpoint_model"):
        generate(at(request_, url, endpoint_model="small"))


def test_bad_data_is_refused_before_anything_is_asked(serve: Serve, request_: Request) -> None:
    server = serve(echo)
    request_.data.write_text('{"prompt": "a", "completion": "b"}\n{"prompt": 3}\n')
    with pytest.raises(UserErrors, match=r"test.jsonl:2"):
        generate(at(request_, server.url))
    assert server.asked == []


def test_samples_without_ids_can_be_asked(serve: Serve, request_: Request) -> None:
    request_.data.write_text('{"prompt": "Write a", "completion": "b"}\n')
    asked = at(request_, serve(echo).url)
    assert generate(asked) == 1
    assert len(rows(asked)[0].sample_id) == 16


def test_changed_prompts_are_refused_and_changed_references_are_not(serve: Serve, request_: Request) -> None:
    asked = at(request_, serve(echo).url)
    generate(at(asked, asked.model, limit=3))
    samples = jsonl.read(Sample, asked.data)
    jsonl.write(asked.data, [dataclasses.replace(sample, completion="better") for sample in samples])
    assert generate(asked) == 10
    jsonl.write(asked.data, [dataclasses.replace(sample, prompt="another") for sample in samples])
    with pytest.raises(UserError, match="other settings: data"):
        generate(asked)


def test_a_full_disk_keeps_what_is_written(serve: Serve, request_: Request) -> None:
    asked = at(request_, serve(lambda n, p: chat("x" * 400)).url, batch_size=1)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2500, before[1]))
    try:
        with pytest.raises(UserError, match="cannot be written"):
            generate(asked)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    kept = asked.out.read_text().rpartition("\n")[0]
    assert kept.count("\n") == 3
    assert generate(asked) == 10
    assert asked.out.read_text().startswith(kept)


def test_an_out_folder_that_cannot_be(serve: Serve, request_: Request) -> None:
    with pytest.raises(UserError, match="cannot be written"):
        generate(at(request_, serve(echo).url, out=request_.data / "out.jsonl"))
