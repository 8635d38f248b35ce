"""`sluicegate data import --from-git DIR`: the pairs of a checkout as samples, and what was left out by reason."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path, PurePosixPath
from typing import cast

from sluicegate.data.importers import licences
from sluicegate.data.importers.report import Report, Skipped, printable, told, write
from sluicegate.data.mining import LANGUAGES, Language, Left, Pair, UnreadableError, choice, screen
from sluicegate.data.mining.checkout import Checkout, Entry, contents, entries, is_part, marked, opened
from sluicegate.data.reader import fault_inside
from sluicegate.errors import UserError
from sluicegate.records import Sample, digest

PLACES = 3
"""Places that are told of a reason."""
UNLICENSED = "no licence found: `unknown`, so find out before they are used"


@dataclass(slots=True)
class _Mined:
    """What is known so far; `left` is reason → places."""

    samples: defaultdict[str, list[Sample]] = field(default_factory=lambda: defaultdict(list))
    left: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    seen: set[str] = field(default_factory=set)
    found: int = 0


def command(folder: Path, out: Path, *, licence: str = "", force: bool = False) -> str:
    """Mine a checkout; what to print.

    Args:
        licence: of files that no licence file lies above, and that do not name one themselves.

    Raises:
        UserError: no checkout, nothing in it that can be mined, no scanner for secrets, or an `out` that holds
            something else and no `force`; nothing is written then.
    """
    checkout = opened(folder)
    listed = entries(checkout)
    mined = _Mined()
    wanted = _wanted(checkout, listed, mined)
    held = _licences(checkout, listed)
    with screen.screen() as fault:
        for entry, raw in zip(wanted, contents(checkout, wanted), strict=True):
            for pair, own in _of_file(entry, raw, mined):
                text = f"{pair.request}\n{pair.code}"
                if why := _repeated(mined, pair) or fault_inside(text) or fault(text, _suffix(entry)):
                    mined.left[why].append(f"{printable(entry.path)}:{pair.line}")
                else:
                    spdx, file = own or _nearest(held, entry.path) or (licences.UNKNOWN, "")
                    told_of = (spdx, file) if spdx != licences.UNKNOWN or not licence else (licence, "")
                    mined.samples[pair.scenario].append(_sample(checkout, entry, pair, told_of))
    if not mined.samples:
        reasons = ", ".join(f"{why} {len(places)}" for why, places in sorted(mined.left.items()))
        raise UserError(
            f"--from-git {folder}: nothing can be mined; nothing was written", wanted="documented functions or classes",
            seen=reasons or f"no file of {', '.join(LANGUAGES)}",
        )  # fmt: skip
    report = _report(checkout, mined)
    write(out, mined.samples, report, force=force)
    return told(out, report)


def _wanted(checkout: Checkout, listed: Sequence[Entry], mined: _Mined) -> list[Entry]:
    """The files to read; the others of a known language are counted by reason."""
    known = [one for one in listed if is_part(one, checkout) and (one.kind or _suffix(one) in LANGUAGES)]
    attributes = marked(checkout, [one.path for one in known])
    wanted = []
    for one in known:
        large = f"larger than {choice.SIZE_LIMIT:,} bytes" if one.size > choice.SIZE_LIMIT else ""
        why = one.kind or attributes.get(one.path, "") or choice.fault_of_path(one.path) or large
        if why:
            mined.left[f"file: {why}"].append(printable(one.path))
        else:
            wanted.append(one)
    return wanted


def _suffix(entry: Entry) -> str:
    return PurePosixPath(entry.path).suffix


def _licences(checkout: Checkout, listed: Sequence[Entry]) -> dict[str, tuple[str, str]]:
    """Folder → the licence of its licence files, and the first of these."""
    files = [
        one
        for one in listed
        if not one.kind and one.size <= licences.SIZE_LIMIT and licences.is_licence(PurePosixPath(one.path).name)
    ]
    held = defaultdict(list)
    for one, raw in zip(files, contents(checkout, files), strict=True):
        held[str(PurePosixPath(one.path).parent)].append((one.path, licences.guess(raw.decode("utf-8", "replace"))))
    return {
        folder: (licences.joined([(PurePosixPath(path).name, name) for path, name in found]), printable(found[0][0]))
        for folder, found in held.items()
    }


def _nearest(held: Mapping[str, tuple[str, str]], path: str) -> tuple[str, str] | None:
    return next((held[str(folder)] for folder in PurePosixPath(path).parents if str(folder) in held), None)


def _of_file(entry: Entry, raw: bytes, mined: _Mined) -> Iterator[tuple[Pair, tuple[str, str] | None]]:
    """The pairs of a file, each with the licence that the file itself names."""
    try:
        text = raw.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError:
        mined.left["file: not UTF-8"].append(printable(entry.path))
        return
    if why := choice.fault_of_text(text):
        mined.left[f"file: {why}"].append(printable(entry.path))
        return
    module = cast(Language, import_module(LANGUAGES[_suffix(entry)]))
    try:
        found = module.pairs(text, _suffix(entry))
    except UnreadableError:
        mined.left["file: cannot be parsed"].append(printable(entry.path))
        return
    named = licences.tagged(text[: licences.HEAD])
    for one in found:
        mined.found += 1
        if isinstance(one, Left):
            mined.left[one.why].append(f"{printable(entry.path)}:{one.line}")
        else:
            yield one, (named, printable(entry.path)) if named else None


def _repeated(mined: _Mined, pair: Pair) -> str:
    name = _name(pair)
    if name in mined.seen:
        return "the same code again"
    mined.seen.add(name)
    return ""


def _name(pair: Pair) -> str:
    """An id from the code, whatever the space in it."""
    return digest(pair.code.split())[:16]


def _sample(checkout: Checkout, entry: Entry, pair: Pair, licence: tuple[str, str]) -> Sample:
    path, (spdx, file) = printable(entry.path), licence
    meta = {
        "language": pair.language, "licence": spdx, **({"licence_file": file} if file else {}),
        "source": f"{path}:{pair.line}@{checkout.commit}", "group": f"{checkout.name}/{path}",
    }  # fmt: skip
    return Sample(_name(pair), pair.request, pair.code, pair.scenario, meta=meta)


def _report(checkout: Checkout, mined: _Mined) -> Report:
    samples = [one for part in mined.samples.values() for one in part]
    counts = Counter(str(one.meta["licence"]) for one in samples)
    noted = {UNLICENSED: counts[licences.UNKNOWN]} if counts[licences.UNKNOWN] else {}
    return Report(
        "git", {checkout.name: checkout.commit, **({"part": checkout.part} if checkout.part else {})}, mined.found,
        {name: len(part) for name, part in sorted(mined.samples.items())}, dict(sorted(counts.items())), noted=noted,
        skipped={why: Skipped(len(at), tuple(at[:PLACES])) for why, at in sorted(mined.left.items())},
    )  # fmt: skip
