"""How memory is filled: the device is played, since its figures are all that is asked of it."""

from typing import Any

import pytest
import torch

from sluicegate.models import fitting, memory
from sluicegate.models.memory import GIB, LayerNeed, Size
from sluicegate.settings import TrainSettings

pytestmark = pytest.mark.torch
MIB = 2**20
NEED = LayerNeed(kept=20, working=10, again=30)
SIZE = Size(
    parameters=10**9, linear=8 * 10**8, rows_and_columns=10**6, layers=16, width=2048, widest=8192, vocabulary=48_000
)


class _Layers:
    all: tuple[int, ...] = tuple(range(16))
    keeps = waits = 0


class _Scored:
    def parameters(self) -> list[torch.nn.Parameter]:
        return [torch.nn.Parameter(torch.zeros(1000)), torch.nn.Parameter(torch.zeros(9), requires_grad=False)]

    def compile_head(self) -> None:
        pass


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """Bytes of a GPU with 4 GiB free, of which 1 is allocated."""
    has: dict[str, float] = {"free": 4.0 * GIB, "allocated": 1.0 * GIB}
    played = {
        "empty_cache": lambda: None,
        "reset_peak_memory_stats": lambda: None,
        "mem_get_info": lambda: (has["free"], 5 * GIB),
        "memory_reserved": lambda: 0,
        "memory_allocated": lambda: has["allocated"],
    }
    for name, value in played.items():
        monkeypatch.setattr(torch.cuda, name, value)
    return has


def _fit(monkeypatch: pytest.MonkeyPatch, *, limit: float, kept: int, table: int = 0, tokens: float = 8000.0) -> Any:
    """The result, windows in the order they were measured, whether the table was hosted, layers kept."""
    tried: list[int] = []
    hosted: list[bool] = []

    def measured(_: Any, windows: int, *, compiled: bool) -> tuple[int, LayerNeed, str]:
        tried.append(windows)
        return (
            4 * MIB * windows,
            LayerNeed(kept * windows, kept * windows, 2 * kept * windows),
            "compiled" if compiled else "not compiled",
        )

    def host() -> None:
        hosted.append(True)

    monkeypatch.setattr(fitting, "_measured", measured)
    layers = _Layers()
    asked = fitting.Asked(_Scored(), layers, SIZE, True, 1000, tokens, table, lambda _: {}, host, lambda: 0)  # type: ignore[arg-type]
    settings = TrainSettings.model_construct(
        lora_r=16, lora_dropout=0.0, vram_limit_gb=limit, packing="true", compile="auto", batch_size=1
    )
    return fitting.fit(asked, settings, steps=100), tried, bool(hosted), layers.keeps


def test_a_small_limit_takes_few_windows_and_a_large_one_keeps_layers(
    device: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    small, _, _, few = _fit(monkeypatch, limit=2.0, kept=60 * MIB)
    large, _, _, all_of_them = _fit(monkeypatch, limit=4.0, kept=60 * MIB)
    assert small.windows < large.windows or few < all_of_them
    assert small.forecast_gib <= 0.95 * 2.0 and large.forecast_gib <= 0.95 * 4.0
    assert "window(s) of 1000 tokens at once" in small.told and "compiled" in small.told


def test_where_a_layer_takes_more_than_its_shape_says_fewer_windows_are_taken(
    device: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "FIXED_TOKENS", 1000)  # so that several windows at once pay
    plain, tried, _, _ = _fit(monkeypatch, limit=2.2, kept=60 * MIB)
    assert tried == [plain.windows]
    greedy, tried, _, _ = _fit(monkeypatch, limit=2.2, kept=200 * MIB)
    assert tried == list(range(tried[0], greedy.windows - 1, -1)) and len(tried) > 1
    assert greedy.windows < plain.windows
    assert greedy.forecast_gib <= 0.95 * 2.2


def test_the_input_embeddings_go_to_the_host_when_memory_is_short_and_not_before(
    device: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    table = 300 * MIB
    assert _fit(monkeypatch, limit=1.5, kept=60 * MIB, table=table)[2]
    device["free"] = 40.0 * GIB
    assert not _fit(monkeypatch, limit=40.0, kept=60 * MIB, table=table)[2]


def _offered(monkeypatch: pytest.MonkeyPatch, limit: float, *, fits: bool = True) -> tuple[Any, Any]:
    """Layers that take 400 MiB, or 900 in one graph, with inputs of 4, and what becomes of them."""

    class Offering(_Layers):
        def offload(self, stays: int) -> None:
            self.keeps, self.waits = 0, len(self.all) - stays

    layers = Offering()
    layer = LayerNeed(kept=300 * MIB, working=100 * MIB, again=900 * MIB)
    monkeypatch.setattr(fitting, "_measured", lambda *_, **__: (4 * MIB, layer, fitting.COMPILED) if fits else None)
    asked = fitting.Asked(_Scored(), layers, SIZE, True, 1000, 8000.0, 0, lambda _: {}, list, lambda: 0)  # type: ignore[arg-type]
    settings = TrainSettings.model_construct(
        lora_r=16, lora_dropout=0.0, vram_limit_gb=limit, packing="true", compile="auto", batch_size=1
    )
    return layers, fitting.fit(asked, settings, steps=100)


@pytest.mark.parametrize(("limit", "waits"), [(1.55, 13), (1.0, 16)])
def test_where_nothing_fits_inputs_wait_in_the_hosts_memory(
    device: dict[str, float], monkeypatch: pytest.MonkeyPatch, limit: float, waits: int
) -> None:
    layers, fitted = _offered(monkeypatch, limit)
    assert layers.waits == waits
    assert (fitted.windows, fitted.records) == (1, False)  # graphs cannot be recorded so
    said = f"compute their activations again, in two graphs, {waits} of them from inputs in the host's memory"
    assert said in fitted.told
    most = GIB + 12_000 + (1 + 16 - waits + memory.AHEAD) * 4 * MIB + 400 * MIB
    assert fitted.forecast_gib == pytest.approx(memory.RESERVED * most / GIB)


def test_two_graphs_a_layer_may_fit_where_one_does_not(
    device: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    layers, fitted = _offered(monkeypatch, 1.7)
    assert layers.waits == 0
    assert not fitted.records
    assert "again, in two graphs, since nothing else fits" in fitted.told


def test_a_layer_that_does_not_fit_leaves_it_to_the_loop(
    device: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(torch.OutOfMemoryError):
        _offered(monkeypatch, 1.7, fits=False)


def test_rows_side_by_side_are_halved_before_inputs_wait(
    device: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[tuple[int, LayerNeed, str] | None] = [(4 * MIB, LayerNeed(*(3 * [10_000 * MIB])), "compiled")]
    monkeypatch.setattr(fitting, "_measured", lambda *_, **__: found[0])
    asked = fitting.Asked(_Scored(), _Layers(), SIZE, True, 1000, 8000.0, 0, lambda _: {}, list, lambda: 0)  # type: ignore[arg-type]
    settings = TrainSettings.model_construct(
        lora_r=16, lora_dropout=0.0, vram_limit_gb=2.0, packing="false", compile="auto", batch_size=4
    )
    fitted = fitting.fit(asked, settings, steps=100)
    assert fitted.windows == 4
    assert fitted.forecast_gib > 2
    found[0] = None
    with pytest.raises(torch.OutOfMemoryError):
        fitting.fit(asked, settings, steps=100)


def test_a_measurement_that_runs_out_of_memory_is_one_of_fewer_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    def short(*_: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(fitting, "_first_input", short)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    asked = fitting.Asked(_Scored(), _Layers(), SIZE, True, 1000, 8000.0, 0, lambda _: {}, list, lambda: 0)  # type: ignore[arg-type]
    assert fitting._measured(asked, 2, compiled=True) is None


@pytest.mark.parametrize(
    ("faults", "said", "ran"),
    [
        ([None], "compiled", [(True, 7)]),
        ([RuntimeError("ours")], "compiled", [(True, 7), (True, 0)]),
        (
            [RuntimeError("ours"), RuntimeError("no compiler\nand more")],
            "not compiled (RuntimeError: no compiler)",
            [(True, 7), (True, 0), (False, 0)],
        ),
    ],
)
def test_what_cannot_be_compiled_with_our_products_is_compiled_with_the_models_own_or_not_at_all(
    faults: list[Exception | None], said: str, ran: list[tuple[bool, int]]
) -> None:
    ours, states, waiting = [7], [], list(faults)

    class Layers:
        def compile(self, wanted: bool) -> None:
            states.append((wanted, ours[0]))

        def taken(self, *_: Any) -> LayerNeed:
            fault = waiting.pop(0) if waiting else None
            if fault:
                raise fault
            return NEED

    def leave() -> int:
        found, ours[0] = ours[0], 0
        return found

    asked = fitting.Asked(_Scored(), Layers(), SIZE, True, 1000, 8000.0, 0, lambda _: {}, list, leave)  # type: ignore[arg-type]
    assert fitting._compiled(asked, (), {}) == (NEED, said)
    assert states == ran
