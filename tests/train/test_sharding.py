"""A model cut over two processes trains, is saved and goes on as one that is whole."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import pair_samples
from sluicegate import jsonl
from sluicegate.errors import UserErrors
from sluicegate.models import kind
from sluicegate.settings import TrainSettings
from sluicegate.tracking.spool import Spool, curves
from sluicegate.train import checkpoint, result
from sluicegate.train.loop import train
from sluicegate.train.sharding import Sharding, asked
from sluicegate.train.start import refuse_unfit

pytestmark = [pytest.mark.torch]
LAUNCH = (
    "accelerate.commands.launch --multi_gpu --num_processes 2 --num_machines 1 --mixed_precision no "
    "--dynamo_backend no --main_process_port 0"
)
KINDS = ("causal", "seq2seq", "dual")
RANKS = (0, 4)
CURVES = ("train/loss", "train/grad_norm", "val/loss")
FSDP = {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2"}
OTHERWISE = FSDP | {"FSDP_ACTIVATION_CHECKPOINTING": "true", "FSDP_RESHARD_AFTER_FORWARD": "false"}
WHOLE: dict[str, str] = {}


def _launched(jobs: list[dict[str, Any]], folder: Path) -> list[tuple[list[int], list[int]]]:
    """What each of two processes held in each job, of how much."""
    script, file = Path(__file__).with_name("sharded.py"), folder / "jobs.json"
    file.write_text(json.dumps(jobs, default=str), "utf-8")
    done = subprocess.run(
        [sys.executable, "-m", *LAUNCH.split(), str(script), str(file)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Warning" not in done.stderr
    first, second = (json.loads((folder / f"held-{rank}.json").read_text("utf-8")) for rank in (0, 1))
    return list(zip(first, second, strict=True))


def _job(
    known: dict[str, Any], launch: dict[str, str], *, cut: int | None = None, records: bool = False, **changes: Any
) -> dict[str, Any]:
    return {"settings": known | changes, "launch": launch, "cut": cut, "records": records}


def _alone(known: dict[str, Any], **changes: Any) -> Path:
    """The same training in one process: its folder."""
    settings = TrainSettings.model_validate(known | changes)
    with Spool(settings.model_dir) as spool:
        train(settings, spool)
    return settings.model_dir


def _same(found: Path, wanted: Path, rel: float = 1e-5) -> None:
    here, there = (curves(folder / "events.jsonl") for folder in (found, wanted))
    for name in CURVES:
        assert [at for at, _ in here[name]] == [at for at, _ in there[name]]
        assert [value for _, value in here[name]] == pytest.approx([value for _, value in there[name]], rel=rel)


@pytest.fixture
def known(base: Path, data: Path, tmp_path: Path) -> dict[str, dict[str, Any]]:
    """Settings of each kind: its own base, without dropout, which two processes do not draw alike."""
    made = {}
    for name in KINDS:
        folder, own = data, base
        if name != "causal":
            # Read twice by one encoder, a block is called twice before its gradients come.
            choices = {"encoders": "shared"} if name == "dual" else {}
            folder, own = tmp_path, pair_samples.base(tmp_path, name, **choices)
            config = json.loads((own / "config.json").read_text("utf-8"))
            config |= {key: 0.0 for key in config if "dropout" in key}
            (own / "config.json").write_text(json.dumps(config), "utf-8")
            jsonl.write(tmp_path / "train.jsonl", pair_samples.samples())
            jsonl.write(tmp_path / "val.jsonl", pair_samples.samples(5))
        # Micro-batches of one sample: of five validation samples one process has three, the other two.
        made[name] = {
            "model_kind": name, "base_model": str(own), "output_dir": tmp_path / "models", "batch_size": 1,
            "dataset_path": folder / "train.jsonl", "val_dataset_path": folder / "val.jsonl", "epochs": 100.0,
            "gradient_accumulation_steps": 2, "max_steps": 4, "learning_rate": 5e-3, "warmup_steps": 1,
            "max_seq_length": 128, "save_every": 2, "lora_dropout": 0.0, "load_in_4bit": "auto",
        }  # fmt: skip
    return made


@pytest.mark.process
@pytest.mark.timeout(600)
def test_losses_norms_and_the_folder_are_those_of_one_process(known: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    cases = [(name, rank, FSDP) for name in KINDS for rank in RANKS]
    cases += [("causal", 0, OTHERWISE), ("dual", 0, OTHERWISE)]
    names = [f"{name}{rank}-{len(how)}" for name, rank, how in cases]
    jobs = [
        _job(known[name], how, lora_r=rank, model_name=own) for own, (name, rank, how) in zip(names, cases, strict=True)
    ]
    for own, (name, rank, _), (first, second) in zip(names, cases, _launched(jobs, tmp_path), strict=True):
        folder, alone = (tmp_path / "models" / each for each in (own, f"{name}{rank}-alone"))
        if not alone.exists():
            _alone(known[name], lora_r=rank, model_name=alone.name, gradient_accumulation_steps=4)
        _same(folder, alone)
        norms = [norm for _, norm in curves(folder / "events.jsonl")["train/grad_norm"]]
        assert max(norms) > TrainSettings.model_fields["max_grad_norm"].default  # they were clipped
        assert first[1] == second[1] == first[0] + second[0]
        assert first[0] / first[1] == pytest.approx(0.5, abs=0.05)
        _same_weights(folder, alone)
        done = result.read(folder)
        assert done is not None and not done.loaded_in_4bit and "sharded over 2 processes" in done.why_4bit
        model, _ = kind(name).load_trained(folder)
        assert sum(part.numel() for part in model.parameters()) >= done.total_parameters


@pytest.mark.process
@pytest.mark.parametrize("rank", RANKS)
def test_gradients_that_are_added_up_behind_recorded_micro_batches_are_those_of_one_process(
    known: dict[str, dict[str, Any]], tmp_path: Path, rank: int
) -> None:
    packs = known["causal"] | {"packing": "true", "lora_r": rank}
    job = _job(packs, WHOLE, records=True, model_name="two", gradient_accumulation_steps=8)
    ((first, second),) = _launched([job], tmp_path)
    assert first == second and first[0] == first[1]
    alone = _alone(packs, model_name="alone", gradient_accumulation_steps=16)
    _same(tmp_path / "models" / "two", alone)
    _same_weights(tmp_path / "models" / "two", alone)


def _same_weights(found: Path, wanted: Path) -> None:
    from safetensors.torch import load_file

    (own,) = (path.name for path in wanted.glob("*model.safetensors"))
    assert {path.name for path in found.iterdir()} == {path.name for path in wanted.iterdir()}
    here, there = load_file(found / own), load_file(wanted / own)
    assert here.keys() == there.keys()
    for name, part in there.items():
        # Where a gradient is next to nothing, Adam makes much of its rounding.
        assert here[name].dtype == part.dtype and float((here[name] - part).abs().max()) < 1e-3


@pytest.mark.process
def test_a_training_that_was_cut_off_goes_on_sharded_or_whole(known: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    whole = known["causal"] | {"lora_r": 0, "max_steps": 6}
    jobs = [
        _job(whole, FSDP, model_name="through"),
        _job(whole, FSDP, model_name="sharded", cut=4), _job(whole, FSDP, model_name="sharded"),
        _job(whole, FSDP, model_name="to-whole", cut=4), _job(whole, WHOLE, model_name="to-whole"),
        _job(whole, WHOLE, model_name="to-sharded", cut=4), _job(whole, FSDP, model_name="to-sharded"),
    ]  # fmt: skip
    held = _launched(jobs, tmp_path)
    assert [first[0] < first[1] for first, _ in held] == [True, True, True, True, False, False, True]
    through = tmp_path / "models" / "through"
    wanted = checkpoint.read(through / "checkpoints" / "step-00000006")
    for name in ("sharded", "to-whole", "to-sharded"):
        folder = tmp_path / "models" / name
        _same(folder, through)
        found = checkpoint.read(folder / "checkpoints" / "step-00000006")
        assert found.moments.keys() == wanted.moments.keys() and found.weights.keys() == wanted.weights.keys()
        assert all(found.weights[key].shape == part.shape for key, part in wanted.weights.items())
    ended = [result.read(tmp_path / "models" / name) for name in ("through", "sharded")]
    assert ended[0] is not None and ended[1] is not None
    assert ended[0].sha256 == ended[1].sha256  # bit for bit


@pytest.mark.process
def test_4_bit_weights_in_a_sharded_launch_are_one_message(known: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    asks = {key.upper(): str(value) for key, value in known["causal"].items()} | {"LOAD_IN_4BIT": "true"}
    launch = LAUNCH.replace("--multi_gpu", "--use_fsdp --fsdp_version 2")
    done = subprocess.run(
        [sys.executable, "-m", *launch.split(), "-m", "sluicegate", "train", "--no-send"],
        env=os.environ | asks, capture_output=True, text=True, check=False,
    )  # fmt: skip
    said, _, of_the_launcher = done.stderr.partition("Traceback")
    assert "sluicegate: 1 setting(s) do not go together" in said and "accelerate launch --multi_gpu" in said
    assert re.search(r"exitcode\s*: 2\b", of_the_launcher)
    assert not (tmp_path / "models" / "model" / "run.json").exists()


def test_options_of_the_launch() -> None:
    assert asked({}) is None and asked({"FSDP_VERSION": "2", "ACCELERATE_USE_FSDP": "false"}) is None
    assert asked(FSDP) == Sharding(lets_go=True, recomputes=False)
    more = {"FSDP_RESHARD_AFTER_FORWARD": "False", "FSDP_ACTIVATION_CHECKPOINTING": "true"}
    assert asked(FSDP | more) == Sharding(lets_go=False, recomputes=True)


@pytest.mark.parametrize(
    ("changes", "option"),
    [
        ({"FSDP_VERSION": "1"}, "--fsdp_version"),
        ({"FSDP_OFFLOAD_PARAMS": "true"}, "--fsdp_offload_params"),
        ({"FSDP_RESHARD_AFTER_FORWARD": "FULL_SHARD"}, "--fsdp_reshard_after_forward"),
        ({"FSDP_ACTIVATION_CHECKPOINTING_OFFLOAD": "true"}, "--fsdp_activation_checkpointing_offload"),
        ({"FSDP_IGNORED_MODULES": ".*embed.*"}, "--fsdp_ignored_modules"),
        ({"ACCELERATE_USE_PARALLELISM_CONFIG": "true"}, "--use_parallelism_config"),
    ],
)
def test_options_that_are_not_supported_are_refused(changes: dict[str, str], option: str) -> None:
    with pytest.raises(UserErrors) as fault:
        asked(FSDP | changes)
    assert [each.what for each in fault.value.faults] == [option]


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"load_in_4bit": "true"}, "LOAD_IN_4BIT"),
        ({"compile": "true"}, "COMPILE"),
        ({"vram_limit_gb": 11.0}, "VRAM_LIMIT_GB"),
        ({"model_kind": "seq2seq", "select_by": "exact_match"}, "SELECT_BY"),
    ],
)
def test_settings_that_need_whole_models_are_refused(
    known: dict[str, dict[str, Any]], changes: dict[str, Any], name: str
) -> None:
    settings = TrainSettings.model_validate(known["causal"] | {"lora_r": 4} | changes)
    refuse_unfit(settings, 2)
    with pytest.raises(UserErrors) as fault:
        refuse_unfit(settings, 2, sharded=True)
    assert [each.what for each in fault.value.faults] == [name]
