"""The groups that cards name, and the elements of those that move images; without torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

GroupName = Literal["trivial", "p4", "p4m", "C4", "C8", "C16"]
GridGroupName = Literal["p2", "pm", "p4", "p4m", "shifts", "shifts-p4"]
ElementName = Literal[
    "upright", "rot90", "rot180", "rot270", "mirror", "mirror-rot90", "mirror-rot180", "mirror-rot270",
    "shift-0-1", "shift-1-0", "shift-1-1", "shift-0-2", "shift-3-0", "shift-2-5", "shift-6-3", "shift-7-4",
    "rot90-shift-0-1", "rot90-shift-1-0", "rot180-shift-1-1", "rot180-shift-0-2", "rot270-shift-3-0", "rot270-shift-2-5"
]  # fmt: skip

_SHIFTS = ("shift-0-1", "shift-1-0", "shift-1-1", "shift-0-2", "shift-3-0", "shift-2-5", "shift-6-3", "shift-7-4")
"""Pixels downwards and to the right, on an image that closes to a torus."""

ELEMENTS: Mapping[str, tuple[str, ...]] = {
    "p2": ("upright", "rot180"),
    "pm": ("upright", "mirror"),
    "p4": ("upright", "rot90", "rot180", "rot270"),
    "p4m": ("upright", "rot90", "rot180", "rot270", "mirror", "mirror-rot90", "mirror-rot180", "mirror-rot270"),
    "shifts": ("upright", *_SHIFTS),
    "shifts-p4": (
        *("upright", "rot90", "rot180", "rot270", *_SHIFTS),
        *("rot90-shift-0-1", "rot90-shift-1-0", "rot180-shift-1-1"),
        *("rot180-shift-0-2", "rot270-shift-3-0", "rot270-shift-2-5"),
    ),
}
"""The elements of each grid group, as `gcnnbench.nn.groups` names them (which costs an import of torch).

Of circular shifts, which are as many as pixels, these stand for all."""
