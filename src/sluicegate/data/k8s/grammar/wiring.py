"""How settings, secrets and storage reach an application: written in place, from a ConfigMap or Secret, from a claim.

What is not in the same manifest is referred to by name: it is in the cluster already, as is usual with secrets.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Final

from sluicegate.data.k8s.grammar import words
from sluicegate.data.k8s.grammar.apps import App, Pairs
from sluicegate.data.k8s.grammar.draw import chance, some, weighted
from sluicegate.data.k8s.grammar.house import House

FALLBACK: Final[Pairs] = (("LOG_LEVEL", "info"), ("REQUEST_TIMEOUT", "30s"))
"""What a ConfigMap holds for a program that has no settings."""


@dataclass(frozen=True, slots=True)
class Needs:
    """Which objects stand beside a workload in its manifest, and so must be used by it."""

    config: bool = False
    secret: bool = False
    claim: bool = False
    account: bool = False
    scaled: bool = False
    budget: bool = False


@dataclass(frozen=True, slots=True)
class Wiring:
    """Where an application takes what from.

    Args:
        inline: settings that stand in the container.
        mapped: settings that the ConfigMap has; the container takes them one by one unless `whole_map`.
        config_map: its name; empty where there is none.
        whole_map, whole_secret: whether all keys become variables.
        dashed: whether the keys of single settings are spelled as `log-level`.
        secret: its name; empty where secrets stand in the container, as the careless do.
        claim: name of the claim for `data`; empty where there is none.
        account: name of the service account; empty for the namespace's own.
        pull_secret: that the image is fetched with; empty where it is public.
        scaled: whether an autoscaler sets its replicas.
        budget: whether a disruption budget watches over it.
    """

    inline: Pairs
    mapped: Pairs = ()
    config_map: str = ""
    whole_map: bool = False
    dashed: bool = False
    secret: str = ""
    whole_secret: bool = False
    claim: str = ""
    account: str = ""
    pull_secret: str = ""
    scaled: bool = False
    budget: bool = False


def wire(rng: Random, house: House, app: App, needs: Needs = Needs()) -> Wiring:
    """Draw where an application takes what from."""
    mapped = _mapped(rng, house, app, needs)
    named = bool(mapped) or needs.config or bool(app.config)
    return Wiring(
        inline=tuple(pair for pair in app.settings if pair not in mapped),
        mapped=mapped,
        config_map=f"{app.name}-{rng.choice(('config', 'config', 'settings', 'env'))}" if named else "",
        whole_map=bool(mapped) and chance(rng, 0.7),
        dashed=chance(rng, 0.4),
        secret=_secret(rng, house, app, needs),
        whole_secret=chance(rng, 0.2),
        claim=_claim(rng, app, needs),
        account=app.name if needs.account else _account(rng, house, app),
        pull_secret=rng.choice(("regcred", "registry-credentials", "pull-secret"))
        if app.own and chance(rng, 0.12)
        else "",
        scaled=needs.scaled,
        budget=needs.budget,
    )


def _mapped(rng: Random, house: House, app: App, needs: Needs) -> Pairs:
    """A map that holds a file holds no settings: a file name is no variable."""
    if app.config:
        return ()
    if needs.config:
        known = dict(app.settings)
        fallback = () if len(known) > 1 else tuple(pair for pair in FALLBACK if pair[0] not in known)
        return (*fallback, *app.settings)
    if len(app.settings) > 1 and chance(rng, 0.1 + 0.1 * house.care):
        return tuple(some(rng, app.settings, 1, len(app.settings)))
    return ()


def _secret(rng: Random, house: House, app: App, needs: Needs) -> str:
    if not app.secrets or (not needs.secret and chance(rng, 0.35 - 0.5 * house.care)):
        return ""
    ending = rng.choice(("secret", "secrets", "credentials"))
    shared = not needs.secret and chance(rng, 0.25)
    return f"{app.subject}-{ending}" if shared else f"{app.name}-{ending}"


def _claim(rng: Random, app: App, needs: Needs) -> str:
    if not app.data or not (needs.claim or app.tier == "batch" or chance(rng, 0.55)):
        return ""
    return weighted(rng, ((60, f"{app.name}-data"), (20, f"{app.name}-pvc"), (20, f"data-{app.name}")))


def _account(rng: Random, house: House, app: App) -> str:
    return weighted(rng, ((60, app.name), (25, f"{app.name}-sa"), (15, f"{app.subject}-runner"))) if chance(
        rng, 0.05 + 0.2 * house.detail * max(house.care, 0)
    ) else ""  # fmt: skip


def key(wiring: Wiring, setting: str) -> str:
    """The key of a setting in its ConfigMap."""
    return setting.lower().replace("_", "-").replace(".", "-") if wiring.dashed and not wiring.whole_map else setting


def placeholder(rng: Random) -> str:
    """What stands in a manifest in the place of a secret."""
    return rng.choice(words.PLACEHOLDERS)
