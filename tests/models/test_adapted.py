"""Adapted layers beside peft's, on a CPU: what the kernel unpacks, bitsandbytes unpacks here."""

import copy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from bitsandbytes.functional import dequantize_4bit

from sluicegate.models import adapted, causal
from sluicegate.models.layers import Layers
from sluicegate.settings import TrainSettings
from sluicegate.train.weights import trained

pytestmark = pytest.mark.torch
IDS = torch.arange(12)[None] + 3


@pytest.fixture
def model(base: Path) -> Any:
    asked = {"dataset_path": __file__, "lora_r": 4, "load_in_4bit": "true", "lora_dropout": 0.0}
    made = causal.load(TrainSettings.model_validate(asked), str(base), torch.device("cpu")).model.train()
    for name, part in made.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(part, std=0.1, generator=torch.Generator().manual_seed(len(name)))
    return made


@pytest.fixture
def unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapted, "_product", by_formula)
    monkeypatch.setattr(adapted, "_sum", summed)
    monkeypatch.setattr(adapted, "_agrees", lambda _: True)


def summed(beside: Any, given: Any, packed: tuple[Any, ...]) -> Any:
    with torch.autocast("cpu", enabled=False):  # a product of GPUs adds up in float32
        return (beside.float() + by_formula(given.float(), packed)).to(given.dtype)


def by_formula(given: Any, packed: tuple[Any, ...]) -> Any:
    values, scales, levels, outer_scales, outer_levels, offset, rows, columns = packed
    outer = outer_levels[scales.long()] * outer_scales.repeat_interleave(256)[: len(scales)] + offset
    pairs = torch.stack([levels[(values >> 4).long()], levels[(values & 15).long()]], -1).view(-1, 64)
    return torch.nn.functional.linear(given, (pairs * outer[:, None]).view(rows, columns).to(given.dtype))


def _learnt(model: Any) -> list[torch.Tensor]:
    """Loss and gradients."""
    model.zero_grad()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = model(input_ids=IDS, labels=IDS, use_cache=False).loss
    loss.backward()
    return [loss.detach(), *(part.grad.clone() for part in model.parameters() if part.grad is not None)]


ROUNDED_ONCE = 0.06
"""Beside peft, whose sums are of rounded products."""


def _close(seen: list[torch.Tensor], wanted: list[torch.Tensor], most: float = 0.03) -> None:
    assert len(seen) == len(wanted) > 1
    for one, other in zip(seen, wanted, strict=True):
        assert one.dtype == other.dtype
        assert (one - other).norm() <= most * other.norm()


@pytest.mark.usefixtures("unpacked")
def test_loss_and_gradients_are_pefts(model: Any) -> None:
    wanted, names = _learnt(model), list(trained(model))
    assert adapted.adopt(model) == 7 * model.config.num_hidden_layers
    seen = _learnt(model)
    _close(seen, wanted, ROUNDED_ONCE)
    assert list(trained(model)) == names
    assert adapted.leave(model) == 7 * model.config.num_hidden_layers
    assert adapted.leave(model) == 0
    assert all(torch.equal(one, other) for one, other in zip(_learnt(model), wanted, strict=True))


@pytest.mark.usefixtures("unpacked")
def test_an_adapters_part_that_is_smaller_than_the_last_digit_is_not_lost(model: Any) -> None:
    part = next(part for part in model.modules() if adapted._is_plain(part))
    torch.manual_seed(2)
    torch.nn.init.normal_(part.lora_B["default"].weight, std=1e-4)
    given = 4 * torch.randn(400, part.in_features).bfloat16()
    weight = (part.lora_B["default"].weight @ part.lora_A["default"].weight).detach() * part.scaling["default"]
    true = given.float() @ weight.T

    def kept() -> float:
        """The share of the adapter's part that is in what the layer gives."""
        with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
            there = part(given).float()
            part.lora_B["default"].weight.mul_(-1)
            share = (there - part(given).float()) / 2
            part.lora_B["default"].weight.mul_(-1)
        return float((share * true).sum() / (true * true).sum())

    pefts = kept()
    adapted.adopt(model)
    assert part.sums
    ours = kept()
    assert ours == pytest.approx(1, abs=0.15)
    assert pefts < 0.8


@pytest.mark.usefixtures("unpacked")
def test_where_the_sum_does_not_work_it_is_of_the_product(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = _learnt(model)

    def broken(*_: Any) -> Any:
        raise RuntimeError("no kernel image")

    monkeypatch.setattr(adapted, "_sum", broken)
    assert adapted.adopt(model)
    assert not any(part.sums for part in adapted.adopted(model))
    _close(_learnt(model), wanted)


@pytest.mark.usefixtures("unpacked")
def test_what_is_saved_is_pefts(model: Any, tmp_path: Path) -> None:
    model.save_pretrained(tmp_path / "theirs")
    adapted.adopt(model)
    model.save_pretrained(tmp_path / "ours")
    for name in ("adapter_model.safetensors", "adapter_config.json"):
        assert (tmp_path / "ours" / name).read_bytes() == (tmp_path / "theirs" / name).read_bytes()


@pytest.mark.usefixtures("unpacked")
def test_compiled_and_computed_again_the_gradients_are_the_same(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = torch.compile
    monkeypatch.setattr(torch, "compile", lambda run, *, dynamic: compiled(run, dynamic=dynamic, backend="aot_eager"))
    torch._dynamo.reset()
    wanted = _learnt(model)
    adapted.adopt(model)
    layers = Layers(model)
    layers.compile(True)
    layers.keeps = 1
    _close(_learnt(model), wanted)


@pytest.mark.usefixtures("unpacked")
def test_without_autocast_and_with_adapters_off_or_merged_it_is_peft_that_computes(model: Any) -> None:
    adapted.adopt(model)
    part = adapted.adopted(model)[0]
    pefts: Any = type(part).__bases__[0]
    given = torch.randn(3, part.in_features)
    for autocast, off, merged in [(False, False, False), (True, True, False), (True, False, True)]:
        if merged:
            part.merge()
        with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
            part._disable_adapters = off
            assert torch.equal(part(given), pefts.forward(part, given))
            part._disable_adapters = False


@pytest.mark.usefixtures("unpacked")
def test_dropout_is_the_adapters_own(model: Any) -> None:
    for part in model.modules():
        if hasattr(part, "lora_dropout") and "default" in part.lora_dropout:
            part.lora_dropout["default"] = torch.nn.Dropout(0.5)
    torch.manual_seed(1)
    wanted = _learnt(model)
    adapted.adopt(model)
    torch.manual_seed(1)
    _close(_learnt(model), wanted, ROUNDED_ONCE)


def test_what_is_not_of_the_plain_kind_is_left_to_peft(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapted, "_agrees", lambda _: True)
    first = next(part for part in model.modules() if adapted._is_plain(part))
    spoilt: list[Callable[[Any], None]] = [
        lambda state: setattr(state, "quant_type", "fp4"),
        lambda state: setattr(state, "blocksize", 128),
        lambda state: setattr(state, "nested", False),
    ]
    for spoil in spoilt:
        before = copy.copy(vars(first.base_layer.weight.quant_state))
        spoil(first.base_layer.weight.quant_state)
        assert not adapted._is_plain(first)
        vars(first.base_layer.weight.quant_state).update(before)
    assert adapted._is_plain(first)
    model.merge_adapter()
    assert not adapted._is_plain(first)


def test_no_layer_is_adopted_without_a_gpu_or_without_triton(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert adapted.adopt(model) == 0
    base = next(part for part in model.modules() if adapted._is_plain(part)).base_layer
    monkeypatch.setattr(adapted, "is_on_gpu", lambda _: True)
    monkeypatch.setitem(sys.modules, "triton", None)
    monkeypatch.delitem(sys.modules, "sluicegate.models.nf4", raising=False)
    assert not adapted._agrees(base)


@pytest.mark.parametrize(("wrong", "agrees"), [(1.0, True), (1.001, True), (1.01, False), (-1.0, False)])
def test_a_kernel_that_unpacks_something_else_is_not_used(
    wrong: float, agrees: bool, model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = next(part for part in model.modules() if adapted._is_plain(part)).base_layer
    weight = dequantize_4bit(base.weight.data, base.weight.quant_state)
    assert adapted.packed_of(base)[-2:] == tuple(weight.shape)
    monkeypatch.setattr(adapted, "is_on_gpu", lambda _: True)
    monkeypatch.setattr(adapted, "_product", lambda given, packed: by_formula(given, packed) * wrong)
    assert adapted._agrees(base) == agrees


@pytest.mark.parametrize("fault", [RuntimeError("no kernel image"), ImportError("triton"), OSError("ptxas")])
def test_a_kernel_that_does_not_run_is_not_used(fault: Exception, model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise fault

    part = next(part for part in model.modules() if adapted._is_plain(part))
    monkeypatch.setattr(adapted, "is_on_gpu", lambda _: True)
    monkeypatch.setattr(adapted, "_product", broken)
    assert not adapted._agrees(part.base_layer)
