"""Score files to comparisons in one call: the same rows as step by step, the primary metric, what it prints."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from sluicegate import jsonl
from sluicegate.compare import compare, compare_files, load_scores, reachable, summary
from sluicegate.compare.reduction import PASSES
from sluicegate.errors import UserError
from sluicegate.records import Sample, Score


def arm(folder: Path, name: str, rate: float, *, seed: int, metric: str = PASSES, samples: int = 20) -> Path:
    passed = np.random.default_rng(seed).random((samples, 3)) < rate
    rows = [
        Score(f"s{sample:02d}", name, draw, metric, float(value))
        for sample, draws in enumerate(passed)
        for draw, value in enumerate(draws)
    ]
    jsonl.write(folder / f"{name}.jsonl", rows)
    return folder / f"{name}.jsonl"


def foreign(folder: Path, name: str, **columns: list[float]) -> Path:
    count = len(next(iter(columns.values())))
    rows = [{"id": f"i{n}"} | {key: values[n] for key, values in columns.items()} for n in range(count)]
    (folder / name).write_text(json.dumps({"results": rows}))
    return folder / name


def test_files_give_the_rows_that_their_scores_give(tmp_path: Path) -> None:
    control = [arm(tmp_path, f"c{seed}", 0.4, seed=seed) for seed in range(3)]
    experiment = [arm(tmp_path, f"e{seed}", 0.6, seed=9 + seed) for seed in range(3)]
    samples = [Sample(f"s{n:02d}", "p", "c", scenario=f"scenario{n % 5}") for n in range(20)]
    jsonl.write(tmp_path / "test.jsonl", samples)
    found = compare_files(
        control, experiment, data=tmp_path / "test.jsonl", primary=PASSES, metrics=[PASSES], level=0.9,
        minimum=0.05, seed=3,
    )  # fmt: skip
    scores = [[row for path in paths for row in load_scores(path)] for paths in (control, experiment)]
    expected = compare(
        scores[0], scores[1], primary=PASSES, metrics=[PASSES], level=0.9, minimum=0.05, seed=3,
        scenarios={sample.id: sample.scenario for sample in samples},
    )  # fmt: skip
    assert found == expected
    assert found[0].variance.keys() == {"items", "draws", "seeds", "interaction", "scenarios"}
    assert {"cluster_p", "seeds_p", "recipe_p"} <= found[0].effects.keys()


def test_one_scenario_is_no_cluster(tmp_path: Path) -> None:
    jsonl.write(tmp_path / "test.jsonl", [Sample(f"s{n:02d}", "p", "c", scenario="python") for n in range(20)])
    paths = [arm(tmp_path, "c", 0.4, seed=1)], [arm(tmp_path, "e", 0.6, seed=2)]
    found = compare_files(*paths, data=tmp_path / "test.jsonl")[0]
    assert "cluster_p" not in found.effects and "scenarios" not in found.variance


def test_the_primary_is_named_or_the_only_one(tmp_path: Path) -> None:
    one = [foreign(tmp_path, "a.json", em=[0, 1, 0]), foreign(tmp_path, "b.json", em=[1, 1, 0])]
    assert compare_files(one[:1], one[1:])[0].metric == "em"
    two = [foreign(tmp_path, f"{name}2.json", em=[0, 1, 0], bleu=[0.5, 0.2, 0.1]) for name in "ab"]
    assert [row.metric for row in compare_files(two[:1], two[1:], primary="bleu")] == ["bleu", "em"]
    with pytest.raises(UserError, match="no primary metric named") as fault:
        compare_files(two[:1], two[1:])
    assert "both arms have bleu, em" in str(fault.value)
    with pytest.raises(UserError, match="no primary metric named") as fault:
        compare_files(one[:1], [foreign(tmp_path, "c.json", bleu=[0.5, 0.2, 0.1])])
    assert "a.json has em" in str(fault.value) and "c.json has bleu" in str(fault.value)
    passes = [foreign(tmp_path, f"{name}3.json", functional_correctness=[0, 1], bleu=[0.5, 0.2]) for name in "ab"]
    assert compare_files(passes[:1], passes[1:])[0].metric == PASSES


def test_named_metrics_leave_columns_alone_that_are_no_scores(tmp_path: Path) -> None:
    paths = [foreign(tmp_path, f"{name}.json", em=[0, 1, 0], seconds=[3.5, 60, 2]) for name in "ab"]
    with pytest.raises(UserError, match="seconds: out of range"):
        compare_files(paths[:1], paths[1:], primary="em")
    assert [row.metric for row in compare_files(paths[:1], paths[1:], primary="em", metrics=[])] == ["em"]
    assert [row.metric for row in compare_files(paths[:1], paths[1:], metrics=["em"])] == ["em"]


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ('{"results": [{"id": "i0", "em": 1}]}', "the items do not pair"),
        ('[{"id": "i0", "em": 1}, {"id": "i0", "em": 0}, {"id": "i2", "em": 0}]', "1 scores given twice"),
        ('[{"id": "i0", "bleu": 1}, {"id": "i1", "bleu": 0}, {"id": "i2", "bleu": 0}]', "one-sided scores"),
        ("", "empty"),
        ("[]", "no rows"),
    ],
)
def test_files_that_do_not_fit_together_are_one_message(tmp_path: Path, other: str, message: str) -> None:
    control = foreign(tmp_path, "a.json", em=[0, 1, 0])
    (tmp_path / "b.json").write_text(other)
    with pytest.raises(UserError, match=message) as fault:
        compare_files([control], [tmp_path / "b.json"], primary="em")
    assert "b.json" in str(fault.value)


def test_null_everywhere_compares_nothing_and_says_why(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,metric,value\ni0,em,\ni1,em,NA\n")
    (tmp_path / "b.csv").write_text("id,metric,value\ni0,em,1\ni1,em,0\n")
    with pytest.raises(UserError, match="em: nothing to compare") as caught:
        compare_files([tmp_path / "a.csv"], [tmp_path / "b.csv"], names=("a", "b"))
    assert caught.value.seen == (
        "0 of 2 scores of a have a value; 2 of 2 scores of b have a value; most often: no value in the file"
    )
    for name in "ab":
        rows = [(Score(f"i{n}", name, 0, "em", None, "infra"), Score(f"i{n}", name, 0, "f1", 1.0)) for n in range(2)]
        jsonl.write(tmp_path / f"{name}.jsonl", [row for both in rows for row in both])
    found = compare_files([tmp_path / "a.jsonl"], [tmp_path / "b.jsonl"], primary="f1")
    assert (found[1].metric, found[1].n, found[1].gain, found[1].p) == ("em", 0, None, None)
    assert "no sample has a value of em in both arms" in summary(found, ("a", "b"))


def test_a_seed_below_nought_is_refused_whether_or_not_something_is_drawn(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="seed: out of range"):
        compare_files([arm(tmp_path, "c", 0.4, seed=1)], [arm(tmp_path, "e", 0.6, seed=2)], seed=-1)


def test_the_summary_says_what_was_compared_and_where_the_spread_is(tmp_path: Path) -> None:
    rows = compare_files([arm(tmp_path, "c", 0.4, seed=1)], [arm(tmp_path, "e", 0.6, seed=2)], minimum=0.05)
    text = summary(rows, ("c.jsonl", "e.jsonl"))
    assert text.splitlines()[:2] == ["experiment e.jsonl", "control    c.jsonl"]
    assert "95% intervals" in text and "functional_correctness is primary" in text
    assert "Hedges g_av +" in text and "P(gain > minimum)" in text
    assert "between samples, " in text and "between single draws" in text
    single = [foreign(tmp_path, "a.json", em=[0, 1, 0]), foreign(tmp_path, "b.json", em=[1, 1, 0])]
    text = summary(compare_files(single[:1], single[1:]), ("a", "b"))
    assert "between samples and draws" in text and "Holm" not in text


def test_the_percentages_of_the_facts_are_not_reachable() -> None:
    """16 items with 11 checks each cannot give 87.3% of the checks, nor 16 items 96.3%."""
    assert reachable(["87.3"], 16, 11) == [
        "87.3% of 16 × 11 = 176: not reachable; the nearest are 86.9318% (153 of 176) and 87.5% (154 of 176)"
    ]
    assert reachable(["96.3%"], 16)[0].startswith("96.3% of 16: not reachable; the nearest are 93.75% (15 of 16)")
    assert reachable(["100", "0", "87.5"], 16) == [
        "100% of 16: reachable (16 of 16)",
        "0% of 16: reachable (0 of 16)",
        "87.5% of 16: reachable (14 of 16)",
    ]
    assert "too large" in reachable(["87.3"], 1000)[0]
    for percents, items, parts in ((["101"], 16, 1), (["x"], 16, 1), (["50"], 0, 1), (["50"], 16, 0), (["nan"], 5, 1)):
        with pytest.raises(UserError, match="grim"):
            reachable(percents, items, parts)


def similar(folder: Path, name: str, whys: list[str]) -> Path:
    rows = [Score(f"s{n}", name, 0, SIMILARITY, n / 40, whys[n % len(whys)]) for n in range(20)]
    passed = [Score(f"s{n}", name, 0, PASSES, float(n % 2)) for n in range(20)]
    jsonl.write(folder / f"{name}.jsonl", [*rows, *passed])
    return folder / f"{name}.jsonl"


SIMILARITY = "semantic_similarity"
ONE, RENAMED, OTHER = "minilm 0123456789ab", "copy 0123456789ab", "minilm ba9876543210"


@pytest.mark.parametrize("whys", [[OTHER], [""], [ONE, OTHER]])
def test_cosines_of_two_embedding_models_are_not_compared(tmp_path: Path, whys: list[str]) -> None:
    paths = [similar(tmp_path, "c", [ONE])], [similar(tmp_path, "e", whys)]
    with pytest.raises(UserError, match="different embedding models") as refused:
        compare_files(*paths, primary=PASSES)
    assert ONE in refused.value.seen and (OTHER in refused.value.seen or "name none" in refused.value.seen)
    assert [row.metric for row in compare_files(*paths, primary=PASSES, metrics=[PASSES])] == [PASSES]


def test_cosines_of_one_model_are_compared_whatever_its_folder_is_called(tmp_path: Path) -> None:
    paths = [similar(tmp_path, "c", [ONE, f"empty answer; {ONE}"])], [similar(tmp_path, "e", [RENAMED])]
    assert {row.metric for row in compare_files(*paths, primary=PASSES)} == {PASSES, SIMILARITY}
    unnamed = [similar(tmp_path, "c", [""])], [similar(tmp_path, "e", [""])]
    assert {row.metric for row in compare_files(*unnamed, primary=PASSES)} == {PASSES, SIMILARITY}


@pytest.mark.parametrize("name", ["", ".", "/"])
def test_what_cannot_be_the_name_of_a_file_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        compare_files([Path(name)], [arm(tmp_path, "e", 0.5, seed=1)])
