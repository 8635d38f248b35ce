"""Score files → comparisons, in one call: what the `compare` command and a gate that recomputes both do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sluicegate import judge
from sluicegate.compare.comparing import compare
from sluicegate.compare.foreign import read_scores
from sluicegate.compare.reduction import PASSES
from sluicegate.data.reader import read_samples
from sluicegate.errors import UserError
from sluicegate.evaluators import semantic_similarity
from sluicegate.records import Comparison, Score
from sluicegate.stats.pairing import some


def compare_files(
    control: Sequence[Path],
    experiment: Sequence[Path],
    *,
    primary: str | None = None,
    data: Path | None = None,
    metrics: Sequence[str] | None = None,
    level: float = 0.95,
    minimum: float | None = None,
    seed: int = 0,
    names: tuple[str, str] | None = None,
) -> list[Comparison]:
    """Compare the arms whose scores lie in these files; the same files give the same rows.

    Args:
        control, experiment: the score files of each arm, ours or another tool's.
        primary: the metric that may decide; None for functional correctness where both arms have it, else for the
            only metric there is.
        data: the samples, for their scenarios; with more than one the rows hold what clusters show.
        metrics: the others to compare; None for all. Other columns of foreign files are not read then.
        names: what messages call the arms; None for their files.

    Raises:
        UserError: as `read_scores` and `compare`; several metrics and none named as the primary; no sample with a
            value of it in both arms.
    """
    named = None if metrics is None else list(dict.fromkeys([*([primary] if primary else []), *metrics]))
    _refuse_two_judges([*control, *experiment], named)
    told = names or (_named(control), _named(experiment))
    scenarios = {row.id: row.scenario for row in read_samples(data)} if data else {}
    arms = (_Scores(tuple(control), named), _Scores(tuple(experiment), named))
    embeddings: set[str] = set()
    found = compare(
        _noting(arms[0], embeddings),
        _noting(arms[1], embeddings),
        primary=primary or _only(*arms, told),
        metrics=metrics,
        seed=seed,
        level=level,
        minimum=minimum,
        scenarios=scenarios if len(set(scenarios.values())) > 1 else None,
        names=told,
    )
    if named is None or semantic_similarity.NAME in named:
        _refuse_two_embeddings(embeddings)
    if not found[0].n:
        raise _nothing(found[0].metric, arms, told)
    return found


@dataclass(frozen=True, slots=True)
class _Scores:
    """The scores of an arm, read from its files whenever they are gone through."""

    paths: tuple[Path, ...]
    metrics: Sequence[str] | None

    def __iter__(self) -> Iterator[Score]:
        for path in self.paths:
            yield from read_scores(path, metrics=self.metrics)


def _noting(scores: Iterable[Score], embeddings: set[str]) -> Iterator[Score]:
    """The same scores; the embedding models that the cosines among them name are put down."""
    for row in scores:
        if row.metric == semantic_similarity.NAME and row.value is not None:
            embeddings.add(semantic_similarity.model(row.why))
        yield row


def _nothing(metric: str, both: Iterable[Iterable[Score]], names: tuple[str, str]) -> UserError:
    """No sample to compare: how many values each arm has, and why most have none."""
    arms = [[row for row in arm if row.metric == metric] for arm in both]
    seen = [f"{sum(row.value is not None for row in arm)} of {len(arm)} scores of {name} have a value"
            for name, arm in zip(names, arms, strict=True)]  # fmt: skip
    whys = Counter(row.why for arm in arms for row in arm if row.value is None and row.why)
    return UserError(
        f"{metric}: nothing to compare",
        wanted="at least one sample with a value in both arms",
        seen="; ".join([*seen, *(f"most often: {why}" for why, _ in whys.most_common(1))]),
        mend="see why in the scores, mend it, and evaluate again",
    )


def _named(paths: Sequence[Path]) -> str:
    return ", ".join(map(str, paths))


def _only(control: Iterable[Score], experiment: Iterable[Score], names: tuple[str, str]) -> str:
    """The primary metric where none was named; never one of several, for that choice has to come before the scores."""
    before, after = ({row.metric for row in arm} for arm in (control, experiment))
    both = before & after
    if PASSES in both:
        return PASSES
    if len(both) == 1:
        return both.pop()
    raise UserError(
        "no primary metric named",
        wanted="the one metric that may decide, chosen before the scores were seen",
        seen=f"both arms have {some(both)}" if both else f"{names[0]} has {some(before)}; {names[1]} has {some(after)}",
        mend="--primary METRIC" if both else "score both arms with the same metrics",
    )


def _refuse_two_embeddings(named: Iterable[str]) -> None:
    """Cosines of two embedding models compare nothing, nor do those of one and of who knows which."""
    models = {name[-semantic_similarity.DIGITS :]: name for name in sorted(named)}
    if len(models) > 1:
        raise UserError(
            f"{semantic_similarity.NAME}: scored by different embedding models",
            wanted="one and the same model for all rows of both arms",
            seen="; ".join(sorted(name or "rows that name none" for name in models.values())),
            mend=f"move the score files away and evaluate again with one {semantic_similarity.VARIABLE}, or leave it "
            f"out: --metrics without {semantic_similarity.NAME}",
        )


def _refuse_two_judges(paths: Sequence[Path], metrics: Sequence[str] | None) -> None:
    """Grades of two judges, or of two rubrics, compare nothing."""
    seen: dict[str, tuple[Path, judge.Judged]] = {}
    for path in paths:
        note = judge.read_note(path)
        for metric, judged in note.metrics.items() if note else ():
            if metrics is not None and metric not in metrics:
                continue
            other, known = seen.setdefault(metric, (path, judged))
            if known.identity != judged.identity:
                raise UserError(
                    f"{metric}: judged by different judges",
                    wanted=f"{known.model}, rubric {known.rubric}, at most {known.max_tokens} tokens, as in {other}",
                    seen=f"{judged.model}, rubric {judged.rubric}, at most {judged.max_tokens} tokens, in {path}",
                    mend=f"judge one of them again, or leave it out: --metrics without {metric}",
                )
