"""What the grammar gives, and how its recipes come by an application."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Final, TypeAlias

from sluicegate.data.k8s.grammar import words
from sluicegate.data.k8s.grammar.apps import App, server, software, worker
from sluicegate.data.k8s.grammar.draw import chance, weighted
from sluicegate.data.k8s.grammar.house import House
from sluicegate.data.k8s.grammar.pods import Load
from sluicegate.data.k8s.grammar.practices import Practices, practices
from sluicegate.data.k8s.grammar.software import AGENTS, STATEFUL, STATELESS
from sluicegate.data.k8s.grammar.wiring import Needs, wire
from sluicegate.data.k8s.render import Body

BACKING: Final[words.Words] = (
    "database", "document store", "object store", "cache", "message broker", "message bus", "event log", "search index",
)  # fmt: skip
"""Uses of stores that belong to one program."""


@dataclass(frozen=True, slots=True)
class Made:
    """One manifest.

    Args:
        bodies: its objects, in the order people write them; JSON values only.
        purpose: what it is for, as a noun: `the checkout api`, `the nightly backup of the orders database`.
    """

    bodies: tuple[Body, ...]
    purpose: str


Recipe: TypeAlias = Callable[[Random, House], Made]
Choice: TypeAlias = Callable[[Random, House, Practices], App]


def any_app(rng: Random, house: House, kept: Practices) -> App:
    """What Deployments run."""
    return weighted(rng, ((58, any_server), (18, any_worker), (18, any_stateless), (6, any_store)))(rng, house, kept)


def any_server(rng: Random, house: House, kept: Practices) -> App:
    """A program of the team's own that listens."""
    return server(rng, house, pinned=kept.pinned)


def any_backend(rng: Random, house: House, kept: Practices) -> App:
    """One that has settings, secrets and stores."""
    return server(rng, house, pinned=kept.pinned, behind=True)


def any_worker(rng: Random, house: House, kept: Practices) -> App:
    """A program of the team's own that takes work from a queue."""
    return worker(rng, house, pinned=kept.pinned)


def any_stateless(rng: Random, house: House, kept: Practices) -> App:
    """A well-known program, several of which may run at once."""
    return software(rng, house, rng.choice(STATELESS), pinned=kept.pinned)


def any_store(rng: Random, house: House, kept: Practices) -> App:
    """A database, a broker, an index."""
    return software(rng, house, rng.choice(STATEFUL), pinned=kept.pinned, stateful=True)


def any_backing(rng: Random, house: House, kept: Practices) -> App:
    """A store that a program keeps its own data in, or hands its work on with."""
    fitting = [kind for kind in STATEFUL if kind.use in BACKING]
    return software(rng, house, rng.choice(fitting), pinned=kept.pinned, stateful=True)


def any_agent(rng: Random, house: House, kept: Practices) -> App:
    """What every node runs: mostly an agent, now and then something that is served from each."""
    if chance(rng, 0.12):
        return weighted(rng, ((2, any_server), (1, any_worker)))(rng, house, kept)
    return software(rng, house, rng.choice(AGENTS), pinned=kept.pinned)


def any_listener(rng: Random, house: House, kept: Practices) -> App:
    """What a service can stand before."""
    return weighted(rng, ((70, any_server), (30, any_stateless)))(rng, house, kept)


def any_site(rng: Random, house: House, kept: Practices) -> App:
    """What an ingress can lead to."""
    if chance(rng, 0.8):
        return server(rng, house, pinned=kept.pinned, plain=True)
    return software(rng, house, rng.choice([kind for kind in STATELESS if kind.probe]), pinned=kept.pinned)


def load(rng: Random, house: House, choice: Choice, needs: Needs = Needs()) -> Load:  # noqa: B008 (frozen)
    """Draw the practices, the application and its wiring of one workload."""
    kept = practices(rng, house.care)
    app = choice(rng, house, kept)
    return Load(house, kept, app, wire(rng, house, app, needs))


def rewired(rng: Random, made: Load, app: App) -> Load:
    """The same workload for another application, or for one that was renamed."""
    return Load(made.house, made.kept, app, wire(rng, made.house, app))
