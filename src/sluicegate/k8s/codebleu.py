"""CodeBLEU for Kubernetes manifests: the mean of four parts in [0, 1], 1 for the reference itself.

The published measure has no YAML, and gives an empty answer a quarter and any other manifest more. Its parts are here:

- `ngram`: BLEU-4 over the tokens of the manifest, each object headed by its apiVersion with its kind, and its name;
- `weighted`: the same with an n-gram weighing as its tokens do on average: 1 for the fields that say what a manifest
  does (KEYWORDS), a fifth for the rest;
- `syntax`: F1 over the paths of the leaves, each under its object's kind, without what any object has (apiVersion,
  kind, name, namespace, a container's name and image); containers and volumes go without their names;
- `dataflow`: F1 over the references within the manifest (`references`).

A part of which the reference has nothing is None, and the others carry its weight. What the two sides share is counted
on values, not on text: the order of keys and of objects, flow style, quotes, aliases and comments change nothing. The
order of a list does.

What this does not do: ask whether the manifest is valid or does what was asked. A text that cannot be read to its end,
or holds no mapping, scores 0.

Source: Ren et al., CodeBLEU, arXiv:2009.10297; Papineni et al., BLEU, ACL 2002; method 1 of Chen and Cherry, 2014, for
n-grams without a match.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Container, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias, TypeVar

from sluicegate.k8s.agreement import LABELS
from sluicegate.k8s.document import Parsed, Value
from sluicegate.k8s.fidelity import NO_REFERENCE, first_fault, full_kind
from sluicegate.k8s.leaves import PORTS, Scalar, Tree, text, tree
from sluicegate.k8s.objects import entries, get, objects
from sluicegate.k8s.parse import parse
from sluicegate.k8s.references import edges

ORDER: Final = 4
FLOOR: Final = 0.1
"""Matches that an n-gram order without a match counts as."""
TOKENS_LIMIT: Final = 20_000
"""Tokens of either side that are compared; the largest of 1,265 real files has 14,193."""
COMMON: Final = 0.2
"""Weight of a token that is no keyword, as in CodeBLEU."""
KEYWORDS: Final = frozenset(
    """
    accessModes args averageUtilization backend claimName clusterIP command completions concurrencyPolicy configMap
    configMapKeyRef configMapRef containerPort containers cpu data egress emptyDir env envFrom exec from host hostPath
    httpGet image ingress ingressClassName initContainers key livenessProbe loadBalancerIP matchExpressions matchLabels
    maxReplicas maxUnavailable memory minAvailable minReplicas mountPath nodePort nodeSelector parallelism path
    persistentVolumeClaim podSelector policyTypes port ports readinessProbe replicas requests resources resourceNames
    roleRef rules runAsNonRoot runAsUser scaleTargetRef schedule secret secretKeyRef secretName secretRef
    securityContext selector serviceAccountName serviceName startupProbe storage storageClassName stringData subjects
    subPath targetPort tcpSocket tls to tolerations type updateStrategy valueFrom verbs volumeClaimTemplates
    volumeMounts volumes
    """.split()  # noqa: SIM905 - a page of quotes hides the words
)
NAME: Final = ("metadata", "name")
SKELETON: Final = (("apiVersion",), ("kind",), NAME)
"""What every object has."""
NAMESPACE: Final = ("metadata", "namespace")
"""What any object may have: where it is, and nothing of how it is made."""
UNNAMED: Final = LABELS - {PORTS}
"""Lists whose items go without their name in a path, and without the leaves that all of them have."""
EVERY_ITEM: Final = frozenset({"name", "image"})

Shape: TypeAlias = "Counter[int]"
Item = TypeVar("Item", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Similarity:
    """How near a manifest is to its reference.

    Args:
        value: the mean of the parts that there are, in [0, 1]; None where the reference cannot be read.
        parts: `ngram`, `weighted`, `syntax` and `dataflow`; None where the reference has nothing of it.
        why: the reason of None, or of a 0 that is the text's fault; else empty.
    """

    value: float | None
    parts: Mapping[str, float | None] = field(default_factory=dict)
    why: str = ""


def codebleu(answer: str | Parsed, reference: str | Parsed) -> Similarity:
    """Compare a manifest with a reference; either may be parsed already.

    >>> codebleu("{kind: Pod, apiVersion: v1}", "apiVersion: 'v1'\\nkind: Pod # a pod").value
    1.0
    >>> codebleu("no manifest", "{apiVersion: v1, kind: Pod}")
    Similarity(value=0.0, parts={}, why='nothing but text')
    """
    wanted = reference if isinstance(reference, Parsed) else parse(reference)
    known = objects(wanted)
    if not wanted.ok or not known:
        return Similarity(None, why=NO_REFERENCE)
    parsed = answer if isinstance(answer, Parsed) else parse(answer)
    bodies, known_bodies = _mappings(parsed), _mappings(wanted)
    if not parsed.ok or not bodies:
        return Similarity(0.0, why="nothing but text" if parsed.ok else f"not parsed: {first_fault(parsed)}")
    ngram, weighted = bleu(tokens(bodies), tokens(known_bodies))
    paths = _Paths()
    parts = {
        "ngram": ngram,
        "weighted": weighted,
        "syntax": _f1(paths.of(bodies), paths.of(known_bodies)),
        "dataflow": _f1(edges(objects(parsed)), edges(known)),
    }
    counted = [part for part in parts.values() if part is not None]
    return Similarity(sum(counted) / len(counted), parts)


def _mappings(parsed: Parsed) -> list[dict[str, Value]]:
    """What stands where objects should, be it one or not."""
    said = (entry.object.body if entry.object else entry.value for entry in entries(parsed))
    return [body for body in said if isinstance(body, dict)]


def tokens(bodies: Iterable[Mapping[str, Value]]) -> list[str]:
    """The words of a manifest in one order for all ways to write it: keys with their colon, dashes, words of scalars.

    Version and kind of an object come first, as one word since either follows from the other, then its name.

    >>> tokens([{"spec": {"args": ["-c", "sleep 1"]}, "kind": "Pod", "apiVersion": "v1", "metadata": {"name": "a"}}])
    ['v1/Pod', 'a', 'spec:', 'args:', '-', '-c', '-', 'sleep', '1']
    """
    found: list[str] = []
    for body in _in_order(bodies):
        head = [said for said in map(body.get, ("apiVersion", "kind")) if isinstance(said, str)]
        name = get({**body}, *NAME)
        found += ["/".join(head)] * bool(head)
        found += name.split() if isinstance(name, str) else []
        rest = _bare(body)
        if rest:
            _say(rest, found)
    return found[:TOKENS_LIMIT]


def _bare(body: Mapping[str, Value]) -> dict[str, Value]:
    """A body without what every object has."""
    rest = {**body}
    for path in SKELETON:
        if isinstance(get(rest, *path), str):
            rest = _dropped(rest, path)
    return rest


def _in_order(bodies: Iterable[Mapping[str, Value]]) -> Iterator[Mapping[str, Value]]:
    """By kind, namespace and name; those that share them by what they say."""
    placed: dict[tuple[str, str, str], list[Mapping[str, Value]]] = {}
    for body in bodies:
        placed.setdefault(_place(body), []).append(body)
    for _, same in sorted(placed.items()):
        yield from same if len(same) == 1 else sorted(same, key=lambda body: json.dumps(body, sort_keys=True))


def _place(body: Mapping[str, Value]) -> tuple[str, str, str]:
    metadata = body.get("metadata")
    named = metadata if isinstance(metadata, dict) else {}
    kind, namespace, name = body.get("kind"), named.get("namespace"), named.get("name")
    told = [word if isinstance(word, str) else "" for word in (kind, namespace, name)]
    return told[0], told[1], told[2]


def _say(value: Value, found: list[str]) -> None:
    if len(found) >= TOKENS_LIMIT:
        return
    if isinstance(value, dict) and value:
        for key in sorted(value):
            found.append(f"{key}:")
            _say(value[key], found)
    elif isinstance(value, list) and value:
        for item in value:
            found.append("-")
            _say(item, found)
    elif isinstance(value, (dict, list)):
        found.append("{}" if isinstance(value, dict) else "[]")
    else:
        found.extend(text(value).split(None, TOKENS_LIMIT)[:TOKENS_LIMIT] or ['""'])


def _weight(token: str) -> float:
    return 1.0 if token[:-1] in KEYWORDS and token.endswith(":") else COMMON


def bleu(seen: Sequence[str], aim: Sequence[str]) -> tuple[float, float]:
    """BLEU, and the same with n-grams that weigh as their tokens do; 0 without a common token, 1 for equal tokens.

    >>> bleu("a b c d".split(), "a b c d".split()), bleu("x y".split(), "a b c d".split()), bleu([], ["a"])
    ((1.0, 1.0), (0.0, 0.0), (0.0, 0.0))
    >>> [round(value, 2) for value in bleu("spec: ports: - x".split(), "spec: ports: - y".split())]
    [0.4, 0.44]
    """
    orders = range(1, min(ORDER, len(aim)) + 1)
    weights = {token: _weight(token) for token in {*seen}}
    logs = [0.0, 0.0]
    for order in orders:
        shares = _precisions(seen, aim, order, weights)
        if not shares[0] and order == 1:
            return 0.0, 0.0
        floor = FLOOR / max(1, len(seen) - order + 1)
        logs = [total + math.log(share or floor) for total, share in zip(logs, shares, strict=True)]
    brevity = min(1.0, math.exp(1 - len(aim) / len(seen)))
    plain, weighted = (brevity * math.exp(total / len(orders)) for total in logs)
    return plain, weighted


def _precisions(
    seen: Sequence[str], aim: Sequence[str], order: int, weights: Mapping[str, float]
) -> tuple[float, float]:
    """The share of the seen n-grams that the aim has too, by number and by weight."""
    counted, wanted = Counter(_ngrams(seen, order)), Counter(_ngrams(aim, order))
    common = every = 0
    heavy = all_heavy = 0.0
    for ngram, count in counted.items():
        weight = sum(map(weights.__getitem__, ngram))
        matched = min(count, wanted[ngram])
        common, every = common + matched, every + count
        heavy, all_heavy = heavy + matched * weight, all_heavy + count * weight
    return (common / every, heavy / all_heavy) if every else (0.0, 0.0)


def _ngrams(of: Sequence[str], order: int) -> Iterator[tuple[str, ...]]:
    return zip(*(of[start:] for start in range(order)), strict=False)


class _Paths:
    """Paths as numbers, so that a long key above many leaves is kept once."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[int, str], int] = {}

    def of(self, bodies: Iterable[Mapping[str, Value]]) -> Shape:
        """How often each path leads to a leaf."""
        found: Shape = Counter()
        for body in bodies:
            version, kind = (said if isinstance(said := body.get(key), str) else "" for key in ("apiVersion", "kind"))
            self._walk(
                tree(_dropped(_bare(body), NAMESPACE)),
                self._below(0, full_kind(version.rpartition("/")[0], kind)),
                "",
                found,
            )
        return found

    def _below(self, above: int, segment: str) -> int:
        return self._numbers.setdefault((above, segment), len(self._numbers) + 1)

    def _walk(self, node: Tree | Scalar, at: int, name: str, found: Shape) -> None:
        if not isinstance(node, dict):
            found[at] += 1
            return
        for segment, below in node.items():
            if name in UNNAMED and segment.startswith("["):
                self._walk(_without(below, EVERY_ITEM), self._below(at, "[]"), segment, found)
            else:
                self._walk(below, self._below(at, segment), segment, found)


def _without(node: Tree | Scalar, fields: Container[str]) -> Tree | Scalar:
    return {key: below for key, below in node.items() if key not in fields} if isinstance(node, dict) else node


def _dropped(body: dict[str, Value], path: Sequence[str]) -> dict[str, Value]:
    """A body without what stands at a path, and without the maps that this leaves empty."""
    below = body.get(path[0])
    rest = _dropped(below, path[1:]) if len(path) > 1 and isinstance(below, dict) else {}
    return {key: value for key, value in body.items() if key != path[0]} | ({path[0]: rest} if rest else {})


def _f1(seen: Counter[Item], aim: Counter[Item]) -> float | None:
    """F1 of two bags; None where nothing is aimed at."""
    if not aim:
        return None
    return 2 * (seen & aim).total() / (seen.total() + aim.total())
