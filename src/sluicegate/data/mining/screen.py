"""Secrets and personal data in a text that is about to become a sample.

Secrets are detect-secrets' to find, with all of its detectors and no look-up on the network; comments of the source
that ask it to look away are not heeded. Personal data are addresses of e-mail and numbers of telephones. A text with
either is left out, never cleaned: what is near to a secret may tell of it.
"""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from sluicegate.errors import UserError

EMAIL: Final = re.compile(r"[\w.+-]{1,64}@((?:[a-z0-9-]{1,63}\.)+[a-z]{2,24})\b", re.IGNORECASE)
RESERVED: Final = re.compile(r"(^|\.)(example\.(com|org|net)|example|test|invalid|localhost|local)$", re.IGNORECASE)
"""Names that no one has (RFC 2606 and RFC 6762)."""
PHONE: Final = re.compile(
    r"(?<![\w.+-])(?:\+\d{1,3}(?:[ .-]?\(\d{1,4}\))?(?:[ .-]?\d{2,8}){2,5}"
    r"|\(\d{3}\) ?\d{3}-\d{4}|\d{3}-\d{3}-\d{4})(?![\w-]|\.\d)"
)
DIGITS_LEAST: Final = 9
"""Digits of a telephone number with its country or area."""
FICTION: Final = re.compile(r"555.?01\d\d$")
"""Numbers that are kept for stories."""
ALLOWED: Final = "detect_secrets.filters.allowlist.is_line_allowlisted"


@contextlib.contextmanager
def screen() -> Iterator[Callable[[str, str], str]]:
    """A function of a text and the suffix of its language, that says what is wrong with it; empty for nothing.

    Raises:
        UserError: detect-secrets is not installed.
    """
    try:
        from detect_secrets.core.scan import scan_file
        from detect_secrets.settings import default_settings
    except ImportError:
        raise UserError(
            "--from-git: nothing can be screened for secrets", wanted="detect-secrets", seen="not installed",
            mend="pip install 'sluicegate[mine]'",
        ) from None  # fmt: skip
    with default_settings() as settings, tempfile.TemporaryDirectory() as folder:
        settings.disable_filters(ALLOWED)

        def fault(text: str, suffix: str) -> str:
            if why := personal(text):
                return why
            path = Path(folder) / f"sample{suffix}"
            path.write_text(text, encoding="utf-8")
            kinds = sorted({secret.type for secret in scan_file(str(path))}, key=lambda kind: ("Entropy" in kind, kind))
            return f"a secret ({kinds[0]})" if kinds else ""

        yield fault


def personal(text: str) -> str:
    """What of a person is in a text; empty for nothing.

    >>> personal("mail ann@mail.de"), personal("mail ann@example.org"), personal("call +49 30 1234567")
    ('an e-mail address', '', 'a telephone number')
    """
    if any(not RESERVED.search(found[1]) for found in EMAIL.finditer(text)):
        return "an e-mail address"
    if any(_is_called(found[0]) for found in PHONE.finditer(text)):
        return "a telephone number"
    return ""


def _is_called(number: str) -> bool:
    return sum(sign.isdecimal() for sign in number) >= DIGITS_LEAST and not FICTION.search(number)
