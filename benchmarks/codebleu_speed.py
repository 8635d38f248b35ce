"""CodeBLEU against the codebleu package 0.7.0, on the same pairs, with equal values.

    python benchmarks/codebleu_speed.py [--rounds 5]

Goal: 5 times the package's speed. Pairs are functions of the standard library against other functions and against
copies that lack a line, ten answers a reference, as ten draws of a sample are. The package reads every pair from
scratch; ours keeps what it knows of a reference, and its caches are emptied before each round. Rounds are interleaved
and the process's own seconds are compared. Pairs where the two differ (the package's order of sets hangs on the hash
seed, and it loses some data flows) are counted and shown, and timed like the others.
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
from types import ModuleType

from codebleu import calc_codebleu

from sluicegate.evaluators import codebleu
from sluicegate.evaluators.syntax import python, trees

REFERENCES, DRAWS = 20, 10
Pair = tuple[str, str]


def functions(modules: Sequence[ModuleType]) -> list[str]:
    """Functions of a handy size that both parsers read."""
    found = []
    for module in modules:
        source = inspect.getsource(module)
        texts = (ast.get_source_segment(source, node) or "" for node in ast.parse(source).body
                 if isinstance(node, ast.FunctionDef))  # fmt: skip
        found += [text for text in texts if 150 < len(text) < 1500 and text.isascii()]
    return found


def pairs() -> list[Pair]:
    """Reference and answer, by reference."""
    rng = random.Random(0)
    sources = functions([ast, inspect, logging, random, statistics, argparse])
    found = []
    for reference in rng.sample(sources, REFERENCES):
        for draw in range(DRAWS):
            lines = reference.split("\n")
            del lines[rng.randrange(1, len(lines))]
            answer = rng.choice(sources) if draw % 2 else "\n".join(lines)
            found.append((reference, answer if _parses(answer) else reference))
    return found


def _parses(text: str) -> bool:
    try:
        codebleu.profile("python", text)
    except ValueError:
        return False
    return True


def ours(asked: Sequence[Pair]) -> list[float]:
    return [codebleu.parts(codebleu.profile("python", seen), codebleu.profile("python", wanted)).mean()
            for wanted, seen in asked]  # fmt: skip


def theirs(asked: Sequence[Pair]) -> list[float]:
    return [float(calc_codebleu([wanted], [seen], "python")["codebleu"]) for wanted, seen in asked]


def timed(work: Callable[[Sequence[Pair]], list[float]], asked: Sequence[Pair]) -> tuple[float, list[float]]:
    for cache in (codebleu.profile, python.module, trees._tree):
        cache.cache_clear()
    started = time.process_time()
    values = work(asked)
    return time.process_time() - started, values


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    logging.disable(logging.WARNING)  # the package warns of every reference without a data flow
    asked = pairs()
    seconds: dict[str, list[float]] = {"ours": [], "theirs": []}
    values: dict[str, list[float]] = {}
    for _ in range(rounds):
        for name, work in (("ours", ours), ("theirs", theirs)):
            spent, values[name] = timed(work, asked)
            seconds[name].append(spent)
    equal = sum(abs(one - other) < 1e-9 for one, other in zip(values["ours"], values["theirs"], strict=True))
    mine, its = (statistics.median(seconds[name]) for name in ("ours", "theirs"))
    speeds = f"ours {mine / len(asked) * 1e3:.2f} ms a pair, codebleu 0.7.0 {its / len(asked) * 1e3:.2f} ms"
    print(f"{len(asked)} pairs, {rounds} rounds: {speeds}, ratio {its / mine:.1f}; equal values {equal}/{len(asked)}")


if __name__ == "__main__":
    main()
