"""CodeBLEU against the reference, in ten languages: n-grams, weighted n-grams, syntax and data flow.

The languages, the four parts and their mean are those of the codebleu package 0.7.0, except where that is wrong: an
empty answer, or one that does not parse, is 0 (there up to 0.25); a data flow that shares nothing is 0 (there 1); where
the reference has no data flow, the other three parts weigh a third each (there the fourth counts as 1). Comments and
docstrings are left out of the syntax by the parser and not by patterns, which cut `"a//b"` in a template and leave
`#` in PHP and Ruby. PHP without its opening tag is read as PHP (there any two such texts have the same syntax). What
data flow sees of each language is in `syntax.forms`. The package has neither TypeScript nor SQL nor YAML, so these are
not judged; Kubernetes manifests have an evaluator of their own.

Do not take it for correctness: of 40 wrong programs against their corrections its mean is 0.9.
Source: Ren et al., arXiv 2009.10297.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeVar

from sluicegate.evaluators import answer, comparison
from sluicegate.evaluators.syntax import KEPT, GrammarError, UnparsableError, dataflow, python, trees
from sluicegate.evaluators.syntax.keywords import KEYWORDS
from sluicegate.records import Prediction, Sample, Score

NAME = "codebleu"
LANGUAGES: Final = tuple(KEYWORDS)
ORDERS: Final = (1, 2, 3, 4)
OTHER_WORD: Final = 0.2
"""What a word that is no keyword weighs against one that is."""
NONE_SHARED: Final = 0.1
"""Counted for an order of n-grams that shares none (Chen and Cherry's first smoothing)."""
QUOTES: Final = ("'", '"')
PHP_TAG: Final = "<?"
BODIES: Final = ("module", "block")
Grams = Counter[tuple[str, ...]]
Thing = TypeVar("Thing")


@dataclass(frozen=True, slots=True)
class Parts:
    """The four parts, each in [0, 1]; `dataflow` is None where the reference has none."""

    ngram: float
    weighted_ngram: float
    syntax: float
    dataflow: float | None

    def mean(self) -> float:
        """The mean of those there are."""
        parts = [self.ngram, self.weighted_ngram, self.syntax]
        parts += [] if self.dataflow is None else [self.dataflow]
        return min(1.0, math.fsum(parts) / len(parts))


def score(sample: Sample, prediction: Prediction) -> Score:
    """CodeBLEU in [0, 1]; None for another language or without a reference that parses.

    Raises:
        UserError: the language's grammar is not installed.
    """
    value, why = comparison.judged(sample, prediction, LANGUAGES, profile, _compared)
    return Score(sample.id, prediction.model, prediction.draw, NAME, value, answer.in_a_line(why))


def _compared(seen: Profile, wanted: Profile) -> comparison.Valued:
    found = parts(seen, wanted)
    flow = "none" if found.dataflow is None else f"{found.dataflow:.2f}"
    rest = f"weighted {found.weighted_ngram:.2f}, syntax {found.syntax:.2f}, data flow {flow}"
    return found.mean(), f"n-grams {found.ngram:.2f}, {rest}"


@dataclass(frozen=True, slots=True)
class Profile:
    """What CodeBLEU knows of one program.

    Args:
        size: words between blank space.
        grams: order → n-grams and how often they occur.
        keywords: words that weigh 1.
        subtrees: each subtree's shape, as often as it occurs.
        links: the data flow.
    """

    size: int
    grams: Mapping[int, Grams]
    keywords: frozenset[str]
    subtrees: Counter[int]
    links: Counter[dataflow.Link]


@lru_cache(maxsize=2 * KEPT)
def profile(language: str, text: str, dialect: str = "") -> Profile:
    """The profile of a program, without the blank space around it; kept, since draws share a reference.

    Raises:
        UnparsableError: not a program of the language, too long or too deep.
        GrammarError: Python that the grammar is too old for.
        UserError: the grammar is not installed.
    """
    text = text.strip()
    if language == "python":
        python.check(text)
    try:
        root = trees.tree("php_only" if language == "php" and PHP_TAG not in text else language, text)
    except UnparsableError as fault:
        raise GrammarError(f"the grammar has no such {fault}") if language == "python" else fault from None
    words = text.split()
    grams: dict[int, Grams] = {
        order: Counter(zip(*(words[start:] for start in range(order)), strict=False)) for order in ORDERS
    }
    shapes: Counter[int] = Counter()
    _shape(root, shapes)
    flow = Counter(dataflow.links(root, language))
    return Profile(len(words), grams, KEYWORDS[language], shapes, flow)


def _shape(node: trees.Node, shapes: Counter[int]) -> int:
    """The shape of a subtree: kinds and roles of its named nodes; those above another node are counted."""
    if not node.children and node.parent is not None:
        return hash((node.kind,))
    below = [(child.field, _shape(child, shapes)) for child in node.children if child.named and not _is_silent(child)]
    shape = hash((node.kind, *below))
    shapes[shape] += 1
    return shape


def _is_silent(node: trees.Node) -> bool:
    """A comment, or a statement that is a string in Python: a docstring, which is as good as one."""
    if node.kind != "expression_statement":
        return node.kind in trees.COMMENTS
    only = node.children[0] if len(node.children) == 1 else None
    return only is not None and only.kind == "string" and only.text[-1:] in QUOTES and node.parent is not None and (
        node.parent.kind in BODIES
    )  # fmt: skip


def parts(seen: Profile, wanted: Profile) -> Parts:
    """The four parts of an answer against its reference."""
    brevity = 1.0 if seen.size > wanted.size else math.exp(1 - wanted.size / seen.size)
    shared = [_shared(seen.grams[order], wanted.grams[order]) for order in ORDERS]
    precisions = [(part, _count(seen.size, order)) for part, order in zip(shared, ORDERS, strict=True)]
    recalls: list[tuple[float, float]] = [_shared_weights(seen.grams[1], wanted.grams[1], wanted.keywords)]
    recalls += [(part, _count(wanted.size, order)) for part, order in zip(shared[1:], ORDERS[1:], strict=True)]
    syntax = sum(count for shape, count in wanted.subtrees.items() if shape in seen.subtrees)
    links = wanted.links.total()
    return Parts(
        ngram=brevity * _geometric(precisions),
        weighted_ngram=_geometric(recalls),  # a recall, so a short answer pays already
        syntax=syntax / wanted.subtrees.total(),
        dataflow=_shared(wanted.links, seen.links) / links if links else None,
    )


def _shared(one: Counter[Thing], other: Counter[Thing]) -> int:
    """How many there are in both."""
    return sum(min(one[thing], other[thing]) for thing in one if thing in other)


def _count(size: int, order: int) -> int:
    """The n-grams of a text, at least 1."""
    return max(1, size - order + 1)


def _shared_weights(seen: Grams, wanted: Grams, keywords: frozenset[str]) -> tuple[float, float]:
    weights = {gram: 1.0 if gram[0] in keywords else OTHER_WORD for gram in wanted}
    shared = math.fsum(weights[gram] * min(wanted[gram], seen[gram]) for gram in wanted.keys() & seen.keys())
    return shared, max(1.0, math.fsum(weights[gram] * count for gram, count in wanted.items()))


def _geometric(rates: Sequence[tuple[float, float]]) -> float:
    """The geometric mean; 0 where not even a word is shared."""
    if not rates[0][0]:
        return 0.0
    return math.exp(math.fsum(math.log((shared or NONE_SHARED) / of) for shared, of in rates) / len(rates))
