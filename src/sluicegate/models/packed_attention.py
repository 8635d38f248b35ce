"""Attention for rows of unequal length that stand one behind the other, with T5's bias by distance and its dropout.

The kernels are in `packed_kernels`. Nothing is spent on padding, rows do not see each other, and no matrix of what is
added to the products is held, forward or backward. The same input and seed give the same bits.

Notation: B rows of T tokens, N tokens that count; P sources of S tokens, M of them count; H heads, D features a head,
R distances each way.
"""
# ruff: noqa: PLR0917 - what an operator is given has a place

from __future__ import annotations

import functools
import importlib.util
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from sluicegate.console import say
from sluicegate.errors import first_line

TILE = 64
"""Tokens of a tile along whose diagonals gradients are summed; distances are a multiple of it."""
PROGRAMS = 3072
"""Programs that such sums are spread over, about: they hold a tile each."""
WIDTHS = frozenset({16, 32, 64, 128})
"""Features a head that the kernels take."""
HALVES = frozenset({torch.bfloat16, torch.float16})
DRAWS = 2**24
"""What the share of dropped weights is counted in."""
AGREE = 0.05
"""Relative error that the kernels may have in bfloat16; on an H200 it was at most 0.003."""


@dataclass(frozen=True, slots=True)
class Tile:
    """Queries and keys that a program looks at together, and how it is laid out."""

    queries: int
    keys: int
    warps: int
    stages: int


FORWARD, TO_QUERIES, TO_KEYS = Tile(64, 32, 4, 3), Tile(64, 32, 4, 3), Tile(32, 64, 4, 3)
SUMS = Tile(TILE, TILE, 8, 2)
"""The fastest of ten shapes on an H200, for 64 rows of 32 to 512 tokens; queries and keys divide `TILE`."""


@dataclass(frozen=True, slots=True)
class Pack:
    """Which tokens of rows count, and where each row's begin once the others are gone.

    Args:
        places: [N] of all B · T tokens; None where all count.
        starts: [B + 1], int32: where in the pack each row begins, and N.
        longest: tokens of the longest row.
    """

    places: torch.Tensor | None
    starts: torch.Tensor
    longest: int

    def of(self, states: torch.Tensor) -> torch.Tensor:
        """The tokens that count, [N, F], of [B, T, F]."""
        flat = states.flatten(0, 1)
        return flat if self.places is None else flat.index_select(0, self.places)

    def back(self, states: torch.Tensor, rows: int, tokens: int) -> torch.Tensor:
        """[B, T, F] of what `of` gives, 0 where no token counts."""
        if self.places is None:
            return states.view(rows, tokens, -1)
        whole = states.new_zeros(rows * tokens, states.shape[-1])
        return whole.index_copy(0, self.places, states).view(rows, tokens, -1)


def packed(
    mask: torch.Tensor | None, rows: int, tokens: int, device: torch.device, *, apart: bool = False
) -> Pack | None:
    """The pack of rows with such a mask; None where a row's tokens do not stand side by side. It waits for the device.

    Args:
        mask: [B, T], other than 0 for a token that counts; None for all.
        rows: B.
        tokens: T.
        device: where the pack is wanted.
        apart: whether they need not, since nobody looks at their distances.
    """
    if mask is None:
        return Pack(None, torch.arange(0, rows * tokens + 1, tokens, dtype=torch.int32, device=device), tokens)
    there = mask.cpu() != 0
    lengths = there.sum(1)
    begins = (there[:, 1:] & ~there[:, :-1]).sum(1) + there[:, 0]
    if not apart and bool((begins > 1).any()):
        return None
    starts = torch.zeros(rows + 1, dtype=torch.int32)
    starts[1:] = lengths.cumsum(0)
    longest, whole = int(lengths.max()) if rows else 0, int(starts[-1]) == rows * tokens
    places = None if whole else there.flatten().nonzero()[:, 0].to(device, non_blocking=True)
    return Pack(places, starts.to(device, non_blocking=True), longest)


def reach(longest: int) -> int:
    """R for rows of at most so many tokens."""
    return max(1, -(-longest // TILE)) * TILE


def own(
    fused: Any, by_distance: Any, starts: Any, longest: int, seed: int, *, dropped: float, causal: bool
) -> torch.Tensor:
    """Attention of rows to themselves, without scaling, [N, H · D].

    Args:
        fused: [N, 3 · H · D] queries, keys and values.
        by_distance: [H, 2 · R], float32: what is added for a key that stands R before the query, R - 1, …
        starts: see `Pack`.
        longest: see there.
        seed: of the weights that are dropped, below 2^31.
        dropped: their share, in [0, 1).
        causal: whether later keys are not seen.
    """
    found: torch.Tensor = torch.ops.sluicegate.own(fused, by_distance, starts, longest, seed, dropped, causal)[0]
    return found


def cross(
    query: Any, fused: Any, answers: tuple[Any, int], there: tuple[Any, int], seed: int, *, heads: int, dropped: float
) -> torch.Tensor:
    """Attention of rows to sources, without scaling, [N, H · D]; a row whose source is empty takes nothing, 0.

    Args:
        query: [N, H · D].
        fused: [M, 2 · H · D] keys and values.
        answers: where the rows of each source begin, P + 1 numbers, and the most tokens of a source's rows.
        there: where the sources begin, and the most tokens of one.
        seed: see `own`.
        heads: H.
        dropped: see `own`.
    """
    found: torch.Tensor = torch.ops.sluicegate.cross(query, fused, *answers, *there, seed, heads, dropped)[0]
    return found


@torch.library.custom_op(  # type: ignore[untyped-decorator]
    "sluicegate::own",
    mutates_args=(),
    schema="(Tensor fused, Tensor by_distance, Tensor starts, SymInt longest, SymInt seed, float dropped, bool causal)"
    " -> (Tensor, Tensor, Tensor)",
)
def _own(
    fused: Any, by_distance: Any, starts: Any, longest: int, seed: int, dropped: float, causal: bool
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    work = _Work(len(by_distance), by_distance, starts, longest, starts, longest, dropped, causal)
    return work.forward(fused.chunk(3, -1), seed)


@torch.library.custom_op(  # type: ignore[untyped-decorator]
    "sluicegate::own_slopes",
    mutates_args=(),
    schema="(Tensor above, Tensor fused, Tensor by_distance, Tensor[] found, Tensor starts, SymInt longest,"
    " float dropped, bool causal) -> (Tensor, Tensor)",
)
def _own_slopes(
    above: Any, fused: Any, by_distance: Any, found: Sequence[Any], starts: Any, longest: int, dropped: float,
    causal: bool,
) -> tuple[torch.Tensor, torch.Tensor]:  # fmt: skip
    into = torch.empty_like(fused)
    work = _Work(len(by_distance), by_distance, starts, longest, starts, longest, dropped, causal)
    return into, work.backward(fused.chunk(3, -1), found, above.contiguous(), into.chunk(3, -1))


@torch.library.custom_op(  # type: ignore[untyped-decorator]
    "sluicegate::cross",
    mutates_args=(),
    schema="(Tensor query, Tensor fused, Tensor starts, SymInt longest, Tensor sources, SymInt furthest, SymInt seed,"
    " int heads, float dropped) -> (Tensor, Tensor, Tensor)",
)
def _cross(
    query: Any, fused: Any, starts: Any, longest: int, sources: Any, furthest: int, seed: int, heads: int,
    dropped: float,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:  # fmt: skip
    work = _Work(heads, None, starts, longest, sources, furthest, dropped, False)
    return work.forward((query, *fused.chunk(2, -1)), seed)


@torch.library.custom_op(  # type: ignore[untyped-decorator]
    "sluicegate::cross_slopes",
    mutates_args=(),
    schema="(Tensor above, Tensor query, Tensor fused, Tensor[] found, Tensor starts, SymInt longest, Tensor sources,"
    " SymInt furthest, float dropped) -> (Tensor, Tensor)",
)
def _cross_slopes(
    above: Any, query: Any, fused: Any, found: Sequence[Any], starts: Any, longest: int, sources: Any, furthest: int,
    dropped: float,
) -> tuple[torch.Tensor, torch.Tensor]:  # fmt: skip
    to_query, into = torch.empty_like(query), torch.empty_like(fused)
    work = _Work(len(found[1]), None, starts, longest, sources, furthest, dropped, False)
    work.backward((query, *fused.chunk(2, -1)), found, above.contiguous(), (to_query, *into.chunk(2, -1)))
    return to_query, into


def _found(states: Any, width: int, heads: int, dropped: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Memory for what `_Work.forward` gives."""
    log = states.new_empty((heads, states.shape[0]), dtype=torch.float32)
    drawn = states.new_empty(log.shape if dropped else (1,), dtype=torch.int32)
    return states.new_empty((states.shape[0], width)), log, drawn


@_own.register_fake  # type: ignore[untyped-decorator]
def _(fused: Any, by_distance: Any, starts: Any, longest: int, seed: int, dropped: float, causal: bool) -> Any:
    return _found(fused, fused.shape[1] // 3, by_distance.shape[0], dropped)


@_cross.register_fake  # type: ignore[untyped-decorator]
def _(query: Any, fused: Any, starts: Any, longest: int, sources: Any, furthest: int, seed: int, heads: int,
      dropped: float) -> Any:  # fmt: skip
    return _found(query, query.shape[1], heads, dropped)


@_own_slopes.register_fake  # type: ignore[untyped-decorator]
def _(above: Any, fused: Any, by_distance: Any, *_: Any) -> Any:
    return torch.empty_like(fused), torch.empty_like(by_distance)


@_cross_slopes.register_fake  # type: ignore[untyped-decorator]
def _(above: Any, query: Any, fused: Any, *_: Any) -> Any:
    return torch.empty_like(query), torch.empty_like(fused)


def _keep_own(ctx: Any, inputs: Any, output: Any) -> None:
    fused, by_distance, starts, ctx.longest, _, ctx.dropped, ctx.causal = inputs
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(fused, by_distance, starts, *output)


def _own_backward(ctx: Any, above: Any, *_: Any) -> tuple[Any, ...]:
    fused, by_distance, starts, *found = ctx.saved_tensors
    slopes = torch.ops.sluicegate.own_slopes(
        above, fused, by_distance, found, starts, ctx.longest, ctx.dropped, ctx.causal
    )
    return *slopes, None, None, None, None, None


def _keep_cross(ctx: Any, inputs: Any, output: Any) -> None:
    query, fused, starts, ctx.longest, sources, ctx.furthest, _, _, ctx.dropped = inputs
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(query, fused, starts, sources, *output)


def _cross_backward(ctx: Any, above: Any, *_: Any) -> tuple[Any, ...]:
    query, fused, starts, sources, *found = ctx.saved_tensors
    slopes = torch.ops.sluicegate.cross_slopes(
        above, query, fused, found, starts, ctx.longest, sources, ctx.furthest, ctx.dropped
    )
    return *slopes, None, None, None, None, None, None, None


_own.register_autograd(_own_backward, setup_context=_keep_own)
_cross.register_autograd(_cross_backward, setup_context=_keep_cross)


@dataclass(frozen=True, slots=True)
class _Work:
    """The kernels with what they need beside queries, keys and values; for the names see `own` and `cross`."""

    heads: int
    by_distance: torch.Tensor | None
    starts: torch.Tensor
    longest: int
    sources: torch.Tensor
    furthest: int
    dropped: float
    causal: bool

    def forward(self, given: Sequence[Any], seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Of queries, keys and values: output, [N, H · D], logarithms of the sums, [H, N], and what was drawn, [H, N].

        Where nothing is dropped, the last is one number of no meaning.
        """
        from sluicegate.models import packed_kernels

        out, log, drawn = _found(given[0], given[0].shape[-1], self.heads, self.dropped)
        packed_kernels.forward[self._grid(self.longest, FORWARD.queries)](
            *given, out, log, self._bias(log), self.starts, self.sources, drawn, seed,
            *self._sides(len(out)), *_steps(*given, out), **self._said(out, FORWARD),
        )  # fmt: skip
        return out, log, drawn

    def backward(self, given: Sequence[Any], found: Sequence[Any], above: Any, into: Sequence[Any]) -> Any:
        """Write the gradients of queries, keys and values into `into`; returns that of the bias, None without one.

        Args:
            given: queries, keys and values.
            found: what `forward` gave.
            above: the output's gradient.
            into: see there.
        """
        from sluicegate.models import packed_kernels

        out, log, drawn = found
        to_query, *others = into
        delta, starts, sides = torch.empty_like(log), (self.starts, self.sources), self._sides(len(out))
        known = (*given, above, log, delta, self._bias(log))
        packed_kernels.to_queries[self._grid(self.longest, TO_QUERIES.queries)](
            *given, out, above, log, delta, self._bias(log), *starts, drawn, to_query, *sides,
            *_steps(*given, out, above, to_query), **self._said(out, TO_QUERIES),
        )  # fmt: skip
        packed_kernels.to_keys[self._grid(self.furthest, TO_KEYS.keys)](
            *known, *starts, drawn, *others, *sides, *_steps(*given, above, *others), **self._said(out, TO_KEYS)
        )
        return None if self.by_distance is None else self._to_bias(self.by_distance, known, drawn)

    def _to_bias(self, by_distance: Any, known: Sequence[Any], drawn: Any) -> torch.Tensor:
        from sluicegate.models import packed_kernels

        count, across = len(self.starts) - 1, _tiles(self.longest, TILE)
        tiles = across if self.causal else 2 * across - 1
        parts = max(1, min(count, PROGRAMS // (tiles * self.heads)))
        sums = torch.empty(parts, self.heads, tiles, TILE, TILE, dtype=torch.float32, device=by_distance.device)
        said = {name: value for name, value in self._said(known[0], SUMS).items() if name not in {"COLUMNS", "BIASED"}}
        packed_kernels.to_tiles[tiles, self.heads, parts](
            *known, self.starts, drawn, sums, *self._sides(len(known[0])), count, 1 - across,
            *_steps(*known[:4]), **said,
        )  # fmt: skip
        slopes = torch.empty_like(by_distance)
        packed_kernels.to_distances[slopes.shape[1] // TILE, self.heads](
            sums, slopes, tiles, parts, 1 - across, slopes.shape[1] // 2, ROWS=TILE
        )
        return slopes

    def _grid(self, tokens: int, size: int) -> tuple[int, int, int]:
        """A program for each tile of so many tokens, head and row."""
        return _tiles(tokens, size), self.heads, len(self.starts) - 1

    def _said(self, states: Any, tile: Tile) -> dict[str, Any]:
        """What a kernel is made for."""
        return {
            "D": states.shape[-1] // self.heads, "ROWS": tile.queries, "COLUMNS": tile.keys, "CAUSAL": self.causal,
            "BIASED": self.by_distance is not None, "DROPS": self.dropped > 0, "num_warps": tile.warps,
            "num_stages": tile.stages,
        }  # fmt: skip

    def _sides(self, count: int) -> tuple[Any, ...]:
        """What a kernel takes behind its tensors: the share that is dropped and its counterweight, R, and N."""
        reaches = 0 if self.by_distance is None else self.by_distance.shape[1] // 2
        return round(self.dropped * DRAWS), 1.0 / (1.0 - self.dropped), reaches, count

    def _bias(self, other: Any) -> Any:
        """What is added by distance; any other tensor where nothing is, which is not looked at."""
        return other if self.by_distance is None else self.by_distance


def _steps(*parts: Any) -> list[int]:
    """From one token to the next."""
    return [part.stride(0) for part in parts]


def _tiles(tokens: int, size: int) -> int:
    return max(1, -(-tokens // size))


@functools.cache
def usable(device: torch.device, width: int) -> bool:
    """Whether the kernels run for heads of `width` features, and give what the formula does: tried once, not known."""
    if device.type != "cuda" or width not in WIDTHS or importlib.util.find_spec("triton") is None:
        return False
    import triton

    from sluicegate.models.packed_trial import error

    try:
        with torch.inference_mode(False), torch.enable_grad():
            apart = error(device, torch.bfloat16, width)
        told = f"they are off by {apart:.2g}"
    except (RuntimeError, OSError, ImportError, AttributeError, triton.TritonError) as fault:
        apart, told = math.inf, first_line(fault)
    if apart <= AGREE:
        return True
    say(f"rows keep their padding, attention kernels of half the time are not used: {told}")
    return False
