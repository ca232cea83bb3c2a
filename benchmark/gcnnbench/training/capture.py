"""A training step recorded once as a CUDA graph and replayed by the device: for small networks Python is what is slow.

What is recorded is forward and backward pass, penalties and sums, from images and labels in places of their own. Images
are prepared and the optimiser steps outside: both only queue work, which the device does behind a replay. A recorded
optimiser would keep learning rate and bias correction in float32 on the device, which are other bits; so any schedule,
optimiser, lookahead and augmentation works as it is. Dropout draws from torch's generator of the device, whose state a
replay reads and moves on as the same step would without a graph.

After https://docs.pytorch.org/docs/2.12/notes/cuda.html#cuda-graphs: a first step is made as it is on the stream of the
recording; gradients live where they were recorded, and a replay writes over them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

import torch
from torch import Tensor, nn

from gcnnbench.errors import UserError

OWN = __name__.partition(".")[0]
Step = Callable[[Tensor, Tensor], None]
"""From images (batch, channels, size, size) and labels (batch,) to gradients."""


class Graph(Protocol):
    """Work of a device that is recorded once and replayed."""

    def ahead(self, work: Callable[[], None]) -> None:
        """Do the work as it is, where it will be recorded."""

    def record(self, work: Callable[[], None]) -> None:
        """Record the work; nothing is computed."""

    def replay(self) -> None:
        """Do what was recorded, at the same places in memory."""


class CudaGraph:
    """A CUDA graph, recorded on a stream of its own."""

    def __init__(self) -> None:
        self.graph, self.stream = torch.cuda.CUDAGraph(), torch.cuda.Stream()

    def ahead(self, work: Callable[[], None]) -> None:
        """Do the work on the stream, after all that is queued and before what comes."""
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            work()
        torch.cuda.current_stream().wait_stream(self.stream)

    def record(self, work: Callable[[], None]) -> None:
        """Record the work; torch registers the device's generator with the graph.

        Raises:
            UserError: something in it needs the host.
        """
        try:
            with torch.cuda.graph(self.graph, stream=self.stream):
                work()
        except RuntimeError as error:
            raise UserError(f"a training step cannot be recorded as a CUDA graph: {error}") from error

    def replay(self) -> None:
        """Queue the recorded work."""
        self.graph.replay()


class CapturedStep:
    """A step that is made as it is for the first batch, recorded with the second, and then replayed.

    Batches of another shape, as the last one of an epoch, are stepped as they are.

    Args:
        step: sets gradients anew, and adds to sums in place.
        parameters: whose gradients it sets.
        graph: what records it.
    """

    def __init__(self, step: Step, parameters: Iterable[nn.Parameter], graph: Graph) -> None:
        self.step, self.parameters, self.graph = step, list(parameters), graph
        self.shape: torch.Size | None = None
        self.places: tuple[Tensor, Tensor] | None = None
        self.gradients: list[Tensor | None] = []

    def __call__(self, images: Tensor, labels: Tensor) -> None:
        """Images (batch, channels, size, size) and labels (batch,) -> gradients and sums."""
        if self.shape is None:
            self.shape = images.shape
            self.graph.ahead(lambda: self.step(images, labels))
        elif images.shape != self.shape:
            self.step(images, labels)
        else:
            self._replay(images, labels)

    def _replay(self, images: Tensor, labels: Tensor) -> None:
        if self.places is None:
            held = self.places = _distinct(images).clone(), labels.clone()
            self.graph.record(lambda: self.step(held[0].expand(images.shape), held[1]))
            self.gradients = [parameter.grad for parameter in self.parameters]
        for place, given in zip(self.places, (_distinct(images), labels), strict=True):
            place.copy_(given)
        self.graph.replay()
        for parameter, gradient in zip(self.parameters, self.gradients, strict=True):
            parameter.grad = gradient  # another step may have put its own there meanwhile


def recordable(network: nn.Module) -> bool:
    """Whether a training step of a network can be recorded: its layers are torch's or this suite's, and need no host.

    A layer that reads numbers back, or sends some to the device, says `needs_host = True`; one that settles something
    between epochs may put other tensors in place of recorded ones. Of other people's layers nothing is known.
    """
    return all(
        type(module).__module__.partition(".")[0] in ("torch", OWN)
        and not getattr(module, "needs_host", False)
        and not hasattr(module, "settle")
        for module in network.modules()
    )


def _distinct(images: Tensor) -> Tensor:
    """The images without axes along which they only repeat, as grey images shown in several channels do."""
    return images[tuple(slice(1) if stride == 0 else slice(None) for stride in images.stride())]
