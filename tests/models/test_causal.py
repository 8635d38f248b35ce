import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from sluicegate.errors import UserError
from sluicegate.models import causal, fitting
from sluicegate.models.attention import TILE
from sluicegate.models.layers import Layers
from sluicegate.models.tokens import Tokens
from sluicegate.records import Sample
from sluicegate.settings import TrainSettings

pytestmark = pytest.mark.torch
CPU = torch.device("cpu")
ROWS = (Tokens((1, 5, 6, 7, 8, 2), 3), Tokens((1, 9, 10, 2), 2), Tokens((1, 4, 4, 4, 4, 11, 2), 5))


@pytest.fixture
def load(base: Path, tmp_path: Path) -> Callable[..., causal.Causal]:
    def loaded(folder: Path = base, **changes: Any) -> causal.Causal:
        known = {"dataset_path": __file__, "lora_r": 4, "load_in_4bit": "false", "max_seq_length": 128}
        return causal.load(TrainSettings.model_validate(known | changes), str(folder), CPU)

    return loaded


def _learnt(learner: causal.Causal) -> None:
    """A few updates, so that the adapters do something."""
    optimizer = torch.optim.AdamW([part for part in learner.model.parameters() if part.requires_grad], lr=0.02)
    for _ in range(3):
        optimizer.zero_grad()
        learner.scored(**learner.batch(ROWS, 1)).backward()
        optimizer.step()


def _logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model.eval()(input_ids=torch.tensor([[1, 5, 6, 7]])).logits


def test_a_batch_is_padded_on_the_right_and_knows_where_its_targets_are(load: Callable[..., causal.Causal]) -> None:
    learner = load()
    batch = learner.batch(ROWS, 1)
    pad = learner.tokenizer.pad_token_id
    assert batch["ids"].tolist() == [[1, 5, 6, 7, 8, 2, pad], [1, 9, 10, 2, pad, pad, pad], [1, 4, 4, 4, 4, 11, 2]]
    assert batch["rows"].tolist() == [2, 3, 4, 8, 9, 18, 19]
    assert batch["targets"].tolist() == [7, 8, 2, 10, 2, 11, 2]


def test_a_pack_is_one_row_whose_samples_have_positions_of_their_own(load: Callable[..., causal.Causal]) -> None:
    learner = load(packing="true", max_seq_length=20)
    batch = learner.batch(ROWS, 1)
    pad = learner.tokenizer.pad_token_id
    assert batch["ids"].tolist() == [[1, 5, 6, 7, 8, 2, 1, 9, 10, 2, 1, 4, 4, 4, 4, 11, 2, pad, pad, pad]]
    assert batch["positions"].tolist() == [[*range(6), *range(4), *range(7), *range(3)]]
    assert batch["bounds"].tolist()[:5] == [0, 6, 10, 17, 20]
    assert set(batch["bounds"].tolist()[4:]) == {20}
    assert batch["rows"].tolist() == [2, 3, 4, 7, 8, 14, 15]
    assert batch["targets"].tolist() == [7, 8, 2, 10, 2, 11, 2]


def test_what_is_left_of_a_pack_is_samples_no_longer_than_the_longest(load: Callable[..., causal.Causal]) -> None:
    learner = load(packing="true", max_seq_length=256)
    batch = learner.batch([Tokens((1,) * 110, 1)], 1)
    assert batch["ids"].shape == (1, 128)
    assert batch["longest"] == TILE
    assert batch["bounds"].tolist()[:4] == [0, 110, 128, 128]
    batch = learner.batch([Tokens((1,) * 210, 1)], 4)
    assert batch["bounds"].tolist()[:4] == [0, 210, 256, 256]
    assert batch["longest"] == 210
    batch = learner.batch([Tokens((1,) * 12, 1)], 8)
    assert batch["bounds"].tolist()[:7] == [0, 12, 140, 268, 396, 512, 512]
    positions = batch["positions"][0]
    assert [int(position) for position in positions[[11, 12, 139, 140, 511]]] == [11, 0, 127, 0, 115]


def test_bounds_have_room_for_about_as_many_samples_as_a_pack_has(load: Callable[..., causal.Causal]) -> None:
    learner = load(packing="true", max_seq_length=256)
    learner.mean_tokens = 55.0
    for size, samples, room in ((1, 1, 16), (1, 15, 16), (1, 16, 32), (1, 40, 64), (4, 1, 32), (8, 1, 64)):
        assert len(learner.batch([Tokens((1, 2), 1)] * samples, size)["bounds"]) == room + 1


def test_targets_that_fill_up_a_shape_change_no_loss(load: Callable[..., causal.Causal]) -> None:
    learner = load(packing="true", max_seq_length=20, lora_dropout=0.0)
    _learnt(learner)
    found = []
    for learner.static in (False, True):
        learner.model.zero_grad()
        batch = learner.batch(ROWS, 1)
        loss = learner.scored(**batch)
        loss.backward()
        parts = [part.grad for part in learner.model.parameters() if part.requires_grad]
        found.append((len(batch["targets"]), len(batch["rows"]), float(loss.detach()), parts))
    (few, _, wanted, theirs), (many, rows, loss, ours) = found
    assert (few, many, rows) == (7, 10, 10)
    assert loss == pytest.approx(wanted, rel=1e-6)
    for one, other in zip(ours, theirs, strict=True):
        assert torch.allclose(one, other, rtol=1e-5, atol=1e-7)


def test_packed_and_padded_samples_have_the_same_loss_and_gradients(load: Callable[..., causal.Causal]) -> None:
    def one(packing: str, rows: Sequence[Tokens]) -> tuple[float, dict[str, torch.Tensor]]:
        learner = load(packing=packing, lora_dropout=0.0)
        assert learner.packs == (packing == "true")
        _learnt(learner)
        learner.model.zero_grad()
        loss = learner.scored(**learner.batch(rows, 1))
        loss.backward()
        parts = learner.model.named_parameters()
        return float(loss.detach()), {name: part.grad for name, part in parts if part.requires_grad}

    for rows in (ROWS, ROWS[:1], ROWS[1:]):
        (loss, gradients), (wanted, theirs) = one("true", rows), one("false", rows)
        assert loss == pytest.approx(wanted, rel=1e-5)
        for name, gradient in gradients.items():
            assert torch.allclose(gradient, theirs[name], rtol=1e-5, atol=1e-5 * float(theirs[name].abs().max()))


@pytest.mark.parametrize("in_4bit", ["true", "false"])
def test_in_bf16_packed_and_padded_samples_differ_by_its_rounding(
    load: Callable[..., causal.Causal], in_4bit: str
) -> None:
    learner = load(packing="true", lora_dropout=0.0, load_in_4bit=in_4bit)
    _learnt(learner)
    trained = [part for part in learner.model.parameters() if part.requires_grad]

    def one(rows: Sequence[Tokens], *, packs: bool) -> tuple[float, torch.Tensor]:
        learner.packs = packs
        learner.model.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = learner.scored(**learner.batch(rows, 1))
        loss.backward()
        return float(loss.detach()), torch.cat([part.grad.flatten().double() for part in trained])

    for row in ROWS:  # beside the same others in a pack, the loss and gradient that each adds
        others = [other for other in ROWS if other is not row]
        for rows in ([row], [row, *others]):
            (loss, gradient), (wanted, theirs) = one(rows, packs=True), one(rows, packs=False)
            assert loss == pytest.approx(wanted, rel=2**-8)
            assert float((gradient - theirs).norm() / theirs.norm()) < 0.03


def test_a_micro_batch_that_leaves_no_room_is_left_to_the_loop(
    load: Callable[..., causal.Causal], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    learner = load()
    assert learner.settle(4, steps=100) == ""
    learner.layers = Layers(learner.model)
    monkeypatch.setattr(fitting, "fit", full)
    forecast = learner.facts.forecast_gib
    assert "4 window(s) at once leave no room" in learner.settle(4, steps=100)
    assert (learner.layers.keeps, learner.facts.forecast_gib) == (0, forecast)


@pytest.mark.parametrize("packing", ["true", "false"])
def test_input_embeddings_in_the_hosts_memory_change_no_loss_and_no_gradient(
    load: Callable[..., causal.Causal], packing: str
) -> None:
    found = []
    for hosted in (False, True):
        learner = load(packing=packing, lora_dropout=0.0)
        if hosted:
            bytes_of = learner._hostable()
            learner.host()
            assert bytes_of == learner.table.numel() * 4 > 0 == learner._hostable()
            assert learner.model.get_input_embeddings().weight.numel() == 0
        for name, part in learner.model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(part, generator=torch.Generator().manual_seed(len(name)))
        loss = learner.scored(**learner.batch(ROWS, 4))
        loss.backward()
        grads = {name: part.grad for name, part in learner.model.named_parameters() if part.requires_grad}
        with torch.no_grad():
            assert float(learner.scored(**learner.batch(ROWS, 4))) == float(loss.detach())
        found.append((float(loss.detach()), grads))
    (wanted, theirs), (seen, mine) = found
    assert seen == wanted
    assert theirs and all(torch.equal(mine[name], grad) for name, grad in theirs.items())


def test_tied_input_embeddings_stay_where_they_are(load: Callable[..., causal.Causal]) -> None:
    learner = load()
    learner.model.get_output_embeddings().weight = learner.model.get_input_embeddings().weight
    assert learner._hostable() == 0


def test_packs_fill_the_window(load: Callable[..., causal.Causal]) -> None:
    learner = load(packing="true", max_seq_length=12)
    assert [[row.tokens for row in pack] for pack in learner.batches(ROWS, 1)] == [[7, 4], [6]]
    assert [[row.tokens for row in pack] for pack in learner.batches(ROWS, 2)] == [[7, 6, 4]]


def test_the_loss_is_the_sum_of_what_transformers_says_of_each_sample_alone(
    load: Callable[..., causal.Causal],
) -> None:
    learner = load()
    learner.model.eval()
    wanted = 0.0
    for row in ROWS:
        ids = torch.tensor([row.ids])
        labels = ids.clone()
        labels[:, : row.prompt] = -100
        wanted += float(learner.model(input_ids=ids, labels=labels).loss) * row.targets
    assert float(learner.scored(**learner.batch(ROWS, 1))) == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("in_4bit", ["true", "false"])
def test_adapters_sit_on_every_linear_layer_but_the_head(load: Callable[..., causal.Causal], in_4bit: str) -> None:
    learner = load(load_in_4bit=in_4bit)
    adapted = {
        name.split(".lora_A")[0].split(".")[-1] for name, _ in learner.model.named_parameters() if "lora_A" in name
    }
    assert adapted == {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}
    trained = sum(part.numel() for part in learner.model.parameters() if part.requires_grad)
    assert learner.facts.trainable_parameters == trained > 0
    assert learner.facts.loaded_in_4bit == (in_4bit == "true")
    whole = AutoModelForCausalLM.from_pretrained(learner.facts.base)
    assert learner.facts.total_parameters == sum(part.numel() for part in whole.parameters())


def test_4_bit_weights_are_nf4_with_double_quantisation(load: Callable[..., causal.Causal]) -> None:
    from bitsandbytes.nn import Linear4bit

    layers = [part for part in load(load_in_4bit="true").model.modules() if isinstance(part, Linear4bit)]
    assert len(layers) == 14
    assert all(layer.weight.quant_state.quant_type == "nf4" and layer.weight.quant_state.nested for layer in layers)


def test_4_bit_gradients_are_not_zero_after_a_forward_in_evaluation_mode(load: Callable[..., causal.Causal]) -> None:
    # bitsandbytes repacks weights in that forward on CPUs with AVX512-BF16, and gradients become 0.
    learner = load(load_in_4bit="true", lora_dropout=0.0)
    _learnt(learner)
    _logits(learner.model)
    learner.model.train()
    learner.model.zero_grad()
    learner.scored(**learner.batch(ROWS, 1)).backward()
    norms = {name: float(part.grad.norm()) for name, part in learner.model.named_parameters() if part.requires_grad}
    assert all(norm > 0 for norm in norms.values())


@pytest.mark.parametrize("in_4bit", ["true", "false"])
def test_the_saved_adapter_loads_the_standard_way(
    load: Callable[..., causal.Causal], tmp_path: Path, in_4bit: str
) -> None:
    learner = load(load_in_4bit=in_4bit)
    _learnt(learner)
    assert learner.save(tmp_path) == tmp_path / "adapter_model.safetensors"
    ours, tokenizer = causal.load_trained(tmp_path, load_in_4bit=in_4bit)
    assert torch.allclose(_logits(ours), _logits(learner.model), atol=1e-5)
    assert tokenizer.eos_token_id == learner.tokenizer.eos_token_id
    standard = AutoModelForCausalLM.from_pretrained(tmp_path)
    plain = AutoModelForCausalLM.from_pretrained(learner.facts.base)
    assert not torch.allclose(_logits(standard), _logits(plain), atol=1e-3)
    if in_4bit == "false":
        assert torch.allclose(_logits(standard), _logits(learner.model), atol=1e-5)


@pytest.mark.parametrize("in_4bit", [True, False])
def test_auto_loads_a_trained_model_as_it_was_trained(
    load: Callable[..., causal.Causal], tmp_path: Path, in_4bit: bool
) -> None:
    from bitsandbytes.nn import Linear4bit

    load(load_in_4bit=str(in_4bit)).save(tmp_path)
    (tmp_path / "result.json").write_text(json.dumps({"loaded_in_4bit": in_4bit}))
    model, _ = causal.load_trained(tmp_path)
    assert any(isinstance(part, Linear4bit) for part in model.modules()) == in_4bit


def test_an_adapters_folder_is_standard_and_names_its_base(load: Callable[..., causal.Causal], tmp_path: Path) -> None:
    learner = load()
    learner.save(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} >= {
        "adapter_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".safetensors"}
    assert json.loads((tmp_path / "adapter_config.json").read_text())["base_model_name_or_path"] == learner.facts.base


def test_rank_0_trains_every_weight_and_saves_a_whole_model(load: Callable[..., causal.Causal], tmp_path: Path) -> None:
    learner = load(lora_r=0, load_in_4bit="auto")
    assert learner.facts.trainable_parameters == learner.facts.total_parameters
    _learnt(learner)
    assert learner.save(tmp_path) == tmp_path / "model.safetensors"
    ours, _ = causal.load_trained(tmp_path)
    assert torch.equal(_logits(ours), _logits(learner.model))


def test_auto_says_why_on_a_machine_without_a_gpu(load: Callable[..., causal.Causal]) -> None:
    facts = load(load_in_4bit="auto").facts
    assert not facts.loaded_in_4bit
    assert "fit in 90% of" in facts.why_4bit


def test_the_window_is_the_bases_where_that_is_smaller(load: Callable[..., causal.Causal]) -> None:
    assert load(max_seq_length=4096).window == 256
    assert load(max_seq_length=100).window == 100


def test_a_missing_padding_token_is_lent_by_the_end_of_sequence(
    load: Callable[..., causal.Causal], base: Path, tmp_path: Path
) -> None:
    folder = _without_token(base, tmp_path, "pad_token")
    learner = load(folder)
    assert learner.tokenizer.pad_token_id == learner.tokenizer.eos_token_id
    whole = AutoModelForCausalLM.from_pretrained(base)
    assert learner.model.get_input_embeddings().weight.shape == whole.get_input_embeddings().weight.shape
    learner.tokenizer.pad_token_id = 0
    first = float(learner.scored.eval()(**learner.batch(ROWS, 1)))
    learner.tokenizer.pad_token_id = 17
    assert float(learner.scored(**learner.batch(ROWS, 1))) == pytest.approx(first, rel=1e-6)


def test_a_tokenizer_without_an_end_of_sequence_is_refused(
    load: Callable[..., causal.Causal], base: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="no end-of-sequence token"):
        load(_without_token(base, tmp_path, "eos_token"))


def _without_token(base: Path, tmp_path: Path, name: str) -> Path:
    folder = Path(shutil.copytree(base, tmp_path / "base"))
    config = folder / "tokenizer_config.json"
    told = json.loads(config.read_text())
    told.pop(name)
    config.write_text(json.dumps(told))
    return folder


def test_broken_weights_are_said_to_be_broken(load: Callable[..., causal.Causal], base: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(base, tmp_path / "base"))
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(UserError, match="cannot be loaded"):
        load(folder)


def test_a_trained_model_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not found"):
        causal.load_trained(tmp_path)
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(UserError, match="unreadable"):
        causal.load_trained(tmp_path)


def test_an_adapter_whose_base_is_gone_names_the_base(
    load: Callable[..., causal.Causal], base: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(base, tmp_path / "base"))
    load(folder).save(tmp_path / "model")
    shutil.rmtree(folder)
    with pytest.raises(UserError, match=f"'{folder}': not found"):
        causal.load_trained(tmp_path / "model")


def test_the_same_seed_gives_the_same_adapters(load: Callable[..., causal.Causal]) -> None:
    def start(seed: int) -> torch.Tensor:
        named = dict(load(seed=seed).model.named_parameters())
        return next(part for name, part in named.items() if "lora_A" in name).detach()

    assert torch.equal(start(3), start(3))
    assert not torch.equal(start(3), start(4))


def test_a_sample_is_encoded_into_what_a_batch_takes(load: Callable[..., causal.Causal]) -> None:
    learner = load()
    examples = learner.encode([Sample("a", "Write add.", "def add"), Sample("b", "Write.", "x")], Path("f.jsonl"))
    assert learner.batch(examples, 2)["ids"].shape == (2, max(example.tokens for example in examples))
    assert float(learner.scored(**learner.batch(examples, 2))) > 0


@pytest.mark.parametrize("in_4bit", ["true", "false"])
def test_the_gradients_of_a_step_in_bf16_lie_near_those_in_float32(
    load: Callable[..., causal.Causal], in_4bit: str
) -> None:
    learner = load(load_in_4bit=in_4bit, lora_dropout=0.0, packing="true")
    _learnt(learner)
    trained = [part for part in learner.model.parameters() if part.requires_grad]
    found = []
    for precise in (True, False):
        learner.model.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=not precise):
            learner.scored(**learner.batch(ROWS, 4)).backward()
        found.append(torch.cat([part.grad.flatten().double() for part in trained]))
    wanted, seen = found
    assert not torch.equal(seen, wanted)
    assert float((seen - wanted).norm() / wanted.norm()) < 0.03
