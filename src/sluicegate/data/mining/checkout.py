"""A local git checkout: its commit, the files of it, and what its attributes say of them."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from sluicegate.errors import UserError

SETTINGS: Final = (
    "core.fsmonitor=false", f"core.hooksPath={os.devnull}", "core.quotePath=false", "protocol.allow=never",
)  # fmt: skip
QUIET: Final = tuple(word for setting in SETTINGS for word in ("-c", setting))
ATTRIBUTES: Final = ("linguist-generated", "linguist-vendored")
REGULAR: Final = ("100644", "100755")
KINDS: Final = {"120000": "a symbolic link", "160000": "a submodule"}
"""Modes of entries that are no files."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of the commit.

    Args:
        kind: empty for a regular file, else what it is.
        size: in bytes.
    """

    path: str
    object: str
    size: int
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Checkout:
    """A repository at its commit.

    Args:
        name: of the repository, from its remote where it has one.
        part: the folder below the top that was named; empty for all.
    """

    folder: Path
    name: str
    commit: str
    part: str


def opened(folder: Path) -> Checkout:
    """The checkout that a folder is, or lies in.

    Raises:
        UserError: no git, no checkout, or no commit in it.
    """
    if not folder.is_dir():
        raise UserError(f"--from-git {folder}: no folder", wanted="a local git checkout", seen="no such folder")
    try:
        top, part = _git(folder, "rev-parse", "--show-toplevel", "--show-prefix").decode().split("\n")[:2]
        commit = _git(folder, "rev-parse", "--verify", "HEAD^{commit}").decode().strip()
    except _GitError as fault:
        raise UserError(
            f"--from-git {folder}: no git checkout with a commit", wanted="a folder that `git clone` made",
            seen=fault.seen, mend=f"git -C {folder} log -1",
        ) from None  # fmt: skip
    try:
        remote = _git(folder, "config", "--get", "remote.origin.url").decode().strip()
    except _GitError:
        remote = ""
    return Checkout(Path(top), repository(remote) or Path(top).name, commit, part.rstrip("/"))


def repository(remote: str) -> str:
    """Owner and name of a repository on a server, the name alone of one on a disk; never host or credentials.

    >>> repository("https://me:secret@host.org/own/r.git"), repository("git@host.org:own/r"), repository("/home/x/r/")
    ('own/r', 'own/r', 'r')
    """
    told = remote.rstrip("/").removesuffix(".git")
    if "://" in told:
        return "/".join(told.partition("://")[2].split("/")[1:][-2:])
    is_server = ":" in told.partition("/")[0]
    return "/".join(told.rpartition(":")[2].split("/")[-2:]) if is_server else told.rpartition("/")[2]


def entries(checkout: Checkout) -> list[Entry]:
    """The files of the commit in the order of their names; licence files above the named part are among them.

    Raises:
        UserError: nothing is committed there.
    """
    found = []
    for row in _git(checkout.folder, "ls-tree", "-r", "-z", "-l", "--full-tree", checkout.commit).split(b"\0")[:-1]:
        facts, _, path = row.partition(b"\t")
        mode, _, name, size = facts.decode().split()
        kind = "" if mode in REGULAR else KINDS.get(mode, f"an entry of mode {mode}")
        found.append(Entry(path.decode("utf-8", "backslashreplace"), name, int(size) if size.isdecimal() else 0, kind))
    if not any(_lies_in(entry.path, checkout.part) for entry in found):
        raise UserError(
            f"--from-git {checkout.folder / checkout.part}: nothing of it is committed",
            wanted="a folder with committed files", seen=f"none of it in commit {checkout.commit[:12]}",
        )  # fmt: skip
    return sorted(found, key=lambda entry: entry.path)


def is_part(entry: Entry, checkout: Checkout) -> bool:
    """Whether a file lies in the folder that was named."""
    return _lies_in(entry.path, checkout.part)


def _lies_in(path: str, part: str) -> bool:
    return not part or PurePosixPath(path).is_relative_to(part)


def marked(checkout: Checkout, paths: Sequence[str]) -> dict[str, str]:
    """Files that `.gitattributes` of the commit calls generated or vendored → which of the two."""
    if not paths:
        return {}
    with tempfile.TemporaryDirectory() as folder:
        index = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
        _git(checkout.folder, "read-tree", checkout.commit, env=index)
        given = "".join(f"{path}\0" for path in paths).encode()
        said = _git(checkout.folder, "check-attr", "--cached", "-z", "--stdin", *ATTRIBUTES, given=given, env=index)
    parts = said.decode("utf-8", "replace").split("\0")[:-1]
    rows = zip(parts[::3], parts[1::3], parts[2::3], strict=True)
    return {path: name.removeprefix("linguist-") for path, name, value in rows if value in ("set", "true")}


def contents(checkout: Checkout, wanted: Sequence[Entry]) -> Iterator[bytes]:
    """The bytes of files, one after the other; the caller bounds their sizes.

    Raises:
        UserError: an object is missing, as in a partial clone.
    """
    words = ["git", "-C", str(checkout.folder), *QUIET, "cat-file", "--batch"]
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=_environment()
    ) as process:
        assert process.stdin and process.stdout  # noqa: S101 - they are pipes
        for entry in wanted:
            process.stdin.write(f"{entry.object}\n".encode())
            process.stdin.flush()
            head = process.stdout.readline().split()
            if len(head) != 3 or head[1] != b"blob":
                process.kill()
                raise UserError(f"--from-git {checkout.folder}: {entry.path} is missing from it", wanted="a full clone")
            yield process.stdout.read(int(head[2]) + 1)[:-1]
        process.stdin.close()


class _GitError(UserError):
    """What git complained of."""


def _git(folder: Path, *words: str, given: bytes = b"", env: dict[str, str] | None = None) -> bytes:
    """What git prints.

    Raises:
        UserError: there is no git.
        _GitError: it failed.
    """
    words = ("git", "-C", str(folder), *QUIET, *words)
    try:
        done = subprocess.run(words, input=given, capture_output=True, env=_environment() | (env or {}))
    except FileNotFoundError:
        raise UserError("--from-git: no git", wanted="the program git", seen="not on the PATH") from None
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().split("\n")[0]
        raise _GitError(f"git {words[-1]} failed in {folder}", seen=said or f"exit code {done.returncode}")
    return done.stdout


def _environment() -> dict[str, str]:
    """Ours, without what would lead git elsewhere, and without a network."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return kept | {
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C",
    }
