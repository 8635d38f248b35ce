"""Tracking: the run folder is written first, MLflow is a window on it.

`spool.Spool` writes events beside the run and never talks to a server; `sender` has them carried to MLflow by a
process of its own, whenever a server is there. This module holds the contract and the tracker that does nothing; it
never imports mlflow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, Protocol

Status = Literal["FINISHED", "FAILED", "KILLED"]
STORE, ARTIFACTS = "mlflow.db", "mlartifacts"


class Tracker(Protocol):
    """What a training loop or a stage tells of itself; no call waits for a network or fails by it."""

    def run(
        self,
        name: str,
        experiment: str,
        parent: Path | str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Start a run, or go on with the one already begun.

        Args:
            name: what people read, the model's or the stage's name.
            experiment: the study's name.
            parent: folder of the parent's spool, or None.
            tags: `stage`, `arm`, `git_commit`, …
        """

    def params(self, values: Mapping[str, object]) -> None:
        """Record settings. Values under names of secrets are left out."""

    def dataset(self, name: str, path: Path, sha256: str, samples: int) -> None:
        """Record a data file that went in: `train`, `val` or `test`, its digest and its number of samples."""

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Record figures at a step. NaN and infinities are left out and counted."""

    def artifact(self, path: Path, under: str = "") -> None:
        """Name a file or folder to be kept with the run, in the artifact folder `under`."""

    def model(self, name: str, files: Sequence[Path], tags: Mapping[str, str]) -> None:
        """Name the files of the finished model, which becomes a model of MLflow's with these tags."""

    def end(self, status: Status) -> None:
        """End the run."""


class Null:
    """A tracker that records nothing."""

    def run(
        self,
        name: str,
        experiment: str,
        parent: Path | str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Nothing."""

    def params(self, values: Mapping[str, object]) -> None:
        """Nothing."""

    def dataset(self, name: str, path: Path, sha256: str, samples: int) -> None:
        """Nothing."""

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Nothing."""

    def artifact(self, path: Path, under: str = "") -> None:
        """Nothing."""

    def model(self, name: str, files: Sequence[Path], tags: Mapping[str, str]) -> None:
        """Nothing."""

    def end(self, status: Status) -> None:
        """Nothing."""


def default_uri(runs: Path) -> str:
    """The tracking store of a machine without a server: a SQLite file under `runs`.

    Artifacts lie beside it in `runs/mlartifacts`, because the sender makes each experiment with that
    location.

    >>> default_uri(Path("/srv/runs"))
    'sqlite:////srv/runs/mlflow.db'
    """
    return f"sqlite:///{(runs.absolute() / STORE).as_posix()}"
