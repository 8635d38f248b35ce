"""What is asked for: whose answers, to which samples, drawn how; and which of it shapes the texts.

A value, checked before anything is read or loaded. Batch size, paths and limits are not among `shaping`: they
change how long the work takes, and the texts only by roundings on a GPU, so a run may go on with others.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sluicegate.errors import UserError, UserErrors
from sluicegate.records import Prediction, Sample, canonical, digest

KEY_VARIABLE = "OPENAI_API_KEY"
"""Where an endpoint's key is read from."""
Key = tuple[str, int]
"""Sample id and draw: what one prediction is an answer to."""
Batches = Generator[list[Prediction], None, None]
"""Predictions as they come, some at a time; closing it ends the work."""


@dataclass(frozen=True, slots=True)
class Request:
    """One file of predictions to be made.

    Args:
        model: a model folder, `runs:/<run id>/<path>`, `models:/<name>/<version>`, `models:/<name>@<alias>`,
            or the base address of an OpenAI-compatible endpoint such as `http://localhost:8000/v1`.
        name: what `Prediction.model` says.
        data: samples; their prompts are what is asked.
        out: the file of predictions; `<out>.request.json` and `<out>.lock` lie beside it.
        draws: answers to each sample.
        temperature: 0 is greedy.
        top_p: draw from the smallest set of tokens that holds this share of the probability, in (0, 1].
        max_new_tokens: longest answer, in tokens.
        batch_size: most answers decoded at once; with an endpoint, requests in flight. 0: as many as the device's
            memory holds; of an endpoint 16.
        seed: with the sample's id and the draw it fixes the random numbers of an answer.
        limit: only the first so many samples.
        endpoint_model: the model's name at the endpoint.
        endpoint_api: which of an endpoint's two calls.
        tracking_uri: MLflow server for `runs:/` and `models:/`; None: MLFLOW_TRACKING_URI, else the store
            under runs/.
        load_in_4bit: as in training: auto, true or false.
        trust_remote_code: run code that a model folder brings along.
    """

    model: str
    name: str
    data: Path
    out: Path
    draws: int = 1
    temperature: float = 0.0
    top_p: float = 1.0
    max_new_tokens: int = 512
    batch_size: int = 16
    seed: int = 0
    limit: int | None = None
    endpoint_model: str = ""
    endpoint_api: Literal["chat", "completions"] = "chat"
    tracking_uri: str | None = None
    load_in_4bit: Literal["auto", "true", "false"] = "auto"
    trust_remote_code: bool = False

    @property
    def is_endpoint(self) -> bool:
        """Whether the model is asked over HTTP."""
        return self.model.startswith(("http://", "https://"))


@dataclass(frozen=True, slots=True)
class Ask:
    """One prediction to be made."""

    sample: Sample
    draw: int

    @property
    def key(self) -> Key:
        """Sample id and draw."""
        return self.sample.id, self.draw


def check(request: Request) -> None:
    """Refuse a request that cannot be met.

    Raises:
        UserErrors: every fault, in one message.
    """
    faults = list(_faults(request))
    if faults:
        raise UserErrors(f"generate: {len(faults)} setting(s) are wrong; nothing was written", faults)


def _faults(request: Request) -> Iterator[UserError]:
    for name in ("draws", "max_new_tokens"):
        value = getattr(request, name)
        if value < 1:
            yield UserError(name, wanted="a whole number ≥ 1", seen=str(value))
    if request.batch_size < 0:
        yield UserError("batch_size", wanted="a whole number ≥ 0", seen=str(request.batch_size))
    if request.limit is not None and request.limit < 1:
        yield UserError("limit", wanted="a whole number ≥ 1", seen=str(request.limit))
    if request.seed < 0:
        yield UserError("seed", wanted="a whole number ≥ 0", seen=str(request.seed))
    if not (math.isfinite(request.temperature) and request.temperature >= 0):
        yield UserError("temperature", wanted="a number ≥ 0", seen=str(request.temperature))
    if not 0 < request.top_p <= 1:
        yield UserError("top_p", wanted="a number in (0, 1]", seen=str(request.top_p))
    if not request.name.strip():
        yield UserError("name", wanted="the name that the predictions carry", seen="empty")
    if request.is_endpoint and not request.endpoint_model:
        yield UserError(
            "endpoint_model",
            wanted="the model's name at the endpoint",
            seen="empty",
            mend=f"see {request.model.rstrip('/')}/models for the names it serves",
        )
    if request.draws > 1 and request.temperature == 0:
        yield UserError(
            "draws",
            wanted="one draw of greedy decoding, or a temperature above 0",
            seen=f"{request.draws} draws at temperature 0, which would all be the same text",
            mend="set draws to 1, or temperature to 0.8",
        )


def shaping(request: Request, model: str, samples: Sequence[Sample]) -> dict[str, Any]:
    """The settings that the texts depend on; predictions made with others may not lie in one file.

    Args:
        request: what is asked for.
        model: the identity of the model (`source.locate`).
        samples: all samples of the data, whatever the limit. Reference answers and tests do not count:
            mending a test leaves the predictions as they are.
    """
    asked = [[sample.id, sample.prompt, sample.context] for sample in samples]
    kept: tuple[str, ...] = ("name", "temperature", "top_p", "max_new_tokens", "seed")
    if request.is_endpoint:
        kept += ("endpoint_model", "endpoint_api")
    else:
        kept += ("load_in_4bit",)
    return {"model": model, "data": digest(asked), **{name: getattr(request, name) for name in kept}}


def seed_of(seed: int, key: Key) -> int:
    """The seed of one answer's random numbers, 63 bits, the same whatever else is asked.

    >>> seed_of(0, ("a", 0)) == seed_of(0, ("a", 0)), seed_of(0, ("a", 0)) == seed_of(0, ("a", 1))
    (True, False)
    """
    return int.from_bytes(hashlib.sha256(canonical([seed, *key])).digest()[:8]) >> 1
