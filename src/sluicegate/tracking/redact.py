"""What must never reach a spool, a message or a tag: secrets.

They are known by their name (word by word, so that `max_new_tokens` is a setting and `hf_token` a secret), by where
they stand (`user:password@` and `?token=` of a URI, `Bearer …`), by the shape that issuers give them, and by being the
value of an environment variable with a secret's name. A secret of no known shape under an innocent name is not found.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

SECRET_WORDS = frozenset(
    {
        "token",
        "key",
        "apikey",
        "accesskey",
        "secretkey",
        "hftoken",
        "authtoken",
        "password",
        "passwd",
        "passphrase",
        "passcode",
        "pwd",
        "secret",
        "secrets",
        "credential",
        "credentials",
        "auth",
        "authorization",
        "bearer",
        "cookie",
        "jwt",
        "signature",
    }
)
FOLDERS = frozenset({"PWD", "OLDPWD"})
"""Variables that sound like a secret and hold a folder."""
HIDDEN = "***"
SHORTEST = 6
"""Characters of an environment variable's value that is looked for in texts; shorter ones stand in any text."""
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_USERINFO = re.compile(r"(?<=://)[^/\s@\"']*(?:@[^/\s@\"']*)*@")
_QUERY = re.compile(r"(?P<name>[?&;][\w.\-]+)=(?P<value>[^&;#\s\"']+)")
_HEADER = re.compile(r"(?i)\b(?P<kind>authorization\W{1,4}\w+|bearer|basic(?=\s+[\w+/]+=))\s+[\w.~+/=\-]{8,}")
_SHAPES = re.compile(
    r"\b(?:hf_[A-Za-z0-9]{16,}|sk-[A-Za-z0-9_\-]{16,}|gh[opsur]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w\-]{16,}"
    r"|(?:AKIA|ASIA)[A-Z0-9]{16}|xox[abprs]-[\w\-]{10,}|AIza[\w\-]{30,}|eyJ[\w\-]{8,}\.[\w\-]{8,}\.[\w\-]*)"
)


def is_secret(name: str) -> bool:
    """Whether a value of this name is a secret.

    >>> [name for name in ("HF_TOKEN", "apiKey", "db.password", "max_new_tokens") if is_secret(name)]
    ['HF_TOKEN', 'apiKey', 'db.password']
    """
    return any(word.lower() in SECRET_WORDS for word in _WORDS.findall(name))


def without_credentials(text: str) -> str:
    """The text with `user:password@` cut out of every URI in it.

    >>> without_credentials("cannot reach http://me:p@ss@host:5000/api")
    'cannot reach http://host:5000/api'
    """
    return _USERINFO.sub("", text)


def without_secrets(text: str, environment: Mapping[str, str] = os.environ) -> str:
    """The text with every secret that can be told as one hidden.

    >>> without_secrets("https://me:pw@host/x?token=abc&n=1 Bearer 0123456789", {})
    'https://host/x?token=***&n=1 Bearer ***'
    >>> without_secrets("it said hunter2!", {"MY_PASSWORD": "hunter2"})
    'it said ***!'
    """
    text = without_credentials(text)
    for value in sorted(_values(environment), key=len, reverse=True):
        text = text.replace(value, HIDDEN)
    text = _QUERY.sub(lambda found: f"{found['name']}={HIDDEN}" if is_secret(found["name"]) else found[0], text)
    return _SHAPES.sub(HIDDEN, _HEADER.sub(lambda found: f"{found['kind']} {HIDDEN}", text))


def _values(environment: Mapping[str, str]) -> set[str]:
    """Values of variables with a secret's name; plain numbers are limits (`TOKEN_LIMIT`), not secrets."""
    named = {value for name, value in environment.items() if is_secret(name) and name not in FOLDERS}
    return {value for value in named if len(value) >= SHORTEST and not value.isdigit()}


def without_secret_names(value: Any) -> Any:
    """A JSON value, the values under names of secrets hidden at any depth.

    >>> without_secret_names({"hub": [{"hf_token": "x", "rows": 3}]})
    {'hub': [{'hf_token': '***', 'rows': 3}]}
    """
    if isinstance(value, Mapping):
        return {key: HIDDEN if is_secret(str(key)) else without_secret_names(inner) for key, inner in value.items()}
    return [without_secret_names(inner) for inner in value] if isinstance(value, list | tuple) else value
