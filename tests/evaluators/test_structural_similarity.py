import pytest

from answers import REFERENCES, judged

NAME = "structural_similarity"


@pytest.mark.parametrize("language", REFERENCES)
def test_the_reference_shares_all_and_an_empty_answer_nothing(language: str) -> None:
    assert judged(NAME, language, REFERENCES[language]).value == 1.0
    assert judged(NAME, language, "").value == 0.0
    assert judged(NAME, language, "{ [ : (").value == 0.0


def test_a_near_program_is_nearer_than_a_far_one_and_neither_is_1() -> None:
    near = judged(NAME, "python", "def add(a, b):\n    return a - b\n").value
    far = judged(NAME, "python", "import os\nprint(os.name)\n").value
    assert near is not None
    assert far is not None
    assert 0.0 < far < near < 1.0


def test_order_of_answer_and_reference_does_not_matter() -> None:
    one, other = "x = f(1)\ny = 2\n", "x = f(2)\n"
    assert judged(NAME, "python", one, other).value == judged(NAME, "python", other, one).value


def test_repeating_the_reference_does_not_pay() -> None:
    twice = judged(NAME, "python", REFERENCES["python"] * 2).value
    assert twice is not None
    assert twice < 0.8


def test_what_cannot_be_judged_has_no_value() -> None:
    assert judged(NAME, "python", "x", "").value is None
    assert judged(NAME, "python", "x", "x =").value is None
    assert judged(NAME, "cobol", "x", "x").value is None
