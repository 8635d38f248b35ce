"""The manifest in an answer: one fence around all of it comes off, and nothing else does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.k8s.answer import manifest

TEXT = "kind: Pod\nspec:\n  a: |\n    x\n"


@pytest.mark.parametrize(
    "answer",
    [
        TEXT,
        f"```\n{TEXT}```",
        f"```yaml\n{TEXT}```\n",
        f"\n\n  ```yml title\n{TEXT}```  \n\n",
        f"````\n{TEXT}````",
        f"~~~yaml\n{TEXT}~~~",
        f"```yaml\n{TEXT}```".replace("\n", "\r\n"),
    ],
)
def test_one_fence_around_everything_comes_off(answer: str) -> None:
    assert manifest(answer) == TEXT


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "   ",
        "```",
        "``````",
        f"```yaml\n{TEXT}",
        f"{TEXT}```",
        f"Sure:\n```\n{TEXT}```",
        f"```\n{TEXT}```\nThat is it.",
        f"```\n{TEXT}```\n```\n{TEXT}```",
        f"```\n{TEXT}~~~",
        f"````\n{TEXT}```",
        f"`{TEXT}`",
        "a: ```\nb: 1\n```",
    ],
)
def test_everything_else_stands_as_it_is(answer: str) -> None:
    assert manifest(answer) == answer


@given(st.text(alphabet="`~ \n\ra:", max_size=30))
def test_any_text_has_one(text: str) -> None:
    assert manifest(text) in text.replace("\r\n", "\n") or manifest(text) == text
