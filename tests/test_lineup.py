"""Arms beyond two: who takes part, in which order, and what is refused."""

from __future__ import annotations

import pytest

from sluicegate import study
from sluicegate.errors import UserError
from sluicegate.lineup import lineup
from sluicegate.recipes import RECIPES
from sluicegate.stages.plan import resolve

FIVE = """
name: five
question: does it help?
scenarios: [kubernetes]
data: {source: kubernetes}
control: baseline
experiment: dual
arms:
  rl: {after: dual, against: more, train: {method: rloo}}
  more: {after: dual, against: dual, train: {steps_like_rl: true}}
  baseline: {train: {model_kind: seq2seq}}
  dual: {train: {model_kind: dual}}
  blind: {against: dual, pattern: none, train: {model_kind: dual}}
metrics: [quality_gated]
primary: quality_gated
"""


def changed(line: str, by: str) -> study.Study:
    assert line in FIVE
    return study.parse(FIVE.replace(line, by), "five.yaml")


def test_arms_come_behind_what_they_start_from_whatever_the_order_of_the_file() -> None:
    found = study.parse(FIVE, "five.yaml")
    assert found.lineup == ("baseline", "dual", "rl", "more", "blind")
    assert found.against == {"rl": "more", "more": "dual", "blind": "dual"}


def test_a_chain_of_arms_is_followed_to_its_end() -> None:
    assert lineup(("a", "b"), {"c": "d", "d": "e"}, {"c": "a"}) == ("a", "b", "e", "d", "c")
    assert lineup(("b", "a"), {"b": "a"}, {}) == ("a", "b")


def test_each_run_starts_from_the_same_run_of_the_other_arm() -> None:
    found = changed("rl: {", "rl: {seed: 10, ")
    plan = resolve(found.model_copy(update={"stages": {3: study.StageChange(seeds=3, train={})}}), 3)
    starts = {model.name: model.start for model in plan.models}
    assert (starts["rl-s10"], starts["rl-s12"], starts["dual-s0"]) == ("dual-s0", "dual-s2", "")
    names = [model.name for model in plan.models]
    assert all(names.index(model.start) < names.index(model.name) for model in plan.models if model.start)


@pytest.mark.parametrize(
    ("line", "by", "told"),
    [
        ("after: dual, against: more", "after: nobody, against: more", "arms.rl.after: 'nobody' is not one of the"),
        ("after: dual, against: more", "after: rl, against: more", "arms.rl.after: 'rl' is not one of the other arms"),
        ("after: dual, against: dual", "after: rl, against: dual", "nothing"),
        ("against: more, train", "against: nobody, train", "arms.rl.against: 'nobody' is not"),
        ("blind: {against: dual, ", "blind: {", "arms.blind: takes no part"),
        ("baseline: {", "baseline: {against: dual, ", "arms.baseline.against: control and experiment are compared"),
        ("blind: {against: dual, pattern: none, ", "blind: {against: dual, ", "arms 'dual' and 'blind' are the same"),
        ("blind: {", "blind: {augment: 2, ", "augment"),
        ("blind: {", "blind: {order: random, ", "order"),
        ("blind: {", "blind: {recipe: v9, ", "recipe"),
        ("blind: {", "blind: {after: 'Dual!', ", "after"),
        ("source: kubernetes", "source: demo, synthesize: 50", "data.synthesize: wants source kubernetes"),
        ("source: kubernetes", "source: demo, longest: 500", "data.longest: wants source kubernetes"),
        ("source: kubernetes", "source: kubernetes, longest: 10", "data.longest"),
        ("train: {method: rloo}", "train: {init_from: x}", "the stage sets it itself"),
    ],
)
def test_a_fault_of_an_arm_is_named(line: str, by: str, told: str) -> None:
    if told == "nothing":
        assert changed(line, by).lineup[-2:] == ("more", "blind")
        return
    with pytest.raises(UserError) as caught:
        changed(line, by)
    assert told in str(caught.value)


def test_arms_that_go_round_are_refused_with_the_whole_round() -> None:
    with pytest.raises(UserError) as caught:
        changed("dual: {train", "dual: {after: more, train")
    assert "arms.more.after: goes round: more → dual → more" in str(caught.value)


@pytest.mark.parametrize("said", ["augment: 0.5", "order: curriculum", "recipe: v4"])
def test_manifests_alone_have_variants_and_an_order(said: str) -> None:
    text = FIVE.replace("[kubernetes]", "[python]").replace("source: kubernetes", "source: demo")
    assert study.parse(text, "five.yaml")
    with pytest.raises(UserError, match="wants samples of the scenario kubernetes"):
        study.parse(text.replace("blind: {", f"blind: {{{said}, "), "five.yaml")


def test_a_recipe_is_the_lowest_and_an_order_is_kept_by_the_training() -> None:
    found = changed("blind: {", "blind: {recipe: v1, order: curriculum, ")
    found = found.model_copy(update={"recipe": "v4", "train": {"learning_rate": 1e-3}})
    plan = resolve(found, 3)
    for name, value in RECIPES["v4"].train.items():
        assert plan.train["dual"][name] == (1e-3 if name == "learning_rate" else value)
    assert plan.train["blind"]["epochs"] == RECIPES["v1"].train["epochs"]
    assert plan.train["blind"]["shuffle"] is False
    assert plan.train["dual"]["shuffle"] is False  # v4 has a curriculum
    assert "shuffle" not in resolve(study.parse(FIVE, "five.yaml"), 3).train["dual"]
    assert resolve(found, 1).train["dual"]["warmup_steps"] == 0
