"""Answers in slots beside transformers' `generate` and the plain loop, on random two-layer models in float32."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")

from transformers import (  # noqa: E402
    BloomConfig,
    BloomForCausalLM,
    Gemma2Config,
    Gemma2ForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from captures import counted  # noqa: E402
from sluicegate.errors import UserError  # noqa: E402
from sluicegate.generate.decode import decode  # noqa: E402
from sluicegate.models import causal_decoding, lean  # noqa: E402
from sluicegate.models.causal_decoding import Answer, Decoder  # noqa: E402
from sluicegate.models.choosing import Sampling  # noqa: E402
from sluicegate.models.slots import Slots, UnfitError  # noqa: E402

STOPS = frozenset({1, 2, 3, 4, 5, 6})
PROMPTS = [[5, 6, 7], [8], list(range(9, 30)), [15, 16], [7, 7, 9, 11, 30]]
SHAPE = {
    "vocab_size": 160, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 256, "initializer_range": 0.3, "pad_token_id": 0,
    "bos_token_id": None, "eos_token_id": 1,
}  # fmt: skip


def made(kind: Any, config: Any) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return kind(config).eval()


def llama(**more: Any) -> Any:
    return made(LlamaForCausalLM, LlamaConfig(**SHAPE | more))


def mistral() -> Any:
    return made(MistralForCausalLM, MistralConfig(**SHAPE, sliding_window=8))


def qwen() -> Any:
    return made(Qwen2ForCausalLM, Qwen2Config(**SHAPE))


def gpt() -> Any:
    config = GPT2Config(vocab_size=160, n_embd=32, n_layer=2, n_head=4, n_positions=256, initializer_range=0.3,
                        bos_token_id=None, eos_token_id=1, pad_token_id=0)  # fmt: skip
    return made(GPT2LMHeadModel, config)


def numbers(rows: int, length: int) -> Any:
    return np.random.default_rng(0).random((rows, length))


def sampled(length: int = 60, *, temperature: float = 1.0, top_p: float = 1.0) -> Sampling:
    return Sampling(temperature, top_p, length, STOPS)


def told(decoder: Decoder, prompts: Any, rows: Sequence[int], uniforms: Any, sampling: Sampling) -> list[Answer]:
    done = [one for some in decoder.draw(prompts, rows, lambda row: uniforms[row], sampling) for one in some]
    assert sorted(answer.row for answer in done) == list(range(len(rows)))
    return sorted(done, key=lambda answer: answer.row)


def drawn(decoder: Decoder, prompts: Any, rows: Sequence[int], uniforms: Any, sampling: Sampling) -> list[list[int]]:
    return [answer.tokens for answer in told(decoder, prompts, rows, uniforms, sampling)]


def ready(model: Any, most: int | None = None) -> Decoder:
    return Decoder(model, PROMPTS[2], most=most)


@pytest.mark.parametrize(("make", "most"), [(llama, None), (mistral, 2), (qwen, 3), (gpt, None)])
def test_greedy_equals_generate_prompt_by_prompt(make: Callable[[], Any], most: int | None) -> None:
    model = make()
    theirs = [
        model.generate(input_ids=torch.tensor([prompt]), max_new_tokens=40, do_sample=False)[0, len(prompt) :].tolist()
        for prompt in PROMPTS
    ]
    sampling = Sampling(0.0, 1.0, 40, frozenset({1}))
    assert drawn(ready(model, most), PROMPTS, range(5), numbers(5, 40), sampling) == theirs
    assert len({tuple(answer) for answer in theirs}) == 5


@pytest.mark.parametrize("top_p", [0.9, 1.0])
def test_a_text_depends_on_its_prompt_and_numbers_alone(top_p: float) -> None:
    model, uniforms, sampling = llama(), numbers(20, 40), sampled(40, top_p=top_p)
    rows = [place % 5 for place in range(20)]
    wanted = decode(model, PROMPTS, rows, uniforms, sampling)
    for most, prompts, order in (
        (1, PROMPTS, rows),
        (3, PROMPTS[::-1], [4 - row for row in rows]),
        (64, PROMPTS, rows),
    ):
        decoder = ready(model, most)
        assert drawn(decoder, prompts, order, uniforms, sampling) == wanted
        decoder.restore()
    assert len({len(answer) for answer in wanted}) > 7
    assert max(map(len, wanted)) == 40


def test_rows_end_at_their_own_stop_and_no_later() -> None:
    answers = drawn(ready(llama(), 8), PROMPTS, [place % 5 for place in range(40)], numbers(40, 60), sampled())
    ends = [answer[-1] in STOPS for answer in answers]
    assert any(ends)
    assert all(token not in STOPS for answer in answers for token in answer[:-1])
    assert all(ended or len(answer) == 60 for ended, answer in zip(ends, answers, strict=True))


def test_a_freed_slot_is_taken_at_once_and_a_prompt_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model = llama()
    decoder = ready(model, 4)
    shapes: list[tuple[int, ...]] = []
    model.get_input_embeddings().register_forward_pre_hook(lambda _, given: shapes.append(tuple(given[0].shape)))
    rows = [place // 8 for place in range(40)]
    answers = drawn(decoder, PROMPTS, rows, numbers(40, 60), sampled())
    steps = [rows for rows, width in shapes if width == 1]
    assert [shape for shape in shapes if shape[1] > 1] == [(5, 20)]
    assert sum(steps) == sum(map(len, answers)), "no step is spent on a row that has ended"
    assert steps[: steps.index(3)] == [4] * steps.index(3), "rows fall short only when nothing waits"
    assert len(steps) < sum(map(len, answers)) / 4 + 60


def test_prompts_are_read_in_groups_of_like_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(causal_decoding, "READ", 24)
    model, uniforms, rows = llama(), numbers(10, 20), [0, 1, 2, 3, 4, 0, 1, 2, 3, 4]
    wanted = decode(model, PROMPTS, rows, uniforms, sampled(20))
    decoder = ready(model, 3)
    shapes: list[tuple[int, ...]] = []
    model.get_input_embeddings().register_forward_pre_hook(lambda _, given: shapes.append(tuple(given[0].shape)))
    assert drawn(decoder, PROMPTS, rows, uniforms, sampled(20)) == wanted
    assert [shape for shape in shapes if shape[1] > 1] == [(1, 20), (4, 4)]


def test_seconds_are_shares_of_the_time_that_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter(range(10_000))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(ticks)))
    answers = told(ready(llama(), 4), PROMPTS, [0] * 12, numbers(12, 60), sampled())
    assert sum(answer.seconds for answer in answers) == pytest.approx(next(ticks) - 1)
    assert all(answer.seconds > 0 for answer in answers)


def test_a_decoder_is_used_again_with_the_buffers_it_has() -> None:
    decoder, uniforms = ready(llama(), 4), numbers(10, 60)
    first = drawn(decoder, PROMPTS, [0, 1] * 5, uniforms, sampled())
    buffers = decoder._slots
    assert drawn(decoder, PROMPTS, [0, 1] * 5, uniforms, sampled()) == first
    assert decoder._slots is buffers
    other = drawn(decoder, PROMPTS, [2] * 4, uniforms, Sampling(1.0, 1.0, 60, frozenset({9})))
    assert all(9 not in answer[:-1] for answer in other)


def test_random_state_of_torch_is_left_alone() -> None:
    model = llama()
    before = torch.random.get_rng_state()
    drawn(ready(model), PROMPTS, range(5), numbers(5, 20), sampled(20))
    assert torch.equal(before, torch.random.get_rng_state())


def test_restored_the_model_generates_as_before() -> None:
    model = llama()
    given = {"input_ids": torch.tensor([[0, 5, 6], [7, 8, 9]]), "attention_mask": torch.tensor([[0, 1, 1], [1, 1, 1]])}
    before = model.generate(**given, max_new_tokens=30, do_sample=False)
    decoder = ready(model)
    drawn(decoder, PROMPTS, range(5), numbers(5, 9), sampled(9))
    with pytest.raises(UnfitError, match="without slots"):
        model.generate(**given, max_new_tokens=30, do_sample=False)
    decoder.restore()
    assert torch.equal(model.generate(**given, max_new_tokens=30, do_sample=False), before)
    assert decoder._slots is None


def bloom() -> Any:
    config = BloomConfig(vocab_size=160, hidden_size=32, n_layer=2, n_head=4, initializer_range=0.3)
    return made(BloomForCausalLM, config)


def gemma() -> Any:
    return made(Gemma2ForCausalLM, Gemma2Config(**SHAPE, head_dim=8, sliding_window=8))


@pytest.mark.parametrize(("make", "why"), [(bloom, "attention through"), (gemma, "softcap")])
def test_a_model_of_another_shape_is_refused_and_left_as_it_was(make: Callable[[], Any], why: str) -> None:
    model = make()
    own = model.config._attn_implementation
    with pytest.raises(UnfitError, match=why):
        ready(model)
    assert model.config._attn_implementation == own


def test_a_model_whose_steps_give_other_logits_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    attend = Slots.attend
    monkeypatch.setattr(Slots, "attend", lambda *given, **how: attend(*given, **how) * 1.01)
    with pytest.raises(UnfitError, match="other logits"):
        ready(llama())


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_broken_weights_are_told_of(temperature: float) -> None:
    model = llama()
    with torch.no_grad():
        model.lm_head.weight[3] = torch.nan
    with pytest.raises(UserError, match="not finite"):
        drawn(ready(model), PROMPTS, range(5), numbers(5, 8), sampled(8, temperature=temperature))


def adapted(model: Any, *, dora: bool = False) -> Any:
    peft = pytest.importorskip("peft")
    config = peft.LoraConfig(r=4, lora_alpha=7, target_modules="all-linear", use_dora=dora, init_lora_weights=False)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return peft.get_peft_model(model, config).eval()


@pytest.mark.parametrize("dora", [False, True])
def test_adapters_take_part_without_being_merged(dora: bool) -> None:
    uniforms, rows = numbers(10, 40), [0, 1, 2, 3, 4] * 2
    model = adapted(llama(initializer_range=0.1), dora=dora)
    wanted = decode(model, PROMPTS, rows, uniforms, sampled(40))
    weights = {name: part.clone() for name, part in model.state_dict().items()}
    assert drawn(ready(model), PROMPTS, rows, uniforms, sampled(40)) == wanted
    assert wanted != decode(llama(initializer_range=0.1), PROMPTS, rows, uniforms, sampled(40))
    assert all(torch.equal(part, weights[name]) for name, part in model.state_dict().items())


def packed() -> Any:
    """A model in NF4 with double quantisation, as transformers loads it, with an adapter."""
    bnb = pytest.importorskip("bitsandbytes")
    model = llama(hidden_size=64, intermediate_size=128, initializer_range=0.1)
    for layer in model.model.layers:
        for name, part in list(layer.named_modules()):
            if type(part) is torch.nn.Linear:
                new = bnb.nn.Linear4bit(part.in_features, part.out_features, bias=False, compute_dtype=torch.float32)
                new.weight = bnb.nn.Params4bit(part.weight.data, requires_grad=False, quant_type="nf4")
                new.support_avx512bf16_for_cpu = False
                parent, _, own = name.rpartition(".")
                setattr(layer.get_submodule(parent), own, new.to("cpu"))
    model.is_loaded_in_4bit = True
    return adapted(model)


def test_unpacked_weights_are_what_every_step_would_unpack(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    uniforms, rows, model = numbers(10, 30), [0, 1, 2, 3, 4] * 2, packed()
    ids = torch.tensor([PROMPTS[2]])
    with torch.no_grad():
        plain = model(ids).logits
        lean.unpack(model)
        assert torch.equal(model(ids).logits, plain)
        lean.shorten(model)
        assert torch.allclose(model(ids).logits, plain, atol=1e-4)
        lean.restore(model)
    wanted = decode(model, PROMPTS, rows, uniforms, sampled(30))
    assert drawn(ready(model), PROMPTS, rows, uniforms, sampled(30)) == wanted
    assert "4-bit weights unpacked once" in capsys.readouterr().err
    monkeypatch.setattr(causal_decoding, "free_gib", lambda _: 0.0)
    model = packed()
    assert drawn(ready(model), PROMPTS, rows, uniforms, sampled(30)) == wanted
    said = capsys.readouterr().err
    assert "decoding 1 answers at once" in said and "4-bit weights unpacked in every step" in said


def captured(monkeypatch: pytest.MonkeyPatch, decoder: Decoder, *, off: float = 0.0) -> list[int]:
    """Let a decoder on the CPU go the way of a GPU; counts replays."""
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: None)
    decoder._captures, decoder.every = True, 4
    return counted(monkeypatch, off=off)


def test_captured_steps_give_the_same_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    model, uniforms, rows = llama(), numbers(20, 60), [place % 5 for place in range(20)]
    wanted = decode(model, PROMPTS, rows, uniforms, sampled(60))
    monkeypatch.setattr(causal_decoding, "BLOCK", 32)
    decoder = ready(model, 8)
    replays = captured(monkeypatch, decoder)
    assert drawn(decoder, PROMPTS, rows, uniforms, sampled(60)) == wanted
    assert len(replays) % decoder.every == 0, "each graph is checked once, in the place of the step it comes from"
    assert {rows for rows, *_ in decoder._graphs} <= {8, 4, 2, 1}
    assert len({seen for _, seen, *_ in decoder._graphs}) > 1
    graphs = dict(decoder._graphs)
    assert drawn(decoder, PROMPTS, rows, uniforms, sampled(60)) == wanted
    assert decoder._graphs == graphs


def test_a_graph_that_differs_is_not_used(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    model, uniforms = llama(), numbers(5, 40)
    wanted = decode(model, PROMPTS, range(5), uniforms, sampled(40))
    decoder = ready(model)
    replays = captured(monkeypatch, decoder, off=0.1)
    assert drawn(decoder, PROMPTS, range(5), uniforms, sampled(40)) == wanted
    assert len(replays) == 1
    assert "without CUDA graphs: a captured step gives other logits" in capsys.readouterr().err


def test_out_of_memory_halves_the_slots_and_changes_no_text(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model, uniforms, rows = llama(), numbers(20, 40), [place % 5 for place in range(20)]
    wanted = decode(model, PROMPTS, rows, uniforms, sampled(40))
    decoder, advance, begin = ready(model, 8), Slots.advance, Slots.begin

    def tight(slots: Slots, run: Any, rows: int, seen: int, sampling: Any) -> Any:
        if rows > 5 and slots.count.sum() > 60:
            raise torch.OutOfMemoryError("full")
        return advance(slots, run, rows, seen, sampling)

    def full(slots: Slots, *given: Any) -> None:
        if slots.rows == 4:
            raise torch.OutOfMemoryError("full")
        begin(slots, *given)

    monkeypatch.setattr(Slots, "advance", tight)
    monkeypatch.setattr(Slots, "begin", full)
    assert drawn(decoder, PROMPTS, rows, uniforms, sampled(40)) == wanted
    said = capsys.readouterr().err
    assert "with 8 answers at once; going on with 4" in said and "with 4 answers at once; going on with 2" in said


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
@pytest.mark.parametrize("make", [llama, packed])
def test_on_a_gpu_captured_steps_give_the_texts_of_single_rows(make: Callable[[], Any]) -> None:
    model, uniforms, rows = make().to("cuda"), numbers(20, 60), [place % 5 for place in range(20)]
    wanted = decode(model, PROMPTS, rows, uniforms, sampled())
    decoder = ready(model, 8)
    assert drawn(decoder, PROMPTS, rows, uniforms, sampled()) == wanted
    assert decoder._captures and decoder._graphs
