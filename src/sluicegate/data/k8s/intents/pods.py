"""What a pod and its containers say."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from sluicegate.data.k8s.intents.node import ANY, Fact, Node
from sluicegate.data.k8s.intents.statement import FINE, LONGEST, MAIN, USUAL, Statement
from sluicegate.data.k8s.intents.wording import amounts, cpus, listing, seconds

PROBES = {"livenessProbe": "liveness", "readinessProbe": "readiness", "startupProbe": "startup"}
NAMESPACES = {"hostNetwork": "network", "hostPID": "process ID", "hostIPC": "IPC"}
TIMES = {"initialDelaySeconds": "first after {}", "periodSeconds": "every {}", "timeoutSeconds": "with a timeout of {}"}
ENV_LISTED = 6
MAIN_IS_MEANT = 0.6
"""Chance that what is said of the first of several containers does not name it."""


def of_pod(pod: Node, rng: Random) -> Iterator[Statement]:
    """What may be said of a pod spec, the first container's image and names left out."""
    containers = pod.children("containers")
    for place, container in enumerate(containers):
        where = f" for the container {container.word('name')}" if len(containers) > 1 else ""
        if not place and rng.random() < MAIN_IS_MEANT:
            where = ""
        if place:
            facts = container.some("name", "image")
            yield Statement("container", _words(container, "name", "image"), facts, MAIN)
        yield from _container(container, pod, rng, where)
    for container in pod.children("initContainers"):
        yield from _init_container(container)
    yield from _security(pod, containers)
    yield from _placement(pod)
    yield from _settings(pod)


def _words(node: Node, *names: str) -> dict[str, str]:
    return {name: node.word(name) for name in names}


def _one(node: Node, topic: str, *segments: str, weight: int = USUAL) -> Iterator[Statement]:
    """One scalar, said as it stands."""
    word = node.word(*segments)
    if word:
        yield Statement(topic, {"value": word}, node.facts(*segments), weight)


def _init_container(container: Node) -> Iterator[Statement]:
    facts, command = container.some("name", "image"), _command(container, "command", "args")
    fills = {**_words(container, "name", "image"), "extra": f" that runs {command}" if command else ""}
    told = container.some("command", "args") if command else ()
    yield Statement("init_container", fills, (*facts, *told), USUAL)


def _command(container: Node, *fields: str) -> str:
    """A command line in backticks; empty where it is too long to be said."""
    words = [word for field in fields for word in _list(container, field)]
    line = " ".join(words)
    return f"`{line}`" if line and len(line) <= LONGEST and line.isprintable() and "`" not in line else ""


def _list(container: Node, field: str) -> list[str]:
    """The words of a command; an option with its value is one of them, as it was before it became a leaf."""
    words = []
    for key, node in container.pairs(field):
        value = node.word()
        flag = key.startswith("-")
        words.append(key.split("#")[0] + (f"={value}" if value != "true" else "") if flag else value)
    return words


def _container(container: Node, pod: Node, rng: Random, where: str) -> Iterator[Statement]:
    for port in container.children("ports"):
        yield _port(port, rng, where)
    yield from _environment(container, where)
    yield from _resources(container, rng, where)
    for field, kind in PROBES.items():
        yield from _probe(container, field, kind, where)
    yield from _mounts(container, pod, rng, where)
    for field in ("command", "args"):
        line = _command(container, field)
        if line:
            yield Statement(field, {"line": line, "where": where}, container.facts(field), FINE)
    if policy := container.word("imagePullPolicy"):
        yield Statement("pull_policy", {"value": policy, "where": where}, container.facts("imagePullPolicy"), FINE)
    if where == "":
        facts = container.facts("name")
        yield Statement("container_name", {"name": container.word("name")}, facts, FINE)


def _port(port: Node, rng: Random, where: str) -> Statement:
    number, protocol, name = port.word("containerPort"), port.word("protocol"), port.word("name")
    facts = port.some("containerPort")
    named = bool(name) and rng.random() < 0.5
    if named:
        facts += port.some("name")
    if protocol in ("UDP", "SCTP"):
        facts += port.some("protocol")
    told = f"{protocol} port {number}" if protocol in ("UDP", "SCTP") else f"port {number}"
    return Statement("port", {"port": told, "extra": f" (named {name})" if named else "", "where": where}, facts, MAIN)


def _environment(container: Node, where: str) -> Iterator[Statement]:
    plain = []
    for variable in container.children("env"):
        name, value = variable.word("name"), variable.word("value")
        if value and value != ANY and len(value) <= LONGEST:
            plain.append((f"{name}={value}", variable.some("name", "value")))
        else:
            yield from _sourced(variable, name, where)
    for start in range(0, len(plain), ENV_LISTED):
        yield from _listed(plain[start : start + ENV_LISTED], where)
    for source in container.children("envFrom"):
        for field, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
            if name := source.word(field, "name"):
                yield Statement("env_from", {"kind": kind, "name": name, "where": where}, source.facts(field, "name"))


def _listed(plain: list[tuple[str, tuple[Fact, ...]]], where: str) -> Iterator[Statement]:
    """Variables with their values; several in one breath, as far as a line holds them."""
    line: list[tuple[str, tuple[Fact, ...]]] = []
    for each in [*plain, None]:
        if line and (each is None or sum(len(text) for text, _ in [*line, each]) > LONGEST):
            facts = tuple(fact for _, own in line for fact in own)
            topic = "env" if len(line) == 1 else "envs"
            yield Statement(topic, {"pairs": listing([text for text, _ in line]), "where": where}, facts)
            line = []
        if each is not None:
            line.append(each)


def _sourced(variable: Node, name: str, where: str) -> Iterator[Statement]:
    """A variable whose value comes from elsewhere."""
    for field, kind in (("secretKeyRef", "Secret"), ("configMapKeyRef", "ConfigMap")):
        if source := variable.at("valueFrom", field):
            facts = (*variable.facts("name"), *source.some("name", "key"))
            fills = {"name": name, "key": source.word("key"), "kind": kind, "source": source.word("name")}
            yield Statement("env_key", {**fills, "where": where}, facts)
    if field_path := variable.word("valueFrom", "fieldRef", "fieldPath"):
        facts = (*variable.facts("name"), *variable.facts("valueFrom", "fieldRef", "fieldPath"))
        yield Statement("env_field", {"name": name, "field": field_path, "where": where}, facts, FINE)


def _resources(container: Node, rng: Random, where: str) -> Iterator[Statement]:
    for field in ("requests", "limits"):
        told: list[str] = []
        facts: list[Fact] = []
        for key, node in container.pairs("resources", field):
            if said := _amount(key, node.word(), rng):
                told.append(said)
                facts += node.facts()
        if told:
            yield Statement(field, {"amounts": listing(told), "where": where}, tuple(facts), USUAL)


def _amount(resource: str, quantity: str, rng: Random) -> str:
    if resource == "cpu":
        return rng.choice(cpus(quantity))
    word = {"memory": "memory", "ephemeral-storage": "ephemeral storage"}.get(resource)
    if word:
        return f"{rng.choice(amounts(quantity))} {rng.choice(('', 'of '))}{word}"
    return f"{quantity} of {resource}"


def _probe(container: Node, field: str, kind: str, where: str) -> Iterator[Statement]:
    probe = container.at(field)
    target = _target(probe) if probe else None
    if probe is None or target is None:
        return
    told, facts = target
    times = [name for name in TIMES if probe.word(name)]
    yield Statement("probe", {"kind": kind, "target": told, "where": where}, facts, USUAL)
    if times:
        spoken = listing([TIMES[name].format(seconds(probe.word(name))) for name in times])
        yield Statement("probe_times", {"kind": kind, "times": spoken, "where": where}, probe.some(*times), FINE)


def _target(probe: Node) -> tuple[str, tuple[Fact, ...]] | None:
    """What a probe asks, as a noun, and the facts of it."""
    if http := probe.at("httpGet"):
        path, port = http.word("path") or "/", http.word("port")
        secure = http.word("scheme") == "HTTPS"
        names = ("path", "port", "scheme") if secure else ("path", "port")
        return f"an {'HTTPS' if secure else 'HTTP'} GET of {path} on port {port}", http.some(*names)
    if port := probe.word("tcpSocket", "port"):
        return f"a TCP check of port {port}", probe.facts("tcpSocket", "port")
    if port := probe.word("grpc", "port"):
        return f"a gRPC check on port {port}", probe.facts("grpc", "port")
    exec_ = probe.at("exec")
    line = _command(exec_, "command") if exec_ else ""
    return (f"the command {line}", exec_.facts("command")) if exec_ and line else None


VOLUMES: tuple[tuple[str, str, str], ...] = (
    ("persistentVolumeClaim", "claimName", "claim"),
    ("configMap", "name", "ConfigMap"),
    ("secret", "secretName", "Secret"),
    ("hostPath", "path", "host folder"),
)


def _mounts(container: Node, pod: Node, rng: Random, where: str) -> Iterator[Statement]:
    volumes = {volume.word("name"): volume for volume in pod.children("volumes")}
    for mount in container.children("volumeMounts"):
        volume, path = volumes.get(mount.word("name")), mount.word("mountPath")
        if volume is None:
            continue
        read_only = mount.word("readOnly") == "true" and rng.random() < 0.6
        facts = mount.some("mountPath", *["readOnly"] * read_only)
        fills = {"path": path, "where": where, "extra": ", read-only" if read_only else ""}
        scratch = volume.at("emptyDir")
        if scratch is not None and scratch.below is not None:
            yield Statement("scratch", fills, (*facts, *scratch.any()), FINE)
            continue
        for field, key, kind in VOLUMES:
            if name := volume.word(field, key):
                yield Statement("mount", {**fills, "kind": kind, "name": name}, (*facts, *volume.facts(field, key)))


def _security(pod: Node, containers: list[Node]) -> Iterator[Statement]:
    """What is said of security, where all containers agree; else container by container."""
    for topic, segments, wanted in CONTEXT:
        if pod.word("securityContext", *segments) == wanted:
            yield Statement(topic, {"where": ""}, pod.facts("securityContext", *segments))
            continue
        having = [each for each in containers if each.word("securityContext", *segments) == wanted]
        if having and len(having) == len(containers):
            facts = tuple(fact for each in having for fact in each.facts("securityContext", *segments))
            yield Statement(topic, {"where": ""}, facts)
        else:
            for each in having:
                where = f" for the container {each.word('name')}"
                yield Statement(topic, {"where": where}, each.facts("securityContext", *segments))
    yield from _identities(pod, containers)
    for each in containers:
        where = f" for the container {each.word('name')}" if len(containers) > 1 else ""
        for capability in each.children("securityContext", "capabilities", "add"):
            yield Statement("capability", {"value": capability.word(), "where": where}, capability.facts(), FINE)
    for field, name in NAMESPACES.items():
        if pod.word(field) == "true":
            yield Statement("host_namespace", {"value": name}, pod.facts(field))


CONTEXT: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("non_root", ("runAsNonRoot",), "true"),
    ("no_escalation", ("allowPrivilegeEscalation",), "false"),
    ("drop_all", ("capabilities", "drop", "[ALL]"), "ALL"),
    ("read_only", ("readOnlyRootFilesystem",), "true"),
    ("seccomp", ("seccompProfile", "type"), "RuntimeDefault"),
    ("privileged", ("privileged",), "true"),
)


def _identities(pod: Node, containers: list[Node]) -> Iterator[Statement]:
    for topic, field in (("user", "runAsUser"), ("group", "runAsGroup"), ("fs_group", "fsGroup")):
        if word := pod.word("securityContext", field):
            yield Statement(topic, {"value": word, "where": ""}, pod.facts("securityContext", field), FINE)
            continue
        for each in containers:
            where = f" for the container {each.word('name')}" if len(containers) > 1 else ""
            if word := each.word("securityContext", field):
                yield Statement(topic, {"value": word, "where": where}, each.facts("securityContext", field), FINE)


def _placement(pod: Node) -> Iterator[Statement]:
    for key, node in pod.pairs("nodeSelector"):
        yield Statement("node", {"pair": f"{key}={node.word()}"}, node.facts(), FINE)
    for toleration in pod.children("tolerations"):
        key, value, effect = (toleration.word(name) for name in ("key", "value", "effect"))
        if key:
            told = key + (f"={value}" if value else "") + (f":{effect}" if effect else "")
            yield Statement("toleration", {"taint": told}, toleration.some("key", "value", "effect"), FINE)
    for spread in pod.children("topologySpreadConstraints"):
        yield from _one(spread, "spread", "topologyKey", weight=FINE)
    affinity = pod.at("affinity", "podAntiAffinity")
    keys = [fact for fact in affinity.facts() if fact[0].endswith(".topologyKey")] if affinity else []
    if keys:
        yield Statement("anti_affinity", {"value": str(keys[0][1])}, (keys[0],), FINE)


def _settings(pod: Node) -> Iterator[Statement]:
    yield from _one(pod, "service_account", "serviceAccountName")
    yield from _one(pod, "priority", "priorityClassName", weight=FINE)
    yield from _one(pod, "restart", "restartPolicy", weight=FINE)
    if number := pod.word("terminationGracePeriodSeconds"):
        facts = pod.facts("terminationGracePeriodSeconds")
        yield Statement("grace", {"time": seconds(number)}, facts, FINE)
    if pod.word("automountServiceAccountToken") == "false":
        yield Statement("no_token", {}, pod.facts("automountServiceAccountToken"), FINE)
    for secret in pod.children("imagePullSecrets"):
        yield from _one(secret, "pull_secret", "name", weight=FINE)
