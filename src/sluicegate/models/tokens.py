"""Prompt and completion as tokens, inside a window.

Prompt and completion are tokenised apart and put one behind the other, with nothing between them: a separator
belongs into the data. So generation, which sees the prompt only, sees exactly the tokens that training saw,
whatever the completion begins with. An end-of-sequence token follows the completion. A base model's chat
template is not used: both arms of an experiment see what their files say, and nothing that a base adds to it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sluicegate.errors import UserError
from sluicegate.records import Sample
from sluicegate.settings import OverLong

NAMED = 5
"""Samples named in one message."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """A sample in tokens: prompt, completion, end of sequence; the first `prompt` of them carry no loss."""

    ids: tuple[int, ...]
    prompt: int

    @property
    def tokens(self) -> int:
        """Tokens in all."""
        return len(self.ids)

    @property
    def targets(self) -> int:
        """Tokens that carry loss: the completion and the end of sequence."""
        return len(self.ids) - self.prompt


def prompt_ids(tokenizer: Any, prompt: str) -> list[int]:
    """The prompt's tokens with what the tokenizer puts before it (BOS), without what it puts behind (EOS)."""
    ids = list(tokenizer(prompt, add_special_tokens=True)["input_ids"])
    while ids and ids[-1] == tokenizer.eos_token_id and ids[-1] != tokenizer.bos_token_id:
        ids.pop()
    return ids


def encode(tokenizer: Any, sample: Sample) -> Tokens:
    """Prompt, completion and end of sequence."""
    prompt = prompt_ids(tokenizer, sample.prompt)
    completion = list(tokenizer(sample.completion, add_special_tokens=False)["input_ids"])
    return Tokens((*prompt, *completion, tokenizer.eos_token_id), len(prompt))


def encode_all(
    tokenizer: Any, samples: Sequence[Sample], *, window: int, over_long: OverLong, source: Path
) -> list[Tokens]:
    """All samples in tokens, none longer than the window.

    Args:
        tokenizer: the base's.
        samples: of one file.
        window: most tokens of a sample, its end of sequence included.
        over_long: `error` refuses, `drop` leaves out, `truncate` cuts the prompt's start.
        source: the samples' file, for messages.

    Raises:
        UserError: what `error` refuses; with `truncate`, a prompt that fills the window alone or a completion
            that leaves no room for a prompt; a file that is empty after dropping.
    """
    encoded = [encode(tokenizer, sample) for sample in samples]
    long = [(sample.id, item) for sample, item in zip(samples, encoded, strict=True) if item.tokens > window]
    if not long:
        return encoded
    if over_long == "error":
        raise _too_long(source, long, window)
    if over_long == "truncate":
        _refuse(source, long, window, "a prompt fills the window alone", lambda item: item.prompt >= window)
        _refuse(source, long, window, "a completion leaves no prompt", lambda item: item.targets >= window)
        return [_cut(item, window) for item in encoded]
    kept = [item for item in encoded if item.tokens <= window]
    if not kept:
        raise UserError(
            f"{source}: every sample is longer than the window, so none is left",
            wanted=f"samples of at most {window} tokens (MAX_SEQ_LENGTH)",
            seen=f"the shortest has {min(item.tokens for item in encoded)} tokens",
            mend="raise MAX_SEQ_LENGTH, or shorten the samples",
        )
    return kept


def _cut(item: Tokens, window: int) -> Tokens:
    """The sample without the start of its prompt; a token in front of it (BOS) goes with it."""
    excess = max(0, item.tokens - window)
    return Tokens(item.ids[excess:], item.prompt - excess)


def _too_long(source: Path, long: Sequence[tuple[str, Tokens]], window: int) -> UserError:
    name, longest = max(long, key=lambda pair: pair[1].tokens)
    full = [name for name, item in long if item.prompt >= window]
    alone = f"; prompts that fill the window alone: {_named(full)}" if full else ""
    return UserError(
        f"{source}: {len(long)} sample(s) are longer than the window; nothing was trained",
        wanted=f"at most {window} tokens, prompt and completion together (MAX_SEQ_LENGTH)",
        seen=f"the longest is {name!r} with {longest.tokens} tokens{alone}",
        mend=f"MAX_SEQ_LENGTH={longest.tokens}, OVER_LONG=drop, or OVER_LONG=truncate (cuts the prompt's start)",
    )


def _refuse(
    source: Path, long: Sequence[tuple[str, Tokens]], window: int, what: str, bad: Callable[[Tokens], bool]
) -> None:
    names = [name for name, item in long if bad(item)]
    if names:
        raise UserError(
            f"{source}: {what}: {_named(names)}",
            wanted=f"room for both within {window} tokens (MAX_SEQ_LENGTH)",
            seen=f"{len(names)} such sample(s)",
            mend="raise MAX_SEQ_LENGTH, shorten the samples, or OVER_LONG=drop",
        )


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(repr(name) for name in names[:NAMED]) + more
