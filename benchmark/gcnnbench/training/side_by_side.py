"""Several networks trained side by side in one process, a step of each in turn, each with the bits that it has alone.

While one waits for the host, the device has the others' work. `many_seeds.py` makes one computation of all of them,
which rounds in another way.

On CUDA each has a stream of its own (https://docs.pytorch.org/docs/2.12/notes/cuda.html#cuda-streams). It waits for the
current stream before it begins and after each epoch, when others may have read its state; the current stream waits for
it at the end of each epoch, before they do. Between these no tensor passes from one stream to another, and memory that
is given back on a stream is used again on that stream only.

Steps are recorded on that stream too. Before a recording torch waits for the whole device, and until it has ended
nothing else is asked of the device; so torch's strictest mode of recording stays, and graphs share no memory. A replay
reads what its random numbers begin with from tensors that belong to a state of the device's generator, in older
versions of torch to all graphs of that state together. So a network has a state of its own, and not only its numbers.

None of this has been seen on a GPU.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn

from gcnnbench.device import Settings, generator_of
from gcnnbench.errors import UserError
from gcnnbench.foreign_code import WITHIN_GENERATORS, raise_if_told_to_end
from gcnnbench.training.loop import Steps, train_by_steps
from gcnnbench.training.task import Task, TrainingState


def train_side_by_side(
    networks: Sequence[nn.Module], tasks: Sequence[Task], states: Sequence[TrainingState]
) -> Generator[dict[int, BaseException], None, None]:
    """Train networks, each by its own recipe and as `train` would, bringing each one's state up to date after an epoch.

    Nothing is shared but the device. `seconds` of an epoch are a network's share of the time.

    Args:
        networks: on the tasks' device.
        tasks: what each is trained on.
        states: where each stands; they may stand after different epochs.

    Yields:
        After an epoch of each that is not trained yet: those lost so far by their position, with what ended them. Their
        states stay where they were.

    Raises:
        UserError: the device is neither a CPU nor a CUDA device.
    """
    trainings = {
        place: interleaved(task.device, train_by_steps(network, task, state))
        for place, (network, task, state) in enumerate(zip(networks, tasks, states, strict=True))
    }
    lost: dict[int, BaseException] = {}
    try:
        while trainings:
            start, before = time.perf_counter(), len(lost)
            _epoch_of_each(trainings, lost)
            seconds, trained = time.perf_counter() - start, len(trainings) + len(lost) - before
            for place in trainings:
                states[place].history[-1]["seconds"] = seconds / trained
            if trained:
                yield lost
    finally:
        for training in trainings.values():
            training.close()


def _epoch_of_each(trainings: dict[int, Interleaved], lost: dict[int, BaseException]) -> None:
    """Go on to the end of an epoch of each; those that have ended are taken out, and `lost` says which failed."""
    going = dict(trainings)
    while going:
        for place, training in list(going.items()):
            try:
                state = next(training)
            except StopIteration:
                del trainings[place], going[place]
            except WITHIN_GENERATORS as error:  # of this network alone; an interruption ends all
                raise_if_told_to_end(error)
                traceback.clear_frames(error.__traceback__)  # which hold what it had on the device
                lost[place] = error
                del trainings[place], going[place]
            else:
                if state is not None:
                    del going[place]


def interleaved(device: torch.device, steps: Steps) -> Interleaved:
    """Training on this device, ready to take turns with others.

    Raises:
        UserError: it is neither a CPU nor a CUDA device, and its generator cannot be switched between trainings.
    """
    if device.type not in ("cpu", "cuda"):
        raise UserError(f"several seeds are trained side by side on cpu and cuda, not on {device.type}")
    return InterleavedOnCuda(device, steps) if device.type == "cuda" else Interleaved(device, steps)


class Interleaved:
    """Training whose steps take turns with those of others; what torch has once for all, each finds as it left it.

    Between two steps the context managers of an epoch stay entered: the settings and the random numbers of that epoch
    are put away with each step, and torch gets back those that it had.

    Args:
        device: where the network is.
        steps: the training.
    """

    def __init__(self, device: torch.device, steps: Steps) -> None:
        self.device, self.steps = device, steps
        self.settings, self.drawn = Settings.now(device.type), torch.get_rng_state()
        self.between_epochs = True

    def __next__(self) -> TrainingState | None:
        """Make a step: nothing, or after the last one of an epoch its state; it raises what the training does."""
        if self.between_epochs:
            self.begin()
        self.between_epochs = True
        try:
            with self.current():
                state = next(self.steps)
            self.between_epochs = state is not None
        finally:
            if self.between_epochs:
                self.end()
        return state

    def close(self) -> None:
        """End the training where it stands."""
        with self.current():
            self.steps.close()
        self.end()

    def begin(self) -> None:
        """See what others have done before."""

    def end(self) -> None:
        """Let others see what was done."""

    @contextmanager
    def current(self) -> Iterator[None]:
        """Let torch have this training's settings and random numbers."""
        settings, drawn = Settings.now(self.device.type), torch.get_rng_state()
        self.settings.make()
        torch.set_rng_state(self.drawn)
        try:
            yield
        finally:
            self.settings, self.drawn = Settings.now(self.device.type), torch.get_rng_state()
            settings.make()
            torch.set_rng_state(drawn)


class InterleavedOnCuda(Interleaved):
    """Interleaved training with a CUDA stream and a state of the device's generator of its own."""

    def __init__(self, device: torch.device, steps: Steps) -> None:
        super().__init__(device, steps)
        self.stream, self.generator = torch.cuda.Stream(device), generator_of(device).clone_state()

    def begin(self) -> None:
        """Wait for what the current stream has been asked."""
        self.stream.wait_stream(torch.cuda.current_stream(self.device))

    def end(self) -> None:
        """Let the current stream wait for what this one has been asked."""
        torch.cuda.current_stream(self.device).wait_stream(self.stream)

    @contextmanager
    def current(self) -> Iterator[None]:
        """Let torch have this training's stream and generator, too."""
        generator = generator_of(self.device)
        outside = generator.graphsafe_get_state()
        with super().current(), torch.cuda.stream(self.stream):
            generator.graphsafe_set_state(self.generator)
            try:
                yield
            finally:
                generator.graphsafe_set_state(outside)
