"""The kernel beside bitsandbytes' own unpacking; on the CPU in Triton's interpreter."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
if DEVICE == "cpu":
    os.environ["TRITON_INTERPRET"] = "1"
pytest.importorskip("triton", reason="Triton comes with PyTorch for GPUs")

from bitsandbytes.functional import dequantize_4bit, quantize_4bit  # noqa: E402

from sluicegate.models import nf4  # noqa: E402


@pytest.mark.parametrize(("rows", "columns"), [(1, 64), (3, 128), (96, 64), (130, 448)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16] if DEVICE == "cuda" else [torch.float32])
def test_weights_are_those_of_bitsandbytes(rows: int, columns: int, dtype: Any) -> None:
    weight = torch.randn(rows, columns, generator=torch.Generator().manual_seed(rows)).to(DEVICE, dtype)
    packed, state = quantize_4bit(weight, compress_statistics=True, quant_type="nf4")
    parts = (packed, state.absmax, state.code, state.state2.absmax, state.state2.code, state.offset)
    wanted = dequantize_4bit(packed, state)
    seen = nf4.launched(nf4._unpack, *parts, rows, columns, dtype)
    assert seen.shape == wanted.shape
    # Multiplied and added in one rounding or in two.
    assert torch.allclose(seen.float(), wanted.float(), rtol=torch.finfo(dtype).eps * 4, atol=0.0)
    assert wanted.norm() > 0.5 * weight.norm()


def _quantised(monkeypatch: pytest.MonkeyPatch) -> tuple[Any, tuple[Any, ...], Any]:
    """A generator, what the operators take of weights [96, 64], and those as bitsandbytes unpacks them."""
    draw = torch.Generator().manual_seed(0)
    packed, state = quantize_4bit(
        torch.randn(96, 64, generator=draw).to(DEVICE), compress_statistics=True, quant_type="nf4"
    )
    parts = (packed, state.absmax, state.code, state.state2.absmax, state.state2.code, state.offset)
    if DEVICE == "cpu":  # an interpreted kernel is not for operators
        monkeypatch.setattr(nf4, "weights", lambda *packed: nf4.launched(nf4._unpack, *packed))
    return draw, parts, dequantize_4bit(packed, state)


def test_a_sum_with_a_product_has_the_gradients_of_one_with_plain_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    draw, parts, weight = _quantised(monkeypatch)
    beside, given, above = (torch.randn(2, 5, width, generator=draw).to(DEVICE) for width in (96, 64, 96))
    found = []
    works: list[Callable[[Any, Any], Any]] = [
        lambda more, x: nf4.summed(more, x, *parts, 96, 64),
        lambda more, x: more + x @ weight.T,
    ]
    for work in works:
        leaves = [part.clone().requires_grad_() for part in (beside, given)]
        out = work(*leaves)
        found.append([out.detach(), *torch.autograd.grad(out, leaves, above)])
    for one, other in zip(*found, strict=True):
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-4)


def test_a_product_has_the_gradient_of_one_with_plain_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    draw, parts, weight = _quantised(monkeypatch)
    given, above = (torch.randn(2, 5, width, generator=draw).to(DEVICE) for width in (64, 96))
    found = []
    works: list[Callable[[Any], Any]] = [
        lambda x: nf4.product(x, *parts, 96, 64),
        lambda x: x @ weight.T,
    ]
    for work in works:
        leaf = given.clone().requires_grad_()
        out = work(leaf)
        found.append([out.detach(), *torch.autograd.grad(out, [leaf], above)])
    for one, other in zip(*found, strict=True):
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-4)
