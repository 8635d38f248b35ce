"""Pairs of a request in words and a Kubernetes manifest: made from a grammar, from real manifests, or imported.

`grammar` makes manifests (`synthesis` takes what differs), `manifests` reads real ones, `intents` writes the request
for either, `importer` reads other people's pairs. `near` finds near-duplicates, `split` keeps them together, `patterns`
finds the second encoder's input, `augment` and `curriculum` are for training, and `build` puts the files in place.
Whether a manifest is valid, and how good it is, is said by `sluicegate.k8s`.
"""

from __future__ import annotations

from typing import Any

SCENARIO = "kubernetes"


def command(**asked: Any) -> str:
    """`sluicegate data k8s`; the arguments are those of `build.command`, which loads what this package stands on."""
    from sluicegate.data.k8s import build

    return build.command(**asked)
