"""Which rule of which tool or standard asks what a check of ours asks: names only, as their own sources write them.

A rule is named where it looks at the same fields; where it asks more or less than the check does, docs/k8s-agreement.md
shows by how much for Checkov. A check without a matching rule at a peer has none here. Nothing is derived from these.

Source: Checkov 3.3.30 (checkov/kubernetes/checks/resource/k8s); kube-linter 35de568d4982 (docs/generated/checks.md);
Polaris c0e23a233b20 (pkg/config/checks); kube-score 06dedc9ccce5 (README_CHECKS.md); kubernetes/pod-security-admission
8f84a87c7f61 (policy/check_*.go, the standard's own identifiers and levels); NSA and CISA, Kubernetes Hardening
Guidance, August 2021 (sections, Table I and Appendix C); CIS Kubernetes Benchmark 1.12 (numbers as in kube-bench
a73ce378418c, cfg/cis-1.12/policies.yaml).
"""

from __future__ import annotations

from typing import Final

CHECKOV, KUBE_LINTER, POLARIS, KUBE_SCORE = "Checkov", "kube-linter", "Polaris", "kube-score"
POD_SECURITY, NSA, CIS = "Pod Security Standards", "NSA/CISA", "CIS 1.12"
PEERS: Final = (CHECKOV, KUBE_LINTER, POLARIS, KUBE_SCORE, POD_SECURITY, NSA, CIS)

Rules = dict[str, tuple[str, ...]]

RULES: Final[dict[str, Rules]] = {
    "run_as_non_root": {
        CHECKOV: ("CKV_K8S_23",),
        KUBE_LINTER: ("run-as-non-root",),
        POLARIS: ("runAsRootAllowed",),
        KUBE_SCORE: ("container-security-context-user-group-id",),
        POD_SECURITY: ("restricted: runAsNonRoot", "restricted: runAsUser"),
        NSA: ('"Non-root" containers', "Table I: runAsUser"),
        CIS: ("5.2.7",),
    },
    "no_privilege_escalation": {
        CHECKOV: ("CKV_K8S_20", "CKV_K8S_16"),
        KUBE_LINTER: ("privilege-escalation-container", "privileged-container"),
        POLARIS: ("privilegeEscalationAllowed", "runAsPrivileged"),
        KUBE_SCORE: ("container-security-context-privileged",),
        POD_SECURITY: ("restricted: allowPrivilegeEscalation", "baseline: privileged"),
        NSA: ("Table I: allowPrivilegeEscalation", "Table I: privileged"),
        CIS: ("5.2.6", "5.2.2"),
    },
    "drop_all_capabilities": {
        CHECKOV: ("CKV_K8S_37", "CKV_K8S_28", "CKV_K8S_25"),
        KUBE_LINTER: ("drop-net-raw-capability",),
        POLARIS: ("insecureCapabilities",),
        POD_SECURITY: ("restricted: capabilities_restricted",),
        NSA: ("Appendix C: requiredDropCapabilities",),
        CIS: ("5.2.9", "5.2.8"),
    },
    "read_only_root_fs": {
        CHECKOV: ("CKV_K8S_22",),
        KUBE_LINTER: ("no-read-only-root-fs",),
        POLARIS: ("notReadOnlyRootFilesystem",),
        KUBE_SCORE: ("container-security-context-readonlyrootfilesystem",),
        NSA: ("Immutable container file systems", "Table I: readOnlyRootFilesystem"),
    },
    "seccomp_profile": {
        CHECKOV: ("CKV_K8S_31",),
        POLARIS: ("linuxHardening",),
        KUBE_SCORE: ("container-seccomp-profile",),
        POD_SECURITY: ("restricted: seccompProfile_restricted",),
        NSA: ("Table I: seccomp annotations",),
        CIS: ("5.6.2",),
    },
    "host_isolation": {
        CHECKOV: ("CKV_K8S_16", "CKV_K8S_17", "CKV_K8S_18", "CKV_K8S_19", "CKV_K8S_26", "CKV_K8S_27", "CKV_K8S_39"),
        KUBE_LINTER: (
            "privileged-container",
            "host-pid",
            "host-ipc",
            "host-network",
            "sensitive-host-mounts",
            "docker-sock",
        ),
        POLARIS: (
            "runAsPrivileged",
            "hostPIDSet",
            "hostIPCSet",
            "hostNetworkSet",
            "hostPathSet",
            "hostPortSet",
            "hostProcess",
            "dangerousCapabilities",
        ),
        KUBE_SCORE: ("container-security-context-privileged",),
        POD_SECURITY: (
            "baseline: privileged",
            "baseline: hostNamespaces",
            "baseline: hostPathVolumes",
            "baseline: hostPorts",
            "baseline: windowsHostProcess",
            "baseline: capabilities_baseline",
        ),
        NSA: ("Table I: privileged", "Table I: hostPID, hostIPC", "Table I: hostNetwork", "Table I: allowedHostPaths"),
        CIS: ("5.2.2", "5.2.3", "5.2.4", "5.2.5", "5.2.10", "5.2.11", "5.2.12"),
    },
    "resource_requests": {
        CHECKOV: ("CKV_K8S_10", "CKV_K8S_12"),
        KUBE_LINTER: ("unset-cpu-requirements",),
        POLARIS: ("cpuRequestsMissing", "memoryRequestsMissing"),
        KUBE_SCORE: ("container-resources",),
    },
    "resource_limits": {
        CHECKOV: ("CKV_K8S_11", "CKV_K8S_13"),
        KUBE_LINTER: ("unset-memory-requirements",),
        POLARIS: ("cpuLimitsMissing", "memoryLimitsMissing"),
        KUBE_SCORE: ("container-resources",),
        NSA: ("Resource policies",),
    },
    "liveness_probe": {
        CHECKOV: ("CKV_K8S_8",),
        KUBE_LINTER: ("no-liveness-probe",),
        POLARIS: ("livenessProbeMissing",),
        KUBE_SCORE: ("pod-probes",),
    },
    "readiness_probe": {
        CHECKOV: ("CKV_K8S_9",),
        KUBE_LINTER: ("no-readiness-probe",),
        POLARIS: ("readinessProbeMissing",),
        KUBE_SCORE: ("pod-probes",),
    },
    "image_pinned": {
        CHECKOV: ("CKV_K8S_14",),
        KUBE_LINTER: ("latest-tag",),
        POLARIS: ("tagNotSpecified",),
        KUBE_SCORE: ("container-image-tag",),
    },
}
"""Check → peer → the names of its rules."""
