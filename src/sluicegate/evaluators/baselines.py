"""Two answers that no model wrote, scored like any other: one fixed hardened template, and the reference itself.

A score for manifests says nothing by itself: a constant may have most of it, and a perfect copy of the references may
have little. So wherever manifests are scored, these two are scored on the same samples by the same metrics, and stand
beside the models in a file of their own. They are shown and decide nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from pydantic import ConfigDict, ValidationError

from sluicegate import jsonl
from sluicegate.errors import UserError
from sluicegate.evaluators import INFRA, MANIFEST_METRICS, SCENARIO, Evaluator
from sluicegate.folder import code_sha256
from sluicegate.records import Prediction, Sample, digest, from_json, to_dict, to_json

FILE: Final = "baselines.json"
"""Beside the score files."""
CONSTANT, COPY = "constant template", "copy of reference"
NO_MODEL: Final = "(no model)"
TEMPLATE: Final = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: app
  labels:
    app: app
spec:
  replicas: 1
  selector:
    matchLabels:
      app: app
  template:
    metadata:
      labels:
        app: app
    spec:
      automountServiceAccountToken: false
      securityContext:
        runAsNonRoot: true
        runAsUser: 10001
        seccompProfile:
          type: RuntimeDefault
      containers:
        - name: app
          image: registry.example.com/app:1.0.0
          ports:
            - containerPort: 8080
          securityContext:
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities:
              drop:
                - ALL
          resources:
            requests:
              cpu: 100m
              memory: 128Mi
            limits:
              cpu: 500m
              memory: 256Mi
          livenessProbe:
            httpGet:
              path: /healthz
              port: 8080
          readinessProbe:
            httpGet:
              path: /ready
              port: 8080
"""
"""Passes all eleven checks and every level of validity, and answers no request."""

NAMES: Final = (CONSTANT, COPY)
METRICS: Final = ("exact_match", *MANIFEST_METRICS)
"""What they are scored by, where it is asked for; none of these runs a program."""
_STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)


@dataclass(frozen=True, slots=True)
class Row:
    """What one of the two scores by one metric.

    Args:
        name: CONSTANT or COPY.
        mean: over the samples that could be judged, in [0, 1]; None without any.
        n: how many could be.
        samples: how many there are.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    name: str
    metric: str
    mean: float | None
    n: int
    samples: int

    def __post_init__(self) -> None:
        """Refuse a mean outside [0, 1], and more samples judged than there are."""
        if self.mean is not None and not 0.0 <= self.mean <= 1.0:
            raise ValueError(f"{self.metric} of the {self.name}: wanted [0, 1], seen {self.mean}")
        if not 0 <= self.n <= self.samples or (self.mean is None) != (self.n == 0):
            raise ValueError(f"{self.metric} of the {self.name}: {self.n} of {self.samples} samples, mean {self.mean}")

    @property
    def coverage(self) -> float:
        """The share of the samples that could be judged."""
        return self.n / self.samples if self.samples else 0.0


@dataclass(frozen=True, slots=True)
class Baselines:
    """What the file holds.

    Args:
        inputs_sha256: digest of the samples, the template and the program; empty where something of ours failed, so
            that they are scored again.
        rows: by metric, in the order of METRICS.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    inputs_sha256: str
    rows: tuple[Row, ...]


def answers(sample: Sample) -> Iterator[Prediction]:
    """What the two answer to a sample."""
    for name, text in ((CONSTANT, TEMPLATE), (COPY, sample.completion)):
        yield Prediction(sample.id, name, 0, text, 0, 0.0, "stop")


def keep(folder: Path, samples: Sequence[Sample], judges: Sequence[Evaluator]) -> tuple[Row, ...]:
    """Score the two on the samples, write the file into the folder of the scores, and give the rows asked for.

    What stands there of the same samples is kept. Samples that are about no manifest give no rows and no file.

    Raises:
        UserError: something else lies there under the file's name.
    """
    asked = [judge for judge in judges if judge.NAME in METRICS]
    if not any(sample.scenario == SCENARIO for sample in samples) and not any(
        judge.NAME in MANIFEST_METRICS for judge in asked
    ):
        return ()
    inputs = digest([code_sha256(), TEMPLATE, [to_dict(sample) for sample in samples]])
    known = read(folder / FILE)
    rows = known.rows if known is not None and known.inputs_sha256 == inputs else ()
    missing = [judge for judge in asked if judge.NAME not in {row.metric for row in rows}]
    if missing:
        found, failed = _scored(samples, missing)
        rows = tuple(sorted((*rows, *found), key=lambda row: (METRICS.index(row.metric), NAMES.index(row.name))))
        if any(row.n for row in rows):
            jsonl.write_text(folder / FILE, to_json(Baselines("" if failed else inputs, rows), indent=1) + "\n")
    names = {judge.NAME for judge in asked}
    return tuple(row for row in rows if row.metric in names) if any(row.n for row in rows) else ()


def _scored(samples: Sequence[Sample], judges: Sequence[Evaluator]) -> tuple[list[Row], bool]:
    """A row for each of the two and each metric; and whether something of ours failed."""
    values: dict[tuple[str, str], list[float]] = {(judge.NAME, name): [] for judge in judges for name in NAMES}
    failed = False
    for sample in samples:
        for answer in answers(sample):
            for judge in judges:
                score = judge.score(sample, answer)
                failed = failed or score.why.startswith(INFRA)
                if score.value is not None:
                    values[judge.NAME, answer.model].append(score.value)
    rows = [
        Row(name, metric, sum(found) / len(found) if found else None, len(found), len(samples))
        for (metric, name), found in values.items()
    ]
    return rows, failed


def read(path: Path) -> Baselines | None:
    """What a file says; None where there is none.

    Raises:
        UserError: it is no such file.
    """
    if not path.exists():
        return None
    try:
        found = from_json(Baselines, jsonl.read_text(path))
        known = all(row.name in NAMES and row.metric in METRICS for row in found.rows)
    except ValidationError as fault:
        raise _foreign(path, jsonl.explain(fault)) from None
    if not known:
        raise _foreign(path, "rows of other names or metrics")
    return found


def _foreign(path: Path, seen: str) -> UserError:
    return UserError(
        f"{path}: not what the two fixed answers score",
        wanted="the file as evaluate wrote it, or none",
        seen=seen,
        mend="move it away",
    )
