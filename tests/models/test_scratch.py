"""Random bases: weights that AdamW can train, in a folder that says so to whoever loads it."""

from pathlib import Path

import pytest
import torch

from pair_samples import SMALL, base, samples, settings
from sluicegate.models import kind, scratch
from sluicegate.train import loop
from sluicegate.train.weights import trained

pytestmark = pytest.mark.torch
KINDS = ("seq2seq", "dual")


@pytest.mark.parametrize("name", KINDS)
def test_tables_of_tokens_are_small_and_all_else_is_as_t5_has_it(name: str, tmp_path: Path) -> None:
    model, _ = kind(name).load_trained(base(tmp_path, name))
    width, of_head = SMALL["d_model"], SMALL["d_kv"]
    tables = [part.weight.detach() for part in model.modules() if isinstance(part, torch.nn.Embedding)]
    tokens = [table for table in tables if len(table) == model.config.vocab_size]
    places = [table for table in tables if len(table) == model.config.relative_attention_num_buckets]
    assert all(float(table.std()) == pytest.approx(scratch.TABLE_STD, rel=0.05) for table in tokens)
    assert all(float(table.std()) == pytest.approx(width**-0.5, rel=0.3) for table in places)
    assert min(len(tokens), len(places)) > 1
    weights = {key: weight.detach().flatten() for key, weight in model.named_parameters()}
    queries, keys = (
        torch.cat([weight for key, weight in weights.items() if key.endswith(f"Attention.{part}.weight")])
        for part in "qk"
    )
    assert float(queries.std()) == pytest.approx((width * of_head) ** -0.5, rel=0.05)
    assert float(keys.std()) == pytest.approx(width**-0.5, rel=0.05)


@pytest.mark.parametrize("name", KINDS)
def test_what_the_head_says_is_not_scaled_down_after_saving_and_loading(name: str, tmp_path: Path) -> None:
    model, tokenizer = kind(name).load_trained(base(tmp_path, name))
    model.save_pretrained(tmp_path / "again")
    tokenizer.save_pretrained(tmp_path / "again")
    again, _ = kind(name).load_trained(tmp_path / "again")
    assert again.config.scale_decoder_outputs is False
    assert again.config.query_rate == SMALL["d_kv"] ** -0.5
    ids = torch.tensor([[5, 6, 1]])
    with torch.no_grad():
        out = again(input_ids=ids, decoder_input_ids=ids, output_hidden_states=True)
    torch.testing.assert_close(out.logits, again.lm_head(out.decoder_hidden_states[-1]))


def test_queries_of_a_random_base_learn_at_their_own_rate_and_those_of_other_bases_do_not(tmp_path: Path) -> None:
    asked = settings(tmp_path, "seq2seq", learning_rate=0.01)
    model, _ = kind("seq2seq").load_trained(base(tmp_path, "seq2seq"))
    for rate, shares in ((model.config.query_rate, {"q": 0.25, "k": 1.0}), (1.0, {"q": 1.0, "k": 1.0})):
        optimizer = loop._optimizer(asked, trained(model), rate)
        told = {id(part): group.get("share", 1.0) for group in optimizer.param_groups for part in group["params"]}
        assert len(told) == len(list(model.parameters()))
        for name, weight in model.named_parameters():
            if name.endswith(("Attention.q.weight", "Attention.k.weight")):
                assert told[id(weight)] == shares[name.split(".")[-2]]


def test_a_tiny_dual_encoder_has_no_dropout_anywhere_and_others_have_t5s(tmp_path: Path) -> None:
    texts = scratch.texts_of(samples())
    rates = []
    for number, more in enumerate(({"dropout_rate": 0.0}, {})):
        made = scratch.build(tmp_path / str(number), texts, kind="dual", shape=SMALL | more, size=320)
        config = kind("dual").load_trained(made)[0].config
        rates.append((config.dropout_rate, config.fusion_dropout))
    assert rates == [(0.0, 0.0), (0.1, 0.1)]
    assert scratch.SHAPES["tiny"]["dropout_rate"] == 0.0
