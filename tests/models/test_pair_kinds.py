"""Both kinds of encoder-decoder as learners: what they are given, how they learn, what they save and refuse."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from pair_samples import SMALL, base, samples, settings
from sluicegate.errors import UserError
from sluicegate.models import kind, pairs, scratch, seq2seq
from sluicegate.models.pairs import Pair
from sluicegate.models.seq2seq import EncoderDecoder, Tried
from sluicegate.records import Sample
from sluicegate.settings import TrainSettings

pytestmark = pytest.mark.torch
KINDS = ("seq2seq", "dual")
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("bases")
    return {name: base(folder, name) for name in KINDS}


def loaded(tmp_path: Path, name: str, folder: Path, **changes: Any) -> EncoderDecoder:
    asked = settings(tmp_path, name, **changes)
    learner: EncoderDecoder = kind(name).load(asked, str(folder), CPU)  # type: ignore[assignment]
    return learner


def loss(learner: Any, examples: Any, size: int = 8) -> torch.Tensor:
    parts = [learner.scored(**learner.batch(batch, size)) for batch in learner.batches(examples, size)]
    total: torch.Tensor = torch.stack(parts).sum() / sum(example.targets for example in examples)
    return total


@pytest.mark.parametrize("name", KINDS)
def test_it_learns_what_needs_both_inputs_and_comes_back_from_its_folder(
    name: str, bases: dict[str, Path], tmp_path: Path
) -> None:
    learner = loaded(tmp_path, name, bases[name])
    examples = learner.encode(samples(), Path("x"))
    optimizer = torch.optim.AdamW(learner.model.parameters(), lr=5e-3)
    learner.scored.train()
    losses = []
    for step in range(24):
        optimizer.zero_grad()
        made = loss(learner, examples[step % 2 :: 2], 16)
        made.backward()
        if name == "dual" and step == 0:
            grads = [part.grad.abs().max() for part in learner.model.encoder.pattern.block.parameters()]
            assert min(grads) > 0
        torch.nn.utils.clip_grad_norm_(learner.model.parameters(), 1.0)
        optimizer.step()
        losses.append(made.item())
    assert losses[-1] < 0.5 * losses[0]
    learner.scored.eval()
    with torch.no_grad():
        seen = float(loss(learner, examples))
    weights = learner.save(tmp_path / "saved")
    assert weights.name == "model.safetensors"
    assert "sluicegate" in (tmp_path / "saved" / "README.md").read_text()
    model, tokenizer = kind(name).load_trained(tmp_path / "saved")
    again = loaded(tmp_path, name, tmp_path / "saved")
    again.scored.eval()
    with torch.no_grad():
        assert float(loss(again, again.encode(samples(), Path("x")))) == seen
    batch = learner.inputs(examples[:2])
    assert torch.equal(
        model.generate(**batch, max_new_tokens=8), learner.model.eval().generate(**batch, max_new_tokens=8)
    )
    assert [list(part) for part in examples[0].given] == list(kind(name).given_ids(tokenizer, samples()[0]))


@pytest.mark.parametrize("name", KINDS)
def test_the_loss_is_transformers_own_whatever_the_padding_and_the_batches(
    name: str, bases: dict[str, Path], tmp_path: Path
) -> None:
    learner = loaded(tmp_path, name, bases[name])
    learner.scored.eval()
    examples = learner.encode(samples(), Path("x"))[:6]
    with torch.no_grad():
        one_by_one = [
            learner.model(**learner.inputs([row]), labels=torch.tensor([row.target_ids])).loss * row.targets
            for row in examples
        ]
        wanted = torch.stack(one_by_one).sum() / sum(row.targets for row in examples)
        assert torch.allclose(loss(learner, examples, 8), wanted, rtol=1e-5)
        assert torch.allclose(loss(learner, examples, 1), wanted, rtol=1e-5)


def test_one_encoder_reads_prompt_and_context_with_an_end_between_two_read_them_apart(bases: dict[str, Path]) -> None:
    _, tokenizer = kind("seq2seq").load_trained(bases["seq2seq"])
    sample, end = samples()[1], tokenizer.eos_token_id
    prompt, context = (tokenizer(text)["input_ids"] for text in (sample.prompt, sample.context))
    assert kind("seq2seq").given_ids(tokenizer, sample) == ([*prompt, end, *context, end],)
    assert kind("dual").given_ids(tokenizer, sample) == ([*prompt, end], [*context, end])
    bare = Sample("a", sample.prompt, "", context="")
    assert kind("seq2seq").given_ids(tokenizer, bare) == ([*prompt, end],)
    assert kind("dual").given_ids(tokenizer, bare) == ([*prompt, end], [])


def test_a_batch_keeps_to_the_budget_its_padding_counted() -> None:
    rows = [Pair(((1,) * length, (1,) * 3), (1,) * 10) for length in (60, 8, 8, 8, 30, 31)]
    batches = pairs.batched(rows, 200, step=8)
    assert sorted(len(row.given[0]) for batch in batches for row in batch) == [8, 8, 8, 30, 31, 60]
    assert all(len(batch) * sum(pairs.shape(batch, step=8)) <= 200 for batch in batches)
    assert pairs.batched(rows[:1], 10, step=8) == [rows[:1]]
    assert pairs.batched([], 10, step=8) == []


def test_no_side_of_a_pack_has_more_tokens_than_its_limit() -> None:
    rows = [Pair(((1,) * length, (1,) * 3), (1,) * target) for length, target in ((60, 9), (8, 1), (30, 20), (31, 19))]
    packs = pairs.packed(rows, (61, 12, 30))
    assert packs == [[rows[2], rows[1]], [rows[3]], [rows[0]]]
    assert pairs.packed(rows, (200, 200, 200)) == [[rows[2], rows[3], rows[0], rows[1]]]
    assert pairs.packed(rows[:1], (10, 10, 10)) == [rows[:1]]
    assert pairs.packed([], (10, 10, 10)) == []


def test_batches_have_the_room_of_the_largest_samples_and_not_of_empty_windows(
    bases: dict[str, Path], tmp_path: Path
) -> None:
    learner = loaded(tmp_path, "dual", bases["dual"], max_seq_length=1024)
    examples = learner.encode(samples(), Path("x"))
    assert len(learner.batches(examples, 4)) == 1
    assert learner.settle(4, steps=1) == ""
    batches = learner.batches(examples, 4)
    assert sum(map(len, batches)) == len(examples)
    assert max(map(len, batches)) <= 8


@pytest.mark.parametrize("name", KINDS)
def test_a_sample_longer_than_the_window(name: str, bases: dict[str, Path], tmp_path: Path) -> None:
    long = Sample("long", "name it " + "web " * 60, "kind: Pod\n", context="kind: Pod\n")
    learner = loaded(tmp_path, name, bases[name], max_seq_length=40)
    with pytest.raises(UserError, match=r"longer than the window.*'long'"):
        learner.encode([samples()[0], long], Path("x"))
    dropped = loaded(tmp_path, name, bases[name], max_seq_length=40, over_long="drop")
    assert len(dropped.encode([samples()[0], long], Path("x"))) == 1
    with pytest.raises(UserError, match="none is left"):
        dropped.encode([long], Path("x"))
    cut = loaded(tmp_path, name, bases[name], max_seq_length=40, over_long="truncate")
    (row,) = cut.encode([long], Path("x"))
    whole = kind(name).given_ids(cut.tokenizer, long)
    assert list(row.given[0]) == whole[0][-40:]
    with pytest.raises(UserError, match="cannot be cut"):
        cut.encode([Sample("talk", "name", "kind: Pod\n" * 40)], Path("x"))
    if name == "seq2seq":
        with pytest.raises(UserError, match="cannot be cut"):
            cut.encode([Sample("full", "name", "x", context="kind: Pod\n" * 40)], Path("x"))
    else:
        (row,) = cut.encode([Sample("full", "name", "x", context="kind: Pod\n" * 40)], Path("x"))
        assert len(row.given[1]) == 40
        assert row.given[1][-1] == cut.tokenizer.eos_token_id


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("in_4bit", ["false", "true"])
def test_adapters_learn_and_come_back(name: str, in_4bit: str, bases: dict[str, Path], tmp_path: Path) -> None:
    learner = loaded(tmp_path, name, bases[name], lora_r=4, load_in_4bit=in_4bit)
    assert learner.facts.trainable_parameters < 0.2 * learner.facts.total_parameters
    examples = learner.encode(samples(8), Path("x"))
    optimizer = torch.optim.AdamW([part for part in learner.model.parameters() if part.requires_grad], lr=1e-2)
    losses = []
    for _ in range(8):
        optimizer.zero_grad()
        made = loss(learner, examples)
        made.backward()
        optimizer.step()
        losses.append(made.item())
    assert losses[-1] < losses[0]
    learner.scored.eval()
    assert learner.save(tmp_path / "saved").name == "adapter_model.safetensors"
    model, _ = kind(name).load_trained(tmp_path / "saved", load_in_4bit=in_4bit)
    batch = learner.inputs(examples[:2])
    assert torch.equal(model.generate(**batch, max_new_tokens=4), learner.model.generate(**batch, max_new_tokens=4))


def test_a_single_t5_made_dual_says_at_first_what_the_t5_says(bases: dict[str, Path], tmp_path: Path) -> None:
    plain = [Sample(row.id, row.prompt, row.completion) for row in samples(6)]

    def said(learner: EncoderDecoder, rows: list[Sample]) -> torch.Tensor:
        examples, target = learner.encode(rows, Path("x")), torch.arange(2, 12).expand(len(rows), -1)
        with torch.no_grad():
            logits: torch.Tensor = learner.model.eval()(**learner.inputs(examples), decoder_input_ids=target).logits
        return logits

    wanted = said(loaded(tmp_path, "seq2seq", bases["seq2seq"]), plain)
    dual = loaded(tmp_path, "dual", bases["seq2seq"])
    assert torch.equal(said(dual, samples(6)), wanted)
    made = scratch.warm(tmp_path / "warm", str(bases["seq2seq"]), choices={"fusion": "one", "memory": "both"})
    both = loaded(tmp_path, "dual", made)
    assert both.model.config.memory == "both"
    assert torch.allclose(said(both, plain), wanted, atol=1e-5)
    assert not torch.allclose(said(both, samples(6)), wanted, atol=1e-3)


def test_a_t5_with_a_gated_dense_part_and_a_head_of_its_own_is_taken_over(
    bases: dict[str, Path], tmp_path: Path
) -> None:
    from transformers import T5Config, T5ForConditionalGeneration

    _, tokenizer = kind("seq2seq").load_trained(bases["seq2seq"])
    shape = {**SMALL, "vocab_size": len(tokenizer), "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}
    single = T5ForConditionalGeneration(T5Config(**shape, decoder_start_token_id=0)).eval()
    single.lm_head.weight = torch.nn.Parameter(torch.randn_like(single.lm_head.weight))
    single.save_pretrained(tmp_path / "gated")
    tokenizer.save_pretrained(tmp_path / "gated")
    dual = loaded(tmp_path, "dual", tmp_path / "gated")
    dual.save(tmp_path / "saved")
    again, _ = kind("dual").load_trained(tmp_path / "saved")
    inputs, target = dual.inputs(dual.encode(samples(4), Path("x"))), torch.arange(2, 12).expand(4, -1)
    alone = {name: inputs[name] for name in ("input_ids", "attention_mask")}
    with torch.no_grad():
        wanted = single(**alone, decoder_input_ids=target).logits
        assert torch.allclose(dual.model.eval()(**inputs, decoder_input_ids=target).logits, wanted, atol=1e-5)
        assert torch.allclose(again(**inputs, decoder_input_ids=target).logits, wanted, atol=1e-5)


@pytest.mark.parametrize(
    ("names", "changes", "said"),
    [
        (("seq2seq", "dual"), {}, "MODEL_KIND=dual"),
        (("dual", "dual"), {"dual_fusion": "one"}, "the base has another shape"),
        (("dual", "seq2seq"), {"lora_r": 4}, "need a base that is a dual encoder"),
        (("dual", "seq2seq"), {"load_in_4bit": "true", "lora_r": 4}, "need a base that is a dual encoder"),
        (("seq2seq", "seq2seq"), {"load_in_4bit": "true"}, "LOAD_IN_4BIT=true with LORA_R=0"),
    ],
)
def test_what_does_not_go_together_is_refused(
    names: tuple[str, str], changes: dict[str, Any], said: str, bases: dict[str, Path], tmp_path: Path
) -> None:
    name, of = names
    with pytest.raises(UserError) as caught:
        loaded(tmp_path, name, bases[of], **changes)
    assert said in str(caught.value)


@pytest.mark.parametrize("name", KINDS)
def test_a_base_of_another_family_is_refused(name: str, tmp_path: Path) -> None:
    from transformers import BartConfig

    BartConfig().save_pretrained(tmp_path / "bart")
    with pytest.raises(UserError, match=f"not a model of kind {name}"):
        loaded(tmp_path, name, tmp_path / "bart")


@pytest.mark.parametrize("change", [{"d_ff": 192}, {"num_layers": 3}])
def test_weights_of_another_shape_are_refused(change: dict[str, int], bases: dict[str, Path], tmp_path: Path) -> None:
    import json
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(bases["dual"], copy)
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(UserError, match="of another shape"):
        loaded(tmp_path, "dual", copy)


def test_every_weight_is_trained_unless_lora_r_is_set(tmp_path: Path) -> None:
    assert [settings(tmp_path, name).lora_r for name in ("seq2seq", "dual", "causal")] == [0, 0, 16]
    assert settings(tmp_path, "dual", lora_r=8).lora_r == 8


def test_a_base_is_the_same_for_the_same_texts_and_another_for_other_choices(tmp_path: Path) -> None:
    texts = scratch.texts_of(samples())
    made = [
        scratch.build(tmp_path / str(number), texts, kind="dual", shape=SMALL, size=320, choices=choices)
        for number, choices in enumerate(({}, {}, {"tables": "separate"}))
    ]
    first, again, other = ((folder / "model.safetensors").read_bytes() for folder in made)
    assert first == again != other
    assert scratch.build(made[0], texts, kind="dual", shape=SMALL, size=320, choices={}) == made[0]
    with pytest.raises(UserError, match="holds something else"):
        scratch.build(made[0], texts, kind="seq2seq", shape=SMALL, size=320)


def test_the_command_makes_a_tiny_base(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from sluicegate import jsonl

    jsonl.write(tmp_path / "train.jsonl", samples())
    out = tmp_path / "base"
    assert scratch.main([str(out), "--kind", "dual", "--shape", "tiny", str(tmp_path / "train.jsonl")]) == 0
    assert capsys.readouterr().out.strip() == str(out)
    model, _ = kind("dual").load_trained(out)
    assert 2_000_000 < model.num_parameters() < 4_000_000
    for wrong in (["--kind", "dual"], ["--kind", "seq2seq", "--fusion", "one", str(tmp_path / "train.jsonl")]):
        assert scratch.main([str(tmp_path / "no"), *wrong]) == 2
    assert not (tmp_path / "no").exists()


def test_memory_is_forecast_for_full_windows(bases: dict[str, Path], tmp_path: Path) -> None:
    from sluicegate.models.base import find
    from sluicegate.models.pair_memory import forecast_gib
    from sluicegate.models.seq2seq import config_of, sized

    size = sized(config_of(find(str(bases["dual"]))), 2)

    def forecast(**changes: Any) -> float:
        asked: TrainSettings = settings(tmp_path, "dual", **changes)
        return forecast_gib(size, asked, in_4bit=False, window=asked.max_seq_length, gpu=False)

    assert forecast() < forecast(batch_size=16) < forecast(batch_size=16, max_seq_length=128)
    assert forecast(lora_r=4) < forecast()
    learns = {"method": "rloo", "rl_batch": 8}
    assert forecast() < forecast(select_by="token_f1") < forecast(select_by="token_f1", select_samples=128)
    assert forecast(**learns) < forecast(**learns, rl_prompts=128) < forecast(**learns, rl_prompts=128, rl_samples=16)
    assert forecast(**learns) < forecast(**(learns | {"rl_batch": 64}))
    assert forecast(**learns, rl_max_new_tokens=64) < forecast(**learns, rl_max_new_tokens=65)


@pytest.mark.parametrize(("size", "read", "rows"), [(16, 4, 16), (7, 1, 4), (3, 1, 3)])
def test_what_is_tried_for_learning_by_reward_are_whole_groups_of_the_longest_answers(
    bases: dict[str, Path], tmp_path: Path, size: int, read: int, rows: int
) -> None:
    asked = {"method": "rloo", "rl_samples": 4, "rl_max_new_tokens": 50}
    learner = loaded(tmp_path, "dual", bases["dual"], **asked)
    learner.encode(samples(), Path("x"))
    assert learner.largest is not None
    batch, whole = learner.trials(learner.largest, size)
    assert len(whole["input_ids"]) == len(whole["decoder_input_ids"]) == min(size, learner.settings.rl_prompts)
    assert (len(batch["input_ids"]), len(batch["pattern_input_ids"])) == (read, read)
    assert len(batch["decoder_input_ids"]) == rows and len(batch["targets"]) == rows * 50
    assert torch.isfinite(learner.scored(**batch))


@pytest.mark.parametrize(("gib", "again"), [(0.1, False), (60.0, True)])
def test_layers_compute_again_where_a_training_does_not_fit_beside_all_it_holds(
    bases: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gib: float, again: bool
) -> None:
    learner = loaded(tmp_path, "dual", bases["dual"], method="rloo", rl_samples=4, rl_max_new_tokens=50)
    learner.encode(samples(), Path("x"))
    asked: list[str] = []
    gpu = SimpleNamespace(device=SimpleNamespace(type="cuda"))
    learner.model = SimpleNamespace(
        parameters=lambda: iter([gpu]),
        gradient_checkpointing_enable=lambda **_: asked.append("checkpointing"),
        config=learner.model.config,
    )

    def tried(*_: Any, compiles: bool) -> Tried:
        asked.append("compiled" if compiles else "plain")
        return Tried(int(gib * 2**30), "not compiled")

    monkeypatch.setattr(seq2seq, "tried", tried)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (50 * 2**30, 80 * 2**30))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda: 0)
    said = learner.settle(16, steps=1)
    assert said.startswith("16 answer(s) of ") and ("again" in said) is again
    assert asked == (["plain", "checkpointing", "plain"] if again else ["plain"])
    assert gib < learner.facts.forecast_gib < gib + 1
