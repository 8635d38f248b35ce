"""Checks 1-5: what a container may do inside itself. Checks 1 and 5 fall back on the pod, 2-4 have no such fallback.

What the API server refuses, such as a number written as text, never passes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sluicegate.k8s.checks.model import (
    CONTAINERS,
    EPHEMERAL,
    INIT,
    SECURITY,
    Check,
    Container,
    Flaw,
    Flaws,
    Pod,
    mapping,
    said,
    whole,
)
from sluicegate.k8s.parse import Path, Value
from sluicegate.k8s.semantics.containers import ADMIN

ALL_CONTAINERS: Final = (CONTAINERS, INIT, EPHEMERAL)
CONTEXT = "securityContext"
PROFILES: Final = ("RuntimeDefault", "Localhost")
BINDABLE = "NET_BIND_SERVICE"


def in_context(path: Path, *, of: Mapping[str, Value], at: Path, seen: str, needs: str = "") -> Flaw:
    """A flaw whose remedy sets `of` in the security context under `at`."""
    return Flaw(path, seen, at, {CONTEXT: dict(of)}, needs)


def _root(pod: Pod, container: Container) -> Flaws:
    own, shared = container.context.get("runAsUser"), pod.context.get("runAsUser")
    uid = shared if own is None else own
    holder = pod.path if own is None else container.path
    if uid is not None:
        number = whole(uid)
        if number is None or number <= 0:
            yield in_context(
                (*holder, CONTEXT, "runAsUser"),
                of={"runAsUser": 10001, "runAsNonRoot": True},
                at=holder,
                seen=f"runAsUser is {said(uid)}{_of(holder is pod.path)}",
                needs="a user ID that the image can run as",
            )
        return
    own, shared = container.context.get("runAsNonRoot"), pod.context.get("runAsNonRoot")
    if (shared if own is None else own) is True:
        return
    if own is not None:
        seen, path = f"runAsNonRoot is {said(own)}", (*container.path, CONTEXT, "runAsNonRoot")
    elif shared is not None:
        seen, path = f"runAsNonRoot is {said(shared)}{_of(True)}", (*pod.path, CONTEXT, "runAsNonRoot")
    else:
        seen, path = "neither runAsUser nor runAsNonRoot is set, here or on the pod", (*container.path, CONTEXT)
    alone = own is not None or pod.has_root
    yield in_context(path, of={"runAsNonRoot": True}, at=container.path if alone else pod.path, seen=seen)


def is_root(container: Container) -> bool:
    """Whether a container itself asks for user 0, or for one that is none."""
    uid = container.context.get("runAsUser")
    return uid is not None and (whole(uid) or 0) <= 0


def _of(pod: bool) -> str:
    return " on the pod" if pod else ""


def _escalation(_: Pod, container: Container) -> Flaws:
    allowed = container.context.get("allowPrivilegeEscalation")
    if allowed is not False:
        yield in_context(
            (*container.path, CONTEXT, "allowPrivilegeEscalation"),
            of={"allowPrivilegeEscalation": False},
            at=container.path,
            seen=f"allowPrivilegeEscalation is {said(allowed)}",
            # Kubernetes refuses it of a container that is privileged or adds CAP_SYS_ADMIN.
            needs=_rights(container),
        )
    yield from unprivileged(container)


def _rights(container: Container) -> str:
    """What must be known of a container before it may be kept from gaining privileges; empty: nothing."""
    if container.context.get("privileged") not in (None, False):
        return "whether it can do without privileged"
    add = mapping(container.context.get("capabilities")).get("add")
    return f"whether it can do without {ADMIN}" if isinstance(add, list) and ADMIN in add else ""


def unprivileged(container: Container) -> Flaws:
    """The flaw of a privileged container; checks 2 and 6 both ask for it."""
    privileged = container.context.get("privileged")
    if privileged is not None and privileged is not False:
        yield in_context(
            (*container.path, CONTEXT, "privileged"),
            of={"privileged": False},
            at=container.path,
            seen=f"privileged is {said(privileged)}",
            needs="which of the host's devices and rights it uses",
        )


def _capabilities(_: Pod, container: Container) -> Flaws:
    written = mapping(container.context.get("capabilities"))
    drop, add = written.get("drop"), written.get("add")
    here = (*container.path, CONTEXT, "capabilities")
    if not isinstance(drop, list) or "ALL" not in drop:
        yield in_context(
            (*here, "drop"),
            of={"capabilities": {"drop": _with_all(drop)}},
            at=container.path,
            seen=f"drop is {listed(drop)}",
        )
    if add is not None and not (isinstance(add, list) and all(name == BINDABLE for name in add)):
        kept: list[Value] = [BINDABLE] if isinstance(add, list) and BINDABLE in add else []
        yield in_context(
            (*here, "add"),
            of={"capabilities": {"drop": ["ALL"], "add": kept}},
            at=container.path,
            seen=f"add is {listed(add)}",
            needs="which of the added capabilities it uses",
        )


def _with_all(drop: Value | None) -> list[Value]:
    """The same list with ALL in it, spelled right.

    >>> _with_all(["NET_RAW"]), _with_all(["all"]), _with_all(None)
    (['NET_RAW', 'ALL'], ['ALL'], ['ALL'])
    """
    kept = drop if isinstance(drop, list) else []
    spelled: list[Value] = ["ALL" if isinstance(name, str) and name.upper() == "ALL" else name for name in kept]
    return spelled if "ALL" in spelled else [*spelled, "ALL"]


def listed(value: Value | None) -> str:
    """A list of names as it is shown.

    >>> listed(["NET_RAW", 1]), listed(None), listed("ALL")
    ('[NET_RAW, 1]', 'not set', "the text 'ALL'")
    """
    if isinstance(value, list) and value:
        names = ", ".join(name if isinstance(name, str) else said(name) for name in value[:8])
        return f"[{names[:120]}{', …' if len(value) > 8 else ''}]"
    return said(value)


def _root_fs(_: Pod, container: Container) -> Flaws:
    read_only = container.context.get("readOnlyRootFilesystem")
    if read_only is not True:
        yield in_context(
            (*container.path, CONTEXT, "readOnlyRootFilesystem"),
            of={"readOnlyRootFilesystem": True},
            at=container.path,
            seen=f"readOnlyRootFilesystem is {said(read_only)}",
        )


def _seccomp(pod: Pod, container: Container) -> Flaws:
    own, shared = container.context.get("seccompProfile"), pod.context.get("seccompProfile")
    profile = shared if own is None else own
    kind = mapping(profile).get("type")
    if kind in PROFILES:
        return
    holder = pod.path if own is None else container.path
    if profile is None:
        seen, path = "no seccompProfile, here or on the pod", (*container.path, CONTEXT)
    else:
        told = said(profile) if kind is None else f"of type {kind if isinstance(kind, str) else said(kind)}"
        seen, path = f"seccompProfile is {told[:80]}{_of(own is None)}", (*holder, CONTEXT, "seccompProfile")
    yield in_context(path, of={"seccompProfile": {"type": "RuntimeDefault"}}, at=holder, seen=seen)


RUN_AS_NON_ROOT = Check(
    1, "run_as_non_root", SECURITY,
    "runAsUser above 0, or runAsUser unset and runAsNonRoot true; the container's value overrides the pod's.",
    "A process that breaks out of a container as root is root on the node. User 0 fails even where runAsNonRoot is "
    "true: the kubelet then refuses to start the container.",
    ALL_CONTAINERS, _root, {CONTEXT: {"runAsNonRoot": True}},
)  # fmt: skip
NO_PRIVILEGE_ESCALATION = Check(
    2, "no_privilege_escalation", SECURITY,
    "allowPrivilegeEscalation false on the container, and not privileged.",
    "Otherwise a setuid program in the image can gain rights that its parent does not have; unset means allowed.",
    ALL_CONTAINERS, _escalation, {CONTEXT: {"allowPrivilegeEscalation": False}}, windows=False,
)  # fmt: skip
DROP_ALL_CAPABILITIES = Check(
    3, "drop_all_capabilities", SECURITY,
    "capabilities.drop holds ALL, spelled exactly so, and capabilities.add at most NET_BIND_SERVICE.",
    "A container keeps a dozen root rights by default, raw sockets among them. Pod Security Admission accepts no other "
    "spelling than ALL.",
    ALL_CONTAINERS, _capabilities, {CONTEXT: {"capabilities": {"drop": ["ALL"]}}}, windows=False,
)  # fmt: skip
READ_ONLY_ROOT_FS = Check(
    4, "read_only_root_fs", SECURITY,
    "readOnlyRootFilesystem true on the container.",
    "Who gets into the container can then not change its programs. What must be written goes to a volume, such as an "
    "emptyDir on /tmp.",
    ALL_CONTAINERS, _root_fs, {CONTEXT: {"readOnlyRootFilesystem": True}}, windows=False,
)  # fmt: skip
SECCOMP_PROFILE = Check(
    5, "seccomp_profile", SECURITY,
    "seccompProfile.type RuntimeDefault or Localhost; the container's profile overrides the pod's.",
    "Without a profile every system call of the kernel can be reached from the container.",
    ALL_CONTAINERS, _seccomp, {CONTEXT: {"seccompProfile": {"type": "RuntimeDefault"}}}, windows=False,
)  # fmt: skip
