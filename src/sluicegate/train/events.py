"""What the loop tells its tracker: on the first process only, and no step twice when a training goes on."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from sluicegate.folder import EVENTS, git_commit
from sluicegate.jsonl import read_text
from sluicegate.models import Facts
from sluicegate.records import Run, from_json
from sluicegate.settings import TrainSettings
from sluicegate.tracking import Status, Tracker
from sluicegate.tracking.spool import curves, read
from sluicegate.tracking.state import SENT
from sluicegate.train import identity, result
from sluicegate.train.boards import Board
from sluicegate.train.step import Taken

BOARD = "tensorboard"
POINTS = 500
"""Points of a loss curve, about; longer trainings tell every few steps."""


class Events:
    """The tracker as the loop sees it.

    Args:
        main: whether this is the first process; the others tell nothing.
        steps: optimizer steps of the training.
        boards: write figures for TensorBoard too, into `tensorboard/`.

    Raises:
        UserError: TensorBoard is asked for and nothing can be written there.
    """

    def __init__(self, tracker: Tracker, model_dir: Path, *, main: bool, steps: int, boards: bool = False) -> None:
        self.tokens_per_s = 0.0
        """Training tokens a second since the last step told, padding left out."""
        self._tracker, self._folder, self._main = tracker, model_dir, main
        self._steps, self._every = steps, max(1, steps // POINTS)
        spool = model_dir / EVENTS
        known = curves(spool) if main and spool.exists() else {}
        self._told = {name: points[-1][0] for name, points in known.items()}
        self._since, self._tokens = time.monotonic(), 0
        self._board = Board(model_dir / BOARD) if boards and main else None

    def begin(self, run: Run, facts: Facts, *, experiment: str, parent: Path | None) -> None:
        """The run and its settings; of one that goes on, that it does."""
        if self._main:
            tags = {"arm": run.arm, "stage": "" if run.stage is None else str(run.stage), "git_commit": git_commit()}
            self._tracker.run(run.name, experiment, parent, tags)
            if not self._told:
                about = {"base": facts.base, "loaded_in_4bit": facts.loaded_in_4bit, "why_4bit": facts.why_4bit}
                self._tracker.params({**run.settings, **about})

    def data(self, settings: TrainSettings, run: Run, *, train: int, val: int) -> None:
        """The files that went in, with their numbers of samples."""
        if self._main and not self._told:
            self._tracker.dataset("train", settings.dataset_path, run.data_sha256, train)
            if settings.val_dataset_path:
                self._tracker.dataset("val", settings.val_dataset_path, str(run.settings["val_sha256"]), val)

    def step(self, step: int, taken: Taken) -> None:
        """A step's figures."""
        self._tokens += taken.tokens
        if step % self._every and step not in {1, self._steps}:
            return
        now = time.monotonic()
        self.tokens_per_s = self._tokens / max(1e-9, now - self._since)
        self._since, self._tokens = now, 0
        self._metrics(
            step,
            {
                "train/loss": taken.loss,
                "train/learning_rate": taken.learning_rate,
                "train/grad_norm": taken.grad_norm,
                "train/tokens_per_s": self.tokens_per_s,
                **taken.figures,
            },
        )

    def validation(self, step: int, loss: float, chosen_by: Mapping[str, float]) -> None:
        """The validation loss after a step, and what checkpoints are chosen by; its time does not count as training."""
        self._metrics(step, {"val/loss": loss, **{f"val/{name}": value for name, value in chosen_by.items()}})
        self._since, self._tokens = time.monotonic(), 0

    def _metrics(self, step: int, values: dict[str, float]) -> None:
        if self._main and step > self._told.get(next(iter(values)), -1):
            self._tracker.metrics(values, step)
            if self._board is not None:
                for name, value in values.items():
                    self._board.scalar(name, value, step)

    def files(self) -> None:
        """The finished model's files, and what the model is."""
        if not self._main:
            return
        own = {EVENTS, SENT}
        files = [path for path in sorted(self._folder.iterdir()) if path.is_file() and path.name not in own]
        files = [path for path in files if not path.name.startswith(".")]
        for path in files:
            self._tracker.artifact(path, "model")
        self._tracker.model(self._folder.name, files, lineage(self._folder))

    def finished_before(self) -> None:
        """The files and the end of a finished training, where a kill came before they were told."""
        spool = self._folder / EVENTS
        known = [event for _, event in read(spool) if event] if self._main and spool.exists() else []
        ends = [event["status"] for event in known if event["kind"] == "end"]
        if known and ends[-1:] != ["FINISHED"]:
            self.files()
            self.end("FINISHED")

    def end(self, status: Status) -> None:
        """How the run ended."""
        if self._main:
            self._tracker.end(status)
        if self._board is not None:
            self._board.close()


def lineage(model_dir: Path) -> dict[str, str]:
    """What a finished model was made of and by: the tags of its record."""
    run, done = from_json(Run, read_text(model_dir / identity.RUN)), result.read(model_dir)
    told = {
        "arm": run.arm, "stage": run.stage, "seed": run.seed, "base_model": run.base_model,
        "data_sha256": run.data_sha256, "val_sha256": run.settings.get("val_sha256"), "git_commit": run.git_commit,
        "weights_sha256": done.sha256 if done else None, "loaded_in_4bit": done.loaded_in_4bit if done else None,
    }  # fmt: skip
    return {name: str(value) for name, value in told.items() if value not in {None, ""}}
