"""Figures and foreign text as they are shown: numbers with signs, and text that cannot reach the terminal or the page.

A model's answer may hold escape sequences, NUL, a megabyte of one letter, or controls that turn the line around. All
of it is made visible or cut; HTML is escaped by the template on top of this.
"""

from __future__ import annotations

import unicodedata

LIMIT = 2000
"""Characters shown of one piece of foreign text."""
NONE = "–"
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})


def visible(text: str, limit: int = LIMIT) -> str:
    r"""The text with every control made visible and its end cut; line feeds and tabs stay.

    >>> visible("a\x1b[31mb\0"), visible("x\u202ey"), visible("abcdef", limit=3)
    ('a⟨U+001B⟩[31mb⟨U+0000⟩', 'x⟨U+202E⟩y', 'abc\n… (6 characters, 3 shown)')
    """
    whole = text.replace("\r\n", "\n")
    shown = "".join(_seen(sign) for sign in whole[:limit])
    return shown if len(whole) <= limit else f"{shown}\n… ({len(whole):,} characters, {limit:,} shown)"


def _seen(sign: str) -> str:
    if sign in "\n\t" or unicodedata.category(sign) not in _HIDDEN:
        return sign
    return f"⟨U+{ord(sign):04X}⟩"


def one_line(text: str, limit: int = 400) -> str:
    r"""The text on one line.

    >>> one_line("a\n  b\tc")
    'a b c'
    """
    words = " ".join(visible(text[: 2 * limit], 2 * limit).split())
    return words if len(words) <= limit else words[: limit - 1] + "…"


def points(value: float | None) -> str:
    """A gain in points, with its sign and a true minus.

    >>> points(0.123), points(-0.05), points(None), points(-0.0001)
    ('+12.3', '−5.0', '–', '0.0')
    """
    if value is None:
        return NONE
    shown = f"{100 * value:+.1f}"
    return "0.0" if shown in {"+0.0", "-0.0"} else shown.replace("-", "−")


def share(value: float | None) -> str:
    """A share in percent.

    >>> share(0.4567), share(None)
    ('45.7%', '–')
    """
    return NONE if value is None else f"{100 * value:.1f}%"


def span(interval: tuple[float, float]) -> str:
    """An interval of shares, in percent.

    >>> span((0.4567, 0.5))
    '45.7–50.0'
    """
    return "–".join(f"{100 * bound:.1f}" for bound in interval)


def chance(value: float | None) -> str:
    """A p-value, small ones as a bound.

    >>> chance(0.0312), chance(0.00001), chance(None)
    ('0.031', '< 0.001', '–')
    """
    return NONE if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"


def figure(value: object) -> str:
    """Any other value in a few characters: whole numbers with separators, others to four digits.

    >>> figure(1234567), figure(0.123456), figure(None), figure(True), figure("x")
    ('1,234,567', '0.1235', '–', 'true', 'x')
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    return NONE if value is None or value == "" else one_line(str(value))


def seconds(value: float) -> str:
    """A duration; beyond a hundred thousand years only its size.

    >>> seconds(0.25), seconds(75), seconds(7260), seconds(float("inf"))
    ('0.2 s', '1 min 15 s', '2 h 01 min', 'inf s')
    """
    if value < 60:
        return f"{value:.1f} s"
    if value > 1e13:
        return f"{value:.3g} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def amount(value: float | None, unit: str) -> str:
    """An amount of time, money, memory or things; `unit` as forecast.json says it.

    >>> amount(1.5, "h"), amount(2.5, "$"), amount(10.25, "GiB"), amount(12345.6, ""), amount(None, "h")
    ('1 h 30 min', '$2.50', '10.2 GiB', '12,346', '–')
    """
    if value is None:
        return NONE
    if unit == "h":
        return seconds(3600 * value)
    if unit == "$":
        return f"${value:,.2f}"
    number = f"{value:,.0f}" if 100 <= value < 1e10 else f"{value:.3g}"
    return f"{number} {one_line(unit, 20)}".strip()


def short(digest: str) -> str:
    """As much of a digest as tells it from others.

    >>> short("0123456789abcdef"), short("abc"), short("")
    ('0123456789ab…', 'abc', '–')
    """
    return one_line(digest, 13) or NONE
