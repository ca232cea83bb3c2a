"""Residual networks of pre-activation blocks (He et al. 2016, arXiv 1603.05027), for every group."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

from torch import Tensor, nn

from gcnnbench.architectures.sequence import Network, require_halvings
from gcnnbench.errors import UserError
from gcnnbench.nn.activation import ReLU
from gcnnbench.nn.blur import BlurPool
from gcnnbench.nn.convolution import GroupConv
from gcnnbench.nn.fields import Field, feature_field, with_field
from gcnnbench.nn.groups import TRIVIAL, Group
from gcnnbench.nn.layers import Layers
from gcnnbench.nn.normalisation import GroupBatchNorm
from gcnnbench.nn.separable import Separable, SeparableGroupConv

Make = Callable[[int, int, int], nn.Module]
"""Makes a layer from in_channels, out_channels and stride; it divides the size by the stride, rounded up."""

Head = Callable[..., Layers]
"""Makes the layers from features to logits, `head(channels, classes, group=group)`; `heads.py` has some."""


class Residual(nn.Module):
    """A branch and a shortcut, added: `y = F(x) + S(x)`.

    Args:
        branch: F.
        shortcut: S, to the same shape; `nn.Identity` where nothing has to change.
        field: how the sum transforms.
    """

    def __init__(self, branch: nn.Module, shortcut: nn.Module, field: Field) -> None:
        super().__init__()
        self.branch, self.shortcut, self.field = branch, shortcut, field

    def forward(self, features: Tensor) -> Tensor:
        """(batch, in_channels·group, height, width) -> (batch, out_channels·group, height/stride, width/stride)."""
        total: Tensor = self.branch(features) + self.shortcut(features)
        return total


def convolution(kernel_size: int, *, group: Group, bias: bool = False) -> Make:
    """Makes group convolutions that keep the size but for their stride."""

    def make(in_channels: int, out_channels: int, stride: int) -> nn.Module:
        padding = kernel_size // 2
        return GroupConv(in_channels, out_channels, kernel_size, group=group, stride=stride, padding=padding, bias=bias)

    return make


def separable_convolution(kernel_size: int, *, group: Group, separable: Separable) -> Make:
    """Makes separable group convolutions (Lengyel & van Gemert 2021) that keep the size but for their stride."""

    def make(in_channels: int, out_channels: int, stride: int) -> nn.Module:
        return SeparableGroupConv(
            in_channels,
            out_channels,
            kernel_size,
            group=group,
            separable=separable,
            stride=stride,
            padding=kernel_size // 2,
            bias=False,
        )

    return make


def normed(make: Make, *, group: Group) -> Make:
    """Makes the layers of `make`, each followed by a batch norm."""

    def make_normed(in_channels: int, out_channels: int, stride: int) -> nn.Module:
        norm = GroupBatchNorm(out_channels, group=group)
        return nn.Sequential(OrderedDict(conv=make(in_channels, out_channels, stride), norm=norm))

    return make_normed


def basic_block(
    in_channels: int,
    out_channels: int,
    stride: int,
    *,
    group: Group,
    conv: Make,
    projection: Make,
    blur: int | None = None,
) -> Residual:
    """(Batch norm – ReLU – convolution) × 2 beside a shortcut.

    The shortcut is the identity where size and channels stay, else a projection of the block's input. With `blur` the
    step of the grid is taken by blur-pools, behind the second ReLU and before the projection, as Zhang 2019 has them in
    his residual networks.

    Args:
        in_channels: input channels.
        out_channels: output channels.
        stride: of the first convolution and of the projection, or of the blur-pools.
        group: the group of the features.
        conv: makes the convolutions.
        projection: makes the shortcut where it cannot be the identity.
        blur: the height and width of the blur's filter, no blur where None.
    """
    field = feature_field(group)
    step = stride if blur is None else 1
    branch = OrderedDict(
        norm1=GroupBatchNorm(in_channels, group=group),
        relu1=with_field(ReLU(), field),
        conv1=conv(in_channels, out_channels, step),
        norm2=GroupBatchNorm(out_channels, group=group),
        relu2=with_field(ReLU(), field),
    )
    kept = stride == 1 and in_channels == out_channels
    shortcut = nn.Identity() if kept else projection(in_channels, out_channels, step)
    if blur is not None and stride > 1:
        branch["blur"] = BlurPool(group, blur, stride)
        shortcut = nn.Sequential(OrderedDict(blur=BlurPool(group, blur, stride), projection=shortcut))
    branch["conv2"] = conv(out_channels, out_channels, 1)
    return Residual(nn.Sequential(branch), shortcut, field)


def residual_network(
    *,
    size: int,
    channels: int,
    classes: int,
    widths: Sequence[int],
    blocks: Sequence[int],
    group: Group,
    head: Head,
    initialise: Callable[[nn.Module], None],
    bias: bool = False,
    conv: Make | None = None,
    projection: Make | None = None,
    blur: int | None = None,
) -> Network:
    """Stem – stages of basic blocks – batch norm – ReLU – head; every stage but the first halves the size.

    The layers are named `stem`, `stage1`, `stage2`, …, `norm`, `relu` and as the head names its own. With 3×3
    convolutions of padding 1 and n stages every grid is symmetric at input sizes i ≡ 1 mod 2ⁿ⁻¹.

    Args:
        size: height and width of the images.
        channels: of the images.
        classes: the number of logits.
        widths: the channels of each stage.
        blocks: the number of blocks in each stage.
        group: the group of the features; the stem lifts to it.
        head: makes the layers from features to logits.
        initialise: draws the weights anew; it is applied to every module, as by `nn.Module.apply`.
        bias: whether stem and default convolutions have biases.
        conv: makes the convolutions of the blocks, 3×3 group convolutions where None.
        projection: makes the shortcuts that change size or channels, 1×1 convolution and batch norm where None.
        blur: the height and width of the filter that takes each step of the grid, no blur where None.

    Raises:
        UserError: `widths` and `blocks` differ in length, or a stage would halve a single pixel.
    """
    if not len(widths) == len(blocks) > 0:
        raise UserError(f"widths {tuple(widths)} and blocks {tuple(blocks)} must both have one number for each stage")
    require_halvings(size, len(widths) - 1)
    conv = conv or convolution(3, group=group, bias=bias)
    projection = projection or normed(convolution(1, group=group), group=group)
    layers: Layers = {
        "stem": GroupConv(channels, widths[0], 3, group=group, in_group=TRIVIAL, padding=1, bias=bias),
    }
    before = widths[0]
    for number, (width, count) in enumerate(zip(widths, blocks, strict=True), start=1):
        stage = []
        for block in range(count):
            stride = 2 if number > 1 and block == 0 else 1
            made = basic_block(before, width, stride, group=group, conv=conv, projection=projection, blur=blur)
            stage.append(made)
            before = width
        layers[f"stage{number}"] = with_field(nn.Sequential(*stage), feature_field(group))
    features = ("stem", *(name for name in layers if name.startswith("stage")), "relu")
    layers |= {
        "norm": GroupBatchNorm(before, group=group),
        "relu": with_field(ReLU(), feature_field(group)),
        **head(before, classes, group=group),
    }
    network = Network(layers, depths=(*features, *(["coset"] if "coset" in layers else [])))
    network.apply(initialise)
    return network
