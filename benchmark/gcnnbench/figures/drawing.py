"""The type of a drawn figure: the picture with its caption and its text for who cannot see it."""

from __future__ import annotations

from dataclasses import dataclass

from matplotlib.figure import Figure


@dataclass(frozen=True)
class Drawing:
    """A figure, its title, the caption for readers, and the alternative text for those who cannot see it."""

    figure: Figure
    title: str
    caption: str
    alt: str


def counted(numbers: dict[str, int]) -> str:
    """How many seeds each network has: `n = 5 each`, or `n = 5 (p4cnn@28), 1 (p4cnn@27)`; and what one seed means."""
    several = set(numbers.values())
    text = f"n = {several.pop()} each" if len(several) == 1 else ""
    text = text or "n = " + ", ".join(f"{n} ({name})" for name, n in numbers.items())
    return f"{text}; n = 1 is one run and has no band" if 1 in numbers.values() else text
