"""Patterns: manifests with placeholders, found for a request by its words alone.

A pattern is what the second encoder reads. It is never made of the sample's own reference: the kinds are recognised in
the words of the request, and among the training samples of the kind that it names first, the request that names the
most alike kinds and is nearest in its words lends its manifest, with names, images, numbers and settings replaced by
placeholders. A training sample looks among the samples outside its own group, so that in training as in use it sees
somebody else's manifest.

A placeholder is `$` and capital letters: CodeT5's tokenizer keeps the line break and the indent before it (which
`<extra_id_0>` does not), and a pattern is valid YAML. A library is a file of its own, so that a request that comes
later finds its pattern by the same code.

Source: nearest by the cosine of TF-IDF vectors, with idf = ln((1 + n) / (1 + df)) + 1 and log-scaled counts (Salton and
Buckley 1988, Term-weighting approaches in automatic text retrieval).
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict
from scipy.sparse import csr_array

from sluicegate import jsonl
from sluicegate.data.k8s.intents.phrases import KINDS
from sluicegate.data.k8s.intents.wording import spaced
from sluicegate.data.k8s.render import to_yaml
from sluicegate.data.splits import groups
from sluicegate.errors import UserError
from sluicegate.k8s.objects import PODS, objects
from sluicegate.k8s.parse import parse
from sluicegate.records import Sample, to_json

CHUNK = 512
"""Requests that are compared with the library at once: bounds memory to CHUNK x entries."""
KEPT = frozenset(
    (
        "accessModes", "allowPrivilegeEscalation", "apiVersion", "automountServiceAccountToken", "concurrencyPolicy",
        "drop", "effect", "externalTrafficPolicy", "hostIPC", "hostNetwork", "hostPID", "imagePullPolicy", "kind",
        "operator", "pathType", "persistentVolumeReclaimPolicy", "podManagementPolicy", "policyTypes", "privileged",
        "protocol", "readOnly", "readOnlyRootFilesystem", "reclaimPolicy", "restartPolicy", "runAsNonRoot", "scheme",
        "sessionAffinity", "type", "verbs", "volumeBindingMode", "volumeMode", "whenUnsatisfiable",
    )
)  # fmt: skip
"""Fields whose values are few and tell the shape of a manifest; all others become placeholders."""
OPEN = frozenset(
    ("annotations", "binaryData", "capacity", "data", "labels", "limits", "matchLabels", "nodeSelector", "requests",
     "stringData")
)  # fmt: skip
"""Maps whose keys are the user's own, one entry of which shows the shape; those of resources are kept."""
RESOURCES = frozenset(("capacity", "limits", "requests"))
ALIASES = {
    "containerPort": "PORT", "targetPort": "PORT", "number": "PORT", "port": "PORT", "nodePort": "PORT",
    "mountPath": "PATH", "claimName": "NAME", "secretName": "NAME", "serviceName": "NAME", "serviceAccountName": "NAME",
    "storageClassName": "CLASS", "ingressClassName": "CLASS", "priorityClassName": "CLASS",
}  # fmt: skip
WORD = re.compile(r"[a-z][a-z]+")
WORKLOADS = frozenset(kind for _, kind in PODS)
TOLD = {
    "CronJob": (r"scheduled (?:jobs?|tasks?)", r"nightly", r"hourly", r"cron"),
    "HorizontalPodAutoscaler": (r"autoscal\w*", r"hpa"),
    "PersistentVolumeClaim": (r"pvcs?", r"volume claims?"),
    "PersistentVolume": (r"pvs?",),
    "PodDisruptionBudget": (r"pdbs?", r"disruption budgets?"),
    "NetworkPolicy": (r"netpols?", r"network polic\w*"),
    "DaemonSet": (r"on every node", r"on each node"),
}
"""Kind → other words that people use for it, as patterns."""
DEPLOY = re.compile(r"\bdeploy(?! to\b)", re.IGNORECASE)
"""What asks for a Deployment where no other kind that starts pods is named."""


def template(bodies: Iterable[Mapping[str, Any]]) -> str:
    """A manifest with its names and values replaced by placeholders.

    >>> pod = {"kind": "Pod", "metadata": {"name": "a"}, "spec": {"containers": [{"name": "a", "image": "nginx"}]}}
    >>> print(template([pod]), end="")
    kind: Pod
    metadata:
      name: $NAME
    spec:
      containers:
      - name: $NAME
        image: $IMAGE
    """
    return to_yaml([_shape(body) for body in bodies])


def _shape(body: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _value(part, key) for key, part in body.items() if key != "status"}


def _value(value: Any, field: str) -> Any:
    if isinstance(value, dict) and value:
        if field in OPEN and field not in RESOURCES:
            return {"$KEY": "$VALUE"}
        return {key: _value(part, key) for key, part in value.items()}
    if isinstance(value, list) and value:
        shapes = [_value(item, field) for item in value]
        return [shape for place, shape in enumerate(shapes) if shape not in shapes[:place]]
    if field in KEPT or isinstance(value, bool | dict | list):
        return value
    return f"${_placeholder(field)}"


@cache
def _placeholder(field: str) -> str:
    """The name of a field's placeholder: letters and underscores only."""
    name = ALIASES.get(field) or re.sub(r"[^A-Z]+", "_", spaced(field).upper()).strip("_")
    return name or "VALUE"


def recognised(request: str) -> tuple[str, ...]:
    """The kinds that the words of a request name, each once, in their order; a namespace last, as it is mostly a place.

    >>> recognised("a cron job and its service account"), recognised("an nginx Deployment with a PVC")
    (('CronJob', 'ServiceAccount'), ('Deployment', 'PersistentVolumeClaim'))
    >>> recognised("In the namespace prod, deploy nginx behind a service")
    ('Deployment', 'Service', 'Namespace')
    """
    rows = _named()
    found = dict.fromkeys(rows[match.lastindex - 1][1] for match in _names().finditer(request) if match.lastindex)
    if DEPLOY.search(request) and not any(kind in WORKLOADS for kind in found):
        found = {"Deployment": None, **found}
    return tuple(sorted(found, key=lambda kind: kind == "Namespace"))


@cache
def _named() -> tuple[tuple[str, str], ...]:
    """Words as a pattern, and the kind; the longest first, since a cron job is no job."""
    rows = {(_spelled(word), kind) for kind, words in KINDS.items() for word in (spaced(kind), *map(str.lower, words))}
    rows |= {(word, kind) for kind, words in TOLD.items() for word in words}
    return tuple(sorted(rows, key=lambda row: (-len(row[0]), row)))


def _spelled(words: str) -> str:
    return r"[ -]?".join(map(re.escape, words.split())) + "s?"


@cache
def _names() -> re.Pattern[str]:
    words = "|".join(f"({word})" for word, _ in _named())
    return re.compile(rf"(?<![\w.-])(?:{words})(?![\w-]|\.\w)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Entry:
    """A request of the training data and the pattern of its manifest.

    Args:
        group: of its sample; samples of the same group do not look at it.
        kind: of the manifest's first object.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    id: str
    group: str
    request: str
    kind: str
    pattern: str


@dataclass(frozen=True)
class Library:
    """The patterns of a training split. Of entries that are equally near the first is taken."""

    entries: tuple[Entry, ...]

    @classmethod
    def of(cls, training: Sequence[Sample]) -> Library:
        """The library of a training split; a sample whose reference holds no object has nothing to lend."""
        group = own_groups(training)
        found = []
        for sample in training:
            bodies = [each.body for each in objects(parse(sample.completion))]
            if bodies:
                pattern = template(bodies)
                found.append(Entry(sample.id, group[sample.id], sample.prompt, str(bodies[0]["kind"]), pattern))
        return cls(tuple(found))

    @classmethod
    def load(cls, path: Path) -> Library:
        """A library as `text` spells it.

        Raises:
            UserError: missing, unreadable, empty, or not a library.
        """
        entries = tuple(jsonl.read(Entry, path))
        if not entries:
            wanted = "a library that `sluicegate data k8s` wrote"
            raise UserError(f"{path}: no patterns", wanted=wanted, seen="an empty file")
        return cls(entries)

    @property
    def text(self) -> str:
        """The library as a file holds it, an entry a line."""
        return "".join(f"{to_json(entry)}\n" for entry in self.entries)

    def pattern(self, request: str, *, group: str = "") -> str:
        """The pattern for one request, from its words alone; empty where there is none to lend.

        Args:
            group: whose entries are not looked at; a request that is no training sample has none.
        """
        return self.patterns([request], [group])[0]

    def patterns(self, requests: Sequence[str], own: Sequence[str]) -> list[str]:
        """The pattern for each request, and the group that each is of. Memory does not grow with the requests."""
        found: list[str] = []
        for start in range(0, len(requests), CHUNK):
            part, barred = requests[start : start + CHUNK], own[start : start + CHUNK]
            rows = self._index.nearness(part)
            found += [self._nearest(*row) for row in zip(part, barred, rows, strict=True)]
        return found

    def _nearest(self, request: str, group: str, near: NDArray[np.float64]) -> str:
        """The entry of the kind that is named first, with the most alike kinds and the nearest words."""
        kinds = recognised(request)
        score = near + self._index.alike(frozenset(kinds))
        score[self._of_kind.get(kinds[0] if kinds else "", [])] += 2.0
        score[self._of_group.get(group, []) if group else []] = -1.0
        place = int(np.argmax(score)) if len(score) else -1
        return self.entries[place].pattern if place >= 0 and score[place] >= 0 else ""

    @cached_property
    def _index(self) -> _Index:
        return _Index([entry.request for entry in self.entries])

    @cached_property
    def _of_group(self) -> dict[str, list[int]]:
        return _places(entry.group for entry in self.entries)

    @cached_property
    def _of_kind(self) -> dict[str, list[int]]:
        return _places(entry.kind for entry in self.entries)


def _places(names: Iterable[str]) -> dict[str, list[int]]:
    found: defaultdict[str, list[int]] = defaultdict(list)
    for place, name in enumerate(names):
        found[name].append(place)
    return dict(found)


class _Index:
    """The words of some requests as TF-IDF vectors of length 1, and the kinds that each names."""

    def __init__(self, requests: Sequence[str]) -> None:
        counts = [Counter(WORD.findall(request.lower())) for request in requests]
        seen = Counter(word for each in counts for word in each)
        self.columns = {word: place for place, word in enumerate(sorted(seen))}
        self.idf = {word: math.log((1 + len(requests)) / (1 + number)) + 1 for word, number in seen.items()}
        self.matrix = self._rows(counts).T.tocsr()
        named = [frozenset(recognised(request)) for request in requests]
        self.sets = list(dict.fromkeys(named))
        numbers = {each: number for number, each in enumerate(self.sets)}
        self.set_of = np.array([numbers[each] for each in named], dtype=np.int64)

    def _rows(self, counts: Sequence[Counter[str]]) -> Any:
        columns: list[int] = []
        weights: list[float] = []
        ends = [0]
        for each in counts:
            row = {
                self.columns[word]: (1 + math.log(n)) * self.idf[word] for word, n in each.items() if word in self.idf
            }
            length = math.sqrt(sum(weight * weight for weight in row.values())) or 1.0
            columns += row
            weights += [weight / length for weight in row.values()]
            ends.append(len(columns))
        shape = (len(counts), len(self.columns))
        return csr_array((np.array(weights), np.array(columns, dtype=np.int64), ends), shape=shape)

    def nearness(self, requests: Sequence[str]) -> NDArray[np.float64]:
        """Cosine of each request with each of the index, in [0, 1]."""
        rows = self._rows([Counter(WORD.findall(request.lower())) for request in requests])
        return (rows @ self.matrix).toarray()  # type: ignore[no-any-return]

    def alike(self, kinds: frozenset[str]) -> NDArray[np.float64]:
        """Kinds that a request of the index names as well / kinds that either names, in [0, 1]."""
        shares = [len(kinds & each) / len(kinds | each) if kinds | each else 0.0 for each in self.sets]
        return np.array(shares)[self.set_of] if shares else np.zeros(0)


def own_groups(training: Sequence[Sample]) -> dict[str, str]:
    """Id of each training sample → the name of its group: what must stay together when it is split."""
    return {sample.id: group[0].id for group in groups(training) for sample in group}


def filled(library: Library, samples: Sequence[Sample]) -> list[Sample]:
    """Samples with their patterns as context; a sample that has a context keeps it.

    What a sample's reference says is not looked at. A variant does not look among the group of its original.
    """
    own = {entry.id: entry.group for entry in library.entries}
    open_ = [sample for sample in samples if not sample.context]
    barred = [own.get(sample.id) or own.get(str(sample.meta.get("hardened_from")), "") for sample in open_]
    found = library.patterns([sample.prompt for sample in open_], barred)
    patterns = {sample.id: pattern for sample, pattern in zip(open_, found, strict=True)}
    return [replace(sample, context=sample.context or patterns[sample.id]) for sample in samples]
