"""Quality and quality gated: what a constant template gets of either, and that leaving out or adding never pays."""

from __future__ import annotations

import random
from statistics import fmean

import pytest

from sluicegate.evaluators.baselines import TEMPLATE
from sluicegate.k8s.fidelity import fidelity
from sluicegate.k8s.leaves import Scalar
from sluicegate.k8s.quality import Gated, Quality, gated, quality

SERVICE = "{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {selector: {app: web}, ports: [{port: 80}]}}\n"
WORKLOAD = """\
apiVersion: KIND_VERSION
kind: KIND
metadata: {name: NAME}
spec:
  replicas: REPLICAS
  selector: {matchLabels: {app: NAME}}
  template:
    metadata: {labels: {app: NAME}}
    spec:
      containers:
      - name: NAME
        image: IMAGE
        ports: [{containerPort: PORT}]
        env: [{name: MODE, value: NAME}]
        resources: {requests: {cpu: CPU, memory: 64Mi}}
"""
POD = "{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: [{name: a, image: 'nginx:1'}]}}"


def problem(rng: random.Random) -> tuple[str, list[list[Scalar]]]:
    """A workload that somebody asks for, and the facts of the request."""
    name, image = (
        rng.choice(["shop", "api", "queue", "mail"]),
        rng.choice(["redis:7", "nginx:1.27", "a.b/mail:2", "node"]),
    )
    replicas, port, cpu = rng.randint(2, 9), rng.choice([80, 3000, 5432, 8081]), f"{rng.randint(1, 9)}00m"
    kind = rng.choice(["Deployment", "Deployment", "StatefulSet"])
    text = WORKLOAD.replace("KIND_VERSION", "apps/v1").replace("KIND", kind).replace("NAME", name).replace("CPU", cpu)
    text = text.replace("REPLICAS", str(replicas)).replace("IMAGE", image).replace("PORT", str(port))
    pod = "spec.template.spec.containers[*]"
    facts: list[list[Scalar]] = [["kind", kind], ["metadata.name", name], ["spec.replicas", replicas]]
    facts += [[f"{pod}.image", image], [f"{pod}.ports[{port}].containerPort", port]]
    return text, facts


PROBLEMS = [problem(random.Random(seed)) for seed in range(40)]  # noqa: S311 (nothing secret)


def worth(text: str, reference: str, facts: object = None) -> tuple[float, float]:
    """Quality and quality gated."""
    found = quality(text, reference)
    both = gated(found, fidelity(text, reference, facts))
    assert found.value is not None
    assert both.value is not None
    return found.value, both.value


def test_a_constant_template_scores_high_on_quality_and_low_on_quality_gated() -> None:
    plain, kept = zip(*(worth(TEMPLATE, reference, facts) for reference, facts in PROBLEMS), strict=True)
    assert fmean(plain) > 0.7
    assert fmean(kept) < 0.1
    without_facts = [worth(TEMPLATE, reference)[1] for reference, _ in PROBLEMS]
    assert fmean(without_facts) < 0.1


def test_a_copy_of_the_reference_does_what_was_asked_and_beats_the_template_only_when_gated() -> None:
    copies = [worth(reference, reference, facts) for reference, facts in PROBLEMS]
    assert all(fidelity(reference, reference, facts).value == 1.0 for reference, facts in PROBLEMS)
    assert all(plain == kept for plain, kept in copies)
    templates = [worth(TEMPLATE, reference, facts) for reference, facts in PROBLEMS]
    assert fmean(plain for plain, _ in copies) < fmean(plain for plain, _ in templates)
    assert fmean(kept for _, kept in copies) > 4 * fmean(kept for _, kept in templates)


def test_hardening_what_was_asked_pays_in_both() -> None:
    for reference, facts in PROBLEMS[:10]:
        hardened = reference.replace(
            "        env:",
            "        securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true,\n"
            "          runAsNonRoot: true, capabilities: {drop: [ALL]}, seccompProfile: {type: RuntimeDefault}}\n"
            "        env:",
        )
        assert all(
            more > less
            for more, less in zip(worth(hardened, reference, facts), worth(reference, reference, facts), strict=True)
        )


def test_quality_is_seven_tenths_bp_and_three_tenths_codebleu() -> None:
    found = quality(PROBLEMS[0][0], PROBLEMS[0][0])
    assert found.bp is not None
    assert found.codebleu == 1.0
    assert found.value == pytest.approx(0.7 * found.bp + 0.3)


@pytest.mark.parametrize("answer", ["", "words", "a: [", SERVICE, f"{POD}\n---\na: ["])
def test_leaving_the_workload_out_never_pays(answer: str) -> None:
    found = quality(answer, POD + "\n---\n" + SERVICE)
    assert found.bp == 0.0
    assert found.value is not None
    assert found.value <= 0.3


@pytest.mark.parametrize("added", [TEMPLATE, POD])
def test_a_workload_that_the_reference_has_not_counts_for_nothing(added: str) -> None:
    alone, beside = quality(SERVICE, SERVICE), quality(f"{SERVICE}---\n{added}", SERVICE)
    assert alone == Quality(1.0, None, 1.0, "no workload in the reference, CodeBLEU 1.00")
    assert beside.bp is None
    assert beside.value is not None
    assert beside.value < 1.0
    assert worth(f"{SERVICE}---\n{added}", SERVICE)[1] < beside.value


@pytest.mark.parametrize("reference", ["", "words", "a: [", "a: 1"])
def test_without_a_reference_there_is_no_quality(reference: str) -> None:
    found = quality(POD, reference)
    assert (found.value, found.bp, found.codebleu) == (None, None, None)
    assert gated(found, fidelity(POD, reference)) == Gated(None, "the reference is no Kubernetes manifest")


def test_facts_that_cannot_be_read_leave_nothing_to_gate_by() -> None:
    found = gated(quality(POD, POD), fidelity(POD, POD, [["a..b", 1]]))
    assert found.value is None
    assert found.why.startswith("the facts cannot be read")


def test_an_answer_that_cannot_be_read_is_worth_nothing() -> None:
    for reference in (POD, SERVICE):
        assert worth("a: [", reference) == (0.0, 0.0)
