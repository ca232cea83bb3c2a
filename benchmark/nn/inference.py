"""A trained network of this suite made faster for scoring: norms folded into the convolutions, nothing else changed."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import conv2d

from benchmark.nn.convolution import BankTable, GroupConv, filter_bank
from benchmark.nn.dropout import Dropout
from benchmark.nn.network import Network
from benchmark.nn.normalisation import GroupBatchNorm


class FoldedConv(nn.Module):
    """An ordinary convolution with a finished filter bank, followed by a ReLU where asked.

    Args:
        bank: (out_channels·group, in_channels·in_group, height, width).
        bias: (out_channels·group,).
        conv: the group convolution whose stride, padding, dilation and groups are taken.
        rectified: whether a ReLU follows.
    """

    def __init__(self, bank: Tensor, bias: Tensor, conv: GroupConv, rectified: bool) -> None:
        super().__init__()
        self.register_buffer("bank", bank)
        self.register_buffer("bias", bias)
        self.stride, self.padding, self.dilation, self.groups = conv.stride, conv.padding, conv.dilation, conv.groups
        self.rectified = rectified

    def forward(self, features: Tensor) -> Tensor:
        """(batch, in_channels·in_group, height, width) -> (batch, out_channels·group, height, width)."""
        bank, bias = self.get_buffer("bank"), self.get_buffer("bias")
        out = conv2d(features, bank, bias, self.stride, self.padding, self.dilation, self.groups)
        return out.relu_() if self.rectified else out


def for_scoring(network: nn.Module) -> nn.Module:
    """The same function in evaluation mode, with each convolution's batch norm folded into its filter bank.

    `(W ∗ f + b − μ) γ/σ + β = (W γ/σ) ∗ f + (b − μ) γ/σ + β`. It holds copies: what is trained on later is not seen.
    Networks that are not built as `benchmark.nn.network.Network` are returned as they are.

    Args:
        network: any network, in any mode.

    Returns:
        A network in evaluation mode, equal to the given one but for rounding.
    """
    if not isinstance(network, Network):
        return network.eval()
    layers = [layer for layer in network.children() if not isinstance(layer, Dropout)]
    scoring: list[nn.Module] = []
    while layers:
        layer = layers.pop(0)
        following = layers[0] if layers else None
        if isinstance(layer, GroupConv) and isinstance(following, GroupBatchNorm):
            layers.pop(0)
            rectified = bool(layers) and isinstance(layers[0], nn.ReLU)
            scoring.append(_folded(layer, following, rectified))
            if rectified:
                layers.pop(0)
        else:
            scoring.append(layer)
    return nn.Sequential(*scoring).eval()


def _folded(conv: GroupConv, norm: GroupBatchNorm, rectified: bool) -> FoldedConv:
    order = len(conv.group)
    scale = norm.weight.detach() * (norm.running_var + norm.eps).rsqrt()
    shift = norm.bias.detach() - norm.running_mean * scale
    if conv.bias is not None:
        shift = shift + conv.bias.detach() * scale
    weight = conv.weight.detach() * scale[:, None, None, None, None]
    bank = filter_bank(weight, conv.group, conv.in_group, BankTable(conv.places, conv.sources))
    return FoldedConv(bank, shift.repeat_interleave(order), conv, rectified)
