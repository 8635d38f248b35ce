"""Scores one model's predictions: what is missing in the score file, and only that."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from sluicegate import folder, jsonl
from sluicegate import judge as judging
from sluicegate.console import Progress
from sluicegate.errors import UserError
from sluicegate.evaluate import answers, pools, unconfined
from sluicegate.evaluate.answers import Answers
from sluicegate.evaluate.asking import choose_scenarios
from sluicegate.evaluate.pools import Job
from sluicegate.evaluate.score_file import ScoreFile
from sluicegate.evaluators import Evaluator, load
from sluicegate.records import Score


@dataclass(frozen=True, slots=True)
class Scores:
    """Rows of a score file, read from it whenever they are gone through.

    Args:
        samples: whose rows; None for all.
    """

    out: Path
    metrics: frozenset[str]
    samples: frozenset[str] | None

    def __iter__(self) -> Iterator[Score]:
        """Each row, in the order of the file."""
        for _, row in jsonl.each(Score, self.out):
            if row.metric in self.metrics and (self.samples is None or row.sample_id in self.samples):
                yield row

    def __len__(self) -> int:
        """How many there are."""
        return sum(1 for _ in self)


def evaluate(
    data: Path | Sequence[Path],
    predictions: Path,
    out: Path,
    metrics: Sequence[str],
    *,
    scenarios: str | None = None,
    limit: int | None = None,
    workers: int | None = None,
    backend: str = "threads",
    progress: Progress | None = None,
) -> Scores:
    """Score one model's predictions, into rows of samples × draws × metrics, in this order.

    Args:
        data: the samples, with their tests and references; several files count as one.
        predictions: of one model, on some or all of these samples; a sample without one is scored None.
        out: the score file; rows that are there are kept.
        metrics: names of evaluators.
        scenarios: only samples of these, separated by commas; None for all.
        limit: only the first samples of those; None for all.
        workers: answers judged at once; None for one a core.
        backend: one of `pools.BACKENDS`; what a judge is asked stays in threads of this process, which pays for it.
        progress: shown while it runs.

    Raises:
        UserError: an unknown metric, scenario or backend, an empty file, a prediction of an unknown sample or given
            twice, two models in one file, or an `out` that holds scores of other answers or is being written.
    """
    judges = load(metrics)
    _positive("limit", limit)
    _positive("workers", workers)
    pool = _pool(backend)
    found = answers.find([data] if isinstance(data, Path) else data, predictions)
    asked = [found.number[sample.id] for sample in choose_scenarios(scenarios, found.samples)][:limit]
    with folder.holding_file(out):
        file = ScoreFile(out, found)
        progress = progress or Progress(f"evaluate {found.model}", file.missing(asked, metrics))
        rubrics = _rubrics(file, found, asked, judges)
        with judging.sitting(rubrics, out) as judge:
            file.note_inputs(asked)
            free = _missing(file, found, asked, [name for name in metrics if name not in rubrics])
            paid = _missing(file, found, asked, [*rubrics])
            with jsonl.Journal(out) as journal, progress, closing(_scored(pool, workers, free, paid, judge)) as scores:
                end = out.stat().st_size
                for done, score in enumerate(scores, start=1):
                    journal.append(score)
                    file.add(score, end)
                    end = out.stat().st_size
                    progress.update(done)
        for number in asked:
            for metric in metrics:
                file.add_empty(number, metric)
        file.settle(metrics)
    all_of_it = len(asked) == len(found.samples)
    return Scores(out, frozenset(metrics), None if all_of_it else frozenset(found.samples[row].id for row in asked))


def _positive(name: str, value: int | None) -> None:
    if value is not None and value < 1:
        raise UserError(f"{name}: too small", wanted="a whole number ≥ 1", seen=str(value))


def _pool(name: str) -> pools.Pool:
    if name not in pools.BACKENDS:
        near = difflib.get_close_matches(name, pools.BACKENDS, n=1)
        raise UserError(
            f"backend {name!r}: unknown",
            wanted=f"one of {', '.join(pools.BACKENDS)}",
            seen=f"did you mean {near[0]}?" if near else "no such backend",
        )
    return pools.BACKENDS[name]


def _scored(
    pool: pools.Pool, workers: int | None, free: Iterator[Job], paid: Iterator[Job], judge: judging.Judge | None
) -> Generator[Score]:
    """What costs nothing first, then what a judge is asked, which waits more than it works."""
    first = next(free, None)
    if first is not None:  # no cluster is started for nothing
        for score in pool(chain([first], free), workers):
            yield unconfined.marked(score)
    if judge is not None:
        yield from pools.threads(paid, workers or max(pools.cores(), judging.AT_ONCE), judge.hush)


def _missing(file: ScoreFile, found: Answers, asked: Sequence[int], metrics: Collection[str]) -> Iterator[Job]:
    """The rows to be made, each prediction read when its turn comes."""
    with found.path.open("rb") as stream:
        for number in asked:
            for place in found.places(number):
                lacking = [metric for metric in metrics if file.lacks(place, metric)]
                if lacking:
                    answer = found.read(place, stream)
                    yield from (Job(metric, found.samples[number], answer) for metric in lacking)


def _rubrics(file: ScoreFile, found: Answers, asked: Sequence[int], judges: Sequence[Evaluator]) -> dict[str, str]:
    """Judged metric → its rubric, of those that a judge must be asked for."""
    told = {judge.NAME: str(rubric) for judge in judges if (rubric := getattr(judge, "RUBRIC", None))}
    return {
        metric: rubric
        for metric, rubric in told.items()
        if any(job.answer.finish != "error" for job in _missing(file, found, asked, [metric]))
    }
