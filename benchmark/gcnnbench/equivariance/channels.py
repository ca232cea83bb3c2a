"""Finds out how many channels a network takes, where nobody says it."""

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


def find_channels(make: Factory, sizes: Sequence[int], name: str, asked: Sequence[int] = TRIED) -> int:
    """The first of these numbers of channels with which the network runs at one of the sizes.

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
        for channels in asked:
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
    counts = how_many(asked[0], "channel") if len(asked) == 1 else f"{min(asked)} to {max(asked)} channels"
    right = "ask with another number" if len(asked) == 1 else "say how many it has"
    wrong = f"{name} takes none of the sizes with {counts}: {right}, or other sizes"
    raise UserError("\n- ".join([wrong, *refused[0]]))  # with the right number it says what else is wrong
