import pytest

from sluicegate.errors import UserError
from sluicegate.evaluators import EVALUATORS, load
from sluicegate.evaluators.exact_match import normalised
from sluicegate.evaluators.exact_match import score as exact_match
from sluicegate.records import Prediction, Sample


def test_every_entry_of_the_dict_loads_under_its_own_name() -> None:
    assert [judge.NAME for judge in load(EVALUATORS)] == list(EVALUATORS)


def test_an_unknown_metric_lists_the_known_ones_and_the_near_one() -> None:
    with pytest.raises(UserError) as caught:
        load(["exact_mach"])
    assert "exact_match, functional_correctness" in str(caught.value)
    assert "did you mean exact_match?" in str(caught.value)


@pytest.mark.parametrize("names", [[], ["exact_match", "exact_match"]])
def test_no_metric_and_a_repeated_metric_are_refused(names: list[str]) -> None:
    with pytest.raises(UserError, match="metrics"):
        load(names)


def answer(text: str) -> Prediction:
    return Prediction("s", "m", 0, text, 1, 0.1, "stop")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("def f():\n    return 1\n", 1.0),
        ("\n\ndef f():  \r\n    return 1\r\n\r\n", 1.0),
        ("def f():\n\treturn 1\n", 0.0),
        (" def f():\n    return 1\n", 0.0),
        ("def f():\n\n    return 1\n", 0.0),
        ("", 0.0),
    ],
)
def test_exact_match_forgives_line_ends_and_trailing_space_only(text: str, value: float) -> None:
    sample = Sample("s", "p", "def f():\n    return 1")
    assert exact_match(sample, answer(text)).value == value


def test_exact_match_without_a_reference_is_not_judged() -> None:
    score = exact_match(Sample("s", "p", " \n"), answer("x"))
    assert (score.value, score.why) == (None, "the sample has no reference answer")


def test_normalising_twice_changes_nothing() -> None:
    text = "\r\r\na \n\n b\t\r\n"
    assert normalised(normalised(text)) == normalised(text) == "a\n\n b"
