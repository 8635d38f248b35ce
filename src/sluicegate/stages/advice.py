"""What to do next: for each outcome the remedies of the checks that blame it, then what the evidence points to.

A decision tree as data. `DIAGNOSES` are looked at in order where the gain was too small, unsure or negative; each is a
question to the evidence and what a yes suggests. Advice decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from sluicegate import stats
from sluicegate.records import Check, Need, Outcome
from sluicegate.stages.budget import price
from sluicegate.stages.evidence import Evidence
from sluicegate.study import LAST_STAGE

FLOOR, CEILING = 0.05, 0.95
CUT_OFF, LEFT_OUT = 0.1, 0.05
FEW_TRAINED = 100


def advise(
    evidence: Evidence, decided: Outcome, checks: Sequence[Check], wanting: Sequence[Need] = ()
) -> tuple[str, ...]:
    """The next steps after a verdict, most telling first."""
    number = evidence.plan.stage.number
    if decided is Outcome.GO:
        return (f"stage {number + 1} may start",) if number < LAST_STAGE else ("publish the result",)
    blamed = [check for check in checks if check.passed is False and check.blames is decided]
    lines = [f"{check.name}: {check.remedy}" for check in blamed if check.remedy]
    if decided is not Outcome.RETRY and evidence.primary is not None:
        lines += [*map(told, wanting), *_attempts(evidence, decided), *diagnose(evidence)]
        lines += _elsewhere(evidence) if decided is Outcome.STOP else ()
    return tuple(dict.fromkeys(lines))


def told(need: Need) -> str:
    """A need in words.

    >>> told(Need("items", 100, 240, 180, 330, 1.5, 0.0))
    '240 items in all instead of 100 would settle it (likely range 180 to 330): about 1.5 more hours, $0.00'
    >>> told(Need("draws", 4, None))
    'more draws alone would not settle it (4 now)'
    """
    if need.wanted is None:
        return f"more {need.vary} alone would not settle it ({need.have} now)"
    high = "more" if need.high is None else f"{need.high}"
    span = f" (likely range {need.low} to {high})" if need.low is not None else ""
    cost = "" if need.hours is None else f": about {need.hours:.2g} more hours, ${need.dollars or 0:.2f}"
    return f"{need.wanted} {need.vary} in all instead of {need.have} would settle it{span}{cost}"


def needs(evidence: Evidence) -> tuple[Need, ...]:
    """How many items, draws or seeds, each alone, would settle an inconclusive stage, and what they cost."""
    row, plan, study = evidence.primary, evidence.plan, evidence.study
    if row is None or not row.variance:
        return ()
    have = stats.Sizes(row.n, plan.draws, plan.seeds, max(1, evidence.scenarios))
    found = stats.settles(
        row.variance, gain=study.design_gain, have=have, alpha=plan.alpha, minimum=study.minimum_gain,
        step=1.0 if "p_gain_positive" in row.effects else 0.0,  # pass/fail draws move a sum of signs in steps
    )  # fmt: skip
    return tuple(_costed(evidence, Need(one.vary, one.have, one.wanted, one.low, one.high)) for one in found)


def _costed(evidence: Evidence, need: Need) -> Need:
    """With what the additional ones cost, at the rates of this stage."""
    answers = evidence.asked * len(evidence.plan.models)
    if need.wanted is None or not answers:
        return need
    added = max(0, need.wanted - need.have) / need.have  # chance alone may have left it open
    # More items or draws are so many more answers of every model; more seeds are more models.
    verbs = ("train", "generate", "evaluate") if need.vary == "seeds" else ("generate", "evaluate")
    hours = {
        step: added * seconds / 3600 for step, seconds in evidence.seconds.items() if step.split(" ", 1)[0] in verbs
    }
    dollars = added * evidence.judging + sum(price(evidence.study, step) * spent for step, spent in hours.items())
    return Need(
        need.vary, need.have, need.wanted, need.low, need.high, round(sum(hours.values()), 4), round(dollars, 2)
    )


def _attempts(evidence: Evidence, decided: Outcome) -> Iterator[str]:
    """Whether another decision of this stage is left."""
    plan, found = evidence.plan, evidence.registration
    if not plan.stage.decides or found is None or decided is Outcome.STOP:
        return
    left = plan.attempts - found.line.number
    if left > 0:
        yield (
            f"{left} of {plan.attempts} declared decisions left: change stages.{plan.stage.number} in the study file "
            f"and run the stage again; it is tested at {plan.alpha:g} again"
        )
    else:
        yield (
            "the declared decisions are used up: with more items, draws or seeds it is a new study, under another "
            "name and on fresh items"
        )


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A question to the evidence; what it found, or empty for no."""

    name: str
    ask: Callable[[Evidence], str]


def diagnose(evidence: Evidence) -> list[str]:
    """What the evidence points to, in the order of `DIAGNOSES`."""
    return [f"{row.name}: {found}" for row in DIAGNOSES if (found := row.ask(evidence))]


def _floor(evidence: Evidence) -> str:
    row = evidence.primary
    if row is None or row.control is None or row.experiment is None or max(row.control, row.experiment) > FLOOR:
        return ""
    return (
        f"both arms are right in under {FLOOR:.0%}: read answers in the report; easier items, a stronger base, "
        "or an answer format that the evaluator does not read"
    )


def _ceiling(evidence: Evidence) -> str:
    row = evidence.primary
    if row is None or row.control is None or row.experiment is None or min(row.control, row.experiment) < CEILING:
        return ""
    return f"both arms are right in over {CEILING:.0%}: there is no room for a gain; harder items, another scenario"


def _cut_off(evidence: Evidence) -> str:
    shares = {name: counts.get("length", 0) / max(1, sum(counts.values())) for name, counts in evidence.answers.items()}
    worst = max(shares, key=lambda name: shares[name], default="")
    if not worst or shares[worst] <= CUT_OFF:
        return ""
    limit = evidence.study.generate.max_new_tokens
    return f"{shares[worst]:.0%} of {worst}'s answers were cut off: raise generate.max_new_tokens above {limit}"


def _left_out(evidence: Evidence) -> str:
    for name, row in evidence.results.items():
        dropped, samples = int(row.get("dropped", 0)), int(row.get("samples", 0))
        if dropped > LEFT_OUT * (dropped + samples):
            return f"{name} left out {dropped} of {dropped + samples} training samples for their length: max_seq_length"
    return ""


def _too_few(evidence: Evidence) -> str:
    trained = sum(counts.get("train", 0) for counts in evidence.manifest.get("counts", {}).values())
    if not 0 < trained < FEW_TRAINED:
        return ""
    return f"{trained} training samples an arm: more of them, or of better quality, before anything else"


def _repeated(evidence: Evidence) -> str:
    groups = evidence.manifest.get("duplicates", ())
    repeated = sum(len(group) - 1 for group in groups)
    return f"{repeated} training samples repeat others: replace them" if repeated else ""


def _not_learned(evidence: Evidence) -> str:
    for name, row in evidence.results.items():
        if float(row["last_loss"]) >= float(row["first_loss"]):
            return f"the training loss of {name} did not fall: check the samples, then lower the learning rate"
    return ""


def _still_falling(evidence: Evidence) -> str:
    """Of models that were validated: the best checkpoint is the last."""
    for name, row in evidence.results.items():
        if row.get("best_val_loss") is not None and row.get("best_step") == row["steps"]:
            return f"the validation loss of {name} was still falling at the end: more epochs"
    return ""


def _overfitted(evidence: Evidence) -> str:
    for name, row in evidence.results.items():
        best = row.get("best_step")
        if row.get("best_val_loss") is not None and best is not None and 2 * int(best) < int(row["steps"]):
            told = f"step {best} of {row['steps']}"
            return f"the validation loss of {name} was lowest at {told}: fewer epochs or a lower learning rate"
    return ""


def _thin_metadata(evidence: Evidence) -> str:
    study = evidence.study
    if study.arms[study.experiment].prompts != "enriched" or study.arms[study.control].prompts == "enriched":
        return ""
    return "compare prompts of samples gained and lost in the report: more metadata, or other fields of it"


def _elsewhere(evidence: Evidence) -> Iterator[str]:
    others = evidence.study.scenarios[1:]
    if evidence.plan.stage.size == "scenario" and others:
        yield f"another scenario may gain where this one does not ({', '.join(others)}): as a new study"


DIAGNOSES = (
    Diagnosis("floor", _floor),
    Diagnosis("ceiling", _ceiling),
    Diagnosis("cut-off answers", _cut_off),
    Diagnosis("samples left out", _left_out),
    Diagnosis("few samples", _too_few),
    Diagnosis("repeated samples", _repeated),
    Diagnosis("training", _not_learned),
    Diagnosis("epochs", _still_falling),
    Diagnosis("epochs", _overfitted),
    Diagnosis("metadata", _thin_metadata),
)
