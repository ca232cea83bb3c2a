"""The protocol of a benchmark in sentences says what its card says."""

from __future__ import annotations

import pytest

from gcnnbench.cards.registry import Registry
from gcnnbench.pages.protocol_text import protocol


@pytest.mark.parametrize(
    ("source_size", "told"),
    [
        (None, "Images resized to the entry's size as by Pillow (bilinear), shown as 3 equal channels"),
        (48, "Images resized to 48×48 pixels and then to the entry's size as by Pillow (bilinear), shown as 3 equal"),
    ],
)
def test_it_says_by_which_sizes_images_are_resized(source_size: int | None, told: str) -> None:
    registry = Registry.load()
    card = registry.benchmark("mnist-upright")
    resized = card.model_copy(update={"input": card.input.model_copy(update={"source_size": source_size})})
    assert dict(protocol(resized, registry.dataset("mnist")))["input"].startswith(told)
