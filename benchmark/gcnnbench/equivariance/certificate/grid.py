"""The sampling grid of one operation: whether it lies symmetrically over its input, along each axis and when turned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gcnnbench.nn.groups import Element


@dataclass(frozen=True)
class AxisSampling:
    """How an operation samples one axis: output j reads the inputs `stride·j − padding + dilation·[0, kernel)`.

    Args:
        input: length of the input.
        output: length of the output, as it really came out (`ceil_mode` and trailing padding show here).
        kernel: length of the kernel.
        stride: step of the grid.
        dilation: distance of neighbouring kernel points.
        padding: places before the first input; negative where the input is cropped.
        transposed: whether input and output have changed parts, as in a transposed convolution.
        circular: whether all of the padding wraps round.
    """

    input: int
    output: int
    kernel: int = 1
    stride: int = 1
    dilation: int = 1
    padding: int = 0
    transposed: bool = False
    circular: bool = False

    @property
    def periodic(self) -> bool:
        """Whether it takes a circular shift of the input to the same shift of the output."""
        whole = self.stride == 1 and not self.transposed and self.input == self.output
        return whole and (self.circular or not self.padding)

    @property
    def overhang(self) -> int:
        """How many places the grid reaches less far at the end than at the beginning; negative where further.

        `i + 2p − d(k − 1) − 1 − s(o − 1)`, zero where the grid is symmetric: then output j reads, from the one end,
        what output o − 1 − j reads from the other.
        """
        fine, coarse = (self.output, self.input) if self.transposed else (self.input, self.output)
        return fine + 2 * self.padding - self.dilation * (self.kernel - 1) - 1 - self.stride * (coarse - 1)

    @property
    def symmetric(self) -> bool:
        """Whether the grid is its own mirror image."""
        return self.overhang == 0


def identity(size: int) -> AxisSampling:
    """An axis that is not sampled at all."""
    return AxisSampling(size, size)


@dataclass(frozen=True)
class Sampling:
    """One operation that samples pixels.

    Args:
        layer: the module it ran in, with the operation where the module does several things.
        op: the operation.
        rows: its sampling along the rows' index y.
        columns: its sampling along the columns' index x.
        symmetric: for (y, x), whether the grid is symmetric; by the rule, or by trying where the rule does not apply.
        turns: whether both axes are sampled alike, as quarter turns need; None where that cannot be told, for a
            kernel along one axis may be followed by its twin along the other.
        periodic: for (y, x), whether circular shifts go with it.
    """

    layer: str
    op: str
    rows: AxisSampling
    columns: AxisSampling
    symmetric: tuple[bool, bool]
    turns: bool | None
    periodic: tuple[bool, bool] = (False, False)

    def breaks(self, elements: Sequence[Element]) -> bool | None:
        """Whether the grid is broken for one of these elements; None where that cannot be told."""
        y, x = self.symmetric
        down, right = (any(element.shift[axis] for element in elements) for axis in (0, 1))
        if (down and not self.periodic[0]) or (right and not self.periodic[1]):
            return True
        back = [reversals(element) for element in elements]
        if (not y and any(rows for rows, _ in back)) or (not x and any(columns for _, columns in back)):
            return True
        if not any(element.turns % 2 for element in elements):
            return False
        return None if self.turns is None else not self.turns

    def __str__(self) -> str:
        one, other = _words(self.rows), _words(self.columns)
        return f"{self.layer}: {self.op}, {one if one == other else f'rows {one}; columns {other}'}"


def reversals(element: Element) -> tuple[bool, bool]:
    """Whether rows and columns, as axes of the input, are run through backwards: (y, x)."""
    rows = element.turns == 2 if not element.turns % 2 else element.turns == 3
    columns = element.turns in (1, 2)
    return (rows, columns != bool(element.mirrored))


def _words(axis: AxisSampling) -> str:
    padding = f"{'circular ' if axis.circular else ''}padding {axis.padding}"
    return (
        f"{axis.input} → {axis.output} (kernel {axis.kernel}, stride {axis.stride}, {padding}"
        f"{f', dilation {axis.dilation}' if axis.dilation > 1 else ''})"
    )


def by_rule(layer: str, op: str, rows: AxisSampling, columns: AxisSampling) -> Sampling:
    """A sampling judged by the rule along each axis; quarter turns need both axes alike.

    A kernel that reaches along one axis only leaves quarter turns open: its twin may follow.
    """
    one_sided = (rows.kernel == 1) != (columns.kernel == 1) and rows.stride == columns.stride == 1
    turns = True if rows == columns else None if one_sided else False
    symmetric, periodic = (rows.symmetric, columns.symmetric), (rows.periodic, columns.periodic)
    return Sampling(layer, op, rows, columns, symmetric, turns, periodic)
