"""Small programs of the languages that CodeBLEU reads, and answers made of them: like them, and less so."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

FOLDER = Path(__file__).parent / "evaluators" / "fixtures" / "programs"
NAME = re.compile(r"\b[a-z]\w{2,}\b")


def programs(language: str) -> list[str]:
    """Those of a language, as they stand in its file."""
    (path,) = FOLDER.glob(f"{language}.*")
    return path.read_text(encoding="utf-8").split("====\n")


def answers(text: str, others: Sequence[str], rng: random.Random) -> Iterator[str]:
    """The program itself, another, and copies: a line less, two lines swapped, a name changed, cut off."""
    lines = text.split("\n")
    place = rng.randrange(1, len(lines) - 1)
    yield text
    yield rng.choice(others)
    yield "\n".join(lines[:place] + lines[place + 1 :])
    yield "\n".join([*lines[:place], lines[place + 1], lines[place], *lines[place + 2 :]])
    yield re.sub(rf"\b{rng.choice(NAME.findall(text))}\b", "renamed", text)
    yield "\n".join(lines[:place])
