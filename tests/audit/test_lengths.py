"""Lengths are estimated without a vocabulary, or measured with a tokenizer of one's own."""

from pathlib import Path

import pytest

from sluicegate.audit.lengths import counters, estimate, measured
from sluicegate.audit.reading import Row
from sluicegate.errors import UserError
from sluicegate.records import Sample

MANIFEST = """\
apiVersion: v1
kind: Service
metadata:
  name: helpdesk-portal
spec:
  ports:
  - port: 80
    targetPort: 8080
"""


@pytest.mark.parametrize("by", ["llama3-like", "codet5-like"])
def test_estimates_grow_with_the_text_and_are_near_a_token_a_word(by: str) -> None:
    assert estimate("", by) == 0
    assert estimate(MANIFEST * 3, by) == pytest.approx(3 * estimate(MANIFEST, by), abs=3)
    words = len(MANIFEST.split())
    assert words < estimate(MANIFEST, by) < 3.5 * words
    assert estimate("internationalization", by) > estimate("nation", by)


def test_the_longest_and_the_spread_are_told() -> None:
    rows = [Row(f"f:{n}", Sample(f"s{n}", "ask " * n, "say " * n * n)) for n in (3, 1, 2)]
    [(by, count), _] = counters([]).items()
    told = measured(rows, by, count)
    assert told is not None
    assert (told.by, told.longest) == ("llama3-like", "s3")
    assert told.prompt[0] < told.prompt[1] < told.prompt[2]
    assert told.most == told.prompt[2] + told.completion[2]
    assert measured([], by, count) is None


def test_a_tokenizer_of_ones_own_counts(tmp_path: Path) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel({"a": 0, "b": 1, "?": 2}, unk_token="?"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    (tmp_path / "mine").mkdir()
    made.save(str(tmp_path / "mine" / "tokenizer.json"))
    [(name, count)] = counters([tmp_path / "mine"]).items()
    assert (name, count("a b c a")) == ("mine", 4)


@pytest.mark.parametrize("text", [None, "{}", "no JSON"])
def test_no_tokenizer_is_the_users_fault(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "tokenizer.json").write_text(text)
    with pytest.raises(UserError, match="no tokenizer"):
        counters([tmp_path])
