"""A trained network of this suite made faster for scoring: norms folded into the convolutions, nothing else changed."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import conv2d

from benchmark.nn.convolution import GroupConv, filter_bank
from benchmark.nn.dense import Dense
from benchmark.nn.dropout import Dropout
from benchmark.nn.groups import TRIVIAL
from benchmark.nn.network import Network
from benchmark.nn.normalisation import GroupBatchNorm
from benchmark.nn.residual import Residual
from benchmark.nn.separable import SeparableGroupConv

Convolution = GroupConv | SeparableGroupConv


class FoldedConv(nn.Module):
    """An ordinary convolution with a finished filter bank, followed by a ReLU where asked.

    Args:
        bank: (out_channels·group, in_channels·in_group, height, width).
        bias: (out_channels·group,).
        conv: the group convolution whose stride, padding and dilation are taken.
        groups: the number of blocks of channels that do not see each other.
        rectified: whether a ReLU follows.
    """

    def __init__(self, bank: Tensor, bias: Tensor, conv: Convolution, groups: int, rectified: bool) -> None:
        super().__init__()
        self.register_buffer("bank", bank)
        self.register_buffer("bias", bias)
        self.stride, self.padding, self.dilation, self.groups = conv.stride, conv.padding, conv.dilation, groups
        self.rectified = rectified

    def forward(self, features: Tensor) -> Tensor:
        """(batch, in_channels·in_group, height, width) -> (batch, out_channels·group, height, width)."""
        bank, bias = self.get_buffer("bank"), self.get_buffer("bias")
        out = conv2d(features, bank, bias, self.stride, self.padding, self.dilation, self.groups)
        return out.relu_() if self.rectified else out


def for_scoring(network: nn.Module) -> nn.Module:
    """The same function in evaluation mode, with each convolution's batch norm folded into its filter bank.

    `(W ∗ f + b − μ) γ/σ + β = (W γ/σ) ∗ f + (b − μ) γ/σ + β`. Filter banks are copies: what is trained on later is not
    seen. A norm in a residual or dense block is folded where it directly follows a convolution; the others stay.
    Networks that are not built as `benchmark.nn.network.Network` are returned as they are.

    Args:
        network: any network, in any mode.

    Returns:
        A network in evaluation mode, equal to the given one but for rounding.
    """
    if not isinstance(network, Network):
        return network.eval()
    return _scoring(network).eval()


def _scoring(module: nn.Module) -> nn.Module:
    if isinstance(module, Residual):
        return Residual(_scoring(module.branch), _scoring(module.shortcut), module.field)
    if isinstance(module, Dense):
        return Dense(_scoring(module.branch), module.margin, module.field)
    if not isinstance(module, nn.Sequential):
        return module
    layers = [layer for layer in module.children() if not isinstance(layer, Dropout)]
    scoring: list[nn.Module] = []
    while layers:
        layer = layers.pop(0)
        if isinstance(layer, Convolution):
            norm = layers.pop(0) if layers and isinstance(layers[0], GroupBatchNorm) else None
            rectified = bool(layers) and isinstance(layers[0], nn.ReLU)
            scoring.append(_folded(layer, norm, rectified))
            if rectified:
                layers.pop(0)
        else:
            scoring.append(_scoring(layer))
    return nn.Sequential(*scoring)


def _folded(conv: Convolution, norm: nn.Module | None, rectified: bool) -> nn.Module:
    scale = conv.weight.new_ones(conv.out_channels)
    shift = conv.weight.new_zeros(conv.out_channels) if conv.bias is None else conv.bias.detach()
    if isinstance(norm, GroupBatchNorm):
        scale = norm.weight.detach() * (norm.running_var + norm.eps).rsqrt()
        shift = (norm.bias.detach() - norm.running_mean * scale) + shift * scale
    bias = shift.repeat_interleave(len(conv.group))
    if isinstance(conv, SeparableGroupConv) and conv.separable == "gc":
        return _folded_depthwise(conv, scale, bias, rectified)
    weight = conv.weight.detach() * scale[:, None, None, None, None]
    bank = filter_bank(weight, conv.group, conv.in_group)
    return FoldedConv(bank, bias, conv, conv.groups, rectified)


def _folded_depthwise(conv: SeparableGroupConv, scale: Tensor, bias: Tensor, rectified: bool) -> nn.Module:
    """The pointwise and the depthwise step of a gc-separable convolution, two ordinary ones."""
    mixing = filter_bank(conv.pointwise.detach()[..., None, None], conv.group, conv.group)
    pointwise = nn.Conv2d(mixing.shape[1], len(bias), 1, bias=False, device="meta")
    pointwise.weight = nn.Parameter(mixing, requires_grad=False)
    spatial = conv.spatial.detach() * scale[:, None, None, None]
    kernels = filter_bank(spatial.unsqueeze(2), conv.group, TRIVIAL)
    return nn.Sequential(pointwise, FoldedConv(kernels, bias, conv, len(bias), rectified))
