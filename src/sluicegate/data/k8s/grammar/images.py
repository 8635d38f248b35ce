"""Names of images: of a team's own registry or a public one, with a version, a digest, or neither."""

from __future__ import annotations

from random import Random
from typing import Final

from sluicegate.data.k8s.grammar.draw import weighted
from sluicegate.data.k8s.grammar.house import House
from sluicegate.data.k8s.grammar.words import Words

ACCOUNTS: Final[Words] = ("111122223333", "123456789012", "444455556666")
REGIONS: Final[Words] = ("eu-central-1", "us-east-1", "ap-southeast-2")
HEX: Final = "0123456789abcdef"


def own(rng: Random, house: House, name: str) -> str:
    """Where a team keeps the image of a program of its own."""
    company, team = house.company, house.team
    return weighted(
        rng,
        (
            (16, f"registry.example.com/{team}/{name}"),
            (16, f"ghcr.io/{company}/{name}"),
            (12, f"{company}/{name}"),
            (8, f"gcr.io/{company}-{house.environment}/{name}"),
            (9, f"{rng.choice(ACCOUNTS)}.dkr.ecr.{rng.choice(REGIONS)}.amazonaws.com/{name}"),
            (6, f"europe-docker.pkg.dev/{company}-prod/{team}/{name}"),
            (6, f"registry.internal:5000/{name}"),
            (7, f"quay.io/{company}/{name}"),
            (6, f"harbor.example.org/{team}/{name}"),
            (7, f"registry.gitlab.com/{company}/{team}/{name}"),
            (4, f"{company}.azurecr.io/{name}"),
            (5, name),
        ),
    )


def version(rng: Random) -> str:
    """A tag of a program of the team's own."""
    major, minor, patch = rng.randint(0, 4), rng.randint(0, 30), rng.randint(0, 12)
    return weighted(
        rng,
        (
            (36, f"{major}.{minor}.{patch}"),
            (24, f"v{major}.{minor}.{patch}"),
            (8, f"{major}.{minor}"),
            (5, f"v{major + 1}"),
            (8, f"2024.{rng.randint(1, 12)}.{rng.randint(1, 28)}"),
            (6, _hex(rng, 7)),
            (3, f"main-{_hex(rng, 7)}"),
            (3, f"build-{rng.randint(100, 4000)}"),
            (3, f"{major}.{minor}.{patch}-alpine"),
            (2, f"{major}.{minor}.{patch}-rc.{rng.randint(1, 4)}"),
        ),
    )


def _hex(rng: Random, length: int) -> str:
    return "".join(rng.choices(HEX, k=length))


def named(rng: Random, base: str, tag: str, *, pinned: bool) -> str:
    """An image as it is written: with a tag, now and then a digest; `latest` or nothing where it is not pinned."""
    if not pinned:
        return weighted(rng, ((55, f"{base}:latest"), (45, base)))
    return weighted(
        rng, ((96, f"{base}:{tag}"), (2, f"{base}:{tag}@sha256:{_hex(rng, 64)}"), (2, f"{base}@sha256:{_hex(rng, 64)}"))
    )
