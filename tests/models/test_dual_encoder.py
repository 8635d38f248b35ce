from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForSeq2SeqLM, T5Config, T5ForConditionalGeneration

import sluicegate.models
from sluicegate.models.dual_config import DualEncoderConfig
from sluicegate.models.dual_encoder import DualEncoderForConditionalGeneration, Fusion

pytestmark = pytest.mark.torch
assert sluicegate.models.KINDS
BASE: dict[str, Any] = {
    "vocab_size": 32100,
    "d_model": 768,
    "d_kv": 64,
    "d_ff": 3072,
    "num_layers": 12,
    "num_heads": 12,
}
SMALL: dict[str, Any] = {
    "vocab_size": 100, "d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4,
    "decoder_start_token_id": 0,
}  # fmt: skip
CHOICES: list[dict[str, Any]] = [
    {},
    {"memory": "intent"},
    {"shared_embeddings": False, "fusion": "one"},
    {"shared_encoders": True},
    {"shared_encoders": True, "shared_embeddings": False, "memory": "intent"},
    {"gated": True},
]


def made(**choices: Any) -> Any:
    torch.manual_seed(0)
    return DualEncoderForConditionalGeneration(DualEncoderConfig(**SMALL, **choices)).eval()


def inputs() -> dict[str, torch.Tensor]:
    """Three rows: a whole pattern, a padded one, none; the second intent is padded too."""
    torch.manual_seed(1)
    found = {
        "input_ids": torch.randint(3, 100, (3, 7)),
        "attention_mask": torch.ones(3, 7, dtype=torch.long),
        "pattern_input_ids": torch.randint(3, 100, (3, 5)),
        "pattern_attention_mask": torch.tensor([[1] * 5, [1, 1, 0, 0, 0], [0] * 5]),
    }
    found["attention_mask"][1, 5:] = 0
    return found


def logits(model: Any, **given: Any) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model(
            **given, decoder_input_ids=torch.arange(3, 9).expand(len(given["input_ids"]), -1)
        ).logits
    return found


@pytest.mark.parametrize(
    ("choices", "parameters"),
    [
        ({}, 312_561_024),
        ({"shared_embeddings": False}, 337_213_824),
        ({"fusion": "one"}, 312_561_024 - 2_362_368),
        ({"shared_encoders": True}, 312_561_024 - 84_954_240),
        ({"shared_encoders": True, "shared_embeddings": False}, 312_561_024 - 84_954_240 + 24_652_800),
    ],
)
def test_parameters_at_the_shape_of_codet5_base(choices: dict[str, Any], parameters: int) -> None:
    with torch.device("meta"):
        model = DualEncoderForConditionalGeneration(DualEncoderConfig(**BASE, **choices))
    assert sum(part.numel() for part in model.parameters()) == parameters


def test_a_single_t5_of_that_shape_has_222_882_048() -> None:
    with torch.device("meta"):
        model = T5ForConditionalGeneration(T5Config(**BASE))
    assert sum(part.numel() for part in model.parameters()) == 222_882_048


@pytest.mark.parametrize("choices", CHOICES)
def test_what_is_saved_comes_back_bit_for_bit_through_the_auto_classes(choices: dict[str, Any], tmp_path: Path) -> None:
    model, given = made(**choices), inputs()
    model.save_pretrained(tmp_path)
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".safetensors"}
    again, about = AutoModelForSeq2SeqLM.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(about.values())
    assert {name: getattr(again.config, name) for name in choices} == choices
    assert torch.equal(logits(again.eval(), **given), logits(model, **given))


@pytest.mark.parametrize("choices", CHOICES)
def test_an_empty_pattern_gives_no_nan_forward_or_backward(choices: dict[str, Any]) -> None:
    model, given = made(**choices).train(), inputs()
    for mask in (given["pattern_attention_mask"], torch.zeros(3, 5, dtype=torch.long)):
        model.zero_grad()
        model(**given | {"pattern_attention_mask": mask}, labels=torch.randint(3, 100, (3, 6))).loss.backward()
        assert all(torch.isfinite(part.grad).all() for part in model.parameters() if part.grad is not None)


@pytest.mark.parametrize("memory", ["both", "intent"])
def test_an_empty_pattern_says_what_no_pattern_says(memory: str) -> None:
    model, given = made(memory=memory), inputs()
    alone = {name: given[name] for name in ("input_ids", "attention_mask")}
    nothing = torch.zeros(3, 5, dtype=torch.long)
    assert torch.allclose(
        logits(model, **given | {"pattern_attention_mask": nothing}), logits(model, **alone), atol=1e-5
    )


@pytest.mark.parametrize("choices", [{}, {"memory": "intent"}, {"fusion": "one", "memory": "intent"}])
def test_the_pattern_matters_and_its_padding_does_not(choices: dict[str, Any]) -> None:
    model, given = made(**choices), inputs()
    seen = logits(model, **given)
    padded = given["pattern_input_ids"].where(given["pattern_attention_mask"] == 1, 7)
    assert torch.allclose(logits(model, **given | {"pattern_input_ids": padded}), seen, atol=1e-5)
    other = given["pattern_input_ids"].flip(1)
    assert not torch.allclose(logits(model, **given | {"pattern_input_ids": other})[0], seen[0], atol=1e-3)


@pytest.mark.parametrize("how", [{}, {"num_beams": 3}, {"do_sample": True, "num_return_sequences": 2}])
def test_it_generates(how: dict[str, Any]) -> None:
    found = made().generate(**inputs(), max_new_tokens=5, **how)
    assert len(found) == 3 * how.get("num_return_sequences", 1)


def test_greedy_generation_is_the_argmax_of_the_forward() -> None:
    model, given = made(), inputs()
    found = model.generate(**given, max_new_tokens=6, do_sample=False)
    with torch.no_grad():
        wanted = model(**given, decoder_input_ids=found[:, :-1]).logits.argmax(-1)
    ended = (found[:, 1:] == model.config.eos_token_id).cumsum(1).roll(1, 1)
    ended[:, 0] = 0
    assert torch.equal(found[:, 1:].where(ended == 0, 0), wanted.where(ended == 0, 0))


def test_gradient_checkpointing_changes_no_gradient() -> None:
    model, labels = made(fusion_dropout=0.0, dropout_rate=0.0).train(), torch.randint(3, 100, (3, 6))
    model(**inputs(), labels=labels).loss.backward()
    wanted = [part.grad.clone() for part in model.parameters()]
    model.zero_grad()
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    model(**inputs(), labels=labels).loss.backward()
    for part, grad in zip(model.parameters(), wanted, strict=True):
        assert torch.allclose(part.grad, grad, atol=1e-6)


def test_a_fusion_that_begins_at_zero_learns_from_the_first_step() -> None:
    fusion = Fusion(DualEncoderConfig(**SMALL))
    torch.nn.init.zeros_(fusion.o.weight)
    states, other = torch.randn(2, 3, 32), torch.randn(2, 4, 32)
    fusion.eval()(states, other, torch.ones(2, 4)).square().sum().backward()
    assert fusion.o.weight.grad is not None and fusion.o.weight.grad.abs().max() > 0


def test_another_table_goes_into_every_place() -> None:
    model = made()
    model.resize_token_embeddings(110)
    tables = {
        model.shared,
        model.encoder.intent.embed_tokens,
        model.encoder.pattern.embed_tokens,
        model.decoder.embed_tokens,
    }
    assert {table.weight.shape[0] for table in tables} == {110}
    assert model.lm_head.weight.data_ptr() == model.shared.weight.data_ptr()


@pytest.mark.parametrize(
    "wrong", [{"fusion": "three"}, {"memory": "pattern"}, {"fusion_heads": 5}, {"fusion_heads": 0}]
)
def test_a_shape_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        DualEncoderConfig(**SMALL, **wrong)
