"""Objects a second against the strict schemas, beside `kubernetes-validate` as shipped, over the same objects.

    python benchmarks/k8s_validity.py [FOLDER] [--rounds 5] [--theirs 200] [--every]

Goal: 30 times. Ours is timed twice: the schema alone, which is what the other does, and all that `validity` does of a
parsed text, semantic rules included; the reading of the schemas, once a process, is printed apart. The other takes some
11 ms an object, so it is timed over so many objects drawn evenly, and with --every over all. Processor seconds, so that
a busy machine changes no ratio. Then the verdicts of both are compared over all objects, or those drawn; classes of
disagreement are printed with their count and a first place, and docs/k8s-agreement.md explains each.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path

import kubernetes_validate

from sluicegate.k8s.lint import read
from sluicegate.k8s.objects import Object, objects
from sluicegate.k8s.parse import Parsed, parse
from sluicegate.k8s.schema import State, check, kinds, resolved
from sluicegate.k8s.validity import validity

FIXTURES = Path(__file__).parent.parent / "tests" / "k8s" / "fixtures"
RATIO = 30
POD = "metadata: {name: a}, spec: {containers: [{name: a}]}"
EDGES = f"""
{{apiVersion: apps.example.com/v1, kind: Deployment, metadata: {{name: a}}, spec: {{size: 3}}}}
---
{{apiVersion: v1, kind: pod, {POD}}}
---
{{apiVersion: v1, kind: ../v1.36.0-local-strict/pod, {POD}}}
---
{{apiVersion: v1, kind: Pod, metadata: {{name: a}}, spec: {{priority: 3000000000, containers: [{{name: a}}]}}}}
---
{{apiVersion: v1, kind: Service, metadata: {{name: a}}, spec: {{healthCheckNodePort: 99999999999}}}}
"""
"""Objects about which the two are known to differ."""


def timed(act: Callable[[], object]) -> float:
    started = time.process_time()
    act()
    return time.process_time() - started


def theirs(item: Object, version: str) -> tuple[str, str]:
    """Their verdict, and what they say."""
    try:
        kubernetes_validate.validate(item.body, version, strict=True)
    except kubernetes_validate.ValidationError as fault:
        return State.INVALID.value, f"{'.'.join(str(step) for step in fault.path)}: {fault.message}"[:150]
    except (kubernetes_validate.SchemaNotFoundError, kubernetes_validate.InvalidSchemaError):
        return State.UNKNOWN.value, ""
    return State.VALID.value, ""


def main() -> None:
    asked = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    asked.add_argument("folder", nargs="?", default=str(FIXTURES))
    asked.add_argument("--rounds", type=int, default=5)
    asked.add_argument("--theirs", type=int, default=200, metavar="N", help="objects that the other is timed over")
    asked.add_argument("--every", action="store_true", help="time the other over all objects")
    told = asked.parse_args()
    version = resolved()
    print(f"reading the schemas of Kubernetes {version}: {1000 * timed(lambda: kinds(version)):.0f} ms, once a process")
    parsed = {source.name: parse(source.data) for source in read([told.folder], sys.stdin.buffer)}
    found = [(name, item) for name, text in parsed.items() for item in objects(text)]
    ours(list(parsed.values()), [item for _, item in found], version, told.rounds)
    drawn = found if told.every else found[:: max(1, len(found) // told.theirs)]
    verdicts: list[tuple[str, str]] = []
    taken = timed(lambda: verdicts.extend(theirs(item, version) for _, item in drawn))
    known = kinds(version)
    mine = statistics.median(
        timed(lambda: [check(item.body, item.api_version, item.kind, known) for _, item in drawn])
        for _ in range(told.rounds)
    )
    print(f"kubernetes-validate {kubernetes_validate.__version__}, as shipped: {len(drawn) / taken:10,.0f} objects/s")
    print(f"over the same {len(drawn):,} objects ours is {taken / mine:,.0f} x that")
    print(f"goal {RATIO} x: {'met' if taken / mine >= RATIO else 'missed'}")
    compared(drawn, verdicts, version)
    edges = [("edge", item) for item in objects(parse(EDGES))]
    print("objects about which the two are known to differ:")
    compared(edges, [theirs(item, version) for _, item in edges], version)


def ours(texts: list[Parsed], found: list[Object], version: str, rounds: int) -> None:
    known = kinds(version)
    schema = statistics.median(
        timed(lambda: [check(item.body, item.api_version, item.kind, known) for item in found]) for _ in range(rounds)
    )
    whole = statistics.median(timed(lambda: [validity(text) for text in texts]) for _ in range(rounds))
    print(f"sluicegate, schema alone: {len(found) / schema:10,.0f} objects/s")
    print(f"sluicegate, all levels of parsed texts: {len(found) / whole:10,.0f} objects/s")


def compared(drawn: list[tuple[str, Object]], verdicts: list[tuple[str, str]], version: str) -> None:
    """Verdicts side by side, and each class of disagreement."""
    known = kinds(version)
    table: Counter[tuple[str, str]] = Counter()
    classes: dict[str, list[str]] = defaultdict(list)
    for (name, item), (verdict, why) in zip(drawn, verdicts, strict=True):
        mine = check(item.body, item.api_version, item.kind, known)
        table[mine.state.value, verdict] += 1
        if mine.state.value != verdict:
            reason = str(mine.issues[0]) if mine.issues else why
            classes[f"ours {mine.state.value}, theirs {verdict}"].append(
                f"{name}: {item.api_version} {item.kind}: {reason}"
            )
    same = sum(count for (one, other), count in table.items() if one == other)
    print(f"same verdict: {same:,} of {len(drawn):,} ({100 * same / len(drawn):.2f}%)")
    for (one, other), count in sorted(table.items()):
        print(f"  ours {one:<13} theirs {other:<13} {count:6,}")
    for told, places in classes.items():
        print(f"{told}: {len(places)}")
        print("".join(f"    {place}\n" for place in places[:8]), end="")


if __name__ == "__main__":
    main()
