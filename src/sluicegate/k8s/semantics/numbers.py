"""Counts and times that must not be negative, shares, schedules, and bounds that belong together."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from sluicegate.k8s.document import Path, Value
from sluicegate.k8s.issues import said
from sluicegate.k8s.semantics.quantities import quantity
from sluicegate.k8s.semantics.rule import (
    WORKLOADS,
    Found,
    Kind,
    Rule,
    View,
    at,
    items,
    job_path,
    mapping,
    out_of_range,
    whole,
)
from sluicegate.k8s.semantics.selectors import CONTROLLERS, JOBS

SPEC: Final = "spec"
JOB: Final[tuple[Path, ...]] = tuple(
    (SPEC, field)
    for field in ("parallelism", "completions", "backoffLimit", "backoffLimitPerIndex", "maxFailedIndexes",
                  "activeDeadlineSeconds", "ttlSecondsAfterFinished")
)  # fmt: skip
REPLICAS: Final[Path] = (SPEC, "replicas")
READY: Final[Path] = (SPEC, "minReadySeconds")
HISTORY: Final[Path] = (SPEC, "revisionHistoryLimit")
COUNTS: Final[Mapping[Kind, tuple[Path, ...]]] = {
    ("apps", "Deployment"): (REPLICAS, READY, HISTORY, (SPEC, "progressDeadlineSeconds")),
    ("apps", "StatefulSet"): (REPLICAS, READY, HISTORY, (SPEC, "updateStrategy", "rollingUpdate", "partition")),
    ("apps", "DaemonSet"): (READY, HISTORY),
    ("apps", "ReplicaSet"): (REPLICAS, READY),
    ("", "ReplicationController"): (REPLICAS, READY),
    ("batch", "Job"): JOB,
    ("batch", "CronJob"): (
        (SPEC, "startingDeadlineSeconds"), (SPEC, "successfulJobsHistoryLimit"), (SPEC, "failedJobsHistoryLimit"),
        *((SPEC, "jobTemplate", *path) for path in JOB),
    ),
    ("autoscaling", "HorizontalPodAutoscaler"): ((SPEC, "minReplicas"),),
}  # fmt: skip
"""Kind → what must be 0 or more."""
SHARE = re.compile(r"[0-9]{1,9}%", re.ASCII)
A_SHARE = "a number of 0 or more, or a percentage such as 25%"
SHARES: Final[Mapping[Kind, tuple[Path, ...]]] = {
    ("apps", "Deployment"): tuple(
        (SPEC, "strategy", "rollingUpdate", field) for field in ("maxSurge", "maxUnavailable")
    ),
    ("apps", "DaemonSet"): tuple(
        (SPEC, "updateStrategy", "rollingUpdate", field) for field in ("maxSurge", "maxUnavailable")
    ),
    ("policy", "PodDisruptionBudget"): ((SPEC, "minAvailable"), (SPEC, "maxUnavailable")),
}
PERCENT_MOST = 100
WHOLE: Final[Mapping[Kind, tuple[Path, ...]]] = {
    **SHARES,
    ("apps", "Deployment"): ((SPEC, "strategy", "rollingUpdate", "maxUnavailable"),),
}
"""Those that cannot be more than all; a Deployment may add as many pods as it likes."""
SCHEDULE_MOST = 1000
MACROS: Final = frozenset(("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"))
EVERY = re.compile(r"@every (?:[0-9]{1,9}(?:\.[0-9]{1,9})?(?:ns|us|µs|ms|s|m|h))+")
MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
DAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
FIELDS: Final[tuple[tuple[str, int, int, Mapping[str, int]], ...]] = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of the month", 1, 31, {}),
    ("month", 1, 12, {name: number for number, name in enumerate(MONTHS, start=1)}),
    ("day of the week", 0, 6, {name: number for number, name in enumerate(DAYS)}),
)


def counts(seen: View) -> Iterator[Found]:
    """Numbers of the kind that must not be negative."""
    for path in COUNTS[seen.object.group, seen.object.kind]:
        yield from out_of_range(at(seen.body, path), path, 0)


def pod_times(seen: View) -> Iterator[Found]:
    """Times of a pod."""
    for field, least in (("terminationGracePeriodSeconds", 0), ("activeDeadlineSeconds", 1)):
        yield from out_of_range(seen.pod.get(field), (*seen.pod_path, field), least)


def _share(value: Value) -> bool:
    if isinstance(value, str):
        return SHARE.fullmatch(value) is not None
    number = whole(value)
    return number is None or number >= 0


def shares(seen: View) -> Iterator[Found]:
    """Numbers or percentages of pods."""
    for path in SHARES[seen.object.group, seen.object.kind]:
        value = at(seen.body, path)
        if not _share(value):
            yield path, A_SHARE, said(value)


def shares_of_all(seen: View) -> Iterator[Found]:
    """What cannot be more than all pods."""
    for path in WHOLE[seen.object.group, seen.object.kind]:
        value = at(seen.body, path)
        if isinstance(value, str) and SHARE.fullmatch(value) and int(value[:-1]) > PERCENT_MOST:
            yield path, f"at most {PERCENT_MOST}%", said(value)


def completions(seen: View) -> Iterator[Found]:
    """A job whose pods are numbered says how many there are."""
    path = job_path(seen)
    spec = mapping(at(seen.body, path))
    if spec.get("completionMode") == "Indexed" and spec.get("completions") is None:
        yield (*path, "completions"), "a number, since completionMode is Indexed", "nothing"


def limit_ranges(seen: View) -> Iterator[Found]:
    """The bounds of a limit range are in order: min, defaultRequest, default, max."""
    for path, limit in items(seen.body, (), SPEC, "limits"):
        if limit.get("type") == "Pod":
            for field in ("default", "defaultRequest"):
                if limit.get(field):
                    yield (*path, field), "nothing, since the type is Pod", said(limit[field])
            bounds: tuple[str, ...] = ("min", "max")
        else:
            bounds = ("min", "defaultRequest", "default", "max")
        for place, field in enumerate(bounds):
            for name, value in mapping(limit.get(field)).items():
                size = quantity(value)
                for above in bounds[place + 1 :]:
                    most = mapping(limit.get(above)).get(name)
                    other = quantity(most)
                    if size is not None and other is not None and size > other:
                        yield (*path, field, name), f"at most {above}, {most}", said(value)
                        break


def rolling_daemons(seen: View) -> Iterator[Found]:
    """A rollout of a DaemonSet takes pods away first or adds them first, not both and not neither."""
    path: Path = (SPEC, "updateStrategy", "rollingUpdate")
    rolling = mapping(at(seen.body, path))
    surge, gone = (rolling.get(field) for field in ("maxSurge", "maxUnavailable"))
    if gone in (0, "0%") and surge in (None, 0, "0%"):
        yield path, "maxSurge or maxUnavailable above 0", "neither"
    if all(value is not None and value not in (0, "0%") for value in (surge, gone)):
        yield path, "either maxSurge or maxUnavailable above 0", "both"


def rollout(seen: View) -> Iterator[Found]:
    """A rollout can move: it may add a pod or take one away, and only a RollingUpdate has numbers for that."""
    strategy = mapping(at(seen.body, (SPEC, "strategy")))
    deadline, ready = (whole(at(seen.body, (SPEC, field))) for field in ("progressDeadlineSeconds", "minReadySeconds"))
    if deadline is not None and 0 <= deadline <= (ready or 0):
        yield (SPEC, "progressDeadlineSeconds"), f"more than minReadySeconds, {ready or 0}", str(deadline)
    rolling = mapping(strategy.get("rollingUpdate"))
    path: Path = (SPEC, "strategy", "rollingUpdate")
    if strategy.get("type") == "Recreate" and strategy.get("rollingUpdate") is not None:
        yield path, "nothing, since the type is Recreate", "a mapping"
    if all(rolling.get(field) in (0, "0%") for field in ("maxSurge", "maxUnavailable")):
        yield path, "maxSurge or maxUnavailable above 0", "0 and 0"


def autoscaler(seen: View) -> Iterator[Found]:
    """The bounds are in order, and there is something to scale."""
    least, most = whole(at(seen.body, (SPEC, "minReplicas"))), whole(at(seen.body, (SPEC, "maxReplicas")))
    if most is not None and most < 1:
        yield (SPEC, "maxReplicas"), "1 or more", str(most)
    elif most is not None and least is not None and least > most:
        yield (SPEC, "minReplicas"), f"at most maxReplicas, {most}", str(least)
    for field in ("kind", "name"):
        if at(seen.body, (SPEC, "scaleTargetRef", field)) == "":
            yield (SPEC, "scaleTargetRef", field), "a text", "nothing"


def budget(seen: View) -> Iterator[Found]:
    """A budget says what must stay, or what may go, not both."""
    spec = mapping(seen.body.get(SPEC))
    if spec.get("minAvailable") is not None and spec.get("maxUnavailable") is not None:
        yield (SPEC, "maxUnavailable"), "either minAvailable or maxUnavailable", "both"


def schedule_fault(text: str) -> str:
    """What a schedule should have been; empty where it is right.

    >>> schedule_fault("*/5 0-6,12 * JAN ?"), schedule_fault("@daily"), schedule_fault("@every 1h30m")
    ('', '', '')
    >>> schedule_fault("0 24 * * *"), schedule_fault("0 0 * *")
    ('an hour of 0 to 23', 'five fields or a macro such as @daily')
    """
    if len(text) > SCHEDULE_MOST:
        return f"at most {SCHEDULE_MOST} characters"
    if text.startswith("@"):
        return "" if text in MACROS or EVERY.fullmatch(text) else f"{', '.join(sorted(MACROS))} or @every 1h30m"
    fields = text.split()
    if "TZ" in text:
        return "no time zone; spec.timeZone is the place for it"
    if len(fields) != len(FIELDS):
        return "five fields or a macro such as @daily"
    for field, (name, least, most, words) in zip(fields, FIELDS, strict=True):
        if not all(_cron(part.lower(), least, most, words) for part in field.split(",")):
            return f"{'an' if name == 'hour' else 'a'} {name} of {least} to {most}"
    return ""


def _cron(part: str, least: int, most: int, words: Mapping[str, int]) -> bool:
    """Whether `*`, `3`, `1-5`, `*/2`, `1-5/2` or `mon` is right."""
    span, slash, step = part.partition("/")
    if slash and not (step.isascii() and step.isdigit() and len(step) < 9 and int(step) > 0):
        return False
    if span in ("*", "?"):
        return True
    ends = [
        words.get(end, int(end) if end.isascii() and end.isdigit() and len(end) < 9 else -1) for end in span.split("-")
    ]
    return len(ends) <= 2 and least <= ends[0] <= ends[-1] <= most


def schedule(seen: View) -> Iterator[Found]:
    """A CronJob's schedule."""
    text = at(seen.body, (SPEC, "schedule"))
    wanted = schedule_fault(text) if isinstance(text, str) else ""
    if wanted:
        yield (SPEC, "schedule"), wanted, said(text)


AUTOSCALERS: Final[frozenset[Kind]] = frozenset({("autoscaling", "HorizontalPodAutoscaler")})
LIMITS: Final[frozenset[Kind]] = frozenset({("", "LimitRange")})
DAEMONS: Final[frozenset[Kind]] = frozenset({("apps", "DaemonSet")})
BUDGETS: Final[frozenset[Kind]] = frozenset({("policy", "PodDisruptionBudget")})
RULES = (
    Rule("count", "Replicas, limits and times are not negative.", frozenset(COUNTS), counts),
    Rule("pod-time", "Nor are those of a pod.", WORKLOADS, pod_times),
    Rule("share", "Shares of pods are numbers or percentages.", frozenset(SHARES), shares),
    Rule("share-of-all", "Pods that may be missing or must stay are 100% at most.", frozenset(WHOLE), shares_of_all),
    Rule("completions", "A job with an index has a number of completions.", JOBS, completions),
    Rule("limit-range", "The bounds of a limit range are in order.", LIMITS, limit_ranges),
    Rule("rollout-daemon", "A rollout of a DaemonSet has one way to move.", DAEMONS, rolling_daemons),
    Rule("rollout", "A rollout can move.", CONTROLLERS & {("apps", "Deployment")}, rollout),
    Rule("autoscaler", "minReplicas is at most maxReplicas.", AUTOSCALERS, autoscaler),
    Rule("disruption-budget", "Only one of minAvailable and maxUnavailable.", BUDGETS, budget),
    Rule(
        "schedule", "A schedule has five fields in range, or is a macro.", frozenset({("batch", "CronJob")}), schedule
    ),
)
