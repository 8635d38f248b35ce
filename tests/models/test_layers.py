import copy
import functools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from functorch.compile import make_boxed_func, min_cut_rematerialization_partition
from torch._dynamo.backends.common import aot_autograd
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from sluicegate.models import layers as module
from sluicegate.models.layers import Layers
from sluicegate.models.memory import LayerNeed
from sluicegate.models.waiting import Waiting

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

    monkeypatch.setattr(module, "_plain", counted)
    layers.compile(False)
    layers.keeps = keeps
    _gradients(model)
    assert sorted(runs) == sorted([*range(4), *range(4 - keeps)])


class _Graphs:
    """`torch.compile` that runs what it captured as it is, and counts its products of matrices."""

    def __init__(self) -> None:
        self.forward: list[int] = []
        self.backward: list[int] = []
        self.backend = aot_autograd(
            fw_compiler=functools.partial(self._counted, self.forward),
            bw_compiler=functools.partial(self._counted, self.backward),
            partition_fn=min_cut_rematerialization_partition,
        )
        self.compile = functools.partial(torch.compile, backend=self.backend)

    @staticmethod
    def _counted(into: list[int], graph: Any, _: Any) -> Any:
        into.append(sum(node.target is torch.ops.aten.mm.default for node in graph.graph.nodes))
        return make_boxed_func(graph.forward)


@pytest.mark.parametrize("keeps", [0, 1, 4])
def test_compiled_layers_have_the_same_gradients_and_leave_out_the_last_product_again(
    keeps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch._dynamo.reset()
    wanted, graphs, model = _gradients(_model()), _Graphs(), _model()
    monkeypatch.setattr(torch, "compile", graphs.compile)
    layers = Layers(model)
    layers.compile(True)
    layers.keeps = keeps
    for one, other in zip(_gradients(model), wanted, strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-5)
    products = 7  # of weights, in a layer: queries, keys, values, out; gate, up, down; a gradient each for both factors
    assert graphs.forward == [products] * (1 + (keeps == 1))
    again, kept = 2 * products + products - 1, 2 * products
    assert sorted(graphs.backward) == {0: [again], 1: [kept, again], 4: [kept]}[keeps]


def test_a_compiled_layer_that_is_computed_again_keeps_no_more_than_it_is_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torch._dynamo.reset()
    model = _model()
    monkeypatch.setattr(torch, "compile", _Graphs().compile)
    layers = Layers(model)
    layers.compile(True)
    with layers.seen() as seen, torch.no_grad():
        model(input_ids=IDS, use_cache=False)
    (hidden,), how = seen.pop(""), seen
    known = {part.data_ptr() for part in [*model.parameters(), *model.buffers(), *how["position_embeddings"]]}
    sizes = []
    for run in (layers._again, layers._kept):
        held: dict[int, int] = {}

        def pack(tensor: Any, held: dict[int, int] = held) -> Any:
            if tensor.is_floating_point():  # not torch's random state
                held[tensor.data_ptr()] = tensor.numel()
            return tensor

        run(layers.all[0], hidden.requires_grad_(), **how)  # compiled
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            run(layers.all[0], hidden.requires_grad_(), **how)
        sizes.append(sum(size for place, size in held.items() if place not in known))
    assert sizes[0] == hidden.numel()
    assert sizes[1] > 8 * hidden.numel()


def test_inputs_of_compiled_layers_wait_in_the_hosts_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    torch._dynamo.reset()
    wanted, graphs, model = _gradients(_model()), _Graphs(), _model()
    put, saved = Waiting._put, []

    def noted(self: Waiting, tensor: torch.Tensor) -> Any:
        saved.append(tuple(tensor.shape))
        return put(self, tensor)

    monkeypatch.setattr(torch, "compile", graphs.compile)
    monkeypatch.setattr(Waiting, "_put", noted)
    layers = Layers(model)
    layers.compile(True)
    layers.offload(1)
    for one, other in zip(_gradients(model), wanted, strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-5)
    assert graphs.forward and graphs.backward
    assert saved == [(1, 12, 32)] * 3


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


@pytest.mark.parametrize("compiled", [False, True])
def test_what_is_computed_again_draws_the_same_numbers(compiled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    torch._dynamo.reset()
    monkeypatch.setattr(torch, "compile", _Graphs().compile)

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
    layers.compile(compiled)
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
    assert made == [layers._kept, layers._again]
    assert all(torch.equal(one, other) for one, other in zip(_gradients(model), wanted, strict=True))


def test_a_second_run_that_does_not_fit_in_one_graph_is_one_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    layers = Layers(_model())
    once = layers._again

    def played(run: Any, *_: Any) -> tuple[int, int]:
        if run is once:
            raise torch.OutOfMemoryError("played")
        return 900, 1500

    monkeypatch.setattr(layers, "_tried", played)
    assert layers.taken((torch.zeros(1, 12, 32),), {}) == LayerNeed(900, 600, 1500)
    assert layers._again is not once


@pytest.mark.parametrize(("held", "inside"), [(1.1, True), (3.0, False)])
def test_a_compiler_that_keeps_what_is_to_be_computed_again_gets_the_layer_alone(
    held: float, inside: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = _model()
    layers = Layers(model)
    layers.compile(False)
    kept, again, tried = layers._kept, layers._again, []
    given = (torch.zeros(1, 12, 32),)

    def played(run: Any, *_: Any) -> tuple[int, int]:
        tried.append(run)
        return (900, 1500) if run is kept else (int(held * given[0].nbytes), 1200)

    monkeypatch.setattr(layers, "_tried", played)
    assert layers.taken(given, {}) == LayerNeed(900, 600, 1200)
    assert tried[:2] == [kept, again] and len(tried) == 3 - inside
    assert (layers._again is again) == inside
    wanted = _gradients(_model())
    assert all(torch.equal(one, other) for one, other in zip(_gradients(model), wanted, strict=True))


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("drops", [0.0, 0.5])
@pytest.mark.parametrize("stays", [0, 2, 4])
def test_layers_whose_inputs_wait_have_the_same_gradients(stays: int, *, frozen: bool, drops: float) -> None:
    found = []
    for waits in (False, True):
        model = _model()
        model.get_input_embeddings().weight.requires_grad = not frozen
        for layer in model.model.layers:
            layer.self_attn.attention_dropout = drops
        layers = Layers(model)
        if waits:
            layers.keeps = 2
            layers.offload(stays)
            assert (layers.keeps, layers.waits) == (0, 4 - stays)
        torch.manual_seed(5)
        model(input_ids=IDS, labels=IDS, use_cache=False).loss.backward()
        found.append([part.grad.clone() for part in model.parameters() if part.requires_grad])
    for one, other in zip(*found, strict=True):
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-7)
