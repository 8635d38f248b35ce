"""What a job's container is made of, and how it ended, in words. Pure, but for reading the environment's secrets.

A container sees the run folder under the absolute path that it has here, so argv and environment need no rewriting: a
named volume lies at the folder above it. It has no capability, no way to gain one, a read-only root and no engine's
socket.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

from sluicegate.console import EVERY_VARIABLE
from sluicegate.errors import UserError
from sluicegate.records import digest
from sluicegate.runners import Files, Job, Place
from sluicegate.study import Bound, Machine

LABEL = "sluicegate"
CACHE, CACHE_VOLUME = "/cache", "sluicegate-cache"
"""Where the image keeps what it downloads, and the volume that keeps it longer than a container."""
NOBODY = "10001:10001"
PROCESSES = 4096
GIB = 2**30
LOGS = {"max-size": "1g", "max-file": "1"}
"""Given, because lines are counted: an engine that drops old lines by its own settings would miscount."""
GPU = ("nvidia", "device driver", "gpu", "cdi")


@dataclass(frozen=True, slots=True)
class Image:
    """An image of an engine: its number, the user that its containers run as, the commit it says it was built from."""

    number: str
    user: str
    revision: str

    @property
    def owner(self) -> tuple[int, int]:
        """The user and the group by number."""
        uid, _, gid = self.user.partition(":")
        return int(uid), int(gid)


def image_of(inspected: Mapping[str, Any], machine: Machine) -> Image:
    """An image as the engine tells of it, and the user that the machine wants, who is never root by default.

    >>> image_of({"Id": "a", "Config": {"User": "7:8"}}, Machine()).owner
    (7, 8)
    >>> image_of({"Id": "a", "Config": {"User": ""}}, Machine()).owner
    (10001, 10001)
    """
    config = inspected.get("Config") or {}
    said = str(config.get("User") or "")
    known = re.fullmatch(r"(\d+)(:\d+)?", said)
    own = NOBODY if known is None or int(known[1]) == 0 else said if ":" in said else f"{said}:{said}"
    revision = (config.get("Labels") or {}).get("org.opencontainers.image.revision", "")
    return Image(str(inspected["Id"]), machine.user or own, str(revision or ""))


def needed(job: Job) -> tuple[Files, Place]:
    """The job's files and place, which this runner cannot do without."""
    if job.files is None or job.place is None:
        raise ValueError(f"{job.name}: a job without files or place")
    return job.files, job.place


def name_of(files: Files, step: str) -> str:
    """The container of a job: the same for the same run folder, step and inputs.

    >>> name_of(Files(Path("/r/my+study/stage1-x"), (), (), (), "abc"), "train control-s0")
    'sluicegate-my-study-stage1-x-train-control-s0-0c1612211823'
    """
    own = digest([str(absolute(files.folder)), step, files.sha256])[:12]
    return f"{_plain(f'{LABEL}-{files.folder.parent.name}-{files.folder.name}-{step}')[:180]}-{own}"


def volume_of(files: Files) -> str:
    """The volume of a run folder."""
    own = digest(str(absolute(files.folder)))[:8]
    return f"{_plain(f'{LABEL}-{files.folder.parent.name}-{files.folder.name}')[:180]}-{own}"


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]", "-", name)


def absolute(path: Path) -> Path:
    """The path without `..`, links left as they are: it is the same elsewhere."""
    return Path(os.path.abspath(path))  # noqa: PTH100


def labels(files: Files, step: str = "") -> dict[str, str]:
    """What containers and volumes are found by."""
    told = {"study": files.folder.parent.name, "attempt": files.folder.name, "step": step}
    return {f"{LABEL}.{key}": value for key, value in told.items() if value}


def environment(job: Job, machine: Machine, environ: Mapping[str, str]) -> dict[str, str]:
    """The variables of a job's container; of this process's environment only what the machine names.

    Raises:
        UserError: a secret is not set here.
    """
    missing = [name for name in machine.secrets if not environ.get(name)]
    if missing:
        raise UserError(
            f"{', '.join(missing)}: not set",
            wanted="the secrets that the study file names for this machine, in your environment",
            seen="unset",
            mend=f"export {missing[0]}=…, or take it out of `secrets`",
        )
    kept = {name: environ[name] for name in (*machine.secrets, EVERY_VARIABLE) if name in environ}
    return {"PYTHONUNBUFFERED": "1", **machine.env, **job.env, **kept}


def command(job: Job) -> list[str]:
    """The argv; this process's interpreter is the image's `python`."""
    first, *rest = job.argv
    return ["python" if first == sys.executable else first, *rest]


def options(files: Files, machine: Machine, *, gpu: bool, network: bool = True) -> dict[str, Any]:
    """What the engine is told of a container's limits and mounts, as arguments of `create_host_config`.

    >>> told = options(Files(Path("/r/demo/stage1-x"), (), (), (), ""), Machine(runner="docker"), gpu=False)
    >>> told["cap_drop"], told["read_only"], told["security_opt"], told["init"]
    (['ALL'], True, ['no-new-privileges:true'], True)
    >>> [(row["Source"], row["Target"]) for row in told["mounts"]][0][1]
    '/r/demo'
    """
    import docker

    above = absolute(files.folder).parent
    mounts = [Bound(source=volume_of(files), target=str(above), read_only=False), *machine.mounts]
    if not any(PurePosixPath(CACHE).is_relative_to(bound.target) for bound in machine.mounts):
        mounts.append(Bound(source=CACHE_VOLUME, target=CACHE, read_only=False))
    told: dict[str, Any] = {
        "mounts": [_mount(bound) for bound in mounts],
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "read_only": True,
        "init": True,
        "pids_limit": PROCESSES,
        "tmpfs": _scratch(above),
        "log_config": {"Type": "json-file", "Config": LOGS},
    }
    if machine.memory_gib:
        told["mem_limit"] = told["memswap_limit"] = int(machine.memory_gib * GIB)
    if machine.shm_gib:
        told["shm_size"] = int(machine.shm_gib * GIB)
    if not network:
        told["network_mode"] = "none"
    if gpu:
        told["device_requests"] = [docker.types.DeviceRequest(count=-1, capabilities=[["gpu"]])]
    return told


def _mount(bound: Bound) -> Any:
    """As an object: a drive's colon in `H:/data:/data` is taken for the separator."""
    import docker

    kind = "volume" if bound.is_volume else "bind"
    return docker.types.Mount(bound.target, bound.source, type=kind, read_only=bound.read_only)


def _scratch(above: Path) -> dict[str, str]:
    """Folders in memory: /tmp, where code is compiled too; and root's home, closed to others, where the run lies in it.

    >>> sorted(_scratch(Path("/root/runs/demo")))
    ['/root', '/tmp']
    """
    found = {"/tmp": "rw,exec,nosuid,nodev,mode=1777"}  # noqa: S108 - in a container's own
    home = Path("/root")
    return found | ({str(home): "rw,nosuid,nodev,mode=755"} if above.is_relative_to(home) else {})


@dataclass(frozen=True, slots=True)
class End:
    """How a container ended.

    Args:
        code: its exit code.
        seconds: between its start and its end, by the clock there.
        why: what the code alone does not say; empty where it says all.
    """

    code: int
    seconds: float
    why: str


def end_of(state: Mapping[str, Any], machine: Machine, *, cut: bool, killed: bool) -> End:
    """How a container ended, from the engine's account of it.

    Args:
        cut: whether the link was lost while it ran.
        killed: whether we killed it.
    """
    code = int(state["ExitCode"])
    return End(code, _seconds(state), _why(code, state, machine, cut=cut, killed=killed))


def _why(code: int, state: Mapping[str, Any], machine: Machine, *, cut: bool, killed: bool) -> str:
    said = str(state.get("Error") or "")
    if state.get("OOMKilled"):
        limit = f"{machine.memory_gib:g} GiB" if machine.memory_gib else "what the machine has"
        return f"killed because it used more memory than {limit} (OOMKilled): raise memory_gib, or take smaller batches"
    if code in {125, 126, 127}:
        what = {125: "the engine could not run it", 126: "its program cannot be run", 127: "its program is not there"}
        return f"{what[code]}: {said or 'is this the right image?'}"
    if killed:
        return "asked to stop, it did not in time and was killed"
    if code in {137, 255} and cut:
        return f"killed while its engine was away: was Docker or the machine restarted? {said}".strip()
    if code == 137:
        return f"killed (SIGKILL), not by us and not for memory {said}".strip()
    return f"ended by a signal (SIGTERM), not by us {said}".strip() if code == 143 else said


def _seconds(state: Mapping[str, Any]) -> float:
    started, ended = (_time(str(state.get(key, ""))) for key in ("StartedAt", "FinishedAt"))
    return 0.0 if started is None or ended is None else max(0.0, (ended - started).total_seconds())


def _time(text: str) -> datetime | None:
    """A point in time as an engine writes it, with nine digits of a second; None where nothing happened yet.

    >>> _time("2026-11-29T01:02:03.123456789Z").microsecond, _time("0001-01-01T00:00:00Z")
    (123456, None)
    """
    if not text or text.startswith("0001-"):
        return None
    return datetime.fromisoformat(re.sub(r"(\.\d{6})\d*", r"\1", text))


def refused(fault: Exception, job: Job, place: Place) -> UserError:
    """An engine's refusal to make or to start a container, in words."""
    said = " ".join(str(getattr(fault, "explanation", None) or fault).split())[:400]
    low, where, machine = said.lower(), place.name, place.machine
    if machine.gpu and any(word in low for word in GPU):
        return UserError(
            f"{where}: containers get no GPU there; nothing was left behind",
            wanted=f"the NVIDIA runtime, for {machine.gpu}",
            seen=said,
            mend="install nvidia-container-toolkit there and restart Docker; Docker Desktop: switch GPU support on",
        )
    if "no space left" in low:
        return full(where, said)
    if "bind source path" in low or "mount" in low:
        return UserError(f"{where}: a mount of the study file cannot be had", wanted="a folder that is there",
                         seen=said, mend=f"mend machines.{where}.mounts")  # fmt: skip
    if "executable file not found" in low or "no such file or directory" in low or "permission denied" in low:
        return UserError(
            f"{where}: the image {machine.image} cannot run {command(job)[0]}",
            wanted="an image of this program",
            seen=said,
            mend=_build(place),
        )
    return UserError(f"{where}: the engine does not run the step {job.name}", wanted="a container", seen=said)


def full(where: str, said: str) -> UserError:
    """The disk of the engine is full."""
    return UserError(
        f"{where}: the disk of the engine is full",
        wanted="free space for the run's files",
        seen=said,
        mend="there: docker system df, then remove what is not needed; the same command goes on",
    )


def no_image(place: Place) -> UserError:
    """The image is not there."""
    return UserError(
        f"{place.name}: the engine has no image {place.machine.image}",
        wanted="the training image, built from this checkout",
        seen="no such image",
        mend=_build(place),
    )


def other_code(place: Place, image: Image, here: str) -> UserError:
    """The image holds another version of this program."""
    return UserError(
        f"{place.name}: the image {place.machine.image} is of another version of this program",
        wanted=f"commit {here or 'of what is installed here'}",
        seen=f"commit {image.revision or 'unknown'}, and other code",
        mend=_build(place),
    )


def _build(place: Place) -> str:
    engine = f"DOCKER_HOST={place.machine.host} " if place.machine.host else ""
    image = place.machine.image
    return f'{engine}docker build -f Dockerfile.training -t {image} --build-arg GIT_COMMIT="$(git rev-parse HEAD)" .'
