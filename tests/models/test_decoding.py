from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")

from transformers import GPT2Config, GPT2LMHeadModel, T5Config, T5ForConditionalGeneration  # noqa: E402

from captures import counted  # noqa: E402
from sluicegate.errors import UserError  # noqa: E402
from sluicegate.models import decoding, t5_step  # noqa: E402
from sluicegate.models.decoding import Decoder, Sampling, laid_out  # noqa: E402
from sluicegate.models.dual_config import DualEncoderConfig  # noqa: E402
from sluicegate.models.dual_encoder import DualEncoderForConditionalGeneration  # noqa: E402

SIZES: dict[str, Any] = {
    "vocab_size": 300, "d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4, "initializer_factor": 1.5,
    "decoder_start_token_id": 0, "relative_attention_max_distance": 30,
}  # fmt: skip
STOPS = frozenset(range(1, 20))
PROMPTS = 5


def plain(**changed: Any) -> Any:
    torch.manual_seed(0)
    return T5ForConditionalGeneration(T5Config(**(SIZES | changed))).eval()


def gated() -> Any:
    """As T5 1.1: gated, its logits not scaled."""
    return plain(feed_forward_proj="gated-gelu", tie_word_embeddings=False)


def dual() -> Any:
    torch.manual_seed(0)
    return DualEncoderForConditionalGeneration(DualEncoderConfig(**SIZES)).eval()


def inputs(model: Any) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(1)
    found = {}
    for name, width, least in (("", 70, 3), ("pattern_", 40, 0)):
        ids = torch.randint(2, 300, (PROMPTS, width), generator=generator)
        lengths = torch.linspace(width, least, PROMPTS).long()
        found[f"{name}input_ids"] = ids
        found[f"{name}attention_mask"] = (torch.arange(width) < lengths[:, None]).long()
    return found if model.config.model_type != "t5" else {name: found[name] for name in ("input_ids", "attention_mask")}


def one(given: dict[str, Any], prompt: int) -> dict[str, Any]:
    return {name: tensor[[prompt]] for name, tensor in given.items()}


def decoded(model: Any, given: Any, uniforms: Any, sampling: Sampling, **told: Any) -> list[list[int]]:
    return Decoder(model).decode(given, uniforms, sampling, **told)


def numbers(rows: int, length: int) -> Any:
    return np.random.default_rng(0).random((rows, length))


def sampled(length: int = 90, temperature: float = 1.0, top_p: float = 1.0) -> Sampling:
    return Sampling(temperature, top_p, length, STOPS)


@pytest.mark.parametrize("make", [plain, gated, dual])
def test_greedy_equals_generate(make: Callable[[], Any]) -> None:
    model = make()
    given = inputs(model)
    ours = decoded(model, given, numbers(PROMPTS, 100), Sampling(0, 1.0, 100, frozenset({1})))
    theirs = model.generate(**given, max_new_tokens=100, do_sample=False, eos_token_id=1)[:, 1:].tolist()
    assert [answer[:100] for answer in theirs] == [[*mine, *[0] * (len(theirs[0]) - len(mine))] for mine in ours]
    assert len({tuple(answer) for answer in ours}) > 1


@pytest.mark.parametrize("make", [plain, dual])
@pytest.mark.parametrize("every", [1, 16])
@pytest.mark.parametrize("top_p", [0.9, 1.0])
def test_a_text_does_not_depend_on_its_batch(make: Callable[[], Any], every: int, top_p: float) -> None:
    model = make()
    given, uniforms = inputs(model), numbers(8 * PROMPTS, 90)
    decoder = Decoder(model)
    decoder._every = every
    together = decoder.decode(given, uniforms, sampled(top_p=top_p), copies=8)
    for row in range(0, 8 * PROMPTS, 5):
        alone = Decoder(model).decode(one(given, row // 8), uniforms[[row]], sampled(top_p=top_p))
        assert alone == [together[row]]
    assert len({len(answer) for answer in together}) > 5


def test_rows_end_at_their_own_stop_and_no_later() -> None:
    model = plain()
    answers = decoded(model, inputs(model), numbers(20, 60), sampled(60), copies=4)
    ends = [answer[-1] in STOPS for answer in answers]
    assert any(ends)
    assert all(token not in STOPS for answer in answers for token in answer[:-1])
    assert all(ended or len(answer) == 60 for ended, answer in zip(ends, answers, strict=True))


def seen_logits(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What every step from here on chooses from, [B, V] each."""
    seen: list[Any] = []

    def advanced(*given: Any) -> Any:
        seen.append(t5_step.advance(*given))
        return seen[-1]

    monkeypatch.setattr(decoding, "advance", advanced)
    return seen


@pytest.mark.parametrize("make", [plain, gated, dual])
def test_tokens_are_drawn_from_the_models_own_logits(make: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    model, seen = make(), seen_logits(monkeypatch)
    given = inputs(model)
    drawn = Decoder(model).decode(given, numbers(10, 20), Sampling(0.7, 1.0, 20, frozenset()), copies=2)
    for row, tokens in enumerate(drawn):
        with torch.no_grad():
            before = torch.tensor([[0, *tokens[:-1]]])
            logits = model(**one(given, row // 2), decoder_input_ids=before).logits[0]
        assert torch.allclose(torch.stack([step[row] for step in seen]), logits, atol=1e-3)


def test_answers_may_be_of_any_number_a_prompt() -> None:
    model = plain()
    given, uniforms = inputs(model), numbers(7, 40)
    rows = [3, 0, 0, 4, 0, 4, 1]
    together = decoded(model, given, uniforms, sampled(40), rows=rows)
    alone = [decoded(model, one(given, p), uniforms[[i]], sampled(40))[0] for i, p in enumerate(rows)]
    assert together == alone


def test_a_decoder_is_used_again_and_follows_the_model_after_refresh() -> None:
    model = plain()
    given, uniforms = inputs(model), numbers(2 * PROMPTS, 80)
    decoder = Decoder(model)
    decoder.decode(one(given, 0), uniforms[:1, :20], sampled(20))
    first = decoder.decode(given, uniforms, sampled(80), copies=2)
    assert decoder.decode(given, uniforms, sampled(80), copies=2) == first
    with torch.no_grad():
        for part in model.parameters():
            part.mul_(1.1)
    stale = decoder.decode(given, uniforms, sampled(80), copies=2)
    assert stale != Decoder(model).decode(given, uniforms, sampled(80), copies=2)
    decoder.refresh()
    assert decoder.decode(given, uniforms, sampled(80), copies=2) == Decoder(model).decode(
        given, uniforms, sampled(80), copies=2
    )


def test_a_prompt_is_encoded_once_and_the_models_mode_is_left_alone() -> None:
    model = plain(dropout_rate=0.5).train()
    shapes: list[tuple[int, ...]] = []
    model.encoder.register_forward_hook(lambda _, __, out: shapes.append(tuple(out.last_hidden_state.shape)))
    given = inputs(model)
    first = decoded(model, given, numbers(20, 4), sampled(4), copies=4)
    assert shapes == [(PROMPTS, 70, 32)]
    assert all(part.training for part in model.modules())
    assert decoded(model, given, numbers(20, 4), sampled(4), copies=4) == first


def test_random_state_of_torch_is_left_alone() -> None:
    model = plain()
    before = torch.random.get_rng_state()
    decoded(model, inputs(model), numbers(PROMPTS, 8), sampled(8))
    assert torch.equal(before, torch.random.get_rng_state())


def test_adapters_take_part() -> None:
    peft = pytest.importorskip("peft")
    given, uniforms = inputs(plain()), numbers(PROMPTS, 30)
    config = peft.LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False, task_type="SEQ_2_SEQ_LM")
    adapted = peft.get_peft_model(plain(), config).eval()
    found = decoded(adapted, given, uniforms, sampled(30))
    assert found != decoded(plain(), given, uniforms, sampled(30))
    assert found == decoded(adapted.merge_and_unload(), given, uniforms, sampled(30))


def test_half_precision_gives_nearly_the_same_logits(monkeypatch: pytest.MonkeyPatch) -> None:
    model, seen = plain(initializer_factor=0.5), seen_logits(monkeypatch)
    given, uniforms = inputs(model), numbers(PROMPTS, 1)
    for dtype in (torch.float32, torch.bfloat16):
        Decoder(model, dtype=dtype).decode(given, uniforms, sampled(1))
    exact, rough = (logits.log_softmax(-1) for logits in seen)
    assert not torch.equal(exact, rough)
    assert torch.allclose(exact, rough, atol=0.1)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_broken_weights_are_told_of(temperature: float) -> None:
    model = plain()
    with torch.no_grad():
        model.decoder.final_layer_norm.weight[3] = torch.nan
    with pytest.raises(UserError, match="not finite"):
        decoded(model, inputs(model), numbers(PROMPTS, 8), sampled(8, temperature))


def test_a_model_of_another_shape_is_refused() -> None:
    other = GPT2LMHeadModel(GPT2Config(n_embd=32, n_layer=1, n_head=2, vocab_size=64, n_positions=32))
    with pytest.raises(UserError, match="cannot be decoded"):
        Decoder(other)


def captured(monkeypatch: pytest.MonkeyPatch, decoder: Decoder, *, off: float = 0.0) -> list[int]:
    """Let a decoder on the CPU go the way of a GPU; counts replays."""
    decoder._captures, decoder._every = True, 16
    return counted(monkeypatch, off=off)


def test_captured_steps_give_the_same_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    model = plain()
    given, uniforms = inputs(model), numbers(8 * PROMPTS, 90)
    wanted = Decoder(model).decode(given, uniforms, sampled(), copies=8)
    decoder = Decoder(model)
    replays = captured(monkeypatch, decoder)
    assert decoder.decode(given, uniforms, sampled(), copies=8) == wanted
    assert len(replays) == 90, "each graph is checked once, in the place of the step it was captured from"
    assert len({shape.rows for shape, *_ in decoder._graphs}) > 1
    assert len({shape.length for shape, *_ in decoder._graphs}) > 1
    graphs = dict(decoder._graphs)
    assert decoder.decode(given, uniforms, sampled(), copies=8) == wanted
    assert len(replays) == 180
    assert decoder._graphs == graphs


def test_a_graph_that_differs_is_not_used(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    model = plain()
    given, uniforms = inputs(model), numbers(PROMPTS, 40)
    decoder = Decoder(model)
    replays = captured(monkeypatch, decoder, off=0.1)
    found = decoder.decode(given, uniforms, sampled(40))
    assert found == decoded(model, given, uniforms, sampled(40))
    assert len(replays) == 1
    assert "without CUDA graphs: a captured step gives other logits" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("prompts", "most", "size", "groups"),
    [
        ([0, 0, 1, 1], 2, 2, 2),
        ([0] * 8 + [1], 9, 2, 5),
        ([0] * 8 + [1], 3, 4, 3),
        ([0] * 8 + [1], 2, 8, 2),
        ([0, 1, 2], 3, 1, 3),
    ],
)
def test_groups_are_large_where_that_leaves_little_empty(prompts: list[int], most: int, size: int, groups: int) -> None:
    found, members = laid_out(dict(enumerate(prompts)), most)
    assert (found, len(members)) == (size, groups)
    assert sorted(row for rows in members for row in rows) == list(range(len(prompts)))
    assert all(len({prompts[row] for row in rows}) == 1 for rows in members)
