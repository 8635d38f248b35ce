"""What answers are worth: weights, gates, terms that do not count, and the ways to ask for nonsense."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from sluicegate.errors import UserError
from sluicegate.evaluators import load
from sluicegate.evaluators.baselines import TEMPLATE
from sluicegate.records import Prediction, Sample, Score
from sluicegate.settings import TrainSettings
from sluicegate.train import reward
from sluicegate.train.reward import Answer, Reward, Worth, worths

WEB = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: web, image: "nginx:1.27.3", ports: [{containerPort: 8080}]}
"""
SERVICE = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {selector: {app: web}, ports: [{port: 80}]}\n"
WEIGHTS = {"codebleu_k8s": 0.3, "k8s_bp": 0.4, "k8s_security": 0.2, "k8s_simplicity": 0.1}
GATED, PLAIN = Reward(WEIGHTS, gated=True), Reward(WEIGHTS, gated=False)


def sample(completion: str = WEB, scenario: str = "kubernetes") -> Sample:
    return Sample("s", "a web server, twice", completion, scenario=scenario)


def worth(text: str, kind: Reward = GATED, *, ended: bool = True, of: Sample | None = None) -> Worth:
    (found,) = worths(kind, of or sample(), [Answer(text, ended)])
    return found


def score(metric: str, text: str, of: Sample) -> float:
    (judge,) = load([metric])
    value = judge.score(of, Prediction("s", "m", 0, text, 1, 0.1, "stop")).value
    assert value is not None
    return value


def test_the_reward_is_the_evaluators_own_scores_weighted() -> None:
    other = WEB.replace("web", "api").replace("replicas: 2", "replicas: 3")
    found = worth(other, PLAIN)
    assert found.terms == {name: score(name, other, sample()) for name in WEIGHTS}
    assert found.total == pytest.approx(sum(weight * score(name, other, sample()) for name, weight in WEIGHTS.items()))


def test_gated_practice_and_security_count_in_proportion_to_fidelity() -> None:
    other = WEB.replace("web", "api").replace("replicas: 2", "replicas: 3")
    fidelity = score("intent_fidelity", other, sample())
    assert 0 < fidelity < 1
    found = worth(other)
    for name in WEIGHTS:
        share = fidelity if name in ("k8s_bp", "k8s_security") else 1.0
        assert found.terms[name] == pytest.approx(share * score(name, other, sample()))


def test_one_hardened_template_for_every_prompt_pays_less_than_the_right_answer() -> None:
    gated, right = worth(TEMPLATE).total, worth(WEB).total
    assert gated is not None and right is not None and gated < right
    assert (worth(TEMPLATE, PLAIN).total or 0.0) > (worth(WEB, PLAIN).total or 1.0)


@pytest.mark.parametrize(("text", "ended"), [("", True), ("  \n", True), ("a: [", True), (WEB, False)])
def test_gated_what_is_empty_cut_off_or_no_yaml_is_worth_nothing(text: str, ended: bool) -> None:
    found = worth(text, ended=ended)
    assert (found.total, found.valid) == (0.0, False)
    assert set(found.terms.values()) == {0.0}


def test_plain_a_cut_off_answer_is_judged_as_it_stands_and_still_not_valid() -> None:
    assert worth(WEB, PLAIN, ended=False) == Worth(worth(WEB, PLAIN).total, worth(WEB, PLAIN).terms, valid=False)


def test_a_term_counts_where_the_reference_can_be_judged_by_it_whatever_the_answer() -> None:
    asked = sample(SERVICE)
    for text in (SERVICE, WEB):  # adding a workload to an answer that should have none gains no practice
        found = worth(text, of=asked)
        assert (found.terms["k8s_bp"], found.terms["k8s_security"]) == (None, None)
        likeness, simple = (score(name, text, asked) for name in ("codebleu_k8s", "k8s_simplicity"))
        assert found.total == pytest.approx((0.3 * likeness + 0.1 * simple) / 0.4)
    assert worth(SERVICE).terms["k8s_bp"] == 0.0


def test_programs_are_rewarded_without_the_gates_of_manifests() -> None:
    program = Sample("p", "Write add.", "def add(a, b):\n    return a + b\n", scenario="python")
    kind = Reward({"exact_match": 0.5, "token_f1": 0.5}, gated=True)
    assert worth(program.completion, kind, of=program) == Worth(1.0, {"exact_match": 1.0, "token_f1": 1.0}, valid=True)
    assert worth(program.completion, kind, of=program, ended=False).total == 0.0


def test_where_no_term_counts_there_is_no_worth() -> None:
    program = Sample("p", "Write add.", "def add(a, b):\n    return a + b\n", scenario="python")
    assert worth(WEB, of=program).total is None


def test_a_term_without_a_value_is_refused_with_the_reason() -> None:
    services = [sample(SERVICE)] * 3
    with pytest.raises(UserError, match="REWARD: k8s_bp has no value for any of 3 references") as told:
        reward.refuse_null("REWARD", GATED, services, source="train.jsonl")
    assert "no workload" in told.value.seen
    reward.refuse_null("REWARD", GATED, [*services, sample()], source="train.jsonl")


def test_a_term_that_counts_by_fidelity_is_refused_where_fidelity_has_no_value(monkeypatch: pytest.MonkeyPatch) -> None:
    real = reward._scores

    def scores(names: Iterable[str], of: Sample, text: str) -> dict[str, Score]:
        found = real(names, of, text)
        return {name: replace(each, value=None, why="no intent") if name == reward.FIDELITY else each
                for name, each in found.items()}  # fmt: skip

    monkeypatch.setattr(reward, "_scores", scores)
    reward.refuse_null("REWARD", Reward({"k8s_bp": 1.0}, gated=False), [sample()], source="train.jsonl")
    with pytest.raises(UserError, match="k8s_bp has no value") as fault:
        reward.refuse_null("REWARD", Reward({"k8s_bp": 1.0}, gated=True), [sample()], source="train.jsonl")
    assert fault.value.seen == "no intent"


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("k8s_bpp=1", "did you mean k8s_bp?"),
        ("judged_safety=1", "costs money"),
    ],
)
def test_an_evaluator_that_cannot_be_used_is_refused(tmp_path: Path, text: str, seen: str) -> None:
    with pytest.raises(UserError) as told:
        reward.of_settings(_settings(tmp_path, reward=text))
    assert seen in told.value.seen and "k8s_bp" in told.value.wanted


@pytest.mark.parametrize(
    "text",
    ["k8s_bp=0.5", "k8s_bp=1.5,exact_match=-0.5", "k8s_bp=nan", "k8s_bp", "{}", "[1]", "k8s_bp=0.5,k8s_bp=0.5", "{"],
)
def test_weights_that_make_no_sense_are_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match="reward"):
        _settings(tmp_path, reward=text)


def test_weights_may_be_json_and_one_may_be_zero(tmp_path: Path) -> None:
    found = reward.of_settings(_settings(tmp_path, reward='{"k8s_bp": 1, "exact_match": 0}', reward_gate="plain"))
    assert found == Reward({"k8s_bp": 1.0}, gated=False)


def _settings(folder: Path, **changes: object) -> TrainSettings:
    data = folder / "train.jsonl"
    data.write_text('{"prompt": "p", "completion": "c"}\n')
    return TrainSettings.model_validate({"dataset_path": data, **changes})
