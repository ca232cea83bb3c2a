"""A network as plain data, `Graphs`: lists of calls of operators, written beside submitted code and run without it."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, StringConstraints

from gcnnbench.cards.base import Model
from gcnnbench.cards.values import Positive

Key = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*$", max_length=300)]
MOST_CALLS = 100_000


class Call(Model):
    """One call. In `inputs` and `options` `{"ref": name}` is a value, `{"dtype": …}` and the like what JSON lacks."""

    operator: Key
    inputs: tuple[Any, ...]
    options: dict[Key, Any]
    output: Key
    gradient: bool
    """Whether the call is recorded for the gradient."""


class Graph(Model):
    """The forward pass of one batch size: images (batch, channels, size, size) to logits (batch, classes).

    `state` says which of the network's tensors stands for which name.
    """

    batch: Positive
    images: Key
    state: dict[Key, Key]
    calls: Annotated[tuple[Call, ...], Field(max_length=MOST_CALLS)]
    logits: Key


class Graphs(Model):
    """A network in training and in evaluation, one graph for each size of a batch.

    `parameters`, `frozen`, `buffers` and `constants` name its tensors; the last are no part of its state.
    """

    training: tuple[Graph, ...]
    evaluation: tuple[Graph, ...]
    parameters: tuple[Key, ...]
    frozen: tuple[Key, ...]
    buffers: tuple[Key, ...]
    constants: tuple[Key, ...]
