from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")

from transformers import T5ForConditionalGeneration  # noqa: E402

from sluicegate.models import graphs  # noqa: E402
from sluicegate.models.t5_fast import FastStack, Seq2SeqLoss, quicken  # noqa: E402
from stacks import TARGETS, apart, batch, dual, gated, given, labels, plain, reference  # noqa: E402


@pytest.mark.parametrize("make", [plain, gated, dual])
@pytest.mark.parametrize("checkpointed", [False, True])
def test_loss_and_all_gradients_are_those_of_transformers(make: Callable[[], Any], checkpointed: bool) -> None:
    loss, gradients = reference(make())
    model = make()
    scored = Seq2SeqLoss(model)
    runs: list[Any] = []
    dense = model.decoder.block[1].layer[-1].DenseReluDense
    dense.register_forward_pre_hook(lambda *_: runs.append(1))
    for stack in (part for part in model.modules() if isinstance(part, FastStack)):
        for block in stack.block:
            block.gradient_checkpointing = checkpointed
    found = scored(**batch(model))
    found.backward()
    assert len(runs) == 1 + checkpointed
    assert float(found.detach()) == pytest.approx(loss, rel=1e-5)
    assert apart(model, gradients) < 1e-5


@pytest.mark.parametrize("make", [plain, dual])
@pytest.mark.parametrize("checkpointed", [False, True])
def test_scores_of_answers_that_share_a_source_are_log_probabilities(
    make: Callable[[], Any], checkpointed: bool
) -> None:
    model = make().eval()
    wanted, few = labels()[:4], {name: tensor[3:] for name, tensor in given(model).items()}
    there = wanted >= 0
    before, targets = model._shift_right(wanted), wanted[there]
    repeated = {name: tensor.repeat_interleave(2, 0) for name, tensor in few.items()}
    logs = model(**repeated, decoder_input_ids=before).logits.log_softmax(-1)
    found = logs.gather(-1, wanted.clamp(min=0)[..., None])[..., 0][there]
    weights = torch.linspace(-1, 1, len(targets))
    (found * weights).sum().backward()
    gradients = {name: part.grad for name, part in model.named_parameters()}
    model = make().eval()
    read: list[int] = []
    runs: list[Any] = []
    model.get_encoder().register_forward_hook(lambda _, __, out: read.append(len(out.last_hidden_state)))
    model.decoder.block[1].layer[-1].DenseReluDense.register_forward_pre_hook(lambda *_: runs.append(1))
    scored = Seq2SeqLoss(model)
    for block in model.decoder.block:
        block.gradient_checkpointing = checkpointed
    scores, entropy = scored.scores(
        **few, decoder_input_ids=before, rows=there.flatten().nonzero()[:, 0], targets=targets
    )
    (scores * weights).sum().backward()
    assert read == [2] and len(runs) == 1 + checkpointed
    assert torch.allclose(scores, found, atol=1e-4)
    assert torch.allclose(entropy, -(logs.exp() * logs).sum(-1)[there], atol=1e-3)
    assert apart(model, gradients) < 1e-4


def test_the_models_own_forward_gives_the_same_once_quickened() -> None:
    loss, gradients = reference(plain())
    model = plain()
    assert quicken(model) == 2
    found, _ = reference(model)
    assert found == pytest.approx(loss, rel=1e-5)
    assert apart(model, gradients) < 1e-5


@pytest.mark.parametrize("make", [plain, dual])
def test_padding_changes_nothing(make: Callable[[], Any]) -> None:
    model = make()
    scored = Seq2SeqLoss(model)
    one = float(scored(**batch(model)).detach())
    wider = batch(model)
    for name, tensor in wider.items():
        if name.endswith(("ids", "mask")):
            fill = 0 if name.endswith("mask") else 7
            wider[name] = torch.nn.functional.pad(tensor, (0, 31, 0, 2), value=fill)
    wide = TARGETS + 31
    wider["rows"] = wider["rows"] // TARGETS * wide + wider["rows"] % TARGETS
    found = scored(**wider)
    assert float(found.detach()) == pytest.approx(one, rel=1e-5)
    found.backward()
    assert all(bool(torch.isfinite(part.grad).all()) for part in model.parameters())


def test_the_decoder_sees_neither_later_tokens_nor_masked_ones() -> None:
    model = plain()
    scored = Seq2SeqLoss(model)
    told = batch(model)
    shape = told["decoder_input_ids"].shape

    def hidden(ids: Any) -> Any:
        return scored.hidden(ids, torch.arange(ids.numel()), **given(model)).unflatten(0, shape)

    first = hidden(told["decoder_input_ids"])
    changed = told["decoder_input_ids"].clone()
    changed[:, 10:] = 9
    later = hidden(changed)
    assert torch.allclose(first[:, :10], later[:, :10], atol=1e-5)
    assert not torch.allclose(first[:, 11], later[:, 11], atol=1e-3)


def test_dropout_drops_in_training_alone_and_follows_the_seed() -> None:
    model = plain(dropout_rate=0.3)
    scored = Seq2SeqLoss(model)

    def loss(seed: int) -> float:
        torch.manual_seed(seed)
        return float(scored(**batch(model)).detach())

    scored.train()
    assert loss(1) == loss(1) != loss(2)
    scored.eval()
    assert loss(1) == loss(2) == pytest.approx(reference(plain())[0], rel=1e-5)


def test_under_autocast_it_stays_near_float32_and_keeps_float32_gradients() -> None:
    loss, gradients = reference(plain())
    model = plain()
    scored = Seq2SeqLoss(model)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = scored(**batch(model))
    found.backward()
    assert found.dtype == torch.float32
    assert float(found.detach()) == pytest.approx(loss, rel=1e-2)
    assert all(part.grad.dtype == torch.float32 for part in model.parameters())
    assert apart(model, gradients) < 0.1


def test_generation_and_saving_are_as_before(tmp_path: Path) -> None:
    model, fast = plain(), plain()
    Seq2SeqLoss(fast)
    settings = {"max_new_tokens": 20, "num_beams": 2, "do_sample": False}
    assert torch.equal(model.generate(**given(model), **settings), fast.generate(**given(model), **settings))
    fast.save_pretrained(tmp_path)
    again = T5ForConditionalGeneration.from_pretrained(tmp_path)
    assert all(torch.equal(one, other) for one, other in zip(again.parameters(), model.parameters(), strict=True))
    assert not any(isinstance(part, FastStack) for part in again.modules())


def test_a_copy_runs_on_weights_of_its_own() -> None:
    model = plain()
    Seq2SeqLoss(model)
    other = copy.deepcopy(model)
    before = other(**given(model), labels=labels()).loss
    with torch.no_grad():
        for part in model.parameters():
            part.mul_(2)
    assert torch.equal(other(**given(model), labels=labels()).loss, before)


def test_adapters_learn() -> None:
    peft = pytest.importorskip("peft")
    config = peft.LoraConfig(r=4, target_modules="all-linear", lora_dropout=0.1, task_type="SEQ_2_SEQ_LM")
    model = peft.get_peft_model(plain(), config)
    scored = Seq2SeqLoss(model)
    optimizer = torch.optim.Adam([part for part in model.parameters() if part.requires_grad], lr=1e-2)
    losses = []
    for _ in range(8):
        loss = scored(**batch(model.get_base_model()))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0]
    assert model.get_base_model().shared.weight.grad is None


def test_parameters_are_listed_once() -> None:
    model = plain()
    own = [name for name, _ in model.named_parameters(remove_duplicate=False)]
    found = [name for name, _ in Seq2SeqLoss(model).named_parameters(remove_duplicate=False)]
    assert found == [f"model.{name}" for name in own]


def test_where_nothing_can_be_compiled_it_runs_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any, **__: Any) -> Any:
        raise RuntimeError("no compiler here\nand more")

    monkeypatch.setattr(graphs, "graph_of", lambda _: refused)
    loss, gradients = reference(plain())
    model = plain()
    scored = Seq2SeqLoss(model)
    assert scored.compile(batch(model)) == "not compiled (RuntimeError: no compiler here)"
    assert all(part.grad is None for part in model.parameters())
    found = scored(**batch(model))
    found.backward()
    assert float(found.detach()) == pytest.approx(loss, rel=1e-5)
    assert apart(model, gradients) < 1e-5


def test_what_is_compiled_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Traced and differentiated as the compiler would, its kernels left out: those take a minute to build."""
    import functools

    traced = functools.cache(lambda work: torch.compile(work, dynamic=True, backend="aot_eager"))
    monkeypatch.setattr(graphs, "graph_of", traced)
    loss, gradients = reference(plain())
    model = plain()
    scored = Seq2SeqLoss(model)
    assert scored.compile(batch(model)) == "compiled"
    found = scored(**batch(model))
    found.backward()
    assert float(found.detach()) == pytest.approx(loss, rel=1e-5)
    assert apart(model, gradients) < 1e-5
