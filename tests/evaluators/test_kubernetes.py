"""The manifest evaluators: a right, a wrong, an empty and an unjudgeable answer, and the cheapest ways to cheat."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from sluicegate.errors import UserError
from sluicegate.evaluators import MANIFEST_METRICS, load
from sluicegate.evaluators.baselines import TEMPLATE
from sluicegate.evaluators.kubernetes import levels, reading
from sluicegate.records import Prediction, Sample, Score

JUDGES = {judge.NAME: judge for judge in load(MANIFEST_METRICS)}
LEVELS = ("k8s_parses", "k8s_object", "k8s_schema", "k8s_valid")
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
SERVICE = """\
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
"""
ROUTE = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web}
spec: {hosts: [web]}
"""
FACTS = [
    ["kind", "Deployment"],
    ["metadata.name", "web"],
    ["spec.replicas", 2],
    ["spec.template.spec.containers[*].image", "nginx"],
]


def sample(completion: str = WEB, scenario: str = "kubernetes", **meta: object) -> Sample:
    return Sample("s", "a web server, twice", completion, scenario=scenario, meta=meta)


def scored(metric: str, text: str, of: Sample | None = None) -> Score:
    return JUDGES[metric].score(of or sample(), Prediction("s", "m", 3, text, 1, 0.1, "stop"))


def values(text: str, of: Sample | None = None, metrics: Sequence[str] = MANIFEST_METRICS) -> dict[str, float | None]:
    return {metric: scored(metric, text, of).value for metric in metrics}


def test_a_right_answer() -> None:
    found = values(WEB, sample(facts=FACTS))
    assert (found["k8s_bp"], found["k8s_security"]) == (2 / 11, 1 / 6)  # host_isolation and image_pinned
    assert {name: value for name, value in found.items() if value == 1.0}.keys() == {
        *LEVELS,
        "intent_fidelity",
        "codebleu_k8s",
        "k8s_simplicity",
    }
    assert found["k8s_quality"] == found["quality_gated"]


def test_the_score_names_its_metric_sample_model_and_draw() -> None:
    for metric in MANIFEST_METRICS:
        row = scored(metric, WEB)
        assert (row.metric, row.sample_id, row.model, row.draw, row.dollars) == (metric, "s", "m", 3, 0.0)


@pytest.mark.parametrize(
    ("text", "levels_held"),
    [
        ("", 0),
        ("# nothing\n", 0),
        ("a: [", 0),
        (f"Here you are:\n{WEB}\n- x", 0),
        ("Sorry, I cannot do that.", 1),
        ("[1, 2]", 1),
        ("kind: Pod", 1),
        (f"{WEB}---\nhello: world\n", 1),
        ("{apiVersion: v1, kind: Pod, metadata: {}}", 1),
        (WEB.replace("replicas", "replica"), 2),
        (WEB.replace("replicas: 2", "replicas: two"), 2),
        (WEB.replace("  replicas: 2\n", "  replicas: 2\n  replicas: 3\n"), 2),
        (WEB.replace("apps/v1", "extensions/v1beta1"), 2),
        (f"{WEB}---\n{ROUTE}", 2),
        (WEB.replace("{labels: {app: web}}", "{labels: {app: other}}"), 3),
        (WEB.replace("8080", "99999"), 3),
        (WEB, 4),
        (f"{WEB}---\n{SERVICE}", 4),
        (f"```yaml\n{WEB}```", 4),
    ],
)
def test_each_level_asks_for_more(text: str, levels_held: int) -> None:
    assert [scored(level, text).value for level in LEVELS] == [1.0] * levels_held + [0.0] * (4 - levels_held)


@pytest.mark.parametrize("level", LEVELS)
def test_a_level_that_fails_says_where(level: str) -> None:
    assert scored(level, "kind: Pod\na: [").why.startswith("line ")
    assert scored(level, WEB).why == ""


def test_a_custom_resource_is_judged_only_as_far_as_it_can_be() -> None:
    asked = sample(ROUTE)
    assert values(ROUTE, asked, LEVELS) == {"k8s_parses": 1.0, "k8s_object": 1.0, "k8s_schema": None, "k8s_valid": None}
    assert "VirtualService" in scored("k8s_valid", ROUTE, asked).why
    assert scored("k8s_valid", ROUTE + "---\n" + WEB.replace("8080", "99999"), asked).value == 0.0
    assert scored("k8s_valid", ROUTE.replace("VirtualService", "Gateway"), asked).value == 0.0
    assert scored("k8s_valid", ROUTE.replace("name: web", "name: W B"), asked).value in (0.0, None)
    assert scored("k8s_valid", ROUTE).value == 0.0
    assert scored("k8s_valid", WEB, asked).value == 1.0


@pytest.mark.parametrize("metric", ["k8s_bp", "k8s_security"])
def test_a_workload_that_is_left_out_has_no_practice(metric: str) -> None:
    assert scored(metric, SERVICE).value == 0.0
    assert scored(metric, "").value == 0.0
    assert scored(metric, SERVICE, sample(SERVICE)).value is None
    assert scored(metric, TEMPLATE).value == 1.0
    assert "image_pinned" not in scored(metric, WEB).why
    assert "run_as_non_root" in scored(metric, WEB).why


def test_what_says_more_than_the_reference_is_less_simple_and_what_says_less_is_not_simpler() -> None:
    assert scored("k8s_simplicity", WEB).value == scored("k8s_simplicity", SERVICE).value == 1.0
    assert scored("k8s_simplicity", f"{WEB}---\n{SERVICE}").value == 9 / 14
    assert "14 leaves, the reference has 9" in scored("k8s_simplicity", f"{WEB}---\n{SERVICE}").why
    assert scored("k8s_simplicity", WEB.replace("replicas: 2", "replicas: 2, paused: false")).value == 0.0  # no YAML
    assert scored("k8s_simplicity", WEB, sample("words")).value is None


@pytest.mark.parametrize(
    "metric", ["intent_fidelity", "codebleu_k8s", "k8s_quality", "quality_gated", "k8s_simplicity"]
)
@pytest.mark.parametrize("text", ["", "words", "a: [", "kind: Pod"])
def test_what_is_no_manifest_is_not_near_one(metric: str, text: str) -> None:
    assert scored(metric, text).value == 0.0


@pytest.mark.parametrize("metric", ["intent_fidelity", "codebleu_k8s", "k8s_quality", "quality_gated"])
def test_without_a_reference_there_is_nothing_to_be_near(metric: str) -> None:
    for completion in ("", "words", "a: ["):
        assert scored(metric, WEB, sample(completion)).value is None


def test_the_template_is_found_out_by_the_intent() -> None:
    found = values(TEMPLATE, sample(facts=FACTS))
    assert found["k8s_bp"] == found["k8s_security"] == found["k8s_valid"] == 1.0
    assert found["k8s_quality"] is not None
    assert found["k8s_quality"] > 0.7
    assert found["intent_fidelity"] == 0.0
    assert found["quality_gated"] == 0.0


def test_facts_come_first_and_the_reference_else() -> None:
    bare = WEB.replace("  replicas: 2\n", "")
    assert scored("intent_fidelity", bare, sample(facts=[["metadata.name", "web"]])).value == 1.0
    assert scored("intent_fidelity", bare, sample()).value != 1.0
    broken = scored("intent_fidelity", WEB, sample(facts=[["a..b", 1]]))
    assert broken.value is None
    assert scored("quality_gated", WEB, sample(facts="kind")).value is None


@pytest.mark.parametrize("metric", MANIFEST_METRICS)
def test_one_fence_around_an_answer_or_a_reference_changes_nothing(metric: str) -> None:
    fenced = f"```yaml\n{WEB}```\n"
    assert scored(metric, fenced).value == scored(metric, WEB).value
    assert scored(metric, WEB, sample(fenced)).value == scored(metric, WEB).value


@pytest.mark.parametrize("metric", MANIFEST_METRICS)
def test_a_sample_about_no_manifest_is_not_judged(metric: str) -> None:
    python = sample("def f():\n    return 1\n", scenario="python")
    row = scored(metric, "def f(): return 1", python)
    assert row.value is None
    assert row.why == reading.OTHER
    assert scored(metric, WEB, sample(WEB, scenario="")).value == scored(metric, WEB).value


@pytest.mark.parametrize("metric", ["k8s_object", "k8s_schema", "k8s_valid"])
@pytest.mark.parametrize(
    "fault", [UserError("the Kubernetes schemas are missing", mend="pip install x"), OSError("disk")]
)
def test_missing_schemas_are_our_failure(metric: str, fault: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> None:
        raise fault

    monkeypatch.setattr(levels, "validity", missing)
    row = scored(metric, WEB)
    assert row.value is None
    assert row.why.startswith("infra: ")
    assert "\n" not in row.why


@pytest.mark.parametrize(
    "text",
    ["\x00", "\ud800", "a: &a [*a]", "- " * 5000, "{" * 5000, "a: " + "x" * 1_100_000, WEB * 50, "!!python/x {}"],
)
def test_nothing_an_answer_can_hold_raises(text: str) -> None:
    for metric in MANIFEST_METRICS:
        value = scored(metric, text).value
        assert value is None or 0.0 <= value <= 1.0


def test_many_threads_give_the_scores_of_one() -> None:
    texts = [WEB.replace("replicas: 2", f"replicas: {number}") for number in range(40)]
    alone = [values(text) for text in texts]
    reading._kept.cache_clear()
    begin = threading.Barrier(8)

    def work(start: int) -> list[dict[str, float | None]]:
        begin.wait(10)
        return [values(text) for text in texts[start:] + texts[:start]]

    with ThreadPoolExecutor(8) as pool:
        for start, found in zip(range(8), pool.map(work, range(8)), strict=True):
            assert found == alone[start:] + alone[:start]


def test_a_long_text_is_not_kept() -> None:
    reading._kept.cache_clear()
    scored("k8s_parses", "a: " + "x" * reading.LONG)
    assert reading._kept.cache_info().currsize == 1  # the reference
