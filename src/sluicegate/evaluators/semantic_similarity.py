"""Cosine of the answer's and the reference's embeddings, by a local sentence-transformers model that you name.

`EMBEDDING_MODEL` names its folder; nothing is ever downloaded. Without it, or without the package
sentence-transformers (the extra `embeddings`), the score is None: another similarity never takes its place under this
name. The reason says which model judged, by its folder and a digest of its files, since cosines of two models cannot
be compared. A negative cosine counts as 0. A model reads the start of a long text only, as far as its window goes,
and most models know little of code: a wrong program in the same words is near.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from sluicegate.evaluators import INFRA, answer
from sluicegate.records import Prediction, Sample, Score

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NAME = "semantic_similarity"
VARIABLE: Final = "EMBEDDING_MODEL"
READ: Final = 20_000
"""Characters that are given to a model; its window is shorter."""
DIGITS: Final = 12
"""Of the digest that tells models apart, whatever their folders are called."""
_NAMED: Final = re.compile(rf"\S [0-9a-f]{{{DIGITS}}}$")
_lock = Lock()


def score(sample: Sample, prediction: Prediction) -> Score:
    """The cosine in [0, 1]; 0 for an empty answer, None without a reference or a model."""
    value, why = _judged(sample, prediction)
    return Score(sample.id, prediction.model, prediction.draw, NAME, value, why)


def _judged(sample: Sample, prediction: Prediction) -> tuple[float | None, str]:
    folder = os.environ.get(VARIABLE, "")
    told, asked = answer.given(sample, prediction), answer.wanted(sample)
    if asked.empty:
        return None, answer.NO_REFERENCE
    try:
        model = _model(folder)
    except _NoModelError as fault:
        return None, f"{INFRA}: {fault}"
    if told.empty:
        return 0.0, f"{answer.EMPTY}; {model.name}"
    cosine = float(_embedded(folder, told.text) @ _embedded(folder, asked.text))
    return min(1.0, max(0.0, cosine)), model.name


def model(why: str) -> str:
    """The model that a score's reason names, its last `DIGITS` being the digest; empty for none.

    >>> model("minilm 0123456789ab"), model("empty answer; minilm 0123456789ab"), model("by hand")
    ('minilm 0123456789ab', 'minilm 0123456789ab', '')
    """
    return why.removeprefix(f"{answer.EMPTY}; ") if _NAMED.search(why) else ""


class _NoModelError(Exception):
    """There is no model to judge by; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class _Model:
    name: str
    encoder: Any


def _model(folder: str) -> _Model:
    if not folder:
        raise _NoModelError(f"no model: set {VARIABLE} to the folder of a sentence-transformers model")
    if not (Path(folder) / "modules.json").is_file():
        raise _NoModelError(f"{VARIABLE}={folder}: no folder of a sentence-transformers model (modules.json)")
    with _lock:  # loaded once, whoever asks first
        return _loaded(folder)


@lru_cache(maxsize=1)
def _loaded(folder: str) -> _Model:
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError:
        raise _NoModelError("no package: pip install 'sluicegate[embeddings]'") from None
    try:
        encoder = SentenceTransformer(folder, device="cpu", local_files_only=True)
    except Exception as fault:  # whatever a folder of somebody else's makes the library raise
        raise _NoModelError(f"{VARIABLE}={folder}: cannot be loaded: {type(fault).__name__}") from None
    return _Model(f"{Path(folder).resolve().name} {_digest(Path(folder))}", encoder)


def _digest(folder: Path) -> str:
    """Hex digits over the configuration and weights, in the order of their names."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".json", ".safetensors", ".bin", ".txt") and path.is_file():
            digest.update(path.relative_to(folder).as_posix().encode())
            with path.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()[:DIGITS]


@lru_cache(maxsize=256)
def _embedded(folder: str, text: str) -> NDArray[np.float32]:
    """The embedding of a text, of length 1."""
    with _lock:  # a tokenizer that truncates must not be shared
        encoder = _loaded(folder).encoder
        clean = text[:READ].encode("utf-8", "replace").decode()
        return encoder.encode(clean, normalize_embeddings=True, show_progress_bar=False)  # type: ignore[no-any-return]
