"""Near-duplicates are those that differ in layout, comments and numbers, or in little of much."""

from sluicegate.audit.near import features, pairs
from sluicegate.audit.reading import Row
from sluicegate.records import Sample

LONG = "\n".join(f"    total{n} = rate{n} * left{n} + right{n}" for n in range(30))


def row(name: str, prompt: str, completion: str, split: str = "") -> Row:
    return Row(f"file:{name}", Sample(name, prompt, completion), split)


def test_layout_comments_numbers_and_case_do_not_count() -> None:
    one = "def f(x):\n    # add\n    return x + 1\n"
    assert features(one) == features("DEF F(X): return x + 25")
    assert features("a /* b */ = 1; // c") == features("a = 2; // c")
    assert features("SELECT a -- b\n") != features("SELECT a")  # only lines of comments are left out
    assert features("") == features(" \n")


def test_a_pair_is_told_once_for_what_is_alike_and_measured() -> None:
    changed = LONG.replace("total7", "sum7")
    [pair] = pairs(
        [row("a", "do this", LONG, "train"), row("b", "or that", changed, "test"), row("c", "x", "y = f(z)")]
    )
    assert (pair.what, pair.one.sample.id, pair.two.sample.id, pair.splits) == ("answer", "a", "b", "train-test")
    assert 0.95 < pair.similarity < 1
    assert pair.apart is False
    both = pairs([row("a", LONG, LONG, "val"), row("b", LONG, LONG, "val")])
    assert [(pair.what, pair.splits, pair.similarity) for pair in both] == [("request", "val", 1), ("answer", "val", 1)]


def test_samples_of_a_theme_are_not_near() -> None:
    assert (
        pairs([row("a", "sum the prices of all orders", LONG), row("b", "sum the weights", LONG.upper()[:300])]) == []
    )
