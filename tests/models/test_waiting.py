"""Saved tensors in the host's memory: the same values, and memory that is used again."""

from __future__ import annotations

import torch

from sluicegate.models.waiting import Waiting


def _saved(waiting: Waiting, start: torch.Tensor) -> torch.Tensor:
    with waiting.hooks():
        return (start.exp() ** 2).sin()


def test_a_gradient_is_what_it_is_without() -> None:
    start = torch.linspace(-1, 1, 12).view(3, 4).requires_grad_()
    waiting = Waiting()
    for _ in range(2):
        (found,) = torch.autograd.grad(_saved(waiting, start).sum(), start)
        (wanted,) = torch.autograd.grad((start.exp() ** 2).sin().sum(), start)
        assert torch.equal(found, wanted)


def _gradient(saved: torch.Tensor, start: torch.Tensor) -> torch.Tensor:
    (found,) = torch.autograd.grad(saved.sum(), start)
    return found


def _places(waiting: Waiting) -> set[int]:
    return {copy.data_ptr() for free in waiting._free.values() for copy in free}


def test_memory_is_used_again_once_nobody_asks_for_it() -> None:
    waiting, start = Waiting(), torch.ones(3, requires_grad=True)
    first = _saved(waiting, start)
    assert not _places(waiting)
    del first
    places = _places(waiting)
    assert len(places) == 2  # the last one stayed where it was
    again, beside = _saved(waiting, start), _saved(waiting, 2 * start)
    assert not _places(waiting)
    assert torch.equal(_gradient(beside, start), _gradient(((2 * start).exp() ** 2).sin(), start))
    assert torch.equal(_gradient(again, start), _gradient((start.exp() ** 2).sin(), start))
    del again, beside
    assert places < _places(waiting)
    assert len(_places(waiting)) == 5


def test_shapes_that_alternate_and_what_is_empty_take_no_new_memory() -> None:
    waiting, places = Waiting(), []
    starts = [torch.ones(size, requires_grad=True) for size in (3, 0, 5)]
    for _ in range(3):
        made = [_saved(waiting, start) for start in starts]
        for saved, start in zip(made, starts, strict=True):
            assert torch.equal(_gradient(saved, start), _gradient((start.exp() ** 2).sin(), start))
        del made, saved
        places.append(_places(waiting))
    assert places[0] and places[0] == places[1] == places[2]
