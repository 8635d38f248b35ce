"""Samples × model → predictions: batched, seeded, resumable, from a model folder, MLflow or an endpoint.

The random numbers of an answer depend on its sample, draw and seed only, so a run that was killed and begun again
ends with the same file as one that was not. Nothing here judges an answer. torch, transformers and mlflow are
imported only when needed.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence, Set

from sluicegate import folder
from sluicegate.console import Progress
from sluicegate.data.reader import read_samples
from sluicegate.generate import ledger
from sluicegate.generate.request import Ask, Batches, Key, Request, check, shaping
from sluicegate.generate.source import Source, locate, model_folder
from sluicegate.jsonl import Journal

__all__ = ["Request", "generate"]


def generate(request: Request, *, progress: Progress | None = None) -> int:
    """Answer every sample `draws` times and write the predictions, those already written left as they are.

    Args:
        request: what is asked for.
        progress: shows answers done, out of all, and tokens a second; its total is set here. None: one on
            stderr.

    Returns:
        The number of predictions in the file, in the order samples × draws.

    Raises:
        UserError: a wrong setting, bad data, a model that cannot be had, a prompt too long for it, an
            endpoint that does not answer, a file of another request. What was answered before is kept.
    """
    check(request)
    samples = read_samples(request.data)
    asks = [Ask(sample, draw) for sample in samples[: request.limit] for draw in range(request.draws)]
    keys = [ask.key for ask in asks]
    source = locate(request)
    settings = shaping(request, source.identity, samples)
    with folder.holding_file(request.out):
        ledger.check_settings(request.out, settings)
        done = ledger.rows(request.out, request.name, keys)
        if len(done) < len(asks):
            batches = _answers(request, source, asks, done.keys())
            ledger.write_settings(request.out, settings)
            with progress or Progress(f"generate {request.name}", 0) as shown:
                shown.total = len(asks)
                _write(request, batches, shown, done=len(done))
            done = ledger.rows(request.out, request.name, keys)
        ledger.settle(request.out, done, keys)
    return len(done)


def _answers(request: Request, source: Source, asks: Sequence[Ask], done: Set[Key]) -> Batches:
    """Missing predictions. Whatever can be refused before the first of them is refused in this call."""
    if request.is_endpoint:
        from sluicegate.generate.endpoint import answers as answers_of_endpoint

        return answers_of_endpoint(request, [ask for ask in asks if ask.key not in done])
    from sluicegate.generate.local import answers as answers_of_folder

    return answers_of_folder(request, model_folder(request, source), asks, done)


def _write(request: Request, batches: Batches, progress: Progress, *, done: int) -> None:
    """Append predictions as they come."""
    tokens, started = 0, time.monotonic()
    with Journal(request.out) as journal, contextlib.closing(batches):
        for batch in batches:
            journal.append(*batch)
            done += len(batch)
            tokens += sum(prediction.tokens for prediction in batch)
            progress.update(done, tokens_per_s=tokens / max(time.monotonic() - started, 1e-9))
