"""Runs cells on a Ray cluster, or on a Ray of this machine; messages stream back while a turn goes on.

Data sets lie in Ray's object store, each part once under its digest, and workers of one node read them in shared
memory. Ray is imported here alone, and only when an engine is made.
"""

from __future__ import annotations

import logging
import os
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from importlib import import_module
from threading import Thread
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gcnnbench.data.parts import Part
from gcnnbench.errors import UserError
from gcnnbench.outside_text import as_line
from gcnnbench.runs.cell import Cell
from gcnnbench.runs.elsewhere import take_elsewhere, unpacked
from gcnnbench.runs.turns import Message, Turn

Array = NDArray[Any]
TOKEN = "; one that asks for Ray's token is joined with RAY_AUTH_MODE=token"
SHARES = 10_000
"""Ray counts resources in so many parts of one."""
LOOK_SECONDS = 5.0
"""How long what the cluster has room for is believed; nodes come and go."""


class RayEngine:
    """An engine on Ray.

    Args:
        address: of a cluster, as `ray start` prints it; that in `RAY_ADDRESS`, else a new Ray on this machine, without.
        cores: CPU cores that a turn reserves.
        gpus: GPUs that a turn reserves, also a fraction of one.
        node_data: whether nodes read data sets from the cells' data directory; from the object store otherwise.

    Raises:
        UserError: Ray is not installed, the cluster cannot be joined, or less than Ray counts is to be reserved.
    """

    streams = True

    def __init__(
        self, address: str | None = None, *, cores: float = 1, gpus: float = 0, node_data: bool = False
    ) -> None:
        self.ray = _imported()
        self.cores, self.gpus, self.node_data = cores, gpus, node_data
        for option, amount in (("--cores", cores), ("--gpus", gpus)):
            if 0 < amount < 1 / SHARES:
                raise UserError(f"{option} {amount:g}: Ray counts in steps of {1 / SHARES:g}; give that or more, or 0")
        self.address = address or os.environ.get("RAY_ADDRESS") or "local"
        if self.address.startswith("ray://"):
            raise UserError(
                f"--address {self.address}: Ray's client streams nothing; run this on a node of the cluster"
            )
        try:
            self.ray.init(address=self.address, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            raise UserError(
                as_line(f"--address {self.address}: no cluster to be joined there ({error}){TOKEN}", 400)
            ) from error
        # a worker of a GPU would be replaced after each turn, and import torch anew
        self.stream = self.ray.remote(max_calls=0, max_retries=0)(_stream)
        self.objects: dict[str, Any] = {}
        self.running: list[Any] = []
        self._slots, self._looked = 0, -LOOK_SECONDS

    @property
    def slots(self) -> int:
        """How many turns the nodes that are there now have room for."""
        if time.monotonic() - self._looked >= LOOK_SECONDS:
            self._slots, self._looked = sum(map(self._room_on, self.ray.nodes())), time.monotonic()
        return self._slots

    def submit(self, turn: Turn, tell: Callable[[Message], None]) -> Future[None]:
        """Have a turn taken; see `Engine`."""
        options = {"num_cpus": self.cores, "num_gpus": self.gpus, "num_returns": "streaming"}
        names, objects = ((), ()) if self.node_data else self._data(turn.cells[0])
        messages = self.stream.options(**options).remote(turn, names, *objects)
        self.running.append(messages)
        done: Future[None] = Future()

        def pass_on() -> None:
            try:
                for message in messages:
                    tell(self.ray.get(message))
            except self.ray.exceptions.RayTaskError as error:
                done.set_exception(RuntimeError(cause(error)))
            except BaseException as error:
                done.set_exception(error)
            else:
                done.set_result(None)
            finally:
                self.running.remove(messages)

        Thread(target=pass_on, daemon=True).start()
        return done

    def close(self) -> None:
        """Leave the cluster, which ends what runs on it for this call; a Ray that was started here ends, too."""
        for messages in list(self.running):
            self.ray.cancel(messages, force=True)
        self.ray.shutdown()

    def _room_on(self, node: dict[str, Any]) -> int:
        has: dict[str, float] = node["Resources"] if node["Alive"] else {}
        wanted = {"CPU": self.cores, "GPU": self.gpus}
        return min(
            round(has.get(name, 0) * SHARES) // round(amount * SHARES) for name, amount in wanted.items() if amount
        )

    def _data(self, cell: Cell) -> tuple[tuple[str, ...], tuple[Any, ...]]:
        """The names of a data set's parts, and for each its images and labels in the object store."""
        card = cell.registry.dataset(cell.card.dataset)
        digests = {name: str(part.digest) for name, part in card.parts.items()}
        if not self.objects.keys() >= set(digests.values()):
            for name, part in unpacked(cell).parts().items():
                if digests[name] not in self.objects:
                    arrays = (part.images.numpy(), part.labels.numpy())
                    self.objects[digests[name]] = self.ray.put(arrays)
        return tuple(digests), tuple(self.objects[digest] for digest in digests.values())


def cause(error: Exception) -> str:
    """What failed on a worker of Ray: the last line of the traceback that its error's text is."""
    return str(error).strip().rpartition("\n")[2]


def _stream(turn: Turn, names: tuple[str, ...], *arrays: tuple[Array, Array]) -> Iterator[Message]:
    """What a worker of Ray runs; the arrays are views of its node's object store, which nothing writes to."""
    given = {name: _part(*pair) for name, pair in zip(names, arrays, strict=True)}
    yield from take_elsewhere(turn, given or None)


def _part(images: Array, labels: Array) -> Part:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        return Part(torch.from_numpy(np.asarray(images)), torch.from_numpy(np.asarray(labels)))


def _imported() -> Any:
    os.environ.setdefault("RAY_ENABLE_AUTO_CONNECT", "0")  # a thread that waits at the end would start another Ray
    try:
        return import_module("ray")
    except ImportError as error:
        raise UserError(f"--on ray needs Ray: python -m pip install 'gcnnbench[ray]' ({error})") from error
