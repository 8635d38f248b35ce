from __future__ import annotations

import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")

from sluicegate import folder, jsonl  # noqa: E402
from sluicegate.errors import UserError, UserErrors  # noqa: E402
from sluicegate.generate import Request, generate, local  # noqa: E402
from sluicegate.generate.decode import decode  # noqa: E402
from sluicegate.models import causal_decoding  # noqa: E402
from sluicegate.models.causal import load_trained  # noqa: E402
from sluicegate.models.slots import Slots, UnfitError  # noqa: E402
from sluicegate.records import Prediction, Sample, to_dict  # noqa: E402


@pytest.fixture
def request_(folder: Path, data: Path, tmp_path: Path) -> Request:
    return Request(
        model=str(folder), name="little", data=data, out=tmp_path / "out.jsonl", draws=3, temperature=1.3,
        max_new_tokens=20, batch_size=8, load_in_4bit="false",
    )  # fmt: skip


def timeless(path: Path) -> str:
    return re.sub(r'"seconds":[0-9.e-]+', '"seconds":0', path.read_text())


def texts(path: Path) -> list[str]:
    return [row.text for row in jsonl.read(Prediction, path)]


def test_every_sample_and_draw_is_answered_in_order(request_: Request) -> None:
    assert generate(request_) == 30
    rows = jsonl.read(Prediction, request_.out)
    samples = jsonl.read(Sample, request_.data)
    assert [(row.sample_id, row.draw) for row in rows] == [(s.id, draw) for s in samples for draw in range(3)]
    assert {row.model for row in rows} == {"little"}
    assert all(0 < row.tokens <= 20 and row.seconds > 0 for row in rows)
    assert {row.finish for row in rows} == {"stop", "length"}
    assert all(row.tokens == 20 for row in rows if row.finish == "length")
    assert len(set(texts(request_.out))) > 25


@pytest.mark.parametrize("size", [0, 1, 3])
def test_texts_do_not_depend_on_the_batch_size(request_: Request, size: int) -> None:
    generate(request_)
    other = dataclasses.replace(request_, batch_size=size, out=request_.out.with_name("other.jsonl"))
    generate(other)
    assert timeless(other.out) == timeless(request_.out)


def test_texts_depend_on_the_seed(request_: Request) -> None:
    generate(request_)
    other = dataclasses.replace(request_, seed=1, out=request_.out.with_name("other.jsonl"))
    generate(other)
    same = sum(a == b for a, b in zip(texts(request_.out), texts(other.out), strict=True))
    assert same < 5


def test_greedy_text_equals_that_of_generate(request_: Request, folder: Path) -> None:
    generate(dataclasses.replace(request_, draws=1, temperature=0.0))
    model, tokenizer = load_trained(folder, load_in_4bit="false")
    for sample, text in zip(jsonl.read(Sample, request_.data), texts(request_.out), strict=True):
        ids = tokenizer(sample.prompt, return_tensors="pt")
        out = model.generate(
            input_ids=ids["input_ids"],
            attention_mask=ids["attention_mask"],
            max_new_tokens=20,
            do_sample=False,
        )
        assert text == tokenizer.decode(out[0, ids["input_ids"].shape[1] :], skip_special_tokens=True)


@pytest.mark.parametrize("share", [0.02, 0.3, 0.5, 0.71, 0.999])
def test_a_file_cut_anywhere_grows_into_the_same_file(request_: Request, share: float) -> None:
    generate(request_)
    whole, wanted = request_.out.read_bytes(), timeless(request_.out)
    request_.out.write_bytes(whole[: int(len(whole) * share)])
    kept = request_.out.read_bytes().rpartition(b"\n")[0]
    assert generate(request_) == 30
    assert timeless(request_.out) == wanted
    assert request_.out.read_bytes().startswith(kept)


@pytest.mark.process
def test_killed_and_begun_again_gives_the_same_file(request_: Request) -> None:
    slow = dataclasses.replace(request_, batch_size=1)
    fields = {field.name: getattr(slow, field.name) for field in dataclasses.fields(slow)}
    code = (
        "import sys, json\nfrom pathlib import Path\nfrom sluicegate.generate import Request, generate\n"
        "given = json.loads(sys.argv[1])\ngiven['data'], given['out'] = Path(given['data']), Path(given['out'])\n"
        "generate(Request(**given))\n"
    )
    argv = [sys.executable, "-c", code, json.dumps(fields, default=str)]
    child = subprocess.Popen(argv, env={**os.environ, "OMP_NUM_THREADS": "1"}, stderr=subprocess.DEVNULL)
    while child.poll() is None and (not slow.out.exists() or slow.out.read_bytes().count(b"\n") < 5):
        time.sleep(0.001)
    child.send_signal(signal.SIGKILL)
    child.wait()
    before = {line for line in slow.out.read_text().split("\n")[:-1] if line.endswith("}")}
    assert len(before) >= 5
    assert generate(request_) == 30
    assert before <= set(slow.out.read_text().split("\n"))
    fresh = dataclasses.replace(request_, out=request_.out.with_name("fresh.jsonl"))
    generate(fresh)
    assert timeless(request_.out) == timeless(fresh.out)


def test_what_is_done_is_not_done_again(request_: Request, monkeypatch: pytest.MonkeyPatch) -> None:
    generate(request_)
    before = request_.out.read_bytes()

    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("the model was loaded")

    monkeypatch.setattr(local, "answers", refuse)
    assert generate(request_) == 30
    assert request_.out.read_bytes() == before


def test_a_trial_with_few_samples_grows_into_the_whole(request_: Request) -> None:
    assert generate(dataclasses.replace(request_, limit=2, draws=1)) == 2
    trial = texts(request_.out)
    assert generate(request_) == 30
    assert [texts(request_.out)[0], texts(request_.out)[3]] == trial


def test_other_settings_are_refused_by_name(request_: Request) -> None:
    generate(dataclasses.replace(request_, limit=1))
    before = request_.out.read_bytes()
    other = dataclasses.replace(request_, temperature=0.5, max_new_tokens=21)
    with pytest.raises(UserError, match="other settings: temperature, max_new_tokens") as caught:
        generate(other)
    assert caught.value.wanted == "temperature=1.3; max_new_tokens=20"
    assert request_.out.read_bytes() == before


def test_another_model_under_the_same_path_is_refused(request_: Request, folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for part in folder.iterdir():
        (copy / part.name).write_bytes(part.read_bytes())
    moved = dataclasses.replace(request_, model=str(copy), limit=1)
    generate(moved)
    assert generate(dataclasses.replace(moved, model=str(folder))) == 3
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\0")
    with pytest.raises(UserError, match="other settings: model"):
        generate(moved)


def test_a_prompt_without_room_is_refused_before_any_work(request_: Request) -> None:
    before = request_.data.read_text()
    long = Sample(id="novel", prompt="word " * 200, completion="x")
    jsonl.write(request_.data, [*jsonl.read(Sample, request_.data), long])
    with pytest.raises(UserError, match="1 of 11 prompts") as caught:
        generate(request_)
    assert "novel" in caught.value.seen
    assert "108 tokens: window 128 less max_new_tokens 20" in caught.value.wanted
    assert not request_.out.exists()
    request_.data.write_text(before)
    assert generate(dataclasses.replace(request_, limit=1)) == 3


def test_out_of_memory_halves_the_rows(
    request_: Request, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    generate(request_)
    advance = Slots.advance

    def small(slots: Slots, run: Any, rows: int, seen: int, sampling: Any) -> Any:
        if rows > 3 and slots.count.sum() > 20:
            raise torch.OutOfMemoryError("full")
        return advance(slots, run, rows, seen, sampling)

    monkeypatch.setattr(Slots, "advance", small)
    other = dataclasses.replace(request_, out=request_.out.with_name("other.jsonl"))
    generate(other)
    assert timeless(other.out) == timeless(request_.out)
    told = capsys.readouterr().err
    assert "with 8 answers at once; going on with 4" in told and "with 4 answers at once; going on with 2" in told


def unfit(*_: Any, **__: Any) -> Any:
    raise UnfitError("it is shy")


def test_a_model_without_slots_answers_in_batches_with_the_same_texts(
    request_: Request, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    generate(request_)
    monkeypatch.setattr(causal_decoding, "Decoder", unfit)
    other = dataclasses.replace(request_, out=request_.out.with_name("other.jsonl"))
    generate(other)
    assert timeless(other.out) == timeless(request_.out)
    assert "in batches, without slots: it is shy" in capsys.readouterr().err


def test_out_of_memory_halves_the_batch(request_: Request, monkeypatch: pytest.MonkeyPatch) -> None:
    generate(request_)
    sizes = []

    def small(model: Any, prompts: Any, rows: Any, uniforms: Any, sampling: Any) -> Any:
        sizes.append(len(rows))
        if len(rows) > 3:
            raise torch.OutOfMemoryError("full")
        return decode(model, prompts, rows, uniforms, sampling)

    monkeypatch.setattr(causal_decoding, "Decoder", unfit)
    monkeypatch.setattr(local, "decode", small)
    other = dataclasses.replace(request_, out=request_.out.with_name("other.jsonl"))
    generate(other)
    assert timeless(other.out) == timeless(request_.out)
    assert sizes[:4] == [8, 4, 2, 2]


@pytest.mark.parametrize("slotted", [True, False])
def test_out_of_memory_with_one_answer_is_the_users(
    request_: Request, monkeypatch: pytest.MonkeyPatch, slotted: bool
) -> None:
    def full(*_: Any, **__: Any) -> Any:
        raise torch.OutOfMemoryError("full")

    if slotted:
        monkeypatch.setattr(causal_decoding.Decoder, "step", full)
    else:
        monkeypatch.setattr(causal_decoding, "Decoder", unfit)
        monkeypatch.setattr(local, "decode", full)
    with pytest.raises(UserError, match="one answer at a time" if slotted else "batch of one, sample"):
        generate(request_)


def test_an_adapter_folder_is_asked_with_its_adapter(request_: Request, folder: Path, tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    model, tokenizer = load_trained(folder, load_in_4bit="false")
    adapted = peft.get_peft_model(model, peft.LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False))
    adapted.peft_config["default"].base_model_name_or_path = str(folder)
    adapted.save_pretrained(tmp_path / "adapter")
    tokenizer.save_pretrained(tmp_path / "adapter")
    generate(request_)
    other = dataclasses.replace(request_, model=str(tmp_path / "adapter"), out=tmp_path / "other.jsonl")
    assert generate(other) == 30
    assert texts(other.out) != texts(request_.out)


@pytest.mark.parametrize(
    "said", ['{"settings": {"model_kind": "seq3seq"}}', "{", "[]", '{"settings": {"model_kind": []}}']
)
def test_an_unknown_kind_is_told_of(request_: Request, folder: Path, tmp_path: Path, said: str) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for part in folder.iterdir():
        (copy / part.name).write_bytes(part.read_bytes())
    (copy / "run.json").write_text(said)
    with pytest.raises(UserError, match="no known model kind"):
        generate(dataclasses.replace(request_, model=str(copy)))


def test_rows_of_elsewhere_are_refused_and_kept(request_: Request) -> None:
    generate(dataclasses.replace(request_, limit=2))
    rows = jsonl.read(Prediction, request_.out)
    stranger = dataclasses.replace(rows[0], sample_id="nobody")
    beyond = dataclasses.replace(rows[0], draw=7)
    foreign = dataclasses.replace(rows[1], model="another")
    jsonl.write(request_.out, [*rows, stranger, beyond, foreign, rows[0]])
    before = request_.out.read_bytes()
    with pytest.raises(UserErrors) as caught:
        generate(request_)
    told = [str(fault) for fault in caught.value.faults]
    assert [re.search(r":(\d+):", text).group(1) for text in told] == ["7", "8", "9", "10"]  # type: ignore[union-attr]
    assert [
        "not among" in told[0],
        "more draws" in told[1],
        "another model" in told[2],
        "twice" in told[3],
    ] == [True] * 4
    assert request_.out.read_bytes() == before


def test_a_smaller_limit_does_not_drop_rows(request_: Request) -> None:
    generate(dataclasses.replace(request_, limit=2))
    before = request_.out.read_bytes()
    with pytest.raises(UserErrors, match="3 row"):
        generate(dataclasses.replace(request_, limit=1))
    assert request_.out.read_bytes() == before


def test_a_file_that_is_not_ours_is_left_alone(request_: Request) -> None:
    request_.out.write_text("somebody's notes, no newline at the end")
    with pytest.raises(UserError, match=r"out.jsonl.request.json is not beside it"):
        generate(request_)
    assert request_.out.read_text() == "somebody's notes, no newline at the end"
    before = request_.data.read_text()
    with pytest.raises(UserError, match="not beside it"):
        generate(dataclasses.replace(request_, out=request_.data))
    assert request_.data.read_text() == before


def test_a_damaged_sidecar_is_told_of(request_: Request) -> None:
    generate(dataclasses.replace(request_, limit=1))
    Path(f"{request_.out}.request.json").write_text("{")
    with pytest.raises(UserError, match="damaged"):
        generate(request_)


def test_a_file_in_use_is_refused(request_: Request) -> None:
    with folder.holding_file(request_.out), pytest.raises(UserError, match="in use"):
        generate(request_)
    assert generate(dataclasses.replace(request_, limit=1)) == 3


def test_an_unknown_model_is_refused_before_anything_is_written(request_: Request, tmp_path: Path) -> None:
    for model, seen in (
        ("no/such", "no such folder"),
        (str(request_.data), "a file"),
        (str(tmp_path), "a folder that holds"),
    ):
        with pytest.raises(UserError) as caught:
            generate(dataclasses.replace(request_, model=model))
        assert seen in caught.value.seen
    assert sorted(path.name for path in tmp_path.iterdir()) == ["test.jsonl"]


def test_out_is_a_folder(request_: Request, tmp_path: Path) -> None:
    for out in (tmp_path, Path(), Path("..")):
        with pytest.raises(UserError, match="is a folder"):
            generate(dataclasses.replace(request_, out=out))
    assert not tmp_path.with_name(tmp_path.name + ".lock").exists()


def test_the_sidecar_records_what_shaped_the_texts(request_: Request) -> None:
    generate(dataclasses.replace(request_, limit=1))
    told = json.loads(Path(f"{request_.out}.request.json").read_text())
    assert told["model"].startswith("sha256:")
    assert (told["temperature"], told["seed"], told["max_new_tokens"], told["name"]) == (1.3, 0, 20, "little")
    assert len(told["data"]) == 64


def test_predictions_are_plain_records(request_: Request) -> None:
    generate(dataclasses.replace(request_, limit=1))
    first = json.loads(request_.out.read_text().split("\n")[0])
    assert first == to_dict(jsonl.read(Prediction, request_.out)[0])


@pytest.mark.process
def test_importing_generate_imports_nothing_heavy() -> None:
    code = (
        "import sys, sluicegate.generate; print([m for m in ('torch', 'transformers', 'mlflow') if m in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
