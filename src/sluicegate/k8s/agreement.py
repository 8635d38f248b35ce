"""How far one tree of leaves says what another wants, leaf by leaf: the arithmetic under intent fidelity.

Maps are compared key by key. Items of a list are compared by name; items that have no name, and those whose name is
only a label within the manifest (containers, volumes, ports) and has no equal on the other side, are matched so that
most leaves agree. Values are compared as YAML would write them without quotes, quantities by amount, images with room
for a tag that was not asked for.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, NamedTuple, TypeAlias

from sluicegate.k8s.leaves import COMMANDS, PORTS, Scalar, Tree, text

Counts: TypeAlias = tuple[int, int]
"""Of a `Tally`, before it is one."""


class _Any(str):
    """Wanted: any value, or anything at all below the path."""

    __slots__ = ()


ANY: Final = _Any("*")
ITSELF: Final = ""
"""The segment under which a node that has children keeps what is wanted of it as a whole."""
ANY_ITEM: Final = "[*]"
LABELS: Final = frozenset({"containers", "initContainers", "ephemeralContainers", "volumes", PORTS})
"""Lists whose items keep their meaning under another name."""
AMOUNTS: Final = frozenset({"cpu", "memory", "storage", "ephemeral-storage", "sizeLimit"})
DEFAULTS: Final = frozenset(
    {
        ("replicas", "1"),
        ("protocol", "TCP"),
        ("type", "ClusterIP"),
        ("sessionAffinity", "None"),
        ("restartPolicy", "Always"),
        ("dnsPolicy", "ClusterFirst"),
        ("hostNetwork", "false"),
        ("hostPID", "false"),
        ("hostIPC", "false"),
        ("namespace", "default"),
        ("readOnly", "false"),
        ("privileged", "false"),
        ("suspend", "false"),
        ("concurrencyPolicy", "Allow"),
        ("apiGroup", "rbac.authorization.k8s.io"),
        ("volumeMode", "Filesystem"),
    }
)
"""What the API server sets where nothing is said: to say it or to leave it out is the same."""
FREE_KEYS: Final = frozenset({"annotations", "data", "labels", "matchLabels", "nodeSelector", "selector", "stringData"})
"""Maps whose keys are anybody's own words: none of them has a default, whatever it is called."""

QUANTITY: Final = re.compile(r"([0-9]{0,30})(?:\.([0-9]{0,30}))?(?:([KMGTPE]i)|([numkMGTPE])|[eE]([+-]?[0-9]{1,2}))?")
BINARY: Final = {f"{letter}i": 1024**power for power, letter in enumerate("KMGTPE", 1)}
DECIMAL: Final = {
    letter: Fraction(10) ** power for letter, power in zip("numkMGTPE", (-9, -6, -3, 3, 6, 9, 12, 15, 18), strict=True)
}
REGISTRY: Final = re.compile(r"(?:(?:index\.)?docker\.io/)?(?:library/)?")

PAIRS_LIMIT = 1_024
"""Lists with more pairs of unmatched items than this are matched in order: the best match costs their product cubed."""
WORK_LIMIT = 200_000
"""Comparisons after which no best match is looked for any more, so that no input takes long."""


@dataclass(slots=True)
class Work:
    """What is left of the comparisons that looking for best matches may cost; below 0, lists are matched in order."""

    left: int = WORK_LIMIT


class Tally(NamedTuple):
    """What became of the wanted leaves.

    Args:
        same: found, with the value that is wanted.
        other: found with another value. The rest is missing.
    """

    same: int = 0
    other: int = 0


def size(node: Tree | Scalar) -> int:
    """How many leaves there are.

    >>> size({"spec": {"replicas": 3, "paused": None}})
    2
    """
    return sum(map(size, node.values())) if isinstance(node, dict) else 1


def agree(want: Tree, have: Tree, work: Work | None = None) -> Tally:
    """Compare two trees.

    Args:
        work: shared by comparisons that belong together.

    >>> agree({"a": 1, "b": {"[x]": 2}}, {"b": {"[x]": "2", "[y]": 3}, "a": 4})
    Tally(same=1, other=1)
    >>> agree({"containers": {"[web]": {"image": "nginx"}}}, {"containers": {"[app]": {"image": "nginx:1.27"}}})
    Tally(same=1, other=0)
    """
    return Tally(*_Comparison(work or Work()).maps(want, have, ""))


class _Comparison:
    """One comparison and the work that is left to it; counts are of leaves that are the same, and that differ."""

    def __init__(self, work: Work) -> None:
        self.work = work

    def maps(self, want: Tree, have: Tree, field: str) -> Counts:
        """Two maps, or two lists of the field of this name."""
        same = other = 0
        loose = {segment for segment in want if segment[:1] == "[" and _loose(segment, field, have)}
        for segment, wanted in want.items():
            if segment == ITSELF:
                same, other = (same + 1, other) if wanted is ANY else (same, other + 1)
            elif segment in loose:
                continue
            elif segment in have:
                more = self.nodes(wanted, have[segment], _name(segment, field))
                same, other = same + more[0], other + more[1]
            elif not isinstance(wanted, dict) and field not in FREE_KEYS and (segment, text(wanted)) in DEFAULTS:
                same += 1
        if loose:
            self.work.left -= len(have)
            spare = [have[item] for item in have if item.startswith("[") and (item in loose or item not in want)]
            more = self.items([below for item, below in want.items() if item in loose], spare, field)
            same, other = same + more[0], other + more[1]
        return same, other

    def nodes(self, wanted: Tree | Scalar, seen: Tree | Scalar, field: str) -> Counts:
        """What stands at one path on either side."""
        self.work.left -= 1
        if isinstance(wanted, dict):
            return self.maps(wanted, seen, field) if isinstance(seen, dict) else (0, 1)
        if wanted is ANY:
            met = seen is not None
        elif isinstance(seen, dict):
            met = field == "emptyDir" and wanted == "{}"  # a bound on the size asks for the same
        else:
            met = equal(wanted, seen, field)
        return (1, 0) if met else (0, 1)

    def items(self, wanted: Sequence[Tree | Scalar], seen: Sequence[Tree | Scalar], field: str) -> Counts:
        """Items without a partner of the same name: the pairing under which most agrees."""
        table = self.table(wanted, seen, field)
        if table is None:
            met = [self.nodes(*pair, field) for pair in zip(wanted, seen, strict=False)]
        else:
            met = [table[row][column] for row, column in best_pairs(table)]
        return sum(same for same, _ in met), sum(other for _, other in met)

    def table(
        self, wanted: Sequence[Tree | Scalar], seen: Sequence[Tree | Scalar], field: str
    ) -> list[list[Counts]] | None:
        """Each wanted item against each other one; None where that is too much, or of no use."""
        if len(wanted) == len(seen) == 1 or len(wanted) * len(seen) > PAIRS_LIMIT:
            return None
        table: list[list[Counts]] = [[] for _ in wanted]
        for row, one in zip(table, wanted, strict=True):
            for another in seen:
                if self.work.left < 0:
                    return None
                row.append(self.nodes(one, another, field))
        return table


def _loose(segment: str, field: str, have: Tree) -> bool:
    """Whether an item may be paired with one of another name."""
    if not segment.startswith("["):
        return False
    if segment == ANY_ITEM or (segment[1:-1].isdigit() and field != PORTS and field not in COMMANDS):
        return True
    return field in LABELS and segment not in have


def _name(segment: str, field: str) -> str:
    """The field that a value stands in; for a scalar in a list, the list's."""
    return field if segment.startswith("[") else segment


def best_pairs(table: Sequence[Sequence[Counts]]) -> list[tuple[int, int]]:
    """Row and column of each pair, so that the most leaves agree and, among such, the fewest contradict.

    >>> best_pairs([[(2, 0), (1, 0)], [(2, 0), (0, 0)]])
    [(0, 1), (1, 0)]
    """
    if not table or not table[0]:
        return []
    if len(table) > len(table[0]):
        turned = [[row[column] for row in table] for column in range(len(table[0]))]
        return sorted((row, column) for column, row in best_pairs(turned))
    most = 1 + max(other for row in table for _, other in row) * len(table)
    return _assignment([[other - most * same for same, other in row] for row in table])


def _assignment(costs: Sequence[Sequence[int]]) -> list[tuple[int, int]]:
    """The assignment of least cost, each row to a column of its own; at least as many columns as rows.

    Source: H. W. Kuhn, The Hungarian method, 1955, in the form with potentials and one shortest path a row.
    """
    rows, columns = len(costs), len(costs[0])
    of_row, of_column = [0] * (rows + 1), [0] * (columns + 1)
    owner, way = [0] * (columns + 1), [0] * (columns + 1)
    for row in range(1, rows + 1):
        owner[0], column = row, 0
        least: list[float] = [float("inf")] * (columns + 1)
        done = [False] * (columns + 1)
        while owner[column]:
            done[column] = True
            at, step, following = owner[column], float("inf"), 0
            for other in range(1, columns + 1):
                if done[other]:
                    continue
                slack = costs[at - 1][other - 1] - of_row[at] - of_column[other]
                if slack < least[other]:
                    least[other], way[other] = slack, column
                if least[other] < step:
                    step, following = least[other], other
            for other in range(columns + 1):
                if done[other]:
                    of_row[owner[other]] += int(step)
                    of_column[other] -= int(step)
                else:
                    least[other] -= step
            column = following
        while column:
            owner[column], column = owner[way[column]], way[column]
    return sorted((owner[column] - 1, column - 1) for column in range(1, columns + 1) if owner[column])


def equal(wanted: Scalar, seen: Scalar, field: str = "") -> bool:
    """Whether a value is the one that is wanted; the two sides differ only for images.

    >>> equal("1000m", 1, "cpu"), equal("1Gi", "1024Mi", "memory"), equal("true", True), equal("a\\n", "a")
    (True, True, True, True)
    >>> equal("nginx", "docker.io/library/nginx:1.27", "image"), equal("nginx:1.26", "nginx:1.27", "image")
    (True, False)
    """
    if wanted == seen and wanted.__class__ is seen.__class__:
        return True
    one, another = text(wanted).strip(), text(seen).strip()
    if one == another:
        return True
    if field in AMOUNTS:
        amount = _amount(one)
        return amount is not None and amount == _amount(another)
    return field == "image" and _image_serves(one, another)


def _amount(quantity: str) -> Fraction | None:
    """A quantity as a number; None where it is none, is negative or is beyond all use."""
    found = QUANTITY.fullmatch(quantity)
    if found is None or not (found[1] or found[2]):
        return None
    number = Fraction(f"{found[1] or '0'}.{found[2] or '0'}")
    if found[5]:
        return number * Fraction(10) ** int(found[5])
    return number * (BINARY[found[3]] if found[3] else DECIMAL[found[4]] if found[4] else 1)


def _image_serves(wanted: str, seen: str) -> bool:
    """Whether an image is the one that is wanted; without a tag, or with latest, any version is."""
    name, tag, digest = _image(wanted)
    found, found_tag, found_digest = _image(seen)
    if name != found or (digest and digest != found_digest):
        return False
    return bool(digest) or tag in ("", "latest", found_tag)


def _image(reference: str) -> tuple[str, str, str]:
    """Name, tag and digest of an image.

    >>> _image("registry:5000/a/b"), _image("docker.io/library/nginx:1@sha256:0")
    (('registry:5000/a/b', '', ''), ('nginx', '1', 'sha256:0'))
    """
    named, _, digest = reference.partition("@")
    path, slash, last = named.rpartition("/")
    last, _, tag = last.partition(":")
    name = f"{path}{slash}{last}"
    start = REGISTRY.match(name)
    return name[start.end() :] if start else name, tag, digest
