from __future__ import annotations

import pytest

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")

from sluicegate.models.head import head_loss, head_scores  # noqa: E402


@pytest.mark.parametrize("at_once", [1, 600, 2000, 10**6])
@pytest.mark.parametrize("frozen", [False, True])
def test_slices_change_neither_loss_nor_gradients(at_once: int, frozen: bool) -> None:
    torch.manual_seed(0)
    hidden, weight = torch.randn(10, 8, requires_grad=True), torch.randn(300, 8, requires_grad=not frozen)
    targets = torch.randint(0, 300, (10,))
    parts = [hidden] if frozen else [hidden, weight]
    whole = torch.nn.functional.cross_entropy(hidden @ weight.T, targets, reduction="sum")
    wanted = torch.autograd.grad(3 * whole, parts)
    found = head_loss(hidden, weight, targets, at_once=at_once)
    assert float(found.detach()) == pytest.approx(float(whole.detach()), rel=1e-5)
    for one, other in zip(torch.autograd.grad(3 * found, parts), wanted, strict=True):
        assert torch.allclose(one, other, atol=1e-5)
    with torch.no_grad():
        assert float(head_loss(hidden, weight, targets, at_once=at_once)) == pytest.approx(float(whole), rel=1e-5)


@pytest.mark.parametrize("at_once", [1, 600, 10**6])
def test_scores_and_their_gradients_are_those_of_all_logits_at_once(at_once: int) -> None:
    torch.manual_seed(0)
    hidden, weight = torch.randn(10, 8, requires_grad=True), torch.randn(300, 8, requires_grad=True)
    targets, above = torch.randint(0, 300, (10,)), torch.randn(10)
    logs = (hidden @ weight.T).log_softmax(-1)
    whole = logs.gather(1, targets[:, None])[:, 0]
    wanted = torch.autograd.grad((whole * above).sum(), [hidden, weight])
    scores, entropy = head_scores(hidden, weight, targets, at_once=at_once)
    assert torch.allclose(scores, whole, atol=1e-5)
    assert torch.allclose(entropy, -(logs.exp() * logs).sum(-1), atol=1e-4)
    assert not entropy.requires_grad
    for one, other in zip(torch.autograd.grad((scores * above).sum(), [hidden, weight]), wanted, strict=True):
        assert torch.allclose(one, other, atol=1e-5)


def test_under_autocast_products_are_rough_and_gradients_float32() -> None:
    torch.manual_seed(0)
    hidden, weight = torch.randn(50, 8, requires_grad=True), torch.randn(300, 8, requires_grad=True)
    targets = torch.randint(0, 300, (50,))
    exact = torch.autograd.grad(head_loss(hidden, weight, targets), [hidden, weight])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss, (scores, _) = head_loss(hidden, weight, targets), head_scores(hidden, weight, targets)
    assert loss.dtype == scores.dtype == torch.float32
    assert float(-scores.sum().detach()) == pytest.approx(float(loss.detach()), rel=1e-4)
    for found in (torch.autograd.grad(loss, [hidden, weight]), torch.autograd.grad(-scores.sum(), [hidden, weight])):
        assert [one.dtype for one in found] == [torch.float32] * 2
        assert all(float((one - other).norm() / other.norm()) < 0.02 for one, other in zip(found, exact, strict=True))
