"""Pods: who they run as, where they run, and what they are called by.

Source: ValidatePodSpec in https://github.com/kubernetes/kubernetes/blob/master/pkg/apis/core/validation/validation.go
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sluicegate.k8s.document import Path
from sluicegate.k8s.issues import said
from sluicegate.k8s.semantics.names import (
    A_LABEL,
    A_LABEL_KEY,
    A_SUBDOMAIN,
    is_address,
    is_label,
    is_label_key,
    is_subdomain,
    label_faults,
)
from sluicegate.k8s.semantics.rule import WORKLOADS, Body, Found, Rule, View, at, items, listed, mapping, out_of_range
from sluicegate.k8s.semantics.selectors import WITH_VALUES, WITHOUT, faults

ID_MOST: Final = 2_147_483_647
MODE_MOST: Final = 0o777
A_MODE = f"0 to 0777 in octal, which is {MODE_MOST}"
CONTEXT: Final = "securityContext"
SUBDOMAINS: Final = ("serviceAccountName", "priorityClassName", "runtimeClassName", "nodeName")
LABELS: Final = ("hostname", "subdomain")
REFERENCES: Final = ("configMapRef", "secretRef")
COMPARED = ("Gt", "Lt")
REQUIRED, PREFERRED = (
    "requiredDuringSchedulingIgnoredDuringExecution",
    "preferredDuringSchedulingIgnoredDuringExecution",
)
WEIGHT_MOST: Final = 100
PROFILE: Final = "localhostProfile"
A_PROFILE = "the profile's name on the node, since the type is Localhost"
SECCOMP, APP_ARMOR = "seccompProfile", "appArmorProfile"
OF_NO_NODE: Final = ("RuntimeDefault", "Unconfined")
APP_ARMOR_MOST = 4095
BLANKS: Final = " \t\n\v\f\r"
AN_ADDRESS = "an address such as 10.0.0.10"
SERVERS_MOST = 3


def user_ids(seen: View) -> Iterator[Found]:
    """Users and groups are numbers that a process can run as."""
    for path, body in ((seen.pod_path, seen.pod), *seen.containers):
        context = mapping(body.get(CONTEXT))
        for field in ("runAsUser", "runAsGroup", "fsGroup"):
            yield from out_of_range(context.get(field), (*path, CONTEXT, field), 0, ID_MOST)
    groups = at(seen.pod, (CONTEXT, "supplementalGroups"))
    for index, group in enumerate(listed(groups)):
        yield from out_of_range(group, (*seen.pod_path, CONTEXT, "supplementalGroups", index), 0, ID_MOST)


def profiles(seen: View) -> Iterator[Found]:
    """A profile that lies on the node has a name there, and no other has one."""
    for path, body in ((seen.pod_path, seen.pod), *seen.containers):
        context = mapping(body.get(CONTEXT))
        for field, fault in ((SECCOMP, _seccomp_fault), (APP_ARMOR, _app_armor_fault)):
            profile = mapping(context.get(field))
            kind, name = profile.get("type"), profile.get(PROFILE)
            where = (*path, CONTEXT, field, PROFILE)
            if kind == "Localhost" and name is None:
                yield where, A_PROFILE, "nothing"
            elif kind == "Localhost" and isinstance(name, str) and (wanted := fault(name)):
                yield where, wanted, said(name) if name else "nothing"
            elif kind in OF_NO_NODE and isinstance(name, str):
                yield where, f"nothing, since the type is {kind}", said(name)


def _seccomp_fault(name: str) -> str:
    """What the path of a seccomp profile should have been; the API server takes an empty one."""
    return "a path without / at its start and without .." if name.startswith("/") or ".." in name.split("/") else ""


def _app_armor_fault(name: str) -> str:
    if not name:
        return A_PROFILE
    if name.strip(BLANKS) != name:
        return "no blanks around it"
    return f"at most {APP_ARMOR_MOST} bytes" if len(name.encode(errors="replace")) > APP_ARMOR_MOST else ""


def host_aliases(seen: View) -> Iterator[Found]:
    """Lines of a pod's /etc/hosts: an address and the names that it has."""
    for path, row in items(seen.pod, seen.pod_path, "hostAliases"):
        address = row.get("ip")
        if isinstance(address, str) and not is_address(address):
            yield (*path, "ip"), AN_ADDRESS, said(address) if address else "nothing"
        for index, name in enumerate(listed(row.get("hostnames"))):
            # A dot at the end of a full name is refused up to now, but Kubernetes means to take it: no fault here.
            if isinstance(name, str) and not is_subdomain(name.removesuffix(".")):
                yield (*path, "hostnames", index), A_SUBDOMAIN, said(name)


def name_servers(seen: View) -> Iterator[Found]:
    """A pod that asks none of the cluster's name servers says which, three at most."""
    path: Path = (*seen.pod_path, "dnsConfig", "nameservers")
    given = at(seen.pod, ("dnsConfig", "nameservers"))
    if seen.pod.get("dnsPolicy") == "None" and not given:
        yield path, "at least one address, since dnsPolicy is None", "none"
    servers = listed(given)
    if len(servers) > SERVERS_MOST:
        yield path, f"at most {SERVERS_MOST} addresses", str(len(servers))
    for index, address in enumerate(servers):
        if isinstance(address, str) and not is_address(address):
            yield (*path, index), AN_ADDRESS, said(address)


def file_modes(seen: View) -> Iterator[Found]:
    """The modes of a volume's files; 644 without a 0 before it is a decimal number."""
    for path, volume in items(seen.pod, seen.pod_path, "volumes"):
        for where, source in _sources(volume, path):
            yield from out_of_range(source.get("defaultMode"), (*where, "defaultMode"), 0, MODE_MOST, A_MODE)
            for place, item in items(source, where, "items"):
                yield from out_of_range(item.get("mode"), (*place, "mode"), 0, MODE_MOST, A_MODE)


def _sources(volume: Body, path: Path) -> Iterator[tuple[Path, Body]]:
    """What gives a volume its files, each part of a projected one too."""
    for field in ("secret", "configMap", "downwardAPI", "projected"):
        yield (*path, field), mapping(volume.get(field))
    for where, part in items(volume, path, "projected", "sources"):
        for field in ("secret", "configMap", "downwardAPI"):
            yield (*where, field), mapping(part.get(field))


def references(seen: View) -> Iterator[Found]:
    """What a pod is called, and what it calls by a name."""
    for fields, good, wanted in ((SUBDOMAINS, is_subdomain, A_SUBDOMAIN), (LABELS, is_label, A_LABEL)):
        for field in fields:
            name = seen.pod.get(field)
            if isinstance(name, str) and name and not good(name):
                yield (*seen.pod_path, field), wanted, said(name)


def environments(seen: View) -> Iterator[Found]:
    """Variables that are taken all at once come from one map or one secret, which has a name."""
    for path, container in seen.containers:
        for where, row in items(container, path, "envFrom"):
            given = [field for field in REFERENCES if row.get(field) is not None]
            if len(given) != 1:
                yield where, f"either {' or '.join(REFERENCES)}", "both" if given else "neither"
            for field in given:
                name = mapping(row[field]).get("name")
                if not name or (isinstance(name, str) and not is_subdomain(name)):
                    yield (*where, field, "name"), A_SUBDOMAIN, said(name) if name else "nothing"


def node_selectors(seen: View) -> Iterator[Found]:
    """The labels of nodes that a pod runs on."""
    return label_faults(seen.pod.get("nodeSelector"), (*seen.pod_path, "nodeSelector"))


def node_affinities(seen: View) -> Iterator[Found]:
    """Terms of a node affinity: at least one, and values that fit the operator."""
    path: Path = (*seen.pod_path, "affinity", "nodeAffinity")
    body = mapping(at(seen.pod, ("affinity", "nodeAffinity")))
    required = body.get(REQUIRED)
    if isinstance(required, dict) and not listed(required.get("nodeSelectorTerms")):
        yield (*path, REQUIRED, "nodeSelectorTerms"), "at least one term", "none"
    terms = [*items(body, path, REQUIRED, "nodeSelectorTerms")]
    terms += [((*where, "preference"), mapping(row.get("preference"))) for where, row in items(body, path, PREFERRED)]
    for where, term in terms:
        for place, row in items(term, where, "matchExpressions"):
            yield from _node_expression(row, place)


def _node_expression(row: Body, path: Path) -> Iterator[Found]:
    key, operator, count = row.get("key"), row.get("operator"), len(listed(row.get("values")))
    if isinstance(key, str) and not is_label_key(key):
        yield (*path, "key"), A_LABEL_KEY, said(key)
    if operator in WITH_VALUES and not count:
        yield (*path, "values"), f"some values, since the operator is {operator}", "none"
    elif operator in WITHOUT and count:
        yield (*path, "values"), f"nothing, since the operator is {operator}", str(count)
    elif operator in COMPARED and count != 1:
        yield (*path, "values"), f"one value, since the operator is {operator}", str(count)


def preferences(seen: View) -> Iterator[Found]:
    """Weights of what is preferred."""
    for kind in ("nodeAffinity", "podAffinity", "podAntiAffinity"):
        for path, row in items(seen.pod, seen.pod_path, "affinity", kind, PREFERRED):
            yield from out_of_range(row.get("weight"), (*path, "weight"), 1, WEIGHT_MOST)
            if kind != "nodeAffinity" and mapping(row.get("podAffinityTerm")).get("topologyKey") == "":
                yield (*path, "podAffinityTerm", "topologyKey"), "a label key of nodes", "nothing"


def pod_selectors(seen: View) -> Iterator[Found]:
    """The pods that a pod keeps near to, or away from."""
    for path, row in items(seen.pod, seen.pod_path, "topologySpreadConstraints"):
        yield from faults(mapping(row.get("labelSelector")), (*path, "labelSelector"))
    for kind in ("podAffinity", "podAntiAffinity"):
        terms = [*items(seen.pod, seen.pod_path, "affinity", kind, REQUIRED)]
        for path, row in items(seen.pod, seen.pod_path, "affinity", kind, PREFERRED):
            terms.append(((*path, "podAffinityTerm"), mapping(row.get("podAffinityTerm"))))
        for path, term in terms:
            yield from faults(mapping(term.get("labelSelector")), (*path, "labelSelector"))


RULES = (
    Rule("user-id", "Users and groups are numbers that a process can have.", WORKLOADS, user_ids),
    Rule("security-profile", "Profiles of the node, and only they, have a name there.", WORKLOADS, profiles),
    Rule("host-alias", "Host aliases are addresses with DNS names.", WORKLOADS, host_aliases),
    Rule(
        "name-server",
        "Name servers are addresses: at most 3, and some where the policy is None.",
        WORKLOADS,
        name_servers,
    ),
    Rule("file-mode", "File modes of a volume are at most 0777.", WORKLOADS, file_modes),
    Rule("pod-name", "A pod's host, node, account and classes have names.", WORKLOADS, references),
    Rule("environment-source", "Variables come from one named map or secret.", WORKLOADS, environments),
    Rule("node-selector", "Nodes are selected by labels.", WORKLOADS, node_selectors),
    Rule("node-affinity", "Terms of a node affinity are well-formed.", WORKLOADS, node_affinities),
    Rule("preference", "Preferences have weights of 1 to 100.", WORKLOADS, preferences),
    Rule("pod-selector", "Pod affinities and spreads select by labels.", WORKLOADS, pod_selectors),
)
