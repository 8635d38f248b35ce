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
        ("First:\n```sh\npip install a\n```\nThen:\n```py\nx = 1\n```\n", "x = 1\n"),
        ("```text\na\n```\n~~~ Bash\nb\n~~~\n```\nx = 1\n```\n```py\ny\n```", "x = 1\n"),
        ("```sh\na\n```\n```console\nb\n```\n", "a\n"),
        ("```sh\na\n````\n```py\nx = 1", "x = 1\n"),
        ("```js\nx\n```\n```py\ny\n```\n", "x\n"),
        ("\ufeff```py\nx = 1\n```", "x = 1\n"),
        ("\ufeffx = 1", "x = 1"),
        ("```py\rx = 1\r```\r", "x = 1\n"),
        (" ```py\nif x:\n    y = 'a \\\n    z'\n ```\n", "if x:\n    y = 'a \\\n    z'\n"),
        ("\n\u00a0```py\nx = 1\n```", "x = 1\n"),
        ("  ```py\n  x = 1\n\n  y = 2\n  ```\nDone.", "x = 1\n\ny = 2\n"),
        ("Here:\n  ```py\n  x = 1\n  ```", None),
        ("<think>\n```py\nx = 2\n```\n</think>\n\n```py\nx = 1\n```", "x = 1\n"),
        ("So:\n```py\nx = 2\n```\n</think>\nx = 1", "\nx = 1"),
        ("</think>x = 1", "x = 1"),
        ("<think>so</think>", ""),
        ("<think>so\n```py\nx = 1\n```", "x = 1\n"),
        ("x = '<think>'\ny = `\n</think>`", None),
        ("x = '</think>'", None),
        ("```py\nx = 1\n```<|eot_id|>", "x = 1\n"),
        ("x = 1\n</s> \n<|im_end|>\n", "x = 1\n"),
        ("x = '</s>'", None),
        ("<|endoftext|>", ""),
        ("  if x:\n      y = 1\n\n  z = 2\n", "if x:\n    y = 1\n\nz = 2\n"),
        ("  if x:\n    ~~\n    ```\n    ~~\n", "if x:\n  ~~\n  ```\n  ~~\n"),
        ("\tSo:\n\t```py\n\tx = 1\n\t```", "x = 1\n"),
        ("```py\n    x = 1\n    y = 2\n```", "x = 1\ny = 2\n"),
        ("1. Install:\n   ```sh\n   a\n   ```\n2) Then:\n\n   ```py\n   x = 1\n   ```\n", "x = 1\n"),
        ("- First:\n  - this:\n    ```\n    x = 1\n    ```\nDone.", "x = 1\n"),
        ("- First\nand\n  ```\n  x = 1\n  ```", None),
        ('def f():\n    """\n    ```\n    f()\n    ```\n    """', None),
    ],
)
def test_the_program_is_the_first_block_or_everything(text: str, wanted: str | None) -> None:
    assert program(text) == (text if wanted is None else wanted)


@pytest.mark.parametrize(
    ("text", "language", "wanted"),
    [
        ("It prints\n```\n1\n```\n~~~Python3\nprint(1)\n~~~", "python", "print(1)\n"),
        ("```js\nx\n```\n```py\ny\n```", "python", "y\n"),
        ("```js\nx\n```\n```py\ny\n```", "rust", "x\n"),
        ("```css\nx\n```\n```javascript\ny\n```", "tsx", "y\n"),
        ("```css\nx\n```\n```typescript\ny\n```", "javascript", "x\n"),
        ("```python\nx = 1\n```\nand then\n```python\ny = x\n```", "python", "x = 1\n"),
        ("```text\na\n```\n```\nx\n```", "", "x\n"),
    ],
)
def test_a_block_that_names_the_samples_language_goes_first(text: str, language: str, wanted: str) -> None:
    assert program(text, language) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "<think>" * 300_000,
        "```\n" * 100_000,
        "- x\n  ```py\n" * 100_000,
        "</s> " * 300_000 + "x",
        f"{' ' * 1_000_000}</s>{' ' * 1_000_000}x",
        " " * 1_000_000 + "x\n" * 100_000,
    ],
    ids=["thoughts", "fences", "items", "ends", "blanks", "indented"],
)
@pytest.mark.timeout(60)
def test_long_texts_are_read_in_time(text: str) -> None:
    assert len(program(text, "python")) <= len(text) + 1


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
