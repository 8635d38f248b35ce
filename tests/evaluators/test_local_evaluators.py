"""What holds for every evaluator that needs neither sandbox nor judge, whatever the answer."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from answers import REFERENCES, judged
from sluicegate.records import Score

LOCAL = ("code_accuracy", "codebleu", "coherence", "length", "relevance", "safety", "structural_similarity", "token_f1")
HOSTILE = {
    "a megabyte": "x = 1\n" * 170_000,
    "NUL": "x = 1\x00\n",
    "half a character": "x = '\ud800'",
    "byte order mark": "\ufeffx = 1",
    "escape codes": "\x1b[2J\x1b[31m\n",
    "right to left": "\u202ex = 1\u2028",
    "brackets": "(" * 10_000,
    "mixed brackets": "[{(" * 5_000,
    "one sum": "1+" * 9_000 + "1",
    "one chain": "a." * 9_000 + "a",
    "signs": "-" * 9_000 + "1",
    "negations": "not " * 4_000 + "1",
    "lambdas": "lambda:" * 2_500 + "1",
    "arrows": "a=>" * 6_000,
    "templates": "`${" * 6_000,
    "tags": "<a>" * 6_000,
    "functions": "function f(){" * 1_500,
    "elifs": "if a: pass\n" + "elif a: pass\n" * 1_400,
    "decorators": "@a\n" * 6_000,
    "f-strings": "f'{" * 6_000,
    "quotes": "'" * 6_000,
    "pattern": "/" + "(a+" * 6_000,
    "comments": "/*" * 9_000,
    "blank lines": "\n" * 19_000 + "x",
    "semicolons": ";" * 19_000,
    "columns": "SELECT " + "a," * 5_000 + "a FROM t",
    "joins": "SELECT * FROM t" + " JOIN t" * 2_000,
    "unions": "SELECT 1 UNION " * 500 + "SELECT 1",
    "queries": "SELECT (" * 2_400,
    "cases": "SELECT " + "CASE WHEN 1 THEN " * 1_000,
    "WITHs": "WITH a AS (" * 1_700,
    "nested YAML": "- " * 9_000 + "a",
    "alias bomb": "a: &a [x,x]\n"
    + "".join(f"{n}: &{n} [{','.join(['*' + p] * 9)}]\n" for p, n in zip("abcdefgh", "bcdefghi", strict=True)),
    "cycle": "&a [*a]",
    "odd scalars": "a: 2020-99-99\nb: 0b" + "1" * 9_000 + "\nc: " + "1:1" * 900,
    "digits": "x = " + "9" * 15_000,
    "fences": "```\n" * 4_000,
    "two kinds of fences": "~~~\n```\n" * 2_000,
    "words": "word " * 3_000,
}


@pytest.mark.parametrize("language", REFERENCES)
def test_no_answer_makes_an_evaluator_raise_or_say_more_than_a_line(language: str) -> None:
    for name, text in HOSTILE.items():
        for metric in LOCAL:
            said = judged(metric, language, text, prompt="Write add(a, b) and name from orders.")
            assert said.why.isprintable(), (name, metric)
            assert len(said.why) < 600, (name, metric)
            assert said.value is None or 0.0 <= said.value <= 1.0, (name, metric)


@pytest.mark.parametrize("metric", ["code_accuracy", "codebleu", "coherence", "relevance", "structural_similarity"])
def test_flooding_is_no_way_out_of_being_judged(metric: str) -> None:
    text = REFERENCES["python"] + "x = 1\n" * 10_000
    said = judged(metric, "python", text, prompt="add(a, b)")
    assert (said.value, said.why) == (0.0, "longer than 20,000 characters")


def test_a_sample_that_is_not_what_it_should_be_is_not_judged() -> None:
    for metric in LOCAL:
        for reference in ("", "\x00", "(" * 30_000):
            said = judged(metric, "python", "x = 1\n", reference, schema="(" * 3_000)
            assert said.value is None or metric in ("coherence", "safety", "token_f1", "length"), metric


def test_threads_and_repetition_change_no_score() -> None:
    jobs = [(metric, language, text) for language, right in REFERENCES.items() for metric in LOCAL
            for text in (right, right[:-5], right.replace("a", "b"), HOSTILE["one sum"])]  # fmt: skip

    def said(job: tuple[str, str, str]) -> Score:
        return judged(*job, prompt="Write add(a, b) and name from orders.")

    once = [said(job) for job in jobs]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(said, jobs)) == once
        assert list(pool.map(said, reversed(jobs))) == once[::-1]
