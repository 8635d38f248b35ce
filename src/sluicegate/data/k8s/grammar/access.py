"""Who may do what with the API server: service accounts, roles and their bindings."""

from __future__ import annotations

from random import Random
from typing import Final

from sluicegate.data.k8s.grammar import words
from sluicegate.data.k8s.grammar.draw import chance, filled, some, weighted
from sluicegate.data.k8s.grammar.house import House
from sluicegate.data.k8s.grammar.permissions import DUTIES, Duty, Rule, split
from sluicegate.data.k8s.render import Body

GROUP: Final = "rbac.authorization.k8s.io"
NAMED: Final[dict[str, words.Words]] = {
    "configmaps": ("config", "settings", "flags"),
    "secrets": ("credentials", "tls", "api-keys"),
    "leases": ("leader", "lock"),
    "deployments": ("api", "web", "worker"),
    "services": ("api", "web"),
}
"""Resources of which a careful team names the single ones, and how those are called after their subject."""
FALLBACK: Final = "default"
PEOPLE: Final[words.Words] = ("jane", "ravi", "mina", "tom", "lea", "omar", "ines", "kofi", "yuki", "anna")


def _metadata(house: House, name: str, labels: dict[str, str], *, spaced: bool = True) -> Body:
    return filled(name=name, namespace=house.namespace if spaced else "", labels=labels if house.labelled else {})


def service_account(rng: Random, house: House, name: str, labels: dict[str, str]) -> Body:
    """A ServiceAccount, tied to a cloud's identity now and then."""
    notes = weighted(
        rng,
        (
            (80, {}),
            (12, {"eks.amazonaws.com/role-arn": f"arn:aws:iam::123456789012:role/{name}"}),
            (8, {"iam.gke.io/gcp-service-account": f"{name}@{house.company}-prod.iam.gserviceaccount.com"}),
        ),
    )
    body: Body = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": _metadata(house, name, labels)}
    body["metadata"] |= filled(annotations=notes)
    return {
        **body,
        **filled(
            imagePullSecrets=[{"name": "regcred"}] if chance(rng, 0.06) else [],
            automountServiceAccountToken=rng.choice((True, False)) if chance(rng, 0.08 + 0.1 * house.detail) else None,
        ),
    }


def role(rng: Random, house: House, duty: Duty, labels: dict[str, str], *, name: str, subject: str) -> Body:
    """A Role, or a ClusterRole where the duty is not of one namespace."""
    rules = [*duty.rules, *some(rng, duty.more, 1, 2 + round(3 * house.detail))]
    if chance(rng, 0.35):
        other = rng.choice(rng.choice([each for each in DUTIES if each.cluster <= duty.cluster]).more)
        rules += [other] if other not in rules else []
    kind = "ClusterRole" if duty.cluster else "Role"
    return {
        "apiVersion": f"{GROUP}/v1",
        "kind": kind,
        "metadata": _metadata(house, name, labels, spaced=not duty.cluster),
        "rules": [_rule(rng, house, rule, subject) for rule in rules]
        + (
            [{"nonResourceURLs": ["/metrics"], "verbs": ["get"]}] if duty.name == "monitor" and chance(rng, 0.4) else []
        ),
    }


def _rule(rng: Random, house: House, rule: Rule, subject: str) -> Body:
    """A rule; a careless team writes `*`, a careful one names the single objects, which cannot be listed or created."""
    group, resources, verbs = split(rule)
    ending = NAMED.get(resources[0])
    if ending and len(resources) == 1 and "get" in verbs and chance(rng, 0.1 + 0.35 * house.care):
        names = [f"{subject}-{each}" for each in some(rng, ending, 1, 2)]
        kept = [verb for verb in verbs if verb in ("get", "update", "patch", "delete")]
        return {"apiGroups": [group], "resources": list(resources), "resourceNames": names, "verbs": kept}
    every = chance(rng, 0.22 - 0.4 * house.care)
    return {"apiGroups": [group], "resources": list(resources), "verbs": ["*"] if every else list(verbs)}


def binding(rng: Random, house: House, given: Body, subjects: list[Body], labels: dict[str, str]) -> Body:
    """A binding of a role to its subjects; a cluster's role may be given in one namespace alone."""
    cluster = given["kind"] == "ClusterRole" and (not house.namespace or chance(rng, 0.85))
    name = given["metadata"]["name"]
    return {
        "apiVersion": f"{GROUP}/v1",
        "kind": "ClusterRoleBinding" if cluster else "RoleBinding",
        "metadata": _metadata(house, weighted(rng, ((75, name), (25, f"{name}-binding"))), labels, spaced=not cluster),
        "roleRef": {"apiGroup": GROUP, "kind": given["kind"], "name": name},
        "subjects": subjects,
    }


def account(house: House, given: Body, name: str) -> Body:
    """A service account as the subject of a binding; that of a whole cluster's role must say its namespace."""
    return filled(
        kind="ServiceAccount",
        name=name,
        namespace=house.namespace or (FALLBACK if given["kind"] == "ClusterRole" else ""),
    )


def people(rng: Random, house: House) -> list[Body]:
    """Groups and users as subjects, as an identity provider names them."""
    groups = (
        f"team-{house.team}",
        f"{house.team}-developers",
        f"{house.company}:{house.team}",
        f"oidc:{house.team}",
        "sre",
    )
    found = [{"kind": "Group", "name": rng.choice(groups), "apiGroup": GROUP}]
    if chance(rng, 0.35):
        found.append({"kind": "User", "name": f"{rng.choice(PEOPLE)}@{house.company}.example", "apiGroup": GROUP})
    return found
