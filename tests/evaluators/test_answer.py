import pytest

from sluicegate.evaluators.answer import language_of, program, unjudged
from sluicegate.records import Sample


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("x = 1", "x = 1"),
        ("```\nx = 1\n```", "x = 1\n"),
        ("Sure.\r\n```python\r\nx = 1\r\n```\r\n```\ny\n```", "x = 1\n"),
        ("~~~\nx = 1\n```\n~~~", "x = 1\n```\n"),
        ("````\n```\nx\n```\n````", "```\nx\n```\n"),
        ("```py\nx = 1", "x = 1\n"),
        ("```", ""),
        ('def f():\n    """\n    ```\n    f()\n    ```\n    """', None),
    ],
)
def test_the_program_is_the_first_block_or_everything(text: str, wanted: str | None) -> None:
    assert program(text) == (text if wanted is None else wanted)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("\n```yaml\na: 1\n```\n", "a: 1\n"),
        ("Here:\n```yaml\na: 1\n```\n", None),
        ("```\na: 1\n```\n```\nb: 1\n```\n", None),
    ],
)
def test_a_manifest_is_unwrapped_only_where_nothing_stands_around_its_fence(text: str, wanted: str | None) -> None:
    assert program(text, "yaml") == (text if wanted is None else wanted)


@pytest.mark.parametrize(
    ("scenario", "meta", "language"),
    [
        ("bugfix", {}, "python"),
        ("react", {}, "tsx"),
        ("express", {}, "javascript"),
        ("sql", {"language": " PY "}, "python"),
        ("", {"language": "jsx"}, "tsx"),
        ("java", {}, "java"),
        ("react", {"language": "C#"}, "c_sharp"),
        ("", {"language": "C++"}, "cpp"),
        ("", {"language": "golang"}, "go"),
        ("", {"language": 3}, ""),
        ("unheard of", {}, ""),
    ],
)
def test_the_language_is_told_by_meta_then_by_the_scenario(
    scenario: str, meta: dict[str, object], language: str
) -> None:
    assert language_of(Sample("s", "p", "c", scenario=scenario, meta=meta)) == language


def test_what_no_parser_reads_is_said_with_what_is_read() -> None:
    assert unjudged(Sample("s", "p", "c"), ("sql",), "linter") == (
        "no linter for an unnamed language (set meta.language): only sql"
    )
    assert unjudged(Sample("s", "p", "c", scenario="sql"), ("sql",), "linter") == ""
