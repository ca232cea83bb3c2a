"""How published networks draw their first weights, where it is not as `GroupConv` does; for `nn.Module.apply`."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from gcnnbench.nn.bank import BankConv
from gcnnbench.nn.convolution import GroupConv
from gcnnbench.nn.groups import TRIVIAL


def sepgroupy(module: nn.Module) -> None:
    """As the code of Lengyel & van Gemert 2021, which Edixhoven et al. 2023 share, draws its networks.

    Ordinary convolutions are normal with σ² = 2/(out_channels · kernel_size²); those over a group are uniform in
    ±1/√(in_channels · kernel_size²), which leaves the group out of the fan-in. Source: `experiments/models` and
    `SplitGConv2D.reset_parameters` in TFedixhoven/using_equivariance at c892372.
    """
    if not isinstance(module, BankConv):
        return
    if module.group == TRIVIAL:
        nn.init.normal_(module.weight, std=(2 / (module.out_channels * module.kernel_size**2)) ** 0.5)
    else:
        module.reset_parameters((module.in_channels * module.kernel_size**2) ** -0.5)


def he_normal(module: nn.Module) -> None:
    """Normal with σ² = 2/fan_in and no bias (He et al. 2015), convolutions and the linear layer alike.

    So the residual networks of Cohen & Welling 2016 begin (tscohen/gconv_experiments at 475b29d).
    """
    if isinstance(module, (GroupConv, nn.Linear)):
        _normal(module, (2 / module.weight[0].numel()) ** 0.5)


def keras_he_normal(module: nn.Module) -> None:
    """Convolutions normal with σ² = 2/fan_in and cut at ±2σ, the linear layer uniform in ±√(6/(in + out)), no biases.

    So Keras 2.1 draws `he_normal` and the last layer of the DenseNets of Veeling et al. 2018 (basveeling/keras-gcnn at
    0a4a36c), with the group in the fan-in. The cut leaves a deviation of 0.88 σ; Keras makes up for it from 2.2.0 on.
    Source: `VarianceScaling` in `keras/initializers.py`, keras-team/keras at 2.1.6.
    """
    if isinstance(module, GroupConv):
        std = (2 / module.weight[0].numel()) ** 0.5
        nn.init.trunc_normal_(module.weight, std=std, a=-2 * std, b=2 * std)
    elif isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
    else:
        return
    if module.bias is not None:
        nn.init.zeros_(module.bias)


def he_uniform(module: nn.Module) -> None:
    """Convolutions uniform in ±√(6/fan_in) (He et al. 2015): without norms the features neither fade nor grow."""
    if isinstance(module, BankConv):
        module.reset_parameters(6**0.5 * module.bound)


def lecun_normal(module: nn.Module) -> None:
    """Normal with σ² = 1/fan_in and no bias, convolutions and the linear layer alike.

    So Chainer and GrouPy's convolutions over a group begin (tscohen/GrouPy at d0c148a), and with them the networks of
    Cohen & Welling 2016 for rotated MNIST.
    """
    if isinstance(module, (GroupConv, nn.Linear)):
        _normal(module, module.weight[0].numel() ** -0.5)


def normal(std: float) -> Callable[[nn.Module], None]:
    """Normal with that standard deviation and no bias."""

    def draw(module: nn.Module) -> None:
        if isinstance(module, (GroupConv, nn.Linear)):
            _normal(module, std)

    return draw


def _normal(module: GroupConv | nn.Linear, std: float) -> None:
    nn.init.normal_(module.weight, std=std)
    if module.bias is not None:
        nn.init.zeros_(module.bias)
