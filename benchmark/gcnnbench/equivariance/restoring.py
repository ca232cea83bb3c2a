"""What a network may change as it runs, beside its output, and how all of it is put back.

That is whatever its modules hold, directly or in lists, dicts, sets and tuples: attributes, tensors, numpy's arrays
and random generators; and the generators of the process, which are torch's, numpy's and Python's own. Objects of other
classes are not looked into. What has not changed is not written to.
"""

from __future__ import annotations

import pickle
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gcnnbench.equivariance.containers import contents_of, kind_of, refill

GENERATORS: dict[type, tuple[Callable[[Any], Any], Callable[[Any, Any], Any]]] = {
    torch.Generator: (
        lambda generator: generator.get_state().numpy(),
        lambda generator, state: generator.set_state(torch.from_numpy(state)),
    ),
    np.random.RandomState: (np.random.RandomState.get_state, np.random.RandomState.set_state),
    np.random.Generator: (
        lambda generator: generator.bit_generator.state,
        lambda generator, state: setattr(generator.bit_generator, "state", state),
    ),
    random.Random: (random.Random.getstate, random.Random.setstate),
}
"""How the state of each kind of generator is read and set; what is read of one state has one pickled form."""


@contextmanager
def restored(network: nn.Module) -> Iterator[None]:
    """Put back in the end all that the network may have changed: see above.

    The error of what cannot be put back is raised once all the rest is.
    """
    put_back = ExitStack()
    for thing in _reached(network, *_generators_of_the_process()):
        put_back.callback(_as_it_is(thing))
    try:
        yield
    finally:
        with torch.no_grad():
            put_back.close()


def generator_states(network: nn.Module) -> list[bytes]:
    """The states of all generators from which the network may draw; a pass that draws changes one of them."""
    every = _reached(network, *_generators_of_the_process())
    return [pickle.dumps(GENERATORS[kind][0](one)) for one in every if (kind := _generator(one)) is not None]


def _generators_of_the_process() -> tuple[Any, ...]:
    numpys: Any = np.random.get_state
    pythons: Any = random.getstate
    return torch.default_generator, *torch.cuda.default_generators, numpys.__self__, pythons.__self__


def _generator(thing: object) -> type | None:
    """Which kind of generator it is; the system's own has no state."""
    if isinstance(thing, random.SystemRandom):
        return None
    return next((kind for kind in GENERATORS if isinstance(thing, kind)), None)


def _reached(*roots: Any) -> list[Any]:
    """These and what is reached from them, each once: modules' attributes, containers, tensors, arrays, generators."""
    found: dict[int, Any] = {}
    left = list(roots)
    while left:
        thing = left.pop()
        if id(thing) not in found:
            found[id(thing)] = thing
            left += _held(thing)
    return list(found.values())


def _held(thing: Any) -> list[Any]:
    return [vars(thing)] if isinstance(thing, nn.Module) else contents_of(thing)


def _as_it_is(thing: Any) -> Callable[[], Any]:
    """What puts a thing back as it is now."""
    if (kind := _generator(thing)) is not None:
        read, write = GENERATORS[kind]
        return partial(write, thing, read(thing))
    if isinstance(thing, Tensor) and thing.layout == torch.strided and not thing.is_meta:
        return partial(_write, thing, thing.detach(), thing.detach().clone())
    if isinstance(thing, np.ndarray) and thing.flags.writeable:
        return partial(_write_array, thing, thing.copy())
    if kind_of(thing) is not None:
        return partial(refill, thing, contents_of(thing))
    return lambda: None


def _write(tensor: Tensor, memory: Tensor, contents: Tensor) -> None:
    """Give a tensor the memory and the shape that it had, and these contents."""
    if _place(tensor) != _place(memory):
        tensor.data = memory
    if not torch.equal(tensor, contents):
        tensor.copy_(contents)


def _place(tensor: Tensor) -> tuple[object, ...]:
    return tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype, tensor.device


def _write_array(array: np.ndarray[Any, Any], contents: np.ndarray[Any, Any]) -> None:
    if array.tobytes() != contents.tobytes():
        np.copyto(array, contents)
