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


def test_memory_is_used_again_once_nobody_asks_for_it() -> None:
    waiting, start = Waiting(), torch.ones(3, requires_grad=True)
    first = _saved(waiting, start)
    assert not waiting._free
    del first
    places = {copy.data_ptr() for copy in waiting._free}
    assert len(places) == 2  # the last one stayed where it was
    again, beside = _saved(waiting, start), _saved(waiting, 2 * start)
    assert not waiting._free
    assert torch.autograd.grad(beside.sum(), start)[0][0] != torch.autograd.grad(again.sum(), start)[0][0]
    del again, beside
    assert places < {copy.data_ptr() for copy in waiting._free}
    assert len(waiting._free) == 5


def test_memory_of_another_shape_is_given_back() -> None:
    waiting, wide = Waiting(), torch.ones(5, requires_grad=True)
    narrow = _saved(waiting, torch.ones(3, requires_grad=True))
    (found,) = torch.autograd.grad(_saved(waiting, wide).sum(), wide)
    (wanted,) = torch.autograd.grad((wide.exp() ** 2).sin().sum(), wide)
    assert torch.equal(found, wanted)
    del narrow
    assert {tuple(copy.shape) for copy in waiting._free} == {(5,)}
