"""What the objects that start no pods say: networking, settings, storage, scaling, access; and labels of any object."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

from sluicegate.data.k8s.intents.node import ANY, Node
from sluicegate.data.k8s.intents.statement import FINE, LONGEST, MAIN, USUAL, Statement
from sluicegate.data.k8s.intents.wording import amounts, counts, enumerations, listing, plural, spaced

FIELDS = 12
"""Fields that are said of an object of a kind without phrases of its own."""
SHORT = 60
"""Characters of a setting that is said with its value; of a longer one only the key is."""


def service(root: Node, rng: Random) -> Iterator[Statement]:
    """Type, ports and selector of a Service."""
    spec = root.at("spec")
    if spec is None:
        return
    if spec.word("clusterIP") == "None":
        yield Statement("headless", {}, spec.facts("clusterIP"), MAIN)
    elif word := spec.word("type"):
        yield Statement("service_type", {"value": word}, spec.facts("type"), MAIN)
    for port in spec.children("ports"):
        yield _service_port(port)
    yield from _selector(spec, "selector")
    for topic, field in (("traffic_policy", "externalTrafficPolicy"), ("affinity", "sessionAffinity")):
        if word := spec.word(field):
            yield Statement(topic, {"value": word}, spec.facts(field), FINE)
    if word := spec.word("externalName"):
        yield Statement("external_name", {"value": word}, spec.facts("externalName"), MAIN)


def _service_port(port: Node) -> Statement:
    number, target, node_port, protocol = (port.word(name) for name in ("port", "targetPort", "nodePort", "protocol"))
    facts = port.some("port", "targetPort", "nodePort", *["protocol"] * (protocol == "UDP"))
    said = f"UDP port {number}" if protocol == "UDP" else f"port {number}"
    extra = f" (node port {node_port})" if node_port else ""
    if target:
        to = f"port {target}" if target.isdigit() else f"the port named {target}"
        return Statement("service_port", {"port": said, "target": to, "extra": extra}, facts, MAIN)
    return Statement("service_port_only", {"port": said, "extra": extra}, facts, MAIN)


def _selector(spec: Node, *segments: str, weight: int = FINE) -> Iterator[Statement]:
    pairs = spec.pairs(*segments)
    if pairs:
        said = listing([f"{key}={node.word()}" for key, node in pairs])
        yield Statement("selector", {"pairs": said}, spec.facts(*segments), weight)


def ingress(root: Node, rng: Random) -> Iterator[Statement]:
    """Class, routes and certificates of an Ingress."""
    spec = root.at("spec")
    if spec is None:
        return
    if word := spec.word("ingressClassName"):
        yield Statement("ingress_class", {"value": word}, spec.facts("ingressClassName"), USUAL)
    for rule in spec.children("rules"):
        host = rule.word("host")
        for path in rule.children("http", "paths"):
            yield from _route(rule, host, path)
    for tls in spec.children("tls"):
        if secret := tls.word("secretName"):
            yield Statement("tls", {"secret": secret}, tls.facts("secretName"), USUAL)


def _route(rule: Node, host: str, path: Node) -> Iterator[Statement]:
    service_at = path.at("backend", "service")
    if service_at is None:
        return
    name, word, number = service_at.word("name"), service_at.word("port", "name"), service_at.word("port", "number")
    facts = (*rule.facts("host"), *path.facts("path"), *service_at.facts("name"), *service_at.facts("port"))
    where = path.word("path")
    fills = {"url": f"{host}{where}" if host else f"the path {where}", "service": name, "port": word or number}
    if (word or number) and (host or where):
        yield Statement("route", fills, facts, MAIN)


def config_map(root: Node, rng: Random) -> Iterator[Statement]:
    """The entries of a ConfigMap."""
    for key, node in root.pairs("data"):
        value = node.word()
        if value != ANY and 0 < len(value) <= SHORT and value.isprintable():
            yield Statement("entry", {"key": key, "value": value}, node.facts(), USUAL)
        elif node.below is not None:
            yield Statement("entry_key", {"key": key}, node.any(), USUAL)
    if root.word("immutable") == "true":
        yield Statement("immutable", {}, root.facts("immutable"), FINE)


def secret(root: Node, rng: Random) -> Iterator[Statement]:
    """Type and keys of a Secret, never its values."""
    if word := root.word("type"):
        yield Statement("secret_type", {"value": word}, root.facts("type"), USUAL)
    for field in ("data", "stringData"):
        for key, node in root.pairs(field):
            if node.below is not None:
                yield Statement("secret_key", {"key": key}, node.any(), MAIN)


def claim(root: Node, rng: Random) -> Iterator[Statement]:
    """Size, class and access mode of a claim or a volume."""
    spec = root.at("spec")
    if spec is None:
        return
    for segments in (("resources", "requests", "storage"), ("capacity", "storage")):
        if size := spec.word(*segments):
            yield Statement("size", {"size": rng.choice(amounts(size))}, spec.facts(*segments), MAIN)
    if word := spec.word("storageClassName"):
        yield Statement("storage_class", {"value": word}, spec.facts("storageClassName"), USUAL)
    for mode in spec.children("accessModes"):
        yield Statement("access_mode", {"value": rng.choice(enumerations(mode.word()))}, mode.facts(), USUAL)
    for topic, field in (("volume_mode", "volumeMode"), ("reclaim", "persistentVolumeReclaimPolicy")):
        if word := spec.word(field):
            yield Statement(topic, {"value": word}, spec.facts(field), FINE)


def autoscaler(root: Node, rng: Random) -> Iterator[Statement]:
    """Target, bounds and metrics of a HorizontalPodAutoscaler."""
    spec = root.at("spec")
    if spec is None:
        return
    target = spec.at("scaleTargetRef")
    if target is not None and target.word("name"):
        fills = {"kind": target.word("kind"), "name": target.word("name")}
        yield Statement("scale_target", fills, target.some("kind", "name"), MAIN)
    low, high = spec.word("minReplicas"), spec.word("maxReplicas")
    if low and high:
        spelled = int(rng.random() < 0.3 and len(counts(low)) == len(counts(high)) == 2)
        fills = {"low": counts(low)[spelled], "high": counts(high)[spelled]}
        yield Statement("bounds", fills, spec.some("minReplicas", "maxReplicas"), MAIN)
    elif high:
        yield Statement("upper_bound", {"high": plural(high, "replica", rng)}, spec.facts("maxReplicas"), MAIN)
    for metric in spec.children("metrics"):
        resource, number = metric.word("resource", "name"), metric.word("resource", "target", "averageUtilization")
        if resource and number:
            facts = metric.some("resource/name", "resource/target/averageUtilization")
            name = "CPU" if resource == "cpu" else resource
            yield Statement("utilisation", {"resource": name, "number": f"{number}%"}, facts, MAIN)
    if number := spec.word("targetCPUUtilizationPercentage"):
        facts = spec.facts("targetCPUUtilizationPercentage")
        yield Statement("utilisation", {"resource": "CPU", "number": f"{number}%"}, facts, MAIN)


def network_policy(root: Node, rng: Random) -> Iterator[Statement]:
    """Which pods a NetworkPolicy is about, and what it lets through."""
    spec = root.at("spec")
    if spec is None:
        return
    yield from _selector(spec, "podSelector", "matchLabels", weight=MAIN)
    if spec.word("podSelector") == "{}":
        yield Statement("all_pods", {}, spec.facts("podSelector"), MAIN)
    types = [node.word() for node in spec.children("policyTypes")]
    if types:
        fills = {"types": listing(types), "s": "s" * (len(types) > 1)}
        yield Statement("policy_types", fills, spec.facts("policyTypes"), USUAL)
    for direction, peers in (("ingress", "from"), ("egress", "to")):
        for rule in spec.children(direction):
            for peer in rule.children(peers):
                yield from _peer(peer, direction)
            for port in rule.children("ports"):
                yield from _allowed_port(port, direction)


def _peer(peer: Node, direction: str) -> Iterator[Statement]:
    for field, what in (("podSelector", "pods"), ("namespaceSelector", "namespaces")):
        pairs = peer.pairs(field, "matchLabels")
        if pairs:
            said = listing([f"{key}={node.word()}" for key, node in pairs])
            facts = peer.facts(field, "matchLabels")
            way = "from" if direction == "ingress" else "to"
            yield Statement("peer", {"what": what, "pairs": said, "way": way, "direction": direction}, facts, MAIN)
    if block := peer.word("ipBlock", "cidr"):
        way = "from" if direction == "ingress" else "to"
        yield Statement(
            "block", {"cidr": block, "way": way, "direction": direction}, peer.facts("ipBlock", "cidr"), MAIN
        )


def _allowed_port(port: Node, direction: str) -> Iterator[Statement]:
    number, protocol = port.word("port"), port.word("protocol")
    if number:
        said = f"{protocol} port {number}" if protocol else f"port {number}"
        yield Statement("allowed_port", {"port": said, "direction": direction}, port.some("port", "protocol"), USUAL)


def role(root: Node, rng: Random) -> Iterator[Statement]:
    """Who may do what: the rules of a Role or ClusterRole."""
    for rule in root.children("rules"):
        verbs = [node.word() for node in rule.children("verbs")]
        resources = [node.word() for node in rule.children("resources")]
        groups = [word for node in rule.children("apiGroups") if (word := node.word())]
        which = "all API groups" if groups == [ANY] else f"the API group{'s' * (len(groups) > 1)} {listing(groups)}"
        names = [node.word() for node in rule.children("resourceNames")]
        if not verbs or not resources or sum(map(len, verbs + resources + names)) > LONGEST:
            continue
        told = ("verbs", "resources", *["apiGroups"] * bool(groups), *["resourceNames"] * bool(names))
        facts = tuple(fact for field in told for fact in rule.facts(field) if fact[1] != "")
        extra = f" in {which}" if groups else ""
        extra += f", limited to {listing(names)}" if names else ""
        what = ["all resources" if resource == ANY else resource for resource in resources]
        fills = {"verbs": listing(verbs), "resources": listing(what), "extra": extra}
        yield Statement("full_rule" if ANY in verbs else "rule", fills, facts, MAIN)


def binding(root: Node, rng: Random) -> Iterator[Statement]:
    """Which role a binding grants, and to whom."""
    reference = root.at("roleRef")
    if reference is not None and reference.word("name"):
        fills = {"kind": reference.word("kind"), "name": reference.word("name")}
        yield Statement("role_ref", fills, reference.some("kind", "name"), MAIN)
    for subject in root.children("subjects"):
        space = subject.word("namespace")
        extra = f" in the namespace {space}" if space else ""
        facts = subject.some("kind", "name", "namespace")
        fills = {"kind": subject.word("kind"), "name": subject.word("name"), "extra": extra}
        yield Statement("subject", fills, facts, MAIN)


def account(root: Node, rng: Random) -> Iterator[Statement]:
    """What a ServiceAccount says of its token and its pull secrets."""
    if root.word("automountServiceAccountToken") == "false":
        yield Statement("no_token", {}, root.facts("automountServiceAccountToken"), MAIN)
    for each in root.children("imagePullSecrets"):
        if name := each.word("name"):
            yield Statement("pull_secret", {"value": name}, each.facts("name"), FINE)


def budget(root: Node, rng: Random) -> Iterator[Statement]:
    """How many pods a PodDisruptionBudget keeps."""
    spec = root.at("spec")
    if spec is None:
        return
    for topic, field in (("min_available", "minAvailable"), ("max_unavailable", "maxUnavailable")):
        if number := spec.word(field):
            pods = f"{number} of the pods" if "%" in number else f"{number} pod{'' if number == '1' else 's'}"
            yield Statement(topic, {"pods": pods}, spec.facts(field), MAIN)
    yield from _selector(spec, "selector", "matchLabels")


def labels(root: Node, name: str) -> Iterator[Statement]:
    """Labels of the object itself, and short annotations."""
    for key, node in root.pairs("metadata", "labels"):
        value = node.word()
        if value and value != ANY and value not in (name, "true"):
            yield Statement("label", {"pair": f"{key}={value}"}, node.facts(), FINE)
    for key, node in root.pairs("metadata", "annotations"):
        value = node.word()
        if value and value != ANY and len(value) <= SHORT and len(key) <= SHORT:
            yield Statement("annotation", {"key": key, "value": value}, node.facts(), FINE)


def anything(root: Node) -> Iterator[Statement]:
    """Of a kind without phrases of its own: each short scalar, by its field."""
    parts = [node for key, node in root.pairs() if key not in ("apiVersion", "kind", "metadata", "status")]
    said = [(path, value, Node(path, value).word()) for part in parts for path, value in part.facts()]
    short = [
        row for row in said if row[2] not in ("", ANY, "{}", "[]") and len(row[2]) <= SHORT and row[2].isprintable()
    ]
    for path, value, told in short[:FIELDS]:
        field = path.removeprefix(root.path)
        last = field.rsplit(".", 1)[-1].split("[", 1)[0] or field
        yield Statement(
            "field", {"field": field, "words": spaced(last.strip('"')), "value": told}, ((path, value),), FINE
        )


OTHERS: dict[str, Callable[[Node, Random], Iterator[Statement]]] = {
    "Service": service,
    "Ingress": ingress,
    "ConfigMap": config_map,
    "Secret": secret,
    "PersistentVolumeClaim": claim,
    "PersistentVolume": claim,
    "HorizontalPodAutoscaler": autoscaler,
    "NetworkPolicy": network_policy,
    "Role": role,
    "ClusterRole": role,
    "RoleBinding": binding,
    "ClusterRoleBinding": binding,
    "ServiceAccount": account,
    "PodDisruptionBudget": budget,
}
"""Kind → what may be said of it."""
