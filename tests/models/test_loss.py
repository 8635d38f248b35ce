from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn
from transformers import Gemma2Config, Gemma2ForCausalLM, GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from sluicegate.models import head
from sluicegate.models.loss import SummedLoss, sliced_loss

pytestmark = pytest.mark.torch
BATCH = {
    "ids": torch.tensor([[1, 5, 6, 7, 8, 2], [1, 9, 10, 2, 0, 0]]),
    "rows": torch.tensor([2, 3, 4, 7, 8]),
    "targets": torch.tensor([7, 8, 2, 10, 2]),
}
LABELS = ([-100, -100, -100, 7, 8, 2], [-100, -100, 10, 2])
SIZES = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 64}


def _llama() -> Any:
    return LlamaForCausalLM(LlamaConfig(**SIZES, initializer_range=0.2))


def _capped() -> Any:
    """Logits are capped behind the head."""
    config = Gemma2Config(
        **SIZES, num_key_value_heads=2, head_dim=16, final_logit_softcapping=1.0, initializer_range=0.5
    )
    return Gemma2ForCausalLM(config)


def _gpt2() -> Any:
    """No rotary positions, biases, a head that shares the embedding."""
    return GPT2LMHeadModel(GPT2Config(n_embd=32, n_layer=1, n_head=2, vocab_size=64, n_positions=32))


@pytest.mark.parametrize("make", [_llama, _capped, _gpt2])
def test_the_loss_is_that_of_the_models_own_forward(make: Callable[[], Any]) -> None:
    torch.manual_seed(0)
    model = make().eval()
    wanted = 0.0
    for ids, labels in zip(BATCH["ids"], LABELS, strict=True):
        own = {"input_ids": ids[None, : len(labels)], "labels": torch.tensor([labels])}
        wanted += float(model(**own).loss.detach()) * sum(label >= 0 for label in labels)
    assert float(SummedLoss(model).eval()(**BATCH).detach()) == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize(("make", "short"), [(_llama, True), (_capped, False), (_gpt2, True)])
def test_the_short_way_is_taken_only_where_it_gives_the_models_logits(make: Callable[[], Any], short: bool) -> None:
    torch.manual_seed(0)
    assert (SummedLoss(make())._parts[1] is not None) == short


def test_a_forward_that_cannot_pick_columns_gives_the_same() -> None:
    torch.manual_seed(0)
    model = _capped().eval()
    scored = SummedLoss(model).eval()
    picked = float(scored(**BATCH).detach())
    scored._picks = False
    assert float(scored(**BATCH).detach()) == pytest.approx(picked, rel=1e-6)


def test_the_trial_leaves_the_mode_as_it_was() -> None:
    model = _llama().train()
    SummedLoss(model)
    assert model.training


def test_parameters_are_listed_once() -> None:
    model = _llama()
    assert len(list(SummedLoss(model).named_parameters(remove_duplicate=False))) == len(list(model.named_parameters()))


def test_a_model_without_such_parts_goes_the_long_way() -> None:
    class Odd(nn.Module):  # type: ignore[misc]
        config = LlamaConfig(**SIZES)

        def forward(self, input_ids: torch.Tensor, use_cache: bool) -> Any:
            return SimpleNamespace(logits=nn.functional.one_hot(input_ids, 64).float())

    assert float(SummedLoss(Odd())(**BATCH)) > 0


@pytest.mark.parametrize("at_once", [1, 64, 200, 10**6])
def test_slices_change_neither_loss_nor_gradients(at_once: int) -> None:
    torch.manual_seed(0)
    last, targets = nn.Linear(8, 64, bias=False), torch.arange(10)
    hidden = torch.randn(10, 8, requires_grad=True)
    whole = nn.functional.cross_entropy(last(hidden), targets, reduction="sum")
    wanted = torch.autograd.grad(whole, [hidden, last.weight])
    found = sliced_loss(hidden, last, targets, at_once=at_once)
    assert float(found.detach()) == pytest.approx(float(whole.detach()), rel=1e-5)
    for one, other in zip(torch.autograd.grad(found, [hidden, last.weight]), wanted, strict=True):
        assert torch.allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("at_once", [1, 200, 10**6])
def test_a_frozen_head_gives_the_same_loss_and_gradient_without_computing_twice(at_once: int) -> None:
    torch.manual_seed(0)
    last, targets = nn.Linear(8, 64, bias=False), torch.arange(10)
    hidden = torch.randn(10, 8, requires_grad=True)
    whole = nn.functional.cross_entropy(last(hidden), targets, reduction="sum")
    (wanted,) = torch.autograd.grad(3 * whole, [hidden])
    last.requires_grad_(False)
    found = sliced_loss(hidden, last, targets, at_once=at_once)
    assert float(found.detach()) == pytest.approx(float(whole.detach()), rel=1e-5)
    assert torch.allclose(torch.autograd.grad(3 * found, [hidden])[0], wanted, atol=1e-6)
    with torch.no_grad():
        assert float(sliced_loss(hidden, last, targets, at_once=at_once)) == pytest.approx(float(whole), rel=1e-5)


@pytest.mark.parametrize(
    ("make", "frozen", "compiled"), [(_llama, True, True), (_llama, False, False), (_capped, True, False)]
)
def test_what_becomes_of_a_frozen_heads_logits_is_compiled(
    make: Callable[[], Any], frozen: bool, compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[str] = []

    def counted(work: Callable[..., Any], *given: Any) -> Any:
        ran.append(work.__name__)
        return work(*given)

    monkeypatch.setattr(head, "compiled", counted)
    torch.manual_seed(0)
    scored = SummedLoss(make().requires_grad_(not frozen))
    wanted = float(scored(**BATCH).detach())
    assert ran == []
    scored.compile_head()
    assert ran == ["_slopes"] * compiled
    assert float(scored(**BATCH).detach()) == pytest.approx(wanted, rel=1e-6)
    assert ran == ["_slopes"] * 2 * compiled


def test_where_there_is_no_compiler_a_head_runs_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: Any) -> Any:
        raise RuntimeError("no compiler")

    monkeypatch.setattr(head, "compiled", missing)
    scored = SummedLoss(_llama().requires_grad_(False))
    wanted = float(scored(**BATCH))
    with pytest.raises(RuntimeError, match="no compiler"):
        scored.compile_head()
    assert float(scored(**BATCH)) == wanted


@pytest.mark.parametrize(("make", "apart"), [(_llama, True), (_capped, False)])
def test_samples_are_packed_only_where_the_model_keeps_them_apart(make: Callable[[], Any], apart: bool) -> None:
    torch.manual_seed(0)
    assert SummedLoss(make()).packs == apart


def test_a_model_that_mixes_the_samples_of_a_row_does_not_pack() -> None:
    torch.manual_seed(0)
    model = _llama()
    decoder = model.model
    plain = decoder.forward

    def mixing(*given: Any, position_ids: Any = None, **how: Any) -> Any:
        return plain(*given, **how)

    decoder.forward = mixing
    assert not SummedLoss(model).packs
