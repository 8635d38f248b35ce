"""Runs a job in a container of a Docker engine, here or behind SSH, and survives whatever cuts the two apart.

The container's name follows from the run folder, the step and the digest of its inputs. One that is found running is
rejoined, one that ended well is collected, one that failed is removed and started anew. The end of a log stream never
counts as the end of the job: the engine's account of it does. Killing this process leaves the container running.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import IO, Any

from sluicegate.errors import INTERRUPTED, Interrupted, UserError
from sluicegate.folder import code_sha256, git_commit
from sluicegate.jsonl import cut_torn_line, unwritable
from sluicegate.runners import TAIL_LINES, Job, Place, Result, container, engine, transfer
from sluicegate.runners.container import Image
from sluicegate.runners.engine import Link
from sluicegate.runners.stopping import Stop, listening
from sluicegate.runners.transfer import CHECKPOINTS, Site

GRACE_S = 120.0
"""A container that was asked to stop may take this long to save a checkpoint."""
WAKE_S, LOOK_S, MIRROR_S = 0.2, 2.0, 4.0
"""Between two looks at signals and the budget, at the container's state, at the spool of a training."""
ALIVE = frozenset({"running", "paused", "restarting"})

Show = Callable[[str], None]


def run(job: Job, show: Show, over: Callable[[], bool] = lambda: False) -> Result:
    """See `Runner.run`.

    Raises:
        UserError: a package is missing; the engine cannot be reached to begin with, or refuses; the image is missing or
            of other code; a secret is not set; the log cannot be written. What runs there goes on.
    """
    _, place = container.needed(job)
    engine.require(place.name)
    from docker.errors import APIError

    try:
        return _run(job, place, show, over)
    except APIError as fault:
        said = " ".join(str(fault.explanation or fault).split())[:400]
        raise UserError(
            f"{place.name}: the engine refuses in step {job.name}",
            wanted="an engine that does what it is asked",
            seen=said,
            mend="look after it there, then start the same command again: what runs there goes on",
        ) from None


def _run(job: Job, place: Place, show: Show, over: Callable[[], bool]) -> Result:
    with listening(GRACE_S) as stop, Link(place, show, stop, over) as link:
        site = _site(link, job)
        found = _found(link, site.name)
        if found is None or not _goes_on(found, site, show):
            _start(site, job, show, stop)
            found = link.call(lambda api: api.inspect_container(site.name))
        site = replace(site, image=replace(site.image, number=str(found["Image"])))
        result = _Watch(site, str(found["Id"]), show, stop, over).to_its_end(job)
        link.call(lambda api: transfer.remove(api, site.name))
    if stop.by_signal:
        raise Interrupted(f"interrupted in step {job.name}")
    return result


def _site(link: Link, job: Job) -> Site:
    """The image, by its number, since what a name stands for may change; and the job's name."""
    from docker.errors import ImageNotFound

    files, place = container.needed(job)
    name = container.name_of(files, job.name)
    try:
        inspected = link.call(lambda api: api.inspect_image(place.machine.image))
    except ImageNotFound:
        raise container.no_image(place) from None
    return Site(link, place, files, container.image_of(inspected, place.machine), name)


def _found(link: Link, name: str) -> Mapping[str, Any] | None:
    from docker.errors import NotFound

    try:
        found: Mapping[str, Any] = link.call(lambda api: api.inspect_container(name))
    except NotFound:
        return None
    return found


def _goes_on(found: Mapping[str, Any], site: Site, show: Show) -> bool:
    """Whether a container of before is the job: it runs, or ended well. Any other one is removed."""
    state, where = found["State"], site.place.name
    if state["Status"] in ALIVE:
        show(f"runs on {where} since {state['StartedAt'][:19]}Z: rejoined")
        return True
    if state["Status"] == "exited" and state["ExitCode"] == 0:
        show(f"ended on {where} at {state['FinishedAt'][:19]}Z: its results are collected")
        return True
    if state["Status"] != "created":
        end = container.end_of(state, site.place.machine, cut=False, killed=False)
        show(f"had failed on {where} with exit code {end.code}{f' ({end.why})' if end.why else ''}: starts anew")
    site.link.call(lambda api: transfer.remove(api, site.name))
    return False


def _start(site: Site, job: Job, show: Show, stop: Stop) -> None:
    """Make the container, bring its files there, and start it; where that fails nothing is left behind."""
    from docker.errors import APIError

    environment = container.environment(job, site.place.machine, os.environ)
    _keep_volume(site, show)
    try:
        site.link.call(lambda api: _create(api, site, job, environment))
        _check_code(site.place, site.image, transfer.send(site), show)
        if stop.asked:
            raise Interrupted(f"interrupted in step {job.name}")
        site.link.call(lambda api: api.start(site.name))
    except APIError as fault:
        site.link.call(lambda api: transfer.remove(api, site.name))
        raise container.refused(fault, job, site.place) from None
    except BaseException:
        site.link.call(lambda api: transfer.remove(api, site.name))
        raise


def _keep_volume(site: Site, show: Show) -> None:
    """The run folder's volume, made where there is none."""
    from docker.errors import NotFound

    name = container.volume_of(site.files)
    try:
        site.link.call(lambda api: api.inspect_volume(name))
    except NotFound:
        site.link.call(lambda api: api.create_volume(name, labels=container.labels(site.files)))
        show(f"files go to the volume {name} on {site.place.name} (docker volume rm, once the stage is decided)")


def _create(api: Any, site: Site, job: Job, environment: Mapping[str, str]) -> None:
    from docker.errors import APIError

    machine = site.place.machine
    limits = container.options(site.files, machine, gpu=bool(machine.gpu))
    try:
        api.create_container(
            site.image.number,
            container.command(job),
            name=site.name,
            user=site.image.user,
            entrypoint=[],
            environment=dict(environment),
            working_dir=str(Path.cwd()),
            labels=container.labels(site.files, job.name),
            host_config=api.create_host_config(**limits),
        )
    except APIError as fault:
        if fault.status_code != 409:  # 409: made by a request whose answer was lost
            raise


def _check_code(place: Place, image: Image, there: str, show: Show) -> None:
    """Refuse an image of other code; one of this commit, with local changes on either side, is only told of."""
    here = git_commit()
    if there == code_sha256():
        return
    if not here or image.revision.rstrip("+") != here.rstrip("+"):
        raise container.other_code(place, image, here)
    show(f"note: the code in {place.machine.image} differs from the checkout's; both are of commit {here[:12]}")


@dataclass
class _Watch:
    """A started container, watched until it has ended.

    Args:
        number: the container's.
        over: whether it has to be asked to stop.
    """

    site: Site
    number: str
    show: Show
    stop: Stop
    over: Callable[[], bool]
    asked: bool = False
    killed: bool = False

    def to_its_end(self, job: Job) -> Result:
        """Watch it, and bring back what it left."""
        site, place = self.site, self.site.place
        with _Log(job.log, f"container {self.number[:12]} on {place.name}: {site.name}") as log:
            cuts = site.link.cuts
            state = self._state_at_end(log)
            end = container.end_of(state, place.machine, cut=site.link.cuts > cuts, killed=self.killed)
            if end.code == 0:
                transfer.bring(site, skip=(CHECKPOINTS,))
            elif self.stop.asked or end.code == INTERRUPTED:
                transfer.bring(site)
            else:
                self._mirror()
            if end.why:
                log.write(f"{place.name}: {end.why}")
                self.show(log.tail[-1])
            return Result(end.code, end.seconds, "\n".join(log.tail))

    def _state_at_end(self, log: _Log) -> Mapping[str, Any]:
        """The engine's account of it once it has ended; all its lines are in the log then."""
        link, follower, looked, mirrored = self.site.link, None, 0.0, time.monotonic()
        while True:
            follower = follower or _Follower(link, self.number, log.lines)
            for line in follower.lines(WAKE_S):
                self._tell(line, log)
            self._ask_to_stop()
            cuts, now = link.cuts, time.monotonic()
            if follower.is_over or now - looked >= LOOK_S:
                looked = now
                state: Mapping[str, Any] = link.call(lambda api: api.inspect_container(self.number))["State"]
                if state["Status"] not in ALIVE:
                    break
            if now - mirrored >= MIRROR_S:
                mirrored = now
                self._mirror()
            if follower.is_over or link.cuts > cuts:
                time.sleep(WAKE_S)
                follower = None
        told = link.call(lambda api: api.logs(self.number, stdout=True, stderr=True))
        for line in [*lines_of([told]), *rest_of(told)][log.lines :]:
            self._tell(line, log)
        return state

    def _tell(self, line: str, log: _Log) -> None:
        log.write(line)
        self.show(line)

    def _ask_to_stop(self) -> None:
        if not self.stop.asked and self.over():
            self.stop.ask()
        if self.stop.asked and not self.asked:
            self.asked = True
            _signal(self.site.link, self.number, "SIGTERM")
        if self.stop.overdue() and not self.killed:
            self.killed = True
            _signal(self.site.link, self.number, "SIGKILL")

    def _mirror(self) -> None:
        for path in transfer.live(self.site):
            transfer.mirror(self.site, path)


def _signal(link: Link, number: str, name: str) -> None:
    """Send a signal; a container that has ended meanwhile does not mind."""
    from docker.errors import APIError

    try:
        link.call(lambda api: api.kill(number, signal=name))
    except APIError as fault:
        if fault.status_code not in {404, 409}:
            raise


def lines_of(chunks: Iterable[bytes]) -> Iterator[str]:
    """The whole lines of a stream; an unfinished one at its end is left out: the stream may have been cut there.

    >>> list(lines_of([b"on", b"e\\ntwo\\n", b"thr"]))
    ['one', 'two']
    """
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line.decode(errors="replace")


def rest_of(told: bytes) -> list[str]:
    """What stands behind the last line's end, where anything does."""
    rest = told.rpartition(b"\n")[2]
    return [rest.decode(errors="replace")] if rest else []


class _Follower:
    """A thread that reads a container's output as it comes, behind the lines that are known."""

    def __init__(self, link: Link, number: str, known: int) -> None:
        self._queue: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self.is_over = False
        read = partial(link.peek, lambda api: self._read(api, number, known))
        threading.Thread(target=read, name=f"output of {number[:12]}", daemon=True).start()

    def _read(self, api: Any, number: str, known: int) -> None:
        try:
            told = api.logs(number, stdout=True, stderr=True, stream=True, follow=True)
            for place, line in enumerate(lines_of(told)):
                if place >= known:
                    self._queue.put(line)
        finally:
            self._queue.put(None)

    def lines(self, patience: float) -> Iterator[str]:
        """What has come, waiting so many seconds for the first of it."""
        until = time.monotonic() + patience
        while not self.is_over:
            try:
                line = self._queue.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                return
            if line is None:
                self.is_over = True
            else:
                yield line


class _Log:
    """The job's log here; the lines of one container stand behind a line that names it, and are counted.

    Raises:
        UserError: it cannot be written.
    """

    def __init__(self, path: Path, head: str) -> None:
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._stream: IO[str] = path.open("a+", encoding="utf-8", errors="replace", newline="\n")
            cut_torn_line(path)
            self._stream.seek(0)
            known = self._stream.read().split("\n")[:-1]
        except OSError as fault:
            raise unwritable(path, fault) from None
        ours = known[known.index(head) + 1 :] if head in known else []
        self.lines = len(ours)
        self.tail = deque(ours, maxlen=TAIL_LINES)
        if head not in known:
            self._append(head)

    def write(self, line: str) -> None:
        """Add a line of the container."""
        self._append(line)
        self.tail.append(line)
        self.lines += 1

    def _append(self, line: str) -> None:
        try:
            self._stream.write(f"{line}\n")
            self._stream.flush()
        except OSError as fault:
            raise unwritable(self._path, fault) from None

    def __enter__(self) -> _Log:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()
