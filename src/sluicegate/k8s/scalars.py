"""What an unquoted text of YAML is, as kubectl reads it: a truth value, a number, nothing, or a text.

Source: https://github.com/kubernetes-sigs/yaml/blob/742f5e6f06b9847d2d7e4efa2fe6587f64897ad0/goyaml.v2/resolve.go
"""

from __future__ import annotations

import math
import re
from typing import Final, TypeAlias

Scalar: TypeAlias = str | int | float | bool | None

NULLS: Final = frozenset(("", "~", "null", "Null", "NULL"))
WORDS: Final[dict[str, bool | None]] = {
    **{word: True for name in ("y", "yes", "true", "on") for word in (name, name.title(), name.upper())},
    **{word: False for name in ("n", "no", "false", "off") for word in (name, name.title(), name.upper())},
    **dict.fromkeys(NULLS),
}
NUMERIC: Final = frozenset("+-.0123456789")
"""What a number starts with."""
USUAL = re.compile(r"-?(?:0|[1-9][0-9]{0,17})", re.ASCII)
WHOLE = re.compile(r"[-+]?(?:0[xX](?P<x>[0-9a-fA-F]+)|0[bB](?P<b>[01]+)|0[oO]?(?P<o>[0-7]+)|0|[1-9][0-9]*)", re.ASCII)
FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", re.ASCII)
BASES: Final = {"x": 16, "b": 2, "o": 8}
LONGEST = 20
"""Digits of the largest whole number of 64 bits."""


def plain(text: str) -> Scalar:
    """The value of an unquoted text. A number is always finite; what does not fit is left as text.

    >>> [plain(text) for text in ("yes", "Off", "~", "nginx", "22:22", "2024-01-01")]
    [True, False, None, 'nginx', '22:22', '2024-01-01']
    >>> [plain(text) for text in ("17", "017", "0o17", "0x1F", "1_000", "08", "1e3", ".5", "99999999999999999999")]
    [17, 15, 15, 31, 1000, 8.0, 1000.0, 0.5, 1e+20]
    >>> [plain(text) for text in ("1e999", ".inf", ".nan", "-", "0x")]
    ['1e999', '.inf', '.nan', '-', '0x']
    """
    if text[:1] not in NUMERIC:
        return WORDS.get(text, text)
    if USUAL.fullmatch(text):
        return int(text)
    digits = text if text[0] == "." else text.replace("_", "")
    whole = _whole(digits)
    if whole is not None:
        return whole
    if FLOAT.fullmatch(digits):
        number = float(digits)
        return number if math.isfinite(number) else text
    return text


def _whole(text: str) -> int | None:
    """A whole number of 64 bits, signed or not, in any of the four bases."""
    match = WHOLE.fullmatch(text)
    if match is None:
        return None
    name = match.lastgroup
    if name is None and len(text) > LONGEST + 1:
        return None
    size = int(match[name], BASES[name]) if name else int(text.lstrip("+-"))
    number = -size if text[0] == "-" else size
    return number if -(2**63) <= number < 2**64 else None
