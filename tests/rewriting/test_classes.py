"""A network with parts of one's own is scored and exported as the function that it is, or refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn

from gcnnbench.architectures.residual import Residual
from gcnnbench.architectures.sequence import Network, classifier, conv_block
from gcnnbench.errors import UserError
from gcnnbench.nn.convolution import GroupConv
from gcnnbench.nn.dropout import Dropout
from gcnnbench.nn.fields import feature_field
from gcnnbench.nn.groups import P4, TRIVIAL
from gcnnbench.nn.layers import Layers
from gcnnbench.nn.normalisation import GroupBatchNorm
from gcnnbench.nn.separable import SeparableGroupConv
from gcnnbench.probes.chains import chain
from gcnnbench.rewriting.folded import FoldedConv, for_scoring
from gcnnbench.rewriting.plain import to_plain
from gcnnbench.rewriting.stacked import Streams, stack


def drawn(network: nn.Module) -> nn.Module:
    """The network with parameters and running statistics away from their start."""
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.3)
    for name, values in network.named_buffers():
        if "running" in name:
            values.uniform_(0.5, 2.0)
    return network


class Skip(nn.Sequential):
    """A sequence with a shortcut around it."""

    def forward(self, features: Tensor) -> Tensor:
        out: Tensor = features + super().forward(features)  # type: ignore[no-untyped-call]
        return out


class Backwards(nn.Sequential):
    """A sequence that runs from its end to its start."""

    def __iter__(self) -> Iterator[nn.Module]:
        return iter(list(self._modules.values())[::-1])


class Half(GroupConv):
    """A convolution of half the output."""

    def forward(self, features: Tensor) -> Tensor:
        return super().forward(features) / 2


class OwnBank(GroupConv):
    """A convolution of another finished bank, and a bias for each feature map."""

    def bank(self) -> tuple[Tensor, Tensor | None]:
        bank, bias = super().bank()
        assert bias is not None
        return bank * 2, bias * torch.arange(len(bias))


class OwnWeight(SeparableGroupConv):
    """A separable convolution of another weight."""

    @property
    def weight(self) -> Tensor:
        return super().weight * 2


class Shifted(GroupBatchNorm):
    """A norm that adds one."""

    def forward(self, features: Tensor) -> Tensor:
        return super().forward(features) + 1


class Leaky(nn.ReLU):
    """Another function under the name of a ReLU."""

    def forward(self, features: Tensor) -> Tensor:
        return nn.functional.leaky_relu(features)


class Noisy(Dropout):
    """A dropout that does something in evaluation, too."""

    def forward(self, features: Tensor) -> Tensor:
        return features * 0.5


class Mine(Network):
    """Layers of a network, its logits doubled."""

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = super().forward(images) * 2  # type: ignore[no-untyped-call]
        return logits


def layers(own: nn.Module | None = None) -> Layers:
    own = own or GroupConv(3, 3, 3, group=P4, padding=1)
    lifted = conv_block(1, 2, 3, group=P4, in_group=TRIVIAL)
    after = {"norm": GroupBatchNorm(3, group=P4), "relu": nn.ReLU(), **conv_block(2, 3, 3, group=P4)}
    return {**lifted, "own": own, **after, **classifier(3, 4, group=P4)}


def hooked(place: str) -> nn.Module:
    network = Network(layers())
    network.get_submodule(place).register_forward_hook(lambda _, __, out: out * 2)
    return network


def patched(place: str) -> nn.Module:
    network = Network(layers())
    module = network.get_submodule(place)
    was = module.forward
    module.forward = lambda features: was(features) * 2
    return network


def with_relu_twice() -> nn.Module:
    relu, (_, *rest) = nn.ReLU(), layers().items()
    conv = GroupConv(2, 3, 3, group=P4, in_group=TRIVIAL)
    return Network({"first": relu, "conv": conv, "second": relu, **dict(rest)})


def residual() -> nn.Module:
    inner = nn.Sequential(GroupConv(3, 3, 3, group=P4, padding=1), GroupBatchNorm(3, group=P4))
    block = Residual(inner, nn.Identity(), feature_field(P4))
    was = block.forward
    block.forward = lambda features: was(features) * 2  # type: ignore[method-assign]
    return Network(layers(block))


OWN: dict[str, Callable[[], nn.Module]] = {
    "a sequence with its own forward pass": lambda: Network(
        layers(Skip(GroupConv(3, 3, 3, group=P4, padding=1), GroupBatchNorm(3, group=P4)))
    ),
    "a sequence in another order": lambda: Network(layers(Backwards(nn.ReLU(), GroupConv(3, 3, 3, group=P4)))),
    "a convolution with its own forward pass": lambda: Network(layers(Half(3, 3, 3, group=P4, padding=1))),
    "a convolution with its own bank": lambda: Network(layers(OwnBank(3, 3, 3, group=P4, padding=1))),
    "a separable convolution with its own weight": lambda: Network(
        layers(OwnWeight(3, 3, 3, group=P4, separable="g", padding=1))
    ),
    "a norm with its own forward pass": lambda: Network({**layers(), "norm": Shifted(3, group=P4)}),
    "a norm of single maps": lambda: Network({**layers(), "norm": GroupBatchNorm(12, group=TRIVIAL)}),
    "a rectifier with its own forward pass": lambda: Network({**layers(), "relu": Leaky()}),
    "a dropout with its own forward pass": lambda: Network({**layers(), "relu": Noisy(0.5)}),
    "a network with its own forward pass": lambda: Mine(layers()),
    "a hook on a convolution": lambda: hooked("conv1"),
    "a hook on a norm": lambda: hooked("norm"),
    "a hook on the network": lambda: hooked(""),
    "a patched convolution": lambda: patched("conv1"),
    "a patched network": lambda: patched(""),
    "a patched block": residual,
    "one rectifier in two places": with_relu_twice,
}


def plain_form(network: nn.Module) -> nn.Module | None:
    """None where it is refused."""
    try:
        return to_plain(network)
    except UserError:
        return None


@torch.no_grad()
@pytest.mark.parametrize("own", OWN)
def test_every_form_is_the_function_of_the_network(own: str) -> None:
    network = drawn(OWN[own]().double())
    images = torch.randn(2, 2, 8, 8, dtype=torch.float64)
    expected = network.eval()(images)
    scored = for_scoring(network.train())(images)
    assert (scored - expected).abs().max() < 1e-10 * expected.abs().max()
    plain = plain_form(network)
    assert plain is None or (plain(images) - expected).abs().max() < 1e-10 * expected.abs().max()


def test_what_computes_as_its_class_still_has_its_form() -> None:
    """A subclass that adds no forward pass of its own is the class."""

    class Named(Network):
        pass

    class Wide(GroupConv):
        def __init__(self) -> None:
            super().__init__(3, 3, 3, group=P4, padding=1)

    network = Named(layers(Wide()))
    assert sum(isinstance(layer, FoldedConv) for layer in for_scoring(network).children()) == 3
    assert type(to_plain(network).get_submodule("own")) is nn.Conv2d


def test_what_has_hooks_or_stands_twice_is_stacked_by_nobody() -> None:
    for network in (hooked("norm"), with_relu_twice()):
        with pytest.raises(UserError, match="no form for several seeds at once"):
            stack([network, network], Streams(torch.device("cpu")))


def test_a_sequence_with_its_own_forward_pass_is_no_chain() -> None:
    with pytest.raises(UserError, match=r"is no chain|stands in no chain"):
        chain(Skip(nn.Conv2d(2, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(8, 8)))
