"""Where our checks and Checkov's rules agree, check by check, over a folder of manifests, in one run.

    python benchmarks/k8s_agreement.py FOLDER --checkov-python PYTHON [--examples 3]

One of Checkov's rules that a check matches is enough for it to fail there; "no answer" means that Checkov says neither
passed nor failed of at least one of them and failed of none. Every class of disagreement is printed with its count and
its first places; docs/k8s-agreement.md explains each. Checkov is no dependency: see benchmarks/k8s_checks.py.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sluicegate.k8s.checks import CHECKS, Finding, State
from sluicegate.k8s.checks.model import INIT
from sluicegate.k8s.lint import lint, read
from sluicegate.k8s.rules import CHECKOV, RULES
from sluicegate.k8s.score import Judged

SIDE = Path(__file__).parent / "peers" / "k8s_checkov.py"
PASS, FAIL, SILENT = "pass", "fail", "no answer"
COLUMNS = ("both fail", "both pass", "only ours fails", "only theirs fails", "no answer there")
Answers = dict[str, list[tuple[int, int, str, str, bool]]]


def ask(python: str, files: list[str]) -> tuple[str, Answers]:
    """Checkov's version, and by file: first and last line, object, rule, passed."""
    rules = sorted({rule for told in RULES.values() for rule in told[CHECKOV]})
    request = {"files": files, "rules": rules, "answers": True}
    done = subprocess.run([python, str(SIDE)], input=json.dumps(request), capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"Checkov's side failed:\n{done.stderr[-2000:]}")
    told: dict[str, Any] = json.loads(done.stdout)
    answers: Answers = defaultdict(list)
    for file, first, last, resource, rule, passed in told["answers"]:
        answers[file].append((first, last, resource, rule, passed))
    return told["version"], answers


def theirs(judged: Judged, rows: list[tuple[int, int, str, str, bool]]) -> dict[str, bool]:
    """What Checkov's rules say of a workload."""
    found = judged.workload.object
    line = found.line(()) or 0
    said: dict[str, bool] = {}
    for first, last, resource, rule, passed in rows:
        # An object without a name (generateName) has one of Checkov's making, so its lines decide.
        own = f"{found.kind}.{found.namespace or 'default'}.{found.name}"
        if (resource == own or (not found.name and resource.startswith(own))) and first <= line <= last:
            said[rule] = said.get(rule, True) and passed
    return said


def outcome(said: dict[str, bool], rules: tuple[str, ...]) -> str:
    states = [said.get(rule) for rule in rules]
    return FAIL if False in states else SILENT if None in states else PASS


def reason(finding: Finding, said: dict[str, bool]) -> str:
    """Why one side fails: our fields, or their rules."""
    if finding.state is State.FAIL:
        if all(flaw.seen == "no container" for flaw in finding.flaws):
            return "ours: no container in the manifest"
        init = any(INIT in flaw.path for flaw in finding.flaws)
        fields = sorted({next(step for step in reversed(flaw.path) if isinstance(step, str)) for flaw in finding.flaws})
        seen = sorted({flaw.seen for flaw in finding.flaws})
        return f"ours: {', '.join(fields)}{' of an init container' if init else ''}; for instance {seen[0]}"
    return f"theirs: {', '.join(rule for rule in RULES[finding.check][CHECKOV] if said.get(rule) is False)}"


def compared(judged: Judged, said: dict[str, bool]) -> Iterator[tuple[str, str, str]]:
    """Check, column and, of a disagreement, its reason."""
    for finding in judged.findings:
        other = outcome(said, RULES[finding.check][CHECKOV])
        if finding.state is State.NOT_APPLICABLE:
            continue
        own = FAIL if finding.state is State.FAIL else PASS
        if own == other:
            yield finding.check, f"both {own}", ""
        elif other == SILENT:
            yield finding.check, "no answer there", reason(finding, said)
        else:
            yield finding.check, f"only {'ours' if own == FAIL else 'theirs'} fails", reason(finding, said)


def main() -> None:
    asked = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    asked.add_argument("folder", nargs="?", default="")
    asked.add_argument("--checkov-python", default="", metavar="PYTHON")
    asked.add_argument("--examples", type=int, default=1)
    told = asked.parse_args()
    if not (told.folder and told.checkov_python):
        print("skipped: a folder of manifests and --checkov-python are needed")
        return
    report = [lint(source) for source in read([told.folder], sys.stdin.buffer)]
    version, answers = ask(told.checkov_python, [str(Path(linted.name).resolve()) for linted in report])
    table: dict[str, Counter[str]] = defaultdict(Counter)
    classes: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    unknown = []
    for linted in report:
        for judged in linted.judged:
            place = f"{Path(linted.name).relative_to(told.folder)}:{judged.workload.object.line(())}"
            said = theirs(judged, answers[str(Path(linted.name).resolve())])
            if not said:
                unknown.append(place)
                continue
            for check, column, why in compared(judged, said):
                table[check][column] += 1
                if why:
                    classes[check, column, why].append(place)
    workloads = sum(len(linted.judged) for linted in report)
    read_there = workloads - len(unknown)
    print(f"Checkov {version}; {len(report):,} files, {workloads:,} workloads, of which it reads {read_there:,}")
    print(f"{'check':<24}" + "".join(f"{column:>19}" for column in COLUMNS))
    for row in CHECKS:
        print(f"{row.name:<24}" + "".join(f"{table[row.name][column]:>19}" for column in COLUMNS))
    total = {column: sum(counts[column] for counts in table.values()) for column in COLUMNS}
    print(f"{'all':<24}" + "".join(f"{total[column]:>19}" for column in COLUMNS))
    answered = sum(total[column] for column in COLUMNS[:4])
    share = (total["both fail"] + total["both pass"]) / answered
    print(f"agreement where both answer: {100 * share:.2f}% of {answered:,}")
    for (check, column, why), places in sorted(classes.items(), key=lambda item: (item[0][:2], -len(item[1]))):
        print(f"{len(places):4}  {check}, {column}: {why}")
        print("".join(f"      {place}\n" for place in places[: told.examples]), end="")
    print("".join(f"not read by Checkov: {place}\n" for place in unknown), end="")


if __name__ == "__main__":
    main()
