from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

from sluicegate.models.vocabulary import END, PAD, tokenizer

pytestmark = pytest.mark.torch
MANIFEST = (
    "kind: Pod\nspec:\n  containers:\n    - name: web\n      image: nginx:1.25\n      args:\n        - --port=80\n"
)
SLOTS = "name: $NAME\nreplicas: $REPLICAS\n"
LEARNT = tokenizer([MANIFEST, SLOTS] * 3, size=512)


def back(learnt: object, text: str) -> str:
    ids = learnt(text)["input_ids"]  # type: ignore[operator]
    return str(learnt.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "text", [MANIFEST, SLOTS, "", " ", "\n\n  \t\r\n", "größer → 🙂", f"{END}{PAD}</s> x", "a\n \n  b "]
)
def test_every_text_comes_back(text: str) -> None:
    assert back(LEARNT, text) == text


@given(st.text(max_size=40))
@limits(max_examples=100, deadline=None)
def test_any_text_comes_back(text: str) -> None:
    assert back(LEARNT, text) == text


@pytest.mark.parametrize("depth", range(0, 34, 2))
def test_a_line_break_and_its_indent_are_one_token(depth: int) -> None:
    first, *rest = LEARNT("\n" + " " * depth + "image")["input_ids"]
    assert LEARNT.decode([first]) == "\n" + " " * depth
    assert rest == LEARNT("image")["input_ids"]


def test_a_special_token_in_a_text_is_text() -> None:
    assert not {LEARNT.eos_token_id, LEARNT.pad_token_id} & set(LEARNT(f"x {END} {PAD}")["input_ids"])


def test_it_comes_back_from_its_folder(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    LEARNT.save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)
    text = f"{MANIFEST} {END}"
    assert again(text)["input_ids"] == LEARNT(text)["input_ids"]
    assert back(again, text) == text
