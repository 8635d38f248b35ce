"""What lies in a data folder and how it came about; and the one way of putting files there.

The manifest is written last, so a folder that has one is whole. It holds no time, and no path but the source as
it was named: the same inputs give the same bytes everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import ConfigDict, ValidationError

from sluicegate.errors import UserError
from sluicegate.jsonl import explain, read_text, sha256, unwritable, write_text
from sluicegate.records import from_json, to_json

NAME = "manifest.json"
HELD_OUT: Literal["held-out"] = "held-out"
TRAINING: Literal["training samples"] = "training samples"


@dataclass(frozen=True, slots=True)
class File:
    """One file of the folder."""

    sha256: str
    samples: int


@dataclass(frozen=True, slots=True)
class Overlap:
    """13-grams of the test items that training or validation hold; see `leaks`.

    Args:
        mean, highest: of the items' shares, in [0, 1]; None where no item has a 13-gram.
        dirty: items from `threshold` on.
        counted: whether those stand among the leaks; not so for a corpus made from templates, nor for samples that
            were kept apart by group.
    """

    threshold: float
    mean: float | None
    highest: float | None
    dirty: tuple[str, ...]
    counted: bool


@dataclass(frozen=True, slots=True)
class Fresh:
    """How the test items stand to those of an earlier stage.

    Args:
        sha256: of the file with the earlier ones.
        items: how many they were.
        reused: ids of test items here that share a question or an answer with one of them.
    """

    sha256: str
    items: int
    reused: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Near:
    """Near-duplicates of the training samples among the held-out ones; every pair was compared.

    Args:
        held_out: `val` or `test`.
        what: `manifest` or `request`.
        pairs: held-out items x training items.
        near: pairs whose similarity reaches `threshold`, in (0, 1].
        share: near / pairs.
        items: held-out items that are in such a pair.
        highest: the highest similarity of any pair; None where there is none.
    """

    held_out: str
    what: str
    threshold: float
    pairs: int
    near: int
    share: float
    items: int
    highest: float | None


@dataclass(frozen=True, slots=True)
class Manifest:
    """The data of one stage or one set of plain files.

    Args:
        study: its name, or empty for plain files.
        counts: scenario → split → samples.
        validation: whether the validation samples are held out or are the training samples.
        files: file name → digest and size.
        evaluation_prompts_sha256: arm → digest of the ids and prompts that its models are tested with.
        leaks: what training and validation give away of the test, in words; None where there is no test.
        duplicates: ids of training samples with the same content, a tuple a group.
        fresh: against an earlier stage's test items, where they were named.
        near: near-duplicates across the splits, where they were looked for.
        noted: what was left out, or kept in spite of something, and why → how many inputs.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", allow_inf_nan=False)
    study: str
    size: str
    source: str
    seed: int
    counts: Mapping[str, Mapping[str, int]]
    validation: Literal["held-out", "training samples"]
    files: Mapping[str, File]
    evaluation_prompts_sha256: Mapping[str, str]
    leaks: tuple[str, ...] | None
    overlap: Overlap | None
    duplicates: tuple[tuple[str, ...], ...]
    fresh: Fresh | None = None
    near: tuple[Near, ...] = ()
    noted: Mapping[str, int] = field(default_factory=dict)


def read(folder: Path) -> Manifest:
    """The manifest of a data folder, after checking that every file is as it says.

    Raises:
        UserError: no manifest, not a manifest, or a file that is missing or was changed.
    """
    path = folder / NAME
    try:
        manifest = from_json(Manifest, read_text(path))
    except ValidationError as fault:
        raise UserError(f"{path}: not a manifest: {explain(fault)}", mend="sluicegate data … --force") from None
    for name, file in manifest.files.items():
        seen = sha256(folder / name) if (folder / name).is_file() else "no such file"
        if seen != file.sha256:
            raise UserError(
                f"{folder / name}: not the file that the manifest describes",
                wanted=f"SHA-256 {file.sha256}",
                seen=seen,
                mend="sluicegate data … --force builds the folder again",
            )
    return manifest


def place(folder: Path, texts: Mapping[str, str], manifest: Manifest, *, force: bool) -> None:
    """Write files and then the manifest; files that are there with the same bytes are left alone.

    With `force` other data is replaced: its manifest goes first and the files that only it names go last, so that
    a kill in between leaves a folder that does not claim to be whole.

    Raises:
        UserError: files are there with other bytes and `force` is not set (nothing is written then), or the
            folder cannot be written to.
    """
    every = {**texts, NAME: to_json(manifest, indent=1) + "\n"}
    try:
        differing = [name for name, text in every.items() if _differs(folder / name, text)]
        if differing and not force:
            raise UserError(
                f"{folder}: holds other data; nothing was written",
                wanted="an empty folder, or one with the same data",
                seen=f"different {', '.join(differing)}",
                mend="choose another --out, or replace them with --force",
            )
        if differing:
            _replace(folder, texts)
        for name, text in every.items():
            if not (folder / name).exists():
                write_text(folder / name, text)
    except OSError as fault:
        raise unwritable(folder, fault) from None


def write_new(texts: Mapping[Path, str], *, force: bool) -> None:
    """Write files without a manifest; those that are there with the same bytes are left alone.

    Raises:
        UserError: files are there with other bytes and `force` is not set (nothing is written then), or cannot be
            written.
    """
    differing = [str(path) for path, text in texts.items() if _differs(path, text)]
    if differing and not force:
        raise UserError(
            f"{', '.join(differing)}: there already; nothing was written",
            wanted="new files, or the same content",
            seen="other content",
            mend="choose another place, or replace them with --force",
        )
    for path, text in texts.items():
        if _differs(path, text) or not path.exists():
            write_text(path, text)


def _replace(folder: Path, texts: Mapping[str, str]) -> None:
    """Write what differs, between taking the old manifest away and deleting the files that only it names."""
    stale = _stale(folder, texts)
    (folder / NAME).unlink(missing_ok=True)
    for name, text in texts.items():
        if _differs(folder / name, text):
            write_text(folder / name, text)
    for name in stale:
        (folder / name).unlink(missing_ok=True)


def _stale(folder: Path, kept: Mapping[str, str]) -> list[str]:
    """Files of the folder's old manifest that the new one does not name."""
    try:
        old = from_json(Manifest, read_text(folder / NAME))
    except (UserError, ValidationError):
        return []
    return [name for name in old.files if name not in kept and Path(name).name == name]


def _differs(path: Path, text: str) -> bool:
    if not path.exists():
        return False
    return not path.is_file() or path.read_bytes() != text.encode()
