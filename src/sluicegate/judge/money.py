"""Dollars as whole nanodollars, and the user's prices: what a call costs, and what it costs at worst.

Whole numbers add up exactly, in SQLite too, so a cap is kept to the last digit. A price that is not known is refused:
a cap over guessed prices is none.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import yaml

from sluicegate.errors import UserError, UserErrors
from sluicegate.jsonl import read_text

NANO = 10**9
"""Nanodollars of a dollar."""
MOST_DOLLARS = 10**8
"""The largest cap; far below what overflows 64 bits."""
MOST_PRICE = 10**6
SPARE_TOKENS = 256
"""What a chat template may add to a prompt."""
LEAST_BYTES_A_TOKEN = 100
"""A count of less than one token for so many bytes is not believed."""


@dataclass(frozen=True, slots=True)
class Price:
    """Nanodollars a token."""

    input: Fraction
    output: Fraction

    def cost(self, prompt_tokens: int, completion_tokens: int) -> int:
        """Nanodollars of a call, rounded up.

        >>> Price(Fraction(150), Fraction(600)).cost(1000, 10)
        156000
        """
        return math.ceil(self.input * prompt_tokens + self.output * completion_tokens)


def prompt_bound(payload: bytes) -> int:
    """The most tokens that a request's prompt can have: one a byte of the whole request, and a template's.

    Tokens of byte-level and byte-fallback vocabularies stand for one byte or more each; the names and the schema in
    the request are counted as if they were prompt too.

    >>> prompt_bound(b"abc")
    259
    """
    return len(payload) + SPARE_TOKENS


def believable(tokens: int, text_bytes: int, most: int) -> bool:
    """Whether a server's count of tokens can be true of a text of so many bytes.

    >>> [believable(tokens, 1000, 1256) for tokens in (0, 9, 10, 1256, 1257)]
    [False, False, True, True, False]
    """
    return max(1, text_bytes // LEAST_BYTES_A_TOKEN) <= tokens <= most


def nano(dollars: float) -> int:
    """Whole nanodollars, rounded down: for caps.

    >>> nano(0.1), nano(1e-10)
    (100000000, 0)
    """
    return math.floor(Fraction(str(dollars)) * NANO)


def shown(amount: int) -> str:
    """Nanodollars for people, exact up to a hundredth of a cent.

    >>> shown(0), shown(1_234_500_000), shown(20_000)
    ('$0', '$1.2345', '$0.00002')
    """
    if amount == 0:
        return "$0"
    places = 4 if amount >= NANO // 1000 else 9
    return "$" + f"{amount / NANO:.{places}f}".rstrip("0").rstrip(".")


def read_price(path: Path, model: str) -> Price:
    """The price of a model, from a file of `model: {input: dollars, output: dollars}` for a million tokens each.

    Raises:
        UserError: the file cannot be read or is no such file, or the model is not in it; UserErrors: every price in
            it that is none.
    """
    prices = read_prices(path)
    if model not in prices:
        raise UserError(
            f"{path}: no price for {model!r}",
            wanted="dollars for a million input and output tokens of each model that is asked",
            seen=f"prices of {', '.join(map(repr, list(prices)[:8])) or 'no model'}",
            mend=f"add a line such as   {json.dumps(model)}: {{input: 0.15, output: 0.60}}   (0 where it is free)",
        )
    return prices[model]


def read_prices(path: Path) -> dict[str, Price]:
    """Every price of a file, YAML or JSON.

    Raises:
        UserError, UserErrors: as `read_price`.
    """
    text = read_text(path)
    try:
        raw = json.loads(text, object_pairs_hook=_once) if path.suffix == ".json" else _yaml(text)
    except (yaml.YAMLError, ValueError, AttributeError, RecursionError) as fault:
        raise UserError(f"{path}: cannot be read", wanted=_WANTED, seen=" ".join(str(fault).split())[:200]) from None
    if not isinstance(raw, dict):
        raise UserError(f"{path}: no prices", wanted=_WANTED, seen=type(raw).__name__)
    faults = [fault for model, row in raw.items() for fault in _faults(model, row)]
    if faults:
        raise UserErrors(f"{path}: {len(faults)} fault(s); nothing was asked", faults)
    return {model: Price(_a_token(row["input"]), _a_token(row["output"])) for model, row in raw.items()}


_WANTED = "`model: {input: dollars, output: dollars}`, for a million tokens"


def _a_token(dollars_a_million: float) -> Fraction:
    return Fraction(str(dollars_a_million)) * NANO / 10**6


def _faults(model: Any, row: Any) -> list[UserError]:
    if not isinstance(model, str) or not isinstance(row, dict) or set(row) != {"input", "output"}:
        return [UserError(f"{model!s:.80}", wanted=_WANTED, seen=f"{row!s:.80}")]
    return [
        UserError(f"{model:.80}.{name}", wanted=f"a number from 0 to {MOST_PRICE}", seen=f"{said!s:.80}")
        for name, said in row.items()
        if type(said) not in {int, float} or not 0 <= said <= MOST_PRICE
    ]


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) < len(pairs):
        raise ValueError(f"a key is given twice among {', '.join(key for key, _ in pairs)}")
    return dict(pairs)


class _Loader(yaml.SafeLoader):
    """`safe_load`, but a key that is given twice is a fault."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        _once([(str(key), None) for key in keys])
        return super().construct_mapping(node, deep)


def _yaml(text: str) -> Any:
    return yaml.load(text, _Loader)  # noqa: S506 (a SafeLoader)
