"""The Lie derivative of a network as a table: by size, motion and layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tabulate import tabulate

from gcnnbench.equivariance.depths import known_layers
from gcnnbench.equivariance.factories import Factory
from gcnnbench.equivariance.lie import MOTIONS, OUTPUT, LocalError, Motion, local_errors
from gcnnbench.equivariance.sample import sample_images
from gcnnbench.errors import UserError

IMAGES = 8
HEADINGS = ("size", "motion", "layer", "mean (L f)²", "relative")
NOTE = (
    "- L f = J_f[X x] − X f in float64, per radian or per input pixel; relative: rms L f / rms(f − mean f). Central\n"
    "  differences with zeros outside. The code of Gruver et al. takes one-sided ones with reflection, in float32,\n"
    "  and counts a translation in halves of each map's width, so its numbers are others\n"
)


def lie_table(make: Factory, sizes: Sequence[int], motions: Sequence[str], *, channels: int, layers: bool) -> str:
    """Measure on eight digits and write the rows, the output last of each motion.

    Args:
        make: the network for a size.
        sizes: heights and widths.
        motions: `rotation`, `translation-x`, `translation-y`.
        channels: of the images.
        layers: also each layer whose field the motion acts on; the others are named below the table.

    Raises:
        UserError: a motion is unknown, or the network cannot be measured; says why.
    """
    wanted = []
    for motion in motions:
        if motion not in MOTIONS:
            raise UserError(f"unknown motion {motion!r}: one of {', '.join(MOTIONS)}")
        wanted.append(motion)
    rows: list[list[str]] = []
    refused: dict[str, list[str]] = {}
    for size in sizes:
        for motion in wanted:
            rows += _rows(make, size, motion, channels, layers, refused)
    notes = "".join(f"- {why} ({len(names)} layers: {', '.join(names)})\n" for why, names in refused.items())
    return tabulate(rows, HEADINGS, tablefmt="github", disable_numparse=True) + "\n\n" + NOTE + notes


def _rows(
    make: Factory, size: int, motion: Motion, channels: int, layers: bool, refused: dict[str, list[str]]
) -> Iterator[list[str]]:
    """The rows of one motion at one size; layers that cannot be measured go by name into `refused`, with the reason."""
    network, images = make(size).eval(), sample_images(IMAGES, channels, size)
    for name in known_layers(network) if layers else ():
        try:
            found = next(one for one in local_errors(network, images, motion, layers=(name,)) if one.layer == name)
        except UserError as error:
            why = f"under {motion} at {size}: {str(error).removeprefix(name)}"
            refused.setdefault(why, []).append(name)
        else:
            yield _row(size, found)
    (whole,) = (one for one in local_errors(network, images, motion, layers=()) if one.layer == OUTPUT)
    yield _row(size, whole)


def _row(size: int, found: LocalError) -> list[str]:
    return [str(size), found.motion, found.layer, f"{found.mean_square:.2e}", f"{found.relative:.2e}"]
