r"""What is judged of a model's answer: its language, and the program without the fence around it.

One rule for all evaluators. The program is the answer as it stands, or, where a line of it begins with three
backticks or tildes in the first column, the first such block: chat models write a sentence before it. A block that says
it is for a shell or plain text (`ASIDE`) is passed over where another follows: they tell how to install first. Blank
space is allowed before a fence with which the answer begins: some tokenizers put one there. A manifest is unwrapped by
`k8s.answer`, which is stricter.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from sluicegate.k8s.answer import manifest
from sluicegate.records import Prediction, Sample

LIMIT: Final = 20_000
"""Characters of a text that is parsed; some parsers need time that grows with the square of broken text."""
TOO_LONG: Final = f"longer than {LIMIT:,} characters"
REASON: Final = 300
"""Characters of a reason."""
EMPTY: Final = "empty answer"
NO_REFERENCE: Final = "the sample has no reference answer"
LANGUAGE_OF_SCENARIO: Final = {
    "python": "python",
    "bugfix": "python",
    "express": "javascript",
    "react": "tsx",
    "sql": "sql",
    "kubernetes": "yaml",
    **{name: name for name in ("javascript", "typescript", "java", "c_sharp", "c", "cpp", "go", "php", "ruby", "rust")},
}
"""The language where a sample's meta does not name one; TSX reads JSX and plain JavaScript, too."""
SPELLINGS: Final = {
    "c#": "c_sharp",
    "c++": "cpp",
    "csharp": "c_sharp",
    "cs": "c_sharp",
    "golang": "go",
    "py": "python",
    "python3": "python",
    "rb": "ruby",
    "rs": "rust",
    "js": "javascript",
    "javascriptreact": "tsx",
    "jsx": "tsx",
    "node": "javascript",
    "react": "tsx",
    "ts": "typescript",
    "typescriptreact": "tsx",
    "yml": "yaml",
    "kubernetes": "yaml",
    "sqlite": "sql",
}
FENCE: Final = re.compile(r"(`{3,}|~{3,})[ \t]*([\w+#-]*)")
ASIDE: Final = frozenset(
    ("bash", "console", "output", "plaintext", "powershell", "sh", "shell", "terminal", "text", "txt", "zsh")
)
"""Languages of blocks that come beside a program."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The program of one text.

    Args:
        language: in lower case, empty where nobody names it.
        text: without fence and byte-order mark; line ends are LF.
    """

    language: str
    text: str

    @property
    def empty(self) -> bool:
        """Whether nothing but blank space was said."""
        return not self.text.strip()


def given(sample: Sample, prediction: Prediction) -> Answer:
    """The answer of the model."""
    language = language_of(sample)
    return Answer(language, program(prediction.text, language))


def wanted(sample: Sample) -> Answer:
    """The reference."""
    language = language_of(sample)
    return Answer(language, program(sample.completion, language))


def in_a_line(why: str) -> str:
    r"""A reason that may quote an answer: on one line, printable, not too long.

    >>> in_a_line("undefined name a\u202eb\n")
    'undefined name a\\u202eb\\n'
    """
    cut = why if len(why) <= REASON else why[: REASON - 1] + "…"
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in cut)


def unjudged(sample: Sample, judged: tuple[str, ...], what: str) -> str:
    """Why a metric has nothing to say of a sample's language; empty where it has.

    >>> unjudged(Sample("a", "p", "c", meta={"language": "Rust"}), ("python", "sql"), "style")
    'no style for rust: only python, sql'
    """
    language = language_of(sample)
    if language in judged:
        return ""
    return f"no {what} for {language or 'an unnamed language (set meta.language)'}: only {', '.join(judged)}"


def language_of(sample: Sample) -> str:
    """The language of a sample: meta's `language` in lower case and one spelling, else the scenario's, else empty."""
    told = sample.meta.get("language")
    if isinstance(told, str) and told.strip():
        name = told.strip().lower()
        return SPELLINGS.get(name, name)
    return LANGUAGE_OF_SCENARIO.get(sample.scenario, "")


def program(text: str, language: str = "") -> str:
    r"""The program in a text: its first block between fences in the first column that is one, or all of it.

    >>> program("Here:\n```python\nx = 1\n```\nDone.")
    'x = 1\n'
    >>> program(" ```python\nx = 1\n```\n"), program("\ufeffx = 1\r")
    ('x = 1\n', 'x = 1\n')
    >>> program("kind: Pod\n"), program("~~~yaml\nkind: Pod\n~~~\n", "yaml")
    ('kind: Pod\n', 'kind: Pod\n')
    >>> program("Here:\n```\nkind: Pod\n```", "yaml")
    'Here:\n```\nkind: Pod\n```'
    """
    if language == "yaml":
        return manifest(text.replace("\r\n", "\n"))
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    begun = text.lstrip()
    gap = text[: len(text) - len(begun)].rpartition("\n")[2] if FENCE.match(begun) else ""
    lines = text.split("\n")
    blocks = list(_blocks(lines, gap))
    if not blocks:
        return text
    inner = next((block for name, block in blocks if name not in ASIDE or name == language), blocks[0][1])
    shared = gap if all(line.startswith(gap) for line in inner if line.strip()) else ""
    return "".join(f"{line.removeprefix(shared)}\n" for line in inner)


def _blocks(lines: list[str], gap: str) -> Iterator[tuple[str, list[str]]]:
    """The language that each block names, and its lines; the last one may be without its end."""
    number = 0
    while number < len(lines):
        mark = FENCE.match(lines[number].removeprefix(gap))
        number += 1
        if mark is not None:
            start = number
            while number < len(lines) and not _closes(lines[number].removeprefix(gap), mark[1]):
                number += 1
            yield mark[2].lower(), lines[start:number]
            number += 1


def _closes(line: str, fence: str) -> bool:
    """A line of the same sign, at least as many, and nothing behind."""
    told = line.rstrip()
    return told.startswith(fence) and not told.strip(fence[0])
