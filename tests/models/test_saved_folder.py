"""What a training leaves: a folder that another process loads as any of transformers', and a card of what it is."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from pair_samples import base, samples, settings
from sluicegate.models import kind
from sluicegate.records import Sample

pytestmark = [pytest.mark.torch, pytest.mark.process]
KINDS = ("seq2seq", "dual")
CPU = torch.device("cpu")
LOADS = """\
import hashlib, sys
{first}
{second}
import torch
model = AutoModelForSeq2SeqLM.from_pretrained(sys.argv[1]).eval()
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
given = dict(tokenizer("name it web", return_tensors="pt"))
if hasattr(model.config, "memory"):
    pattern = tokenizer("kind: Pod", return_tensors="pt")
    given |= {{f"pattern_{{name}}": tensor for name, tensor in pattern.items()}}
with torch.no_grad():
    logits = model(**given, decoder_input_ids=torch.tensor([[0, 5, 9]])).logits.numpy()
    print(hashlib.sha256(logits.tobytes()).hexdigest())
    print(*model.generate(**given, max_new_tokens=5, num_beams=2)[0].tolist())
again = sys.argv[1] + "-again"
model.save_pretrained(again)
tokenizer.save_pretrained(again)
"""
OURS, THEIRS = "import sluicegate.models", "from transformers import AutoModelForSeq2SeqLM, AutoTokenizer"


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("bases")
    return {name: base(folder, name) for name in KINDS}


def learner(name: str, bases: dict[str, Path], folder: Path, **changes: Any) -> Any:
    return kind(name).load(settings(folder, name, **changes), str(bases[name]), CPU)


def seen(folder: Path, first: str, second: str) -> list[str]:
    """What a process of its own says of a saved folder; the tokenizers of both kinds give the same ids."""
    code = LOADS.format(first=first, second=second)
    ran = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.split("\n", 1)


@pytest.mark.parametrize("name", KINDS)
def test_another_process_loads_it_says_the_same_and_saves_the_same_bytes(
    name: str, bases: dict[str, Path], tmp_path: Path
) -> None:
    made, folder = learner(name, bases, tmp_path), tmp_path / "saved"
    made.save(folder)
    there = seen(folder, OURS, THEIRS)
    given = dict(made.tokenizer("name it web", return_tensors="pt"))
    if name == "dual":
        pattern = made.tokenizer("kind: Pod", return_tensors="pt")
        given |= {f"pattern_{key}": tensor for key, tensor in pattern.items()}
    model = made.model.eval()
    with torch.no_grad():
        logits = model(**given, decoder_input_ids=torch.tensor([[0, 5, 9]])).logits.numpy()
        tokens = model.generate(**given, max_new_tokens=5, num_beams=2)[0].tolist()
    assert there[0] == hashlib.sha256(logits.tobytes()).hexdigest()
    assert there[1].split() == [str(token) for token in tokens]
    again = folder.with_name("saved-again")
    for file in ("model.safetensors", "config.json", "tokenizer.json"):
        assert (again / file).read_bytes() == (folder / file).read_bytes(), file
    if name == "dual":  # ours may come after transformers, or before a module that ours need half imported
        assert seen(folder, THEIRS, OURS) == there
        assert seen(folder, f"{OURS}, transformers.models.llama.modeling_llama", THEIRS) == there


@pytest.mark.parametrize(("name", "changes"), [("seq2seq", {}), ("dual", {}), ("dual", {"lora_r": 4})])
def test_the_card_has_the_facts(name: str, changes: dict[str, Any], bases: dict[str, Path], tmp_path: Path) -> None:
    made = learner(name, bases, tmp_path, model_name="mine", **changes)
    made.save(tmp_path / "saved")
    _, head, text = (tmp_path / "saved" / "README.md").read_text("utf-8").split("---\n", 2)
    told = yaml.safe_load(head)
    assert told == {
        "library_name": "peft" if changes else "transformers",
        "pipeline_tag": "text2text-generation",
        "tags": ["sluicegate"],
    }
    assert "# mine" in text and f"Made from {bases[name].name}" in text
    assert f"{made.facts.trainable_parameters:,} of {made.facts.total_parameters:,} parameters" in text
    assert "at most 64 tokens" in text and ("LoRA adapters of rank 4" if changes else "all weights trained") in text
    assert ("One encoder reads the prompt, another the context" if name == "dual" else "as one text") in text


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("context", ["", "{not: [yaml", "\x00\t\n", "kind: Pod\n---\nkind: Pod\n", "ü" * 40])
def test_a_pattern_is_text_and_may_be_no_yaml_or_nothing(
    name: str, context: str, bases: dict[str, Path], tmp_path: Path
) -> None:
    made = learner(name, bases, tmp_path, max_seq_length=256)
    examples = made.encode([*samples(2), Sample("odd", "name it web", "kind: Pod\n", context=context)], Path("x"))
    made.scored.train()
    loss = made.scored(**made.batch(examples, len(examples)))
    loss.backward()
    assert torch.isfinite(loss)
    assert all(torch.isfinite(part.grad).all() for part in made.model.parameters() if part.grad is not None)
    answers = made.model.eval().generate(**made.inputs(examples), max_new_tokens=4)
    assert answers.shape[0] == 3
