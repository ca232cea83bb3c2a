"""Wide residual networks (Zagoruyko & Komodakis 2016) with e2cnn's steerable convolutions. Needs the package e2cnn."""

from __future__ import annotations

from collections.abc import Sequence

from e2cnn import nn as enn
from torch import nn

from gcnnbench.architectures.residual import Residual
from gcnnbench.architectures.sequence import Network, require_halvings
from gcnnbench.errors import UserError
from gcnnbench.nn.dropout import Dropout
from gcnnbench.nn.fields import with_field
from gcnnbench.nn.layers import Layers
from gcnnbench.nn.steerable import Steerable, SteerableConv, field_of, regular_type, scalar_type, steerable_classifier


def three_per_pixel(radius: float) -> float:
    """The highest frequency of a filter at a radius, three for each pixel of it, as Weiler & Cesa's code has it."""
    return 3 * radius


def _conv(in_type: enn.FieldType, out_type: enn.FieldType, kernel_size: int, stride: int = 1) -> SteerableConv:
    geometry = {"stride": stride, "padding": kernel_size // 2}
    return SteerableConv(in_type, out_type, kernel_size, **geometry, bias=False, cutoff=three_per_pixel)


def wide_block(
    in_type: enn.FieldType, out_type: enn.FieldType, kernel_size: int, stride: int, dropout: float
) -> nn.Module:
    """(Batch norm – ReLU – convolution) × 2, with dropout behind the second ReLU, beside a shortcut.

    The shortcut is the identity where size and type stay, else a 1×1 convolution of what the first ReLU puts out.

    Args:
        in_type: e2cnn's type of the input.
        out_type: e2cnn's type of the output.
        kernel_size: the height and width of the kernels.
        stride: of the second convolution and of the shortcut.
        dropout: the probability of a zero.
    """
    field = field_of(out_type)
    activation: Layers = {"norm1": Steerable(enn.InnerBatchNorm(in_type)), "relu1": Steerable(enn.ReLU(in_type))}
    branch: Layers = {
        "conv1": _conv(in_type, out_type, kernel_size),
        "norm2": Steerable(enn.InnerBatchNorm(out_type)),
        "relu2": Steerable(enn.ReLU(out_type)),
        "dropout": with_field(Dropout(dropout), field),
        "conv2": _conv(out_type, out_type, kernel_size, stride),
    }
    if stride == 1 and in_type == out_type:
        return Residual(Network({**activation, **branch}), nn.Identity(), field)
    projection = _conv(in_type, out_type, 1, stride)
    return Network({**activation, "sum": Residual(Network(branch), projection, field)})


def steerable_wide_resnet(
    *,
    order: int,
    kernel_size: int,
    size: int,
    channels: int,
    classes: int,
    widths: Sequence[int],
    blocks: int,
    dropout: float,
) -> Network:
    """Stem – stages of wide blocks – batch norm – ReLU – classifier; every stage but the first halves the size.

    With odd kernels and three stages every grid is symmetric at input sizes i ≡ 1 mod 4. Source: `examples/e2wrn.py` of
    QUVA-Lab/e2cnn at dd06fc2, with its `r` at 0.

    Args:
        order: the group is that of the rotations by 360°/order.
        kernel_size: the height and width of the blocks' kernels; the stem's are 5×5.
        size: height and width of the images.
        channels: of the images.
        classes: the number of logits.
        widths: the regular fields of the stem and of each stage.
        blocks: the number of blocks in each stage.
        dropout: the probability of a zero between the convolutions of a block.

    Raises:
        UserError: `widths` have no stage, or a stage would halve a single pixel.
    """
    if len(widths) < 2:
        raise UserError(f"widths {tuple(widths)} must have a number for the stem and one for each stage")
    require_halvings(size, len(widths) - 2)
    stem, *stages = (regular_type(order, width) for width in widths)
    layers: Layers = {"stem": _conv(scalar_type(order, channels), stem, 5)}
    before = stem
    for number, after in enumerate(stages, start=1):
        stage = []
        for block in range(blocks):
            stride = 2 if number > 1 and block == 0 else 1
            stage.append(wide_block(before, after, kernel_size, stride, dropout))
            before = after
        layers[f"stage{number}"] = with_field(nn.Sequential(*stage), field_of(after))
    layers |= {
        "norm": Steerable(enn.InnerBatchNorm(before, momentum=0.9)),
        "relu": Steerable(enn.ReLU(before)),
        **steerable_classifier(before, classes),
    }
    return Network(layers, depths=("stem", *(name for name in layers if name.startswith("stage")), "relu", "coset"))
