"""token_f1 and length, which count the same tokens."""

import pytest

from answers import judged


@pytest.mark.parametrize(
    ("text", "reference", "value"),
    [
        ("x = 1", "x = 1", 1.0),
        ("```\nx = 1\n```", "x=1", 1.0),
        ("1 = x", "x = 1", 1.0),
        ("x = 2", "x = 1", 2 / 3),
        ("x x x x", "x", 2 / 5),
        ("é", "è", 0.0),
        ("", "x", 0.0),
        ("\x00\ud800", "x", 0.0),
    ],
)
def test_f1_of_tokens(text: str, reference: str, value: float) -> None:
    assert judged("token_f1", "cobol", text, reference).value == pytest.approx(value)


@pytest.mark.parametrize(
    ("text", "reference", "value"),
    [("x = 1", "y + 2", 1.0), ("x", "x = 1 + 2", 0.2), ("x = 1 + 2", "x", 0.2), ("", "x", 0.0)],
)
def test_length_is_the_shorter_over_the_longer(text: str, reference: str, value: float) -> None:
    said = judged("length", "", text, reference)
    assert said.value == pytest.approx(value)
    assert said.why.endswith(f"the reference {len(reference.split())}")


@pytest.mark.parametrize("metric", ["token_f1", "length"])
def test_without_a_reference_there_is_no_value(metric: str) -> None:
    said = judged(metric, "python", "x", " \n")
    assert (said.value, said.why) == (None, "the sample has no reference answer")
