"""Which samples the report shows side by side, by a rule that nobody can bend towards a nice picture.

Per arm the model of the lowest seed, its first draw, judged by the primary metric. In the order of their ids: the
first three samples on which the arms' scores differ, the first two that no arm solves, the first that all solve; by a
metric that gives more than 0 and 1, also the three others with the lowest score of the second arm, the experiment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sluicegate import folder as layout
from sluicegate.jsonl import read
from sluicegate.records import Prediction, Sample, Score
from sluicegate.report.reader import Reader

Scores = Mapping[str, Mapping[str, Score]]
"""Sample → metric → the score of its first draw."""
RULES: tuple[tuple[str, int], ...] = (
    ("the arms differ", 3),
    ("no arm solves it", 2),
    ("every arm solves it", 1),
    ("not judged", 2),
)
WORST = ("the experiment does worst", 3)
"""Chosen behind those, by the score alone."""
"""The rules in order, each with how many samples it may choose."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One model's first draw, and its scores: (metric, value or None, why)."""

    model: str
    prediction: Prediction | None
    scores: tuple[tuple[str, float | None, str], ...]


@dataclass(frozen=True, slots=True)
class Shown:
    """A sample with its answers; `prompts` is one for all, or one an arm where they were asked differently."""

    id: str
    rule: str
    prompts: tuple[tuple[str, str], ...]
    reference: str
    answers: tuple[Answer, ...]


def choose(reader: Reader, models: Sequence[str], primary: str) -> tuple[Shown, ...]:
    """The samples to show.

    Args:
        models: names in the order they are shown.
        primary: the metric that sorts samples into the rules.
    """
    chosen = _first_of_each_arm(models)
    drawn: dict[str, dict[str, Prediction]] = {
        name: reader.read(f"{layout.PREDICTIONS}/{name}.jsonl", _first_draws, {}) for name in chosen
    }
    scored: dict[str, dict[str, dict[str, Score]]] = {
        name: reader.read(f"{layout.SCORES}/{name}.jsonl", _first_scores, {}) for name in chosen
    }
    asked = {name: _asked(reader, name) for name in chosen}
    ids = sorted({key for answers in drawn.values() for key in answers})
    judged = {key: [scored[name].get(key, {}).get(primary) for name in chosen] for key in ids}
    ruled = {key: _rule(scores) for key, scores in judged.items()}
    picked = {key: rule for rule, most in RULES for key in [key for key in ids if ruled[key] == rule][:most]}
    picked |= dict.fromkeys([key for key in _worst(judged) if key not in picked][: WORST[1]], WORST[0])
    return tuple(
        _shown(key, rule, asked, {name: _answer(name, key, drawn[name], scored[name]) for name in chosen})
        for key, rule in picked.items()
    )


def _worst(judged: Mapping[str, Sequence[Score | None]]) -> list[str]:
    """Samples by the second model's score, the lowest first; none where the scores are passes and fails.

    >>> _worst({"a": [None, Score("a", "m", 0, "x", 0.5)], "b": [None, Score("b", "m", 0, "x", 0.0)]})
    ['b', 'a']
    """
    second = {key: scores[1] for key, scores in judged.items() if len(scores) > 1}
    values = {key: score.value for key, score in second.items() if score is not None and score.value is not None}
    if set(values.values()) <= {0.0, 1.0}:
        return []
    return sorted(values, key=lambda key: (values[key], key))


def _first_of_each_arm(models: Sequence[str]) -> list[str]:
    """The first model of each arm: seeds come in order.

    >>> _first_of_each_arm(["a-s0", "a-s1", "b-s0", "by-hand"])
    ['a-s0', 'b-s0', 'by-hand']
    """
    first: dict[str, str] = {}
    for name in models:
        first.setdefault(name.rpartition("-s")[0] or name, name)
    return list(first.values())


def _first_draws(path: Path) -> dict[str, Prediction]:
    return {row.sample_id: row for row in read(Prediction, path) if row.draw == 0}


def _first_scores(path: Path) -> dict[str, dict[str, Score]]:
    found: dict[str, dict[str, Score]] = {}
    for row in read(Score, path):
        if row.draw == 0:
            found.setdefault(row.sample_id, {})[row.metric] = row
    return found


def _asked(reader: Reader, model: str) -> dict[str, Sample]:
    """The samples a model was asked: the shared test file, its arm's own, or the validation file of stage 1."""
    arm = model.rpartition("-s")[0] or model
    names = [f"{layout.DATA}/{name}.jsonl" for name in ("test", f"{arm}-test", f"{arm}-val")]
    there = [name for name in names if (reader.root / name).exists()]
    # Of several, an arm's own file is what it was asked; the validation file only where there is no test file.
    name = next((name for name in (names[1], names[0], names[2]) if name in there), names[0])
    return reader.read(name, lambda path: {row.id: row for row in read(Sample, path)}, {})


def _rule(scores: Sequence[Score | None]) -> str:
    """Which rule a sample falls under, by the scores of its first draws.

    >>> one, nought = Score("a", "m", 0, "x", 1.0), Score("a", "m", 0, "x", 0.0)
    >>> _rule([one, nought]), _rule([one, one]), _rule([nought, nought]), _rule([one, None])
    ('the arms differ', 'every arm solves it', 'no arm solves it', 'not judged')
    """
    values = [score.value if score else None for score in scores]
    if not values or None in values:
        return "not judged"
    if len(set(values)) > 1:
        return "the arms differ"
    return "every arm solves it" if values[0] == 1.0 else "no arm solves it"


def _answer(model: str, key: str, drawn: Mapping[str, Prediction], scored: Scores) -> Answer:
    scores = tuple((row.metric, row.value, row.why) for row in scored.get(key, {}).values())
    return Answer(model, drawn.get(key), scores)


def _shown(key: str, rule: str, asked: Mapping[str, Mapping[str, Sample]], answers: Mapping[str, Answer]) -> Shown:
    samples = {name: rows[key] for name, rows in asked.items() if key in rows}
    prompts = {name: sample.prompt for name, sample in samples.items()}
    same = len(set(prompts.values())) == 1
    return Shown(
        id=key,
        rule=rule,
        prompts=(("", next(iter(prompts.values()))),) if same else tuple(prompts.items()),
        reference=next((sample.completion for sample in samples.values()), ""),
        answers=tuple(answers.values()),
    )
