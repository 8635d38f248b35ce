"""The kernel beside attention as PyTorch has it; on the CPU in Triton's interpreter."""

from __future__ import annotations

import os
from typing import Any

import pytest

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
if DEVICE == "cpu":
    os.environ["TRITON_INTERPRET"] = "1"
pytest.importorskip("triton", reason="Triton comes with PyTorch for GPUs")

from torch.nn.functional import scaled_dot_product_attention  # noqa: E402

from sluicegate.models import slot_attention  # noqa: E402

SHAPES = [(32, 4, 2, 200, None), (64, 1, 3, 130, None), (128, 8, 1, 70, 9), (16, 3, 2, 65, 64), (128, 32, 1, 90, None)]


def drawn(*shape: int) -> Any:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape))).to(DEVICE, torch.float16)


@pytest.mark.parametrize(("width", "group", "heads", "length", "window"), SHAPES)
def test_each_row_sees_its_slot_up_to_its_place(
    width: int, group: int, heads: int, length: int, window: int | None
) -> None:
    places = torch.tensor([0, 3, 63, 64, length - 1], device=DEVICE)
    query, (keys, values) = drawn(5, heads, group, width), (drawn(7, heads, length, width) for _ in range(2))
    values = values.flip(0)
    columns = torch.arange(length, device=DEVICE)
    hidden = columns > places[:, None]
    if window:
        hidden |= columns <= places[:, None] - window
    bias = torch.zeros_like(hidden, dtype=torch.float32).masked_fill(hidden, -1e9)[:, None, None]
    wanted = scaled_dot_product_attention(query.float(), keys[:5].float(), values[:5].float(), bias, scale=0.2)
    seen = slot_attention.attend(query, keys, values, places, scale=0.2, window=window).float()
    assert (seen - wanted).norm() < 1e-3 * wanted.norm()


def test_what_lies_behind_a_rows_place_is_not_read() -> None:
    places = torch.tensor([5, 70], device=DEVICE)
    query, keys, values = drawn(2, 1, 4, 32), drawn(2, 1, 128, 32), drawn(2, 1, 128, 32).flip(2)
    wanted = slot_attention.attend(query, keys, values, places, scale=1.0, window=None)
    for row, place in enumerate(places.tolist()):
        keys[row, :, place + 1 :] = values[row, :, place + 1 :] = torch.nan
    assert torch.equal(slot_attention.attend(query, keys, values, places, scale=1.0, window=None), wanted)


def test_widths_and_precisions_that_the_kernel_does_not_know_are_declined() -> None:
    device = torch.device(DEVICE)
    assert slot_attention.fits(device, torch.float16, 64)
    assert not slot_attention.fits(device, torch.float32, 64)
    assert not slot_attention.fits(device, torch.float16, 96)
    assert not slot_attention.fits(device, torch.float16, 8)
