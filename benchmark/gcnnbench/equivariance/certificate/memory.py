"""What is known of the tensors of a pass: each by itself, and all that share memory with one that is written into."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakTensorKeyDictionary

from gcnnbench.equivariance.certificate.aliases import all_pixels, inherited, layout, memory_of
from gcnnbench.equivariance.certificate.axes import axes_of
from gcnnbench.equivariance.certificate.tracked import Call, Finding, Obstacle, Tracked, merged

BLANK = {
    *("zeros", "zeros_like", "new_zeros", "ones", "ones_like", "new_ones", "full", "full_like", "new_full"),
    *("empty", "empty_like", "new_empty", "empty_strided", "new_empty_strided", "empty_permuted", "fill", "zero"),
}
"""They give memory of one number, or without content."""


@dataclass(frozen=True)
class _Written:
    """Memory into parts of which features were written, and what is known of the tensor with these strides in it."""

    storage: torch.UntypedStorage
    state: Tracked
    strides: Sequence[int]


@dataclass(frozen=True)
class _Held:
    """What was last said of a tensor with this memory, and how that tensor lies in it."""

    storage: StorageWeakRef
    state: Tracked
    layout: tuple[Sequence[int], Sequence[int], int]


class Memory:
    """The states of tensors.

    Args:
        add: notes a finding and gives its bit.
    """

    def __init__(self, add: Callable[[Finding], int]) -> None:
        self.add = add
        self._states = WeakTensorKeyDictionary()
        self._written: dict[int, _Written] = {}
        self._entered: dict[int, tuple[StorageWeakRef, Tracked]] = {}
        self._blank: dict[int, StorageWeakRef] = {}
        self._held: dict[int, _Held] = {}

    def state(self, tensor: Tensor) -> Tracked | None:
        """What is known of a tensor; None where it does not come from the image."""
        storage = memory_of(tensor)
        if storage is None:
            return self._states.get(tensor)  # type: ignore[no-any-return]
        written = self._written.get(storage._cdata)
        if written is not None:
            return replace(written.state, dimensions=inherited(written.state.dimensions, written.strides, tensor))
        found: Tracked | None = self._states.get(tensor)
        if found is None and storage._cdata in self._entered:
            return self._entered[storage._cdata][1]
        return found or self._unseen(tensor, storage)

    def _unseen(self, tensor: Tensor, storage: torch.UntypedStorage) -> Tracked | None:
        """What is known of a tensor in the memory of another, of which no operation shows how it was made.

        So are objects of subclasses made, parameters among them.
        """
        held = self._held.get(storage._cdata)
        if held is None:
            return None
        if held.layout == layout(tensor):
            return held.state
        kind = type(tensor).__name__
        bit = self.add(Obstacle(kind, kind, "has the memory of features, and no operation shows how it came to it"))
        self._states[tensor] = replace(held.state, dimensions=None, field=None, past=held.state.past | bit)
        return self._states[tensor]  # type: ignore[no-any-return]

    def set(self, tensor: Tensor, state: Tracked) -> None:
        """Say what is known of a tensor."""
        storage = memory_of(tensor)
        if storage is not None and storage._cdata in self._written:
            self._written[storage._cdata] = _Written(storage, state, tensor.stride())
        self._states[tensor] = state
        if storage is not None:
            self._held[storage._cdata] = _Held(StorageWeakRef(storage), state, layout(tensor))

    def write(self, call: Call, tensor: Tensor, state: Tracked) -> None:
        """Say that this was written into a tensor, which may be a view into a larger one."""
        storage = memory_of(tensor)
        if storage is None or (_fills(tensor, storage) and storage._cdata not in self._written):
            self.set(tensor, state)
            return
        before, base, why = self.state(tensor), tensor._base, None
        if before is not None:
            both = merged([state, before], "writing into a tensor")
            state = replace(both, dimensions=state.dimensions, frames=state.frames)
            if not _lie_alike(before, state):
                why = "writes the features beside others that lie in another way"
        elif storage._cdata not in self._blank:
            why = "writes the features beside other numbers"
        whole = None if base is None else inherited(state.dimensions, tensor.stride(), base)
        if state.dimensions is not None and whole is None:
            why = "writes the features into a part that does not lie as the whole does"
        if why is not None:
            state = replace(state, past=state.past | self.add(Obstacle(call.layer, call.name, why)))
        strides = tensor.stride() if base is None else base.stride()
        self._written[storage._cdata] = _Written(storage, replace(state, dimensions=None if why else whole), strides)

    def allocated(self, out: Any) -> None:
        """An operation of `BLANK` put this out: where it fills its memory, that holds nothing else."""
        for tensor in tree_leaves(out):
            storage = memory_of(tensor) if isinstance(tensor, Tensor) else None
            if storage is not None and _fills(tensor, storage):
                self._blank[storage._cdata] = StorageWeakRef(storage)

    def used(self, tensor: Tensor) -> None:
        """Something was written into a tensor, or may be: its memory is not blank any more."""
        storage = memory_of(tensor)
        if storage is not None:
            self._blank.pop(storage._cdata, None)

    def share(self, one: Tensor, other: Tensor) -> bool:
        """Whether two tensors share memory."""
        first, second = memory_of(one), memory_of(other)
        return first is not None and second is not None and first._cdata == second._cdata

    def changed(self, call: Call, tensor: Tensor, before: Tracked | None) -> None:
        """A tensor was written into, of which this was known before: what shares its memory is changed with it."""
        storage, after = memory_of(tensor), self.state(tensor)
        if storage is None or after is None:
            return
        if before is None:
            why = "writes the features into memory that is read through a view from before"
            bit = self.add(Obstacle(call.layer, call.name, why))
            lost = replace(after, dimensions=None, field=None, past=after.past | bit)
            self._entered.setdefault(storage._cdata, (StorageWeakRef(storage), lost))
        if storage._cdata in self._written:
            return
        aliases = [one for one in self._states if one is not tensor and self.share(one, tensor)]
        if tensor._base is not None and all(one is not tensor._base for one in aliases):
            aliases.append(tensor._base)
        for alias in aliases:
            held = self._states.get(alias)
            if layout(alias) == layout(tensor):
                self._states[alias] = after
            elif held is None or after != before or not all_pixels(tensor, after, alias, held):
                bit = self.add(Obstacle(call.layer, call.name, "writes into a part or another view of the features"))
                both = after if held is None else merged([after, held], call.layer)
                self._states[alias] = replace(both, dimensions=None, field=None, past=both.past | bit)


def _fills(tensor: Tensor, storage: torch.UntypedStorage) -> bool:
    """Whether a tensor has all of its memory."""
    return tensor.numel() * tensor.element_size() == storage.nbytes()


def _lie_alike(one: Tracked, other: Tracked) -> bool:
    """Whether the pixels of two tensors of one shape lie in the same dimensions, padded and cropped alike."""
    if one.dimensions is None or other.dimensions is None:
        return False
    return one.frames == other.frames and list(map(axes_of, one.dimensions)) == list(map(axes_of, other.dimensions))
