"""What runs: an application with all that the objects of a bundle must agree on, drawn once and read by each."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from random import Random
from typing import Final

from sluicegate.data.k8s.grammar import house as labels
from sluicegate.data.k8s.grammar import images, words
from sluicegate.data.k8s.grammar.chores import Chore
from sluicegate.data.k8s.grammar.draw import chance, some, weighted
from sluicegate.data.k8s.grammar.house import House
from sluicegate.data.k8s.grammar.software import Software
from sluicegate.data.k8s.grammar.stacks import SERVERS, WORKERS, Stack
from sluicegate.data.k8s.grammar.words import Words

Pairs = tuple[tuple[str, str], ...]
FRONT: Final = frozenset(("web", "frontend", "ui", "spa", "storefront", "shop", "portal", "landing", "cms"))
PORT_NAMES: Final[Words] = ("http", "http", "http", "web", "api", "http-api")
METRICS_PORTS: Final = (9090, 9100, 8081, 9102)
LIVE_COMMANDS: Final[tuple[Words, ...]] = (
    ("cat", "/tmp/healthy"),  # noqa: S108 (a path in the container)
    ("test", "-f", "/tmp/alive"),  # noqa: S108
    ("pgrep", "-f", "worker"),
    ("/bin/sh", "-c", "test $(find /tmp/heartbeat -mmin -1)"),
    ("/app/healthcheck",),
)


@dataclass(frozen=True, slots=True)
class Port:
    """A port of a container.

    Args:
        name: empty where it has none.
        called: what it is called where it must have a name, as a service with several ports asks for.
    """

    number: int
    name: str
    called: str
    protocol: str = "TCP"


@dataclass(frozen=True, slots=True)
class App:
    """An application.

    Args:
        name: of its objects.
        short: of its container.
        purpose: in words, usable in a request: `the checkout api`.
        subject: what it is part of.
        component, tier: for labels.
        image: with tag or digest, as written.
        version: for labels; empty where the image has none.
        base: the image without tag, for containers of the same program.
        ports: none of a program that listens to nobody.
        live, ready: what its probes ask: an HTTP path, a command after `$ `, `grpc`, or empty for a TCP check; a
            program without ports has commands or nothing.
        settings: variables and their values.
        secrets: variable → key in its Secret.
        config, config_text: file that it reads and what is in it; both empty where there is none.
        data: folder that must outlive the pod; empty where there is none.
        uid: that it can run as; 0 where it needs root.
        tall: place in MEMORIES that its requests lie around.
        slow: whether it starts slowly.
        host: folders of the node that it reads.
        gpus: how many it wants.
        stateful: whether it is a store.
        own: whether it is a program of the team's own.
    """

    name: str
    short: str
    purpose: str
    subject: str
    component: str
    tier: str
    image: str
    version: str
    base: str
    ports: tuple[Port, ...] = ()
    live: str = ""
    ready: str = ""
    settings: Pairs = ()
    secrets: Pairs = ()
    config: str = ""
    config_text: str = ""
    data: str = ""
    scratch: Words = ("/tmp",)  # noqa: S108 (a path in the container)
    command: Words = ()
    args: Words = ()
    uid: int = 1000
    tall: int = 6
    slow: bool = False
    host: Words = ()
    gpus: int = 0
    stateful: bool = False
    own: bool = False


def facts(house: House, app: App) -> dict[str, str]:
    """Label key → what it says of an application; empty where there is nothing to say."""
    return {
        **dict.fromkeys(("app", "k8s-app", "run", "name", "service", labels.INSTANCE), app.name),
        labels.NAME: app.name if labels.INSTANCE not in house.selected else app.base.rsplit("/", 1)[-1],
        labels.COMPONENT: app.component, "component": app.component, "role": app.component,
        labels.PART_OF: app.subject, "release": app.subject,
        labels.VERSION: app.version, "version": app.version,
        labels.MANAGED: house.manager, "heritage": "Helm", "chart": f"{app.subject}-{house.team}",
        "team": house.team, "owner": f"team-{house.team}", "tier": app.tier, "environment": house.environment,
    }  # fmt: skip


def selector(house: House, app: App) -> dict[str, str]:
    """The labels that an application's pods are selected by."""
    known = facts(house, app)
    return {key: known[key] for key in house.selected}


def all_labels(house: House, app: App) -> dict[str, str]:
    """The labels of its pods, and of its own objects."""
    known = facts(house, app)
    return {key: known[key] for key in (*house.selected, *house.beside) if known[key]}


def server(rng: Random, house: House, *, pinned: bool, plain: bool = False, behind: bool = False) -> App:
    """A program of the team's own that listens.

    Args:
        plain: over HTTP, so that an ingress can lead to it.
        behind: it has settings, secrets and stores of its own, which what only hands out files has not.
    """
    stack = rng.choice([stack for stack in SERVERS if (stack.live or not plain) and not (stack.static and behind)])
    number = rng.choice(stack.ports)
    rpc = not stack.live
    ports = [_port(house, number, "grpc" if rpc else rng.choice(PORT_NAMES))]
    if chance(rng, 0.08 + 0.2 * house.detail):
        ports.append(_metrics_port(rng, house, number))
    return replace(
        _own(rng, house, stack, pinned=pinned),
        ports=tuple(ports),
        live=weighted(rng, ((88, "grpc" if rpc else rng.choice(stack.live)), (12, ""))),
        ready=weighted(rng, ((92, "grpc" if rpc else rng.choice(stack.ready)), (8, ""))),
        slow=stack.slow,
    )


def _port(house: House, number: int, called: str) -> Port:
    return Port(number, called if house.named else "", called)


def _metrics_port(rng: Random, house: House, taken: int) -> Port:
    return _port(house, rng.choice([port for port in METRICS_PORTS if port != taken]), "metrics")


def worker(rng: Random, house: House, *, pinned: bool) -> App:
    """A program of the team's own that listens to nobody, but perhaps tells its metrics."""
    stack = rng.choice(WORKERS)
    ports = (_metrics_port(rng, house, 0),) if chance(rng, 0.25) else ()
    command = "$ " + shlex.join(rng.choice(LIVE_COMMANDS))
    asked = weighted(rng, ((3, "/healthz"), (2, command))) if ports else command
    return replace(_own(rng, house, stack, pinned=pinned), ports=ports, live=asked, ready=asked, tier="worker")


def _own(rng: Random, house: House, stack: Stack, *, pinned: bool) -> App:
    subject, role = rng.choice(words.SUBJECTS), rng.choice(stack.roles)
    name = weighted(
        rng,
        ((72, f"{subject}-{role}"), (12, subject), (6, f"{house.team}-{subject}-{role}"), (6, f"{subject}-{role}-v2"),
         (4, f"{house.company}-{subject}")),
    )  # fmt: skip
    base, tag = images.own(rng, house, name), images.version(rng)
    command, args = rng.choice(stack.commands) if chance(rng, 0.15 + 0.2 * house.detail) else ((), ())
    return App(
        name=name,
        short=weighted(rng, ((60, name), (14, role), (12, "app"), (8, subject), (6, "main"))),
        purpose=f"the {subject} {role}",
        subject=subject,
        component=role,
        tier="frontend" if role in FRONT else "backend",
        image=images.named(rng, base, tag, pinned=pinned),
        version=tag if pinned else "",
        base=base,
        settings=_settings(rng, house, stack, subject),
        secrets=() if stack.static else tuple(some(rng, words.SECRETS, 0, round(0.8 + 1.6 * house.detail))),
        scratch=stack.scratch,
        command=command,
        args=args,
        data=weighted(rng, ((92, ""), (3, "/data"), (3, f"/var/lib/{subject}"), (2, "/app/uploads"))),
        uid=rng.choice((1000, 1000, 1001, 10001, 65532, 2000, 101)),
        tall=stack.tall,
        own=True,
    )


def _settings(rng: Random, house: House, stack: Stack, subject: str) -> Pairs:
    """Some of the stack's settings, some that any program has, and where its neighbours are."""
    chosen = some(rng, stack.settings, 0, 1 + round(1.5 * house.detail))
    chosen += [] if stack.static else some(rng, words.COMMON, 0, round(0.6 + 3.5 * house.detail))
    drawn = {name: _value(rng, house, values) for name, values in chosen}
    for other in some(rng, words.SUBJECTS, 0, round(2.4 * house.detail)):
        if other != subject:
            port = rng.choice((80, 8080, 3000, 8000, 9000))
            drawn[f"{other.upper()}_URL"] = f"http://{other}{rng.choice(('', '-api', '-service'))}:{port}"
    return tuple(drawn.items())


def _value(rng: Random, house: House, values: Words) -> str:
    """One of the values; where they are environments, the house's own."""
    fitting = [value for value in values if value.lower().startswith(house.environment[:4])]
    return rng.choice(fitting or values)


def software(rng: Random, house: House, kind: Software, *, pinned: bool, stateful: bool = False) -> App:
    """A well-known program, as a team runs it."""
    subject, last = rng.choice(words.SUBJECTS), kind.use.rsplit(" ", 1)[-1].lower()
    shared = chance(rng, 0.85 if kind.host else 0.3)
    name = kind.name if shared else weighted(
        rng, ((60, f"{subject}-{kind.name}"), (16, f"{subject}-{last}"), (14, f"{house.team}-{kind.name}"),
              (10, f"{kind.name}-{subject}")),
    )  # fmt: skip
    tag = rng.choice(kind.tags)
    wanted = chance(rng, 0.25 + 0.6 * house.detail)
    return App(
        name=name,
        short=weighted(rng, ((45, kind.name), (40, name), (15, last))),
        purpose=f"the {kind.use}" if shared or house.team in name else f"the {subject} {kind.use}",
        subject=house.team if shared else subject,
        component=last,
        tier={"cache": "cache", "website": "frontend"}.get(last, "data" if stateful else "backend"),
        image=images.named(rng, kind.image, tag, pinned=pinned),
        version=tag if pinned else "",
        base=kind.image,
        ports=tuple(_port(house, number, called) for called, number in kind.ports[: rng.choice((1, 3, 3))]),
        live=kind.probe,
        ready=kind.probe,
        settings=tuple((key, rng.choice(values)) for key, values in some(rng, kind.env, min(1, len(kind.env)), 6)),
        secrets=kind.secrets,
        config=kind.config if wanted else "",
        config_text=rng.choice(kind.lines) if wanted and kind.lines else "",
        data=kind.data,
        scratch=kind.scratch,
        args=rng.choice(kind.args) if kind.args and (wanted or kind.host) else (),
        uid=kind.uid,
        tall=kind.tall,
        host=kind.host,
        stateful=stateful,
    )


def task(rng: Random, house: House, chore: Chore, *, pinned: bool, again: str = "") -> App:
    """Work that ends; `again`: how often, in words, where it runs on a schedule."""
    subject = rng.choice(words.SUBJECTS)
    name = weighted(
        rng,
        (
            (58, f"{subject}-{chore.name}"),
            (22, f"{chore.name}-{subject}"),
            (8, f"{again}-{chore.name}".lstrip("-")),
            (12, f"{house.team}-{subject}-{chore.name}"),
        ),
    )
    base = chore.image or images.own(rng, house, f"{subject}-jobs" if chance(rng, 0.4) else subject)
    tag = rng.choice(chore.tags) if chore.tags else images.version(rng)
    command = tuple(part.format(subject=subject) for part in chore.command)
    split = rng.choice((len(command), 1, 1))
    what = chore.purpose.format(subject=subject)
    return App(
        name=name,
        short=weighted(rng, ((50, chore.name), (38, name), (12, "job"))),
        purpose=f"the {again} {what}" if again else f"the {what}",
        subject=subject,
        component=chore.name,
        tier="batch",
        image=images.named(rng, base, tag, pinned=pinned),
        version=tag if pinned else "",
        base=base,
        settings=() if chore.image else _task_settings(rng, house),
        secrets=(chore.secret,) if chore.secret else (),
        data=chore.data,
        command=command[:split],
        args=command[split:],
        uid=rng.choice((1000, 1001, 10001, 65532)),
        tall=chore.tall,
        gpus=chore.gpus,
        own=not chore.image,
    )


def _task_settings(rng: Random, house: House) -> Pairs:
    chosen = some(rng, words.COMMON, 0, round(3 * house.detail))
    return tuple((name, _value(rng, house, values)) for name, values in chosen)


def scraped(app: App) -> dict[str, str]:
    """The annotations that a monitor finds an application's metrics by."""
    port = next((port for port in app.ports if port.called == "metrics"), app.ports[0])
    path = "/actuator/prometheus" if app.live.startswith("/actuator") else "/metrics"
    return {"prometheus.io/scrape": "true", "prometheus.io/port": str(port.number), "prometheus.io/path": path}
