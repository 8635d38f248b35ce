"""Check 11: the image is the one that was tested, today and after the next restart."""

from __future__ import annotations

import re
from typing import Final

from sluicegate.k8s.checks.model import RELIABILITY, Check, Container, Flaw, Flaws, Pod, said
from sluicegate.k8s.checks.security import ALL_CONTAINERS
from sluicegate.k8s.parse import Value

TAG: Final = re.compile(r"\w[\w.-]{0,127}", re.ASCII)
DIGEST: Final = re.compile(r"[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[0-9a-fA-F]{32,}")
"""Source: https://github.com/distribution/reference, the grammar at the head of reference.go."""
NAME: Final = re.compile(r"[A-Za-z0-9](?:[\w./:-]*\w)?", re.ASCII)
"""What a suggestion repeats of an image's name."""


def why_loose(image: Value | None) -> str:
    """Why an image is not pinned; empty where it is.

    The name is split at its last slash first, since a registry's port is no tag.

    >>> [why_loose(name) for name in ("nginx:1.27", "registry:5000/nginx:1", "nginx@sha256:" + 64 * "0")]
    ['', '', '']
    >>> why_loose("registry:5000/nginx"), why_loose("nginx:latest"), why_loose("nginx:")
    ('has no tag', 'has the tag latest', 'has no tag')
    """
    if not isinstance(image, str):
        return f"is {said(image)}"
    rest, at, digest = image.partition("@")
    name, _, tag = rest.rpartition("/")[2].partition(":")
    if not name or image.split() != [image]:
        return "is no name of an image"
    if at:
        return "" if DIGEST.fullmatch(digest) else "has no digest after the @"
    if not tag:
        return "has no tag"
    if tag == "latest":
        return "has the tag latest"
    return "" if TAG.fullmatch(tag) else f"has {tag[:40]!r} where a tag belongs"


def _image(_: Pod, container: Container) -> Flaws:
    image = container.body.get("image")
    why = why_loose(image)
    if why:
        shown = f"image {image[:80]} " if isinstance(image, str) and image else "image "
        yield Flaw(
            (*container.path, "image"), shown + why, container.path, {"image": _suggested(image)},
            "which version was tested",
        )  # fmt: skip


def _suggested(image: Value | None) -> str:
    """The same image with a version in place of what is wrong."""
    rest = image.strip().partition("@")[0] if isinstance(image, str) else ""
    registry, slash, last = rest.rpartition("/")
    name = f"{registry}{slash}{last.partition(':')[0]}"
    return f"{name if NAME.fullmatch(name) else 'registry.example/app'}:1.0.0"


IMAGE_PINNED = Check(
    11, "image_pinned", RELIABILITY,
    "The image has a digest, or a tag other than latest.",
    "Without one, two pods of the same Deployment can run different programs, and nobody can go back.",
    ALL_CONTAINERS, _image, {"image": "registry.example/app:1.0.0"},
)  # fmt: skip
