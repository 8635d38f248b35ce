"""Real manifests as drafts: what a folder of YAML holds, what is kept of it, and why the rest is left out.

Kept is a file whose every object follows the strict schema of its kind and breaks no semantic rule, that is neither a
template nor too large to learn from, and that nothing before it nearly equals. The first folder of its path names the
repository, unless told otherwise: what people copy within a repository must not lie in two splits.

What the API server writes (status, managed fields, the last applied configuration) is taken out. Nothing is executed,
fetched or expanded; links are not followed; a licence is not guessed, so a sample names its repository and path.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from sluicegate.data.k8s.near import Index, of_manifest
from sluicegate.data.k8s.pairs import Draft
from sluicegate.data.k8s.render import Body, to_yaml
from sluicegate.errors import UserError
from sluicegate.k8s.document import Limits
from sluicegate.k8s.validity import Validity, validity

SUFFIXES = (".yaml", ".yml", ".json")
LARGEST = 12_000
"""Characters of a manifest that is kept: some 4,000 tokens, far more than the models read."""
OBJECTS = 8
"""Objects of a manifest that is kept."""
WRITTEN_BY_SERVER = ("creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid")
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
TEMPLATES = ("{{", "{%", "<%", "${")


@dataclass(frozen=True, slots=True)
class Harvest:
    """What was kept, in the order of the paths, and reason → number of files left out."""

    drafts: tuple[Draft, ...]
    left_out: Mapping[str, int]


def harvest(folder: Path, *, depth: int = 1, version: str = "") -> Harvest:
    """Read a folder.

    Args:
        depth: how many leading folders name the repository; 0: none does, and each file stands for itself.
        version: of Kubernetes, whose schemas are asked; the newest where it is empty.

    Raises:
        UserError: no such folder, no manifest in it, a file that cannot be read, or an unknown version.
    """
    paths = _paths(folder)
    index, left_out = Index(), Counter[str]()
    drafts: list[Draft] = []
    for path in paths:
        found = _draft(folder, path, depth, version)
        if isinstance(found, str):
            left_out[found] += 1
            continue
        features = of_manifest(found.bodies)
        if near := index.near(features):
            same = any(drafts[place].text == found.text for place in near)
            left_out["equal to another" if same else "near-duplicate of another"] += 1
            continue
        index.add(features)
        drafts.append(found)
    return Harvest(tuple(drafts), dict(sorted(left_out.items(), key=lambda row: (-row[1], row[0]))))


def _paths(folder: Path) -> list[Path]:
    """Every manifest file, hidden ones and links left out, in an order that is the same everywhere."""
    if not folder.is_dir():
        seen = "a file" if folder.exists() else "no such folder"
        raise UserError(f"{folder}: not a folder", wanted="a folder of Kubernetes manifests", seen=seen)
    found = sorted(_walk(folder), key=lambda path: path.relative_to(folder).as_posix())
    if not found:
        wanted = f"a folder with {', '.join(SUFFIXES)}"
        raise UserError(f"{folder}: no manifests", wanted=wanted, seen="none in it")
    return found


def _walk(folder: Path) -> Iterator[Path]:
    for above, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            path = Path(above) / name
            if path.suffix in SUFFIXES and not name.startswith(".") and path.is_file() and not path.is_symlink():
                yield path


def _draft(folder: Path, path: Path, depth: int, version: str) -> Draft | str:
    """A file as a draft, or why it is left out."""
    try:
        with path.open("rb") as stream:
            data = stream.read(Limits().bytes + 1)
    except OSError as fault:
        raise UserError(f"{path}: cannot be read", wanted="a manifest", seen=fault.strerror or str(fault)) from fault
    told = validity(data, version)
    reason = _unfit(told, data)
    if reason:
        return reason
    bodies = [_own(each.object.body) for each in told.entries if each.object is not None]
    text = to_yaml(bodies)
    if len(text) > LARGEST:
        return f"more than {LARGEST:,} characters"
    if not validity(text, version).valid:
        return "invalid"
    inside = PurePosixPath(path.relative_to(folder).as_posix())
    name = hashlib.sha256(str(inside).encode(errors="surrogateescape")).hexdigest()[:12]
    shown = str(inside).encode(errors="replace").decode()
    meta = {"source": {"path": shown, "sha256": hashlib.sha256(data).hexdigest()}}
    repository = "/".join(inside.parts[:-1][:depth]).encode(errors="replace").decode()
    return Draft(f"k8s-{name}", tuple(bodies), text, repository, meta=meta)


def _unfit(told: Validity, data: bytes) -> str:
    """Why a file is left out: the first reason that holds; empty where it is kept."""
    reasons = {
        "template": not told.valid and any(mark.encode() in data for mark in TEMPLATES),
        "not parsed": not told.parses,
        "no Kubernetes object": not told.entries or any(each.object is None for each in told.entries),
        f"more than {OBJECTS} objects": len(told.entries) > OBJECTS,
        "a kind without a schema": told.unknown > 0,
        "against its schema": not told.strict,
        "against a semantic rule": not told.clean,
        "no name": not all(each.object is not None and each.object.name for each in told.entries),
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


def _own(body: Mapping[str, Any]) -> Body:
    """An object without what the API server writes into it."""
    kept = {key: value for key, value in body.items() if key != "status"}
    metadata = kept.get("metadata")
    if isinstance(metadata, dict):
        kept["metadata"] = {key: value for key, value in metadata.items() if key not in WRITTEN_BY_SERVER}
        notes = metadata.get("annotations")
        if isinstance(notes, dict) and LAST_APPLIED in notes:
            others = {key: value for key, value in notes.items() if key != LAST_APPLIED}
            kept["metadata"] = {key: value for key, value in kept["metadata"].items() if key != "annotations"}
            kept["metadata"] |= {"annotations": others} if others else {}
    return kept
