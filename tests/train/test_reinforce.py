"""Learning by reward: the algebra against cases worked out by hand, and whole trainings of a small model."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from sluicegate.errors import Interrupted, UserError, UserErrors
from sluicegate.jsonl import sha256
from sluicegate.models import decoding
from sluicegate.records import Run, from_json
from sluicegate.settings import TrainSettings
from sluicegate.tracking import Null
from sluicegate.tracking.spool import Spool, curves
from sluicegate.train import checkpoint, reinforce, result, rollout, step
from sluicegate.train.batches import supervised_samples
from sluicegate.train.guard import WINDOW
from sluicegate.train.loop import train
from sluicegate.train.reinforce import CLIP, adapted, divergence, leave_one_out, less_mean, pull
from sluicegate.train.reward import Answer
from sluicegate.train.scoring import Pending
from train import answering

pytestmark = [pytest.mark.torch, pytest.mark.process]
KINDS = ("seq2seq", "dual")
Make = Callable[..., TrainSettings]
WEIGHTS = "model.safetensors"


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A finished training of a kind, made once."""
    made: dict[str, Path] = {}

    def of(kind: str) -> Path:
        if kind not in made:
            made[kind] = answering.started(tmp_path_factory.mktemp(kind), kind)
        return made[kind]

    return of


@pytest.fixture
def make(begun: Callable[[str], Path], tmp_path: Path) -> Make:
    def settings(kind: str = "seq2seq", **changes: object) -> TrainSettings:
        start = begun(kind)
        known: dict[str, object] = {"init_from": start, "method": "rloo", "output_dir": tmp_path / "models"}
        return answering.settings(start.parent, kind, **(known | changes))

    return settings


class Curves(Null):
    """A tracker that keeps what it is told."""

    def __init__(self) -> None:
        self.of: dict[str, list[float]] = {}

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        for name, value in values.items():
            self.of.setdefault(name, []).append(value)


def told(settings: TrainSettings) -> tuple[result.Result, dict[str, list[float]]]:
    seen = Curves()
    return train(settings, seen), seen.of


def test_leave_one_out_is_the_reward_less_the_mean_of_the_others_over_the_standard_deviation() -> None:
    rewards = torch.tensor([[1.0, 0.0, 0.5, 0.1], [0.2, 0.2, 0.2, 0.2], [0.0, 0.9, 0.9, 0.9]], dtype=torch.float64)
    found, counts = leave_one_out(rewards)
    raw = [[r - (sum(row) - r) / 3 for r in row] for row in (rewards[0].tolist(), rewards[2].tolist())]
    deviation = (sum(a * a for row in raw for a in row) / 8) ** 0.5
    assert counts.tolist() == [True, False, True]
    assert found[1].tolist() == [0.0] * 4
    for row, wanted in zip((found[0], found[2]), raw, strict=True):
        assert row.tolist() == pytest.approx([a / deviation for a in wanted])
    assert found[counts].square().mean().item() == pytest.approx(1.0)
    assert found.sum(1).abs().max() < 1e-12


def test_equal_rewards_everywhere_teach_nothing() -> None:
    found, counts = leave_one_out(torch.full((3, 4), 0.7))
    assert not counts.any() and not found.any()


def test_an_advantage_is_clipped() -> None:
    rewards = torch.zeros(64, 8, dtype=torch.float64)
    rewards[:, 0] = 0.001
    rewards[0, 0] = 1.0
    found, _ = leave_one_out(rewards)
    assert found.max() == CLIP


def test_reinforce_takes_the_mean_of_the_batch_off_and_leaves_no_prompt_out() -> None:
    found, counts = less_mean(torch.tensor([[1.0, 0.0], [0.5, 0.5]]))
    assert found.tolist() == [[0.5, -0.5], [0.0, 0.0]] and counts.all()


def _two(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits of two distributions over 5 tokens, the first with a gradient."""
    torch.manual_seed(seed)
    return torch.randn(5, dtype=torch.float64, requires_grad=True), torch.randn(5, dtype=torch.float64)


def test_the_divergence_is_never_negative_and_its_expectation_is_the_kl() -> None:
    policy, reference = (logits.log_softmax(-1) for logits in _two())
    found = divergence(policy, reference)
    assert (found >= 0).all()
    kl = (policy.exp() * (policy - reference)).sum()
    assert (policy.exp() * found).sum().item() == pytest.approx(kl.item())


def test_what_is_minimised_has_the_gradient_of_the_kl() -> None:
    logits, reference = _two()
    fixed = reference.log_softmax(-1)
    policy = logits.log_softmax(-1)
    wanted = torch.autograd.grad((policy.exp() * (policy - fixed)).sum(), logits, retain_graph=True)[0]
    found = torch.autograd.grad((policy.exp().detach() * pull(policy, fixed)).sum(), logits)[0]
    torch.testing.assert_close(found, wanted)


def test_the_weight_of_kl_follows_its_target_within_bounds() -> None:
    weight = 0.05
    for _ in range(200):
        weight = adapted(weight, 0.0, 0.01, start=0.05)
    assert weight == pytest.approx(0.005)
    for _ in range(200):
        weight = adapted(weight, 1.0, 0.01, start=0.05)
    assert weight == pytest.approx(5.0)


def test_the_reward_rises_and_nothing_collapses(make: Make, kind: str) -> None:
    settings = make(kind, rl_steps=24, rl_learning_rate=3e-4, rl_target_kl=0.1, save_every=12)
    done, seen = told(settings)
    assert sum(seen["rl/reward"][-8:]) > sum(seen["rl/reward"][:8]) + 0.8
    assert done.last_loss < done.first_loss
    assert (done.method, done.select_by, done.steps) == ("rloo", "reward", 24)
    assert not done.collapsed and done.collapses == 0
    assert seen["rl/kl"][0] == pytest.approx(0.0, abs=1e-9) and seen["rl/kl"][-1] > 0
    assert done.sha256 == sha256(settings.model_dir / WEIGHTS)
    assert {path.suffix for path in settings.model_dir.rglob("*") if path.is_file()} <= {
        ".json", ".safetensors", ".jsonl", ".md"
    }  # fmt: skip


def test_every_figure_is_told_for_each_step(make: Make) -> None:
    settings = make(rl_steps=3)
    with Spool(settings.model_dir) as spool:
        train(settings, spool)
    found = curves(settings.model_dir / "events.jsonl")
    wanted = """reward reward_std reward/exact_match reward_std/exact_match reward/token_f1 reward_std/token_f1
        zero_std_groups mean_advantage policy_loss anchor_loss kl kl_weight entropy valid empty ended length rate_share
        drawing_tokens_per_s update_tokens_per_s answers_per_s scoring_waited scoring_work"""
    assert {f"rl/{name}" for name in wanted.split()} | {"val/loss", "val/reward"} <= set(found)
    assert [at for at, _ in found["rl/reward"]] == [1, 2, 3]
    assert [at for at, _ in found["val/reward"]] == [0, 2, 3]
    for (_, reward), (_, loss) in zip(found["rl/reward"], found["train/loss"], strict=True):
        assert loss == pytest.approx(1 - reward)
    assert all(
        0 <= value <= 1 for name in ("valid", "empty", "ended", "zero_std_groups") for _, value in found[f"rl/{name}"]
    )


def test_a_group_of_equal_rewards_moves_no_weight(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    same = make(rl_steps=1, rl_kl=0.0, rl_anchor=0.0, rl_learning_rate=1e-2, reward="length=1", model_name="same")
    monkeypatch.setattr(reinforce, "leave_one_out", lambda rewards: leave_one_out(torch.full_like(rewards, 0.5)))
    train(same, Null())
    assert same.init_from is not None
    assert sha256(same.model_dir / WEIGHTS) == sha256(same.init_from / WEIGHTS)


def test_micro_batches_add_up_to_the_same_step(make: Make) -> None:
    _, whole = told(make(rl_steps=2, rl_batch=16, model_name="whole"))
    _, parts = told(make(rl_steps=2, rl_batch=3, model_name="parts"))
    for name in ("train/grad_norm", "rl/kl", "rl/entropy", "rl/policy_loss", "rl/reward"):
        assert parts[name] == pytest.approx(whole[name], rel=1e-3, abs=1e-6)


def test_out_of_memory_halves_the_answers_at_once(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    real, sizes = rollout.likely, []

    def likely(training: Any, learner: Any, examples: Any, rows: Any) -> Any:
        sizes.append(len(rows))
        if len(rows) > 8:
            raise torch.OutOfMemoryError("no memory")
        return real(training, learner, examples, rows)

    monkeypatch.setattr(reinforce, "likely", likely)
    settings = make(rl_steps=2, rl_batch=16, model_name="short")
    _, short = told(settings)
    monkeypatch.setattr(reinforce, "likely", real)
    _, whole = told(make(rl_steps=2, rl_batch=16, model_name="whole"))
    assert max(sizes) == 16 and checkpoint.read(_newest(settings)).state.micro_batch == 8
    assert short["train/grad_norm"] == pytest.approx(whole["train/grad_norm"], rel=1e-3)


def test_answers_that_do_not_fit_are_drawn_for_fewer_prompts_and_are_the_same(
    make: Make, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = decoding.Decoder.decode

    def decode(self: Any, inputs: Any, uniforms: Any, sampling: Any, *, copies: int = 1) -> Any:
        if len(uniforms) > 4:
            raise torch.OutOfMemoryError("no memory")
        return real(self, inputs, uniforms, sampling, copies=copies)

    wanted = train(make(rl_steps=2, model_name="whole"), Null())
    monkeypatch.setattr(decoding.Decoder, "decode", decode)
    found = train(make(rl_steps=2, model_name="parts"), Null())
    assert found.sha256 == wanted.sha256
    assert "drawing for 1 from here on" in capsys.readouterr().err
    with pytest.raises(UserError, match="answers to one prompt"):
        train(make(rl_steps=2, rl_samples=5, model_name="none"), Null())


@pytest.mark.parametrize(("size", "wanted"), [
    (100, [[4, 5, 6, 7, 0, 1, 2, 3, 8, 9, 10, 11]]),
    (9, [[4, 5, 6, 7, 0, 1, 2, 3], [8, 9, 10, 11]]),
    (3, [[4, 5, 6], [7], [0, 1, 2], [3], [8, 9, 10], [11]]),
])  # fmt: skip
def test_answers_are_taken_in_whole_groups_or_in_parts_of_one(size: int, wanted: list[list[int]]) -> None:
    drawn = [[rollout.Drawn((1,) * length, Answer("", ended=True))] * 4 for length in (5, 9, 2)]
    owners = [0] * 4 + [1] * 4 + [2] * 4
    assert reinforce._chunks(reinforce.Batch([], drawn, Pending([]), owners), size) == wanted


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(make: Make) -> None:
    digests = [train(make(rl_steps=2, seed=seed, model_name=name), Null()).sha256
               for name, seed in (("a", 0), ("b", 0), ("c", 1))]  # fmt: skip
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize("at", [1, 3, 4])
def test_a_training_that_died_goes_on_to_the_same_weights_and_curve(
    make: Make, monkeypatch: pytest.MonkeyPatch, at: int, kind: str
) -> None:
    whole = make(kind, model_name="whole")
    with Spool(whole.model_dir) as spool:
        wanted = train(whole, spool)
    settings = make(kind, model_name="cut")
    _dies(monkeypatch, at)
    with pytest.raises(RuntimeError, match="killed here"), Spool(settings.model_dir) as spool:
        train(settings, spool)
    monkeypatch.undo()
    with Spool(settings.model_dir) as spool:
        found = train(settings, spool)
    assert replace(found, seconds=0.0) == replace(wanted, seconds=0.0)
    for name in ("rl/reward", "rl/kl", "rl/kl_weight", "rl/entropy", "val/reward", "val/loss"):
        one, other = (curves(each.model_dir / "events.jsonl")[name] for each in (whole, settings))
        assert one == other


def _dies(monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    real = reinforce.Policy.take

    def take(self: Any, state: Any, *, stop: Any) -> Any:
        if state.step + 1 == at:
            raise RuntimeError("killed here")
        return real(self, state, stop=stop)

    monkeypatch.setattr(reinforce.Policy, "take", take)


def test_a_signal_saves_the_step_that_was_taken(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    real = reinforce.Policy.take

    def take(self: Any, state: Any, *, stop: Any) -> Any:
        if state.step == 2:
            os.kill(os.getpid(), 15)
        return real(self, state, stop=stop)

    monkeypatch.setattr(reinforce.Policy, "take", take)
    settings = make(save_every=100)
    with pytest.raises(Interrupted, match="step 3 of 6"):
        train(settings, Null())
    monkeypatch.undo()
    assert checkpoint.read(_newest(settings)).state.step == 3
    assert replace(train(settings, Null()), seconds=0.0) == replace(
        train(make(save_every=100, model_name="whole"), Null()), seconds=0.0
    )


def test_a_collapse_goes_back_and_the_second_one_ends_the_training(
    make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = make(rl_steps=40, rl_learning_rate=0.3, rl_anchor=0.0, rl_kl=0.0, save_every=5)
    done, seen = told(settings)
    assert done.collapsed and done.collapses == 2 and done.steps < 40
    assert "collapsed" in done.why_stopped and f"step {done.steps}" in done.why_stopped
    assert json.loads((settings.model_dir / "result.json").read_text())["collapsed"] is True
    assert {1.0, 0.5} == set(seen["rl/rate_share"])
    said = capsys.readouterr().err
    assert "back to the best checkpoint" in said and "for the second time" in said
    assert settings.init_from is not None
    if done.best_step == 0:
        assert sha256(settings.model_dir / WEIGHTS) == sha256(settings.init_from / WEIGHTS)
    best = checkpoint.best(settings.model_dir, checkpoint.read(_newest(settings)).state)
    assert best is not None and best.name == f"step-{done.best_step:08d}"


def test_a_collapse_comes_back_the_same_after_a_kill(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    changes: dict[str, Any] = {"rl_steps": 40, "rl_learning_rate": 0.3, "rl_anchor": 0.0, "rl_kl": 0.0, "save_every": 2}
    wanted = train(make(model_name="whole", **changes), Null())
    assert wanted.collapsed
    settings = make(model_name="cut", **changes)
    _dies(monkeypatch, wanted.steps - 1)
    with pytest.raises(RuntimeError, match="killed here"):
        train(settings, Null())
    monkeypatch.undo()
    assert replace(train(settings, Null()), seconds=0.0) == replace(wanted, seconds=0.0)


def test_gradients_that_are_not_finite_count_as_a_collapse(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reinforce, "pull", lambda policy, reference: policy * float("nan"))
    done = train(make(), Null())
    assert done.collapsed and done.steps == 2 and "not finite" in done.why_stopped


def test_weights_whose_answers_cannot_be_drawn_count_as_a_collapse(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    real = step.optimized

    def optimized(training: Any, micro_batch: int, rate: float) -> float:
        norm = real(training, micro_batch, rate)
        next(iter(training.names.values())).data.fill_(float("nan"))
        return norm

    monkeypatch.setattr(reinforce, "optimized", optimized)
    done = train(make(save_every=100), Null())
    assert done.collapsed and done.collapses == 2 and "not finite" in done.why_stopped


def test_the_last_window_alone_decides_so_few_steps_never_collapse(make: Make) -> None:
    done = train(make(rl_steps=WINDOW - 1, rl_learning_rate=0.3, save_every=100), Null())
    assert not done.collapsed


def test_reinforce_has_neither_kl_nor_anchor(make: Make) -> None:
    done, seen = told(make(method="reinforce", reward_gate="plain", rl_steps=3))
    assert done.method == "reinforce"
    assert "rl/anchor_loss" not in seen and "rl/kl" in seen
    again, _ = told(make(method="reinforce", reward_gate="plain", rl_steps=3, rl_kl=5.0, rl_anchor=5.0, model_name="b"))
    assert again.sha256 == done.sha256


def test_max_steps_cuts_learning_by_reward_too(make: Make) -> None:
    assert train(make(max_steps=2), Null()).steps == 2


def test_adapters_are_gone_on_with(make: Make, begun: Callable[[str], Path], tmp_path: Path) -> None:
    folder = begun("seq2seq").parent
    first = answering.settings(folder, "seq2seq", output_dir=tmp_path, model_name="first", lora_r=4, epochs=1000.0,
                               max_steps=30, learning_rate=1e-2)  # fmt: skip
    train(first, Null())
    second = make(init_from=first.model_dir, lora_r=4, rl_steps=2)
    done, seen = told(second)
    assert done.trainable_parameters < done.total_parameters
    run = from_json(Run, (second.model_dir / "run.json").read_text())
    assert run.base_model == str(folder / "seq2seq")
    assert seen["val/loss"][0] == pytest.approx(result.read(first.model_dir).best_val_loss, rel=1e-4)  # type: ignore[union-attr]
    with pytest.raises(UserErrors, match="LORA_R"):
        train(make(init_from=first.model_dir, lora_r=8, model_name="other"), Null())


def test_the_control_takes_the_steps_that_cost_the_same(make: Make) -> None:
    settings = make(method="supervised", steps_like_rl=True, rl_steps=2, batch_size=16, learning_rate=1e-4)
    done = train(settings, Null())
    assert done.method == "supervised" and done.select_by == "loss"
    assert done.steps == -(-supervised_samples(2, 4, 4, anchor=True) // 16) == 4
    assert train(make(method="supervised", steps_like_rl=True, max_steps=1, model_name="few"), Null()).steps == 1


def test_what_is_gone_on_from_may_stay_the_best(make: Make) -> None:
    settings = make(method="supervised", epochs=1.0, learning_rate=0.5, warmup_steps=0, save_every=1)
    done = train(settings, Null())
    assert settings.init_from is not None
    assert done.best_step == 0
    assert sha256(settings.model_dir / WEIGHTS) == sha256(settings.init_from / WEIGHTS)


def test_a_start_that_was_trained_again_meanwhile_is_another_training(make: Make, tmp_path: Path) -> None:
    settings = make(rl_steps=1)
    assert settings.init_from is not None
    copy = tmp_path / "start"
    shutil.copytree(settings.init_from, copy)
    first = make(rl_steps=1, init_from=copy)
    train(first, Null())
    moved = tmp_path / "moved"
    copy.rename(moved)
    train(make(rl_steps=1, init_from=moved), Null())  # where it lies does not count
    content = json.loads((moved / "result.json").read_text())
    (moved / "result.json").write_text(json.dumps(content | {"sha256": "another"}))
    with pytest.raises(UserErrors, match="content of BASE_MODEL or INIT_FROM"):
        train(make(rl_steps=1, init_from=moved), Null())


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"init_from": None}, "INIT_FROM"),
        ({"val_dataset_path": None}, "VAL_DATASET_PATH"),
        ({"steps_like_rl": True}, "STEPS_LIKE_RL"),
        ({"model_kind": "causal"}, "MODEL_KIND"),
        ({"reward": "k8s_bp=1"}, "k8s_bp has no value"),
        ({"reward": "exact=1"}, "did you mean exact_match"),
        ({"select_by": "k8s_valid"}, "SELECT_BY"),
        ({"select_by": "quality"}, "SELECT_BY"),
    ],
)
def test_settings_that_do_not_go_together_are_refused_before_anything_is_written(
    make: Make, changes: dict[str, Any], named: str
) -> None:
    settings = make(**changes)
    with pytest.raises(UserError) as fault:
        train(settings, Null())
    assert named in str(fault.value)
    assert not settings.model_dir.exists()


def test_all_that_does_not_go_together_is_said_at_once(make: Make) -> None:
    with pytest.raises(UserErrors) as fault:
        train(make(init_from=None, val_dataset_path=None), Null())
    assert "INIT_FROM" in str(fault.value) and "VAL_DATASET_PATH" in str(fault.value)


def test_a_start_that_is_no_finished_training_of_the_kind_is_refused(
    make: Make, begun: Callable[[str], Path], tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="no finished training"):
        train(make(init_from=tmp_path), Null())
    with pytest.raises(UserErrors, match="MODEL_KIND"):
        train(make("dual", init_from=begun("seq2seq")), Null())


def test_a_missing_best_checkpoint_is_a_clear_error(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reinforce, "collapsed", lambda *_, **__: "made up")
    monkeypatch.setattr(checkpoint, "best", lambda *_: None)
    with pytest.raises(UserError, match="best checkpoint is gone"):
        train(make(), Null())


def _newest(settings: TrainSettings) -> Path:
    path = checkpoint.newest(settings.model_dir)
    assert path is not None
    return path
