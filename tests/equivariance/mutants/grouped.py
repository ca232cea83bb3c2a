"""Changes to group convolutional networks: banks, the group axis, norms and biases per orientation, coset pooling."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gcnnbench.nn.convolution import GroupConv, filter_bank
from gcnnbench.nn.groups import P2, P4, TRIVIAL, Group
from gcnnbench.nn.normalisation import GroupBatchNorm
from tests.equivariance.mutants.mutant import ALL, HALF, NONE, TURNS, Change, Moves, Mutant, judged
from tests.equivariance.mutants.networks import Base, Function, Squeeze
from tests.equivariance.mutants.scalar import MAGNITUDES

Make = Callable[[int, int], nn.Module]


class Turned(nn.Module):
    """lifting – ReLU – p4 convolution – maximum over orientations – mean – linear, by filters that are turned.

    Orientation g of the lifting convolution has its filters turned by `lift·g`, that of the other by `turn·g`, its
    inputs shifted by `shift·g`. Under t quarter turns of the image the lifted features turn and are shifted by u if
    `lift·u = t`, the others turn and are shifted by s if `turn·s = t` and `shift·s = u`, modulo four. The output is
    invariant if there are such u and s.
    """

    def __init__(self, lift: int, turn: int, shift: int) -> None:
        super().__init__()
        self.turns = lift, turn, shift
        self.lifting = nn.Parameter(torch.randn(4, 3, 3, 3) / 5)
        self.bank = nn.Parameter(torch.randn(4, 4, 4, 3, 3) / 12)
        self.linear = nn.Linear(4, 5)

    def forward(self, images: Tensor) -> Tensor:
        lift, turn, shift = self.turns
        lifting = torch.stack([self.lifting.rot90(lift * g, (-2, -1)) for g in range(4)], 1).flatten(0, 1)
        bank = torch.stack([self.bank.rot90(turn * g, (-2, -1)).roll(shift * g, 2) for g in range(4)], 1)
        features = F.conv2d(images, lifting, padding=1).relu()
        features = F.conv2d(features, bank.flatten(0, 1).flatten(1, 2), padding=1)
        logits: Tensor = self.linear(features.unflatten(1, (4, 4)).amax(2).mean((-2, -1)))
        return logits

    @staticmethod
    def exact(lift: int, turn: int, shift: int, group: Group) -> bool:
        """Whether it is exact under the turns of the group."""
        return all(
            any(
                (lift * u - t) % 4 == 0 and (turn * s - t) % 4 == 0 and (shift * s - u) % 4 == 0
                for u in range(4)
                for s in range(4)
            )
            for t in {element.turns for element in group.elements}
        )


BANKS = [(a, b, c) for a in (1, -1) for b in (1, -1) for c in (1, -1)]
BANKS += [(1, 1, 0), (1, 1, 2), (1, 2, 2), (1, 2, 1), (0, 1, 1), (1, 0, 1), (2, 1, 2), (0, 1, 0)]


def banks() -> Iterator[Mutant]:
    """Filters turned and shifted in right and wrong directions."""
    for lift, turn, shift in BANKS:
        name = f"lifting filters turned by {lift}, others by {turn} and shifted by {shift}"
        yield from judged(
            "wrong group action",
            name,
            partial(Turned, lift, turn, shift),
            9,
            TURNS if Turned.exact(lift, turn, shift, P4) else HALF if Turned.exact(lift, turn, shift, P2) else NONE,
            P4,
        )


class Tampered(GroupConv):
    """A group convolution whose filter bank (out, group, in, in_group, height, width) is tampered with."""

    def __init__(self, planes: int, group: Group, fault: Callable[[Tensor], Tensor]) -> None:
        super().__init__(planes, planes, 3, group=group, padding=1)
        self.fault = fault

    def forward(self, features: Tensor) -> Tensor:
        order = len(self.group)
        bank = filter_bank(self.weight, self.group, self.in_group).unflatten(1, (-1, order)).unflatten(0, (-1, order))
        tampered = self.fault(bank.clone()).flatten(0, 1).flatten(1, 2)
        return F.conv2d(features, tampered, self.bias.repeat_interleave(order), padding=1)  # type: ignore[union-attr]


class Stored(nn.Module):
    """The filters of a group convolution as they are now, stored for each element: trainable, or frozen."""

    def __init__(self, planes: int, group: Group, frozen: bool) -> None:
        super().__init__()
        conv = GroupConv(planes, planes, 3, group=group, padding=1)
        bank = filter_bank(conv.weight, group, group).detach().clone()
        self.bank = nn.Parameter(bank, requires_grad=not frozen)

    def forward(self, features: Tensor) -> Tensor:
        return F.conv2d(features, self.bank, padding=1)


def off(size: float, *places: int) -> Callable[[Tensor], Tensor]:
    """One weight of the copies at these places of the group is off."""

    def tampered(bank: Tensor) -> Tensor:
        for place in places:
            bank[0, place, 0, 0, 0, 1] += size
        return bank

    return tampered


FAULTS: dict[str, tuple[Callable[[Tensor], Tensor], Moves]] = {
    "a bank as it should be": (lambda b: b, ALL),
    "a bank whose copies are turned twice as far": (lambda b: stack(b, lambda g, one: one.rot90(g, (-2, -1))), NONE),
    "a bank whose copies are not shifted": (lambda b: stack(b, lambda g, one: one.roll(-g, 2)), NONE),
    "a bank whose copies are transposed": (lambda b: b.mT, HALF),
    "a bank with the last copy in the place of the first": (lambda b: torch.cat([b[:, -1:], b[:, 1:]], 1), NONE),
    "a bank with two copies exchanged, which pooling undoes": (
        lambda b: torch.cat([b[:, 1:2], b[:, :1], b[:, 2:]], 1),
        ALL,
    ),
    "a bank with a copy of zeros": (lambda b: torch.cat([0 * b[:, :1], b[:, 1:]], 1), NONE),
    "a bank whose inputs are reversed": (lambda b: b.flip(3), HALF),
}
"""Under p4, what is exact under half turns is so by the rule of `Turned`; under p4m only brute force says it."""


def stack(bank: Tensor, change: Callable[[int, Tensor], Tensor]) -> Tensor:
    return torch.stack([change(place, bank[:, place]) for place in range(bank.shape[1])], 1)


def planes(channels: int, group: Group) -> int:
    return channels // len(group)


def tampering(group: Group) -> Iterator[Change]:
    order = len(group)

    def tampered(fault: Callable[[Tensor], Tensor]) -> Make:
        return lambda c, _: Tampered(planes(c, group), group, fault)

    for name, (fault, moves) in FAULTS.items():
        yield Change(name, tampered(fault), moves if group == P4 or moves in (NONE, ALL) else None, place="conv")
    for size in MAGNITUDES:
        yield Change(f"a weight of one copy off by {size:.0e}", tampered(off(size, order - 1)), NONE, place="conv")
    yield Change("a weight of opposite copies off", tampered(off(0.3, 0, 2)), NONE, place="conv")
    for frozen, moves in ((False, NONE), (True, ALL)):
        text = f"filters stored for each element, {'frozen' if frozen else 'trainable'}"
        yield Change(text, partial(stored, group, frozen), moves, place="conv")
    yield Change(
        "a lifting convolution in the place of a group convolution",
        lambda c, _: GroupConv(c, planes(c, group), 3, group=group, in_group=TRIVIAL, padding=1),
        NONE,
        place="conv",
    )
    yield Change("an ordinary convolution", lambda c, _: nn.Conv2d(c, c, 3, padding=1), NONE, place="conv")
    yield Change("two groups of fields", lambda c, _: Groups(c, group), ALL, place="conv")
    yield Change("two groups that cut a field", lambda c, _: nn.Conv2d(c, c, 1, groups=c // 2), NONE, place="conv")


def stored(group: Group, frozen: bool, channels: int, _: int) -> nn.Module:
    return Stored(planes(channels, group), group, frozen)


class Groups(GroupConv):
    """A group convolution of two blocks of fields."""

    def __init__(self, channels: int, group: Group) -> None:
        super().__init__(planes(channels, group), planes(channels, group), 3, group=group, padding=1, groups=2)


# what is done to a field between its layers


class Bias(nn.Module):
    """Numbers added: one for each orientation, for each field, or for each pixel of the channel."""

    def __init__(self, shape: tuple[int, ...], repeated: int = 1, *, start: str = "zero", frozen: bool = False) -> None:
        super().__init__()
        values = torch.randn(shape) if start == "random" else torch.zeros(shape)
        self.values, self.repeated = nn.Parameter(values, requires_grad=not frozen), repeated

    def forward(self, features: Tensor) -> Tensor:
        return torch.relu(features + self.values.repeat_interleave(self.repeated)[:, None, None])


def by_field(function: Callable[[Tensor], Tensor], order: int) -> Make:
    """A function of (batch, fields, orientations, height, width)."""
    return lambda *_: Function(lambda x: function(x.unflatten(1, (-1, order))).flatten(1, 2))


class PerField(nn.Module):
    """Squeeze and excitation whose gates are those of fields."""

    def __init__(self, fields: int, order: int) -> None:
        super().__init__()
        self.order, self.inner = order, Squeeze(fields)

    def forward(self, features: Tensor) -> Tensor:
        by_group: Tensor = features.unflatten(1, (-1, self.order))
        gates: Tensor = self.inner.gate(by_group.mean((2, 3, 4)))
        return (by_group * gates[..., None, None, None]).flatten(1, 2)


def fields(group: Group) -> Iterator[Change]:
    order, turns = len(group), HALF if group == P4 else None
    made: dict[str, tuple[Make, Moves | None]] = {
        "a bias for each orientation, zero as given": (lambda c, _: Bias((c,)), NONE),
        "a bias for each orientation": (lambda c, _: Bias((c,), start="random"), NONE),
        "a bias for each orientation, zero and frozen": (lambda c, _: Bias((c,), frozen=True), ALL),
        "a bias for each field": (lambda c, _: Bias((c // order,), order, start="random"), ALL),
        "batch norm for each orientation": (lambda c, _: nn.BatchNorm2d(c), NONE),
        "batch norm for each orientation, without weights": (lambda c, _: nn.BatchNorm2d(c, affine=False), NONE),
        "batch norm by the batch's statistics": (
            lambda c, _: nn.BatchNorm2d(c, affine=False, track_running_stats=False),
            ALL,
        ),
        "batch norm by the batch's statistics, with weights": (
            lambda c, _: nn.BatchNorm2d(c, track_running_stats=False),
            NONE,
        ),
        "batch norm for each field": (lambda c, _: GroupBatchNorm(c // order, group=group), ALL),
        "instance norm": (lambda c, _: nn.InstanceNorm2d(c), ALL),
        "instance norm with weights": (lambda c, _: nn.InstanceNorm2d(c, affine=True), NONE),
        "group norm over fields": (lambda c, _: nn.GroupNorm(c // order, c, affine=False), ALL),
        "group norm over fields, with weights": (lambda c, _: nn.GroupNorm(c // order, c), NONE),
        "group norm over pairs of orientations": (lambda c, _: nn.GroupNorm(c // 2, c, affine=False), turns),
        "group norm over everything": (lambda c, _: nn.GroupNorm(1, c, affine=False), ALL),
        "local response norm": (lambda *_: nn.LocalResponseNorm(3, alpha=1.0), NONE),
        "a slope for the network": (lambda *_: nn.PReLU(), ALL),
        "a slope for each orientation": (lambda c, _: nn.Sequential(Function(lambda x: x - 0.5), nn.PReLU(c)), NONE),
        "dropout of channels, off in evaluation": (lambda *_: nn.Dropout2d(0.5), ALL),
        "channels shuffled": (lambda c, _: nn.ChannelShuffle(c // order), NONE),
        "orientations reversed": (by_field(lambda x: x.flip(2), order), turns),
        "orientations shifted by one": (by_field(lambda x: x.roll(1, 2), order), ALL if group == P4 else None),
        "orientations sorted": (by_field(lambda x: x.sort(2)[0], order), NONE),
        "the largest orientation for all": (by_field(lambda x: x.amax(2, keepdim=True).expand_as(x), order), ALL),
        "softmax over orientations": (by_field(lambda x: 4 * x.softmax(2), order), ALL),
        "sums over orientations so far": (by_field(lambda x: x.cumsum(2), order), NONE),
        "the first orientation added to itself": (
            by_field(lambda x: torch.cat([2 * x[:, :, :1], x[:, :, 1:]], 2), order),
            NONE,
        ),
        "squeeze and excitation of channels": (lambda c, _: Squeeze(c), NONE),
        "squeeze and excitation of fields": (lambda c, _: PerField(c // order, order), ALL),
        "channels mixed": (lambda c, _: nn.Conv2d(c, c, 1), NONE),
        "features transposed": (lambda *_: Function(lambda x: x.mT), turns),
        "features flipped": (lambda *_: Function(lambda x: x.flip(-1)), turns),
        "features flipped and flipped back": (lambda *_: Function(lambda x: x.flip(-1).tanh().flip(-1)), ALL),
    }
    for name, (make, moves) in made.items():
        yield Change(name, make, moves)


# from orientations to invariants


def cosets(group: Group) -> Iterator[Change]:
    order, turns = len(group), HALF if group == P4 else None

    def pooled(name: str, function: Callable[[Tensor], Tensor], moves: Moves | None) -> Change:
        make: Make = lambda *_: Function(lambda x: function(x.unflatten(1, (-1, order))))  # noqa: E731
        return Change(f"orientations pooled by {name}", make, moves, place="coset")

    yield pooled("their mean", lambda x: x.mean(2), ALL)
    yield pooled("their norm", lambda x: x.square().sum(2).sqrt(), ALL)
    yield pooled("their product", lambda x: x.tanh().prod(2), ALL)
    yield pooled("their deviation", lambda x: x.std(2), ALL)
    yield pooled("their second largest", lambda x: x.sort(2)[0][:, :, -2], ALL)
    yield pooled("their soft maximum", lambda x: (x * (9 * x).softmax(2)).sum(2), ALL)
    yield pooled("the first", lambda x: x[:, :, 0], NONE)
    yield pooled("the larger of the first two", lambda x: x[:, :, :2].amax(2), NONE)
    yield pooled("the larger of the first and the third", lambda x: x[:, :, :3:2].amax(2), turns)
    yield pooled("the number of the largest", lambda x: x.argmax(2).to(x.dtype), NONE)
    yield pooled("a mean with unequal weights", lambda x: 0.9 * x.mean(2) + 0.1 * x[:, :, 0], NONE)
    if group == P4:
        yield pooled("magnitudes of their frequencies", lambda x: torch.fft.fft(x, dim=2).abs().sqrt().sum(2), ALL)
        yield pooled("products of neighbours", lambda x: (x * x.roll(1, 2)).sum(2), ALL)


def grouped_changes(base: Base) -> dict[str, Iterator[Change]]:
    """The changes for a base of group convolutions, by kind."""
    group = base.fields
    return {"filter banks": tampering(group), "fields": fields(group), "coset pooling": cosets(group)}
