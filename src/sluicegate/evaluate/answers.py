"""The predictions of one model on the samples of a data set: where each stands in its file, in the samples' order."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from sluicegate import jsonl
from sluicegate.data.reader import read_samples
from sluicegate.errors import UserError
from sluicegate.records import Prediction, Sample, digest, from_json, to_dict

Whole = NDArray[np.int64]
DRAWS = 2**62
"""Numbers of draws are below it."""


@dataclass(frozen=True, slots=True)
class Answers:
    """One model's predictions, samples in the order of the data, draws in their own; a prediction has a place there.

    Notation: S samples, N predictions.

    Args:
        number: sample id → its number in the data.
        first: (S + 1,), the place of each sample's first prediction; its last one is before the next one's first.
        draws: (N,).
        offsets: (N,), bytes into the file.
        digests: (N,) of uint64, of the sample and the answer's text.
    """

    path: Path
    model: str
    samples: Sequence[Sample]
    number: dict[str, int]
    first: Whole
    draws: Whole
    offsets: Whole
    digests: NDArray[np.uint64]

    def places(self, number: int) -> range:
        """The places of a sample's predictions."""
        return range(int(self.first[number]), int(self.first[number + 1]))

    def place(self, sample_id: str, draw: int) -> int | None:
        """The place of a prediction; None where there is none."""
        number = self.number.get(sample_id)
        if number is None or not -DRAWS < draw < DRAWS:
            return None
        places = self.places(number)
        found = places.start + int(np.searchsorted(self.draws[places.start : places.stop], draw))
        return found if found < places.stop and self.draws[found] == draw else None

    def read(self, place: int, stream: IO[bytes]) -> Prediction:
        """The prediction at a place, from the file when it is open."""
        offset = int(self.offsets[place])
        stream.seek(offset)
        return from_json(Prediction, jsonl.clean(stream.readline(), offset))


def find(data: Sequence[Path], predictions: Path) -> Answers:
    """Read both once; the texts of the predictions are not kept.

    Raises:
        UserError: an empty file, a sample's id in two files, a prediction of an unknown sample or given twice, two
            models in one file.
    """
    samples = _samples(data)
    number = {sample.id: place for place, sample in enumerate(samples)}
    numbers, draws, offsets, digests = array("q"), array("q"), array("q"), array("Q")
    asked: dict[int, str] = {}
    models: set[str] = set()
    for line, (offset, answer) in enumerate(jsonl.each(Prediction, predictions), start=1):
        found = number.get(answer.sample_id)
        if found is None:
            raise _unknown(predictions, line, answer, data, samples)
        if not -DRAWS < answer.draw < DRAWS:
            raise UserError(f"{predictions}:{line}: draw out of range", wanted="0, 1, …", seen=str(answer.draw)[:60])
        if found not in asked:
            asked[found] = digest(to_dict(samples[found]))
        numbers.append(found)
        draws.append(answer.draw)
        offsets.append(offset)
        digests.append(int(digest([asked[found], answer.text, answer.finish])[:16], 16))
        models.add(answer.model)
    if not models:
        raise UserError(f"{predictions}: empty", wanted="at least one prediction", seen="0 lines")
    if len(models) > 1:
        raise UserError(f"{predictions}: {len(models)} models", wanted="one", seen=", ".join(sorted(models)[:5]))
    order = np.lexsort((draws, numbers))
    whose, which = np.array(numbers, np.int64)[order], np.array(draws, np.int64)[order]
    _refuse_repeats(predictions, samples, whose, which)
    return Answers(
        predictions, models.pop(), samples, number, np.searchsorted(whose, np.arange(len(samples) + 1)),
        which, np.array(offsets, np.int64)[order], np.array(digests, np.uint64)[order],
    )  # fmt: skip


def _samples(data: Sequence[Path]) -> list[Sample]:
    samples = [sample for path in data for sample in read_samples(path)]
    seen: set[str] = set()
    for sample in samples:
        if sample.id in seen:
            raise UserError(
                f"{', '.join(map(str, data))}: ids repeat", wanted="an id once in all files", seen=repr(sample.id)
            )
        seen.add(sample.id)
    return samples


def _unknown(
    predictions: Path, line: int, answer: Prediction, data: Sequence[Path], samples: Sequence[Sample]
) -> UserError:
    return UserError(
        f"{predictions}:{line}: sample {answer.sample_id!r} is not in {', '.join(map(str, data))}",
        wanted="predictions on the samples of the data file",
        seen=f"{len(samples)} samples, the first {samples[0].id!r}",
        mend="name the data file that the predictions were made from",
    )


def _refuse_repeats(path: Path, samples: Sequence[Sample], numbers: Whole, draws: Whole) -> None:
    again = np.flatnonzero((numbers[1:] == numbers[:-1]) & (draws[1:] == draws[:-1]))
    if again.size:
        name = f"{samples[int(numbers[again[0]])].id}, draw {draws[again[0]]}"
        raise UserError(f"{path}: given twice: {name}", wanted="each once", seen=f"{again.size} repeated")
