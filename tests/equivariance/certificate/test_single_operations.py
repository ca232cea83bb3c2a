"""Operations are told from each other however they are called: whole, by other names, in subclasses, in functions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._pytree import tree_map
from torchvision import tv_tensors

from gcnnbench.equivariance.certificate.axes import plain
from gcnnbench.equivariance.certificate.handlers import HANDLERS
from gcnnbench.equivariance.certificate.modules import start
from gcnnbench.equivariance.certificate.operations import otherwise, pointwise
from gcnnbench.equivariance.certificate.tracing import Tracer
from gcnnbench.equivariance.certificate.tracked import Call
from tests.equivariance.certificate.pointwise import Something, audited, verdicts


def ramp(x: Tensor) -> Tensor:
    return torch.linspace(0.1, 2, x.shape[-1]).to(x)


def scale(x: Tensor, y: Tensor) -> None:
    x.mul_(y)


OURS = torch.library.Library("gcnnbench_tests", "DEF")
NUMBERS = {"clone": "", "mean": "", "zeros_like": "", "relu": "", "convolution": ", Tensor? weight=None"}
for _name, _more in NUMBERS.items():
    OURS.define(f"{_name}(Tensor x{_more}) -> Tensor", tags=[torch.Tag.pointwise] if _name == "relu" else [])
    OURS.impl(_name, lambda x, *_: x * ramp(x), "CompositeExplicitAutograd")
OURS.define("scale_(Tensor(a!) x, Tensor y) -> ()")
OURS.impl("scale_", scale, "CompositeExplicitAutograd")
OURS.define("pieces(Tensor x) -> Tensor")
OURS.impl("pieces", lambda x: x.relu(), "CompositeImplicitAutograd")


@torch.inference_mode()
def raised(x: Tensor) -> Tensor:
    return torch.max(x, ramp(x) - 9).relu()


@torch.inference_mode()
def lowered(x: Tensor) -> Tensor:
    return torch.min(x, ramp(x) + 9).relu()


def into_a_list(x: Tensor) -> Tensor:
    made = x.clone()
    torch._foreach_mul_([made], [ramp(made)])
    return made


def into_an_argument(x: Tensor) -> Tensor:
    made = x.clone()
    torch.ops.gcnnbench_tests.scale_(made, ramp(made))
    return made


def into_a_view(x: Tensor) -> Tensor:
    made = x.clone()
    torch.ops.gcnnbench_tests.scale_(made.flatten(2), ramp(made.flatten(2)))
    return made


def other_data(x: Tensor) -> Tensor:
    made = x.clone()
    made.data = x * ramp(x)
    return made


def every_second(x: Tensor) -> Tensor:
    return x[..., ::2, ::2].mean((-2, -1))


def in_a_parameter(x: Tensor) -> Tensor:
    return x.mean((-2, -1)) + every_second(nn.Parameter(x, requires_grad=False))


def in_a_flat_parameter(x: Tensor) -> Tensor:
    flat = torch.Tensor._make_subclass(nn.Parameter, x.flatten(2)[..., 3:])
    return x.mean((-2, -1)) + (flat * ramp(flat)).mean(-1)


class Wrapper(torch.Tensor):
    """A tensor that holds another one, and does to it whatever is done to it."""

    @staticmethod
    def __new__(cls, held: Tensor) -> Any:
        return torch.Tensor._make_wrapper_subclass(cls, held.shape, dtype=held.dtype)

    def __init__(self, held: Tensor) -> None:
        self.held: Any = held

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # type: ignore[override]
        args, kwargs = tree_map(lambda one: one.held if isinstance(one, cls) else one, (args, kwargs or {}))
        return tree_map(lambda one: cls(one) if isinstance(one, Tensor) else one, func(*args, **kwargs))


def in_a_wrapper(x: Tensor) -> Tensor:
    wrapped: Any = (Wrapper(x) * ramp(x)).mean((-2, -1))
    sums: Tensor = x.mean((-2, -1)) + wrapped.held
    return sums


def by_value(x: Tensor) -> Tensor:
    """Every value in turn, in Python."""
    turn = iter(range(x.numel()))
    return x.clone().apply_(lambda value: value * (next(turn) % 7)).relu()


def by_two_values(x: Tensor) -> Tensor:
    turn = iter(range(x.numel()))
    return x.clone().map_(x, lambda one, _: one * (next(turn) % 7)).relu()


BROKEN: dict[str, Something] = {
    "into a list": into_a_list,
    "into an argument": into_an_argument,
    "into a view of an argument": into_a_view,
    "other data": other_data,
    "in a parameter": in_a_parameter,
    "in a flat parameter": in_a_flat_parameter,
    "in a wrapper": in_a_wrapper,
    "by value": by_value,
    "by two values": by_two_values,
    **{name: getattr(torch.ops.gcnnbench_tests, name) for name in NUMBERS if name != "convolution"},
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_breaks_the_symmetry_in_an_unusual_way_is_never_certified(name: str) -> None:
    assert verdicts(BROKEN[name]) == ("unknown", "approximate")


@pytest.mark.parametrize("something", [raised, lowered])
def test_a_maximum_of_two_tensors_is_no_reduction_where_torch_leaves_it_whole(something: Something) -> None:
    assert verdicts(something)[0] == "unknown"


@torch.inference_mode()
def without_pieces(x: Tensor) -> Tensor:
    y = F.max_pool2d(F.instance_norm(F.pad(x.float(), (1, 1, 1, 1))), 2)
    return F.adaptive_avg_pool2d(torch.max(y, -y), 1).flatten(1).softmax(-1)


@torch.inference_mode()
def with_the_same_padding(x: Tensor) -> Tensor:
    return F.conv2d(x, torch.ones(4, 4, 1, 1).to(x), padding="same")


def of_torchvision(x: Tensor) -> Tensor:
    return tv_tensors.Image(x).relu()  # type: ignore[no-any-return]


def of_a_wrapper(x: Tensor) -> Tensor:
    wrapped: Any = Wrapper(x).relu().mean((-2, -1))
    means: Tensor = wrapped.held
    return means


def into_a_new_tensor(x: Tensor) -> Tensor:
    return torch.mean(x, (-2, -1), out=x.new())


SOUND: dict[str, Something] = {
    "under inference mode": without_pieces,
    "padding by a word": with_the_same_padding,
    "an image of torchvision": of_torchvision,
    "a wrapper": of_a_wrapper,
    "a parameter": lambda x: nn.Parameter(x, requires_grad=False) * 2,
    "into a new tensor": into_a_new_tensor,
    "somebody's operation in pieces": torch.ops.gcnnbench_tests.pieces,
    "bits": lambda x: x.view(torch.int64 if x.dtype == torch.float64 else torch.int32).abs().to(x),
}


@pytest.mark.parametrize("name", SOUND)
def test_known_operations_are_certified_however_they_are_called(name: str) -> None:
    assert verdicts(SOUND[name]) == ("exact", "exact")


@torch.inference_mode()
def with_the_same_padding_on_one_side(x: Tensor) -> Tensor:
    return F.conv2d(x, torch.ones(4, 4, 2, 2).to(x), padding="same")


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
def test_padding_by_a_word_is_judged() -> None:
    row = audited(with_the_same_padding_on_one_side)
    assert (row.grid, row.certificate, row.decision) == ("broken", "approximate", "approximate")


def in_bytes(x: Tensor) -> Tensor:
    return x.mean((-2, -1)) + x.contiguous().view(torch.uint8).to(x).mean((-2, -1))


def chosen(x: Tensor) -> Tensor:
    return torch.cond(x.sum() > 0, lambda one: one.relu(), lambda one: (-one).relu(), (x,))  # type: ignore[no-any-return]


def by_numpy(x: Tensor) -> Tensor:
    return torch.from_numpy(x.numpy() * 1)


def convolved(x: Tensor) -> Tensor:
    nothing: Tensor = torch.ops.gcnnbench_tests.convolution(x, ramp(x)).amax((-2, -1)) * 0
    return x.mean((-2, -1)) + nothing


OBSTACLES: dict[str, tuple[Something, str]] = {
    "bytes": (in_bytes, "cuts numbers into their bytes"),
    "torch.cond": (chosen, "calls torch's cond"),
    "numpy": (by_numpy, "hands numbers of the features to Python"),
    "an operation named as a convolution": (convolved, "gcnnbench_tests::convolution"),
}


@pytest.mark.parametrize("name", OBSTACLES)
def test_what_cannot_be_followed_is_named_and_measured(name: str) -> None:
    something, why = OBSTACLES[name]
    row = audited(something)
    assert (row.certificate, row.decision) == ("unknown", "exact")
    assert why in str(row.reason)


def test_the_bound_counts_what_runs_after_the_features_left_torch() -> None:
    seen = audited(lambda x: by_numpy(x).relu()).seen
    assert seen is not None
    assert seen.fan_in > 64


def double(x: Tensor) -> Tensor:
    """Casts that inference mode leaves whole: in single precision they would put rounding into the output."""
    with torch.inference_mode():
        return torch.softmax(x.float().to(torch.float32), 1, dtype=torch.float32)


def test_casts_under_inference_mode_are_in_double_precision() -> None:
    assert verdicts(double) == ("exact", "exact")


def test_features_of_another_shape_than_their_handler_says_are_lost() -> None:
    def of_another_shape(tracer: Tracer, call: Call) -> None:
        tracer.outputs(call, replace(call.tracked[0], dimensions=(plain(7), plain(3))))

    images = torch.rand(2, 1, 4, 4)
    with Tracer({**HANDLERS, "relu": of_another_shape}, pointwise, otherwise) as tracer:
        start(tracer, images)
        seen = tracer.state(images.relu())
    assert seen is not None
    assert seen.dimensions is None
    assert "relu: gives features of another shape" in str(tracer.notes.findings[-1])
