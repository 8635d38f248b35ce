import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from sluicegate.models import layers as module
from sluicegate.models.layers import Layers

pytestmark = pytest.mark.torch
IDS = torch.arange(12)[None]


def _model() -> Any:
    torch.manual_seed(0)
    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 4, "num_attention_heads": 2}
    return LlamaForCausalLM(LlamaConfig(**shape, vocab_size=64)).train()


def _gradients(model: Any) -> list[torch.Tensor]:
    model.zero_grad()
    model(input_ids=IDS, labels=IDS, use_cache=False).loss.backward()
    return [part.grad.clone() for part in model.parameters()]


@pytest.mark.parametrize("keeps", [0, 1, 4])
def test_what_is_kept_changes_no_gradient(keeps: int) -> None:
    wanted = _gradients(_model())
    model = _model()
    layers = Layers(model)
    layers.keeps = keeps
    assert all(torch.equal(one, other) for one, other in zip(_gradients(model), wanted, strict=True))


@pytest.mark.parametrize("keeps", [0, 1, 4])
def test_the_last_layers_are_kept_and_the_others_computed_again(keeps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model, runs = _model(), []
    layers = Layers(model)
    plain = module._plain

    def counted(layer: Any, *given: Any, **how: Any) -> Any:
        runs.append(layers.all.index(layer))
        return plain(layer, *given, **how)

    monkeypatch.setattr(layers, "_run", counted)
    layers.keeps = keeps
    _gradients(model)
    assert sorted(runs) == sorted([*range(4), *range(4 - keeps)])


def test_layers_that_get_all_by_place_train_too() -> None:
    torch.manual_seed(0)
    models = [
        GPT2LMHeadModel(
            GPT2Config(
                n_embd=32, n_layer=2, n_head=2, vocab_size=64, n_positions=32, resid_pdrop=0, embd_pdrop=0, attn_pdrop=0
            )
        )
    ]
    models.append(copy.deepcopy(models[0]))
    layers = Layers(models[0])
    layers.keeps = 1
    wanted, seen = (_gradients(model) for model in reversed(models))
    assert len(layers.all) == 2
    assert all(torch.equal(one, other) for one, other in zip(seen, wanted, strict=True))


def test_what_is_computed_again_draws_the_same_numbers() -> None:
    def model() -> Any:
        made = _model()
        for layer in made.model.layers:
            layer.self_attn.attention_dropout = 0.5
        return made

    def seeded(made: Any) -> list[torch.Tensor]:
        torch.manual_seed(1)
        return _gradients(made)

    wanted, mine = seeded(model()), model()
    layers = Layers(mine)
    assert layers._draws and not Layers(_model())._draws
    assert all(torch.equal(one, other) for one, other in zip(seeded(mine), wanted, strict=True))
    assert not all(torch.equal(one, other) for one, other in zip(_gradients(_model()), wanted, strict=True))


def test_dropout_modules_draw_too() -> None:
    model = _model()
    perceptron = model.model.layers[2].mlp
    perceptron.gate_proj = torch.nn.Sequential(perceptron.gate_proj, torch.nn.Dropout(0.1))
    assert Layers(model)._draws


def test_nothing_is_computed_again_in_evaluation() -> None:
    model = _model()
    plain = model.eval()(input_ids=IDS).logits
    layers = Layers(model)
    with torch.no_grad():
        assert torch.equal(model(input_ids=IDS).logits, plain)
    assert len(layers.all) == 4


def test_what_the_first_layer_gets_is_seen() -> None:
    model = _model()
    layers = Layers(model)
    with layers.seen() as seen, torch.no_grad():
        model(input_ids=IDS, use_cache=False)
    assert [part.shape for part in seen[""]] == [(1, 12, 32)]
    assert {"position_embeddings", "attention_mask"} <= set(seen)
    known = dict(seen)
    model(input_ids=IDS[:, :5], use_cache=False)
    assert seen == known


def test_one_compiled_function_serves_all_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Callable[..., Any]] = []

    def compiled(function: Callable[..., Any], *, dynamic: bool) -> Callable[..., Any]:
        assert dynamic is False
        made.append(function)
        return function

    monkeypatch.setattr(torch, "compile", compiled)
    model = _model()
    wanted = _gradients(_model())
    layers = Layers(model)
    layers.compile(True)
    assert made == [module._plain]
    assert all(torch.equal(one, other) for one, other in zip(_gradients(model), wanted, strict=True))
