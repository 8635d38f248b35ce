"""What a stage takes: sizes of models and data, priors held against runs that were measured, budgets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sluicegate import study
from sluicegate.data.build import build
from sluicegate.errors import UserErrors
from sluicegate.evaluators import exact_match
from sluicegate.generate import local
from sluicegate.models import causal_decoding, tiny
from sluicegate.models.compiling import STEPS_TO_COMPILE
from sluicegate.models.pair_memory import PairSize, forecast_gib
from sluicegate.settings import TrainSettings
from sluicegate.stages.forecast import Quantity, decoding, machines, priors, shapes, work
from sluicegate.stages.forecast.cost import quantities
from sluicegate.stages.forecast.duration import COSTS
from sluicegate.stages.forecast.layout import Stage, lay_out, unknown
from sluicegate.stages.forecast.machines import Speed
from sluicegate.stages.forecast.making import of
from sluicegate.stages.forecast.space import fits, vram
from sluicegate.stages.forecast.span import Span, around, exactly
from sluicegate.stages.forecast.work import Texts, Tokens, Work
from sluicegate.stages.plan import resolve
from sluicegate.study import Machine, StageChange, Study
from sluicegate.train.batches import schedule

DEMO = study.load("demo").model_copy(
    update={
        "must_not_worsen": {},
        "stages": {
            1: StageChange(train={"load_in_4bit": "true"}),
            2: StageChange(train_samples=100, val_samples=20, test_samples=40, train={"epochs": 6}),
            3: StageChange(train_samples=400, val_samples=40, test_samples=100, train={"epochs": 6}),
        },
    }
)
"""As it was when `DEMO_RUNS` was measured."""
LLAMA = study.load("metadata-llama3").model_copy(update={"stages": {}})
H200 = Machine(does=("train", "generate"), gpu="NVIDIA H200", vram_gib=139, dollars_per_hour=2.5)
TWO_CORES = Speed("here", "", None, None, 8.0, exactly(2))


def rows(found: tuple[Quantity, ...]) -> dict[str, Quantity]:
    return {row.name: row for row in found}


UNREAD = Texts({"kubernetes": 200}, None, None, None)


def with_machine(changed: Study, machine: Machine = H200) -> Study:
    judge = Machine(does=("evaluate",))
    return changed.model_copy(update={"machines": {"gpu": machine, "judge": judge}})


def of_tokens(samples: int, tokens: float, batch: int, accumulation: int, **changed: Any) -> Stage:
    """A training of so many samples of that length on an H200."""
    settings = {"batch_size": batch, "gradient_accumulation_steps": accumulation, "epochs": 1.0, **changed}
    plan = resolve(LLAMA.model_copy(update={"train": LLAMA.train | settings}), 3)
    each = Tokens(exactly(tokens * 2 / 3), exactly(tokens / 3))
    arms = dict.fromkeys(plan.train, each)
    done = Work(train=samples, val=0, test=8, asked=8, trained=arms, questions=arms, known=True, spare=None)
    there = with_machine(LLAMA)
    return lay_out(there, plan, done, machines.of(there))


def test_the_sizes_are_those_that_were_counted() -> None:
    # 8,030,261,248 and 222,882,048 were counted on the models; 208,896 weights of LoRA r 16 by the demo's trainings.
    llama, codet5 = shapes.find("meta-llama/Meta-Llama-3-8B"), shapes.find("Salesforce/codet5-base")
    made = shapes.find("tiny")
    assert llama is not None
    assert codet5 is not None
    assert made is not None
    assert (llama.size.parameters, llama.size.linear, llama.size.rows_and_columns) == (
        8_030_261_248, 6_979_321_856, 32 * 81_920,
    )  # fmt: skip
    assert codet5.size.parameters == 222_882_048
    assert (made.size.parameters, 16 * made.size.rows_and_columns) == (2_295_552, 208_896)
    small, large = (shapes.find(f"Salesforce/{name}") for name in ("codet5-small", "codet5p-770m"))
    assert small is not None
    assert large is not None
    assert (small.size.parameters, large.size.parameters) == (60_492_288, 737_639_424)


def test_the_tiny_shape_is_that_of_the_tiny_model() -> None:
    assert {key: shapes.TINY[key] for key in tiny.SHAPE} == tiny.SHAPE


def test_a_folder_tells_its_size_and_what_is_not_understood_is_unknown(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(shapes.LLAMA_3_8B))
    found, named = shapes.find(str(tmp_path)), shapes.find("meta-llama/Meta-Llama-3-8B")
    assert found is not None
    assert named is not None
    assert found.size == named.size
    for text in ("{", "[]", "{}", '{"model_type": "llama"}', '{"model_type": "llama", "hidden_size": "x"}',
                 '{"model_type": "mamba", "hidden_size": 8}'):  # fmt: skip
        (tmp_path / "config.json").write_text(text)
        assert shapes.find(str(tmp_path)) is None, text


@pytest.mark.parametrize(
    ("samples", "tokens", "batch", "accumulation", "seconds"),
    [
        # An earlier loop on an H200, unpacked: Llama-3-8B of random weights, NF4, LoRA r 16; seconds after loading.
        (64, 26_039, 1, 8, 51.9),
        (64, 26_039, 4, 2, 15.6),
        (64, 26_039, 8, 1, 12.3),
        (12, 23_107, 1, 4, 8.1),
        (12, 23_107, 4, 1, 4.5),
        (91, 38_522, 1, 8, 32.1),
        (91, 38_522, 4, 2, 10.2),
    ],
)
def test_the_prior_of_training_rows_on_a_gpu_holds_what_was_measured(
    samples: int, tokens: int, batch: int, accumulation: int, seconds: float
) -> None:
    stage = of_tokens(samples, tokens / samples, batch, accumulation, packing="false")
    span = COSTS["train"](stage, "control").span
    assert span is not None
    start = 23.6  # wall seconds outside the loop, mean of five of these runs
    assert span.low < seconds + start < span.high
    assert span.expected / 2 < seconds + start < span.expected * 2


def measured(part: str, name: str) -> list[Any]:
    """Rows of docs/performance.json by their name."""
    told = json.loads((Path(__file__).parents[2] / "docs" / "performance.json").read_text("utf-8"))
    key = {"qlora": "row", "generate": "decoder"}[part]
    return [row for one in told[part] for row in one["rows"] if row.get(key) == name and "tokens_per_s" in row]


@pytest.mark.parametrize("name", ["ours", "ours within 7 GiB", "ours within 11 GiB"])
def test_the_prior_of_training_packs_on_a_gpu_holds_what_was_measured(name: str) -> None:
    (row,) = measured("qlora", name)
    # Steps of 36 samples, 15,780 tokens in all, without dropout; enough of them to be compiled.
    changed = {"vram_limit_gb": row["limit_gib"] or None, "lora_dropout": 0.0, "compile": "true", "epochs": 100.0}
    span = COSTS["train"](of_tokens(36, 15_780 / 36, 1, 36, **changed), "control").span
    assert span is not None
    seconds = 100 * 15_780 / row["tokens_per_s"] + row["warm_up_s"]
    assert span.low < seconds < span.high
    assert span.expected / 1.5 < seconds < span.expected * 1.5


def test_what_is_not_packed_or_not_compiled_takes_longer() -> None:
    def seconds(**changed: Any) -> float:
        span = COSTS["train"](of_tokens(64, 407, 1, 8, epochs=50.0, **changed), "control").span
        assert span is not None
        return span.expected

    assert seconds() == seconds(compile="true") < seconds(compile="false") < seconds(packing="false")
    assert seconds() < seconds(vram_limit_gb=11) < seconds(vram_limit_gb=7)
    few, eager = of_tokens(64, 407, 1, 8), of_tokens(64, 407, 1, 8, compile="false")
    assert few.arms["control"].passes.steps < STEPS_TO_COMPILE
    assert COSTS["train"](few, "control") == COSTS["train"](eager, "control")


def test_constants_of_modules_that_need_torch_are_theirs() -> None:
    assert priors.READ_AT_ONCE == causal_decoding.READ
    assert causal_decoding.LOGIT_BYTES[False] == priors.LOGIT_BYTES
    assert {True: causal_decoding.MOST["cuda"], False: local.BATCH} == priors.ROWS


@pytest.mark.parametrize(("name", "gib"), [("ours", 139.0), ("ours, before its own kernel", 11.0)])
def test_the_prior_of_generating_on_a_gpu_holds_what_was_measured(name: str, gib: float) -> None:
    (row,) = measured("generate", name)
    # 64 prompts of 32 to 512 tokens, 8 answers each of at most 384 and 137 on average.
    drawn = LLAMA.generate.model_copy(update={"batch_size": 0, "max_new_tokens": 384})
    changed = with_machine(LLAMA.model_copy(update={"generate": drawn}), H200.model_copy(update={"vram_gib": gib}))
    each = dict.fromkeys(("control", "experiment"), Tokens(exactly(204), exactly(136.2)))
    done = Work(train=8, val=0, test=64, asked=64, trained=each, questions=each, known=True, spare=None)
    plan = resolve(changed.model_copy(update={"stages": {3: StageChange(draws=8, train={})}}), 3)
    span = decoding.seconds(lay_out(changed, plan, done, machines.of(changed)), "control")
    assert span is not None
    seconds = 512 * 137.2 / row["tokens_per_s"]
    assert span.low < seconds < span.high
    assert span.expected / 2 < seconds < span.expected * 2


@pytest.mark.parametrize(("gib", "in_4bit", "rows"), [(12, True, 39), (12, False, 1), (24, True, 134), (80, True, 256)])
def test_answers_at_once_are_what_memory_holds_where_the_study_leaves_it_open(
    gib: float, in_4bit: bool, rows: int
) -> None:
    drawn = LLAMA.generate.model_copy(update={"batch_size": 0, "max_new_tokens": 512})
    train = LLAMA.train | {"load_in_4bit": str(in_4bit).lower()}
    machine = Machine(does=("train", "generate"), gpu="NVIDIA H200", vram_gib=gib)
    changed = with_machine(LLAMA.model_copy(update={"generate": drawn, "train": train}), machine)
    each = dict.fromkeys(("control", "experiment"), Tokens(exactly(400), exactly(100)))

    def generated(study: Study) -> Any:
        done = Work(train=8, val=0, test=900, asked=900, trained=each, questions=each, known=True, spare=None)
        plan = resolve(study.model_copy(update={"stages": {3: StageChange(draws=1, train={})}}), 3)
        return COSTS["generate"](lay_out(study, plan, done, machines.of(study)), "control").span

    told = changed.model_copy(update={"generate": drawn.model_copy(update={"batch_size": rows})})
    assert generated(changed) == generated(told) is not None


def test_an_encoder_decoder_is_sized_as_its_training_sizes_it() -> None:
    changed = with_machine(study.load("k8s-dual-encoder"))
    plan = resolve(changed, 3)
    laid = lay_out(changed, plan, work.work(changed, plan, UNREAD), machines.of(changed))
    needs = []
    for model in laid.plan.models:
        trained = laid.arms[model.arm]
        assert trained.shape is not None and isinstance(trained.shape.size, PairSize)
        assert (trained.shape.size.writers, trained.shape.size.heads, trained.shape.size.sources) == (12, 12, 1)
        asked = trained.settings
        needs.append(forecast_gib(trained.shape.size, asked, in_4bit=False, window=asked.max_seq_length, gpu=True))
    figure = vram(laid)
    assert figure.span is not None and figure.span.low < max(needs) < figure.span.high
    assert figure.basis == "models.pair_memory"
    small = replace(laid, machines={**laid.machines, "train": replace(laid.machines["train"], gib=12.0)})
    halved = vram(small).span
    assert halved is not None and halved.expected < 12 < max(needs)


SEEN = ("train", "generate", "evaluate", "wall", "tokens trained", "tokens generated")
DEMO_RUNS = {
    # sluicegate run --through 3 --study demo on 2 shared cores of an AMD EPYC: wall seconds of the steps, both arms.
    1: (29.3, 17.2, 0.61, 64.3, 6940, 236),
    2: (29.3, 15.4, 1.39, 53.6, 83604, 8201),
    3: (64.2, 18.8, 2.56, 91.6, 336252, 19622),
}


@pytest.mark.parametrize("number", DEMO_RUNS)
def test_the_prior_of_a_cpu_holds_what_the_demo_took(number: int) -> None:
    plan = resolve(DEMO, number)
    done = work.work(DEMO, plan, work.texts(DEMO, plan))
    found = rows(quantities(lay_out(DEMO, plan, done, dict.fromkeys(machines.VERBS, TWO_CORES))))
    for name, seen in zip(SEEN, DEMO_RUNS[number], strict=True):
        row, scale = found[name], 3600.0 if found[name].unit == "h" else 1.0
        assert row.low is not None
        assert row.high is not None
        assert row.low * scale <= seen <= row.high * scale, name
    assert found["vram"].high == 0


def test_steps_are_those_that_training_will_do() -> None:
    for samples in (1, 5, 70, 401):
        for batch, accumulation in ((1, 8), (16, 1), (4, 3)):
            for epochs, most in ((3.0, None), (0.5, None), (1000.0, 10)):
                settings = TrainSettings.model_construct(
                    batch_size=batch, gradient_accumulation_steps=accumulation, epochs=epochs, max_steps=most,
                    save_every=100,
                )  # fmt: skip
                true = schedule(samples, per_step=batch * accumulation, epochs=epochs, max_steps=most, seed=0)
                assert work.passes(settings, samples).steps == true.steps


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_samples_are_counted_as_the_data_step_deals_them(number: int, tmp_path: Path) -> None:
    plan = resolve(DEMO, number)
    done = work.work(DEMO, plan, work.texts(DEMO, plan))
    size: Any = plan.stage.size
    built = build(
        DEMO, size, tmp_path, train_samples=plan.train_samples, val_samples=plan.val_samples,
        test_samples=plan.test_samples,
    )  # fmt: skip
    dealt = {name: sum(counts[name] for counts in built.counts.values()) for name in ("train", "val", "test")}
    assert {"train": done.train, "val": done.val, "test": done.test} == dealt
    asked = f"control-{'val' if number == 1 else 'test'}.jsonl"
    assert built.files[asked].samples == done.asked


def test_samples_of_a_folder_are_read_and_large_or_missing_ones_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = LLAMA.model_copy(
        update={"scenarios": ("python",), "data": LLAMA.data.model_copy(update={"source": str(tmp_path)})}
    )
    plan = resolve(changed, 3)
    missing = work.work(changed, plan, work.texts(changed, plan))
    assert (missing.train, missing.test, missing.known) == (70, 15, False)
    assert "100 samples a scenario are assumed" in missing.note
    (tmp_path / "python").mkdir()
    lines = [json.dumps({"id": f"i{i}", "prompt": f"{i:07}", "completion": "y" * 350}) for i in range(40)]
    (tmp_path / "python" / "samples.jsonl").write_text("\n".join(lines) + "\n")
    read = work.work(changed, plan, work.texts(changed, plan))
    assert (read.train, read.val, read.test, read.known, read.spare) == (28, 6, 6, True, 0)
    assert read.trained["control"].answer.expected == pytest.approx(100)
    monkeypatch.setattr(work, "READ_LIMIT", 100)
    counted = work.work(changed, plan, work.texts(changed, plan))
    assert (counted.train, counted.known) == (28, False)
    assert "lines are counted" in counted.note
    monkeypatch.undo()
    (tmp_path / "python" / "samples.jsonl").write_text("no json\n")
    assert "assumed" in work.work(changed, plan, work.texts(changed, plan)).note
    short = changed.model_copy(update={"stages": {3: StageChange(train_samples=400, train={})}})
    (tmp_path / "python" / "samples.jsonl").write_text("\n".join(lines) + "\n")
    asked = resolve(short, 3)
    assert "the data step will refuse" in work.work(short, asked, work.texts(short, asked)).note


def test_this_environment_does_not_leak_into_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BATCH_SIZE", "99")
    monkeypatch.setenv("LORA_ALPHA", "7")
    settings = work.settings_of(resolve(DEMO, 3), "control")
    assert (settings.batch_size, settings.lora_alpha, settings.load_in_4bit) == (16, 32, "auto")


@pytest.mark.parametrize("value", [None, ""])
def test_a_setting_that_is_null_or_empty_is_unset_as_training_takes_it(value: str | None) -> None:
    changed = DEMO.model_copy(update={"train": DEMO.train | {"batch_size": value, "base_model": 7}})
    settings = work.settings_of(resolve(changed, 3), "control")
    assert (settings.batch_size, settings.base_model) == (4, "7")


def test_settings_that_training_would_refuse_are_refused_before_any_money() -> None:
    changed = DEMO.model_copy(update={"train": DEMO.train | {"batch_size": 0, "lora_dropout": 2}})
    with pytest.raises(UserErrors, match="BATCH_SIZE"):
        of(changed, 3)


def test_dollars_are_hours_at_the_machines_price() -> None:
    found = rows(of(with_machine(LLAMA), 3).quantities)
    hours = [found[verb].expected for verb in ("train", "generate")]
    assert None not in hours
    assert found["dollars"].expected == pytest.approx(2.5 * sum(filter(None, hours)), rel=1e-3)
    assert found["train"].machine == "gpu"
    assert found["evaluate"].machine == "judge"
    free = rows(of(with_machine(LLAMA, H200.model_copy(update={"dollars_per_hour": 0.0})), 3).quantities)
    assert (free["dollars"].low, free["dollars"].high) == (0, 0)


def test_a_judge_declares_its_calls_and_price(monkeypatch: pytest.MonkeyPatch) -> None:
    before = rows(of(DEMO, 3).quantities)
    assert (before["judge calls"].high, before["dollars"].high) == (0, 0)
    monkeypatch.setattr(exact_match, "CALLS", 2, raising=False)
    monkeypatch.setattr(exact_match, "DOLLARS", (0.001, 0.002, 0.004), raising=False)
    after = rows(of(DEMO, 3).quantities)
    assert after["judge calls"].expected == 2 * 100 * 4 * 2
    assert (after["dollars"].low, after["dollars"].high) == (0.8, 3.2)


def test_what_is_over_budget_is_told() -> None:
    def kept(hours: float) -> bool | None:
        change = {3: StageChange(hours=hours, train={})}
        return of(with_machine(LLAMA.model_copy(update={"stages": change})), 3).within("hours")

    wall = rows(of(with_machine(LLAMA), 3).quantities)["wall"]
    assert wall.expected is not None
    assert wall.high is not None
    assert (kept(1.01 * wall.high), kept(1.01 * wall.expected), kept(0.9 * wall.expected)) == (True, None, False)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"train": LLAMA.train | {"base_model": "somebody/some-model"}}, "size unknown here"),
        ({"machines": {"box": Machine(does=("train", "generate"), gpu="Quux 9000", vram_gib=24)}}, "speed unknown"),
        ({"machines": {"pc": Machine(does=("train", "generate", "evaluate"))}}, "the study needs a GPU"),
    ],
)
def test_what_cannot_be_known_is_not_made_up(changes: Mapping[str, Any], told: str) -> None:
    forecast = of(with_machine(LLAMA).model_copy(update=changes), 3)
    found = rows(forecast.quantities)
    assert (found["train"].low, found["train"].expected, found["wall"].high) == (None, None, None)
    assert any(told in note for note in forecast.notes), forecast.notes
    assert forecast.within("hours") is None
    assert forecast.chances is not None
    assert found["evaluate"].expected is not None


def test_a_model_that_does_not_fit_the_gpu_is_told() -> None:
    small = Machine(does=("train", "generate"), gpu="RTX 4070 Ti", vram_gib=12)
    # Packs are cut to what fits; rows lie side by side as BATCH_SIZE says.
    told_of_rows = {1: "", 4: "may not fit", 8: "does NOT FIT"}
    for batch, packing, told in ((16, "auto", ""), *((batch, "false", told) for batch, told in told_of_rows.items())):
        settings = {"batch_size": batch, "packing": packing}
        changed = with_machine(LLAMA.model_copy(update={"train": LLAMA.train | settings}), small)
        plan = resolve(changed, 3)
        stage = lay_out(changed, plan, work.work(changed, plan, work.texts(changed, plan)), machines.of(changed))
        said = fits(stage, rows(quantities(stage))["vram"])
        assert told in said if told else said == "", (batch, said)
        assert list(unknown(stage)) == []


def test_the_machine_at_hand_is_asked_once_and_may_be_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    for answer, gpu, gib in (("NVIDIA H200, 143771", "NVIDIA H200", 140.4), ("", "", None), ("garbage", "", None)):
        machines.here.cache_clear()
        monkeypatch.setattr(machines, "_asked", lambda answer=answer: answer)
        found = machines.here()
        assert found.gpu == gpu
        assert gib is None or found.gib == gib
    machines.here.cache_clear()


def test_spans() -> None:
    assert Span(1, 2, 3) + around(2, 2) == Span(2, 4, 7)
    assert exactly(2).times(Span(1, 2, 4)) == Span(2, 4, 8)
    assert Span(0, 1, 2).times(Span(1, 2, 3)) == Span(0, 2, 6)
    assert Span(1, 5, 9).at_most(6) == Span(1, 5, 6)
