"""Linters as they are run for `style`: ruff a program, ESLint in one Node process that stays, sqlfluff in this process.

What a linter cannot do on this machine (it is not installed, it broke) is `LinterError`, our failure. Comments that
switch findings off are not heeded.
"""

from __future__ import annotations


class LinterError(Exception):
    """A linter is missing or broke; the message says which and how to mend it."""
