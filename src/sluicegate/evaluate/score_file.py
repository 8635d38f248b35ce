"""A score file of one model: where each of its rows stands, what they were made from, and their order at the end.

Beside `scores.jsonl` lies `scores.jsonl.inputs.json`: sample and draw → digest of what was scored, so that rows
of other answers are never mixed in.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sluicegate import jsonl
from sluicegate.errors import UserError
from sluicegate.evaluate.answers import Answers, Whole
from sluicegate.evaluate.unconfined import stands
from sluicegate.evaluators import INFRA
from sluicegate.records import Score, to_json

INPUTS = ".inputs.json"
NO_PREDICTION = "no prediction"
NONE, AGAIN = -1, -2
"""Instead of a row's offset: there is none; it stands at `AGAIN - offset` and is to be made again."""


def settled(score: Score) -> bool:
    """Whether the row stands; what was our failure, had no prediction or no sandbox yet, is scored again."""
    failed = score.value is None and score.why.startswith((INFRA, NO_PREDICTION))
    return not failed and stands(score)


def unsettled(out: Path) -> bool:
    """Whether a score file holds rows that would be scored again."""
    return any(not settled(row) for _, row in jsonl.each(Score, out))


class ScoreFile:
    """Where the rows of a score file stand: 8 bytes of memory for each."""

    def __init__(self, out: Path, answers: Answers) -> None:
        """Find the rows that are there.

        Raises:
            UserError: they are of other samples, answers or models than those given.
        """
        self.out, self._answers = out, answers
        self._rows: dict[str, Whole] = {}
        self._empty: set[tuple[int, str]] = set()
        self._noted: NDArray[np.uint64] = np.zeros_like(answers.digests)
        self._is_noted = np.zeros(len(answers.draws), bool)
        if out.exists():
            self._find()

    def _find(self) -> None:
        if self.out.stat().st_size and not self._inputs.exists():
            # before a torn line is cut off: the whole of somebody's JSON may be one line without an end
            raise UserError(
                f"{self.out}: holds something, and {self._inputs.name} is not beside it",
                wanted="scores that evaluate wrote, with their digests beside them, or no file",
                seen=f"{self.out.stat().st_size} bytes of unknown origin",
                mend="choose another file, or move this one away",
            )
        jsonl.cut_torn_line(self.out)
        self._read_inputs()
        for offset, row in jsonl.each(Score, self.out):
            if not self._is_ours(row):
                raise self._others(row)
            if row.why == NO_PREDICTION:
                self.add_empty(self._answers.number[row.sample_id], row.metric)
            else:
                self.add(row, offset)

    @property
    def _inputs(self) -> Path:
        return self.out.with_name(self.out.name + INPUTS)

    def _is_ours(self, row: Score) -> bool:
        if row.model != self._answers.model:
            return False
        if row.why == NO_PREDICTION:
            return row.sample_id in self._answers.number
        place = self._answers.place(row.sample_id, row.draw)
        return place is not None and bool(self._is_noted[place] and self._noted[place] == self._answers.digests[place])

    def _others(self, row: Score) -> UserError:
        return UserError(
            f"{self.out}: holds scores of other answers",
            wanted=f"scores of {self._answers.model} on the answers and samples given",
            seen=f"{row.model}, sample {row.sample_id!r}, draw {row.draw}: another text, sample or model",
            mend=f"choose another file, or move {self.out} and {self._inputs.name} away",
        )

    def add(self, row: Score, offset: int) -> None:
        """Remember where a row stands."""
        place = self._answers.place(row.sample_id, row.draw)
        if place is not None:
            self._of(row.metric)[place] = offset if settled(row) else AGAIN - offset

    def add_empty(self, number: int, metric: str) -> None:
        """Remember a sample that has no prediction, so that it counts in the coverage; none that has one."""
        if not self._answers.places(number):
            self._empty.add((number, metric))

    def _of(self, metric: str) -> Whole:
        if metric not in self._rows:
            self._rows[metric] = np.full(len(self._answers.draws), NONE, np.int64)
        return self._rows[metric]

    def lacks(self, place: int, metric: str) -> bool:
        """Whether the row is to be made."""
        return bool(self._of(metric)[place] < 0)

    def missing(self, numbers: Iterable[int], metrics: Sequence[str]) -> int:
        """Rows to be made for these samples."""
        first = self._answers.first
        lacking = [np.concatenate(([0], np.cumsum(self._of(metric) < 0))) for metric in metrics]
        return sum(int(row[first[number + 1]] - row[first[number]]) for number in numbers for row in lacking)

    def note_inputs(self, numbers: Iterable[int]) -> None:
        """Write the digests of what is scored now beside the file: before the first row, so that no row is without."""
        for number in numbers:
            here = self._answers.places(number)
            self._noted[here.start : here.stop] = self._answers.digests[here.start : here.stop]
            self._is_noted[here.start : here.stop] = True
        lines = self._input_lines()
        with jsonl.replacing(self._inputs, "w") as stream:
            stream.write("{\n" + next(lines, ""))
            stream.writelines(f",\n{line}" for line in lines)
            stream.write("\n}\n")

    def _input_lines(self) -> Iterator[str]:
        for number, sample in enumerate(self._answers.samples):
            for place in self._answers.places(number):
                if self._is_noted[place]:
                    yield f'{json.dumps(f"{sample.id}#{self._answers.draws[place]}")}: "{self._noted[place]:016x}"'

    def _read_inputs(self) -> None:
        """One `"sample#draw": "digest"` a line, since the whole may be larger than what is held."""
        if not self._inputs.exists():
            return
        try:
            with self._inputs.open(encoding="utf-8") as stream:
                for line in stream:
                    for name, told in json.loads("{" + line.strip().strip("{},") + "}").items():
                        sample, _, draw = name.rpartition("#")
                        place = self._answers.place(sample, int(draw))
                        if place is not None:
                            self._noted[place], self._is_noted[place] = int(told, 16), True
        except (OSError, ValueError, TypeError, OverflowError) as fault:
            raise UserError(
                f"{self._inputs}: cannot be read",
                wanted="the digests of what was scored, as they were written",
                seen=str(fault)[:200],
                mend=f"restore it from a copy, or move {self.out} and {self._inputs.name} away",
            ) from None

    def settle(self, metrics: Sequence[str]) -> None:
        """Rewrite the file in order: samples as in the data, draws, metrics as asked, others by name."""
        known = {*self._rows, *(metric for _, metric in self._empty)}
        order = [*metrics, *sorted(known - {*metrics})]
        with self.out.open("rb") as source, jsonl.replacing(self.out) as target:
            for number, sample in enumerate(self._answers.samples):
                for metric in order:
                    if (number, metric) in self._empty:
                        empty = Score(sample.id, self._answers.model, 0, metric, None, NO_PREDICTION)
                        target.write(f"{to_json(empty)}\n".encode())
                for place in self._answers.places(number):
                    for metric in order:
                        offset = int(self._of(metric)[place])
                        if offset != NONE:
                            source.seek(offset if offset >= 0 else AGAIN - offset)
                            target.write(source.readline())
