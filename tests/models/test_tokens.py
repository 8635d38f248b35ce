from pathlib import Path
from typing import Any

import pytest

from sluicegate.errors import UserError
from sluicegate.models.tokens import encode, encode_all, prompt_ids
from sluicegate.records import Sample

pytestmark = pytest.mark.torch
FILE = Path("train.jsonl")
SHORT = Sample("short", "Write add.", "def add(x)")
LONG = Sample("long", "Write add(x, y). " * 6, "def add(x, y):\n    return x + y\n")


@pytest.fixture(scope="module")
def tokenizer(base: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(base)


@pytest.mark.parametrize("prompt", ["Write add.", "Write add.\n", "Write add ", "größer 🙂", ""])
def test_generation_sees_the_tokens_that_training_saw(tokenizer: Any, prompt: str) -> None:
    found = encode(tokenizer, Sample("a", prompt, " add(x, y)\n"))
    assert list(found.ids[: found.prompt]) == prompt_ids(tokenizer, prompt)
    assert tokenizer.decode(found.ids, skip_special_tokens=True) == prompt + " add(x, y)\n"


def test_the_completion_and_the_end_of_sequence_are_the_targets(tokenizer: Any) -> None:
    found = encode(tokenizer, SHORT)
    assert tokenizer.decode(found.ids[found.prompt :]) == SHORT.completion + tokenizer.eos_token
    assert found.ids.count(tokenizer.eos_token_id) == 1
    assert found.targets == found.tokens - found.prompt


def test_an_end_that_the_tokenizer_adds_to_prompts_is_taken_off() -> None:
    class Closing:
        eos_token_id, bos_token_id = 2, 1

        def __call__(self, text: str, *, add_special_tokens: bool) -> dict[str, list[int]]:
            return {"input_ids": [1, 7, 8, 2] if add_special_tokens else [7, 8]}

    assert prompt_ids(Closing(), "anything") == [1, 7, 8]


def test_over_long_samples_are_refused_with_their_count_and_the_longest(tokenizer: Any) -> None:
    size = encode(tokenizer, LONG).tokens
    with pytest.raises(UserError) as fault:
        encode_all(tokenizer, [SHORT, LONG], window=size - 1, over_long="error", source=FILE)
    assert "train.jsonl: 1 sample(s) are longer" in fault.value.what
    assert f"'long' with {size} tokens" in fault.value.seen
    assert f"MAX_SEQ_LENGTH={size}" in fault.value.mend


def test_a_sample_that_fits_exactly_is_kept(tokenizer: Any) -> None:
    size = encode(tokenizer, LONG).tokens
    assert len(encode_all(tokenizer, [LONG], window=size, over_long="error", source=FILE)) == 1


def test_dropping_keeps_the_others(tokenizer: Any) -> None:
    size = encode(tokenizer, LONG).tokens
    kept = encode_all(tokenizer, [LONG, SHORT], window=size - 1, over_long="drop", source=FILE)
    assert kept == [encode(tokenizer, SHORT)]


def test_dropping_everything_is_refused(tokenizer: Any) -> None:
    with pytest.raises(UserError, match="none is left"):
        encode_all(tokenizer, [LONG], window=8, over_long="drop", source=FILE)


def test_truncating_cuts_the_prompts_start_and_nothing_else(tokenizer: Any) -> None:
    whole = encode(tokenizer, LONG)
    (cut,) = encode_all(tokenizer, [LONG], window=whole.tokens - 3, over_long="truncate", source=FILE)
    assert cut.ids == whole.ids[3:]
    assert cut.targets == whole.targets


@pytest.mark.parametrize("over_long", ["error", "truncate"])
def test_a_prompt_that_fills_the_window_is_named(tokenizer: Any, over_long: Any) -> None:
    window = encode(tokenizer, LONG).prompt
    with pytest.raises(UserError) as fault:
        encode_all(tokenizer, [SHORT, LONG], window=window, over_long=over_long, source=FILE)
    assert "the window alone" in str(fault.value)
    assert "'long'" in str(fault.value)


def test_a_completion_that_fills_the_window_cannot_be_truncated(tokenizer: Any) -> None:
    sample = Sample("answer", "Write.", "return x + y\n" * 20)
    with pytest.raises(UserError, match="leaves no prompt: 'answer'"):
        encode_all(tokenizer, [sample], window=32, over_long="truncate", source=FILE)
