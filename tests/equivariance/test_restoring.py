"""What a network changes as it runs is put back, wherever it keeps it; and random numbers of every kind are noticed."""

from __future__ import annotations

import random
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.fx.immutable_collections import immutable_dict, immutable_list

from gcnnbench.equivariance.audit import audit
from gcnnbench.equivariance.precision import evaluating
from gcnnbench.equivariance.restoring import generator_states
from tests.equivariance.small_network import Network


class Keeping(Network):
    """Changes in each pass all that it keeps."""

    def __init__(self) -> None:
        super().__init__()
        self.average = torch.zeros(5)
        self.kept: dict[str, list[Tensor]] = {"few": [torch.zeros(2)]}
        self.last, self.seen = deque([0], maxlen=2), {0}
        self.array = np.zeros(3)
        self.generators = (torch.Generator().manual_seed(1), np.random.default_rng(1), random.Random(1))

    def forward(self, images: Tensor) -> Tensor:
        logits = super().forward(images)
        self.average.mul_(0.9).add_(logits.detach().mean(0))
        self.kept["few"][0].add_(1)
        self.kept["few"].append(logits)
        self.kept[str(len(self.kept))] = []
        self.last.append(len(self.kept))
        self.seen.add(len(self.kept))
        self.array += 1
        torchs, numpys, pythons = self.generators
        return logits + 0 * (torch.rand((), generator=torchs) + numpys.random() + pythons.random())

    def state(self) -> object:
        torchs, numpys, pythons = self.generators
        return (
            self.average.tolist(),
            {name: [tensor.tolist() for tensor in tensors] for name, tensors in self.kept.items()},
            (list(self.last), self.seen.copy(), self.array.tolist()),
            (torchs.get_state().tolist(), numpys.bit_generator.state, pythons.getstate()),
        )


def of_the_process() -> object:
    numpys = np.random.get_state(legacy=False)  # noqa: NPY002
    return torch.get_rng_state().tolist(), numpys["state"]["key"].tolist(), random.getstate()


def test_whatever_a_network_keeps_is_put_back() -> None:
    network = Keeping()
    before, outside = network.state(), of_the_process()
    with evaluating(network):
        network(torch.rand(2, 3, 8, 8))
        np.random.rand()  # noqa: NPY002
        assert network.state() != before
    assert (network.state(), of_the_process()) == (before, outside)
    assert audit(network, [8], channels=3).sizes[0].decision == "exact"
    assert network.state() == before


def test_a_network_that_draws_nothing_changes_no_generator() -> None:
    network = Keeping()
    before = generator_states(network)
    network.body(torch.ones(2, 3, 8, 8))
    assert generator_states(network) == before
    torch.rand(())
    assert generator_states(network) != before


class Drawing(Network):
    """Adds noise from a generator."""

    def __init__(self, draw: Callable[[Drawing], float]) -> None:
        super().__init__()
        self.draw = draw
        self.torchs, self.numpys, self.pythons = torch.Generator(), np.random.default_rng(1), random.Random(1)

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images) + 0.01 * self.draw(self)


@pytest.mark.parametrize(
    "draw",
    [
        lambda _: np.random.randn(),  # noqa: NPY002
        lambda _: random.random(),
        lambda own: float(torch.rand((), generator=own.torchs)),
        lambda own: own.numpys.random(),
        lambda own: own.pythons.random(),
    ],
    ids=["numpy", "Python", "its own of torch", "its own of numpy", "its own of Python"],
)
def test_random_numbers_of_any_generator_are_noticed(draw: Callable[[Drawing], float]) -> None:
    (row,) = audit(Drawing(draw), [8], channels=3).sizes
    assert (row.decision, row.disagreement) == ("unknown", False)
    assert "draws random numbers in evaluation mode" in str(row.reason)


def test_tensors_without_contents_and_sparse_ones_are_let_be() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    vars(network).update(
        empty=torch.empty(2, device="meta"), sparse=torch.eye(3).to_sparse(), system=random.SystemRandom()
    )
    assert audit(network, [8], channels=1).sizes[0].decision == "exact"


def refuse(*_: object, **__: object) -> None:
    raise TypeError("this is not to be changed")


class Frozen(OrderedDict[str, int]):
    update = clear = copy = move_to_end = pop = __delitem__ = refuse  # type: ignore[assignment]

    def __setitem__(self, name: str, value: int) -> None:
        OrderedDict.__setitem__(self, name, value) if len(self) < 2 else refuse()


class FrozenDict(dict[str, int]):
    update = clear = copy = values = keys = refuse  # type: ignore[assignment]


class FrozenList(list[int]):
    extend = clear = copy = __iter__ = __setitem__ = refuse  # type: ignore[assignment]


class FrozenSet(set[int]):
    update = clear = copy = refuse  # type: ignore[assignment]


class FrozenDeque(deque[int]):
    extend = clear = copy = refuse  # type: ignore[assignment]


class Named(tuple[int]):
    __iter__ = refuse  # type: ignore[assignment]


REFUSING: dict[str, tuple[Callable[[], Any], Callable[[Any], object]]] = {
    "ordered dict": (lambda: Frozen(a=1, b=2), lambda kept: OrderedDict.move_to_end(kept, "a")),
    "dict": (lambda: FrozenDict(a=1, b=2), lambda kept: dict.__setitem__(kept, "a", 3)),
    "list": (lambda: FrozenList([1, 2]), lambda kept: list.reverse(kept)),
    "set": (lambda: FrozenSet([1, 2]), lambda kept: set.add(kept, 3)),
    "deque": (lambda: FrozenDeque([1, 2]), lambda kept: deque.rotate(kept)),
    "dict of torch.fx": (lambda: immutable_dict(a=1, b=2), lambda kept: dict.clear(kept)),
    "list of torch.fx": (lambda: immutable_list([1, 2]), lambda kept: list.append(kept, 3)),
    "tuple": (lambda: Named((1,)), lambda _: None),
}


@pytest.mark.parametrize(("make", "change"), REFUSING.values(), ids=REFUSING)
def test_what_has_changed_in_a_container_that_refuses_changes_is_put_back(
    make: Callable[[], Any], change: Callable[[Any], object]
) -> None:
    network = Network()
    network.kept = kept = make()
    with evaluating(network):
        network.count = torch.ones(1)
        change(kept)
    assert (repr(kept), hasattr(network, "count")) == (repr(make()), False)


class Masked(Network):
    """Makes its mask when it is first called."""

    def __init__(self, give: Callable[[Tensor, Tensor], object]) -> None:
        super().__init__()
        self.give = give
        self.register_buffer("mask", torch.full((1, 1), 7.0))

    def forward(self, images: Tensor) -> Tensor:
        mask = self.get_buffer("mask")
        if mask.shape != images.shape[-2:]:
            self.give(mask, torch.ones_like(images[0, 0]))
        return super().forward(images * self.get_buffer("mask"))


@pytest.mark.parametrize(
    "give",
    [
        lambda mask, ones: setattr(mask, "data", ones),
        lambda mask, ones: setattr(mask, "data", ones.double()),
        lambda mask, ones: mask.resize_(ones.shape).fill_(1),
    ],
    ids=["data", "data in float64", "resized"],
)
def test_a_buffer_that_gets_another_shape_is_put_back(give: Callable[[Tensor, Tensor], object]) -> None:
    network = Masked(give)
    mask = network.get_buffer("mask")
    view = mask.view(1)
    with evaluating(network):
        give(mask, torch.ones(3, 3))
    assert (mask.tolist(), mask.dtype, mask.data_ptr()) == ([[7.0]], torch.float32, view.data_ptr())


def test_a_network_with_containers_that_refuse_changes_and_a_buffer_shaped_by_the_first_call_is_audited() -> None:
    network = Masked(lambda mask, ones: setattr(mask, "data", ones))
    vars(network).update({name: make() for name, (make, _) in REFUSING.items()})
    assert audit(network, [8], channels=3).sizes[0].decision == "exact"
    assert network.get_buffer("mask").tolist() == [[7.0]]
    assert {name: repr(vars(network)[name]) for name in REFUSING} == {
        name: repr(make()) for name, (make, _) in REFUSING.items()
    }


def test_what_cannot_be_put_back_keeps_nothing_else_from_it() -> None:
    first, array, last = torch.zeros(1), np.zeros(2), torch.zeros(1)

    def change() -> None:
        for one in (first, array, last):
            one += 1
        array.flags.writeable = False

    network = Network()
    vars(network).update(first=first, array=array, last=last)
    with pytest.raises(ValueError, match="read-only"), evaluating(network):
        change()
    assert (float(first), float(last)) == (0, 0)


def test_an_array_that_can_no_longer_be_written_to_is_let_be_where_it_has_not_changed() -> None:
    network = Network()
    vars(network)["array"] = array = np.zeros(2)
    with evaluating(network):
        array.flags.writeable = False
    assert array.tolist() == [0, 0]
