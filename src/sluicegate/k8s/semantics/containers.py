"""Containers: names, images, ports, environment, probes and handlers.

Source: validateContainers in https://github.com/kubernetes/kubernetes/blob/master/pkg/apis/core/validation/validation.go
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sluicegate.k8s.document import Path, Value
from sluicegate.k8s.issues import said
from sluicegate.k8s.semantics.names import A_LABEL, A_PORT_NAME, is_label, is_port_name
from sluicegate.k8s.semantics.rule import (
    WORKLOADS,
    Body,
    Found,
    Rule,
    View,
    items,
    listed,
    mapping,
    named,
    repeated,
    whole,
)

PROBES: Final = ("livenessProbe", "readinessProbe", "startupProbe")
HANDLERS: Final = ("exec", "httpGet", "tcpSocket", "grpc")
HOOKS: Final = ("exec", "httpGet", "tcpSocket", "sleep")
SOURCES: Final = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef")
FIELDS: Final = frozenset(
    ("metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName",
     "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs")
)  # fmt: skip
"""What an environment variable can hold of its pod, besides one label or annotation."""
INIT, EPHEMERAL = "initContainers", "ephemeralContainers"
ADMIN: Final = "CAP_SYS_ADMIN"
"""The one spelling of this capability that the API server refuses beside allowPrivilegeEscalation: false."""
PORTS_MOST = 65535
A_PORT = f"1 to {PORTS_MOST}"
SUCCESS_IS_ONE: Final = frozenset({"livenessProbe", "startupProbe"})


def present(seen: View) -> Iterator[Found]:
    """A pod has a container, each with a name and an image."""
    if not listed(seen.pod.get("containers")):
        yield (*seen.pod_path, "containers"), "at least one container", "none"
    for path, container in seen.containers:
        for field in ("name", "image"):
            if not container.get(field):
                yield (*path, field), "a text", "nothing"
        image = container.get("image")
        if isinstance(image, str) and image.strip() != image:
            yield (*path, "image"), "no blanks around it", said(image)


def container_names(seen: View) -> Iterator[Found]:
    """Names are DNS labels, and no two containers of a pod share one, whatever list they stand in."""
    for path, name in named(iter(seen.containers)):
        if name and not is_label(name):
            yield path, A_LABEL, said(name)
    for path, name in repeated(named(iter(seen.containers))):
        yield path, "a name that no other container of the pod has", said(name)


def port_fault(value: Value) -> str:
    """What a port, by number or name, should have been; empty where it is right or of a wrong type."""
    number = whole(value)
    if number is not None:
        return "" if 1 <= number <= PORTS_MOST else A_PORT
    return A_PORT_NAME if isinstance(value, str) and not is_port_name(value) else ""


def ports(seen: View) -> Iterator[Found]:
    """Numbers are in range, names are port names, and no two ports of a container share one."""
    for path, container in seen.containers:
        for where, port in items(container, path, "ports"):
            for field in ("containerPort", "hostPort"):
                number = whole(port.get(field))
                if number is not None and not (1 if field == "containerPort" else 0) <= number <= PORTS_MOST:
                    yield (*where, field), A_PORT, str(number)
            name = port.get("name")
            if isinstance(name, str) and name and not is_port_name(name):
                yield (*where, "name"), A_PORT_NAME, said(name)
        for where, name in repeated(named(items(container, path, "ports"))):
            yield where, "a name that no other port of the container has", said(name)


def host_ports(seen: View) -> Iterator[Found]:
    """On the host's network a port is the same on both sides."""
    if seen.pod.get("hostNetwork") is not True:
        return
    for path, container in seen.containers:
        for where, port in items(container, path, "ports"):
            inside, outside = whole(port.get("containerPort")), whole(port.get("hostPort"))
            if outside and inside != outside:
                yield (*where, "hostPort"), f"the containerPort, {inside}, since hostNetwork is true", str(outside)


def environment(seen: View) -> Iterator[Found]:
    """Variables have names, one value each, and no name twice."""
    for path, container in seen.containers:
        for where, variable in items(container, path, "env"):
            name, source = variable.get("name"), variable.get("valueFrom")
            if isinstance(name, str) and (not name or "=" in name or not (name.isascii() and name.isprintable())):
                yield (*where, "name"), "printable ASCII without =", said(name)
            if variable.get("value") and source is not None:
                yield (*where, "valueFrom"), "either value or valueFrom", "both"
            if isinstance(source, dict):
                yield from _source(source, (*where, "valueFrom"))
        for where, name in repeated(named(items(container, path, "env"))):
            yield where, "a name that no variable before it has", said(name)


def _source(source: Body, path: Path) -> Iterator[Found]:
    given = [field for field in SOURCES if source.get(field) is not None]
    if len(given) != 1:
        yield path, f"exactly one of {', '.join(SOURCES)}", " and ".join(given) or "none"
    field = mapping(source.get("fieldRef")).get("fieldPath")
    if isinstance(field, str) and field not in FIELDS and not _one_of_many(field):
        yield (*path, "fieldRef", "fieldPath"), "a field of the pod that a variable can hold", said(field)


def _one_of_many(field: str) -> bool:
    return field.startswith(("metadata.labels['", "metadata.annotations['")) and field.endswith("']")


def _one_handler(body: Body, path: Path, handlers: tuple[str, ...]) -> Iterator[Found]:
    """Exactly one handler, and a port that can be one."""
    given = [field for field in handlers if body.get(field) is not None]
    if len(given) != 1:
        yield path, f"exactly one of {', '.join(handlers)}", " and ".join(given) or "none"
    for field in given:
        handler = mapping(body[field])
        wanted = port_fault(handler.get("port"))
        if wanted:
            yield (*path, field, "port"), wanted, said(handler.get("port"))
        if field == "exec" and not listed(handler.get("command")):
            yield (*path, field, "command"), "a command", "none"


def _all_probes(seen: View) -> Iterator[tuple[Path, Body, Body]]:
    """Path of each probe, the probe and its container."""
    for path, container in seen.containers:
        for field in PROBES:
            probe = container.get(field)
            if isinstance(probe, dict):
                yield (*path, field), probe, container


def probe_handlers(seen: View) -> Iterator[Found]:
    """A probe asks one question."""
    for path, probe, _ in _all_probes(seen):
        yield from _one_handler(probe, path, HANDLERS)


def probe_numbers(seen: View) -> Iterator[Found]:
    """Times and thresholds are 0 or more; one success is enough to be alive or started."""
    for path, probe, _ in _all_probes(seen):
        for field in ("initialDelaySeconds", "periodSeconds", "timeoutSeconds", "successThreshold", "failureThreshold"):
            number = whole(probe.get(field))
            if number is not None and number < 0:
                yield (*path, field), "0 or more", str(number)
        successes = whole(probe.get("successThreshold"))
        if path[-1] in SUCCESS_IS_ONE and successes is not None and successes > 1:
            yield (*path, "successThreshold"), "1", str(successes)


def probe_ports(seen: View) -> Iterator[Found]:
    """A port that a probe or a hook names is a port of its container."""
    for path, probe, container in (*_all_probes(seen), *_hooks(seen)):
        names = {name for _, name in named(items(container, path, "ports"))}
        for field in ("httpGet", "tcpSocket"):
            port = mapping(probe.get(field)).get("port")
            if isinstance(port, str) and is_port_name(port) and port not in names:
                wanted = f"one of {', '.join(sorted(names)[:5])}" if names else "a number, since no port has a name"
                yield (*path, field, "port"), wanted, said(port)


def probed_containers(seen: View) -> Iterator[Found]:
    """Init containers have probes and hooks only where they restart, and ephemeral ones have none."""
    for path, container in seen.containers:
        ends = path[-2] == INIT and container.get("restartPolicy") != "Always"
        if ends or path[-2] == EPHEMERAL:
            for field in (*PROBES, "lifecycle"):
                if container.get(field) is not None:
                    yield (*path, field), "nothing, since this container is none that keeps running", "a mapping"


def _hooks(seen: View) -> Iterator[tuple[Path, Body, Body]]:
    for path, container in seen.containers:
        for field in ("postStart", "preStop"):
            hook = mapping(container.get("lifecycle")).get(field)
            if isinstance(hook, dict):
                yield (*path, "lifecycle", field), hook, container


def hook_handlers(seen: View) -> Iterator[Found]:
    """A hook does one thing."""
    for path, hook, _ in _hooks(seen):
        yield from _one_handler(hook, path, HOOKS)


def privileges(seen: View) -> Iterator[Found]:
    """A privileged container, or one that adds CAP_SYS_ADMIN, cannot be kept from gaining privileges."""
    for path, container in seen.containers:
        context = mapping(container.get("securityContext"))
        if context.get("allowPrivilegeEscalation") is not False:
            continue
        at_fault = (*path, "securityContext", "allowPrivilegeEscalation")
        if context.get("privileged") is True:
            yield at_fault, "not false, since privileged is true", "false"
        if ADMIN in listed(mapping(context.get("capabilities")).get("add")):
            yield at_fault, f"not false, since {ADMIN} is added", "false"


RULES = (
    Rule("containers", "A pod has containers, each with a name and an image.", WORKLOADS, present),
    Rule("container-name", "Container names are DNS labels, each once in a pod.", WORKLOADS, container_names),
    Rule("container-port", "Ports are in range; their names are port names, each once.", WORKLOADS, ports),
    Rule("host-port", "On the host's network, host and container port are the same.", WORKLOADS, host_ports),
    Rule(
        "environment",
        "Each variable has one value and a name of its own; one that is there twice is refused by a server-side apply.",
        WORKLOADS,
        environment,
    ),
    Rule("probe-handler", "A probe has exactly one handler, with a port in range.", WORKLOADS, probe_handlers),
    Rule("probe-number", "Times and thresholds of a probe are in range.", WORKLOADS, probe_numbers),
    Rule("probe-port", "A port that a probe names is one of its container.", WORKLOADS, probe_ports),
    Rule("probed-container", "Only containers that keep running have probes.", WORKLOADS, probed_containers),
    Rule("hook-handler", "A lifecycle hook has exactly one handler.", WORKLOADS, hook_handlers),
    Rule(
        "privileges", f"What is privileged or adds {ADMIN} does not forbid privilege escalation.", WORKLOADS, privileges
    ),
)
