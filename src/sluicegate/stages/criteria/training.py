"""Criteria of the training: it ended, as the settings asked, within its forecast, and what it made answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sluicegate.records import Check
from sluicegate.stages.evidence import Evidence

MEMORY_SLACK = 1.3
"""The peak may exceed the forecast by this factor: a Llama-3-8B in 4-bit on an H200 took 8.50 GiB where 8.56 were
forecast (micro-batch 1), 16.03 where 13.62 were (micro-batch 4)."""


def _results(evidence: Evidence) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for model in evidence.plan.models:
        if model.name in evidence.results:
            yield model.name, evidence.results[model.name]


def _each(name: str, wanted: str, rows: Mapping[str, tuple[bool, str]], remedy: str, expected: int) -> Check:
    """One check over several models: it passes when all expected ones are there and each holds."""
    seen = "; ".join(f"{model}: {text}" for model, (_, text) in rows.items()) or "no trained model"
    passed = len(rows) == expected and all(holds for holds, _ in rows.values())
    return Check(name, passed, wanted, seen, "" if passed else remedy)


def steps_ended(evidence: Evidence) -> Check:
    """No step of the stage failed."""
    failure = evidence.failure
    if failure is None:
        return Check("steps_ended", True, "every step ends with exit code 0", "all did")
    tail = str(failure["tail"]).strip().splitlines()[-6:]
    seen = f"step {failure['step']} ended with {failure['code']}: " + " | ".join(line.strip() for line in tail)
    return Check(
        "steps_ended",
        False,
        "every step ends with exit code 0",
        seen,
        f"mend it (log: {failure['log']}), then run the stage again",
    )


def arms_trained(evidence: Evidence) -> Check:
    """Every model of the stage was trained to its end."""
    names = [model.name for model in evidence.plan.models]
    missing = [name for name in names if name not in evidence.results]
    seen = f"{len(names) - len(missing)} of {len(names)}" + (f"; missing {', '.join(missing)}" if missing else "")
    return Check(
        "arms_trained",
        not missing,
        f"{len(names)} trained models",
        seen,
        "run the stage again: it resumes" if missing else "",
    )


def tracking_complete(evidence: Evidence) -> Check:
    """The tracking server has every line of every model's spool; only shown: what it lacks lies on disk."""
    wanted = "parameters, losses and artifacts at the tracking server"
    unsent = "; ".join(f"{name}: {count} lines" for name, count in evidence.unsent.items() if count)
    if unsent:
        return Check("tracking_complete", None, wanted, f"only on disk, {unsent}; later: sluicegate sync RUN_FOLDER")
    return Check("tracking_complete", True, wanted, "everything sent")


def four_bit(evidence: Evidence) -> Check:
    """The base was loaded as the settings asked: in 4-bit where `LOAD_IN_4BIT=true`."""
    rows = {}
    for model in evidence.plan.models:
        if result := evidence.results.get(model.name):
            said = str(evidence.plan.train[model.arm].get("load_in_4bit", "auto")).lower()
            asked = {"1": "true", "0": "false"}.get(said, said)
            loaded = bool(result["loaded_in_4bit"])
            text = f"{'4-bit' if loaded else 'not 4-bit'} ({result['why_4bit']})"
            rows[model.name] = (asked == "auto" or loaded == (asked == "true"), text)
    return _each(
        "four_bit",
        "base weights loaded as LOAD_IN_4BIT says",
        rows,
        "check bitsandbytes: sluicegate check",
        len(evidence.plan.models),
    )


def memory_forecast(evidence: Evidence) -> Check:
    """The peak of GPU memory stayed within its forecast; without a GPU there is nothing to hold against it."""
    rows = dict(_results(evidence))
    if rows and all(row["peak_vram_gib"] is None for row in rows.values()):
        return Check("memory_forecast", None, "GPU memory within its forecast", "no GPU: not measured")
    held = {
        name: (float(row["peak_vram_gib"]) <= MEMORY_SLACK * float(row["forecast_vram_gib"]),
               f"peak {row['peak_vram_gib']:.2f} GiB, forecast {row['forecast_vram_gib']:.2f} GiB")
        if row["peak_vram_gib"] is not None else (False, "trained without the GPU that others had")
        for name, row in rows.items()
    }  # fmt: skip
    return _each(
        "memory_forecast",
        f"peak within {MEMORY_SLACK:.0%} of the forecast",
        held,
        "lower BATCH_SIZE or MAX_SEQ_LENGTH",
        len(evidence.plan.models),
    )


def steps_done(evidence: Evidence) -> Check:
    """The optimizer steps that were asked for were done."""
    asked = {arm: _steps_asked(train) for arm, train in evidence.plan.train.items()}
    rows = {
        name: (bool(row.get("collapsed")) or int(row["steps"]) >= asked[name.rpartition("-s")[0]],
               f"{row['steps']} steps")
        for name, row in _results(evidence)
    }  # fmt: skip
    wanted = " or ".join(map(str, sorted(set(asked.values()))))
    return _each("steps_done", f"{wanted} optimizer steps", rows, "see the training log", len(evidence.plan.models))


def _steps_asked(train: Mapping[str, Any]) -> int:
    """MAX_STEPS; of reinforcement learning the fewer updates, and of its control at least one, as its compute buys.

    >>> _steps_asked({"max_steps": 10}), _steps_asked({"max_steps": 10, "method": "rloo", "rl_steps": 4})
    (10, 4)
    """
    most = int(str(train.get("max_steps") or 1))
    if train.get("steps_like_rl"):
        return 1
    learns = str(train.get("method") or "supervised") != "supervised"
    return min(most, int(str(train.get("rl_steps") or most))) if learns else most


def loss_falls(evidence: Evidence) -> Check:
    """The training loss at the end is below the loss at the start, of models that start from their base."""
    first = {model.name for model in evidence.plan.models if not model.start}
    rows = {
        name: (
            float(row["last_loss"]) < float(row["first_loss"]),
            f"{row['first_loss']:.3f} to {row['last_loss']:.3f}",
        )
        for name, row in _results(evidence)
        if name in first
    }
    return _each(
        "loss_falls",
        "training loss lower at the end than at the start",
        rows,
        "check the data and the learning rate",
        len(first),
    )


def stable(evidence: Evidence) -> Check:
    """No training collapsed so that its guard rails stopped it; of an arm that decides nothing it is only shown."""
    wanted = "no training that collapsed and was stopped"
    fallen = {
        name: str(row.get("why_stopped") or "stopped") for name, row in _results(evidence) if row.get("collapsed")
    }
    back = {name: f"went back {row['collapses']} time(s)" for name, row in _results(evidence) if row.get("collapses")}
    seen = "; ".join(f"{name}: {told}" for name, told in {**back, **fallen}.items()) or "none"
    if not fallen:
        return Check("stable", True, wanted, seen)
    deciding = any(model.name in fallen for model in evidence.deciding)
    remedy = "lower RL_LEARNING_RATE or raise RL_KL in the study file, then run the stage again"
    return Check("stable", False if deciding else None, wanted, seen, remedy if deciding else "")


def answers(evidence: Evidence) -> Check:
    """Each saved model was loaded again and answered every prompt."""
    files = evidence.manifest.get("files", {})
    rows = {}
    for model in evidence.plan.models:
        counts = evidence.answers.get(model.name, {})
        given, failed = sum(counts.values()), counts.get("error", 0)
        owed = int(files.get(f"{model.arm}-val.jsonl", {}).get("samples", 0)) * evidence.plan.draws
        rows[model.name] = (0 < owed == given and not failed, f"{given} of {owed} answers, {failed} errors")
    wanted = "the saved model loads and answers every prompt"
    return _each("answers", wanted, rows, "see the log of the generate step", len(evidence.plan.models))
