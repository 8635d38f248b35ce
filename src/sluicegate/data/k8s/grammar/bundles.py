"""Manifests of several objects that agree with one another.

Each recipe draws one application, or two that know each other, and hands it to every object, so that names, labels,
ports and claims cannot differ. Objects stand in an order that people write them in.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Final

from sluicegate.data.k8s.grammar import access, network, scaling, storage, words, workloads
from sluicegate.data.k8s.grammar.apps import App, all_labels, task
from sluicegate.data.k8s.grammar.chores import CHORES
from sluicegate.data.k8s.grammar.draw import chance, weighted
from sluicegate.data.k8s.grammar.house import House
from sluicegate.data.k8s.grammar.made import (
    Made,
    any_agent,
    any_app,
    any_backend,
    any_backing,
    any_listener,
    any_server,
    any_site,
    any_store,
    any_worker,
    load,
    rewired,
)
from sluicegate.data.k8s.grammar.permissions import DUTIES, Duty
from sluicegate.data.k8s.grammar.pods import Load
from sluicegate.data.k8s.grammar.practices import practices
from sluicegate.data.k8s.grammar.schedules import schedule
from sluicegate.data.k8s.grammar.wiring import Needs, wire
from sluicegate.data.k8s.render import Body

SHORT: Final = {"database": "db", "log": "kafka", "bus": "nats", "index": "search"}
"""What a store is called after its subject, where that is not what it is."""


def _beside(rng: Random, made: Load) -> list[Body]:
    """The objects that a workload's wiring needs, as far as the recipe asked for them."""
    house, app, wiring = made.house, made.app, made.wiring
    found: list[Body] = []
    if wiring.config_map and (wiring.mapped or app.config):
        found.append(storage.config_map(rng, house, app, wiring))
    if wiring.secret and app.secrets:
        found.append(storage.secret(rng, house, app, wiring))
    return found


def served(rng: Random, house: House) -> Made:
    """A Deployment and its Service."""
    made = load(rng, house, any_listener)
    pair = [workloads.deployment(rng, made), network.service(rng, house, made.app)]
    return Made(tuple(pair if chance(rng, 0.75) else pair[::-1]), made.app.purpose)


def configured(rng: Random, house: House) -> Made:
    """A Deployment with its ConfigMap, with or without its Secret and Service."""
    made = load(rng, house, any_app, Needs(config=True, secret=chance(rng, 0.5)))
    behind = [network.service(rng, house, made.app)] if made.app.ports and chance(rng, 0.5) else []
    return Made((*_beside(rng, made), workloads.deployment(rng, made), *behind), made.app.purpose)


def site(rng: Random, house: House) -> Made:
    """A Deployment that is reached from outside: Service and Ingress."""
    made = load(rng, house, any_site)
    inside = network.service(rng, house, made.app)
    outside = network.ingress(rng, house, made.app, network.backend(rng, inside))
    return Made((workloads.deployment(rng, made), inside, outside), made.app.purpose)


def scaled(rng: Random, house: House) -> Made:
    """A Deployment and its autoscaler, with or without a Service."""
    made = load(rng, house, any_server, Needs(scaled=True))
    behind = [network.service(rng, house, made.app)] if chance(rng, 0.6) else []
    bodies = (
        workloads.deployment(rng, made),
        *behind,
        scaling.autoscaler(rng, house, made.app, "Deployment", memory=made.kept.requests),
    )
    return Made(bodies, made.app.purpose)


def guarded(rng: Random, house: House) -> Made:
    """A Deployment, its Service and a disruption budget or network policy."""
    made = load(rng, house, any_listener, Needs(budget=True))
    app = replace(made.app, data="")
    made = replace(made, app=app)
    more = weighted(rng, ((45, (scaling.disruption_budget,)), (35, (network.network_policy,)),
                          (20, (scaling.disruption_budget, network.network_policy))))  # fmt: skip
    parts = tuple(make(rng, house, app) for make in more)
    return Made((workloads.deployment(rng, made), network.service(rng, house, app), *parts), app.purpose)


def whole(rng: Random, house: House) -> Made:
    """All that an application in production has: account, settings, service, ingress, autoscaler, budget."""
    made = load(
        rng, house, any_site, Needs(config=chance(rng, 0.5), account=chance(rng, 0.4), scaled=True, budget=True)
    )
    app = replace(made.app, data="")
    made = replace(made, app=app)
    inside = network.service(rng, house, app)
    first = (
        [access.service_account(rng, house, app.name, all_labels(house, app))]
        if made.wiring.account == app.name
        else []
    )
    bodies = (
        *first,
        *(_beside(rng, made)[:1] if made.wiring.mapped or app.config else []),
        workloads.deployment(rng, made),
        inside,
        *([network.ingress(rng, house, app, network.backend(rng, inside))] if chance(rng, 0.7) else []),
        scaling.autoscaler(rng, house, app, "Deployment", memory=made.kept.requests),
        *([scaling.disruption_budget(rng, house, app)] if chance(rng, 0.6) else []),
    )
    return Made(bodies, app.purpose)


def stored(rng: Random, house: House) -> Made:
    """A Deployment and the claim that it keeps its data in."""
    made = load(rng, house, any_store, Needs(claim=True))
    bodies = (storage.claim(rng, house, made.app, made.wiring.claim), workloads.deployment(rng, made))
    behind = [network.service(rng, house, made.app)] if chance(rng, 0.6) else []
    return Made((*bodies, *behind), made.app.purpose)


def stateful(rng: Random, house: House) -> Made:
    """A StatefulSet under its headless Service, with or without settings, secret and budget."""
    made = load(rng, house, any_store, Needs(secret=chance(rng, 0.6), budget=chance(rng, 0.2)))
    app, name = made.app, rng.choice((made.app.name, f"{made.app.name}-headless"))
    budget = [scaling.disruption_budget(rng, house, app)] if made.wiring.budget else []
    bodies = (
        *_beside(rng, made),
        network.headless(rng, house, app, name),
        workloads.stateful_set(rng, made, name),
        *budget,
    )
    return Made(bodies, app.purpose)


def agent(rng: Random, house: House) -> Made:
    """A DaemonSet with the account and rights that it reads the cluster with, and its settings."""
    made = load(rng, house, any_agent, Needs(account=True))
    duty = next(duty for duty in DUTIES if duty.name == "monitor")
    bodies = (*_rights(rng, house, made.app, duty), *_beside(rng, made)[:1], workloads.daemon_set(rng, made))
    return Made(bodies, made.app.purpose)


def _rights(rng: Random, house: House, app: App, duty: Duty) -> list[Body]:
    """A service account, a role and what binds them."""
    name, labels = app.name, all_labels(house, app)
    given = access.role(rng, house, duty, labels, name=name, subject=app.subject)
    return [
        access.service_account(rng, house, name, labels),
        given,
        access.binding(rng, house, given, [access.account(house, given, name)], labels),
    ]


def scheduled(rng: Random, house: House) -> Made:
    """A CronJob that speaks with the API server, with the account and rights for that."""
    kept, when = practices(rng, house.care), schedule(rng)
    chore = rng.choice([chore for chore in CHORES if chore.account])
    app = task(rng, house, chore, pinned=kept.pinned, again=when.words)
    made = Load(house, kept, app, wire(rng, house, app, Needs(account=True)))
    duty = next(duty for duty in DUTIES if duty.name == ("cleaner" if chore.name == "prune" else "deployer"))
    rights = _rights(rng, house, app, duty)
    return Made((*rights, workloads.cron_job(rng, made, when)), app.purpose)


def prepared(rng: Random, house: House) -> Made:
    """A Job or CronJob with the settings, secret or claim that it needs."""
    kept, when = practices(rng, house.care), schedule(rng)
    again = chance(rng, 0.5)
    chores = [chore for chore in CHORES if (chore.secret or chore.data) and (chore.again or not again)]
    app = task(rng, house, rng.choice(chores), pinned=kept.pinned, again=when.words if again else "")
    made = Load(house, kept, app, wire(rng, house, app, Needs(secret=True, claim=True)))
    claim = [storage.claim(rng, house, app, made.wiring.claim)] if made.wiring.claim else []
    last = workloads.cron_job(rng, made, when) if again else workloads.job(rng, made)
    return Made((*_beside(rng, made), *claim, last), app.purpose)


def pair(rng: Random, house: House) -> Made:
    """A program and the worker that does its slow part, in one image."""
    front, back = load(rng, house, any_backend), load(rng, house, any_worker)
    base = front.app
    app = replace(back.app, name=f"{base.subject}-worker", short="worker", component="worker", subject=base.subject,
                  image=base.image, base=base.base, version=base.version)  # fmt: skip
    behind = [network.service(rng, house, base)] if chance(rng, 0.6) else []
    last = workloads.deployment(rng, rewired(rng, back, app))
    return Made((workloads.deployment(rng, front), *behind, last), f"{base.purpose} and its worker")


def backed(rng: Random, house: House) -> Made:
    """A program, with or without a Service, and the store that it keeps its data in."""
    front, back = load(rng, house, any_backend), load(rng, house, any_backing)
    subject, kind = front.app.subject, back.app.component
    name = f"{subject}-{SHORT.get(kind, kind)}"
    store = replace(back.app, name=name, short=name, subject=subject)
    prefix = SHORT.get(kind, kind).upper()
    settings = {f"{prefix}_HOST": store.name, f"{prefix}_PORT": str(store.ports[0].number)}
    app = replace(front.app, settings=tuple((settings | dict(front.app.settings) | settings).items()))
    bodies = (
        network.headless(rng, house, store, store.name),
        workloads.stateful_set(rng, rewired(rng, back, store), store.name),
        workloads.deployment(rng, rewired(rng, front, app)),
        *([network.service(rng, house, app)] if chance(rng, 0.5) else []),
    )
    return Made(bodies, f"{app.purpose} and its {kind}")


def account(rng: Random, house: House) -> Made:
    """A service account with the rights of its duty."""
    duty, holder = _holder(rng)
    rights = _rights(rng, house, holder, duty)
    return Made(tuple(rights if chance(rng, 0.8) else rights[1:]), holder.purpose)


def rights(rng: Random, house: House) -> Made:
    """A role alone, or with its binding to a group of users."""
    duty, holder = _holder(rng)
    labels = all_labels(house, holder)
    given = access.role(rng, house, duty, labels, name=holder.name, subject=holder.subject)
    bound = [access.binding(rng, house, given, access.people(rng, house), labels)] if chance(rng, 0.7) else []
    return Made((given, *bound), holder.purpose)


def _holder(rng: Random) -> tuple[Duty, App]:
    """A duty, and what has it: a program that is deployed elsewhere."""
    duty, subject = rng.choice(DUTIES), rng.choice(words.SUBJECTS)
    name = rng.choice((f"{subject}-{duty.name}", f"{subject}-{duty.name}", f"{duty.name}-{subject}"))
    purpose = duty.purpose.format(subject=subject)
    return duty, App(name, duty.name, purpose, subject, duty.name, "access", image="", version="", base=subject)


def isolated(rng: Random, house: House) -> Made:
    """Policies of one namespace: nothing may speak, but for what one program needs."""
    app = load(rng, house, any_listener).app
    return Made(
        (network.default_deny(rng, house), network.network_policy(rng, house, app)),
        f"network isolation around {app.purpose}",
    )


def exposed(rng: Random, house: House) -> Made:
    """A Service and an Ingress to pods that are elsewhere."""
    app = load(rng, house, any_site).app
    inside = network.service(rng, house, app)
    return Made((inside, network.ingress(rng, house, app, network.backend(rng, inside))), app.purpose)


def settings(rng: Random, house: House) -> Made:
    """The ConfigMap and the Secret of an application that is elsewhere."""
    app = load(rng, house, any_backend).app
    return Made((storage.lone_config_map(rng, house, app), storage.lone_secret(rng, house, app)), app.purpose)
