"""Finds out how many channels a network takes, where nobody says it, and whether it can be audited at all."""

from __future__ import annotations

from collections.abc import Sequence

from gcnnbench.equivariance.depths import OutputError
from gcnnbench.equivariance.exactness import watch
from gcnnbench.equivariance.factories import Factory
from gcnnbench.equivariance.sample import sample_images
from gcnnbench.errors import UserError
from gcnnbench.foreign_code import REFUSALS, said
from gcnnbench.formatting import how_many
from gcnnbench.nn.groups import P4

TRIED = (3, 1, 2, 4)
"""Numbers of channels, the usual ones first."""


def find_channels(make: Factory, sizes: Sequence[int], name: str, known: int | None = None) -> int:
    """The number of channels that is known, else the first of 3, 1, 2 and 4 with which the network runs at a size.

    Args:
        make: the network for a size.
        sizes: of its input.
        name: of the network.
        known: the channels of its input; then that it takes none of the sizes is no matter of theirs.

    Raises:
        UserError: it cannot be made at any of the sizes, takes none of these numbers, or puts out no tensor.
    """
    unmade, refused = list[str](), list[list[str]]()
    for size in sizes:
        try:
            network = make(size)
        except REFUSALS as error:
            unmade.append(f"{size}: {said(error)}")
            continue
        refused.append([])
        for channels in TRIED if known is None else (known,):
            try:
                watch(network, sample_images(2, channels, size), P4.elements)
            except OutputError as error:  # it ran, so this is no matter of channels
                raise UserError(f"{name}: {error}") from None
            except REFUSALS as error:
                refused[-1].append(f"{size} with {how_many(channels, 'channel')}: {said(error)}")
            else:
                return channels
    if not refused:
        raise UserError(f"{name} cannot be made at any of the sizes: at {unmade[0]}")
    if known is not None:
        return known
    wrong = f"{name} takes none of the sizes with 1 to 4 channels: say how many it has, or other sizes"
    raise UserError("\n- ".join([wrong, *refused[0]]))  # with the right number it says what else is wrong
