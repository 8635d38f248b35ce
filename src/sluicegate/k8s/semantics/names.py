"""Names, labels and keys: what Kubernetes lets a text be.

Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/ and the API server's validation.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from typing import Final

from sluicegate.k8s.document import Path, Value
from sluicegate.k8s.issues import cut, said
from sluicegate.k8s.semantics.rule import ANY, EMPTY, WORKLOADS, Body, Found, Kind, Rule, View, at, mapping

LABEL = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?", re.ASCII)
SUBDOMAIN = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*", re.ASCII)
QUALIFIED = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?", re.ASCII)
DATA_KEY = re.compile(r"[-._a-zA-Z0-9]+", re.ASCII)
ZEROS = re.compile(r"(?<![0-9a-fA-F])0+(?=[0-9a-fA-F])")
LABEL_MOST, SUBDOMAIN_MOST, PORT_NAME_MOST, CRON_JOB_MOST = 63, 253, 15, 52

A_LABEL = "a DNS label: at most 63 of a-z, 0-9 and -, a letter or digit at both ends"
A_SERVICE_NAME = f"{A_LABEL}, a letter first"
A_SUBDOMAIN = "a DNS name: at most 253 of a-z, 0-9, - and ., a letter or digit at both ends of each part"
A_PORT_NAME = "a port name: at most 15 of a-z, 0-9 and single -, at least one letter, a letter or digit at both ends"
A_LABEL_KEY = "a label key: at most 63 of letters, digits, -, _ and ., with or without a DNS name and / before it"
A_LABEL_VALUE = "a label value: at most 63 of letters, digits, -, _ and ., a letter or digit at both ends"
A_PATH_SEGMENT = "a name without / and %, other than . and .."

LABELLED: Final[frozenset[Kind]] = frozenset({("", "Namespace")})
SERVICES: Final[frozenset[Kind]] = frozenset({("", "Service")})
FREE: Final[frozenset[Kind]] = frozenset(
    {("networking.k8s.io", "IPAddress"), ("certificates.k8s.io", "ClusterTrustBundle")}
)
"""Kinds whose names follow rules of their own."""
RBAC: Final = "rbac.authorization.k8s.io"


def is_label(text: str) -> bool:
    """Whether a text is a DNS-1123 label."""
    return len(text) <= LABEL_MOST and LABEL.fullmatch(text) is not None


def is_service_name(text: str) -> bool:
    """Whether a text is a DNS-1035 label, which starts with a letter."""
    return is_label(text) and not text[0].isdigit()


def is_subdomain(text: str) -> bool:
    """Whether a text is a DNS-1123 subdomain."""
    return len(text) <= SUBDOMAIN_MOST and SUBDOMAIN.fullmatch(text) is not None


def is_port_name(text: str) -> bool:
    """Whether a text is an IANA service name.

    >>> is_port_name("http-alt"), is_port_name("8080"), is_port_name("a--b"), is_port_name("a-name-that-is-long")
    (True, False, False, False)
    """
    usual = len(text) <= PORT_NAME_MOST and LABEL.fullmatch(text) is not None
    return usual and "--" not in text and not text.replace("-", "").isdigit()


def is_label_key(text: str) -> bool:
    """Whether a text is a qualified name: `name` or `example.com/name`."""
    prefix, slash, name = text.rpartition("/")
    good = len(name) <= LABEL_MOST and QUALIFIED.fullmatch(name) is not None
    return good and (is_subdomain(prefix) if slash else True)


def is_label_value(text: str) -> bool:
    """Whether a text is a label value; it may be empty."""
    return not text or (len(text) <= LABEL_MOST and QUALIFIED.fullmatch(text) is not None)


def plain_address(text: str) -> str:
    """An address without the zeros that Kubernetes passes over at the start of its numbers, and Python does not.

    >>> plain_address("010.0.00.1"), plain_address("fd00:0001::0"), plain_address("0.0.0.0")
    ('10.0.0.1', 'fd00:1::0', '0.0.0.0')
    """
    return ZEROS.sub("", text)


def is_address(text: str) -> bool:
    """Whether a text is an IP address, of no interface.

    >>> is_address("10.0.0.1"), is_address("fd00::1"), is_address("010.0.0.1"), is_address("fe80::1%eth0")
    (True, True, True, False)
    """
    try:
        ipaddress.ip_address(plain_address(text))
    except ValueError:
        return False
    return "%" not in text


def is_data_key(text: str) -> bool:
    """Whether a text is a key of a ConfigMap or Secret."""
    return (
        len(text) <= SUBDOMAIN_MOST
        and DATA_KEY.fullmatch(text) is not None
        and not text.startswith("..")
        and text != "."
    )


def _wrong_name(kind: Kind, name: str) -> str:
    """What the name of an object should have been; empty where it is right."""
    if kind in FREE:
        return ""
    if kind[0] == RBAC:
        return A_PATH_SEGMENT if name in (".", "..") or "/" in name or "%" in name else ""
    if kind in SERVICES:
        return "" if is_service_name(name) else A_SERVICE_NAME
    if kind in LABELLED:
        return "" if is_label(name) else A_LABEL
    if kind == ("batch", "CronJob") and len(name) > CRON_JOB_MOST:
        return f"at most {CRON_JOB_MOST} characters, since jobs get {LABEL_MOST - CRON_JOB_MOST} more"
    return "" if is_subdomain(name) else A_SUBDOMAIN


def object_names(seen: View) -> Iterator[Found]:
    """The object's own name, and its namespace."""
    kind, metadata = (seen.object.group, seen.object.kind), mapping(seen.body.get("metadata"))
    for field, ending in (("name", ""), ("generateName", "x")):
        name = metadata.get(field)
        if isinstance(name, str) and name:
            wanted = _wrong_name(kind, name + ending)
            if wanted:
                yield ("metadata", field), wanted, said(name)
    if seen.object.namespace and not is_label(seen.object.namespace):
        yield ("metadata", "namespace"), A_LABEL, said(seen.object.namespace)


def label_faults(labels: Value, path: Path) -> Iterator[Found]:
    """What is wrong with labels that something is selected by."""
    for key, value in mapping(labels).items():
        if not is_label_key(key):
            yield (*path, key), A_LABEL_KEY, said(key)
        if isinstance(value, str) and not is_label_value(value):
            yield (*path, key), A_LABEL_VALUE, said(value)


def _labels(metadata: Body, path: Path) -> Iterator[Found]:
    """The labels and annotations of an object or of a pod template; the keys of annotations may be upper case."""
    for key, value in mapping(metadata.get("labels")).items():
        if not is_label_key(key):
            yield (*path, "labels", key), A_LABEL_KEY, cut(key)
        if isinstance(value, str) and not is_label_value(value):
            yield (*path, "labels", key), A_LABEL_VALUE, said(value)
    for key in mapping(metadata.get("annotations")):
        if not is_label_key(key.lower()):
            yield (*path, "annotations", key), A_LABEL_KEY, cut(key)


def object_labels(seen: View) -> Iterator[Found]:
    """The object's labels and annotations."""
    return _labels(mapping(seen.body.get("metadata")), ("metadata",))


def template_labels(seen: View) -> Iterator[Found]:
    """The labels and annotations that a template gives its pods."""
    path = (*seen.pod_path[:-1], "metadata")
    # A Pod has no template: that place is its own metadata.
    return _labels(mapping(at(seen.body, path)) if len(path) > 1 else EMPTY, path)


RULES = (
    Rule("object-name", "Names and namespaces are what Kubernetes takes for the kind.", ANY, object_names),
    Rule("labels", "Labels and annotations have keys, and labels values, that Kubernetes takes.", ANY, object_labels),
    Rule("template-labels", "So have those of a pod template.", WORKLOADS, template_labels),
)
