"""Without a GPU the kernels run in triton's interpreter: TRITON_INTERPRET=1, with triton installed for the occasion."""

from __future__ import annotations

import functools
import importlib.util
import itertools
import os
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")

from sluicegate.models import graphs, packed_trial, t5_fast  # noqa: E402
from sluicegate.models.packed_attention import TILE, Pack, cross, own, packed, reach, usable  # noqa: E402
from sluicegate.models.packed_trial import error  # noqa: E402
from sluicegate.models.t5_fast import Seq2SeqLoss  # noqa: E402
from stacks import apart, batch, dual, gated, given, labels, plain, reference  # noqa: E402

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1" and importlib.util.find_spec("triton") is not None
GPU = torch.cuda.is_available()
DEVICE = "cuda" if GPU else "cpu"
# The interpreter has no products of bfloat16.
DTYPE, CLOSE = (torch.bfloat16, 2e-2) if GPU else (torch.float32, 1e-5)
runs = pytest.mark.skipif(
    not (GPU or INTERPRETED), reason="needs a CUDA GPU, or triton (of PyPI) and TRITON_INTERPRET=1"
)
HEADS, WIDTH = 2, 16
LENGTHS, SOURCES = (70, 1, 130, 33, 0, 64), (5, 64, 0, 90, 3, 200)


def starts(lengths: tuple[int, ...]) -> Any:
    return torch.tensor([0, *itertools.accumulate(lengths)], dtype=torch.int32, device=DEVICE)


def random(*shape: int, seed: int = 0, scale: float = 0.7) -> Any:
    made = torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * scale
    return made.to(DEVICE, DTYPE)


def attended(query: Any, key: Any, value: Any, add: Any = 0.0) -> Any:
    """One row, [queries, H · D], in float64."""
    query, key, value = (part.unflatten(-1, (HEADS, WIDTH)).transpose(0, 1) for part in (query, key, value))
    return ((query @ key.mT + add).softmax(-1) @ value).transpose(0, 1).flatten(1)


def rows(lengths: tuple[int, ...]) -> list[slice]:
    return list(itertools.starmap(slice, itertools.pairwise(starts(lengths).tolist())))


def gradients(work: Callable[..., Any], *parts: Any, exact: bool) -> list[Any]:
    """Output and gradients, [·] float64 each."""
    parts = tuple((part.double() if exact else part.clone()).requires_grad_() for part in parts)
    out = work(*parts)
    out.backward(random(*out.shape, seed=9).to(out.dtype))
    return [out.detach().double(), *(part.grad.double() for part in parts)]


def near(found: list[Any], wanted: list[Any]) -> bool:
    return all(
        float((one - other).norm()) <= CLOSE * float(other.norm()) for one, other in zip(found, wanted, strict=True)
    )


@runs
@pytest.mark.parametrize("causal", [False, True])
def test_attention_to_itself_and_all_its_gradients_are_those_of_the_formula(causal: bool) -> None:
    longest = max(LENGTHS)
    away = reach(longest)

    def formula(fused: Any, by_distance: Any) -> Any:
        found = []
        for row in rows(LENGTHS):
            places = torch.arange(row.stop - row.start, device=DEVICE)
            apart = places[None, :] - places[:, None]
            add = by_distance[:, apart + away]
            add = add.masked_fill(apart > 0, -torch.inf) if causal else add
            query, key, value = fused[row].chunk(3, -1)
            found.append(attended(query, key, value, add))
        return torch.cat(found)

    def kernels(fused: Any, by_distance: Any) -> Any:
        return own(fused, by_distance, starts(LENGTHS), longest, 0, dropped=0.0, causal=causal)

    given_ = random(sum(LENGTHS), 3 * HEADS * WIDTH), random(HEADS, 2 * away, seed=1, scale=1.0).float()
    first = gradients(kernels, *given_, exact=False)
    assert near(first, gradients(formula, *given_, exact=True))
    assert all(torch.equal(*pair) for pair in zip(first, gradients(kernels, *given_, exact=False), strict=True))


@runs
@pytest.mark.parametrize("answers", [1, 3])
def test_attention_to_sources_and_all_its_gradients_are_those_of_the_formula(answers: int) -> None:
    """Several rows answer a source; one source is empty, and so is a row."""
    begins = starts(LENGTHS)[::answers].contiguous()
    sources = SOURCES[: len(begins) - 1]
    seeing = list(itertools.starmap(slice, itertools.pairwise(begins.tolist())))

    def formula(query: Any, fused: Any) -> Any:
        pairs = zip(seeing, rows(sources), strict=True)
        return torch.cat([
            attended(query[row], *fused[source].chunk(2, -1)) if source.start < source.stop else query[row] * 0.0
            for row, source in pairs
        ])  # fmt: skip

    def kernels(query: Any, fused: Any) -> Any:
        asking, there = (begins, answers * max(LENGTHS)), (starts(sources), max(sources))
        return cross(query, fused, asking, there, 0, heads=HEADS, dropped=0.0)

    given_ = random(sum(LENGTHS), HEADS * WIDTH), random(sum(sources), 2 * HEADS * WIDTH, seed=1)
    assert near(gradients(kernels, *given_, exact=False), gradients(formula, *given_, exact=True))


def kept(share: float, seed: int, *, causal: bool) -> Any:
    """Which weights stay, times their counterweight, [H, queries, keys] of one row: seen by values that are 1 once."""
    tokens = WIDTH
    fused = torch.zeros(tokens, 3, HEADS, WIDTH, device=DEVICE, dtype=DTYPE)
    fused[:, 2] = torch.eye(tokens, device=DEVICE)[:, None]
    by_distance = torch.zeros(HEADS, 2 * TILE, device=DEVICE)
    out = own(fused.flatten(1), by_distance, starts((tokens,)), tokens, seed, dropped=share, causal=causal)
    weights = out.double().unflatten(-1, (HEADS, WIDTH)).transpose(0, 1)
    return weights * torch.arange(1, tokens + 1, device=DEVICE)[:, None] if causal else weights * tokens


@runs
@pytest.mark.parametrize("causal", [False, True])
def test_weights_are_dropped_by_share_and_seed_and_their_gradients_follow(causal: bool) -> None:
    masks = torch.stack([kept(0.25, seed, causal=causal) for seed in range(40)])
    seen = torch.ones(WIDTH, WIDTH).tril().bool() if causal else torch.ones(WIDTH, WIDTH).bool()
    values = masks[:, :, seen.to(DEVICE)]
    assert ((values.abs() < 1e-6) | ((values - 4 / 3).abs() < 2e-2)).all()
    assert float(values.mean()) == pytest.approx(1.0, abs=0.02)
    assert torch.equal(kept(0.25, 3, causal=causal), masks[3])
    assert not torch.equal(masks[0], masks[1])
    assert not torch.equal(masks[0, 0], masks[0, 1]), "heads drop weights of their own"

    def formula(fused: Any, by_distance: Any) -> Any:
        query, key, value = fused.unflatten(-1, (3, HEADS, WIDTH)).permute(1, 2, 0, 3)
        places = torch.arange(WIDTH, device=DEVICE)
        away = places[None, :] - places[:, None]
        add = by_distance[:, away + TILE]
        add = add.masked_fill(away > 0, -torch.inf) if causal else add
        return ((((query @ key.mT + add).softmax(-1)) * masks[5]) @ value).transpose(0, 1).flatten(1)

    def kernels(fused: Any, by_distance: Any) -> Any:
        return own(fused, by_distance, starts((WIDTH,)), WIDTH, 5, dropped=0.25, causal=causal)

    given_ = random(WIDTH, 3 * HEADS * WIDTH), random(HEADS, 2 * TILE, seed=1).float()
    assert near(gradients(kernels, *given_, exact=False), gradients(formula, *given_, exact=True))


@pytest.fixture
def packing(monkeypatch: pytest.MonkeyPatch) -> list[Pack]:
    """Let stacks pack wherever the test runs; what they packed."""
    made: list[Pack] = []

    def spied(*told: Any, **more: bool) -> Pack | None:
        found = packed(*told, **more)
        if found is not None:
            made.append(found)
        return found

    monkeypatch.setattr(t5_fast, "usable", lambda *_: True)
    monkeypatch.setattr(t5_fast, "HALVES", {torch.float32})
    monkeypatch.setattr(t5_fast, "packed", spied)
    return made


@runs
@pytest.mark.skipif(GPU, reason="the interpreter's precision is the one to compare models in")
@pytest.mark.parametrize("make", [plain, gated, dual])
@pytest.mark.parametrize("checkpointed", [False, True])
def test_a_model_that_packs_has_the_loss_and_all_gradients_of_transformers(
    make: Callable[..., Any], checkpointed: bool, packing: list[Pack]
) -> None:
    sizes = {"d_kv": 16, "num_heads": 2}
    loss, wanted = reference(make(**sizes))
    model = make(**sizes)
    scored = Seq2SeqLoss(model)
    for stack in (part for part in model.modules() if isinstance(part, t5_fast.FastStack)):
        for block in stack.block:
            block.gradient_checkpointing = checkpointed
    found = scored(**batch(model))
    found.backward()
    assert len(packing) == (3 if make is not dual else 4)
    assert float(found.detach()) == pytest.approx(loss, rel=1e-5)
    assert apart(model, wanted) < 1e-5


@runs
@pytest.mark.skipif(GPU, reason="the interpreter's precision is the one to compare models in")
@pytest.mark.parametrize("checkpointed", [False, True])
def test_a_layer_is_compiled_as_a_whole_once_for_all_layers_and_batches(
    checkpointed: bool, packing: list[Pack], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Traced and differentiated as the compiler would, its kernels left out."""
    from torch._dynamo.utils import counters

    made = functools.cache(lambda work: torch.compile(work, dynamic=True, backend="aot_eager", fullgraph=True))
    monkeypatch.setattr(graphs, "graph_of", made)
    sizes = {"d_kv": 16, "num_heads": 2, "num_layers": 3}
    loss, wanted = reference(plain(**sizes))
    model = plain(**sizes)
    scored = Seq2SeqLoss(model)
    for block in (*model.encoder.block, *model.decoder.block):
        block.gradient_checkpointing = checkpointed
    scored._set(True)
    torch._dynamo.reset()
    counters.clear()
    few = {name: tensor[:3] for name, tensor in batch(model).items()}
    few["rows"] = few["targets"] = torch.arange(5)
    scored(**few).backward()
    # An encoder's layer, a decoder's, and the slopes of the head.
    assert counters["stats"]["unique_graphs"] == 3
    scored.zero_grad(set_to_none=True)
    found = scored(**batch(model))
    found.backward()
    assert counters["stats"]["unique_graphs"] == 3 and packing
    assert float(found.detach()) == pytest.approx(loss, rel=1e-5)
    assert apart(model, wanted) < 1e-5


@runs
@pytest.mark.skipif(GPU, reason="the interpreter's precision is the one to compare models in")
def test_answers_that_share_a_source_are_scored_as_without_packing(packing: list[Pack]) -> None:
    model = plain(d_kv=16, num_heads=2).eval()
    few = {name: tensor[3:] for name, tensor in given(model).items()}
    wanted = labels()[:4]
    there = wanted >= 0
    told = {
        **few, "decoder_input_ids": model._shift_right(wanted), "rows": there.flatten().nonzero()[:, 0],
        "targets": wanted[there],
    }  # fmt: skip
    scored = Seq2SeqLoss(model)
    found = scored.scores(**told)
    assert packing
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(t5_fast, "usable", lambda *_: False)
        padded = scored.scores(**told)
    assert all(torch.allclose(one, other, atol=1e-4) for one, other in zip(found, padded, strict=True))


def test_a_pack_holds_the_tokens_that_count_and_puts_them_back() -> None:
    mask = torch.tensor([[1, 1, 0], [0, 0, 0], [0, 1, 1], [1, 1, 1]])
    pack = packed(mask, 4, 3, torch.device("cpu"))
    assert pack is not None and pack.longest == 3
    assert pack.starts.tolist() == [0, 2, 2, 4, 7]
    states = torch.arange(24.0).view(4, 3, 2)
    assert torch.equal(pack.of(states), states[mask.bool()])
    assert torch.equal(pack.back(pack.of(states), 4, 3), states * mask[..., None])


@pytest.mark.parametrize("mask", [None, torch.ones(2, 3)])
def test_where_all_count_nothing_is_copied(mask: Any) -> None:
    pack = packed(mask, 2, 3, torch.device("cpu"))
    assert pack is not None and pack.places is None
    assert pack.starts.tolist() == [0, 3, 6]
    states = torch.rand(2, 3, 4)
    assert pack.of(states).data_ptr() == states.data_ptr()
    assert torch.equal(pack.back(pack.of(states), 2, 3), states)


def test_a_row_with_a_hole_is_packed_only_where_nobody_looks_at_distances() -> None:
    told = torch.tensor([[1, 1, 1], [1, 0, 1]]), 2, 3, torch.device("cpu")
    assert packed(*told) is None
    pack = packed(*told, apart=True)
    assert pack is not None and pack.starts.tolist() == [0, 3, 5]


@pytest.mark.parametrize(("longest", "wanted"), [(0, 64), (1, 64), (64, 64), (65, 128)])
def test_distances_reach_over_whole_tiles(longest: int, wanted: int) -> None:
    assert reach(longest) == wanted


@runs
@pytest.mark.parametrize("width", [16, 64])
def test_the_trial_before_use_finds_the_kernels_right(width: int) -> None:
    assert error(torch.device(DEVICE), DTYPE, width) < CLOSE


@runs
def test_the_trial_before_use_finds_a_wrong_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(*given: Any, **how: Any) -> Any:
        out = own(*given, **how)
        return out + 0.2 * (out - out.detach())

    monkeypatch.setattr(packed_trial, "own", wrong)
    assert error(torch.device(DEVICE), DTYPE, 16) == pytest.approx(0.2, rel=0.1)


def test_without_a_gpu_the_kernels_are_not_used() -> None:
    assert not usable(torch.device("cpu"), 64)


@pytest.mark.gpu
@pytest.mark.skipif(not GPU, reason="needs a CUDA GPU")
def test_on_a_gpu_a_model_packs_and_stays_near_float32() -> None:
    sizes = {"d_kv": 16, "num_heads": 2}
    loss, wanted = reference(plain(**sizes))
    model = plain(**sizes)
    told = {name: tensor.cuda() for name, tensor in batch(model).items()}
    scored = Seq2SeqLoss(model.cuda())
    assert scored.packs(torch.bfloat16) and not scored.packs(torch.float32)
    with torch.autocast("cuda", dtype=torch.bfloat16):
        found = scored(**told)
    found.backward()
    assert float(found.detach()) == pytest.approx(loss, rel=1e-2)
    model.cpu()
    for part in model.parameters():
        part.grad = part.grad.cpu()
    assert apart(model, wanted) < 0.1
