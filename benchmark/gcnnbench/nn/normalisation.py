"""Batch normalisation shared over the group: one mean, variance, scale and shift for each channel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from gcnnbench.errors import UserError, require_at_least
from gcnnbench.nn.bank import require_channels
from gcnnbench.nn.fields import Field, feature_field
from gcnnbench.nn.groups import Group


def _repeat(values: Tensor, order: int) -> Tensor:
    """(channels,) -> (channels·group,), written out: behind a view of one channel torch's kernels read on."""
    return values.unsqueeze(1).expand(-1, order).reshape(-1).contiguous()


def _by_channel(values: Tensor, order: int) -> Tensor:
    """(channels·group,) -> (channels, group)."""
    return values.view(-1, order)


def _statistics(features: Tensor, order: int) -> tuple[Tensor, Tensor]:
    """Means and biased variances (channels,): taken on channels·group by the native kernel and merged exactly."""
    means, variances = torch.batch_norm_update_stats(features, None, None, 0.0)
    means, variances = _by_channel(means, order), _by_channel(variances, order)
    mean = means.mean(1)
    return mean, variances.mean(1) + (means - mean.unsqueeze(1)).square().mean(1)


def _differentiable_backward(
    grad: Tensor, features: Tensor, weight: Tensor, order: int, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of features, weight and bias by their definition, in steps that can be differentiated again."""
    axes = (0, 2, 3, 4)
    by_group, dy = features.unflatten(1, (-1, order)), grad.unflatten(1, (-1, order))
    variance, mean = torch.var_mean(by_group, axes, correction=0, keepdim=True)
    inverse_std = (variance + eps).rsqrt()
    normalised = (by_group - mean) * inverse_std
    centred = dy - dy.mean(axes, keepdim=True) - normalised * (dy * normalised).mean(axes, keepdim=True)
    scale = weight[:, None, None, None] * inverse_std
    return (centred * scale).flatten(1, 2), (dy * normalised).sum(axes), dy.sum(axes)


class _GroupBatchNorm(torch.autograd.Function):
    """The normalised features with the batch's own statistics, forward and backward on PyTorch's native kernels."""

    generate_vmap_rule = True

    @staticmethod
    def forward(features: Tensor, weight: Tensor, bias: Tensor, order: int, eps: float) -> tuple[Tensor, ...]:
        mean, variance = _statistics(features, order)
        normalised: Tensor = torch.native_batch_norm(
            features,
            _repeat(weight, order),
            _repeat(bias, order),
            _repeat(mean, order),
            _repeat(variance, order),
            False,
            0.0,
            eps,
        )[0]
        return normalised, mean, variance

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        features, weight, _, order, eps = inputs
        _, mean, variance = output
        ctx.order, ctx.eps = order, eps
        ctx.mark_non_differentiable(mean, variance)
        ctx.save_for_backward(features, weight, mean, variance)

    @staticmethod
    def backward(ctx: Any, grad: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        features, weight, mean, variance = ctx.saved_tensors
        order, eps = ctx.order, ctx.eps
        if torch.is_grad_enabled():  # a derivative of this one is wanted
            return (*_differentiable_backward(grad, features, weight, order, eps), None, None)
        inverse_std = (variance + eps).rsqrt()
        _, grad_weight, grad_bias = torch.ops.aten.native_batch_norm_backward(
            grad,
            features,
            _repeat(weight, order),
            _repeat(mean, order),
            _repeat(variance, order),
            _repeat(mean, order),  # CUDA reads the saved ones, which must be there, CPUs those above
            _repeat(inverse_std, order),
            False,
            eps,
            [False, True, True],
        )
        grad_weight = _by_channel(grad_weight, order).sum(1)
        grad_bias = _by_channel(grad_bias, order).sum(1)
        count = features.numel() // weight.numel()
        # dx = scale · (dy − mean(dy) − x̂ · mean(dy·x̂)), written as a·dy + b·x + c with one a, b, c a channel
        a = weight * inverse_std
        b = -a * inverse_std * grad_weight / count
        c = -a * grad_bias / count - b * mean
        grad_features = torch.addcmul(
            _repeat(c, order)[:, None, None], _repeat(b, order)[:, None, None], features
        ).addcmul_(_repeat(a, order)[:, None, None], grad)
        return grad_features, grad_weight, grad_bias, None, None


group_batch_norm: Callable[[Tensor, Tensor, Tensor, int, float], tuple[Tensor, Tensor, Tensor]] = _GroupBatchNorm.apply
"""Features (batch, channels·|group|, height, width), γ and β (channels,), |group| and ε -> normalised, μ and σ²."""


class GroupBatchNorm(nn.Module):
    """Batch normalisation with statistics over (batch, group, height, width), so that it commutes with the group.

    `y[c, h](x) = γ[c] (f[c, h](x) − μ[c]) / √(σ²[c] + ε) + β[c]`. In training μ and σ² are those of the batch and
    the running ones follow, `r ← (1 − momentum) r + momentum s` with the unbiased variance; in evaluation they are the
    running ones. It equals `nn.BatchNorm3d` on (batch, channels, group, height, width).

    Args:
        channels: channels, each of |group| feature maps.
        group: the group of the features.
        eps: ε, added to the variance.
        momentum: the share of the new batch in the running statistics.
        scale: whether γ is a parameter; it is 1 where not.
    """

    weight: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(
        self, channels: int, *, group: Group, eps: float = 1e-5, momentum: float = 0.1, scale: bool = True
    ) -> None:
        super().__init__()
        require_at_least(1, channels=channels)
        self.channels, self.group, self.eps, self.momentum = channels, group, eps, momentum
        self.field: Field = feature_field(group)
        if scale:
            self.weight = nn.Parameter(torch.ones(channels))
        else:
            self.register_buffer("weight", torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, features: Tensor) -> Tensor:
        """(batch, channels·group, height, width) -> the same shape and memory layout.

        Raises:
            UserError: the input has other channels, or in training one value for each channel.
        """
        order = len(self.group)
        require_channels(features, self.channels, self.group)
        if not self.training:
            return nn.functional.batch_norm(
                features,
                _repeat(self.running_mean, order),
                _repeat(self.running_var, order),
                _repeat(self.weight, order),
                _repeat(self.bias, order),
                False,
                0.0,
                self.eps,
            )
        count = features.numel() // self.channels
        if count == 1:
            raise UserError("batch statistics need more than one value for each channel; the batch has one")
        # under autocast the features are in half precision: statistics are not taken in it
        normalised, mean, variance = group_batch_norm(
            features.to(self.weight.dtype), self.weight, self.bias, order, self.eps
        )
        with torch.no_grad():
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * (count / (count - 1)), self.momentum)
        return normalised.to(features.dtype)

    def extra_repr(self) -> str:
        """The constructor's arguments."""
        return f"{self.channels}, group={self.group.name}, eps={self.eps}, momentum={self.momentum}"
