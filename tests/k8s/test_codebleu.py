"""CodeBLEU of manifests: what each part counts, and what becomes of a part that the reference has nothing of."""

from __future__ import annotations

import pytest

from sluicegate.k8s.codebleu import KEYWORDS, TOKENS_LIMIT, bleu, codebleu, tokens
from sluicegate.k8s.parse import parse

POD = """\
apiVersion: v1
kind: Pod
metadata: {name: a, labels: {app: a}}
spec:
  containers:
  - {name: c, image: nginx, ports: [{containerPort: 80}], envFrom: [{secretRef: {name: key}}]}
"""
SERVICE = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {selector: {app: a}, ports: [{port: 80}]}\n"
BUNDLE = f"{POD}---\n{SERVICE}"


def value(answer: str, reference: str) -> float:
    found = codebleu(answer, reference).value
    assert found is not None
    return found


def test_the_value_is_the_mean_of_the_parts_that_there_are() -> None:
    found = codebleu(POD.replace("nginx", "httpd"), POD)
    parts = [part for part in found.parts.values() if part is not None]
    assert list(found.parts) == ["ngram", "weighted", "syntax", "dataflow"]
    assert len(parts) == 4
    assert found.value == sum(parts) / 4


@pytest.mark.parametrize(
    ("reference", "missing"),
    [
        (POD, set()),
        (SERVICE, {"dataflow"}),
        ("{apiVersion: v1, kind: Namespace, metadata: {name: a}}", {"syntax", "dataflow"}),
        ("{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: [{name: b, image: c}]}}",
         {"syntax", "dataflow"}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("answer", [POD, SERVICE, BUNDLE, "{apiVersion: v1, kind: Namespace, metadata: {name: b}}"])
def test_a_part_that_the_reference_has_nothing_of_is_none_and_weighs_nothing(
    reference: str, missing: set[str], answer: str
) -> None:
    found = codebleu(answer, reference)
    assert {name for name, part in found.parts.items() if part is None} == missing
    there = [part for part in found.parts.values() if part is not None]
    assert found.value == pytest.approx(sum(there) / len(there))


def test_references_are_the_data_flow() -> None:
    broken = BUNDLE.replace("selector: {app: a}", "selector: {app: b}")
    assert codebleu(broken, BUNDLE).parts["syntax"] == 1.0
    assert codebleu(broken, BUNDLE).parts["dataflow"] == pytest.approx(2 * 1 / (1 + 3))
    assert codebleu(BUNDLE.replace("secretRef", "configMapRef"), BUNDLE).parts["dataflow"] == pytest.approx(2 * 2 / 6)


def test_a_missing_object_lowers_it_and_so_does_one_too_many() -> None:
    assert value(POD, BUNDLE) < 0.75
    assert value(BUNDLE, POD) < 0.75


def test_each_change_more_lowers_it() -> None:
    text, seen = BUNDLE, [1.0]
    for old, new in (("nginx", "httpd"), ("containerPort: 80", "containerPort: 81"), ("secretRef", "configMapRef")):
        text = text.replace(old, new)
        seen.append(value(text, BUNDLE))
    assert seen == sorted(set(seen), reverse=True)


def test_what_every_object_has_is_no_likeness() -> None:
    assert (
        value(
            "{apiVersion: v1, kind: Namespace, metadata: {name: a}}",
            "{apiVersion: v1, kind: Secret, metadata: {name: b}}",
        )
        == 0.0
    )
    assert codebleu(SERVICE, POD).parts["syntax"] == 0.0
    old = value(POD.replace("v1", "v2", 1), POD)
    assert 0.9 < old < 1.0


def test_a_keyword_that_is_wrong_weighs_more_than_another_word() -> None:
    aim = ["spec:", "replicas:", "3", "paused:", "yes", "more", "words", "here"]
    wrong = {word: bleu([word if said == "paused:" else said for said in aim], aim) for word in ("ports:", "x:")}
    assert "ports" in KEYWORDS
    assert "x" not in KEYWORDS
    assert wrong["ports:"][1] < wrong["x:"][1]
    assert wrong["ports:"][0] == wrong["x:"][0]


@pytest.mark.parametrize(
    ("seen", "aim"),
    [
        (["a"], ["a"]),
        (["a"], ["b"]),
        (["a", "b"], ["a"]),
        (["a"], ["a", "b", "c", "d", "e"]),
        ([], ["a"]),
        (["a"] * 9, ["a"]),
    ],
)
def test_bleu_of_short_texts_is_in_zero_to_one(seen: list[str], aim: list[str]) -> None:
    assert all(0.0 <= found <= 1.0 for found in bleu(seen, aim))
    assert (bleu(seen, aim) == (1.0, 1.0)) == (seen == aim)


def test_a_short_answer_pays_for_its_brevity() -> None:
    aim = [str(number) for number in range(40)]
    assert bleu(aim[:20], aim)[0] == pytest.approx(0.36787944)  # exp(1 - 40 / 20)
    assert bleu(aim + aim, aim)[0] < 0.6


def test_tokens_are_bounded() -> None:
    assert len(tokens([{"kind": "A", "data": {"a": "x " * (2 * TOKENS_LIMIT)}}])) == TOKENS_LIMIT
    assert len(tokens([{"kind": "A", "data": list(range(TOKENS_LIMIT))}])) == TOKENS_LIMIT


def test_a_document_that_is_no_object_counts_against_but_is_no_reference() -> None:
    values = "---\nreplicas: 3\nimage: nginx\n"
    assert value(BUNDLE + values, BUNDLE) < 1.0
    assert value(BUNDLE + values, BUNDLE + values) == 1.0
    assert codebleu(BUNDLE, values).value is None


def test_a_reason_is_told_where_nothing_is_compared() -> None:
    assert codebleu("words", POD).why == "nothing but text"
    assert codebleu("a: [", POD).why.startswith("not parsed: ")
    assert codebleu(POD, "words").why == "the reference is no Kubernetes manifest"
    assert codebleu(parse(POD), parse(POD)) == codebleu(POD, POD)
