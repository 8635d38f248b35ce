"""Samples as an encoder-decoder takes them: tokens for each encoder, and the completion, each inside the window.

A single encoder reads the prompt and, behind an end-of-sequence token, the context; a dual encoder reads them apart. A
text is tokenised by itself and ends with an end-of-sequence token, so the separator is a token that no text contains.
An empty context has no token at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sluicegate.errors import UserError
from sluicegate.models.tokens import NAMED, prompt_ids
from sluicegate.records import Sample
from sluicegate.settings import OverLong

Given = tuple[list[int], ...]
Reads = Callable[[Any, Sample], Given]


@dataclass(frozen=True, slots=True)
class Pair:
    """A sample in tokens.

    Args:
        given: tokens for each encoder.
        target_ids: of the completion, its end of sequence included.
    """

    given: tuple[tuple[int, ...], ...]
    target_ids: tuple[int, ...]

    @property
    def tokens(self) -> int:
        """Tokens in all."""
        return sum(map(len, self.given)) + len(self.target_ids)

    @property
    def targets(self) -> int:
        """Tokens that carry loss: the completion and the end of sequence."""
        return len(self.target_ids)

    @property
    def longest(self) -> int:
        """Tokens of its longest part."""
        return max(len(self.target_ids), *map(len, self.given))


def joined(tokenizer: Any, sample: Sample) -> Given:
    """For one encoder: the prompt, an end of sequence, the context where there is one, an end of sequence."""
    intent, pattern = apart(tokenizer, sample)
    return ([*intent, *pattern],)


def apart(tokenizer: Any, sample: Sample) -> Given:
    """For two encoders: the prompt for one, the context for the other, an end of sequence behind each."""
    end = tokenizer.eos_token_id
    context = tokenizer(sample.context, add_special_tokens=False)["input_ids"] if sample.context else []
    return [*prompt_ids(tokenizer, sample.prompt), end], [*context, end] if sample.context else []


def pair(tokenizer: Any, sample: Sample, reads: Reads) -> Pair:
    """A sample in tokens."""
    completion = tokenizer(sample.completion, add_special_tokens=False)["input_ids"]
    given = tuple(tuple(part) for part in reads(tokenizer, sample))
    return Pair(given, (*completion, tokenizer.eos_token_id))


def encode_all(
    tokenizer: Any, samples: Sequence[Sample], reads: Reads, *, window: int, over_long: OverLong, source: Path
) -> list[Pair]:
    """All samples in tokens, no part of them longer than the window.

    Args:
        tokenizer: the base's.
        samples: of one file.
        reads: `joined` or `apart`.
        window: most tokens of what an encoder reads, and of the completion, the ends of sequence included.
        over_long: `error` refuses, `drop` leaves out, `truncate` cuts the start of the prompt and the end of a pattern
            that is read by itself.
        source: the samples' file, for messages.

    Raises:
        UserError: what `error` refuses; with `truncate`, a completion that is longer than the window, or a context that
            leaves no room for a prompt; a file that is empty after dropping.
    """
    encoded = [pair(tokenizer, sample, reads) for sample in samples]
    if over_long == "truncate":
        encoded = [_cut(tokenizer, sample, item, window) for sample, item in zip(samples, encoded, strict=True)]
    long = [(sample.id, item) for sample, item in zip(samples, encoded, strict=True) if item.longest > window]
    if not long:
        return encoded
    if over_long != "drop":
        raise _too_long(source, long, window, over_long)
    kept = [item for item in encoded if item.longest <= window]
    if not kept:
        raise UserError(
            f"{source}: every sample is longer than the window, so none is left",
            wanted=f"prompts, contexts and completions of at most {window} tokens each (MAX_SEQ_LENGTH)",
            seen=f"the shortest needs {min(item.longest for item in encoded)} tokens",
            mend="raise MAX_SEQ_LENGTH, or shorten the samples",
        )
    return kept


def _cut(tokenizer: Any, sample: Sample, item: Pair, window: int) -> Pair:
    """The sample with what may be cut of it within the window; an end of sequence stays where it is."""
    first, *rest = item.given
    context = 0 if rest or not sample.context else len(apart(tokenizer, sample)[1])
    if window > context + 1:  # else no token of the prompt would be left
        first = first[max(0, len(first) - window) :]
    cut = (part if len(part) <= window else (*part[: window - 1], part[-1]) for part in rest)
    return Pair((first, *cut), item.target_ids)


def _too_long(source: Path, long: Sequence[tuple[str, Pair]], window: int, over_long: OverLong) -> UserError:
    name, longest = max(long, key=lambda row: row[1].longest)
    parts = ", ".join(str(len(part)) for part in longest.given)
    named = ", ".join(repr(name) for name, _ in long[:NAMED]) + (", …" if len(long) > NAMED else "")
    truncate = "" if over_long == "truncate" else ", or OVER_LONG=truncate (cuts the prompt's start, the pattern's end)"
    cannot = " and cannot be cut to it" if over_long == "truncate" else ""
    return UserError(
        f"{source}: {len(long)} sample(s) are longer than the window{cannot}: {named}; nothing was trained",
        wanted=f"at most {window} tokens to read and {window} to write (MAX_SEQ_LENGTH)",
        seen=f"the longest is {name!r} with {parts} tokens to read and {len(longest.target_ids)} to write",
        mend=f"MAX_SEQ_LENGTH={longest.longest}, OVER_LONG=drop{truncate}",
    )


def batched(examples: Sequence[Pair], budget: int, *, step: int) -> list[list[Pair]]:
    """Examples in batches of at most `budget` tokens, padding counted, each with others of about its length.

    An example that is larger by itself is a batch of its own; `step` is that of `shape`.
    """
    batches: list[list[Pair]] = []
    widths: tuple[int, ...] = ()
    for example in sorted(examples, key=lambda item: (-item.targets, -item.tokens)):
        own = shape([example], step=step)
        wider = tuple(map(max, widths, own)) if widths else own
        if batches and (len(batches[-1]) + 1) * sum(wider) <= budget:
            batches[-1].append(example)
            widths = wider
        else:
            batches.append([example])
            widths = own
    return batches


def packed(examples: Sequence[Pair], limits: Sequence[int]) -> list[list[Pair]]:
    """Examples in batches of which no side has more tokens than its limit, each example in the first that has room.

    An example that is larger by itself is a batch of its own.

    Args:
        examples: of any order.
        limits: for each encoder, and for the target.
    """
    batches: list[list[Pair]] = []
    rooms: list[list[int]] = []
    for example in sorted(examples, key=lambda item: (-item.targets, -item.tokens)):
        sizes = [len(part) for part in (*example.given, example.target_ids)]
        left = ([room - size for room, size in zip(had, sizes, strict=True)] for had in rooms)
        place, rest = next(((place, rest) for place, rest in enumerate(left) if min(rest) >= 0), (len(batches), None))
        if rest is None:
            batches.append([])
            rooms.append([limit - size for limit, size in zip(limits, sizes, strict=True)])
        else:
            rooms[place] = rest
        batches[place].append(example)
    return batches


def shape(examples: Sequence[Pair], *, step: int) -> tuple[int, ...]:
    """Widths that examples are padded to, multiples of `step`: one for each encoder, and the target's.

    >>> shape([Pair(((1,) * 65, ()), (1, 2))], step=64)
    (128, 64, 64)
    """
    return tuple(max(1, -(-max(map(len, side)) // step)) * step for side in _sides(examples))


def covering(examples: Sequence[Pair]) -> Pair:
    """A sample of token 0 that is as long on each side as the longest of these there."""
    *given, target = ((0,) * max(map(len, side)) for side in _sides(examples))
    return Pair(tuple(given), target)


def _sides(examples: Sequence[Pair]) -> Iterator[tuple[tuple[int, ...], ...]]:
    return zip(*((*item.given, item.target_ids) for item in examples), strict=True)
