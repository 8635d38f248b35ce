"""How pods are reached, and who may: Service, Ingress, NetworkPolicy."""

from __future__ import annotations

from random import Random
from typing import Any, Final

from sluicegate.data.k8s.grammar import words
from sluicegate.data.k8s.grammar.apps import App, Port, scraped, selector
from sluicegate.data.k8s.grammar.draw import chance, filled, some, weighted
from sluicegate.data.k8s.grammar.house import House
from sluicegate.data.k8s.grammar.probes import named
from sluicegate.data.k8s.grammar.workloads import metadata
from sluicegate.data.k8s.render import Body

WEB: Final = frozenset((80, 8080, 3000, 8000, 5000, 4000, 8081, 8888, 3001, 9000))
"""Ports behind which a service mostly listens on 80."""
NAMESPACE: Final = "kubernetes.io/metadata.name"
BALANCERS: Final[tuple[dict[str, str], ...]] = (
    {"service.beta.kubernetes.io/aws-load-balancer-type": "nlb"},
    {"service.beta.kubernetes.io/aws-load-balancer-scheme": "internal"},
    {"networking.gke.io/load-balancer-type": "Internal"},
    {"service.beta.kubernetes.io/azure-load-balancer-internal": "true"},
    {"external-dns.alpha.kubernetes.io/hostname": "svc.example.com"},
    {"metallb.universe.tf/address-pool": "public"},
)
NGINX_NOTES: Final[tuple[tuple[str, words.Words], ...]] = (
    ("ssl-redirect", ("true", "false")), ("proxy-body-size", ("1m", "8m", "20m", "50m", "100m")),
    ("proxy-read-timeout", ("30", "60", "120", "3600")), ("force-ssl-redirect", ("true",)), ("enable-cors", ("true",)),
    ("limit-rps", ("10", "50", "100")), ("whitelist-source-range", ("10.0.0.0/8", "192.168.0.0/16")),
    ("affinity", ("cookie",)), ("backend-protocol", ("HTTP", "HTTPS")),
)  # fmt: skip
"""Annotations of the nginx controller, after its prefix."""
INGRESSES: Final[tuple[tuple[str, str], ...]] = (
    ("ingress-nginx", "ingress-nginx"),
    ("traefik", "traefik"),
    ("kube-system", "traefik"),
    ("istio-system", "istio-ingress"),
)
"""Namespaces of ingress controllers, and their names."""
BLOCKS: Final[words.Words] = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "10.20.0.0/16", "203.0.113.0/24")
STORES: Final = (5432, 3306, 6379, 27017, 9092, 5672, 9200)


def service_port(rng: Random, port: Port, *, outside: bool = False) -> Body:
    """One port of a service and the container's port behind it."""
    number = 80 if port.number in WEB and chance(rng, 0.55) else 443 if port.number == 8443 else port.number
    target: str | int | None = named(rng, port)
    if target == number and chance(rng, 0.35):
        target = None
    return filled(
        name=port.name,
        protocol=port.protocol if chance(rng, 0.35) else "",
        port=number,
        targetPort=target,
        nodePort=rng.randint(30000, 32767) if outside and chance(rng, 0.6) else None,
    )


def _ports(rng: Random, app: App, *, outside: bool = False) -> list[Body]:
    """All ports, with names where there are several."""
    rows: list[Body] = []
    for port in app.ports:
        row = service_port(rng, port, outside=outside)
        if len(app.ports) > 1 and "name" not in row:
            row = {"name": port.called, **row}
        if row["port"] not in [other["port"] for other in rows]:
            rows.append(row)
    return rows


def service(rng: Random, house: House, app: App, *, name: str = "") -> Body:
    """A Service before an application's pods."""
    kind = weighted(rng, ((50, ""), (22, "ClusterIP"), (13, "NodePort"), (15, "LoadBalancer")))
    notes = dict(rng.choice(BALANCERS)) if kind == "LoadBalancer" and chance(rng, 0.35) else {}
    if chance(rng, 0.08 * house.detail):
        notes |= scraped(app)
    outside = kind in ("NodePort", "LoadBalancer")
    sticky = chance(rng, 0.04 + 0.06 * house.detail)
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(house, app, name=name, annotations=notes),
        "spec": filled(
            type=kind,
            externalTrafficPolicy="Local" if outside and chance(rng, 0.2) else "",
            loadBalancerSourceRanges=some(rng, BLOCKS, 1, 2) if kind == "LoadBalancer" and chance(rng, 0.12) else [],
            sessionAffinity="ClientIP" if sticky else "",
            ipFamilyPolicy="PreferDualStack" if chance(rng, 0.03) else "",
            selector=selector(house, app),
            ports=_ports(rng, app, outside=kind == "NodePort"),
        ),
    }


def headless(rng: Random, house: House, app: App, name: str) -> Body:
    """The service that gives a StatefulSet's pods their names."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(house, app, name=name),
        "spec": filled(
            clusterIP="None",
            publishNotReadyAddresses=True if chance(rng, 0.15) else None,
            selector=selector(house, app),
            ports=_ports(rng, app),
        ),
    }


def backend(rng: Random, before: Body) -> Body:
    """What an ingress leads to: the first port of a service."""
    port = before["spec"]["ports"][0]
    by_name = "name" in port and chance(rng, 0.45)
    return {
        "service": {
            "name": before["metadata"]["name"],
            "port": {"name": port["name"]} if by_name else {"number": port["port"]},
        }
    }


def ingress(rng: Random, house: House, app: App, leads: Body) -> Body:
    """An Ingress that leads to a backend, over TLS or not."""
    host = weighted(
        rng,
        (
            (50, f"{app.subject}.{house.domain}"),
            (30, f"{app.name}.{house.domain}"),
            (10, f"{app.subject}.{house.team}.example.com"),
            (10, f"{house.environment}.{app.subject}.{house.domain}"),
        ),
    )
    hosts = [host, f"www.{host}"] if chance(rng, 0.07) else [host]
    paths = weighted(
        rng,
        (
            (60, ["/"]),
            (12, ["/api"]),
            (8, [f"/{app.subject}"]),
            (8, ["/api", "/static"]),
            (6, ["/v1"]),
            (6, ["/", "/health"]),
        ),
    )
    controller = weighted(rng, ((60, "nginx"), (13, "traefik"), (9, "alb"), (6, "haproxy"), (4, "gce"), (8, "")))
    secure = chance(rng, 0.4 + 0.35 * house.care)
    old = controller != "" and chance(rng, 0.12)
    rows = [
        {
            "path": path,
            "pathType": rng.choice(("Prefix", "Prefix", "Prefix", "Exact")) if path != "/" else "Prefix",
            "backend": leads,
        }
        for path in paths
    ]
    if controller == "nginx" and chance(rng, 0.08):
        rows = [{"path": f"/{app.subject}(/|$)(.*)", "pathType": "ImplementationSpecific", "backend": leads}]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": metadata(house, app, annotations=_notes(rng, house, controller, rows, secure=secure, old=old)),
        "spec": filled(
            ingressClassName="" if old else controller,
            tls=[{"hosts": hosts, "secretName": rng.choice((f"{app.name}-tls", f"{app.subject}-cert"))}]
            if secure
            else [],
            rules=[{"host": each, "http": {"paths": rows}} for each in hosts],
        ),
    }


def _notes(rng: Random, house: House, controller: str, rows: list[Body], *, secure: bool, old: bool) -> dict[str, str]:
    found: dict[str, str] = {"kubernetes.io/ingress.class": controller} if old else {}
    if secure and chance(rng, 0.6):
        found["cert-manager.io/cluster-issuer"] = rng.choice(words.ISSUERS)
    prefix = "nginx.ingress.kubernetes.io"
    if controller == "nginx":
        if rows[0]["pathType"] == "ImplementationSpecific":
            found |= {f"{prefix}/use-regex": "true", f"{prefix}/rewrite-target": "/$2"}
        elif rows[0]["path"] != "/" and chance(rng, 0.25):
            found[f"{prefix}/rewrite-target"] = "/"
        found |= {
            f"{prefix}/{name}": rng.choice(values)
            for name, values in some(rng, NGINX_NOTES, 0, round(2.6 * house.detail))
        }
    elif controller == "alb":
        found |= {
            "alb.ingress.kubernetes.io/scheme": rng.choice(("internet-facing", "internal")),
            "alb.ingress.kubernetes.io/target-type": "ip",
        }
    elif controller == "traefik" and chance(rng, 0.5):
        found["traefik.ingress.kubernetes.io/router.entrypoints"] = "websecure" if secure else "web"
    return found


def network_policy(rng: Random, house: House, app: App) -> Body:
    """Who may speak with an application's pods, and with whom they may."""
    inward, outward = weighted(rng, ((52, (True, False)), (34, (True, True)), (14, (False, True))))
    ingress_rules = [_from(rng, house, app) for _ in range(weighted(rng, ((60, 1), (30, 2), (10, 3))))]
    egress_rules = [_dns(rng), *(_to(rng, house) for _ in range(weighted(rng, ((20, 0), (50, 1), (30, 2)))))]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata(
            house, app, name=weighted(rng, ((40, app.name), (30, f"{app.name}-policy"), (30, f"allow-{app.name}")))
        ),
        "spec": filled(
            podSelector={"matchLabels": selector(house, app)},
            policyTypes=[kind for kind, told in (("Ingress", inward), ("Egress", outward)) if told],
            ingress=_once(ingress_rules) if inward else [],
            egress=_once(egress_rules) if outward else [],
        ),
    }


def _once(rules: list[Body]) -> list[Body]:
    return [rule for place, rule in enumerate(rules) if rule not in rules[:place]]


def _neighbour(rng: Random, house: House) -> dict[str, str]:
    """The labels of some other program of the same house."""
    key = house.selected[0]
    role = rng.choice(("api", "web", "worker", "frontend", "gateway", "service"))
    return {key: f"{rng.choice(words.SUBJECTS)}-{role}"}


def _from(rng: Random, house: House, app: App) -> Body:
    space, controller = rng.choice(INGRESSES)
    peer: dict[str, Any] = weighted(
        rng,
        (
            (42, {"podSelector": {"matchLabels": _neighbour(rng, house)}}),
            (14, {"namespaceSelector": {"matchLabels": {NAMESPACE: space}}}),
            (8, {"namespaceSelector": {"matchLabels": {NAMESPACE: space}},
                 "podSelector": {"matchLabels": {"app.kubernetes.io/name": controller}}}),
            (8, {"namespaceSelector": {"matchLabels": {NAMESPACE: rng.choice(("monitoring", "observability"))}}}),
            (10, {"namespaceSelector": {"matchLabels": {"team": rng.choice(words.TEAMS)}}}),
            (8, {"podSelector": {}}),
            (10, {"ipBlock": {"cidr": rng.choice(BLOCKS)}}),
        ),
    )  # fmt: skip
    ports = app.ports if chance(rng, 0.4) else app.ports[:1]
    return filled(**{"from": [peer]}, ports=[{"protocol": port.protocol, "port": port.number} for port in ports])


def _dns(rng: Random) -> Body:
    ports = [{"protocol": "UDP", "port": 53}, *([{"protocol": "TCP", "port": 53}] if chance(rng, 0.6) else [])]
    system = {"namespaceSelector": {"matchLabels": {NAMESPACE: "kube-system"}}}
    pods = {"podSelector": {"matchLabels": {"k8s-app": "kube-dns"}}}
    peer = weighted(rng, ((40, [system]), (30, [{**system, **pods}]), (30, [])))
    return filled(to=peer, ports=ports)


def _to(rng: Random, house: House) -> Body:
    neighbour = {
        "to": [{"podSelector": {"matchLabels": _neighbour(rng, house)}}],
        "ports": [{"protocol": "TCP", "port": rng.choice((80, 443, 3000, 5000, 8000, 8080, 8081, 9000, 50051))}],
    }
    space = rng.choice(("databases", "data", "messaging", "shared"))
    store = {
        "to": [{"namespaceSelector": {"matchLabels": {NAMESPACE: space}}}],
        "ports": [{"protocol": "TCP", "port": rng.choice(STORES)}],
    }
    outside = {
        "to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": some(rng, BLOCKS[:3], 1, 3)}}],
        "ports": [{"protocol": "TCP", "port": 443}],
    }
    inside = {
        "to": [{"ipBlock": {"cidr": rng.choice(BLOCKS)}}],
        "ports": [{"protocol": "TCP", "port": rng.choice((443, 6443, *STORES))}],
    }
    return weighted(rng, ((40, neighbour), (25, store), (20, outside), (15, inside)))


def default_deny(rng: Random, house: House) -> Body:
    """Nothing may be spoken with unless another policy allows it."""
    types = rng.choice((["Ingress"], ["Ingress", "Egress"], ["Egress"]))
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": filled(
            name=rng.choice(("default-deny", "default-deny-all", "deny-all")), namespace=house.namespace
        ),
        "spec": {"podSelector": {}, "policyTypes": types},
    }
