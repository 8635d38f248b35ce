"""A base small enough to load in a moment."""

from pathlib import Path

import pytest

from sluicegate.models import tiny

SMALL = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
}
TEXTS = [
    "def add(x, y):\n    return x + y\n",
    "Write add(x, y).\n",
    "Write double(x).\n",
    "def double(x):\n    return 2 * x\n",
]


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.build(tmp_path_factory.mktemp("base") / "small", TEXTS, shape=SMALL)
