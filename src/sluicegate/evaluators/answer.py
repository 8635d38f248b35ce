r"""What is judged of a model's answer: its language, and the program without the fence around it.

One rule for all evaluators. A thought at the beginning (up to `</think>`) and the marks with which chat models end
(`END_MARKS`) are no part of an answer. The program is what is left as it stands, or, where there are blocks between
lines of three or more backticks or tildes, one of them: the first that names the sample's language; else the first that
does not name a shell or plain text (`ASIDE`), which tell how to install; else the first. A fence stands in the first
column, or indented under an item of a list, or blank space is before it where the answer begins with it: some
tokenizers put one there. Indentation that all lines of the program share is taken away. Blocks are not joined: of a
program in two of them one is judged. A manifest is unwrapped by `k8s.answer`, which is stricter.
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
READ_AS: Final = {"tsx": ("tsx", "typescript", "javascript")}
"""Languages that a block may name, where another than the sample's is as good."""
FENCE: Final = re.compile(r"(`{3,}|~{3,})[ \t]*([\w+#-]*)")
ASIDE: Final = frozenset(
    ("bash", "console", "output", "plaintext", "powershell", "sh", "shell", "terminal", "text", "txt", "zsh")
)
"""Languages of blocks that come beside a program."""
ITEM: Final = re.compile(r"(?:[-*+]|\d{1,9}[.)])[ \t]")
"""How a line begins an item of a list."""
END_MARKS: Final = ("<|eot_id|>", "<|im_end|>", "<|end|>", "<|endoftext|>", "<|end_of_text|>", "<end_of_turn>", "</s>")
"""Tokens that end a turn or a text, where they were decoded with it."""
ENDED: Final = re.compile(rf"(?:\s*+(?:{'|'.join(re.escape(mark[::-1]) for mark in END_MARKS)}))++")
"""Such marks at the end of a text, read from its end backwards: in time that grows as the text does."""


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
    r"""The program in a text: its first block between fences that is one, or all of it.

    >>> program("Here:\n```python\nx = 1\n```\nDone.")
    'x = 1\n'
    >>> program(" ```python\nx = 1\n```\n"), program("\ufeffx = 1\r")
    ('x = 1\n', 'x = 1\n')
    >>> program("<think>\n```py\nx = 2\n```\n</think>\n1. So:\n\n   ```py\n   x = 1\n   ```<|eot_id|>")
    'x = 1\n'
    >>> program("It prints\n```\n1\n```\nand is\n```py\nprint(1)\n```", "python")
    'print(1)\n'
    >>> program("kind: Pod\n"), program("~~~yaml\nkind: Pod\n~~~\n", "yaml")
    ('kind: Pod\n', 'kind: Pod\n')
    >>> program("Here:\n```\nkind: Pod\n```", "yaml")
    'Here:\n```\nkind: Pod\n```'
    """
    if language == "yaml":
        return manifest(text.replace("\r\n", "\n"))
    text = _said(text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n"))
    lines = _flush_left(text.split("\n"))
    blocks = list(_blocks(lines))
    if not blocks:
        return "\n".join(lines)
    _, block = min(blocks, key=lambda block: _rank(block[0], language))
    return "".join(f"{line}\n" for line in _flush_left(block))


def _said(text: str) -> str:
    """A text without the thought before it and the marks behind it; a thought that a prompt began has its end alone."""
    before, end, rest = text.partition("</think>")
    is_thought = before.lstrip().startswith("<think>") or ("<think>" not in before and before[-1:] in ("", "\n"))
    said = rest if end and is_thought else text
    ended = ENDED.match(said[::-1])
    return said[: len(said) - ended.end()] if ended else said


def _rank(name: str, language: str) -> int:
    """How likely a block of that name is the program: the lowest is, and the first of several."""
    if name and SPELLINGS.get(name, name) in READ_AS.get(language, (language,)):
        return 0
    return 2 if name in ASIDE else 1


def _flush_left(lines: list[str]) -> list[str]:
    """Lines without the indentation that all of them share, blank ones aside."""
    told = [line for line in lines if line.strip()]
    first, last = _indentation(min(told, default="")), max(told, default="")
    gap = first[: next((at for at, sign in enumerate(first) if not last.startswith(sign, at)), len(first))]
    return [line.removeprefix(gap) for line in lines] if gap else lines


def _blocks(lines: list[str]) -> Iterator[tuple[str, list[str]]]:
    """The language that each block names, and its lines; the last one may be without its end."""
    first = next((line for line in lines if line.strip()), "")
    gap = _indentation(first) if FENCE.match(first.lstrip()) else ""
    number, in_item = 0, False
    while number < len(lines):
        line = lines[number]
        indentation = _indentation(line)
        mark = FENCE.match(line, len(indentation)) if in_item or indentation in ("", gap) else None
        if line.strip() and not indentation:
            in_item = ITEM.match(line) is not None
        number += 1
        if mark is not None:
            start = number
            while number < len(lines) and not _closes(lines[number].removeprefix(indentation), mark[1]):
                number += 1
            yield mark[2].lower(), lines[start:number]
            number += 1


def _indentation(line: str) -> str:
    """The blank space with which a line begins."""
    return line[: len(line) - len(line.lstrip())]


def _closes(line: str, fence: str) -> bool:
    """A line of the same sign, at least as many, and nothing behind."""
    told = line.rstrip()
    return told.startswith(fence) and not told.strip(fence[0])
