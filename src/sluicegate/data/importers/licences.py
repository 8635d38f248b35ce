"""Which licence a text is, as its SPDX identifier: a guess by phrases that no other well-known licence has."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Final

UNKNOWN: Final = "unknown"
NAMED: Final = re.compile(r"(licen[cs]e|copying|unlicense)([-._].*)?", re.IGNORECASE)
SUFFIXES: Final = frozenset(("", ".md", ".txt", ".rst", ".mit", ".apache", ".bsd", ".apache2", ".lesser"))
TAG: Final = re.compile(r"SPDX-License-Identifier:[ \t]*([^\n*]+?)[ \t]*(?:\*/|-->|$)", re.MULTILINE)
IDENTIFIER: Final = re.compile(r"[A-Za-z0-9.+() -]{2,80}")
HEAD: Final = 300
"""Characters in which a licence says its name."""
SIZE_LIMIT: Final = 200_000

TITLES: Final = (
    ("gnu affero general public license version 3", "AGPL-3.0-only"),
    ("gnu lesser general public license version 3", "LGPL-3.0-only"),
    ("gnu lesser general public license version 2.1", "LGPL-2.1-only"),
    ("gnu general public license version 3", "GPL-3.0-only"),
    ("gnu general public license version 2", "GPL-2.0-only"),
    ("apache license version 2.0", "Apache-2.0"),
    ("mozilla public license version 2.0", "MPL-2.0"),
    ("mozilla public license, version 2.0", "MPL-2.0"),
    ("eclipse public license - v 2.0", "EPL-2.0"),
    ("boost software license - version 1.0", "BSL-1.0"),
    ("attribution-noncommercial-sharealike 4.0 international", "CC-BY-NC-SA-4.0"),
    ("attribution-noncommercial 4.0 international", "CC-BY-NC-4.0"),
    ("attribution-sharealike 4.0 international", "CC-BY-SA-4.0"),
    ("attribution 4.0 international", "CC-BY-4.0"),
    ("cc0 1.0 universal", "CC0-1.0"),
)
"""What stands in the head of a licence → identifier; the first that fits."""
PHRASES: Final = (
    (("free and unencumbered software released into the public domain",), "Unlicense"),
    (("permission is hereby granted, free of charge", "the above copyright notice and this permission notice"), "MIT"),
    (("permission is hereby granted, free of charge",), "MIT-0"),
    (("with or without fee is hereby granted, provided that the above copyright notice",), "ISC"),
    (("with or without fee is hereby granted",), "0BSD"),
    (("redistribution and use in source and binary forms", "all advertising materials"), "BSD-4-Clause"),
    (("redistribution and use in source and binary forms", "may be used to endorse or promote"), "BSD-3-Clause"),
    (("redistribution and use in source and binary forms",), "BSD-2-Clause"),
    (("altered source versions must be plainly marked",), "Zlib"),
)
"""What stands anywhere in a licence → identifier; the first of which all is there."""


def guess(text: str) -> str:
    """The SPDX identifier of a licence's text, or `unknown`.

    >>> guess("                 Apache License\\n           Version 2.0, January 2004")
    'Apache-2.0'
    >>> guess("All rights reserved.")
    'unknown'
    """
    if named := tagged(text[:HEAD]):
        return named
    told = " ".join(text[:SIZE_LIMIT].lower().split())
    for title, name in TITLES:
        if title in told[:HEAD]:
            return name
    return next((name for phrases, name in PHRASES if all(phrase in told for phrase in phrases)), UNKNOWN)


def tagged(text: str) -> str:
    """The licence that a text's own `SPDX-License-Identifier` names; empty where there is none."""
    found = TAG.search(text)
    return found[1] if found and IDENTIFIER.fullmatch(found[1]) else ""


def is_licence(name: str) -> bool:
    """Whether a file of this name holds a licence.

    >>> is_licence("LICENSE"), is_licence("COPYING.txt"), is_licence("LICENSE-MIT"), is_licence("license.py")
    (True, True, True, False)
    """
    return bool(NAMED.fullmatch(name)) and PurePosixPath(name).suffix.lower() in SUFFIXES


def joined(named: Sequence[tuple[str, str]]) -> str:
    """One expression for the licence files of a folder, each a name and an identifier.

    Files such as LICENSE-MIT and LICENSE-APACHE are a choice; others hold together.

    >>> joined([("LICENSE-APACHE", "Apache-2.0"), ("LICENSE-MIT", "MIT")])
    'Apache-2.0 OR MIT'
    """
    found = sorted({identifier for _, identifier in named if identifier != UNKNOWN})
    if len(found) < 2:
        return found[0] if found else UNKNOWN
    is_choice = all("-" in name for name, _ in named)
    return (" OR " if is_choice else " AND ").join(found)


def beside(path: Path) -> str:
    """The licence of the licence files in a folder, or in the folder of a file; empty where none is recognised."""
    folder = path if path.is_dir() else path.parent
    files = sorted(one for one in folder.iterdir() if is_licence(one.name) and one.is_file()) if folder.is_dir() else []
    found = joined([(one.name, guess(one.read_bytes()[:SIZE_LIMIT].decode("utf-8", "replace"))) for one in files])
    return "" if found == UNKNOWN else found
