"""CodeBLEU against the codebleu package 0.7.0 in its ten languages, on the same pairs, with equal values.

    python benchmarks/codebleu_speed.py [--rounds 5] [--languages python,go] [--programs FOLDER]

Goal: 5 times the package's speed. Pairs are programs against other programs of their language and against copies that
lack a line, ten answers a reference, as ten draws of a sample are. Python's are functions of the standard library,
those of the other languages the ones of the tests; or files of a folder of yours, told apart by their suffix. The
package reads every pair from scratch; ours keeps what it knows of a reference, and its caches are emptied before each
round. Rounds are interleaved and the process's own seconds are compared. Pairs where the two differ (the package's
order of sets hangs on the hash seed, and what else is said in the head of `evaluators.codebleu`) are counted and
shown, and timed like the others.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import logging
import random
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

from codebleu import calc_codebleu

from sluicegate.evaluators import codebleu
from sluicegate.evaluators.syntax import python, trees

REFERENCES, DRAWS = 20, 10
SMALLEST, LARGEST = 150, 6_000
"""Characters of a program."""
PROGRAMS = Path(__file__).parent.parent / "tests" / "evaluators" / "fixtures" / "programs"
SUFFIXES = {
    "python": ".py", "javascript": ".js", "java": ".java", "c_sharp": ".cs", "php": ".php", "c": ".c", "cpp": ".cpp",
    "go": ".go", "ruby": ".rb", "rust": ".rs",
}  # fmt: skip
Pair = tuple[str, str]


def functions(modules: Sequence[ModuleType]) -> list[str]:
    """Functions of the standard library."""
    found = []
    for module in modules:
        source = inspect.getsource(module)
        texts = (ast.get_source_segment(source, node) or "" for node in ast.parse(source).body
                 if isinstance(node, ast.FunctionDef))  # fmt: skip
        found += [text for text in texts if len(text) < 1500]
    return found


def programs(language: str, folder: Path | None) -> list[str]:
    """Programs of a handy size that both parsers read."""
    if folder is not None:
        paths = sorted(path for path in folder.rglob(f"*{SUFFIXES[language]}") if path.is_file())
        texts = [path.read_text(encoding="utf-8", errors="replace") for path in paths]
    elif language == "python":
        texts = functions([ast, inspect, logging, random, statistics, argparse])
    else:
        texts = (PROGRAMS / f"{language}{SUFFIXES[language]}").read_text(encoding="utf-8").split("====\n")
    return [text for text in texts if SMALLEST < len(text) < LARGEST and text.isascii() and _parses(language, text)]


def pairs(language: str, folder: Path | None) -> list[Pair]:
    """Reference and answer, by reference."""
    rng = random.Random(0)
    sources = programs(language, folder)
    found = []
    for reference in rng.sample(sources, min(REFERENCES, len(sources))):
        for draw in range(DRAWS):
            lines = reference.split("\n")
            del lines[rng.randrange(1, len(lines))]
            answer = rng.choice(sources) if draw % 2 else "\n".join(lines)
            found.append((reference, answer if _parses(language, answer) else reference))
    return found


def _parses(language: str, text: str) -> bool:
    try:
        codebleu.profile(language, text)
    except ValueError:
        return False
    return True


def ours(language: str, asked: Sequence[Pair]) -> list[float]:
    return [codebleu.parts(codebleu.profile(language, seen), codebleu.profile(language, wanted)).mean()
            for wanted, seen in asked]  # fmt: skip


def theirs(language: str, asked: Sequence[Pair]) -> list[float]:
    return [float(calc_codebleu([wanted], [seen], language)["codebleu"]) for wanted, seen in asked]


Work = Callable[[str, Sequence[Pair]], list[float]]


def timed(work: Work, language: str, asked: Sequence[Pair]) -> tuple[float, list[float]]:
    for cache in (codebleu.profile, python.module, trees._tree):
        cache.cache_clear()
    started = time.process_time()
    values = work(language, asked)
    return time.process_time() - started, values


def raced(language: str, asked: Sequence[Pair], rounds: int) -> str:
    """Both on the same pairs, in turns."""
    seconds: dict[str, list[float]] = {"ours": [], "theirs": []}
    values: dict[str, list[float]] = {}
    for _ in range(rounds):
        for name, work in (("ours", ours), ("theirs", theirs)):
            spent, values[name] = timed(work, language, asked)
            seconds[name].append(spent)
    equal = sum(abs(one - other) < 1e-9 for one, other in zip(values["ours"], values["theirs"], strict=True))
    mine, its = (statistics.median(seconds[name]) for name in ("ours", "theirs"))
    speeds = f"ours {mine / len(asked) * 1e3:.2f} ms a pair, codebleu 0.7.0 {its / len(asked) * 1e3:.2f} ms"
    return f"{language}: {len(asked)} pairs: {speeds}, ratio {its / mine:.1f}; equal values {equal}/{len(asked)}"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--languages", default=",".join(codebleu.LANGUAGES))
    parser.add_argument("--programs", type=Path)
    told = parser.parse_args()
    logging.disable(logging.WARNING)  # the package warns of every reference without a data flow
    for language in told.languages.split(","):
        asked = pairs(language, told.programs)
        print(raced(language, asked, told.rounds) if asked else f"{language}: no program", flush=True)


if __name__ == "__main__":
    main()
