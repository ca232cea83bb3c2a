"""A training step recorded once as a CUDA graph and replayed by the device: for small networks Python is what is slow.

What is recorded is forward and backward pass, penalties and sums, from images and labels in places of their own. Images
are prepared and the optimiser steps outside: both only queue work, which the device does behind a replay. A recorded
optimiser would keep learning rate and bias correction in float32 on the device, which are other bits; so any schedule,
optimiser, lookahead and augmentation works as it is. Dropout draws from torch's generator of the device, whose state a
replay reads and moves on as the same step would without a graph.

A replay runs no Python: a number that a layer keeps in Python stays as it was recorded, and a tensor is read where it
stood. So nothing that changes between steps may be either; what a phase of training sets, it sets before the recording.

After https://docs.pytorch.org/docs/2.12/notes/cuda.html#cuda-graphs: a first step is made as it is on the stream of the
recording; gradients live where they were recorded, and a replay writes over them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import torch
from torch import Tensor, nn

from gcnnbench.errors import UserError
from gcnnbench.rewriting.classes import is_of_this_suite

HOOKS = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")
"""Where a module keeps functions that others hung on it."""
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
    """A CUDA graph, recorded on the current stream or, where that is the default one, on a stream of its own."""

    def __init__(self) -> None:
        current = torch.cuda.current_stream()
        self.graph = torch.cuda.CUDAGraph()
        self.stream = torch.cuda.Stream() if current == torch.cuda.default_stream() else current

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
            OutOfMemoryError: the device has no room for it, which says nothing of the step.
        """
        try:
            with torch.cuda.graph(self.graph, stream=self.stream):
                work()
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            raise UserError(f"a training step cannot be recorded as a CUDA graph: {error}") from error

    def replay(self) -> None:
        """Queue the recorded work."""
        self.graph.replay()


class CapturedStep:
    """A step that is made as it is for the first batch, recorded with the second, and then replayed.

    Batches of another form, as the last one of an epoch, are stepped as they are.

    Args:
        step: sets gradients anew, and adds to sums in place.
        network: whose gradients it sets, and whose tensors it reads and changes.
        graph: what records it.
    """

    def __init__(self, step: Step, network: nn.Module, graph: Graph) -> None:
        self.step, self.parameters, self.graph = step, list(network.parameters()), graph
        self.holders: list[Mapping[str, Tensor | None]] = []
        for module in network.modules():
            self.holders += (module._parameters, module._buffers)
        self.form: tuple[object, ...] | None = None
        self.places: tuple[Tensor, Tensor] | None = None
        self.gradients: list[Tensor | None] = []
        self.recorded_at: list[int] = []

    def __call__(self, images: Tensor, labels: Tensor) -> None:
        """Images (batch, channels, size, size) and labels (batch,) -> gradients and sums.

        Raises:
            UserError: the step cannot be recorded, or the network's tensors are not where they were recorded.
        """
        form = images.shape, images.stride(), images.dtype
        if self.form is None:
            self.form = form
            self.graph.ahead(lambda: self.step(images, labels))
        elif form != self.form:
            self.step(images, labels)
        else:
            self._replay(images, labels)

    def _replay(self, images: Tensor, labels: Tensor) -> None:
        if self.places is None:
            held = self.places = _distinct(images).clone(), labels.clone()
            self.recorded_at = self._addresses()
            self.graph.record(lambda: self.step(held[0].expand(images.shape), held[1]))
            self.gradients = [parameter.grad for parameter in self.parameters]
        if self._addresses() != self.recorded_at:
            raise UserError(
                "a training step recorded as a CUDA graph cannot be replayed: a layer put other tensors in the place "
                "of the recorded ones; run it without --cuda-graphs"
            )
        for place, given in zip(self.places, (_distinct(images), labels), strict=True):
            place.copy_(given)
        self.graph.replay()
        for parameter, gradient in zip(self.parameters, self.gradients, strict=True):
            parameter.grad = gradient  # another step may have set its own since

    def _addresses(self) -> list[int]:
        """Where the network's parameters and buffers stand in memory."""
        return [one.data_ptr() for held in self.holders for one in held.values() if one is not None]


def recordable(network: nn.Module) -> bool:
    """Whether a training step of a network can be recorded: its layers are torch's or this suite's, and need no host.

    A layer that reads numbers back, or sends some to the device, says `needs_host = True`; one that learns something
    between epochs may put other tensors in place of recorded ones. Of other people's layers, and of hooks, nothing is
    known.
    """
    return all(
        (type(module).__module__.startswith("torch.") or is_of_this_suite(type(module)))
        and not getattr(module, "needs_host", False)
        and not hasattr(module, "learn_between_epochs")
        and not any(vars(module)[hooks] for hooks in HOOKS)
        for module in network.modules()
    )


def _distinct(images: Tensor) -> Tensor:
    """The images without axes along which they only repeat, as grey images shown in several channels do."""
    return images[tuple(slice(1) if stride == 0 else slice(None) for stride in images.stride())]
