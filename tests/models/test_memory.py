from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.errors import UserError
from sluicegate.models.memory import (
    FIXED_TOKENS,
    GIB,
    HOSTED,
    Filling,
    LayerNeed,
    Need,
    Size,
    at_once,
    decide,
    filled_gib,
    filling,
    forecast_gib,
    need_of,
    passes,
)
from sluicegate.settings import TrainSettings

NEEDS = st.builds(
    Need,
    still=st.integers(0, 1000),
    layers=st.integers(1, 40),
    state=st.integers(1, 20),
    layer=st.builds(LayerNeed, kept=st.integers(20, 200), working=st.integers(0, 300), again=st.integers(0, 600)),
    head=st.integers(0, 500),
)

LLAMA_8B = Size(
    parameters=8_030_261_248,
    linear=6_979_321_856,
    rows_and_columns=32 * 81_920,
    layers=32,
    width=4096,
    widest=14336,
    vocabulary=128256,
)


def settings(**changes: object) -> TrainSettings:
    return TrainSettings.model_construct(
        **{"batch_size": 1, "lora_r": 16, "lora_dropout": 0.0, "vram_limit_gb": None, "load_in_4bit": "auto"} | changes  # type: ignore[arg-type]
    )


def test_the_8b_model_in_4_bit_is_forecast_near_what_was_measured() -> None:
    # Peaks of memory held, random weights, windows of 2,048 tokens: three on an H100, two on an H200.
    first = ((1, 0, False, 7.18), (1, 32, False, 15.72), (4, 32, False, 42.93))
    rows = (*first, (8, 32, False, 79.54), (1, 2, True, 6.91))
    for windows, keeps, hosted, peak in rows:
        need = need_of(LLAMA_8B, settings(), in_4bit=True, window=2048)
        need = need.windows(windows).hosting(hosted * 2 * LLAMA_8B.table)
        assert need.peak(keeps) / GIB == pytest.approx(peak, rel=0.05)


def test_a_forecast_fills_its_limit_in_the_fastest_way() -> None:
    asked = settings(gradient_accumulation_steps=8)
    found = {
        limit: forecast_gib(LLAMA_8B, asked, in_4bit=True, window=2048, gpu=True, limit_gib=limit)
        for limit in (1.0, 6.8, 10.34, 74.0)
    }
    need = need_of(LLAMA_8B, asked, in_4bit=True, window=2048)
    least = need.hosting(2 * LLAMA_8B.table)
    assert found[1.0] == pytest.approx(least.offloading().peak(0) / GIB)  # nothing fits: what takes least
    assert found[1.0] < least.peak(least.keeps(0)) / GIB
    assert found[1.0] < found[6.8] < 6.8
    assert 9 < found[10.34] < 10.34
    assert 40 < found[74.0] < 74.0


def test_as_many_inputs_stay_as_fit() -> None:
    table = 2 * LLAMA_8B.table

    def how(gib: float) -> Filling:
        need = need_of(LLAMA_8B, settings(lora_r=64), in_4bit=True, window=8192)
        return filling(need, gib * GIB, tokens=8192, step=16_384, among=range(1, 3), table=table, offloads=True)

    assert not how(16.0).offloads
    assert how(1.0) == Filling(1, 0, True, offloads=True, stays=0)
    need, filled = need_of(LLAMA_8B, settings(lora_r=64), in_4bit=True, window=8192).hosting(table), how(10.45)
    assert filled.offloads and 0 < filled.stays < LLAMA_8B.layers
    fits = [need.offloading(stays).peak(0) <= 10.45 * GIB for stays in (filled.stays, filled.stays + 1)]
    assert fits == [True, False]


def test_tied_embeddings_stay_on_the_gpu() -> None:
    tied = replace(LLAMA_8B, parameters=LLAMA_8B.parameters - LLAMA_8B.vocabulary * LLAMA_8B.width)
    assert (tied.table, LLAMA_8B.table) == (0, 128256 * 4096)


@given(need=NEEDS, limit=st.integers(0, 20_000), table=st.integers(0, 100), most=st.integers(1, 8))
def test_what_fills_memory_fits_and_nothing_else_that_fits_is_faster(
    need: Need, limit: int, table: int, most: int
) -> None:
    step, tokens = 900.0, 100
    need = replace(need, still=need.still + table)

    def time(how: Filling) -> float:
        batches = -(-step // (how.windows * tokens))
        return passes(how.keeps / need.layers) * (step + batches * FIXED_TOKENS) * (HOSTED if how.hosted else 1.0)

    def peak(how: Filling) -> int:
        return need.windows(how.windows).hosting(how.hosted * table).peak(how.keeps)

    how = filling(need, limit, tokens=tokens, step=step, among=range(1, most + 1), table=table)
    every = [
        Filling(windows, keeps, hosted)
        for windows in range(1, most + 1)
        for keeps in range(need.layers + 1)
        for hosted in ((False, True) if table else (False,))
    ]
    fits = [other for other in every if peak(other) <= limit]
    if fits:
        assert peak(how) <= limit
        assert time(how) == min(map(time, fits))
    else:
        assert how.windows == 1
        assert peak(how) == min(map(peak, every))


@pytest.mark.parametrize(("packing", "windows"), [("false", [4]), ("auto", [1, 2, 3, 4, 5]), ("true", [1, 2, 3, 4, 5])])
def test_only_packs_may_be_of_more_or_fewer_windows(packing: str, windows: list[int]) -> None:
    assert list(at_once(settings(batch_size=4, packing=packing), 2048, 10_000)) == windows
    assert len(at_once(settings(packing="true"), 2048, 1e9)) == 8
    assert len(at_once(settings(packing="true"), 100_000, 1e9)) == 1


def test_auto_takes_4_bit_on_12_gb_and_not_on_80() -> None:
    small, why_small = decide(settings(), LLAMA_8B, window=2048, gpu=True, free_gib=11.5)
    large, why_large = decide(settings(), LLAMA_8B, window=2048, gpu=True, free_gib=79.0)
    assert (small, large) == (True, False)
    assert "8,030.3 M parameters" in why_small and "do not fit in 90% of 11.50 GiB of free GPU memory" in why_small
    assert "which fit in" in why_large


@pytest.mark.parametrize(("said", "loaded"), [("true", True), ("false", False)])
def test_what_is_asked_for_is_done_whatever_is_free(said: str, loaded: bool) -> None:
    free = 0.0 if said == "false" else 1000.0
    found, why = decide(settings(load_in_4bit=said), LLAMA_8B, window=2048, gpu=True, free_gib=free)
    assert found == loaded
    assert f"LOAD_IN_4BIT={said}" in why


def test_training_every_weight_is_never_in_4_bit() -> None:
    found, why = decide(settings(lora_r=0), LLAMA_8B, window=2048, gpu=True, free_gib=1.0)
    assert not found
    assert "LORA_R=0" in why
    with pytest.raises(UserError, match="LOAD_IN_4BIT=true with LORA_R=0"):
        decide(settings(lora_r=0, load_in_4bit="true"), LLAMA_8B, window=2048, gpu=True, free_gib=1.0)


def test_more_samples_at_once_and_higher_ranks_take_more() -> None:
    def need(**changes: object) -> float:
        return forecast_gib(LLAMA_8B, settings(**changes), in_4bit=True, window=2048, gpu=True)

    assert need() < need(batch_size=4) < need(batch_size=4, lora_r=64) < need(batch_size=4, lora_r=64, lora_dropout=0.1)


@given(need=NEEDS, limit=st.integers(0, 20_000))
def test_the_most_layers_that_fit_are_kept(need: Need, limit: int) -> None:
    peaks = [need.peak(count) for count in range(need.layers + 1)]
    fits = [count for count, peak in enumerate(peaks) if peak <= limit]
    assert need.keeps(limit) == (fits[-1] if fits else peaks.index(min(peaks)))


@given(need=NEEDS)
def test_nothing_takes_less_than_what_is_still_and_the_states(need: Need) -> None:
    for keeps in range(need.layers + 1):
        assert need.peak(keeps) >= need.still + need.layers * need.state


@pytest.mark.parametrize(("asked", "free", "filled"), [(None, 10.0, 9.5), (7.0, 10.0, 6.65), (20.0, 10.0, 9.5)])
def test_a_training_fills_what_it_is_given_and_never_quite_all(asked: float | None, free: float, filled: float) -> None:
    assert filled_gib(settings(vram_limit_gb=asked), free) == pytest.approx(filled)
