"""The Lie derivative of a network as a table: by size and motion, and by layer as contributions that add up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from gcnnbench.equivariance.contributions import Contribution, Decomposition, decompose
from gcnnbench.equivariance.factories import Factory
from gcnnbench.equivariance.lie import interpolation_error, local_errors
from gcnnbench.equivariance.motions import MOTIONS, STENCILS, Motion, Stencil
from gcnnbench.equivariance.sample import sample_images
from gcnnbench.errors import UserError
from gcnnbench.layout import csv_text, pipes
from gcnnbench.strict_json import json_document

IMAGES = 8
OUTPUT = "output"
Choice = TypeVar("Choice", bound=str)
NOTES = {
    "central": (
        "L f = J_f[X x] at the logits in float64, per radian or per input pixel, by central differences with zeros "
        "outside; relative: rms L f / rms(f − mean f)",
        "interpolation: what moving the images by half a pixel and back does, in the unit of relative",
    ),
    "bilinear": (
        "L f = J_f[X x] at the logits in float64, per radian or per input pixel, by the slope of bilinear "
        "interpolation, f[i+1] − f[i], reflected at the border: a shift and a half-pixel blur in one",
        "LEE: mean |L softmax f|, a translation in halves of the image's width: the quantity of Gruver et al. 2022; "
        "their code rounds coordinates in float32 and takes the left slope where one falls short, so their numbers "
        "differ by tens of percent",
        "interpolation: what moving the images by half a pixel and back does, in the unit of relative",
    ),
}
SHARES = (
    "a layer's contribution c: L f = Σ c over all rows but the output, exactly; mean square of c, and its share "
    "Σ c·L f / Σ (L f)², negative where it takes back what others did"
)


@dataclass(frozen=True)
class Row:
    """One size, motion and layer, or the output."""

    size: int
    motion: str
    layer: str
    kind: str
    mean_square: float
    share: float | None = None
    relative: float | None = None
    interpolation: float | None = None
    lee: float | None = None


@dataclass
class LieTable:
    """What was measured, and what could not be.

    Args:
        stencil: how slopes were taken.
        rows: the output last of each size and motion.
        refused: reason -> layers.
        decompositions: by size and motion, where layers were asked for.
    """

    stencil: Stencil
    rows: list[Row] = field(default_factory=list)
    refused: dict[str, list[str]] = field(default_factory=dict)
    decompositions: dict[tuple[int, str], Decomposition] = field(default_factory=dict)

    def text(self, form: Literal["md", "json", "csv"]) -> str:
        """The table as Markdown with its notes, as JSON or as CSV."""
        if form == "json":
            rows = [vars(row) for row in self.rows]
            document = {"stencil": self.stencil, "rows": rows, "refused": self.refused}
            return json_document(document)
        names = [name for name in vars(self.rows[0]) if any(vars(row)[name] not in (None, "") for row in self.rows)]
        if form == "csv":
            return csv_text(names, ([vars(row)[name] for name in names] for row in self.rows))
        headings = ["LEE" if name == "lee" else name.replace("_", " ") for name in names]
        cells = [[_cell(name, vars(row)[name]) for name in names] for row in self.rows]
        notes = [*NOTES[self.stencil], *((SHARES,) if self.decompositions else ())]
        probes = next((one.probes for one in self.decompositions.values() if one.probes), None)
        if probes:
            notes.append(f"squares and shares of layers are estimated from {probes} random directions of the classes")
        notes += [f"not measured: {why} ({', '.join(layers)})" for why, layers in self.refused.items()]
        table = pipes((headings, cells, ""), roomy=True)
        return f"{table}\n\n" + "\n".join(f"- {note}" for note in notes)


def lie_table(
    make: Factory,
    sizes: Sequence[int],
    motions: Sequence[str],
    *,
    channels: int,
    layers: bool = False,
    stencil: str = "central",
    as_scalar: bool = False,
    images: int = IMAGES,
) -> LieTable:
    """Measure the output, and with `layers` what each layer contributes.

    Args:
        make: the network for a size.
        sizes: heights and widths.
        motions: `rotation`, `translation-x`, `translation-y`.
        channels: of the images, which are digits.
        layers: decompose it, see `contributions.py`; layers that cannot be measured are named with the reason.
        stencil: `central` or `bilinear`.
        as_scalar: turn regular features as if they were scalar.
        images: how many.

    Raises:
        UserError: a motion or stencil is unknown, or the network cannot be measured; says why.
    """
    wanted: list[Motion] = [_one_of("motion", motion, MOTIONS) for motion in motions]
    slopes: Stencil = _one_of("stencil", stencil, STENCILS)
    table = LieTable(slopes)
    for size in sizes:
        for motion in wanted:
            network, shown = make(size), sample_images(images, channels, size)
            if layers:
                found = decompose(network, shown, motion, stencil=slopes, as_scalar=as_scalar)
                table.decompositions[size, motion] = found
                table.rows += [_contributed(size, motion, one) for one in (*found.contributions, found.between)]
                for layer, why in found.refused.items():
                    table.refused.setdefault(f"under {motion} at {size}, {why}", []).append(layer)
            (whole,) = local_errors(network, shown, motion, layers=(), stencil=slopes)
            back = interpolation_error(network, shown, motion, 1 / size if motion == "rotation" else 0.5)
            lee = whole.expected if slopes == "bilinear" else None
            table.rows.append(
                Row(size, motion, OUTPUT, "", whole.mean_square, 1.0 if layers else None, whole.relative, back, lee)
            )
    return table


def _one_of(what: str, given: str, known: Sequence[Choice]) -> Choice:
    for one in known:
        if one == given:
            return one
    raise UserError(f"unknown {what} {given!r}: one of {', '.join(known)}")


def _contributed(size: int, motion: str, one: Contribution) -> Row:
    return Row(size, motion, one.layer, one.kind, one.mean_square, one.share)


def _cell(name: str, value: object) -> str:
    if value is None or value == "":
        return "–"
    if name == "share" and isinstance(value, float):
        return f"{value:+.3f}"
    return f"{value:.2e}" if isinstance(value, float) else str(value)
