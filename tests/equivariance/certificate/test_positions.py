"""Numbers that depend on the position, and features that leave torch, are never followed as if they were harmless."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from tests.equivariance.certificate.pointwise import Something, numbers, verdicts


def mean(features: Tensor) -> Tensor:
    return features.mean((-2, -1))


def shared(x: Tensor, *shape: int) -> Tensor:
    """Numbers of that shape, the same for all images."""
    return numbers(1, *shape).to(x).expand(len(x), *shape)


def biased(x: Tensor, *bias: int) -> Tensor:
    return torch.baddbmm(numbers(1, *bias).to(x), x.flatten(2).mT, shared(x, 4, 4)).relu().mean(1)


def biased_on_the_left(x: Tensor, *bias: int) -> Tensor:
    return torch.baddbmm(numbers(1, *bias).to(x), shared(x, 4, 4), x.flatten(2)).relu().mean(-1)


def masked(x: Tensor) -> Tensor:
    mask = torch.zeros(4, 8, dtype=torch.bool)
    mask[:, :3] = True
    return x[:, mask].relu().flatten(1).mean(1, keepdim=True).expand(-1, 4)


def indexed_by_pixels(x: Tensor) -> Tensor:
    return x.mean((-2, -1))[:, (x[0, 0].flatten() > 0).long()].relu() @ numbers(64, 4).to(x)


def gates(x: Tensor) -> Tensor:
    """One number for each image times one for each row."""
    return mean(x)[:, :, None, None] * torch.arange(8.0).to(x)[:, None]


def normed_by_rows(x: Tensor) -> Tensor:
    rows = x.transpose(1, 2)
    return F.group_norm(rows.flatten(0, 1), 2).view(rows.shape).transpose(1, 2)


POSITIONS: dict[str, Something] = {
    "einsum with weights for each pixel": lambda x: torch.einsum("bchw,hwco->bohw", x, numbers(8, 8, 4, 4).to(x)),
    "weights for each row": lambda x: (x.movedim(1, -1) @ numbers(8, 4, 4).to(x)).movedim(-1, 1),
    "weights for each row on the left": lambda x: (numbers(8, 4, 4).to(x) @ x.transpose(1, 2)).transpose(1, 2),
    "a bias for each pixel": lambda x: biased(x, 64, 4),
    "a bias for each pixel behind weights on the left": lambda x: biased_on_the_left(x, 4, 64),
    "a mask over channels and rows": masked,
    "channels that the pixels choose": indexed_by_pixels,
    "statistics of each row": normed_by_rows,
    "gates for each row": lambda x: x * gates(x),
    "a sparse mask": lambda x: (x * torch.eye(8).expand(4, 8, 8).to_sparse().to(x)).to_dense().relu(),
}
SHARED: dict[str, Something] = {
    "einsum": lambda x: torch.einsum("bchw,co->bohw", x, numbers(4, 4).to(x)),
    "weights on the left": lambda x: (numbers(1, 4, 4).to(x) @ x.transpose(1, 2)).transpose(1, 2),
    "a bias": lambda x: biased(x, 1, 4),
    "a bias behind weights on the left": lambda x: biased_on_the_left(x, 4, 1),
    "a vector": lambda x: (x.movedim(1, -1) @ numbers(4).to(x))[:, None].expand(-1, 4, -1, -1),
    "a mask over channels": lambda x: mean(x[:, torch.tensor([True, False, True, True])]).relu() @ numbers(3, 4).to(x),
    "the images as a tensor": lambda x: torch.as_tensor(x),
    "gates for each channel": lambda x: x * mean(x)[:, :, None, None].expand_as(x),
    "new numbers": lambda x: x * x.new_tensor([1.0, 2.0, 3.0, 4.0])[:, None, None],
}


@pytest.mark.parametrize("name", POSITIONS)
def test_numbers_that_depend_on_the_position_are_never_exact(name: str) -> None:
    assert verdicts(POSITIONS[name]) == ("unknown", "approximate")


@pytest.mark.parametrize("name", SHARED)
def test_numbers_that_all_pixels_share_are_exact(name: str) -> None:
    assert verdicts(SHARED[name]) == ("exact", "exact")


def as_written(number: Tensor) -> float:
    return float(repr(number.detach())[7:].split(",")[0].strip(")"))


LEAVING: dict[str, Something] = {
    "tolist": lambda x: torch.tensor(x[:, 0, 0, 0].tolist()),
    "numpy": lambda x: torch.from_numpy(x[:, 0, 0, 0].detach().numpy()),
    "numpy.asarray": lambda x: torch.from_numpy(np.asarray(x[:, 0, 0, 0].detach())),
    "DLPack": lambda x: torch.utils.dlpack.from_dlpack(x[:, 0, 0, 0].detach()),
    "a list of tensors": lambda x: torch.tensor([image[0, 0, 0] for image in x]),
    "a list for new_tensor": lambda x: x.new_tensor([image[0, 0, 0] for image in x]),
    "a list for new": lambda x: x.new([image[0, 0, 0] for image in x]),
    "a list for a legacy constructor": lambda x: torch.FloatTensor([image[0, 0, 0] for image in x]),
    "a deep copy": lambda x: copy.deepcopy(x.detach())[:, 0, 0, 0],
    "a shallow copy": lambda x: copy.copy(x.detach())[:, 0, 0, 0],
    "a storage": lambda x: torch.tensor(list(x[:, 0, 0, 0].clone().storage())),
    "an untyped storage": lambda x: torch.empty(0).to(x).set_(x[:, 0, 0, 0].clone().untyped_storage()),
    "its text": lambda x: torch.tensor([as_written(image[0, 0, 0]) for image in x]),
}


@pytest.mark.filterwarnings("ignore:TypedStorage is deprecated")
@pytest.mark.parametrize("name", LEAVING)
def test_features_that_leave_torch_are_never_exact(name: str) -> None:
    assert verdicts(lambda x: mean(x.relu()) + LEAVING[name](x).to(x)[:, None]) == ("unknown", "approximate")


def test_what_a_weight_made_from_the_image_depends_on_is_kept() -> None:
    def something(x: Tensor) -> Tensor:
        return F.layer_norm(mean(x), (4,), weight=F.max_pool2d(x, 3, 2, 1).relu().mean((0, 2, 3)))

    assert verdicts(something)[0] == "unknown"
