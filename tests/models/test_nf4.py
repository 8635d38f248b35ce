"""The kernel beside bitsandbytes' own unpacking; on the CPU in Triton's interpreter."""

from __future__ import annotations

import os

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
def test_weights_are_those_of_bitsandbytes(rows: int, columns: int, dtype: torch.dtype) -> None:
    weight = torch.randn(rows, columns, generator=torch.Generator().manual_seed(rows)).to(DEVICE, dtype)
    packed, state = quantize_4bit(weight, compress_statistics=True, quant_type="nf4")
    parts = (packed, state.absmax, state.code, state.state2.absmax, state.state2.code, state.offset)
    wanted = dequantize_4bit(packed, state)
    found = [nf4.launched(nf4._unpack, *parts, rows, columns, dtype)]
    if DEVICE == "cuda":
        found.append(nf4.unpack(*parts, rows, columns, dtype))
    for seen in found:
        assert seen.shape == wanted.shape
        # Multiplied and added in one rounding or in two.
        assert torch.allclose(seen.float(), wanted.float(), rtol=torch.finfo(dtype).eps * 4, atol=0.0)
    assert wanted.norm() > 0.5 * weight.norm()
