import pytest

from sluicegate.errors import UserError
from sluicegate.evaluators import EVALUATORS, load
from sluicegate.evaluators.exact_match import normalised
from sluicegate.evaluators.exact_match import score as exact_match
from sluicegate.evaluators.functional_correctness import language_of, program
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


@pytest.mark.parametrize(
    ("scenario", "meta", "language"),
    [
        ("python", {}, "python"),
        ("bugfix", {}, "python"),
        ("bugfix", {"language": "JavaScript"}, "javascript"),
        ("react", {}, ""),
        ("", {"language": "python"}, "python"),
        ("python", {"language": 3}, "python"),
    ],
)
def test_the_language_is_told_by_meta_then_by_the_scenario(
    scenario: str, meta: dict[str, object], language: str
) -> None:
    assert language_of(Sample("s", "p", "c", scenario=scenario, meta=meta)) == language


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("x = 1", "x = 1"),
        ("```\nx = 1\n```", "x = 1"),
        ("Sure.\r\n```python\r\nx = 1\r\n```\r\n```\ny\n```", "x = 1"),
        ("```py\nx = 1", "x = 1"),
        ('def f():\n    """\n    ```\n    f()\n    ```\n    """', None),
        ("```", ""),
    ],
)
def test_the_program_is_the_first_fenced_block_or_everything(text: str, source: str | None) -> None:
    assert program(text) == (text if source is None else source)
