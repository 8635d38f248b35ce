"""What only a GPU can show: NF4 and bf16 there, memory measured, a real lack of memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from sluicegate.models import adapted, kind, tiny
from sluicegate.models.loading import moved
from sluicegate.models.memory import Need
from sluicegate.models.tokens import prompt_ids
from sluicegate.records import Sample
from sluicegate.settings import TrainSettings
from sluicegate.tracking.spool import Spool, curves
from sluicegate.train import step
from sluicegate.train.loop import train
from sluicegate.train.replay import AGREE, Replay, _Recorded

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")]
Make = Callable[..., TrainSettings]


@pytest.mark.parametrize("four_bit", ["true", "false"])
def test_it_learns_saves_and_answers(make_settings: Make, four_bit: str) -> None:
    settings = make_settings(load_in_4bit=four_bit, max_steps=20, learning_rate=2e-2)
    with Spool(settings.model_dir) as spool:
        done = train(settings, spool)
    assert done.loaded_in_4bit is (four_bit == "true")
    assert done.last_loss < done.first_loss
    assert done.peak_vram_gib is not None
    assert 0 < done.peak_vram_gib < 1
    model, tokenizer = kind("causal").load_trained(settings.model_dir)
    asked = torch.tensor([prompt_ids(tokenizer, "Write add_0.\n")], device=model.device)
    assert model.generate(asked, max_new_tokens=4).shape[1] > asked.shape[1]


def test_too_little_memory_halves_the_micro_batch_and_trains_on(
    make_settings: Make, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    losses = {}
    for name, most in (("free", 16), ("tight", 4)):
        gradients = step.gradients

        def short(training: Any, examples: Any, number: int, micro_batch: int, most: int = most) -> torch.Tensor:
            if micro_batch > most:
                torch.empty(2**50, dtype=torch.uint8, device="cuda")  # a petabyte: the allocator's own refusal
            return gradients(training, examples, number, micro_batch)  # noqa: B023 - called in this turn

        settings = make_settings(model_name=name, batch_size=16, max_steps=3, packing="false")
        with monkeypatch.context() as patch, Spool(settings.model_dir) as spool:
            patch.setattr(step, "gradients", short)
            train(settings, spool)
        losses[name] = [value for _, value in curves(settings.model_dir / "events.jsonl")["train/loss"]]
    assert losses["tight"] == pytest.approx(losses["free"], rel=2e-2)  # bf16, other batches
    assert capsys.readouterr().err.count("out of memory") == 2


def test_no_way_of_running_the_layers_changes_a_loss(
    make_settings: Make, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    losses, told = {}, {}
    fast = {"packing": "true", "compile": "true"}
    for name, need, how in (
        ("plain", {"keeps": lambda *_: 0}, {"packing": "false", "compile": "false"}),
        ("packed", {"keeps": lambda *_: 0}, fast),
        ("kept", {"keeps": lambda *_: 2}, fast),
        ("waiting", {"peak": lambda self, _: 0 if self.layers == 1 else 2**60}, fast),
    ):
        settings = make_settings(model_name=name, load_in_4bit="true", lora_dropout=0.0, max_steps=4, **how)
        with monkeypatch.context() as patch, Spool(settings.model_dir) as spool:
            for what, answer in need.items():
                patch.setattr(Need, what, answer)
            train(settings, spool)
        losses[name] = [value for _, value in curves(settings.model_dir / "events.jsonl")["train/loss"]]
        told[name] = capsys.readouterr().err
    assert losses["packed"] == pytest.approx(losses["plain"], rel=1e-2)  # bf16, other kernels
    assert losses["kept"] == pytest.approx(losses["packed"], rel=1e-3)
    assert losses["waiting"] == pytest.approx(losses["packed"], rel=1e-3)
    assert "2 of them from inputs in the host's memory" in told["waiting"]
    assert not [name for name, said in told.items() if "kernel by kernel" in said]


def test_no_way_of_running_the_layers_changes_a_gradient(make_settings: Make, tmp_path: Path) -> None:
    shape = {
        "hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 6, "num_attention_heads": 4,
        "num_key_value_heads": 2, "max_position_embeddings": 256,
    }  # fmt: skip
    some = [Sample(str(n), f"Write add_{n}.\n", f"def add_{n}(x):\n    return x + {n}\n") for n in range(16)]
    base = tiny.build(tmp_path / "base", tiny.texts_of(some), shape=shape)
    settings = make_settings(
        base_model=str(base), load_in_4bit="true", lora_dropout=0.0, packing="true", max_seq_length=256
    )
    learner: Any = kind("causal").load(settings, str(base), torch.device("cuda", 0))
    assert adapted.adopt(learner.model)
    examples = learner.encode(some, Path("samples"))
    learner.model.train()
    torch.manual_seed(1)
    for name, part in learner.model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(part, std=0.05)

    own = learner.layers

    def gradients(way: str, stays: int = 0) -> list[torch.Tensor]:
        """Of two batches, the second narrower."""
        own.compile(way in {"compiled", "waiting"})
        own.keeps = 6 if way == "kept" else 0
        if way == "waiting":
            own.offload(stays)
        found = []
        for rows in (examples, examples[:4]):
            learner.model.zero_grad()
            batch = moved(learner.batch(rows, 2), torch.device("cuda", 0))
            with torch.autocast("cuda", dtype=torch.bfloat16):
                learner.scored(**batch).backward()
            found.append(torch.cat([part.grad.flatten() for part in learner.model.parameters() if part.requires_grad]))
        return found

    wanted = gradients("kept")
    ways = {way: gradients(way) for way in ("again", "compiled", "waiting")} | {"stay": gradients("waiting", 2)}
    apart = {
        way: [float((one - other).norm() / other.norm()) for one, other in zip(found, wanted, strict=True)]
        for way, found in ways.items()
    }
    assert all(value < AGREE for values in apart.values() for value in values), apart


@pytest.mark.parametrize("keeps", [0, 2])
@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_micro_batches_as_cuda_graphs_change_no_loss(
    make_settings: Make, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], dropout: float, keeps: int
) -> None:
    losses, replayed = {}, []
    play = _Recorded.play

    def counted(self: Any, *given: Any) -> Any:
        replayed.append(1)
        return play(self, *given)

    monkeypatch.setattr(_Recorded, "play", counted)
    for name in ("plain", "graphs"):
        settings = make_settings(
            model_name=name, load_in_4bit="true", lora_dropout=dropout, max_steps=6, packing="true", compile="true",
            max_seq_length=128, batch_size=4, gradient_accumulation_steps=8, learning_rate=1e-2,
        )  # fmt: skip
        with monkeypatch.context() as patch, Spool(settings.model_dir) as spool:
            patch.setattr(Need, "keeps", lambda self, limit: keeps)
            if name == "plain":
                patch.setattr(Replay, "run", lambda self, work, batch, share: work(batch, share))
            train(settings, spool)
        losses[name] = [value for _, value in curves(settings.model_dir / "events.jsonl")["train/loss"]]
        assert bool(replayed) == (name == "graphs")
    assert losses["graphs"] == pytest.approx(losses["plain"], rel=1e-3)
    assert "kernel by kernel" not in capsys.readouterr().err
