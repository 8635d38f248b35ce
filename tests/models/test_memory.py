import pytest

from sluicegate.errors import UserError
from sluicegate.models.memory import Size, decide, forecast_gib
from sluicegate.settings import TrainSettings

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
        **{"batch_size": 1, "lora_r": 16, "load_in_4bit": "auto", "max_seq_length": 2048} | changes  # type: ignore[arg-type]
    )


def test_the_8b_model_in_4_bit_is_forecast_near_what_was_measured() -> None:
    # This loop's peak on an H200, random weights, samples of 969 to 1,705 tokens: 8.21 GiB at 1, 12.74 at 4 a batch.
    for batch_size, peak in ((1, 8.21), (4, 12.74)):
        found = forecast_gib(LLAMA_8B, settings(batch_size=batch_size), in_4bit=True, window=2048, gpu=True)
        assert peak <= found <= 1.3 * peak


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

    assert need() < need(batch_size=4) < need(batch_size=4, lora_r=64)
