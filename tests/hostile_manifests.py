"""Texts that are written to break a reader of manifests: at most 1 MB each, by name; and bytes at random.

Each aims at one thing: memory behind aliases, depth, a quadratic loop, a regular expression that goes back and forth,
or a list so long that something done once an item takes seconds.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

FIXTURES = Path(__file__).parent / "k8s" / "fixtures"
MOST, NODES, OBJECTS = 1_000_000, 49_000, 1_900
"""Bytes, and a little less than the values and the objects that are read of one text."""
EACH = NODES // OBJECTS
POD = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n"
LABELS = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n  labels:\n"
PASSING = (FIXTURES / "run_as_non_root.pass.pod-flag.yaml").read_text()
CONTAINERS = f"{POD}  containers:\n"


def filled(item: str, *, head: str = "", tail: str = "", most: int = MOST, nodes: int = 0) -> str:
    """The item as often as it fits; with `nodes` values an item, no more of them than a parser takes."""
    return numbered(item, head=head, tail=tail, most=most, nodes=nodes)


def numbered(item: str, *, head: str = "", tail: str = "", most: int = MOST, nodes: int = 0) -> str:
    """As `filled`, with `#` in the item replaced by 0, 1, 2 and so on."""
    parts, room = [head], most - len((head + tail).encode())
    for number in range(NODES // nodes if nodes else most):
        part = item.replace("#", str(number))
        room -= len(part.encode())
        if room < 0:
            break
        parts.append(part)
    return "".join([*parts, tail])


def bomb(levels: int, width: int, leaf: str) -> str:
    """Aliases of aliases: width to the power of levels."""
    lines = [f"a0: &a0 {leaf}"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * width)}]" for n in range(1, levels)]
    return "\n".join(lines) + "\n"


def _pod_of(**spec: object) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": spec})


def _named(metadata: str) -> str:
    return f"apiVersion: v1\nkind: Pod\nmetadata: {{{metadata}}}\nspec: {{}}\n"


def _one(field: str, value: str) -> str:
    """A pod with one container, one of whose fields is a text."""
    return _pod_of(containers=[{"name": "a", "image": "a:1", field: value}])


def _cron(schedule: str) -> str:
    return json.dumps(
        {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "a"}, "spec": {"schedule": schedule}}
    )


def _quantity(text: str) -> str:
    return _pod_of(containers=[{"name": "a", "image": "a:1", "resources": {"limits": {"cpu": text, "memory": text}}}])


LONG = 990_000
CASES: Final[dict[str, Callable[[], str | bytes]]] = {
    # aliases
    "alias bomb": lambda: bomb(9, 9, '["lol"]'),
    "alias bomb of texts": lambda: bomb(6, 30, "x" * 100_000),
    "alias bomb of keys": lambda: "a: &a {b: 1}\n" + "".join(f"k{n}: &k{n} {{<<: *a, c: *a}}\n" for n in range(20_000)),
    "merges of merges": lambda: (
        "a0: &a0 {x0: 1}\n"
        + "".join(f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}], x{n}: 1}}\n" for n in range(1, 15_000))
    ),
    "a wide mapping merged often": lambda: (
        "a: &a {"
        + ", ".join(f"k{n}: 1" for n in range(1000))
        + "}\n"
        + filled("- {<<: *a}\n", head="b:\n", most=LONG, nodes=1001)
    ),
    "an alias to a pod": lambda: (
        "items:\n- &p " + _pod_of(containers=[{}]) + "\n" + filled("- *p\n", most=LONG) + "kind: List\napiVersion: v1\n"
    ),
    "many anchors": lambda: numbered("- &a# 1\n"),
    "an alias within itself": lambda: "a: &a [*a]",
    # depth
    "5,000 deep lists": lambda: "[" * 5000 + "]" * 5000,
    "5,000 deep mappings": lambda: '{"a":' * 5000 + "1" + "}" * 5000,
    "5,000 deep dashes": lambda: "- " * 5000 + "a",
    "500,000 deep lists": lambda: "[" * 500_000,
    "deep blocks": lambda: "".join(" " * n + "a:\n" for n in range(1400)),
    "deep lists of objects": lambda: "{apiVersion: v1, kind: List, items: [" * 90 + "]}" * 90,
    "a hundred deep, often": lambda: filled("- " + "[" * 90 + "1" + "]" * 90 + "\n"),
    # length
    "one character": lambda: "a" * MOST,
    "blanks": lambda: " " * MOST,
    "breaks": lambda: "\n" * MOST,
    "tabs": lambda: "\t" * MOST,
    "dashes": lambda: "-" * MOST,
    "colons": lambda: ":" * MOST,
    "question marks": lambda: "? " * (MOST // 2),
    "quotes": lambda: '"' * MOST,
    "a text in quotes": lambda: '"' + "a" * (MOST - 2) + '"',
    "escapes": lambda: '"' + "\\u0041" * (MOST // 6 - 1) + '"',
    "a folded text": lambda: filled("  a\n", head="a: >\n"),
    "comments": lambda: filled("# a\n"),
    "one long comment": lambda: "#" * MOST,
    "ampersands": lambda: "&" * MOST,
    "stars": lambda: "*" * MOST,
    "exclamation marks": lambda: "!" * MOST,
    "percent signs": lambda: "%" * MOST,
    "a huge key": lambda: "? " + "a" * LONG + "\n: 1",
    "a huge key in a pod": lambda: CONTAINERS + "  - {name: a, image: b, ? " + "k" * LONG + " : 1}\n",
    "a key of dots": lambda: "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {? " + "." * LONG + " : a}}",
    "many keys": lambda: numbered("k#: 1\n", nodes=1),
    "one key again and again": lambda: filled("a: 1\n"),
    "the same label again and again": lambda: filled("    a: b\n", head=LABELS),
    "many labels": lambda: numbered("    a#: b\n", head=LABELS, nodes=1),
    "many labels that are none": lambda: numbered("    -a#-: _\n", head=LABELS, nodes=1),
    # documents and objects
    "many documents": lambda: filled("a\n---\n", nodes=2),
    "many empty documents": lambda: filled("---\n"),
    "many ends of documents": lambda: filled("...\n"),
    "many objects": lambda: filled("{apiVersion: v1, kind: Pod}\n---\n", nodes=EACH),
    "many objects of no kind": lambda: filled("{apiVersion: v1, kind: X}\n---\n", nodes=EACH),
    "many old objects": lambda: filled("{apiVersion: extensions/v1beta1, kind: Deployment}\n---\n", nodes=EACH),
    "a list of nothing": lambda: filled("{},", head="{apiVersion: v1, kind: PodList, items: [", tail="]}", nodes=1),
    "a list of pods": lambda: filled(
        "{spec: {containers: [{}]}},", head="{apiVersion: v1, kind: PodList, items: [", tail="]}", nodes=EACH
    ),
    "lists of lists": lambda: filled(
        "{apiVersion: v1, kind: List, items: [{}]},",
        head="{apiVersion: v1, kind: List, items: [",
        tail="]}",
        nodes=EACH,
    ),
    "many services and pods": lambda: numbered(
        "{apiVersion: v1, kind: Service, metadata: {name: a#}, spec: {selector: {a: b}, ports: [{targetPort: x}]}}\n"
        "---\n{apiVersion: v1, kind: Pod, metadata: {name: a#, labels: {a: b}}, spec: {containers: [{}]}}\n---\n",
        nodes=2 * EACH,
    ),
    "many good pods": lambda: numbered(
        PASSING.partition("\n")[2].replace("name: shop", "name: shop-#") + "---\n", nodes=EACH
    ),
    "many bad pods": lambda: numbered(
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a-#\nspec:\n  containers:\n  - name: a\n    image: a\n---\n",
        nodes=EACH,
    ),
    "many pods that share a context": lambda: (
        "x: &x {}\n---\n"
        + numbered(
            "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a-#\n  annotations: &x {}\nspec:\n  securityContext: *x\n"
            "  containers:\n  - name: a\n    image: a\n    securityContext: *x\n---\n",
            nodes=EACH,
        )
    ),
    # long lists within a pod
    "containers of nothing": lambda: filled("{},", head=f"{POD}  containers: [", tail="]", nodes=1),
    "containers of null": lambda: filled("~,", head=f"{POD}  containers: [", tail="]", nodes=1),
    "containers": lambda: numbered("  - {name: a#}\n", head=CONTAINERS, nodes=2),
    "containers in blocks": lambda: numbered("  - name: a#\n    image: b\n", head=CONTAINERS, nodes=3),
    "containers with roots": lambda: filled("  - securityContext: {runAsUser: 0}\n", head=CONTAINERS, nodes=3),
    "containers that share a name": lambda: filled("  - {name: a, image: b}\n", head=CONTAINERS, nodes=3),
    "good containers": lambda: numbered(
        "  - {name: a#, image: 'a:1', securityContext: {runAsUser: 1, allowPrivilegeEscalation: false, "
        "readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}, seccompProfile: {type: RuntimeDefault}}}\n",
        head=CONTAINERS,
        nodes=14,
    ),
    "three lists of containers": lambda: (
        POD
        + "".join(
            filled("{},", head=f"  {name}: [", tail="]\n", most=330_000, nodes=3)
            for name in ("containers", "initContainers", "ephemeralContainers")
        )
    ),
    "many containers without a flaw in one place": lambda: numbered(
        "{name: a#, image: 'a:1'},",
        head=f"{POD}  securityContext: {{runAsUser: 1}}\n  containers: [",
        tail="]",
        nodes=3,
    ),
    "arguments and a fault at the end": lambda: filled(
        "a,", head=f"{CONTAINERS}  - args: [", tail="]\n    b: 1\n", nodes=1
    ),
    "labels and a fault at the end": lambda: numbered(
        "a#: b,", head="{apiVersion: v1, kind: Pod, metadata: {labels: {", tail="a: 1}}}", nodes=1
    ),
    "many objects with unknown fields": lambda: numbered(
        "{apiVersion: v1, kind: Pod, metadata: {name: a#}, spec: {"
        + ", ".join(f"f{n}: 1" for n in range(30))
        + "}}\n---\n",
        nodes=EACH,
    ),
    "as many bad pods as are mended": lambda: numbered(
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a-#\n  labels: {a: b, c: d, e: f, g: h, i: j, k: l}\nspec:\n"
        "  containers:\n  - name: a\n    image: a\n---\n",
        nodes=50,
    ),
    "many objects with broken rules": lambda: numbered(
        "{apiVersion: v1, kind: Pod, metadata: {name: -#}, spec: {containers: [{ports: ["
        + "{containerPort: 0}," * 14
        + "]}]}}\n---\n",
        nodes=EACH,
    ),
    "a service and many pods": lambda: (
        "{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {selector: {"
        + ", ".join(f"a{n}: b" for n in range(10_000))
        + "}, ports: [{targetPort: x}]}}\n---\n"
        + numbered("{apiVersion: v1, kind: Pod, metadata: {name: a#, labels: {a0: b}}}\n---\n", nodes=EACH)
    ),
    "ports": lambda: filled("{hostPort: 1},", head=f"{CONTAINERS}  - ports: [", tail="]", nodes=2),
    "port names": lambda: numbered("{name: a#},", head=f"{CONTAINERS}  - ports: [", nodes=2) + "]",
    "variables": lambda: numbered("{name: a#},", head=f"{CONTAINERS}  - env: [", nodes=2) + "]",
    "volumes": lambda: filled("{hostPath: {}},", head=f"{POD}  volumes: [", tail="]", nodes=2),
    "mounts": lambda: numbered("{name: a#, mountPath: b},", head=f"{CONTAINERS}  - volumeMounts: [", nodes=3) + "]",
    "capabilities": lambda: filled(
        "A,", head=f"{CONTAINERS}  - securityContext: {{capabilities: {{add: [", tail="]}}", nodes=1
    ),
    "drops": lambda: filled(
        "a,", head=f"{CONTAINERS}  - securityContext: {{capabilities: {{drop: [", tail="]}}", nodes=1
    ),
    "resources": lambda: numbered("a#: 1,", head=f"{CONTAINERS}  - resources: {{limits: {{", nodes=1) + "}}",
    "tolerations": lambda: filled("{operator: x},", head=f"{POD}  tolerations: [", tail="]", nodes=2),
    "unknown fields": lambda: numbered("b#: 1,", head=f"{CONTAINERS}  - {{", nodes=1) + "}",
    "unknown fields like known ones": lambda: (
        numbered("imagePullPolicyimagePullPolicy#: 1,", head=f"{CONTAINERS}  - {{", nodes=1) + "}"
    ),
    "wrong types": lambda: filled("1,", head=f"{CONTAINERS}  - args: [", tail="]", nodes=1),
    "role rules": lambda: filled(
        "{},",
        head="{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: a}, rules: [",
        tail="]}",
        nodes=1,
    ),
    "policy peers": lambda: filled(
        "{ipBlock: {cidr: 1.1.1.1/1}},",
        head="{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: a}, spec: {ingress: [{from: [",
        tail="]}]}}",
        nodes=3,
    ),
    "data": lambda: (
        numbered("a#: YQ==,", head="{apiVersion: v1, kind: Secret, metadata: {name: a}, data: {", nodes=1) + "}}"
    ),
    "a long secret": lambda: "{apiVersion: v1, kind: Secret, metadata: {name: a}, data: {a: " + "YWFh" * 240_000 + "}}",
    "lines of a list": lambda: filled("- a: 1\n"),
    "short lists": lambda: filled("- []\n", nodes=1),
    # scalars
    "a long number": lambda: "a: " + "9" * LONG,
    "a long number in base 16": lambda: "a: 0x" + "f" * LONG,
    "a long float": lambda: "a: ." + "9" * LONG + "e9",
    "a long exponent": lambda: "a: 1e" + "9" * LONG,
    "underscores": lambda: "a: 1" + "_" * LONG,
    "zeros": lambda: "a: " + "0" * LONG,
    "long numbers": lambda: filled("- 99999999999999999999999999999999999999\n"),
    "numbers": lambda: filled("- 1\n", nodes=1),
    "signs": lambda: "a: " + "+-" * (LONG // 2),
    "a port without end": lambda: _pod_of(containers=[{"name": "a", "ports": [{"containerPort": 10**300}]}]),
    "a tag of numbers": lambda: filled("- !!int 0x1\n"),
    "tags": lambda: numbered("- !a# b\n"),
    "a long tag": lambda: "!" + "a" * LONG + " b",
    "directives": lambda: numbered("%TAG !a#! tag:b,2000:\n") + "--- a\n",
    "directives in many documents": lambda: filled("%TAG !a! b:\n--- a\n...\n"),
    "yaml directives": lambda: filled("%YAML 1.1\n--- a\n...\n"),
    # unicode
    "NULs": lambda: b"\0" * MOST,
    "a NUL at the end": lambda: b"a: 1\n" * 190_000 + b"\0",
    "bytes that are no text": lambda: b"\xff" * MOST,
    "half of UTF-16": lambda: "a: 1\n".encode("utf-16") * 80_000,
    "surrogates": lambda: "\ud800" * (MOST // 3),
    "wide characters": lambda: "😀" * (MOST // 4),
    "combining marks": lambda: "a: " + "\u0301" * (LONG // 2),
    "line separators": lambda: "\u2028" * (MOST // 3),
    "turned lines": lambda: "a: " + "\u202e" * (LONG // 3),
    "byte order marks": lambda: "\ufeff" * (MOST // 3),
    "returns": lambda: "\r" * MOST,
    "mixed line ends": lambda: filled("a: 1\r\nb: 2\rc: 3\n"),
    "a fixture with mixed line ends": lambda: PASSING.encode().replace(b"\n", b"\r\n", 7),
    # regular expressions
    "a name of dashes": lambda: _pod_of(containers=[{"name": "a" + "-" * LONG, "image": "b"}]),
    "a name of parts": lambda: _named("name: '" + "a." * (LONG // 2) + "-'"),
    "a label value of dots": lambda: _named("labels: {a: '" + "a." * (LONG // 2) + "-'}"),
    "a label key of slashes": lambda: _named("labels: {? '" + "a/" * (LONG // 2) + "' : b}"),
    "an image of colons": lambda: _one("image", "a:" * (LONG // 2)),
    "an image of slashes": lambda: _one("image", "a/" * (LONG // 2)),
    "an image of ats": lambda: _one("image", "a@" * (LONG // 2)),
    "a digest of parts": lambda: _one("image", "a@" + "a." * (LONG // 2) + "!"),
    "an image of blanks": lambda: _one("image", " " * LONG),
    "a quantity of digits": lambda: _quantity("1" * (LONG // 2)),
    "a quantity of dots": lambda: _quantity("1." * (LONG // 4)),
    "a quantity of exponents": lambda: _quantity("1e999999999"),
    "a cron of stars": lambda: _cron("* " * (LONG // 2)),
    "a cron of commas": lambda: _cron("1," * (LONG // 2) + " * * * *"),
    "a cron of every": lambda: _cron("@every " + "1h" * (LONG // 2) + "!"),
    "a cron of dashes": lambda: _cron("1" + "-1" * (LONG // 2) + " * * * *"),
    "a host of parts": lambda: json.dumps(
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "Ingress",
            "metadata": {"name": "a"},
            "spec": {"rules": [{"host": "*." + "a." * (LONG // 2)}]},
        }
    ),
    "a kind without end": lambda: "{apiVersion: v1, kind: " + "List" * (LONG // 4) + ", items: []}",
    "an apiVersion of slashes": lambda: "{apiVersion: " + "a/" * (LONG // 2) + ", kind: Pod}",
    "an annotation": lambda: _named("annotations: {a: '" + "x" * LONG + "'}"),
}


def at_random(seed: int, count: int, most: int = 4000) -> Iterator[bytes]:
    """Fixtures with bytes cut, doubled, swapped and put in, and bytes out of nowhere."""
    drawn = random.Random(seed)  # noqa: S311
    seeds = [path.read_bytes() for path in sorted(FIXTURES.glob("*.yaml"))]
    bits = (
        b"---\n", b"&a ", b"*a ", b"<<: ", b"- ", b": ", b"{", b"}", b"[", b"]", b"'", b'"', b"|\n", b">-\n", b"!!int ",
        b"\0", b"\r", b"\r\n", b"\t", b"\xc2\x85", b"\xef\xbb\xbf", b"\xf0\x9f\x98\x80", b"\xff", b"%TAG ! b:\n", b"~",
        b"0x", b"1e9", b"kind: List\n", b"items:\n", b"#", b"? ",
    )  # fmt: skip
    for _ in range(count):
        if drawn.random() < 0.2:
            yield drawn.randbytes(drawn.randrange(200))
            continue
        text = bytearray(drawn.choice(seeds))
        for _ in range(drawn.randrange(1, 5)):
            start = drawn.randrange(len(text) + 1)
            end = min(len(text), start + drawn.randrange(1, 9))
            match drawn.randrange(5):
                case 0:
                    del text[start:end]
                case 1:
                    text[start:start] = drawn.choice(bits)
                case 2:
                    text[start:start] = text[start:end]
                case 3:
                    signs = bytes(range(256)) if drawn.random() < 0.1 else b" \nab01:-.{}[]'\"#&*!|>%@~<"
                    text[start:end] = bytes(drawn.choices(signs, k=end - start))
                case _:
                    there = drawn.randrange(len(text) + 1)
                    text[there:there] = text[start:end]
        yield bytes(text[:most])
