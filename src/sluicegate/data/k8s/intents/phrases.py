"""The phrase book of the requests: for each topic nouns, orders, sentences and list items that say it.

A noun follows "with"; an order is an imperative of whoever writes the manifest; a sentence has its own subject; an item
stands in a list. None begins with a placeholder, so that a capital letter at its start never changes a value.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Phrases:
    """Wordings of one topic; all of them say the same."""

    nouns: tuple[str, ...]
    orders: tuple[str, ...]
    sentences: tuple[str, ...]
    items: tuple[str, ...]


def _p(nouns: str, orders: str, sentences: str, items: str) -> Phrases:
    one, two, three, four = (
        tuple(part.strip() for part in text.split("|")) for text in (nouns, orders, sentences, items)
    )
    return Phrases(one, two, three, four)


PHRASES: dict[str, Phrases] = {
    # Objects as a whole.
    "namespace": _p(
        "the namespace {value}",
        "put it into the namespace {value} | place it in the {value} namespace | deploy to the namespace {value}",
        "it belongs in the namespace {value} | the namespace is {value} | everything lives in the {value} namespace",
        "namespace: {value} | Namespace {value}",
    ),
    "label": _p(
        "the label {pair} | {pair} as a label",
        "label it {pair} | add the label {pair}",
        "it carries the label {pair} | the label {pair} is set",
        "label: {pair} | label {pair}",
    ),
    "annotation": _p(
        "the annotation {key}: {value} | the annotation {key} set to {value}",
        "annotate it with {key}: {value} | set the annotation {key} to {value}",
        "the annotation {key} is {value}",
        "annotation: {key}={value} | annotation {key}: {value}",
    ),
    "field": _p(
        "the {words} {value} ({field}) | {field} set to {value}",
        "set {field} to {value}",
        "the value of {field} is {value} | the field {field} is set to {value}",
        "{field}: {value} | {field} = {value}",
    ),
    # Workloads.
    "replicas": _p(
        "{replicas} | {pods}",
        "run {replicas} | keep {pods} running | scale it to {replicas} | give it {replicas}",
        "it runs with {replicas} | there {be} {replicas} | it needs {pods}",
        "replicas: {n} | {replicas} | number of replicas: {n}",
    ),
    "schedule": _p(
        "{when} as its schedule | a schedule of {when}",
        "run it {when} | schedule it for {when} | have it run {when}",
        "it runs {when} | the schedule is {when}",
        "schedule: {when} | runs: {when}",
    ),
    "time_zone": _p(
        "the time zone {value} | times in the {value} time zone",
        "use the time zone {value} | read the schedule in the {value} time zone",
        "the schedule is in the time zone {value}",
        "time zone: {value}",
    ),
    "concurrency": _p(
        "the concurrency policy {value} | a concurrency policy of {value}",
        "set the concurrency policy to {value} | use {value} as the concurrency policy",
        "the concurrency policy is {value}",
        "concurrency policy: {value} | concurrencyPolicy: {value}",
    ),
    "history": _p(
        "a history of {jobs}",
        "keep {jobs} | keep a history of {jobs}",
        "the history keeps {jobs}",
        "keep {jobs} | history: {jobs}",
    ),
    "starting": _p(
        "a starting deadline of {time}",
        "set the starting deadline to {time} | allow a late start of up to {time}",
        "a run that is late may still start within {time}",
        "starting deadline: {time}",
    ),
    "suspended": _p("the schedule suspended", "suspend it for now", "it starts out suspended", "suspended: yes"),
    "completions": _p(
        "{count}",
        "require {count} | run it until there are {count}",
        "it is done after {count}",
        "completions: {count} | {count}",
    ),
    "parallelism": _p(
        "{count} in parallel | a parallelism of {count}",
        "run up to {count} in parallel | work with {count} at a time",
        "it runs {count} in parallel",
        "parallelism: {count}",
    ),
    "backoff": _p(
        "a backoff limit of {count} | at most {count}",
        "allow {count} | give up after {count} | set the backoff limit to {count}",
        "it may fail with up to {count} | the backoff limit is {count}",
        "backoff limit: {count} | {count} at most",
    ),
    "deadline": _p(
        "a deadline of {time} | a time limit of {time}",
        "stop it after {time} | set the active deadline to {time}",
        "it has to finish within {time}",
        "deadline: {time} | active deadline: {time}",
    ),
    "ttl": _p(
        "clean-up {time} after it has finished | a TTL of {time} after it finishes",
        "delete it {time} after it has finished | clean it up {time} after it is done",
        "finished runs are removed after {time}",
        "TTL after finishing: {time} | clean-up after {time}",
    ),
    "claim_template": _p(
        "a volume of {size} for each pod{extra} | a volume claim template of {size}{extra}",
        "give each pod a volume of {size}{extra} | claim {size} of storage for every pod{extra}",
        "each pod has its own volume of {size}{extra}",
        "volume per pod: {size}{extra} | storage: {size} for each pod{extra}",
    ),
    "service_name": _p(
        "the governing service {value}",
        "use the headless service {value} | set the service name to {value}",
        "the governing service is {value}",
        "service name: {value} | serviceName: {value}",
    ),
    "pod_management": _p(
        "{value} pod management | the pod management policy {value}",
        "use {value} pod management",
        "the pod management policy is {value}",
        "pod management: {value}",
    ),
    "strategy": _p(
        "the update strategy {value} | {value} as the update strategy",
        "set the update strategy to {value} | roll out changes with the {value} strategy",
        "the update strategy is {value} | updates follow the {value} strategy",
        "strategy: {value} | update strategy: {value}",
    ),
    "rolling": _p(
        "at most {pods} {state} during an update",
        "allow at most {pods} {state} during a rollout | roll out with at most {pods} {state}",
        "during an update at most {pods} may be {state}",
        "{field}: {n} | rollout: at most {pods} {state}",
    ),
    "revisions": _p(
        "a history of {count}",
        "keep {count} | limit the history to {count}",
        "the history holds {count}",
        "revision history: {count} | keep {count}",
    ),
    # Pods.
    "container": _p(
        "another container {name} that runs {image} | a second container called {name} with the image {image}",
        "add a container {name} that runs {image} | run {image} next to it as the container {name}",
        "the pod also has a container {name} with the image {image}",
        "container {name}: {image} | additional container: {name} ({image})",
    ),
    "init_container": _p(
        "an init container {name} from the image {image}{extra} | an init container called {name} using {image}{extra}",
        "start with an init container {name} from {image}{extra} | add an init container {name} using {image}{extra}",
        "an init container {name} with the image {image}{extra} goes first",
        "init container {name}: {image}{extra} | init container: {name}, image {image}{extra}",
    ),
    "container_name": _p(
        "a container called {name} | the container name {name}",
        "call the container {name} | name the container {name}",
        "the container is called {name} | the container's name is {name}",
        "container name: {name} | container: {name}",
    ),
    "port": _p(
        "container {port}{extra}{where} | an exposed {port}{extra}{where}",
        "expose {port}{extra}{where} | open container {port}{extra}{where} | let it listen on {port}{extra}{where}",
        "it listens on {port}{extra}{where} | the container {port}{extra} is open{where}",
        "container {port}{extra}{where} | exposes {port}{extra}{where}",
    ),
    "env": _p(
        "the environment variable {pairs}{where} | {pairs} in the environment{where}",
        "set the environment variable {pairs}{where} | set {pairs}{where}",
        "the environment variable {pairs} is set{where} | the environment has {pairs}{where}",
        "env: {pairs}{where} | environment: {pairs}{where}",
    ),
    "envs": _p(
        "the environment variables {pairs}{where} | {pairs} in the environment{where}",
        "set {pairs}{where} | set the environment variables {pairs}{where} | pass {pairs} in the environment{where}",
        "the environment has {pairs}{where} | the variables {pairs} are set{where}",
        "env: {pairs}{where} | environment: {pairs}{where}",
    ),
    "env_key": _p(
        "{name} from the key {key} of the {kind} {source}{where}",
        "take {name} from key {key} of the {kind} {source}{where} | read {name} from {kind} {source}: {key}{where}",
        "the variable {name} comes from the {kind} {source}, key {key}{where}",
        "env {name}: {kind} {source}, key {key}{where} | {name} from {kind} {source} (key {key}){where}",
    ),
    "env_field": _p(
        "{name} taken from {field}{where}",
        "fill {name} from the field {field}{where} | expose {field} as {name}{where}",
        "the variable {name} holds {field}{where}",
        "env {name}: field {field}{where}",
    ),
    "env_from": _p(
        "all variables of the {kind} {name}{where} | its environment from the {kind} {name}{where}",
        "load the environment from the {kind} {name}{where} | import all keys of the {kind} {name} as variables{where}",
        "its environment comes from the {kind} {name}{where}",
        "env from: {kind} {name}{where} | environment from {kind} {name}{where}",
    ),
    "requests": _p(
        "requests of {amounts}{where} | a request of {amounts}{where}",
        "request {amounts}{where} | reserve {amounts}{where}",
        "it requests {amounts}{where} | the requests are {amounts}{where}",
        "requests: {amounts}{where} | resource requests: {amounts}{where}",
    ),
    "limits": _p(
        "limits of {amounts}{where} | a limit of {amounts}{where}",
        "limit it to {amounts}{where} | cap it at {amounts}{where} | set the limits to {amounts}{where}",
        "it may use up to {amounts}{where} | the limits are {amounts}{where}",
        "limits: {amounts}{where} | resource limits: {amounts}{where}",
    ),
    "probe": _p(
        "a {kind} probe using {target}{where} | a {kind} probe ({target}){where}",
        "check {kind} with {target}{where} | add a {kind} probe: {target}{where} | probe {kind}: {target}{where}",
        "the {kind} probe is {target}{where} | its {kind} is checked with {target}{where}",
        "{kind} probe: {target}{where} | {kind}: {target}{where}",
    ),
    "probe_times": _p(
        "{kind} checks timed {times}{where} | {kind} probe timing of {times}{where}",
        "time the {kind} probe: {times}{where} | run the {kind} probe {times}{where}",
        "the {kind} probe is timed {times}{where}",
        "{kind} probe timing: {times}{where}",
    ),
    "mount": _p(
        "the {kind} {name} mounted at {path}{extra}{where} | {kind} {name} at {path}{extra}{where}",
        "mount the {kind} {name} at {path}{extra}{where}",
        "the {kind} {name} is mounted at {path}{extra}{where}",
        "mount: {kind} {name} at {path}{extra}{where} | {kind} {name} -> {path}{extra}{where}",
    ),
    "scratch": _p(
        "an emptyDir at {path}{extra}{where} | scratch space at {path}{extra}{where}",
        "mount an emptyDir at {path}{extra}{where} | provide scratch space at {path}{extra}{where}",
        "there is an emptyDir at {path}{extra}{where} | the folder {path} is an emptyDir{extra}{where}",
        "emptyDir: {path}{extra}{where} | scratch: {path}{extra}{where}",
    ),
    "command": _p(
        "the command {line}{where}",
        "run the command {line}{where} | start it with {line}{where} | use {line} as the command{where}",
        "it runs {line}{where} | the command is {line}{where}",
        "command: {line}{where}",
    ),
    "args": _p(
        "the arguments {line}{where}",
        "pass the arguments {line}{where} | start it with the arguments {line}{where}",
        "its arguments are {line}{where}",
        "args: {line}{where} | arguments: {line}{where}",
    ),
    "pull_policy": _p(
        "the image pull policy {value}{where}",
        "set the image pull policy to {value}{where}",
        "the image pull policy is {value}{where}",
        "pull policy: {value}{where} | imagePullPolicy: {value}{where}",
    ),
    "non_root": _p(
        "a non-root user{where} | no root user{where}",
        "run it as a non-root user{where} | never run it as root{where} | enforce running as non-root{where}",
        "it must run as non-root{where} | it must not run as root{where}",
        "non-root: yes{where} | runs as non-root{where} | runAsNonRoot: true{where}",
    ),
    "no_escalation": _p(
        "no privilege escalation{where} | privilege escalation disabled{where}",
        "forbid privilege escalation{where} | disallow privilege escalation{where}",
        "privilege escalation is not allowed{where} | it must not allow privilege escalation{where}",
        "no privilege escalation{where} | privilege escalation: off{where}",
    ),
    "drop_all": _p(
        "all capabilities dropped{where} | every Linux capability dropped{where}",
        "drop all capabilities{where} | drop every Linux capability{where}",
        "all Linux capabilities are dropped{where} | it needs no capabilities, so all are dropped{where}",
        "capabilities: drop ALL{where} | drops all capabilities{where}",
    ),
    "read_only": _p(
        "a read-only root filesystem{where}",
        "make the root filesystem read-only{where} | keep the root filesystem read-only{where}",
        "the root filesystem is read-only{where} | its root filesystem must be read-only{where}",
        "read-only root filesystem{where} | root filesystem: read-only{where}",
    ),
    "seccomp": _p(
        "the RuntimeDefault seccomp profile{where} | seccomp set to RuntimeDefault{where}",
        "use the RuntimeDefault seccomp profile{where} | set the seccomp profile to RuntimeDefault{where}",
        "the seccomp profile is RuntimeDefault{where}",
        "seccomp: RuntimeDefault{where} | seccomp profile RuntimeDefault{where}",
    ),
    "restricted": _p(
        "everything that the restricted Pod Security Standard asks for",
        "make it pass the restricted Pod Security Standard | follow the restricted Pod Security Standard",
        "it must comply with the restricted Pod Security Standard",
        "Pod Security Standard: restricted",
    ),
    "privileged": _p(
        "privileged mode{where}",
        "run it privileged{where} | run it in privileged mode{where}",
        "it has to be privileged{where} | it runs in privileged mode{where}",
        "privileged: yes{where} | privileged: true{where}",
    ),
    "user": _p(
        "the user ID {value}{where} | UID {value}{where}",
        "run it as user {value}{where} | use the UID {value}{where}",
        "it runs as user {value}{where} | the user ID is {value}{where}",
        "user ID: {value}{where} | runAsUser: {value}{where}",
    ),
    "group": _p(
        "the group ID {value}{where} | GID {value}{where}",
        "run it with group {value}{where} | use the GID {value}{where}",
        "its group ID is {value}{where}",
        "group ID: {value}{where} | runAsGroup: {value}{where}",
    ),
    "fs_group": _p(
        "the fsGroup {value}{where}",
        "set the fsGroup to {value}{where} | let group {value} own its volumes{where}",
        "its volumes belong to group {value}{where}",
        "fsGroup: {value}{where}",
    ),
    "capability": _p(
        "the capability {value}{where} | the added capability {value}{where}",
        "add the capability {value}{where} | grant the capability {value}{where}",
        "it needs the capability {value}{where}",
        "capability: add {value}{where} | added capability: {value}{where}",
    ),
    "host_namespace": _p(
        "the host's {value} namespace",
        "use the host's {value} namespace | share the {value} namespace of the host",
        "it shares the host's {value} namespace",
        "host {value} namespace: yes",
    ),
    "node": _p(
        "a node selector for {pair} | the node selector {pair}",
        "schedule it on nodes with {pair} | run it only on nodes labelled {pair}",
        "it only runs on nodes labelled {pair}",
        "node selector: {pair} | nodes: {pair}",
    ),
    "toleration": _p(
        "a toleration for {taint} | a toleration of the taint {taint}",
        "tolerate the taint {taint} | add a toleration for {taint}",
        "it tolerates the taint {taint}",
        "toleration: {taint} | tolerates {taint}",
    ),
    "spread": _p(
        "a topology spread over {value}",
        "spread the pods over {value} | add a topology spread constraint on {value}",
        "its pods are spread over {value}",
        "topology spread: {value} | spread over {value}",
    ),
    "anti_affinity": _p(
        "pod anti-affinity on {value}",
        "keep its pods apart with anti-affinity on {value} | add pod anti-affinity on {value}",
        "anti-affinity on {value} keeps its pods apart",
        "anti-affinity: {value} | pod anti-affinity: {value}",
    ),
    "service_account": _p(
        "the service account {value} | {value} as its service account",
        "use the service account {value} | run it under the service account {value}",
        "it runs under the service account {value} | its service account is {value}",
        "service account: {value} | serviceAccountName: {value}",
    ),
    "priority": _p(
        "the priority class {value}",
        "give it the priority class {value} | use the priority class {value}",
        "its priority class is {value}",
        "priority class: {value}",
    ),
    "restart": _p(
        "the restart policy {value}",
        "set the restart policy to {value} | use the restart policy {value}",
        "the restart policy is {value}",
        "restart policy: {value} | restartPolicy: {value}",
    ),
    "grace": _p(
        "a termination grace period of {time}",
        "allow {time} for a graceful shutdown | give it {time} to shut down",
        "it gets {time} to shut down | the termination grace period is {time}",
        "grace period: {time} | termination grace period: {time}",
    ),
    "no_token": _p(
        "no automatically mounted API token | token automounting switched off",
        "turn off automounting of the service account token | do not mount an API token automatically",
        "the service account token is not mounted automatically",
        "automount token: no | automountServiceAccountToken: false",
    ),
    "pull_secret": _p(
        "the image pull secret {value}",
        "pull images with the secret {value} | use {value} as the image pull secret",
        "images are pulled with the secret {value}",
        "image pull secret: {value} | pull secret: {value}",
    ),
    # Networking.
    "service_type": _p(
        "the type {value}",
        "make it of type {value} | give it the type {value}",
        "its type is {value}",
        "type: {value} | service type: {value}",
    ),
    "headless": _p(
        "no cluster IP (headless)",
        "make it headless | leave it without a cluster IP (headless)",
        "it is headless | it is a headless service",
        "headless: yes | clusterIP: None (headless)",
    ),
    "service_port": _p(
        "{port} forwarding to {target}{extra} | {port} mapped to {target}{extra}",
        "forward {port} to {target}{extra} | map {port} to {target}{extra} | send {port} to {target}{extra}",
        "traffic on {port} goes to {target}{extra} | it forwards {port} to {target}{extra}",
        "forwards {port} to {target}{extra} | {port} -> {target}{extra}",
    ),
    "service_port_only": _p(
        "{port}{extra}",
        "open {port}{extra} | serve {port}{extra}",
        "it serves {port}{extra} | it is reachable on {port}{extra}",
        "serves {port}{extra} | exposes {port}{extra}",
    ),
    "selector": _p(
        "a selector for {pairs} | the selector {pairs}",
        "select the pods with {pairs} | match pods labelled {pairs}",
        "it selects pods with {pairs} | it applies to pods labelled {pairs}",
        "selector: {pairs} | selects {pairs}",
    ),
    "traffic_policy": _p(
        "the external traffic policy {value}",
        "set the external traffic policy to {value}",
        "the external traffic policy is {value}",
        "external traffic policy: {value}",
    ),
    "affinity": _p(
        "the session affinity {value}",
        "set the session affinity to {value}",
        "the session affinity is {value}",
        "session affinity: {value}",
    ),
    "external_name": _p(
        "the external name {value}",
        "point it at the external name {value}",
        "it stands for the external name {value}",
        "external name: {value}",
    ),
    "ingress_class": _p(
        "the ingress class {value} | {value} as the ingress class",
        "use the ingress class {value} | have the {value} ingress class serve it",
        "the ingress class is {value}",
        "ingress class: {value} | ingressClassName: {value}",
    ),
    "route": _p(
        "a route from {url} to the service {service} on port {port} | {url} going to {service} (port {port})",
        "route {url} to the service {service} on port {port} | send {url} to port {port} of {service}",
        "requests for {url} go to the service {service} on port {port} | traffic for {url} reaches {service}:{port}",
        "{url} -> {service}:{port} | route: {url} to {service}, port {port}",
    ),
    "tls": _p(
        "TLS from the secret {secret} | a certificate in the secret {secret}",
        "terminate TLS with the secret {secret} | use the certificate in the secret {secret}",
        "TLS uses the secret {secret} | the certificate is in the secret {secret}",
        "TLS secret: {secret} | TLS: secret {secret}",
    ),
    "all_pods": _p(
        "all pods selected | an empty pod selector (all pods)",
        "apply it to all pods | select all pods",
        "it applies to all pods of the namespace",
        "pods: all | pod selector: all pods",
    ),
    "policy_types": _p(
        "the policy type{s} {types}",
        "cover the policy type{s} {types} | set the policy type{s} to {types}",
        "it covers {types}",
        "policy type{s}: {types} | type{s}: {types}",
    ),
    "peer": _p(
        "{direction} allowed {way} {what} labelled {pairs} | {direction} {way} {what} with {pairs}",
        "allow {direction} {way} {what} labelled {pairs} | permit {direction} {way} {what} with {pairs}",
        "traffic {way} {what} with {pairs} is allowed ({direction})",
        "{direction} {way} {what}: {pairs} | allow {direction} {way} {what} {pairs}",
    ),
    "block": _p(
        "{direction} allowed {way} {cidr}",
        "allow {direction} {way} {cidr} | permit {direction} {way} the range {cidr}",
        "traffic {way} {cidr} is allowed ({direction})",
        "{direction} {way}: {cidr}",
    ),
    "allowed_port": _p(
        "{direction} on {port}",
        "allow {direction} on {port} | open {port} for {direction}",
        "for {direction}, {port} is open",
        "{direction}: {port} | allow {direction} on {port}",
    ),
    # Settings, storage, scaling, access.
    "entry": _p(
        "{key} set to {value} | the entry {key}={value}",
        "set {key} to {value} | add the entry {key}={value}",
        "the value of {key} is {value} | the key {key} is set to {value}",
        "{key}: {value} | {key}={value}",
    ),
    "entry_key": _p(
        "a key {key} | the file {key}",
        "add the key {key} | include a file called {key}",
        "there is a key {key} | it holds the file {key}",
        "key: {key} | file: {key}",
    ),
    "immutable": _p("immutable content", "make it immutable", "it is immutable", "immutable: yes"),
    "secret_type": _p(
        "the type {value}", "use the type {value} | set the type to {value}", "its type is {value}", "type: {value}"
    ),
    "secret_key": _p(
        "the key {key} | an entry {key}",
        "add the key {key} | include an entry {key}",
        "it holds the key {key}",
        "key: {key} | entry: {key}",
    ),
    "size": _p(
        "{size} of storage | a size of {size}",
        "ask for {size} of storage | make it {size} in size | size it at {size}",
        "it has a size of {size} | the size is {size}",
        "size: {size} | storage: {size} | capacity: {size}",
    ),
    "storage_class": _p(
        "the storage class {value} | {value} as the storage class",
        "use the storage class {value} | take it from the storage class {value}",
        "the storage class is {value} | it comes from the storage class {value}",
        "storage class: {value} | storageClassName: {value}",
    ),
    "access_mode": _p(
        "the access mode {value} | {value} access",
        "set the access mode to {value} | use {value} as the access mode",
        "the access mode is {value}",
        "access mode: {value} | access: {value}",
    ),
    "volume_mode": _p(
        "the volume mode {value}",
        "set the volume mode to {value}",
        "the volume mode is {value}",
        "volume mode: {value}",
    ),
    "reclaim": _p(
        "the reclaim policy {value}",
        "set the reclaim policy to {value}",
        "the reclaim policy is {value}",
        "reclaim policy: {value}",
    ),
    "scale_target": _p(
        "the {kind} {name} as its target",
        "scale the {kind} {name} | point it at the {kind} {name}",
        "it scales the {kind} {name} | its target is the {kind} {name}",
        "target: {kind} {name} | scales: {kind} {name}",
    ),
    "bounds": _p(
        "{low} to {high} replicas | a range of {low} to {high} replicas",
        "scale between {low} and {high} replicas | keep it between {low} and {high} replicas",
        "it scales between {low} and {high} replicas | the replicas range from {low} to {high}",
        "replicas: {low} to {high} | min {low}, max {high}",
    ),
    "upper_bound": _p(
        "at most {high} | a maximum of {high}",
        "scale up to {high} | allow at most {high}",
        "it may grow to {high}",
        "maximum: {high}",
    ),
    "utilisation": _p(
        "a target {resource} utilisation of {number} | {number} average {resource} utilisation as the target",
        "aim for {number} {resource} utilisation | scale when {resource} utilisation passes {number}",
        "the target is {number} {resource} utilisation",
        "target {resource} utilisation: {number} | {resource} target: {number}",
    ),
    "min_available": _p(
        "at least {pods} available",
        "keep at least {pods} available | guarantee at least {pods} at all times",
        "at least {pods} must stay available",
        "min available: {pods} | at least {pods} available",
    ),
    "max_unavailable": _p(
        "at most {pods} unavailable",
        "allow at most {pods} to be down | let no more than {pods} be unavailable",
        "at most {pods} may be unavailable",
        "max unavailable: {pods} | at most {pods} unavailable",
    ),
    "rule": _p(
        "permission to {verbs} {resources}{extra} | {verbs} on {resources}{extra}",
        "allow {verbs} on {resources}{extra} | grant {verbs} for {resources}{extra}",
        "the verbs {verbs} are allowed on {resources}{extra}",
        "{verbs} on {resources}{extra} | rule: {verbs} {resources}{extra}",
    ),
    "full_rule": _p(
        "full access to {resources}{extra} | all verbs on {resources}{extra}",
        "grant full access to {resources}{extra} | allow every verb on {resources}{extra}",
        "full access to {resources}{extra} is granted | every verb is allowed on {resources}{extra}",
        "full access to {resources}{extra} | all verbs on {resources}{extra}",
    ),
    "role_ref": _p(
        "the {kind} {name} as its role | a reference to the {kind} {name}",
        "bind the {kind} {name} | grant the {kind} {name}",
        "it grants the {kind} {name} | the role is the {kind} {name}",
        "role: {kind} {name} | grants {kind} {name}",
    ),
    "subject": _p(
        "the {kind} {name}{extra} as a subject | the subject {kind} {name}{extra}",
        "bind it to the {kind} {name}{extra} | grant it to the {kind} {name}{extra}",
        "the {kind} {name}{extra} receives it | it applies to the {kind} {name}{extra}",
        "subject: {kind} {name}{extra} | for: {kind} {name}{extra}",
    ),
}  # fmt: skip
"""Topic → its wordings."""

KINDS: dict[str, tuple[str, ...]] = {
    "Deployment": ("Deployment", "deployment"),
    "StatefulSet": ("StatefulSet", "stateful set", "statefulset"),
    "DaemonSet": ("DaemonSet", "daemon set", "daemonset"),
    "ReplicaSet": ("ReplicaSet", "replica set"),
    "ReplicationController": ("ReplicationController", "replication controller"),
    "Pod": ("Pod", "pod"),
    "Job": ("Job", "one-off Job", "batch job"),
    "CronJob": ("CronJob", "cron job", "cronjob"),
    "Service": ("Service", "service"),
    "Ingress": ("Ingress", "ingress"),
    "ConfigMap": ("ConfigMap", "config map", "configmap"),
    "Secret": ("Secret", "secret"),
    "PersistentVolumeClaim": ("PersistentVolumeClaim", "PVC", "persistent volume claim"),
    "PersistentVolume": ("PersistentVolume", "persistent volume", "PV"),
    "HorizontalPodAutoscaler": ("HorizontalPodAutoscaler", "HPA", "horizontal pod autoscaler"),
    "NetworkPolicy": ("NetworkPolicy", "network policy"),
    "PodDisruptionBudget": ("PodDisruptionBudget", "PDB", "pod disruption budget"),
    "ServiceAccount": ("ServiceAccount", "service account"),
    "Role": ("Role", "RBAC role"),
    "ClusterRole": ("ClusterRole", "cluster role"),
    "RoleBinding": ("RoleBinding", "role binding"),
    "ClusterRoleBinding": ("ClusterRoleBinding", "cluster role binding"),
    "Namespace": ("Namespace", "namespace"),
    "StorageClass": ("StorageClass", "storage class"),
    "ResourceQuota": ("ResourceQuota", "resource quota"),
    "LimitRange": ("LimitRange", "limit range"),
}
"""Kind → how it is called; another kind goes by its own name."""
