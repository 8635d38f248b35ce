"""Services, ingresses and network policies."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Final

from sluicegate.k8s.document import Path, Value
from sluicegate.k8s.issues import said
from sluicegate.k8s.semantics.containers import A_PORT, PORTS_MOST, port_fault
from sluicegate.k8s.semantics.names import (
    A_LABEL,
    A_SUBDOMAIN,
    is_address,
    is_label,
    is_subdomain,
    label_faults,
    plain_address,
)
from sluicegate.k8s.semantics.rule import (
    Body,
    Found,
    Kind,
    Rule,
    View,
    at,
    items,
    listed,
    mapping,
    named,
    repeated,
    whole,
)
from sluicegate.k8s.semantics.selectors import faults

SERVICE: Final[frozenset[Kind]] = frozenset({("", "Service")})
INGRESS: Final[frozenset[Kind]] = frozenset({("networking.k8s.io", "Ingress")})
POLICY: Final[frozenset[Kind]] = frozenset({("networking.k8s.io", "NetworkPolicy")})
MATCHED: Final = ("Exact", "Prefix")
FORBIDDEN: Final = ("//", "/./", "/../", "%2f", "%2F")
A_BLOCK = "a block of addresses such as 10.0.0.0/8"
PEERS: Final = ("podSelector", "namespaceSelector", "ipBlock")


def service_ports(seen: View) -> Iterator[Found]:
    """Numbers in range, names where there are several, and no port twice."""
    spec = mapping(seen.body.get("spec"))
    rows = list(items(spec, ("spec",), "ports"))
    headless = spec.get("clusterIP") == "None" or spec.get("type") == "ExternalName"
    if "spec" in seen.body and not rows and not headless:
        yield ("spec", "ports"), "at least one port", "none"
    for path, port in rows:
        yield from _service_port(port, path, several=len(rows) > 1)
    for path, name in repeated(named(iter(rows))):
        yield path, "a name that no other port of the service has", said(name)
    met: set[tuple[int, str]] = set()
    for path, port in rows:
        number, protocol = whole(port.get("port")), port.get("protocol") or "TCP"
        if number is not None and isinstance(protocol, str):
            if (number, protocol) in met:
                yield (*path, "port"), f"a port that no other {protocol} port of the service has", str(number)
            met.add((number, protocol))


def _service_port(port: Body, path: Path, *, several: bool) -> Iterator[Found]:
    for field in ("port", "nodePort"):
        number = whole(port.get(field))
        if number is not None and not (0 if field == "nodePort" else 1) <= number <= PORTS_MOST:
            yield (*path, field), A_PORT, str(number)
    wanted = port_fault(port.get("targetPort"))
    if wanted:
        yield (*path, "targetPort"), wanted, said(port.get("targetPort"))
    name = port.get("name")
    if several and not name:
        yield (*path, "name"), "a name, since there are several ports", "nothing"
    if isinstance(name, str) and name and not is_label(name):
        yield (*path, "name"), A_LABEL, said(name)


def service_types(seen: View) -> Iterator[Found]:
    """An ExternalName has a name, only it has one, and node ports need a type that opens them."""
    spec = mapping(seen.body.get("spec"))
    kind, name = spec.get("type"), spec.get("externalName")
    if kind == "ExternalName" and not (isinstance(name, str) and is_subdomain(name.removesuffix("."))):
        yield ("spec", "externalName"), A_SUBDOMAIN, said(name) if name else "nothing"
    if spec.get("clusterIP") == "None" and kind in ("NodePort", "LoadBalancer"):
        yield ("spec", "clusterIP"), f"an address, since the type is {kind}", "the text 'None'"
    if kind in (None, "", "ClusterIP"):
        for path, port in items(spec, ("spec",), "ports"):
            if whole(port.get("nodePort")):
                yield (*path, "nodePort"), "nothing, since the type is ClusterIP", str(port["nodePort"])


def service_addresses(seen: View) -> Iterator[Found]:
    """Addresses are addresses, and what is said of traffic from outside fits a service that takes it."""
    spec = mapping(seen.body.get("spec"))
    kind, address = spec.get("type") or "ClusterIP", spec.get("clusterIP")
    if isinstance(address, str) and address not in ("", "None") and not is_address(address):
        yield ("spec", "clusterIP"), "an address, or the text 'None'", said(address)
    for index, outside in enumerate(listed(spec.get("externalIPs"))):
        if isinstance(outside, str) and not is_address(outside):
            yield ("spec", "externalIPs", index), "an address", said(outside)
    ranges = listed(spec.get("loadBalancerSourceRanges"))
    if ranges and kind != "LoadBalancer":
        yield (
            ("spec", "loadBalancerSourceRanges"),
            f"nothing, since the type is {kind if isinstance(kind, str) else said(kind)}",
            "a list",
        )
    for index, block in enumerate(ranges):
        if isinstance(block, str) and _network(block.strip()) is None:
            yield ("spec", "loadBalancerSourceRanges", index), A_BLOCK, said(block)
    if kind == "ClusterIP" and spec.get("externalTrafficPolicy") and not listed(spec.get("externalIPs")):
        yield (
            ("spec", "externalTrafficPolicy"),
            "nothing, since the type is ClusterIP",
            said(spec["externalTrafficPolicy"]),
        )


def service_selectors(seen: View) -> Iterator[Found]:
    """The labels that a service selects by."""
    return label_faults(at(seen.body, ("spec", "selector")), ("spec", "selector"))


def _paths(seen: View) -> Iterator[tuple[Path, Body]]:
    for path, rule in items(seen.body, (), "spec", "rules"):
        yield from items(rule, path, "http", "paths")


def ingress_paths(seen: View) -> Iterator[Found]:
    """Paths start at the root and hold nothing that is resolved away."""
    for path, row in _paths(seen):
        place, kind = row.get("path"), row.get("pathType")
        if isinstance(place, str) or (place is None and kind in MATCHED):
            text = place or ""
            if not text.startswith("/") and (text or kind in MATCHED):
                yield (*path, "path"), "a path that starts with /", said(text) if text else "nothing"
            elif kind in MATCHED and (any(part in text for part in FORBIDDEN) or text.endswith(("/..", "/."))):
                yield (*path, "path"), f"a path without {' '.join(FORBIDDEN[:-1])}", said(text)


def ingress_backends(seen: View) -> Iterator[Found]:
    """A backend is a service with one port, or a resource; an ingress has rules or a default backend."""
    spec = mapping(seen.body.get("spec"))
    default = spec.get("defaultBackend")
    if "spec" in seen.body and not listed(spec.get("rules")) and default is None:
        yield ("spec",), "rules or a defaultBackend", "neither"
    if isinstance(default, dict):
        yield from _backend(default, ("spec", "defaultBackend"))
    for path, rule in items(seen.body, (), "spec", "rules"):
        if at(rule, ("http", "paths")) == []:
            yield (*path, "http", "paths"), "at least one path", "none"
    for path, row in _paths(seen):
        if isinstance(row.get("backend"), dict):
            yield from _backend(mapping(row["backend"]), (*path, "backend"))


def _backend(backend: Body, path: Path) -> Iterator[Found]:
    service, resource = backend.get("service"), backend.get("resource")
    if (service is None) == (resource is None):
        yield path, "either service or resource", "neither" if service is None else "both"
    if not isinstance(service, dict):
        return
    target = service.get("name")
    if not target or (isinstance(target, str) and not is_label(target)):
        yield (*path, "service", "name"), A_LABEL, said(target) if target else "nothing"
    port = mapping(service.get("port"))
    name, number = port.get("name"), port.get("number")
    if bool(name) == bool(number):
        yield (*path, "service", "port"), "either name or number", "both" if name else "neither"
    wanted = port_fault(name or number or None)
    if wanted:
        yield (*path, "service", "port"), wanted, said(name or number)


def ingress_hosts(seen: View) -> Iterator[Found]:
    """Hosts are DNS names, with or without `*.` in front; so are those that a certificate is for."""
    for path, rule in items(seen.body, (), "spec", "rules"):
        host = rule.get("host")
        if isinstance(host, str) and host and (not _is_host(host) or is_address(host)):
            yield (*path, "host"), A_SUBDOMAIN, said(host)
    for path, row in items(seen.body, (), "spec", "tls"):
        for index, host in enumerate(listed(row.get("hosts"))):
            if isinstance(host, str) and not _is_host(host):
                yield (*path, "hosts", index), A_SUBDOMAIN, said(host)


def _is_host(text: str) -> bool:
    return is_subdomain(text.removeprefix("*."))


def policy_ports(seen: View) -> Iterator[Found]:
    """Ports of a network policy."""
    for direction in ("ingress", "egress"):
        for path, rule in items(seen.body, (), "spec", direction):
            for where, row in items(rule, path, "ports"):
                port, last = row.get("port"), whole(row.get("endPort"))
                first, wanted = whole(port), port_fault(port)
                if wanted:
                    yield (*where, "port"), wanted, said(port)
                if last is not None and (first is None or not first <= last <= PORTS_MOST):
                    yield (*where, "endPort"), "a number from port on, with port a number", str(last)


def policy_peers(seen: View) -> Iterator[Found]:
    """A peer is a selector or a block of addresses."""
    for direction, field in (("ingress", "from"), ("egress", "to")):
        for path, rule in items(seen.body, (), "spec", direction):
            for where, peer in items(rule, path, field):
                given = [name for name in PEERS if peer.get(name) is not None]
                if not given:
                    yield where, f"one of {', '.join(PEERS)}", "none"
                elif "ipBlock" in given and len(given) > 1:
                    yield where, "ipBlock alone", " and ".join(given)
                for name in PEERS[:2]:
                    yield from faults(mapping(peer.get(name)), (*where, name))
                yield from _block(mapping(peer.get("ipBlock")), (*where, "ipBlock"))


def _block(block: Body, path: Path) -> Iterator[Found]:
    outer = _network(block.get("cidr"))
    if "cidr" in block and outer is None:
        yield (*path, "cidr"), A_BLOCK, said(block["cidr"])
    for index, value in enumerate(listed(block.get("except"))):
        inner = _network(value)
        inside = inner is not None and outer is not None and inner.version == outer.version
        if not inside or not inner.subnet_of(outer) or inner == outer:  # type: ignore[union-attr,arg-type]
            yield (*path, "except", index), "a smaller block of addresses within cidr", said(value)


def _network(value: Value) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    if not isinstance(value, str) or "/" not in value or len(value) > 50:
        return None
    try:
        return ipaddress.ip_network(plain_address(value), strict=False)
    except ValueError:
        return None


RULES = (
    Rule("service-port", "Ports of a service are in range and each its own.", SERVICE, service_ports),
    Rule("service-type", "A service has what its type needs.", SERVICE, service_types),
    Rule("service-address", "Addresses of a service are some, and fit its type.", SERVICE, service_addresses),
    Rule("service-selector", "A service selects by labels.", SERVICE, service_selectors),
    Rule("ingress-path", "Paths of an ingress start with /.", INGRESS, ingress_paths),
    Rule("ingress-backend", "A backend of an ingress is one service port or a resource.", INGRESS, ingress_backends),
    Rule("ingress-host", "Hosts of an ingress are DNS names.", INGRESS, ingress_hosts),
    Rule("policy-port", "Ports of a network policy are in range.", POLICY, policy_ports),
    Rule("policy-peer", "A peer of a network policy is one thing.", POLICY, policy_peers),
)
