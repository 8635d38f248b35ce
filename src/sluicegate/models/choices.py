"""What may be chosen of a dual encoder's shape, in words, and the fields of its configuration that these stand for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

CHOICES: dict[str, dict[str, tuple[str, Any]]] = {
    "tables": {"shared": ("shared_embeddings", True), "separate": ("shared_embeddings", False)},
    "encoders": {"separate": ("shared_encoders", False), "shared": ("shared_encoders", True)},
    "fusion": {"two": ("fusion", "two"), "one": ("fusion", "one")},
    "memory": {"both": ("memory", "both"), "intent": ("memory", "intent")},
}
"""Choice → what it may be → field of `DualEncoderConfig`, and its value."""


def fields(chosen: Mapping[str, str | None]) -> dict[str, Any]:
    """Fields of a `DualEncoderConfig` that are chosen; what is None is left out.

    >>> fields({"tables": "separate", "fusion": None})
    {'shared_embeddings': False}
    """
    return dict(CHOICES[name][value] for name, value in chosen.items() if value is not None)
