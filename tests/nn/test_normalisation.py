"""Batch normalisation shared over the group: equal to BatchNorm3d over the group axis, in value, gradient and state."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gcnnbench.errors import UserError
from gcnnbench.nn.fields import RegularField, feature_field
from gcnnbench.nn.groups import GROUPS, P4, P4M, TRIVIAL, Group
from gcnnbench.nn.normalisation import GroupBatchNorm

ALL = list(GROUPS.values())


def pair(group: Group, channels: int = 3) -> tuple[GroupBatchNorm, nn.BatchNorm3d]:
    """Our layer and PyTorch's with the same random parameters and running statistics."""
    layer, reference = GroupBatchNorm(channels, group=group), nn.BatchNorm3d(channels)
    with torch.no_grad():
        for name in ("weight", "bias", "running_mean", "running_var"):
            values = torch.rand(channels) + 0.5
            getattr(layer, name).copy_(values)
            getattr(reference, name).copy_(values)
    return layer, reference


def features_of(group: Group, channels: int = 3, layout: torch.memory_format = torch.channels_last) -> Tensor:
    return (torch.randn(4, channels * len(group), 5, 6) * 2 + 1).contiguous(memory_format=layout)


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("group", ALL, ids=lambda group: group.name)
def test_equals_batch_norm_over_the_group_axis(group: Group, training: bool, layout: torch.memory_format) -> None:
    layer, reference = pair(group)
    layer.train(training)
    reference.train(training)
    ours, theirs = (features_of(group, layout=layout).requires_grad_() for _ in range(2))
    theirs.data = ours.data.clone()
    output = layer(ours)
    expected = reference(theirs.unflatten(1, (3, len(group)))).flatten(1, 2)
    torch.testing.assert_close(output, expected, rtol=0, atol=1e-10)
    assert output.is_contiguous(memory_format=layout)
    weights = torch.randn_like(output)
    (output * weights).sum().backward()
    (expected * weights).sum().backward()
    assert ours.grad is not None
    assert theirs.grad is not None
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=0, atol=1e-10)
    for name in ("weight", "bias"):
        torch.testing.assert_close(getattr(layer, name).grad, getattr(reference, name).grad, rtol=0, atol=1e-10)
    for name in ("running_mean", "running_var"):
        torch.testing.assert_close(getattr(layer, name), getattr(reference, name), rtol=0, atol=1e-10)


def test_a_norm_without_scale_is_one_whose_scale_stays_one() -> None:
    layer, reference = GroupBatchNorm(3, group=P4, scale=False), GroupBatchNorm(3, group=P4)
    assert [name for name, _ in layer.named_parameters()] == ["bias"]
    assert set(layer.state_dict()) == set(reference.state_dict())
    features = features_of(P4)
    torch.testing.assert_close(layer(features), reference(features), rtol=0, atol=0)
    torch.testing.assert_close(layer.eval()(features), reference.eval()(features), rtol=0, atol=0)
    layer.train()(features).square().sum().backward()
    assert layer.weight.grad is None


def test_gradients_hold_to_the_second_order() -> None:
    layer = GroupBatchNorm(2, group=P4)
    features = torch.randn(2, 8, 2, 2, requires_grad=True)
    assert torch.autograd.gradcheck(layer, (features,))
    assert torch.autograd.gradgradcheck(layer, (features,))


def test_the_backward_kernel_is_given_the_saved_statistics_that_cuda_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel, calls = torch.ops.aten.native_batch_norm_backward, list[tuple[Any, ...]]()

    def noting(*arguments: Any) -> Any:
        calls.append(arguments)
        return kernel(*arguments)

    monkeypatch.setattr(torch.ops.aten, "native_batch_norm_backward", noting)
    norm, features = GroupBatchNorm(2, group=P4), torch.randn(3, 8, 5, 5, requires_grad=True)
    norm(features).square().sum().backward()
    ((_, _, _, mean, variance, saved_mean, saved_inverse_std, *_),) = calls
    torch.testing.assert_close(saved_mean, mean)
    torch.testing.assert_close(saved_inverse_std, (variance + norm.eps).rsqrt())


def test_gradients_of_features_alone() -> None:
    layer, reference = pair(P4)
    layer.requires_grad_(False)
    ours = features_of(P4).requires_grad_()

    def cubes(x: Tensor, buffers: dict[str, Tensor]) -> Tensor:
        output: Tensor = torch.func.functional_call(layer, buffers, (x,))
        return output.pow(3).sum()

    gradient = torch.func.grad(cubes)(ours.detach(), {name: values.clone() for name, values in layer.named_buffers()})
    layer(ours).pow(3).sum().backward()
    assert ours.grad is not None
    torch.testing.assert_close(ours.grad, gradient)
    theirs = ours.detach().clone().requires_grad_()
    reference(theirs.unflatten(1, (3, 4))).pow(3).sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad)


@torch.no_grad()
def equivariance_error(layer: nn.Module, group: Group, channels: int) -> float:
    field, features = feature_field(group), torch.randn(3, channels * len(group), 6, 6)
    output = layer(features)
    return max(
        float((field.act(output, g) - layer(field.act(features, g))).abs().max() / output.std()) for g in group.elements
    )


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("group", ALL, ids=lambda group: group.name)
def test_is_equivariant(group: Group, training: bool) -> None:
    layer, _ = pair(group)
    assert equivariance_error(layer.train(training), group, 3) < 1e-12


@pytest.mark.parametrize("fault", ["scale", "shift", "running mean", "running variance"])
def test_a_norm_per_orientation_is_noticed(fault: str) -> None:
    layer = nn.BatchNorm2d(12).eval()
    name = {"scale": "weight", "shift": "bias", "running mean": "running_mean", "running variance": "running_var"}[
        fault
    ]
    assert equivariance_error(layer, P4, 3) < 1e-12, "as it starts, the fault hides"
    with torch.no_grad():
        getattr(layer, name).uniform_(0.5, 1.5)
    assert equivariance_error(layer, P4, 3) > 1e-3


def test_batch_statistics_per_orientation_are_noticed() -> None:
    features = torch.randn(3, 12, 6, 6) * torch.linspace(1, 2, 12)[:, None, None]
    shared, apart = GroupBatchNorm(3, group=P4), nn.BatchNorm2d(12)
    assert (shared(features) - apart(features)).abs().max() > 1e-3


def test_statistics_survive_a_large_mean() -> None:
    layer = GroupBatchNorm(1, group=P4M).float()
    features = (torch.randn(8, 8, 16, 16) + 1000).float()
    layer(features)
    assert layer.running_var.item() == pytest.approx(0.9 + 0.1 * features.var().item(), rel=1e-4)


def test_runs_under_bfloat16_autocast() -> None:
    layer, _ = pair(P4)
    layer.float()
    features = features_of(P4).float()
    expected = layer(features)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = layer(features.bfloat16())
    assert output.dtype == torch.bfloat16
    torch.testing.assert_close(output.float(), expected, rtol=0.03, atol=0.03)


def test_one_value_a_channel_has_no_variance() -> None:
    with pytest.raises(UserError, match="more than one value for each channel"):
        GroupBatchNorm(2, group=TRIVIAL)(torch.randn(1, 2, 1, 1))


def test_mistakes_are_named() -> None:
    with pytest.raises(UserError, match=r"channels \(=0\) must be at least 1"):
        GroupBatchNorm(0, group=P4)
    with pytest.raises(UserError, match="has 3 channels, but the layer needs 12: 3 channels × 4 elements of p4"):
        GroupBatchNorm(3, group=P4)(torch.randn(2, 3, 4, 4))


def test_says_how_its_output_transforms_and_prints_its_arguments() -> None:
    layer = GroupBatchNorm(3, group=P4)
    assert layer.field == RegularField(P4)
    assert repr(layer) == "GroupBatchNorm(3, group=p4, eps=1e-05, momentum=0.1)"
    assert sorted(layer.state_dict()) == ["bias", "running_mean", "running_var", "weight"]


def test_a_single_channel_is_normalised_within_its_memory() -> None:
    """One value repeated by a view made torch's kernels read what lies behind it, another number each time."""
    for seed in range(20):
        torch.manual_seed(seed)
        layer, reference = GroupBatchNorm(1, group=P4M), nn.BatchNorm3d(1)
        with torch.no_grad():
            layer.weight.fill_(1.7)
            reference.weight.fill_(1.7)
        given = (3 * torch.rand(4, 8, 9, 9) + 5).contiguous(memory_format=torch.channels_last)
        ours, theirs = given.clone().requires_grad_(), given.clone().requires_grad_()
        above = torch.randn(4, 8, 9, 9)
        layer(ours).backward(above)
        reference(theirs.unflatten(1, (1, 8))).flatten(1, 2).backward(above)
        assert ours.grad is not None
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=0, atol=1e-10)
        torch.testing.assert_close(layer.weight.grad, reference.weight.grad, rtol=0, atol=1e-9)
