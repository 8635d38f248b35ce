"""Predictions × evaluators → scores, written as they come and put in order at the end.

What was scored is not scored again: a run that was killed goes on where it stopped, added predictions or
metrics are added, and the file is the same to the byte whatever the number of workers or interruptions.
What the rows were scored from is kept as digests beside them, so that they are never mixed with rows of
other answers. Nothing here knows what a metric means, and nothing is compared.
"""

from __future__ import annotations

import json
import os
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sluicegate import folder, jsonl
from sluicegate import judge as judging
from sluicegate.console import Progress
from sluicegate.data.reader import read_samples
from sluicegate.errors import UserError
from sluicegate.evaluators import INFRA, Evaluator, load
from sluicegate.evaluators.baselines import NO_MODEL, Row
from sluicegate.records import Prediction, Sample, Score, digest, to_dict

INPUTS = ".inputs.json"
"""Beside `scores.jsonl` lies `scores.jsonl.inputs.json`: sample and draw → digest of what was scored."""
NO_PREDICTION = "no prediction"
NOT_GENERATED = "generation failed"
Key = tuple[str, int, str]
"""Sample, draw, metric: one row of a score file, which is of one model."""


def evaluate(
    data: Path,
    predictions: Path,
    out: Path,
    metrics: Sequence[str],
    *,
    limit: int | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> list[Score]:
    """Score one model's predictions, into rows of samples × draws × metrics, in this order.

    Args:
        data: the samples, with their tests and references.
        predictions: of one model, on some or all of these samples; a sample without one is scored None.
        out: the score file; rows that are there are kept.
        metrics: names of evaluators.
        limit: only the first samples of the data; None for all.
        workers: answers judged at once; None for one a core.
        progress: shown while it runs.

    Raises:
        UserError: an unknown metric, an empty file, a prediction of an unknown sample or given twice, two
            models in one file, or an `out` that holds scores of other answers or is being written.
    """
    judges = load(metrics)
    _positive("limit", limit)
    _positive("workers", workers)
    work = _read(data, predictions)
    asked = work.samples[:limit]
    with folder.holding_file(out):
        rows = _kept(out, work)
        missing = [job for job in _jobs(work, asked, judges) if job.key not in rows]
        progress = progress or Progress(f"evaluate {work.model}", len(missing))
        with judging.sitting(_rubrics(missing), out) as judge:
            _note_inputs(out, work, asked)
            with jsonl.Journal(out) as journal, progress:
                for done, score in enumerate(_scored(missing, workers, judge), start=1):
                    journal.append(score)
                    rows[_key(score)] = score
                    progress.update(done)
        for job in _unanswered(work, asked, judges):
            rows[_key(job)] = job
        _settle(out, rows, work, metrics)
    wanted, names = {sample.id for sample in asked}, set(metrics)
    return [row for row in jsonl.read(Score, out) if row.sample_id in wanted and row.metric in names]


def _positive(name: str, value: int | None) -> None:
    if value is not None and value < 1:
        raise UserError(f"{name}: too small", wanted="a whole number ≥ 1", seen=str(value))


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True, slots=True)
class _Work:
    """The two inputs, joined: samples in the order of the data, draws in their own."""

    model: str
    samples: Sequence[Sample]
    answers: Mapping[str, Sequence[Prediction]]


@dataclass(frozen=True, slots=True)
class _Job:
    """One row to be made."""

    judge: Evaluator
    sample: Sample
    answer: Prediction

    @property
    def key(self) -> Key:
        return (self.sample.id, self.answer.draw, self.judge.NAME)


def _read(data: Path, predictions: Path) -> _Work:
    samples, answers = read_samples(data), jsonl.read(Prediction, predictions)
    if not answers:
        raise UserError(f"{predictions}: empty", wanted="at least one prediction", seen="0 lines")
    _refuse_repeats(predictions, (f"{answer.sample_id}, draw {answer.draw}" for answer in answers))
    models = sorted({answer.model for answer in answers})
    if len(models) > 1:
        raise UserError(f"{predictions}: {len(models)} models", wanted="one", seen=", ".join(models[:5]))
    by_sample: dict[str, list[Prediction]] = {sample.id: [] for sample in samples}
    for line, answer in enumerate(answers, start=1):
        if answer.sample_id not in by_sample:
            raise UserError(
                f"{predictions}:{line}: sample {answer.sample_id!r} is not in {data}",
                wanted="predictions on the samples of the data file",
                seen=f"{len(samples)} samples, the first {samples[0].id!r}",
                mend="name the data file that the predictions were made from",
            )
        by_sample[answer.sample_id].append(answer)
    ordered = {name: sorted(rows, key=lambda row: row.draw) for name, rows in by_sample.items()}
    return _Work(models[0], samples, ordered)


def _refuse_repeats(path: Path, names: Iterable[str]) -> None:
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise UserError(f"{path}: given twice: {repeated[0]}", wanted="each once", seen=f"{len(repeated)} repeated")


def _jobs(work: _Work, samples: Iterable[Sample], judges: Sequence[Evaluator]) -> Iterator[_Job]:
    for sample in samples:
        for answer in work.answers[sample.id]:
            yield from (_Job(judge, sample, answer) for judge in judges)


def _score(job: _Job) -> Score:
    if job.answer.finish == "error":
        return Score(job.sample.id, job.answer.model, job.answer.draw, job.judge.NAME, None, NOT_GENERATED)
    return job.judge.score(job.sample, job.answer)


def _unanswered(work: _Work, samples: Iterable[Sample], judges: Sequence[Evaluator]) -> Iterator[Score]:
    """A row for each sample that has no prediction, so that it counts in the coverage."""
    for sample in samples:
        if not work.answers[sample.id]:
            yield from (Score(sample.id, work.model, 0, judge.NAME, None, NO_PREDICTION) for judge in judges)


def _rubrics(jobs: Iterable[_Job]) -> dict[str, str]:
    """Judged metric → its rubric, of the jobs that a judge must be asked for."""
    return {
        job.judge.NAME: str(rubric)
        for job in jobs
        if (rubric := getattr(job.judge, "RUBRIC", None)) and job.answer.finish != "error"
    }


def _scored(jobs: Sequence[_Job], workers: int | None, judge: judging.Judge | None) -> Iterator[Score]:
    """What costs nothing first, then what a judge is asked, which waits more than it works."""
    judged = set(_rubrics(jobs))
    yield from _in_order(_score, [job for job in jobs if job.judge.NAME not in judged], workers or _cores())
    if judge is not None:
        asked = [job for job in jobs if job.judge.NAME in judged]
        yield from _in_order(_score, asked, workers or max(_cores(), judging.AT_ONCE), judge.hush)


def _in_order(
    work: Callable[[_Job], Score], jobs: Sequence[_Job], workers: int, leave: Callable[[], None] = lambda: None
) -> Iterator[Score]:
    """Results in the order of the jobs, a bounded number of jobs ahead; `leave` is called where it ends early."""
    with ThreadPoolExecutor(workers, thread_name_prefix="evaluate") as pool:
        ahead: deque[Future[Score]] = deque()
        try:
            for job in jobs:
                ahead.append(pool.submit(work, job))
                if len(ahead) > 4 * workers:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        except BaseException:
            leave()
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _key(score: Score) -> Key:
    return (score.sample_id, score.draw, score.metric)


def unsettled(out: Path) -> bool:
    """Whether a score file holds rows that would be scored again: what was our failure, not the model's."""
    return any(not _settled(row) for row in jsonl.read(Score, out))


def out_of_budget(scores: Iterable[Score]) -> int:
    """Rows that are not judged because the judge's cap did not allow it; a larger one lets them be."""
    return sum(row.value is None and row.why.startswith(judging.OUT_OF_BUDGET) for row in scores)


def _settled(score: Score) -> bool:
    """Whether the row stands; what was our failure, or had no prediction yet, is scored again."""
    return score.value is not None or not score.why.startswith((INFRA, NO_PREDICTION))


def _kept(out: Path, work: _Work) -> dict[Key, Score]:
    """The rows that stand already.

    Raises:
        UserError: they are of other samples, answers or models than those given.
    """
    if not out.exists():
        return {}
    if out.stat().st_size and not out.with_name(out.name + INPUTS).exists():
        raise UserError(  # before a torn line is cut off: the whole of somebody's JSON may be one line without an end
            f"{out}: holds something, and {out.name}{INPUTS} is not beside it",
            wanted="scores that evaluate wrote, with their digests beside them, or no file",
            seen=f"{out.stat().st_size} bytes of unknown origin",
            mend="choose another file, or move this one away",
        )
    jsonl.cut_torn_line(out)
    rows = jsonl.read(Score, out)
    noted, now = _noted(out), _digests(work, work.samples)
    for row in rows:
        name = _input_name(row.sample_id, row.draw)
        is_empty = row.why == NO_PREDICTION and row.sample_id in work.answers
        if row.model != work.model or not (is_empty or now.get(name, "now") == noted.get(name, "noted")):
            raise UserError(
                f"{out}: holds scores of other answers",
                wanted=f"scores of {work.model} on the answers and samples given",
                seen=f"{row.model}, sample {row.sample_id!r}, draw {row.draw}: another text, sample or model",
                mend=f"choose another file, or move {out} and {out.name}{INPUTS} away",
            )
    return {_key(row): row for row in rows if _settled(row)}


def _input_name(sample_id: str, draw: int) -> str:
    return f"{sample_id}#{draw}"


def _digests(work: _Work, samples: Iterable[Sample]) -> dict[str, str]:
    """Sample and draw → digest of the sample and the answer's text, 16 hex digits."""
    found = {}
    for sample in samples:
        asked = digest(to_dict(sample))
        for answer in work.answers[sample.id]:
            name = _input_name(sample.id, answer.draw)
            found[name] = digest([asked, answer.text, answer.finish])[:16]
    return found


def _noted(out: Path) -> dict[str, Any]:
    path = out.with_name(out.name + INPUTS)
    if not path.exists():
        return {}
    try:
        noted = json.loads(jsonl.read_text(path))
    except ValueError as fault:
        raise UserError(f"{path}: not JSON", wanted="the digests of what was scored", seen=str(fault)) from None
    return noted if isinstance(noted, dict) else {}


def _note_inputs(out: Path, work: _Work, samples: Iterable[Sample]) -> None:
    """Written before the first row, so that no row is without."""
    noted = {**_noted(out), **_digests(work, samples)}
    jsonl.write_text(out.with_name(out.name + INPUTS), json.dumps(noted, indent=0, sort_keys=True) + "\n")


def _settle(out: Path, rows: Mapping[Key, Score], work: _Work, metrics: Sequence[str]) -> None:
    """Rewrite the file in order: samples as in the data, draws, metrics as asked, others by name."""
    place = {sample.id: number for number, sample in enumerate(work.samples)}
    order = {name: number for number, name in enumerate(metrics)}

    def rank(row: Score) -> tuple[int, int, int, str]:
        return (place[row.sample_id], row.draw, order.get(row.metric, len(order)), row.metric)

    jsonl.write(out, sorted(rows.values(), key=rank))


def summary(scores: Iterable[Score], fixed: Sequence[Row] = ()) -> str:
    """A text table: model, metric, mean over samples, samples judged, share of rows judged.

    Args:
        fixed: what answers of no model score on the same samples, shown below the models.

    >>> print(summary([Score("a", "m", 0, "f1", 1.0), Score("b", "m", 0, "f1", None, "no tests")]))
    model  metric   mean  n  coverage
    m      f1      1.000  1       50%
    """
    groups: dict[tuple[str, str], list[Score]] = {}
    for row in scores:
        groups.setdefault((row.model, row.metric), []).append(row)
    table = [("model", "metric", "mean", "n", "coverage")]
    table += [(model, metric, *_figures(rows)) for (model, metric), rows in groups.items()]
    table += [
        (f"{row.name} {NO_MODEL}", row.metric, _mean(row.mean), str(row.n), f"{row.coverage:.0%}") for row in fixed
    ]
    wide = [max(len(row[column]) for row in table) for column in range(5)]
    sides = "<<>>>"
    return "\n".join(
        "  ".join(f"{text:{side}{width}}" for text, side, width in zip(row, sides, wide, strict=True)) for row in table
    )


def _figures(rows: Sequence[Score]) -> tuple[str, str, str]:
    """Mean of the samples' means over draws, samples judged, coverage."""
    values: dict[str, list[float]] = {}
    for row in rows:
        if row.value is not None:
            values.setdefault(row.sample_id, []).append(row.value)
    judged = sum(len(found) for found in values.values())
    means = [sum(found) / len(found) for found in values.values()]
    mean = sum(means) / len(means) if means else None
    return _mean(mean), str(len(means)), f"{judged / len(rows):.0%}"


def _mean(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
