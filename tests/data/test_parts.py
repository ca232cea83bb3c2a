from __future__ import annotations

import hashlib

import pytest
import torch
from torch import Tensor

from gcnnbench.data.parts import Part, digest

IMAGES = torch.arange(2 * 1 * 2 * 3, dtype=torch.uint8).reshape(2, 1, 2, 3)
LABELS = torch.tensor([3, 1])


def test_digest_is_the_stated_hash() -> None:
    text = b'["images", "uint8", [2, 1, 2, 3]]' + bytes(range(12))
    text += b'["labels", "int64", [2]]' + bytes([3, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0])
    assert digest(Part(IMAGES, LABELS)) == hashlib.sha256(text).hexdigest()


def test_digest_sees_values_order_shape_and_dtype_and_not_the_memory() -> None:
    changed = IMAGES.clone()
    changed[1, 0, 1, 2] += 1
    different = [
        Part(IMAGES, LABELS),
        Part(changed, LABELS),
        Part(IMAGES, LABELS.flip(0)),
        Part(IMAGES.flip(0), LABELS.flip(0)),
        Part(IMAGES.reshape(2, 1, 3, 2), LABELS),
        Part(IMAGES.reshape(2, 3, 2, 1), LABELS),
        Part(IMAGES.to(torch.float32), LABELS),
    ]
    assert len({digest(part) for part in different}) == len(different)
    strided = IMAGES.transpose(2, 3).contiguous().transpose(2, 3)
    assert not strided.is_contiguous()
    assert digest(Part(strided, LABELS)) == digest(Part(IMAGES, LABELS))


def test_select_takes_images_and_labels_together() -> None:
    part = Part(IMAGES, LABELS)
    turned = part.select(torch.tensor([1, 0, 1]))
    assert torch.equal(turned.images, IMAGES[[1, 0, 1]])
    assert turned.labels.tolist() == [1, 3, 1]
    assert part.select(slice(1)).labels.tolist() == [3]


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (IMAGES[0], LABELS, r"axes \(images, channels, height, width\).*\(1, 2, 3\)"),
        (IMAGES.to(torch.float64), LABELS, r"uint8 or float32.*torch\.float64"),
        (IMAGES, LABELS.to(torch.int32), r"labels must be int64.*torch\.int32"),
        (IMAGES, LABELS[:, None], r"labels must be int64 \(images,\).*\(2, 1\)"),
        (IMAGES, LABELS[:1], "2 images and 1 label, where each has one"),
        (IMAGES, LABELS - 2, "count from 0, but one is -1"),
    ],
)
def test_other_forms_are_refused(images: Tensor, labels: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Part(images, labels)
