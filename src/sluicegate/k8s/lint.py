"""`sluicegate k8s check`: reads the files that are named, says what is found in them, and where hardened copies belong.

This is the one module of the leaf that opens a file which is not part of the package. It writes none.

What Kubernetes would refuse is an error: a text that cannot be read, an object without a name, a field that its schema
does not know, a key that is there twice, a broken semantic rule, or a kind that the chosen version does not serve. A
kind of somebody else's group is only told of, since its schema is in a cluster.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from sluicegate.errors import GO, RETRY, UserError
from sluicegate.k8s.document import DUPLICATE
from sluicegate.k8s.fix import Fixed, fix
from sluicegate.k8s.issues import visible
from sluicegate.k8s.objects import objects, workloads
from sluicegate.k8s.output import Linted, Problem, line_of, summary, title
from sluicegate.k8s.parse import Limits, Parsed, parse
from sluicegate.k8s.schema import State, kinds, resolved
from sluicegate.k8s.score import judge
from sluicegate.k8s.validity import Levels, Validity, validity

SUFFIXES: Final = (".yaml", ".yml", ".json")
STDIN = "-"


@dataclass(frozen=True, slots=True)
class Source:
    """One text to look at.

    Args:
        name: its path; `-` for the standard input.
        data: its bytes.
        inside: its path within the folder that was named; for a file, its name.
        found: whether it was found in a folder, and may be YAML of another kind, rather than named itself.
    """

    name: str
    data: bytes
    inside: str = ""
    found: bool = False


@dataclass(frozen=True, slots=True)
class Hardened:
    """A hardened copy.

    Args:
        target: where it belongs; None: the standard output.
        differs: whether it differs from its source.
    """

    source: Source
    fixed: Fixed
    target: Path | None
    differs: bool


def read(names: Sequence[str], stdin: IO[bytes]) -> list[Source]:
    """The texts that are named: files, folders (every .yaml, .yml and .json in them, hidden ones left out), or `-`.

    A file is read no further than the parser would go.

    Raises:
        UserError: nothing is named, there is no such file, it cannot be read, or a folder holds none.
    """
    if not names:
        raise UserError("nothing to check", wanted="a file, a folder, or - for the standard input", seen="none named")
    return [source for name in names for source in _read(name, stdin)]


def _read(name: str, stdin: IO[bytes]) -> Iterator[Source]:
    most = Limits().bytes + 1
    if name == STDIN:
        yield Source(STDIN, stdin.read(most))
        return
    path = root = Path(name)
    try:
        found = root.is_dir()
        for path in _files(root):
            with path.open("rb") as stream:
                inside = path.relative_to(root) if found else path.name
                yield Source(str(path), stream.read(most), str(inside), found)
    except OSError as fault:
        seen = fault.strerror or str(fault)
        raise UserError(f"{path}: cannot be read", wanted="a manifest", seen=seen) from fault


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        if not path.exists():
            raise UserError(
                f"{path}: not there", wanted="a file, a folder, or - for the standard input", seen="nothing"
            )
        return [path]
    found = sorted(
        file
        for file in path.rglob("*")
        if file.suffix in SUFFIXES
        and file.is_file()
        and not any(part.startswith(".") for part in file.relative_to(path).parts)
    )
    if not found:
        raise UserError(f"{path}: nothing to check", wanted=f"a folder with {', '.join(SUFFIXES)}", seen="none in it")
    return found


def lint(source: Source, version: str | None = None, skip: Container[str] = ()) -> Linted:
    """What is found in one text.

    Args:
        version: of Kubernetes, or an empty text for the newest: the objects are also checked for what that version
            would refuse; None: they are not.
        skip: names of checks that are not asked.

    Raises:
        UserError: there are no schemas of that version, or none at all.
    """
    parsed = parse(source.data)
    faults, problems = parsed.faults, tuple(_template(source.data, parsed))
    if version is not None:
        told = validity(parsed, version)
        problems += tuple(_refusals(told, source.found))
        faults = tuple(fault for fault in faults if fault.kind != DUPLICATE)
    found = objects(parsed)
    return Linted(source.name, faults, problems, len(found), judge(workloads(found), skip))


def _template(data: bytes, parsed: Parsed) -> Iterator[Problem]:
    """What to do with a text that cannot be read because it is a template."""
    if not parsed.ok and b"{{" in data:
        mend = "it holds {{…}}: render a template first, as in helm template CHART | sluicegate k8s check -"
        yield Problem(None, "the text", mend, refused=False)


def _refusals(told: Validity, found: bool) -> Iterator[Problem]:
    """What Kubernetes would refuse, and which kinds it cannot be asked about."""
    for fault in told.faults:
        if fault.kind == DUPLICATE:
            yield Problem(fault.line, "the text", fault.what)
    if not told.entries and told.parses and not found:
        yield Problem(None, "the text", "it holds no Kubernetes object", refused=False)
    for each in told.entries:
        yield from _unfit(each, found) if each.object is None else _refused(each, told.version)


def _unfit(each: Levels, found: bool) -> Iterator[Problem]:
    """What lacks apiVersion or kind; in a folder, YAML that has neither is somebody else's."""
    foreign = len(each.unfit) > 1 or not each.unfit[0].path
    for issue in () if found and foreign else each.unfit:
        yield Problem(each.line, "no Kubernetes object", str(issue))


def _refused(each: Levels, version: str) -> Iterator[Problem]:
    item = each.object
    if item is None:
        return
    served = each.state is not State.UNKNOWN or kinds(version).own(item.group)
    if not served:
        what = f"fields not checked: {visible(f'{item.api_version} {item.kind}')} is no kind of Kubernetes {version}"
        yield Problem(each.line, title(item), what, refused=False)
        return
    for issue in each.issues:
        yield Problem(line_of(item, issue.path), title(item), str(issue), rule=issue.rule)


def chosen(version: str, *, off: bool) -> str | None:
    """The version to give to `lint`: as `resolved` spells it, or None where validity is off.

    Raises:
        UserError: there are no schemas of it, or it is named although validity is off.
    """
    if off and version:
        raise UserError("--kube-version and --no-validity", wanted="one of them", seen="both")
    return None if off else resolved(version)


def exit_code(report: Iterable[Linted], minimum: float | None = None) -> int:
    """0 where nothing is to be mended, else 10: mend it and run again.

    Args:
        minimum: smallest mean BP in percent that passes, whatever is found; a text that cannot be read, or that
            Kubernetes would refuse, fails all the same, and a run without any workload passes.
    """
    figures = summary(list(report))
    if minimum is None:
        return GO if figures.clean else RETRY
    # The mean of shares such as 10/11 misses the percentage that a person writes by a rounding.
    enough = figures.bp is None or 100 * figures.bp >= minimum - 1e-9
    return GO if enough and not figures.unreadable and not figures.refused else RETRY


def harden(
    sources: Sequence[Source], out: str | None = None, *, in_place: bool = False, skip: Container[str] = ()
) -> list[Hardened]:
    """Hardened copies of texts, and where they belong; nothing is written.

    Args:
        out: a file for one text, a folder for several; None: the standard output, for one text.
        in_place: replace the sources.
        skip: names of checks for which nothing is changed.

    Raises:
        UserError: several texts and no folder, the standard input in place, or a target that is already there.
    """
    targets = _targets(sources, out, in_place)
    return [_hardened(source, target, skip) for source, target in zip(sources, targets, strict=True)]


def _targets(sources: Sequence[Source], out: str | None, in_place: bool) -> list[Path | None]:
    if in_place and out is not None:
        raise UserError("--in-place and --out", wanted="one of them", seen="both")
    if in_place:
        if any(source.name == STDIN for source in sources):
            raise UserError("--in-place", wanted="files", seen="the standard input")
        return [Path(source.name) for source in sources]
    if out is None:
        if len(sources) > 1:
            seen = f"{len(sources)} files for the standard output"
            raise UserError("--fix: one text at a time", wanted="--out FOLDER or --in-place", seen=seen)
        return [None]
    whole = Path(out)
    folder = len(sources) > 1 or whole.is_dir() or out.endswith("/")
    targets = [whole / (source.inside or "stdin.yaml") if folder else whole for source in sources]
    taken = [str(target) for target in targets if target.exists()]
    taken += [str(target) for place, target in enumerate(targets) if target in targets[:place]]
    if taken:
        raise UserError(
            f"{taken[0]}: there already, or wanted twice; nothing was written",
            wanted="a new file or folder",
            seen=f"{len(taken)} such files",
            mend="name another, or --in-place to replace the sources",
        )
    return list(targets)


def _hardened(source: Source, target: Path | None, skip: Container[str]) -> Hardened:
    try:
        text = source.data.decode()
    except UnicodeDecodeError:
        # Handed on as it is; the parser says of the bytes what is wrong with them.
        why = "; ".join(f"{fault.kind}: {fault.what}" for fault in parse(source.data).faults)
        return Hardened(source, Fixed("", (), (), f"not parsed: {why}"), target, differs=False)
    fixed = fix(text, skip)
    return Hardened(source, fixed, target, differs=fixed.text != text)
