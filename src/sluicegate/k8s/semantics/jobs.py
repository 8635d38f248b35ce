"""Jobs and CronJobs: what becomes of pods that fail, and whose clock a schedule goes by.

Source: validatePodFailurePolicy and validateTimeZone in
https://github.com/kubernetes/kubernetes/blob/master/pkg/apis/batch/validation/validation.go
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from itertools import pairwise
from typing import Final

from sluicegate.k8s.document import Path
from sluicegate.k8s.issues import said
from sluicegate.k8s.semantics.containers import INIT
from sluicegate.k8s.semantics.rule import (
    Body,
    Found,
    Kind,
    Rule,
    View,
    at,
    items,
    job_path,
    listed,
    mapping,
    named,
    repeated,
    whole,
)
from sluicegate.k8s.semantics.selectors import JOBS

CRON_JOBS: Final[frozenset[Kind]] = frozenset({("batch", "CronJob")})
POLICY: Final = "podFailurePolicy"
RULES_MOST, CONDITIONS_MOST, CODES_MOST = 20, 20, 255
ZONE_PART = re.compile(r"(?!-|\.{1,2}\Z)[-A-Za-z0-9._+]{1,14}", re.ASCII)
A_ZONE = "a time zone by its name, such as Europe/Berlin or Etc/UTC"


def failures(seen: View) -> Iterator[Found]:
    """What a job does about pods that fail: each rule asks for one thing, and no container restarts by itself."""
    path = job_path(seen)
    spec = mapping(at(seen.body, path))
    policy = spec.get(POLICY)
    if not isinstance(policy, dict):
        return
    if seen.pod.get("restartPolicy") == "OnFailure":
        yield (*seen.pod_path, "restartPolicy"), f"Never, since there is a {POLICY}", said("OnFailure")
    rows = list(items(policy, (*path, POLICY), "rules"))
    if any(row.get("action") == "FailIndex" for _, row in rows) and spec.get("backoffLimitPerIndex") is None:
        yield (*path, "backoffLimitPerIndex"), "a number, since an action is FailIndex", "nothing"
    count = len(listed(policy.get("rules")))
    if count > RULES_MOST:
        yield (*path, POLICY, "rules"), f"at most {RULES_MOST} rules", str(count)
    names = {name for where, name in named(iter(seen.containers)) if where[-3] in ("containers", INIT)}
    for where, row in rows:
        yield from _failure(row, where, names)


def _failure(row: Body, path: Path, names: Collection[str]) -> Iterator[Found]:
    codes, conditions = row.get("onExitCodes"), row.get("onPodConditions")
    if (codes is None) == (not conditions):
        yield path, "either onExitCodes or onPodConditions", "neither" if codes is None else "both"
    count = len(listed(conditions))
    if count > CONDITIONS_MOST:
        yield (*path, "onPodConditions"), f"at most {CONDITIONS_MOST} conditions", str(count)
    name = mapping(codes).get("containerName")
    if isinstance(name, str) and name not in names:
        wanted = f"a container of the pod: {', '.join(sorted(names)[:5])}" if names else "a container of the pod"
        yield (*path, "onExitCodes", "containerName"), wanted, said(name)
    yield from _codes(mapping(codes), (*path, "onExitCodes", "values"))


def _codes(codes: Body, path: Path) -> Iterator[Found]:
    """Some codes, in order and each once; a pod that ended well has not failed."""
    values = codes.get("values")
    if not isinstance(values, list):
        return
    if not 0 < len(values) <= CODES_MOST:
        yield path, f"1 to {CODES_MOST} exit codes", str(len(values)) if values else "none"
    numbers = [number for value in values if (number := whole(value)) is not None]
    if len(numbers) != len(values):
        return
    places: list[tuple[Path, str]] = [((*path, index), str(number)) for index, number in enumerate(numbers)]
    for place, code in places:
        if code == "0" and codes.get("operator") == "In":
            yield place, "an exit code other than 0, since the operator is In", code
    for place, code in repeated(iter(places)):
        yield place, "an exit code that is none before it", code
    if any(one > other for one, other in pairwise(numbers)):
        yield path, "exit codes in order, the least first", "others"


def is_zone(text: str) -> bool:
    """Whether a text can be a time zone that a schedule goes by; which there are is not looked up, for data differ.

    >>> [is_zone(text) for text in ("Europe/Berlin", "UTC+1", "", "Local", "Europe/", "America/Los Angeles", "Asia/..")]
    [True, True, False, False, False, False, False]
    """
    return text.lower() != "local" and all(ZONE_PART.fullmatch(part) for part in text.split("/"))


def time_zones(seen: View) -> Iterator[Found]:
    """The time zone of a CronJob has the form of one."""
    zone = at(seen.body, ("spec", "timeZone"))
    if isinstance(zone, str) and not is_zone(zone):
        yield ("spec", "timeZone"), A_ZONE, said(zone) if zone else "nothing"


RULES = (
    Rule("pod-failure", "What a job does about pods that fail is well-formed.", JOBS, failures),
    Rule("time-zone", "A schedule's time zone has the form of one.", CRON_JOBS, time_zones),
)
