"""What must never reach a spool, a message or a tag: secrets by name, and credentials inside URIs.

Names are judged word by word, so that `max_new_tokens` is a setting and `hf_token` is a secret. Values are
not guessed at, except the `user:password@` of a URI.
"""

from __future__ import annotations

import re

SECRET_WORDS = frozenset(
    {
        "token",
        "key",
        "apikey",
        "password",
        "passwd",
        "passphrase",
        "secret",
        "credential",
        "credentials",
        "auth",
    }
)
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_USERINFO = re.compile(r"(?<=://)[^/\s@\"']*(?:@[^/\s@\"']*)*@")


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
