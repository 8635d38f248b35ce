"""Makes a model the champion of the registry, and only by the evidence: the verdict is decided again and must be a GO.

Which model: of the arm that won, the training (seed) that its own validation chose, by the figure that checkpoints were
chosen by, ties by name. Test scores choose nothing: a seed that was picked by them would be better there than anywhere.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sluicegate import folder, jsonl
from sluicegate.errors import UserError
from sluicegate.records import Outcome, Run, Verdict, from_json
from sluicegate.stages import ledger, recompute
from sluicegate.stages.plan import Plan, resolve
from sluicegate.stages.recompute import LEDGER
from sluicegate.study import Study, load
from sluicegate.tracking import registry, sender
from sluicegate.tracking.redact import without_credentials

RUN, RESULT = "run.json", "result.json"


def promote(path: Path, uri: str, *, name: str = "") -> str:
    """Register the winning model of a run folder and move the alias `champion` to it; what was done, in words.

    Args:
        path: the run folder, or the verdict in it.
        uri: the tracking store, credentials included.
        name: of the registered model; empty for the study's.

    Raises:
        UserError: the verdict is no GO, does not come out of the evidence, is not the ledger's newest on its stage, the
            weights are not those that were trained, or the store cannot be used. The registry is as it was.
    """
    again = recompute.recompute(path)
    verdict = again.verdict
    attempt = recompute.read_verdict(path)[0].parent
    study = load(attempt / folder.STUDY)
    plan = resolve(study, verdict.stage)
    if verdict.outcome is not Outcome.GO or not plan.stage.decides:
        raise _refused(attempt, "a GO of a stage that decides between the arms", _seen(verdict, plan))
    _require_standing(attempt, study, verdict)
    model = winner(attempt, study, plan)
    weights = _weights(model)
    sent = sender.drain([model], uri, tell=lambda line: None)
    run_id = sent.runs.get(model.resolve(), "")
    if sent.waiting or not run_id:
        raise UserError(
            f"{model}: MLflow {without_credentials(uri)} does not have all of it",
            wanted="every line of its spool and every file of the model there",
            seen="; ".join(sent.faults) or f"{sent.waiting} lines unsent",
            mend=f"sluicegate sync {model}, then the same command",
        )
    tags = evidence_tags(attempt, study, verdict, model) | {"weights_sha256": weights}
    done = registry.promote(uri, name or study.name, run_id, tags)
    return _told(done, model.name, tags["verdict_sha256"])


def _told(done: registry.Champion, model: str, verdict_sha256: str) -> str:
    version = f"{done.name} version {done.version}"
    moved = "was it before" if done.before == done.version else f"moved from version {done.before or 'none'}"
    return (
        f"{version}: {model}, {'registered' if done.made else 'registered before'}; "
        f"{registry.CHAMPION}: {moved}; verdict {verdict_sha256[:12]}…\nuse: models:/{done.name}@{registry.CHAMPION}"
    )


def _refused(attempt: Path, wanted: str, seen: str) -> UserError:
    return UserError(
        f"{attempt}: not promoted; the registry is as it was",
        wanted=wanted,
        seen=seen,
        mend=f"sluicegate gate {attempt}  (shows what its verdict rests on)",
    )


def _seen(verdict: Verdict, plan: Plan) -> str:
    decides = "" if plan.stage.decides else ", which decides nothing between them"
    return f"{verdict.outcome.value} of stage {verdict.stage}{decides}"


def _require_standing(attempt: Path, study: Study, verdict: Verdict) -> None:
    """The ledger beside the run folder must tell of this verdict, and of none after it on the same question."""
    path = attempt.parent / LEDGER
    if not path.exists():
        raise _refused(attempt, f"the ledger that entered the verdict, {path}", "no ledger")
    line = ledger.standing(ledger.read_lines(path, study.name), verdict.stage, study.sha256_to(verdict.stage))
    if line is None or line.attempt != attempt.name:
        seen = f"{line.outcome.value} of {line.attempt}" if line else "none for this study file"
        raise _refused(attempt, f"the ledger's newest verdict on stage {verdict.stage}", seen)


def winner(attempt: Path, study: Study, plan: Plan) -> Path:
    """The model folder of the arm that won whose training did best on its own validation samples.

    Raises:
        UserError: a model of the arm is not there, or cannot be compared with the others.
    """
    folders = [attempt / folder.ARMS / model.name for model in plan.of(study.experiment)]
    ranks = {path: _rank(path, _json(path / RESULT)) for path in folders}
    return min(folders, key=lambda path: (*ranks[path], path.name))


def _rank(path: Path, result: Mapping[str, Any]) -> tuple[float, float]:
    """Smaller is better: the higher value that was selected by, then the lower loss."""
    value, loss = result.get("best_metric"), result.get("best_val_loss")
    if value is None and loss is None:
        raise UserError(
            f"{path / RESULT}: no validation", wanted="best_val_loss or best_metric", seen="neither",
            mend="the models of an arm can only be told apart by what validation said of them",
        )  # fmt: skip
    return (-float(value) if value is not None else 0.0, float(loss) if loss is not None else 0.0)


def _weights(model: Path) -> str:
    """The digest of the weights, which must be what the training left."""
    wanted = str(_json(model / RESULT).get("sha256", ""))
    found = {jsonl.sha256(path) for path in sorted(model.glob("*.safetensors"))}
    if wanted not in found:
        raise UserError(
            f"{model}: the weights are not those that were judged",
            wanted=f"a .safetensors file of SHA-256 {wanted[:12]}…, as {RESULT} says",
            seen=", ".join(f"{digest[:12]}…" for digest in sorted(found)) or "none",
            mend="restore the folder from a copy",
        )
    return wanted


def evidence_tags(attempt: Path, study: Study, verdict: Verdict, model: Path) -> dict[str, str]:
    """What the version rests on, for somebody who only sees the registry."""
    run, primary = from_json(Run, jsonl.read_text(model / RUN)), verdict.primary
    manifest = attempt / folder.DATA / "manifest.json"
    built = _json(manifest)["files"].get(f"{study.experiment}-train.jsonl", {}).get("sha256")
    if (run.arm, run.data_sha256) != (study.experiment, built):
        raise _refused(
            attempt,
            f"a model of {study.experiment}, trained on the data of the stage, {built}",
            f"{model / RUN}: of {run.arm or 'no arm'}, {run.data_sha256}",
        )
    told = {
        "verdict_sha256": jsonl.sha256(attempt / folder.VERDICT),
        "evidence_sha256": verdict.evidence_sha256,
        "outcome": verdict.outcome.value,
        "claim": verdict.claim,
        "study": study.name,
        "study_sha256": study.sha256,
        "stage": verdict.stage,
        "attempt": attempt.name,
        "arm": run.arm,
        "seed": run.seed,
        "base_model": run.base_model,
        "data_sha256": run.data_sha256,
        "manifest_sha256": jsonl.sha256(manifest),
        "git_commit": run.git_commit,
        "primary": study.primary,
        "gain": "" if primary is None or primary.gain is None else f"{primary.gain:.6g}",
        "p": "" if primary is None or primary.p is None else f"{primary.p:.6g}",
    }
    return {key: str(value) for key, value in told.items() if str(value)}


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(jsonl.read_text(path))
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise UserError(f"{path}: damaged", wanted="a JSON object", mend="restore the folder from a copy")
    return found
