"""A request states facts of its manifest, in words, and nothing else; and it is never the same sentence twice."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator
from random import Random
from string import Formatter
from typing import Any

import pytest

from sluicegate.data.k8s.grammar import make
from sluicegate.data.k8s.intents import DETAILS, Intent, write
from sluicegate.data.k8s.intents.node import roots
from sluicegate.data.k8s.intents.others import OTHERS
from sluicegate.data.k8s.intents.phrases import KINDS, PHRASES
from sluicegate.data.k8s.intents.sections import sections
from sluicegate.data.k8s.intents.wording import NUMBERS, schedules
from sluicegate.data.k8s.near import NEAR, of_text, similarity
from sluicegate.data.k8s.render import to_yaml
from sluicegate.k8s.agreement import DEFAULTS
from sluicegate.k8s.fidelity import INHERITED, fidelity
from sluicegate.k8s.leaves import leaves, text, tree
from sluicegate.k8s.objects import objects
from sluicegate.k8s.parse import parse

Bodies = list[dict[str, Any]]
Step = str | int

RICH = """
apiVersion: apps/v1
kind: Deployment
metadata:
  name: shop
  namespace: prod
  labels: {app: shop, tier: front}
  annotations: {example.com/owner: team-a}
spec:
  replicas: 3
  revisionHistoryLimit: 5
  strategy: {type: RollingUpdate, rollingUpdate: {maxSurge: 1, maxUnavailable: 25%}}
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}}
    spec:
      serviceAccountName: shop-sa
      priorityClassName: high
      automountServiceAccountToken: false
      hostPID: true
      terminationGracePeriodSeconds: 45
      nodeSelector: {disktype: ssd}
      tolerations: [{key: dedicated, operator: Equal, value: web, effect: NoSchedule}]
      imagePullSecrets: [{name: regcred}]
      securityContext: {runAsNonRoot: true, runAsUser: 1000, runAsGroup: 3000, fsGroup: 2000,
                        seccompProfile: {type: RuntimeDefault}}
      affinity:
        podAntiAffinity:
          preferredDuringSchedulingIgnoredDuringExecution:
          - weight: 100
            podAffinityTerm: {topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {app: shop}}}
      topologySpreadConstraints:
      - {maxSkew: 1, topologyKey: topology.kubernetes.io/zone, whenUnsatisfiable: ScheduleAnyway,
         labelSelector: {matchLabels: {app: shop}}}
      initContainers:
      - {name: wait, image: "busybox:1.36", command: [sh, -c, "sleep 1"]}
      containers:
      - name: web
        image: registry.example.com:5000/shop/web:2.1.0
        imagePullPolicy: Always
        args: [serve, --port=8080, --verbose]
        ports: [{name: http, containerPort: 8080}, {containerPort: 9000, protocol: UDP}]
        env:
        - {name: LOG_LEVEL, value: info}
        - {name: ORIGIN, value: "*"}
        - {name: DB_PASSWORD, valueFrom: {secretKeyRef: {name: db, key: password}}}
        - {name: POD_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
        envFrom: [{configMapRef: {name: shop-env}}]
        resources: {requests: {cpu: 250m, memory: 256Mi}, limits: {cpu: "1", memory: 1Gi}}
        livenessProbe: {httpGet: {path: /healthz, port: http, scheme: HTTPS}, initialDelaySeconds: 10}
        readinessProbe: {tcpSocket: {port: 8080}, periodSeconds: 5}
        startupProbe: {exec: {command: [cat, /tmp/up]}}
        securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true,
                          capabilities: {drop: [ALL], add: [NET_BIND_SERVICE]}}
        volumeMounts:
        - {name: data, mountPath: /data}
        - {name: conf, mountPath: /etc/shop, readOnly: true}
        - {name: tmp, mountPath: /tmp}
      - name: proxy
        image: envoyproxy/envoy:v1.31.2
        ports: [{containerPort: 10000}]
        securityContext: {privileged: true}
        livenessProbe: {grpc: {port: 10000}}
      volumes:
      - {name: data, persistentVolumeClaim: {claimName: shop-data}}
      - {name: conf, configMap: {name: shop-conf}}
      - {name: tmp, emptyDir: {}}
---
apiVersion: v1
kind: Service
metadata: {name: shop, namespace: prod}
spec:
  type: LoadBalancer
  externalTrafficPolicy: Local
  sessionAffinity: ClientIP
  selector: {app: shop}
  ports: [{port: 80, targetPort: http, nodePort: 30080}, {port: 53, protocol: UDP}]
---
apiVersion: v1
kind: Service
metadata: {name: elsewhere, namespace: prod}
spec: {type: ExternalName, externalName: db.example.com}
"""
REST = """
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly}
spec:
  schedule: "30 2 * * 1"
  timeZone: Europe/Berlin
  concurrencyPolicy: Forbid
  suspend: true
  successfulJobsHistoryLimit: 2
  failedJobsHistoryLimit: 1
  startingDeadlineSeconds: 120
  jobTemplate:
    spec:
      completions: 4
      parallelism: 2
      backoffLimit: 3
      activeDeadlineSeconds: 600
      ttlSecondsAfterFinished: 3600
      template:
        spec:
          restartPolicy: OnFailure
          containers: [{name: c, image: "busybox:1.36", command: [sh, -c, date]}]
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: pv1}
spec:
  capacity: {storage: 10Gi}
  accessModes: [ReadWriteMany]
  persistentVolumeReclaimPolicy: Retain
  volumeMode: Filesystem
  storageClassName: slow
  hostPath: {path: /data}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: cm}
immutable: true
data: {KEY: value, "app.conf": "line one\\nline two\\n"}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: admin-of-all}
rules:
- {apiGroups: ["*"], resources: ["*"], verbs: ["*"]}
- {apiGroups: ["", apps], resources: [pods, deployments], verbs: [get, list], resourceNames: [one]}
---
apiVersion: v1
kind: LimitRange
metadata: {name: limits}
spec: {limits: [{type: Container, max: {memory: 2Gi}}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: deny}
spec: {podSelector: {}, policyTypes: [Ingress]}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: up}
spec: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}, maxReplicas: 9}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: robot}
automountServiceAccountToken: false
imagePullSecrets: [{name: regcred}]
"""


def read(manifest: str) -> Bodies:
    return [each.body for each in objects(parse(manifest))]


def grammar(count: int, seed: int = 7) -> list[Bodies]:
    return [list(make(seed, place).bodies) for place in range(count)]


HAND_MADE = [read(RICH), read(REST), *([body] for body in (*read(RICH), *read(REST)))]
CORPUS = [*HAND_MADE, *grammar(60)]
WRITTEN = [
    (bodies, write(bodies, f"{place} {detail}", detail=detail, secure=place % 3 == 0))
    for place, bodies in enumerate(CORPUS)
    for detail in DETAILS
]


def test_a_manifest_has_fidelity_1_to_its_own_request() -> None:
    for bodies, intent in WRITTEN:
        manifest = to_yaml(bodies)
        told = fidelity(manifest, manifest, intent.facts)
        assert told.value == 1.0, (told, intent)


def test_facts_are_leaves_of_the_manifest_or_say_that_something_is_there() -> None:
    for bodies, intent in WRITTEN:
        known = leaves(*bodies)
        for path, value in intent.facts:
            if value == "*" and path not in known:
                assert any(each.startswith(path) for each in known), path
            elif value != "*":
                assert known[path] == value


def places(value: Any, node: Any, path: str = "") -> Iterator[tuple[tuple[Step, ...], str]]:
    """Where each scalar stands in a body, and the path of its leaf."""
    if isinstance(value, dict | list) and value:
        keys = list(value) if isinstance(value, dict) else range(len(value))
        for key, segment in zip(keys, node, strict=True):
            below = f"{path}{segment}" if segment.startswith("[") or not path else f"{path}.{segment}"
            for place, leaf in places(value[key], node[segment], below):
                yield (key, *place), leaf
    else:
        yield (), path


def altered(bodies: Bodies, index: int, place: tuple[Step, ...], change: Callable[[Any, Step], None]) -> str:
    found = copy.deepcopy(bodies)
    here: Any = found[index]
    for step in place[:-1]:
        here = here[step]
    change(here, place[-1])
    return to_yaml(found)


def another(here: Any, step: Step) -> None:
    value = here[step]
    if isinstance(value, bool):
        here[step] = not value
    elif isinstance(value, int | float):
        here[step] = value + 7
    else:
        here[step] = f"x{value}"


def gone(here: Any, step: Step) -> None:
    del here[step]


def stated(bodies: Bodies, intent: Intent) -> Iterator[tuple[int, tuple[Step, ...], str, Any]]:
    """Each stated fact with where its value stands."""
    facts = dict(intent.facts)
    for index, (body, root) in enumerate(zip(bodies, roots(bodies), strict=True)):
        for place, path in places(body, tree(body)):
            whole = f"{root.path}{path}"
            if whole in facts:
                yield index, place, whole, facts[whole]


EVERY = 7
"""One stated fact in so many is altered: each costs a rendering and a comparison."""


def said_twice(path: str) -> bool:
    """What a pod hands down to its containers is still said where one of the two goes."""
    return path.rsplit(".", maxsplit=1)[-1] in INHERITED or "seccompProfile" in path


def test_what_contradicts_a_stated_fact_lowers_fidelity() -> None:
    tried = 0
    for bodies, intent in WRITTEN:
        reference = to_yaml(bodies)
        for index, place, path, value in list(stated(bodies, intent))[len(intent.facts) % EVERY :: EVERY]:
            if value == "*" or said_twice(path):
                continue
            wrong = altered(bodies, index, place, another)
            told = fidelity(wrong, reference, intent.facts)
            assert told.value is not None and told.value < 1.0, (path, value)
            tried += 1
    assert tried > 400


def test_what_is_missing_lowers_fidelity() -> None:
    tried = 0
    for bodies, intent in WRITTEN:
        reference = to_yaml(bodies)
        for index, place, path, value in list(stated(bodies, intent))[len(intent.text) % EVERY :: EVERY]:
            last = str(place[-1])
            if (last, text(value)) in DEFAULTS or said_twice(path) or last in ("kind", "apiVersion"):
                continue
            missing = altered(bodies, index, place, gone)
            told = fidelity(missing, reference, intent.facts)
            assert told.value is not None and told.value < 1.0, (path, value)
            tried += 1
    assert tried > 400


def test_a_stated_security_context_that_is_taken_away_lowers_fidelity() -> None:
    body = read("{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {securityContext: {runAsNonRoot: true}, "
                "containers: [{name: a, image: 'b:1', securityContext: {runAsNonRoot: true}}]}}")  # fmt: skip
    intent = write(body, "1", detail="everything")
    bare = copy.deepcopy(body)
    del bare[0]["spec"]["securityContext"], bare[0]["spec"]["containers"][0]["securityContext"]
    assert any("runAsNonRoot" in path for path, _ in intent.facts)
    told = fidelity(to_yaml(bare), to_yaml(body), intent.facts)
    assert told.value is not None and told.value < 1.0


SPOKEN: dict[str, str] = {
    "runAsNonRoot": r"non-root|root user|as root|runAsNonRoot|restricted",
    "allowPrivilegeEscalation": r"privilege escalation|restricted",
    "readOnlyRootFilesystem": r"read-only",
    "privileged": r"privileged",
    "automountServiceAccountToken": r"token",
    "readOnly": r"read-only",
    "suspend": r"suspend",
    "immutable": r"immutable",
    "hostNetwork": r"host's network|host network|network namespace of the host",
    "hostPID": r"process ID",
    "hostIPC": r"IPC",
    "clusterIP": r"headless",
    "podSelector": r"all pods|pods: all",
    "emptyDir": r"emptyDir|scratch",
    "[ALL]": r"capabilit|restricted",
    "seccompProfile.type": r"RuntimeDefault|restricted",
}
"""Facts that are said by a phrase: what must then stand in the text."""
ENUMERATED = {
    "ReadWriteOnce": "RWO",
    "ReadWriteMany": "RWX",
    "ReadOnlyMany": "ROX",
    "RollingUpdate": "rolling update",
    "cpu": "CPU",
}


def is_said(path: str, value: Any, request: str) -> bool:
    phrase = next((pattern for end, pattern in SPOKEN.items() if path.endswith(end)), "")
    if phrase and (not isinstance(value, str) or value in ("ALL", "RuntimeDefault", "*", "{}", "None")):
        return re.search(phrase, request.replace("`", ""), re.IGNORECASE) is not None
    if path == "kind" or path.endswith(":kind"):
        return any(word.lower() in request.lower() for word in KINDS.get(value, (value,)))
    return any_is_said(path, request) if value == "*" else value_is_said(path, value, request)


def any_is_said(path: str, request: str) -> bool:
    """The key is said where the value is not; rights to everything are said in words."""
    if path.endswith('["*"]'):
        words = "full access|all verbs|every verb|all resources|all API groups"
        return bool(re.search(words, request, re.IGNORECASE))
    key = re.search(r'(?:data|stringData)\.("(?:[^"\\]|\\.)*"|[^."]+)$', path)
    assert key is not None, path
    return (json.loads(key[1]) if key[1].startswith('"') else key[1]) in request


def value_is_said(path: str, value: Any, request: str) -> bool:
    word = text(value)
    plain = re.sub(r"(\d+) ?([KMGT]i)B", r"\1\2", request).replace("half a core", "500 millicores")
    small = NUMBERS[int(word)] if word.isdigit() and int(word) <= 10 else ""
    spellings = [word, ENUMERATED.get(word, ""), f"{word[:-1]} millicores" if word.endswith("m") else "", small]
    spellings += schedules(word) if path.endswith("schedule") else []
    option = path.rsplit("[", 1)[-1].split("#", 1)[0].strip("]")
    spellings += [option] if path.endswith("]") and isinstance(value, bool) else []
    return any(each and (each in plain or each in request) for each in spellings)


def test_each_fact_is_said() -> None:
    said = 0
    for _, intent in WRITTEN:
        for path, value in intent.facts:
            assert is_said(path, value, intent.text), (path, value, intent.text)
            said += 1
    assert said > 4000


def test_the_same_arguments_give_the_same_request_and_another_key_another() -> None:
    bodies = read(RICH)
    assert write(bodies, "a", detail="full") == write(bodies, "a", detail="full")
    texts = {write(bodies[:1], f"{key}", detail="normal").text for key in range(50)}
    assert len(texts) == 50
    near = [similarity(of_text(one), of_text(other)) >= NEAR for one in texts for other in texts if one < other]
    assert sum(near) == 0


def test_no_two_openings_in_five_are_alike() -> None:
    """One sentence a kind would give one opening; here the commonest has a small share."""
    bodies = read("{apiVersion: v1, kind: Service, metadata: {name: shop}, spec: {ports: [{port: 80}]}}")
    openings = [" ".join(write(bodies, f"{key}").text.split()[:3]) for key in range(300)]
    assert max(map(openings.count, set(openings))) < 0.2 * len(openings)
    assert len(set(openings)) > 60


def test_more_detail_states_more() -> None:
    bodies = read(RICH)
    counts = [sum(len(write(bodies, f"{key}", detail=detail).facts) for key in range(20)) for detail in DETAILS]
    assert counts == sorted(counts) and counts[0] * 4 < counts[-1]


def test_security_and_reliability_are_asked_for_only_where_the_manifest_has_them() -> None:
    bare = read(
        "{apiVersion: v1, kind: Pod, metadata: {name: web}, spec: {containers: [{name: web, image: 'nginx:1'}]}}"
    )
    asked = re.compile("root|capabilit|privilege|seccomp|probe|liveness|readiness|limit|request", re.IGNORECASE)
    for detail in DETAILS:
        for key in range(20):
            assert not asked.search(write(bare, f"{key}", detail=detail, secure=True).text)


def test_security_that_is_wanted_is_said() -> None:
    bodies = read(RICH)[:1]
    for key in range(20):
        facts = dict(write(bodies, f"{key}", detail="normal", secure=True).facts)
        assert facts["spec.template.spec.securityContext.runAsNonRoot"] is True
        assert facts["spec.template.spec.containers[web].securityContext.readOnlyRootFilesystem"] is True


def test_purpose_is_said_and_no_fact() -> None:
    bodies = read("{apiVersion: v1, kind: Service, metadata: {name: shop}, spec: {ports: [{port: 80}]}}")
    told = [write(bodies, f"{key}", purpose="the web shop") for key in range(40)]
    assert sum("the web shop" in each.text for each in told) > 10
    assert not any("the web shop" in str(value) for each in told for _, value in each.facts)


def test_every_topic_is_reached_and_every_phrase_of_it_can_be_filled() -> None:
    reached = set()
    for bodies in [*HAND_MADE, *grammar(250, seed=11)]:
        for rng in map(Random, range(3)):
            for section in sections(bodies, "everything", rng, secure=True):
                for statement in section.statements:
                    reached.add(statement.topic)
                    phrases = PHRASES[statement.topic]
                    for phrase in (*phrases.nouns, *phrases.orders, *phrases.sentences, *phrases.items):
                        assert "{" not in phrase.format(**statement.fills) or "{" in str(statement.fills)
    assert set(PHRASES) == reached


def test_orders_and_sentences_do_not_begin_with_a_value() -> None:
    for topic, phrases in PHRASES.items():
        for phrase in (*phrases.orders, *phrases.sentences):
            assert phrase[0].isalpha(), (topic, phrase)


def test_every_phrase_of_a_topic_says_the_same() -> None:
    """Apart from how a number is written, the wordings of a topic have the same placeholders."""
    same = {"replicas": {"replicas"}, "pods": {"replicas"}, "n": {"replicas"}, "be": set()}
    for topic, phrases in PHRASES.items():
        wordings = (*phrases.nouns, *phrases.orders, *phrases.sentences, *phrases.items)
        told = [{name for _, name, _, _ in Formatter().parse(phrase) if name} for phrase in wordings]
        if topic == "replicas":
            told = [set().union(*(same[name] for name in names)) for names in told]
        if topic in ("rolling", "field"):
            continue
        assert all(names - {"way", "s"} == told[0] - {"way", "s"} for names in told), topic


def test_unknown_detail_and_no_objects_are_refused() -> None:
    with pytest.raises(ValueError, match="wanted"):
        write(read(RICH), "1", detail="chatty")
    with pytest.raises(ValueError, match="wanted"):
        write([], "1")


@pytest.mark.parametrize(
    "manifest",
    [
        "{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: [{name: a, image: x, env: [{name: A}]}]}}",
        "{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: [{name: a, image: 'x', command: []}]}}",
        "{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {volumes: [{name: v, emptyDir: null}], "
        "containers: [{name: a, image: 'x', volumeMounts: [{name: v, mountPath: /v}]}]}}",
        '{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: [{name: a, image: "x\\ny"}]}}',
        "{apiVersion: v1, kind: Secret, metadata: {name: a}, data: {k: null}}",
        "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {'a{b}': '{c}', '*': '*'}}",
        "{apiVersion: v1, kind: Service, metadata: {name: a}, spec: null}",
        "{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}, spec: {template: {spec: {containers: []}}}}",
        "{apiVersion: example.com/v1, kind: Widget, metadata: {name: a}, spec: {x: [1, 2, {y: z}], q: '{brace}'}}",
        "{apiVersion: v1, kind: Namespace, metadata: {name: a, labels: {k: null, '': x}}}",
    ],
)
def test_odd_manifests_are_told_of_too(manifest: str) -> None:
    bodies = read(manifest)
    for detail in DETAILS:
        for key in range(8):
            intent = write(bodies, f"{key}", detail=detail)
            again = to_yaml(bodies)
            assert intent.text.strip()
            assert fidelity(again, again, intent.facts).value == 1.0


def test_a_kind_has_words_and_most_have_statements_of_their_own() -> None:
    assert set(OTHERS) <= set(KINDS)
