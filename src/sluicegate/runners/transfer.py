"""Files of a run folder there and back: only what differs, by digests that are taken where the files lie.

What a model was trained into is used where it was trained, and comes back besides. What arrives is laid aside, checked,
and then moved into its place; the files that say that a step is done come last, and the spool behind the artifacts that
it names. Cut off anywhere, it goes on with what is missing.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sluicegate import jsonl
from sluicegate.errors import UserError
from sluicegate.folder import EVENTS
from sluicegate.jsonl import sha256
from sluicegate.runners import Files, Place, archive, container
from sluicegate.runners.container import Image, absolute
from sluicegate.runners.engine import Link, faults
from sluicegate.tracking import spool
from sluicegate.tracking.state import SENT

ASK = """\
import hashlib, json, os, sys
from sluicegate.folder import code_sha256
above, roots, skip, mark = json.loads(sys.argv[1])
os.chdir(above)
found = {}
def look(path):
    if os.path.islink(path):
        return
    if os.path.isdir(path):
        for name in os.listdir(path):
            if name[0] != "." and name not in skip:
                look(path + "/" + name)
    elif os.path.isfile(path):
        with open(path, "rb") as stream:
            found[path] = hashlib.file_digest(stream, "sha256").hexdigest()
for root in roots:
    look(root)
print(json.dumps({"code": code_sha256(), "begun": os.path.exists(mark), "files": found}))
"""
"""Asked of a container of the same image beside the volume."""
CHECKPOINTS = "checkpoints"
UNREAD = (CHECKPOINTS, EVENTS, SENT)
"""What no job reads of another's outputs; the sender here writes the last one at any moment."""
BATCH_BYTES = 64 * 2**20
TRIES = 4
LOOK_S = 0.2


@dataclass(frozen=True, slots=True)
class Site:
    """Where a job's files go: an engine, an image, and the name of the job's container."""

    link: Link
    place: Place
    files: Files
    image: Image
    name: str

    @property
    def above(self) -> Path:
        """The folder that the volume lies at."""
        return absolute(self.files.folder).parent

    @property
    def mark(self) -> Path:
        """The file there that says that the job has begun there: its outputs there are the ones to go on with."""
        return absolute(self.files.folder) / f".{self.name}.begun"

    def told(self, path: Path) -> str:
        """A path as the other side is told of it."""
        return absolute(path).relative_to(self.above).as_posix()


@dataclass(frozen=True, slots=True)
class There:
    """What lies on the other side: digests by path, the code's own digest, and whether the job was begun there."""

    code: str
    begun: bool
    files: Mapping[str, str]


def ask(site: Site, paths: Iterable[Path], *, skip: Sequence[str] = ()) -> There:
    """What lies there at and below the paths, hidden files and folders named in `skip` left out.

    Raises:
        UserError: the image is not one of this program.
    """
    roots = [site.told(path) for path in paths]
    said = json.dumps([str(site.above), roots, list(skip), str(site.mark)])
    code, out, err = site.link.call(lambda api: _run(api, site, ["python", "-c", ASK, said]))
    if code:
        seen = err.strip().rpartition("\n")[2][:300]
        raise UserError(
            f"{site.place.name}: the image {site.place.machine.image} does not run this program",
            wanted="an image built from Dockerfile.training",
            seen=seen or f"exit code {code}",
        )
    row = json.loads(out.strip().rpartition("\n")[2])
    return There(row["code"], row["begun"], row["files"])


def _run(api: Any, site: Site, argv: list[str]) -> tuple[int, str, str]:
    """A short program in a container of its own, which is gone afterwards: exit code, output, errors."""
    name = f"{site.name}-ask"
    remove(api, name)
    limits = container.options(site.files, site.place.machine, gpu=False, network=False)
    made = api.create_container(
        site.image.number, argv, name=name, user=site.image.user, entrypoint=[],
        labels=container.labels(site.files, "ask"), host_config=api.create_host_config(**limits),
    )["Id"]  # fmt: skip
    try:
        api.start(made)
        while (state := api.inspect_container(made)["State"])["Status"] in {"created", "running"}:
            time.sleep(LOOK_S)
        out, err = (api.logs(made, stdout=wanted, stderr=not wanted) for wanted in (True, False))
        return int(state["ExitCode"]), out.decode(errors="replace"), err.decode(errors="replace")
    finally:
        with contextlib.suppress(*faults()):
            remove(api, made)


def remove(api: Any, name: str) -> None:
    """Remove a container, running or not; none of that name is fine."""
    from docker.errors import APIError

    try:
        api.remove_container(name, force=True)
    except APIError as fault:
        if fault.status_code not in {404, 409}:  # 409: it is being removed
            raise


def send(site: Site) -> str:
    """Bring everything there that the job reads, or goes on with; the digest of the code there.

    Outputs are sent where the job has not begun there yet: after that those over there are newer.

    Raises:
        UserError: the disk there is full, or files do not arrive whole.
    """
    files = site.files
    there = ask(site, (*files.inputs, *files.outputs), skip=UNREAD)
    paths = list(_local(files.inputs, UNREAD)) + ([] if there.begun else list(_local(files.outputs, (SENT,))))
    known = dict(there.files)
    for _ in range(TRIES):
        missing = [path for path in paths if known.get(site.told(path)) != sha256(path)]
        if not missing:
            if not there.begun:
                site.mark.touch()
                _put(site, [site.mark])
                site.mark.unlink()
            return there.code
        for batch in batches(missing, BATCH_BYTES):
            _put(site, batch)
        known |= ask(site, missing).files
    raise UserError(f"{site.place.name}: files do not arrive whole", wanted="equal digests", seen=str(missing[0]))


def _local(paths: Iterable[Path], skip: Sequence[str] = ()) -> Iterator[Path]:
    """The files at and below the paths here, as `ASK` finds those there."""
    for path in map(absolute, paths):
        if path.is_symlink():
            continue
        if path.is_dir():
            inner = sorted(path.iterdir())
            yield from _local((one for one in inner if one.name[0] != "." and one.name not in skip), skip)
        elif path.is_file():
            yield path


def batches(paths: Iterable[Path], most: int) -> Iterator[list[Path]]:
    """The paths in order, in groups of so many bytes or of one file."""
    group: list[Path] = []
    size = 0
    for path in paths:
        own = path.stat().st_size
        if group and size + own > most:
            yield group
            group, size = [], 0
        group.append(path)
        size += own
    if group:
        yield group


def _put(site: Site, paths: Sequence[Path]) -> None:
    """Unpack files there, owned by the user of the job's container."""
    from docker.errors import APIError

    def put(api: Any) -> None:
        api.put_archive(site.name, str(site.above), archive.pack(site.above, paths, site.image.owner))

    try:
        site.link.call(put)
    except APIError as fault:
        said = str(fault.explanation or fault)
        if "no space left" in said.lower():
            raise container.full(site.place.name, said) from None
        raise UserError(f"{site.place.name}: files cannot be put there", wanted="an engine that takes them",
                        seen=said) from None  # fmt: skip


def bring(site: Site, *, skip: Sequence[str] = ()) -> None:
    """Bring the outputs here: what differs, checked, each file whole or not at all.

    Raises:
        UserError: a file arrives damaged again and again, or cannot be written here.
    """
    there = ask(site, site.files.outputs, skip=(*skip, SENT)).files
    aside = absolute(site.files.folder) / ".incoming"
    arrived = {}
    for name, digest in there.items():
        target, beside = site.above / name, aside / name
        if not _is(target, digest):
            if not _is(beside, digest):
                _fetch(site, target, beside, digest)
            arrived[target] = beside
    marks = {absolute(path) for path in site.files.marks}
    for target in sorted(arrived, key=lambda path: (path.name == EVENTS, path in marks, str(path))):
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            arrived[target].replace(target)
        except OSError as fault:
            raise jsonl.unwritable(target, fault) from None
    shutil.rmtree(aside, ignore_errors=True)


def refuse_outside(site: Site, names: Iterable[str]) -> None:
    """Refuse an answer that names files which are not the job's outputs: nothing else here may be written from there.

    Raises:
        UserError: it does.
    """
    roots = [absolute(path) for path in site.files.outputs]
    for name in names:
        if not any(absolute(site.above / name).is_relative_to(root) for root in roots):
            raise UserError(
                f"{site.place.name}: the image {site.place.machine.image} answers with a file that is not the job's",
                wanted="files of the step's outputs",
                seen=name[:200],
                mend="use an image that you built yourself",
            )


def _is(path: Path, digest: str) -> bool:
    return path.is_file() and sha256(path) == digest


def _fetch(site: Site, there: Path, here: Path, digest: str) -> None:
    for _ in range(TRIES):
        if site.link.call(lambda api: archive.unpack(api.get_archive(site.name, str(there))[0], here)) == digest:
            return
    raise UserError(
        f"{there}: arrives damaged from {site.place.name}",
        wanted=f"SHA-256 {digest[:12]}…",
        seen=f"another one, {TRIES} times",
        mend="start the same command again",
    )


def live(site: Site) -> tuple[Path, ...]:
    """The spools that grow while the job runs: of the folders whose files say that it is done."""
    folders = {absolute(path) for path in site.files.outputs}
    return tuple(above / EVENTS for mark in site.files.marks if (above := absolute(mark).parent) in folders)


def mirror(site: Site, path: Path) -> None:
    """Have a growing spool here as far as it can be sent: whole lines, up to artifacts that are not here yet.

    Tried once: it may not be there yet, and a file that grows while it is packed can break its archive off.
    """
    beside = path.with_name(f".{EVENTS}.live")
    try:
        site.link.peek(lambda api: archive.unpack(api.get_archive(site.name, str(path))[0], beside))
        kept = beside.read_bytes()[: _sendable(beside, path.parent)] if beside.exists() else b""
        if len(kept) > (path.stat().st_size if path.exists() else 0):
            with jsonl.replacing(path) as stream:
                stream.write(kept)
    finally:
        beside.unlink(missing_ok=True)


def _sendable(spooled: Path, home: Path) -> int:
    """The bytes of a spool before the first artifact that is missing in its folder here."""
    end = 0
    for offset, event in spool.read(spooled):
        if event is not None and event["kind"] == "artifact" and not (home / event["path"]).exists():
            break
        end = offset
    return end
