"""What a network may change as it runs, beside its output, and how all of it is put back.

That is whatever its modules hold, directly or in lists, dicts, sets and tuples: attributes, tensors with their
gradients, numpy's arrays and random generators; and the generators of the process, which are torch's, numpy's and
Python's own. Objects of other classes are not looked into; caches are emptied (`caches.py`). What has not changed is
not written to.
"""

from __future__ import annotations

import pickle
import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, UntypedStorage, nn

from gcnnbench.equivariance.caches import forgetting
from gcnnbench.equivariance.containers import by_class, contents_of, each_of, kind_of, refill

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
def restored(*networks: nn.Module) -> Iterator[None]:
    """Put back in the end all that the networks may have changed, and the generators of the process: see above.

    The error of what cannot be put back is raised once all the rest is.
    """
    put_back = ExitStack()
    for thing in _reached(*networks, *_generators_of_the_process()):
        put_back.callback(_as_it_is(thing))
    try:
        with forgetting(networks):
            yield
    finally:
        with torch.no_grad():
            put_back.close()


def generator_states(network: nn.Module) -> list[bytes]:
    """The states of all generators from which the network may draw; a pass that draws changes one of them."""
    every = _reached(network, *_generators_of_the_process())
    return [pickle.dumps(GENERATORS[kind][0](one)) for one in every if (kind := _generator(type(one))) is not None]


def _generators_of_the_process() -> tuple[Any, ...]:
    numpys: Any = np.random.get_state
    pythons: Any = random.getstate
    return torch.default_generator, *torch.cuda.default_generators, numpys.__self__, pythons.__self__


@by_class
def _generator(kind: type) -> type | None:
    """Which kind of generator it is; the system's own has no state."""
    if issubclass(kind, random.SystemRandom):
        return None
    return next((one for one in GENERATORS if issubclass(kind, one)), None)


@by_class
def _may_change(kind: type) -> bool:
    """Whether there is something to put back in things of this class, or in what they hold."""
    looked_into = (nn.Module, Tensor, UntypedStorage, np.ndarray)
    return issubclass(kind, looked_into) or _generator(kind) is not None or kind_of(kind) is not None


def _reached(*roots: Any) -> list[Any]:
    """These and what is reached from them, each once: modules' attributes, containers, tensors, arrays, generators."""
    found: dict[int, Any] = {}
    left = list(roots)
    while left:
        thing = left.pop()
        if id(thing) not in found:
            found[id(thing)] = thing
            kinds = set(filter(_may_change, set(map(type, _held(thing)))))  # of many names there is one class
            if kinds:
                left += [one for one in _held(thing) if type(one) in kinds]
    return list(found.values())


def _held(thing: Any) -> Iterable[Any]:
    if isinstance(thing, nn.Module):
        return [vars(thing)]
    if isinstance(thing, Tensor):
        return [vars(thing), _memory(thing), _gradient(thing)]
    return each_of(thing)


def _memory(tensor: Tensor) -> UntypedStorage | None:
    """Where its numbers lie; tensors without contents, sparse ones and wrappers of other tensors have no such place."""
    try:
        storage = tensor.untyped_storage()
        if storage.device.type == "meta":
            return None
        storage.data_ptr()
    except RuntimeError:
        return None
    return storage


def _gradient(tensor: Tensor) -> Tensor | None:
    return tensor.grad if tensor.is_leaf else None


def _as_it_is(thing: Any) -> Callable[[], Any]:
    """What puts a thing back as it is now."""
    if (kind := _generator(type(thing))) is not None:
        read, write = GENERATORS[kind]
        return partial(write, thing, read(thing))
    if isinstance(thing, Tensor):
        placed = _memory(thing) is not None and not thing.is_nested
        return partial(_place, thing, thing.detach() if placed else None, thing.requires_grad, _gradient(thing))
    if isinstance(thing, UntypedStorage):
        return partial(_write, thing, thing.nbytes(), _numbers(thing).clone())
    if isinstance(thing, np.ndarray) and thing.flags.writeable:
        return partial(_write_array, thing, thing.copy())
    if kind_of(type(thing)) is not None:
        return partial(refill, thing, contents_of(thing))
    return lambda: None


def _place(tensor: Tensor, before: Tensor | None, learns: bool, gradient: Tensor | None) -> None:
    """Give a tensor the memory and the shape that it had, its gradient, and whether it asks for one."""
    if before is not None and _lies(tensor) != _lies(before):
        tensor.data = before
    if tensor.requires_grad != learns:
        (tensor if tensor.is_leaf else tensor.detach_()).requires_grad_(learns)
    if _gradient(tensor) is not gradient:
        tensor.grad = gradient


def _lies(tensor: Tensor) -> tuple[object, ...]:
    return tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype, tensor.device


def _write(storage: UntypedStorage, size: int, contents: Tensor) -> None:
    """Give memory the size and the contents that it had, compared to the bit: what is undefined equals itself."""
    if storage.nbytes() != size:
        storage.resize_(size)
    if not torch.equal(now := _numbers(storage), contents):
        now.copy_(contents)


def _numbers(storage: UntypedStorage) -> Tensor:
    """All of it as whole numbers, wide ones where they fit: they are compared faster."""
    wide = torch.int64 if storage.nbytes() % 8 == 0 else torch.uint8
    memory: Any = storage
    return torch.empty(0, dtype=wide, device=storage.device).set_(memory)


def _write_array(array: np.ndarray[Any, Any], contents: np.ndarray[Any, Any]) -> None:
    if array.shape != contents.shape:
        array.resize(contents.shape, refcheck=False)
    if array.tobytes() != contents.tobytes():
        np.copyto(array, contents)
