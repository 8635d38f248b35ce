"""Before any training, attention does what copying needs: it looks at neighbours and finds what came behind a token."""

from pathlib import Path
from typing import Any

import pytest
import torch

from pair_samples import SMALL, samples
from sluicegate.models import kind, scratch

pytestmark = pytest.mark.torch
KINDS = ("seq2seq", "dual")
TOKENS = torch.arange(10, 60)[None]


def looked(folder: Path, name: str, **shape: Any) -> dict[str, Any]:
    """The first layer's attention, [heads, to, from], of reading, of writing and of looking at what was read.

    What is read, and written again, are fifty tokens that differ; `next` is where among them, by the head, the next one
    comes at each place.
    """
    texts = scratch.texts_of(samples())
    made = scratch.build(folder / name, texts, kind=name, shape={**SMALL, **shape}, size=320)
    model, _ = kind(name).load_trained(made)
    model.set_attn_implementation("eager")
    reader = model.encoder if name == "seq2seq" else model.encoder.intent
    with torch.no_grad():
        read = reader(input_ids=TOKENS, output_attentions=True)
        states = read.last_hidden_state
        said = model.decoder(input_ids=TOKENS, encoder_hidden_states=states, output_attentions=True, use_cache=False)
        scores = model.lm_head(said.last_hidden_state)[0, :-1, TOKENS[0]]
    ranks = (scores > scores.diagonal(1)[:, None]).sum(1)
    found = {"read": read.attentions, "own": said.attentions, "across": said.cross_attentions}
    return {name: layers[0][0] for name, layers in found.items()} | {"next": ranks.float()}


def at(weights: Any, distance: int) -> float:
    """The mean weight that is given to the token at a distance."""
    return float(weights.diagonal(distance, -2, -1).mean())


@pytest.mark.parametrize("name", KINDS)
def test_heads_look_at_neighbours(name: str, tmp_path: Path) -> None:
    seen = looked(tmp_path, name, mimetic=True)
    assert min(at(seen["read"][head], place) for head, place in enumerate((-1, 0, 1))) > 0.5
    assert min(at(seen["own"][head], place) for head, place in enumerate((-1, -2))) > 0.5


@pytest.mark.parametrize("name", KINDS)
def test_the_decoder_finds_the_token_behind_the_one_that_it_is_at(name: str, tmp_path: Path) -> None:
    found, random = looked(tmp_path / "a", name, mimetic=True), looked(tmp_path / "b", name)
    near, by_chance = (at(one["across"][:2], 1) for one in (found, random))
    assert (near > 0.3, by_chance < 0.05) == (True, True)
    assert float(found["next"].median()) + 5 < float(random["next"].median())
