"""A drawn figure with its caption and its text for those who cannot see it, and writing one to files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from gcnnbench.disk import whole_files
from gcnnbench.figures.style import encoded


@dataclass(frozen=True)
class Drawing:
    """A figure, its title, the caption for readers, and the alternative text for those who cannot see it."""

    figure: Figure
    title: str
    caption: str
    alt: str


def write_figure(figure: Figure, title: str, description: str, stem: Path, temporary: Path | None = None) -> list[Path]:
    """Write a figure as SVG and PNG, inside `styled()`; the same figure gives the same bytes.

    Args:
        figure: drawn under the same settings.
        title: of the files' metadata.
        description: the caption, for their metadata, too.
        stem: path without its ending.
        temporary: the folder for files that are being written; that of the figures where None.
    """
    drawn = encoded(figure, title, description).items()
    files = {stem.with_name(f"{stem.name}.{form}"): content for form, content in drawn}
    with whole_files(files, temporary):
        return list(files)


def counted(numbers: dict[str, int]) -> str:
    """How many seeds each network has: `n = 5 each`, or `n = 5 (p4cnn@28), 1 (p4cnn@27)`; and what one seed means."""
    several = set(numbers.values())
    text = f"n = {several.pop()} each" if len(several) == 1 else ""
    text = text or "n = " + ", ".join(f"{n} ({name})" for name, n in numbers.items())
    return f"{text}; n = 1 is one run and has no band" if 1 in numbers.values() else text
