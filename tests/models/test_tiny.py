import json
from pathlib import Path

import pytest

from sluicegate import jsonl
from sluicegate.errors import USER, UserError
from sluicegate.models import tiny
from sluicegate.records import Sample

pytestmark = pytest.mark.torch
TEXTS = ["Write add.\n", "def add(x, y):\n    return x + y\n", "größer → ≥ 🙂\n"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The base of the demo, in its real size."""
    return tiny.build(tmp_path_factory.mktemp("tiny") / "base", TEXTS)


def test_it_has_one_to_five_million_parameters_in_shapes_that_4_bit_takes(whole: Path) -> None:
    from safetensors import safe_open

    with safe_open(whole / "model.safetensors", "pt") as file:
        shapes = [file.get_slice(name).get_shape() for name in file.keys()]  # noqa: SIM118 (not a dict)
    total = sum(shape[0] * (shape[1] if len(shape) > 1 else 1) for shape in shapes)
    assert 1_000_000 <= total <= 5_000_000
    assert all(size % 64 == 0 for shape in shapes for size in shape)


def test_its_window_holds_1024_tokens_or_more(whole: Path) -> None:
    assert json.loads((whole / "config.json").read_text())["max_position_embeddings"] >= 1024


def test_it_holds_safetensors_and_json_only(whole: Path) -> None:
    assert {path.suffix for path in whole.iterdir()} == {".safetensors", ".json"}


def test_the_same_texts_and_seed_give_the_same_bytes(whole: Path, tmp_path: Path) -> None:
    again = tiny.build(tmp_path / "again", TEXTS)
    names = [path.name for path in whole.iterdir()]
    assert [jsonl.sha256(again / name) for name in names] == [jsonl.sha256(whole / name) for name in names]


def test_another_seed_gives_other_weights(whole: Path, tmp_path: Path) -> None:
    other = tiny.build(tmp_path / "other", TEXTS, seed=1)
    assert jsonl.sha256(other / "model.safetensors") != jsonl.sha256(whole / "model.safetensors")


def test_building_leaves_the_random_state_alone(tmp_path: Path) -> None:
    import torch

    torch.manual_seed(7)
    before = torch.get_rng_state()
    tiny.build(tmp_path / "base", TEXTS, shape=tiny.SHAPE | {"num_hidden_layers": 1})
    assert torch.equal(before, torch.get_rng_state())


def test_its_tokenizer_gives_every_text_back(whole: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(whole)
    assert [tokenizer.decode(tokenizer(text)["input_ids"], skip_special_tokens=True) for text in TEXTS] == TEXTS
    assert tokenizer("x")["input_ids"][0] == tokenizer.bos_token_id
    assert len({tokenizer.pad_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id}) == 3


def test_what_is_there_already_is_not_made_again(whole: Path) -> None:
    before = (whole / "model.safetensors").stat().st_mtime_ns
    assert tiny.build(whole, TEXTS) == whole
    assert (whole / "model.safetensors").stat().st_mtime_ns == before


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match="holds something else"):
        tiny.build(tmp_path, TEXTS)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_place_that_cannot_be_written_to_is_named() -> None:
    with pytest.raises(UserError, match="/proc/nowhere/base: cannot be written"):
        tiny.build(Path("/proc/nowhere/base"), TEXTS)


def test_cached_bases_are_told_apart_by_their_texts(tmp_path: Path) -> None:
    assert tiny.key(["a"], seed=0) != tiny.key(["b"], seed=0) != tiny.key(["b"], seed=1)
    first = tiny.cached(tmp_path, TEXTS)
    assert first == tiny.cached(tmp_path, TEXTS)
    assert first.name == f"tiny-{tiny.key(TEXTS, seed=0)[:12]}"


def test_the_command_makes_one_base_of_several_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    jsonl.write(tmp_path / "a.jsonl", [Sample("a", TEXTS[0], TEXTS[1])])
    jsonl.write(tmp_path / "b.jsonl", [Sample("b", TEXTS[2], TEXTS[1])])
    assert tiny.main([str(tmp_path / "base"), str(tmp_path / "a.jsonl"), str(tmp_path / "b.jsonl")]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "base")
    assert tiny.key(sorted(TEXTS), seed=0) in (tmp_path / "base" / "config.json").read_text()


def test_the_command_names_a_file_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert tiny.main([str(tmp_path / "base"), str(tmp_path / "no.jsonl")]) == USER
    assert "no.jsonl" in capsys.readouterr().err
    assert not (tmp_path / "base").exists()
