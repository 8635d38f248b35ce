"""What service accounts are for, and the RBAC rules that follow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sluicegate.data.k8s.grammar.words import Words

Rule = tuple[str, str, str]
"""API group, resources and verbs, the last two with blanks between."""
READ: Final = "get list watch"


@dataclass(frozen=True, slots=True)
class Duty:
    """What an account does.

    Args:
        name: after its subject: `billing-deployer`.
        purpose: as a noun; `{subject}` is what it is about.
        rules: that it cannot do without.
        more: that it may have too.
        cluster: whether it needs them in every namespace.
    """

    name: str
    purpose: str
    rules: tuple[Rule, ...]
    more: tuple[Rule, ...]
    cluster: bool = False


DUTIES: Final[tuple[Duty, ...]] = (
    Duty("deployer", "deployments of {subject} from the pipeline",
         (("apps", "deployments", "get list watch create update patch"),),
         (("apps", "statefulsets daemonsets", "get list patch"), ("", "services", "get list create update"),
          ("", "configmaps secrets", "get list create update"), ("batch", "jobs", "get list create delete"),
          ("networking.k8s.io", "ingresses", "get list create update"), ("", "pods pods/log", "get list"))),
    Duty("reader", "read access to the {subject} workloads", (("", "pods services", READ),),
         (("apps", "deployments replicasets", READ), ("", "configmaps", READ), ("batch", "jobs cronjobs", READ),
          ("networking.k8s.io", "ingresses networkpolicies", READ), ("", "events", READ), ("", "pods/log", "get"))),
    Duty("log-reader", "access to the logs of {subject}", (("", "pods pods/log", READ),),
         (("", "namespaces", "get list"), ("apps", "deployments", "get list"), ("", "events", "get list"),
          ("batch", "jobs", "get list"), ("apps", "statefulsets", "get list"), ("", "configmaps", "get"))),
    Duty("operator", "the {subject} operator",
         (("apps", "deployments statefulsets", "get list watch create update patch delete"),
          ("", "services configmaps", "get list watch create update patch delete")),
         (("", "secrets", READ), ("coordination.k8s.io", "leases", "get create update"), ("", "events", "create patch"),
          ("policy", "poddisruptionbudgets", "get list watch create"),
           ("", "persistentvolumeclaims", "get list create delete"),
          ("batch", "jobs", "get list watch create"))),
    Duty("elector", "leader election of {subject}", (("coordination.k8s.io", "leases", "get create update"),),
         (("", "events", "create patch"), ("", "configmaps", "get list watch create update patch"),
          ("", "endpoints", "get update"), ("", "pods", "get list"), ("", "services", "get list"),
          ("discovery.k8s.io", "endpointslices", READ))),
    Duty("config-reader", "access of {subject} to its settings", (("", "configmaps", READ),),
         (("", "secrets", "get"), ("", "namespaces", "get"), ("", "services", "get list"))),
    Duty("scaler", "scaling of {subject}", (("apps", "deployments deployments/scale", "get list patch update"),),
         (("autoscaling", "horizontalpodautoscalers", READ), ("", "pods", READ), ("metrics.k8s.io", "pods", "get list"),
          ("apps", "statefulsets/scale", "get patch"))),
    Duty("job-runner", "starting of {subject} jobs", (("batch", "jobs", "get list watch create delete"),),
         (("", "pods pods/log", "get list"), ("", "configmaps", "get create"), ("batch", "cronjobs", "get list"),
          ("", "persistentvolumeclaims", "get list"), ("", "events", "list"))),
    Duty("cleaner", "clean-up of finished {subject} pods", (("", "pods", "get list delete"),),
         (("batch", "jobs", "get list delete"), ("apps", "replicasets", "get list delete"), ("", "events", "create"),
          ("", "persistentvolumeclaims", "get list delete"))),
    Duty("monitor", "monitoring of {subject}", (("", "pods services endpoints nodes", READ),),
         (("", "nodes/metrics", "get"), ("metrics.k8s.io", "pods nodes", "get list"),
          ("apps", "deployments daemonsets", READ),
          ("discovery.k8s.io", "endpointslices", READ), ("networking.k8s.io", "ingresses", READ),
          ("", "namespaces", "get list"), ("batch", "cronjobs jobs", READ)), cluster=True),
    Duty("autoscaler", "node autoscaling of {subject}", (("", "nodes", "get list watch update"), ("", "pods", READ)),
         (("", "pods/eviction", "create"), ("policy", "poddisruptionbudgets", READ), ("", "events", "create patch"),
          ("storage.k8s.io", "storageclasses csinodes", READ), ("apps", "replicasets statefulsets daemonsets", READ)),
         cluster=True),
    Duty("controller", "the {subject} ingress controller",
         (("networking.k8s.io", "ingresses ingressclasses", READ), ("", "services endpoints secrets", READ)),
         (("networking.k8s.io", "ingresses/status", "update"), ("", "events", "create patch"),
          ("", "nodes", "get list"),
          ("coordination.k8s.io", "leases", "get create update"), ("discovery.k8s.io", "endpointslices", READ)),
           cluster=True),
    Duty("provisioner", "provisioning of {subject} volumes",
         (("", "persistentvolumes", "get list watch create delete"),
          ("", "persistentvolumeclaims", "get list watch update")),
         (("storage.k8s.io", "storageclasses", READ), ("", "events", "create update patch"), ("", "nodes", "get list"),
          ("storage.k8s.io", "volumeattachments", READ)), cluster=True),
    Duty("auditor", "audits of {subject}", (("rbac.authorization.k8s.io", "roles rolebindings", "get list"),),
         (("rbac.authorization.k8s.io", "clusterroles clusterrolebindings", "get list"),
          ("", "serviceaccounts", "get list"),
          ("", "namespaces", "get list"), ("networking.k8s.io", "networkpolicies", "get list"),
           ("", "secrets", "list")),
         cluster=True),
    Duty("backup", "backups of the {subject} volumes", (("", "persistentvolumeclaims persistentvolumes", READ),),
         (("", "pods", "get list"), ("", "pods/exec", "create"), ("", "namespaces", "get list"),
          ("snapshot.storage.k8s.io", "volumesnapshots", "get list create delete")), cluster=True),
    Duty("debugger", "debugging of {subject}", (("", "pods pods/log", "get list"), ("", "pods/exec", "create")),
         (("", "pods/portforward", "create"), ("", "events", "get list"), ("apps", "deployments", "get list"),
          ("", "pods/ephemeralcontainers", "patch update"), ("", "configmaps", "get list"),
           ("batch", "jobs", "get list"))),
)  # fmt: skip


def split(rule: Rule) -> tuple[str, Words, Words]:
    """Group, resources and verbs of a rule.

    >>> split(("apps", "deployments", "get list"))
    ('apps', ('deployments',), ('get', 'list'))
    """
    group, resources, verbs = rule
    return group, tuple(resources.split()), tuple(verbs.split())
