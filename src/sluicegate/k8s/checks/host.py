"""Check 6: nothing of the node is shared with the pod, beyond what Pod Security's baseline level allows."""

from __future__ import annotations

from typing import Final

from sluicegate.k8s.checks.model import SECURITY, Check, Container, Flaw, Flaws, Pod, mapping, said, whole
from sluicegate.k8s.checks.security import ALL_CONTAINERS, CONTEXT, in_context, listed, unprivileged
from sluicegate.k8s.parse import Path, Value

NAMESPACES: Final = ("hostNetwork", "hostPID", "hostIPC")
BASELINE: Final = frozenset({
    "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "SETFCAP",
    "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
})  # fmt: skip
"""Capabilities that may be added at the baseline level.

Source: https://github.com/kubernetes/pod-security-admission/blob/8f84a87c7f61/policy/check_capabilities_baseline.go
"""


def _pod(pod: Pod) -> Flaws:
    for name in NAMESPACES:
        shared = pod.spec.get(name)
        if shared is not None and shared is not False:
            yield Flaw(
                (*pod.path, name), f"{name} is {said(shared)}", pod.path, {name: False},
                "whether it works without the host's namespace",
            )  # fmt: skip
    yield from _host_process(pod.path, pod.context.get("windowsOptions"))
    volumes = pod.spec.get("volumes")
    for place, volume in enumerate(volumes if isinstance(volumes, list) else ()):
        host = mapping(volume).get("hostPath")
        if host is None:
            continue
        called, path = mapping(volume).get("name"), mapping(host).get("path")
        instead: dict[str, Value] = {"name": called if isinstance(called, str) else "data", "emptyDir": {}}
        yield Flaw(
            (*pod.path, "volumes", place, "hostPath"),
            f"a hostPath volume{f' of {path[:60]}' if isinstance(path, str) else ''}",
            pod.path, {"volumes": [instead]}, "what may take the place of the host's files",
        )  # fmt: skip


def _container(_: Pod, container: Container) -> Flaws:
    yield from unprivileged(container)
    yield from _host_process(container.path, container.context.get("windowsOptions"))
    ports = container.body.get("ports")
    for place, port in enumerate(ports if isinstance(ports, list) else ()):
        host = mapping(port).get("hostPort")
        if host is not None and whole(host) != 0:
            yield Flaw(
                (*container.path, "ports", place, "hostPort"), f"hostPort is {said(host)}", container.path,
                {"ports": [{key: value for key, value in mapping(port).items() if key not in ("hostPort", "hostIP")}]},
                "who reaches it through the node; a Service would do",
            )  # fmt: skip
    add = mapping(container.context.get("capabilities")).get("add")
    if add is not None and not (isinstance(add, list) and all(_harmless(name) for name in add)):
        kept: list[Value] = [name for name in add if _harmless(name)] if isinstance(add, list) else []
        yield in_context(
            (*container.path, CONTEXT, "capabilities", "add"), of={"capabilities": {"add": kept}}, at=container.path,
            seen=f"capabilities.add is {listed(add)}", needs="which of the added capabilities it uses",
        )  # fmt: skip


def _harmless(name: Value) -> bool:
    return isinstance(name, str) and name in BASELINE


def _host_process(holder: Path, options: Value | None) -> Flaws:
    asked = mapping(options).get("hostProcess")
    if asked is not None and asked is not False:
        yield in_context(
            (*holder, CONTEXT, "windowsOptions", "hostProcess"), of={"windowsOptions": {"hostProcess": False}},
            at=holder, seen=f"hostProcess is {said(asked)}", needs="whether it works without the Windows host's rights",
        )  # fmt: skip


HOST_ISOLATION = Check(
    6, "host_isolation", SECURITY,
    "Not privileged; no hostNetwork, hostPID, hostIPC, hostPath volume, hostPort other than 0 or hostProcess; added "
    "capabilities within the baseline level of the Pod Security Standards.",
    "Each of these is a door from the container to the node or to its neighbours.",
    ALL_CONTAINERS, _container,
    {CONTEXT: {"privileged": False, "capabilities": {"add": []}}, "ports": [{"containerPort": 8080}]}, pod=_pod,
)  # fmt: skip
