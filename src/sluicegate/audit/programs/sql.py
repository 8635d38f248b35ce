"""Changes of SQL queries, found in sqlglot's tokens: the text around them stays as it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from sluicegate.audit.programs import Edit, Kind
from sluicegate.evaluators.syntax import UnparsableError, sql

if TYPE_CHECKING:
    from sqlglot import exp
    from sqlglot.tokenizer_core import Token

OPERATORS: Final = {
    "<": "<=", "<=": "<", ">": ">=", ">=": ">", "=": "<>", "==": "<>", "<>": "=", "!=": "=",
    "AND": "OR", "OR": "AND", "+": "-", "-": "+", "/": "*", "%": "*", "DESC": "ASC", "ASC": "DESC",
    "UNION ALL": "UNION", "EXCEPT": "UNION", "INTERSECT": "UNION",
}  # fmt: skip
FUNCTIONS: Final = {"SUM": "MAX", "MAX": "MIN", "MIN": "MAX", "AVG": "MAX", "COUNT": "MAX", "FIRST_VALUE": "LAST_VALUE",
                    "RANK": "ROW_NUMBER", "DENSE_RANK": "ROW_NUMBER", "LAG": "LEAD", "LEAD": "LAG"}  # fmt: skip
ENDS: Final = frozenset(
    ("GROUP", "GROUP BY", "HAVING", "ORDER", "ORDER BY", "LIMIT", "UNION", "EXCEPT", "INTERSECT", "WINDOW", ";")
)
"""What ends a WHERE or a HAVING at its own depth."""


def parses(text: str, language: str) -> bool:
    """Whether it is one or more statements of SQLite."""
    del language
    try:
        sql.statements(text)
    except UnparsableError:
        return False
    return True


def edits(text: str, language: str) -> list[Edit]:
    """Operators, functions, directions, constants, conditions and dropped clauses; see `Program`."""
    del language
    from sqlglot.dialects.sqlite import SQLite

    sql.statements(text)
    tokens = SQLite().tokenize(text)
    at = [0]
    for sign in text:
        at.append(at[-1] + len(sign.encode()))
    return [
        Edit(kind, at[start], at[end], new)
        for place in range(len(tokens))
        for kind, start, end, new in _changes(tokens, place)
    ]


def stub(text: str, language: str) -> str:
    """A query of as many columns and no rows."""
    del language
    from sqlglot import exp

    last = sql.statements(text)[-1]
    if not isinstance(last, exp.Query):
        return ""
    return f"SELECT {', '.join(_nulls(last))} WHERE 0"


def _nulls(query: exp.Query) -> list[str]:
    return [f'NULL AS "{name}"' if name not in ("", "*") else "NULL" for name in query.named_selects] or ["NULL"]


_Change = tuple[Kind, int, int, str]


def _changes(tokens: Sequence[Token], place: int) -> Iterator[_Change]:
    token, word = tokens[place], tokens[place].text.upper()
    before = tokens[place - 1].text.upper() if place else ""
    after = tokens[place + 1].text.upper() if place + 1 < len(tokens) else ""
    if token.token_type.name in ("NUMBER", "STRING"):
        yield from _constant(token)
    elif token.token_type.name == "IDENTIFIER":
        return
    elif word in FUNCTIONS and after == "(":
        yield _whole("operator", token, FUNCTIONS[word])
    elif word in ("LEFT", "LEFT OUTER") and after in ("JOIN", "OUTER"):
        yield _whole("operator", token, "" if after == "JOIN" else "INNER")
    elif word == "NOT":
        yield _whole("condition", token, "")
    elif word == "DISTINCT":
        yield _whole("statement", token, "")
    elif word in ("WHERE", "HAVING"):
        yield from _clause(tokens, place)
    elif word == "UNION":
        yield _whole("operator", tokens[place], "UNION ALL") if after != "ALL" else (
            "operator", token.start, tokens[place + 1].end + 1, "UNION"
        )  # fmt: skip
    elif word == "*" and _is_value(tokens[place - 1], before) and after not in ("FROM", ",", ")"):
        yield _whole("operator", token, "+")
    elif word in OPERATORS and not (word == "AND" and _is_of_between(tokens, place)):
        yield _whole("operator", token, OPERATORS[word])


def _whole(kind: Kind, token: Token, new: str) -> _Change:
    return kind, token.start, token.end + 1, new


def _constant(token: Token) -> Iterator[_Change]:
    if token.token_type.name == "STRING":
        yield _whole("constant", token, "'?'")
    elif token.text.isdecimal():
        yield _whole("constant", token, str(int(token.text) + 1))
    else:
        yield _whole("constant", token, f"({token.text} + 1)")


def _clause(tokens: Sequence[Token], place: int) -> Iterator[_Change]:
    """The clause dropped, and its condition turned round."""
    depth, end = 0, place
    for later in range(place + 1, len(tokens)):
        word = tokens[later].text.upper()
        if depth == 0 and (word in ENDS or word == ")") and tokens[later].token_type.name != "STRING":
            break
        depth += (word == "(") - (word == ")")
        end = later
    if end > place:
        first, last = tokens[place + 1], tokens[end]
        yield "statement", tokens[place].start, last.end + 1, ""
        yield "condition", first.start, first.start, "NOT "


def _is_value(token: Token, word: str) -> bool:
    return word == ")" or token.token_type.name in ("VAR", "NUMBER", "IDENTIFIER")


def _is_of_between(tokens: Sequence[Token], place: int) -> bool:
    """Whether an AND belongs to a BETWEEN: between them is no other AND at its depth."""
    depth = 0
    for earlier in range(place - 1, -1, -1):
        word = tokens[earlier].text.upper()
        depth += (word == ")") - (word == "(")
        if depth < 0 or (depth == 0 and word in ("AND", "OR", "WHERE", "ON", "HAVING", "WHEN")):
            return False
        if depth == 0 and word == "BETWEEN":
            return True
    return False
