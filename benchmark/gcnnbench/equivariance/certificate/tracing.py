"""Traces one forward pass operation by operation: where pixels are sampled, and which operations are not known.

A torch dispatch mode sees every operation after Python has done its part: functional pools, slices, e2cnn,
torchvision and scripted code alike. Each tensor that comes from the image carries what is known of it (`Tracked`).
What the mode cannot see: values computed outside torch (numpy), and the weights' own symmetry. Features that leave
torch, and an operation that is not in the table of `handlers.py`, make the result unknown, never exact.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakTensorKeyDictionary

from gcnnbench.equivariance.certificate.aliases import all_pixels, inherited, layout, written_by
from gcnnbench.equivariance.certificate.axes import pixels
from gcnnbench.equivariance.certificate.tracked import Call, Finding, Obstacle, Tracked, UnknownAction, merged

MOVES = ("view", "_unsafe_view", "squeeze", "unsqueeze", "permute", "transpose", "t", "clone", "detach", "alias")
HALF_WAY = frozenset((*MOVES, "mean", "sum", "amax", "amin", "max", "min"))
"""What may stand between a reduction along one axis of the image and the same reduction along the other."""
COPIES = ("clone", "contiguous", "_to_copy", "detach", "alias")

Handler = Callable[["Tracer", Call], None]


@dataclass
class Running:
    """A module that runs now.

    Args:
        name: under which findings are noted.
        whole: whether its name alone says which operation is meant: it has no children, or is known to be equivariant.
        trusted: whether its own operations are those of a module that is known to be equivariant, it or one around it.
        wraps: whether it is known, and only hands on to one child, which goes by its name.
    """

    name: str
    whole: bool
    trusted: bool
    wraps: bool


@dataclass
class Notes:
    """What a pass has found: the findings in order, the fan-in summed over layers, the running modules.

    `always` holds the bits of findings that concern the output whatever it depends on, `changes_input` the first
    operation that writes into the image; so many `choices`, adaptive samplings of a torus, and `paddings` have run.
    """

    findings: list[Finding] = field(default_factory=list)
    fan_in: int = 0
    always: int = 0
    changes_input: str | None = None
    choices: int = 0
    paddings: int = 0
    stack: list[Running] = field(default_factory=list)


class Tracer(TorchDispatchMode):
    """The mode that follows the image through the operations; the handlers say what each of them does to it.

    Args:
        handlers: by the operation's name.
        pointwise: what to do with operations that work on each entry alone.
        otherwise: what to do with all the rest.
        turns: whether the group turns or mirrors; else weights of any form, and fields that mix under it, are harmless.
        shifts: whether it shifts circularly; then a border is judged that turns do not mind.
    """

    def __init__(
        self,
        handlers: Mapping[str, Handler],
        pointwise: Handler,
        otherwise: Handler,
        *,
        turns: bool = True,
        shifts: bool = False,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.handlers, self.pointwise, self.otherwise = handlers, pointwise, otherwise
        self.turns, self.shifts, self.paused = turns, shifts, False
        self.notes = Notes()
        self.image: Tensor | None = None
        self._states = WeakTensorKeyDictionary()
        self._written: dict[int, tuple[Any, Tracked]] = {}

    # what is known of a tensor

    def state(self, tensor: Tensor) -> Tracked | None:
        """What is known of a tensor; None where it does not come from the image."""
        written = self._written.get(tensor.untyped_storage()._cdata)
        if written is None:
            return self._states.get(tensor)  # type: ignore[no-any-return]
        state = written[1]
        return replace(state, dimensions=inherited(state.dimensions, tensor.shape))

    def set(self, tensor: Tensor, state: Tracked) -> None:
        """Say what is known of a tensor."""
        key = tensor.untyped_storage()._cdata
        if key in self._written:
            self._written[key] = (self._written[key][0], state)
        self._states[tensor] = state

    def write(self, tensor: Tensor, state: Tracked) -> None:
        """Say that this was written into a tensor, which may be a view into a larger one."""
        storage = tensor.untyped_storage()
        if tensor.numel() * tensor.element_size() == storage.nbytes() and storage._cdata not in self._written:
            self.set(tensor, state)
            return
        before = self.state(tensor)
        if before is not None:
            both = merged([state, before], "writing into a tensor")
            alike = before.dimensions is not None and before.frames == state.frames
            state = replace(both, dimensions=state.dimensions if alike else None, frames=state.frames)
        whole = None if tensor._base is None else inherited(state.dimensions, tensor._base.shape)
        self._written[storage._cdata] = (storage, replace(state, dimensions=whole))

    def outputs(self, call: Call, state: Tracked) -> None:
        """Say the same of every tensor that an operation puts out."""
        for tensor in tree_leaves(call.out):
            if isinstance(tensor, Tensor):
                self.set(tensor, state)

    # what is found

    @property
    def trusted(self) -> bool:
        """Whether what runs now belongs to a module that is known to be equivariant."""
        return bool(self.notes.stack) and self.notes.stack[-1].trusted

    def add(self, finding: Finding) -> int:
        """Note a finding and return its bit."""
        self.notes.findings.append(finding)
        return 1 << (len(self.notes.findings) - 1)

    def lose(self, call: Call, why: str) -> None:
        """From here the pixels can no longer be followed."""
        bit, before = self.add(Obstacle(call.layer, call.name, why)), call.merged
        self.outputs(call, replace(before, past=before.past | bit))

    def unseen(self, op: str) -> None:
        """The features leave torch by this operation, so that nothing downstream can be followed."""
        why = "hands numbers of the features to Python, which may do anything with them"
        self.notes.always |= self.add(Obstacle(self._label(op), op, why))

    def unknown_action(self, call: Call, state: Tracked, why: str) -> Tracked:
        """The state of a tensor whose action is not known from here on, unless a known layer is at work."""
        if self.trusted or state.field is None:
            return replace(state, field=None)
        return replace(state, field=None, past=state.past | self.add(UnknownAction(call.layer, call.name, why)))

    # watching

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # torch would import its compiler, seconds of work, only to keep it out of a method nobody compiles
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if self.paused:
            return func(*args, **kwargs)
        found = [self.state(leaf) for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        out = func(*args, **kwargs)
        tracked = tuple(state for state in found if state is not None)
        if tracked:
            name = func.overloadpacket.__name__
            name = name.removesuffix("_") if not name.startswith("__") else name
            arguments = {
                argument.name: args[place] if place < len(args) else kwargs.get(argument.name, argument.default_value)
                for place, argument in enumerate(func._schema.arguments)
            }
            call = Call(name, func, arguments, out, tracked, self._label(name))
            before = [(tensor, self.state(tensor)) for tensor in written_by(func, arguments)]
            self._follow(call)
            for tensor, state in before:
                self._notice_write(call, tensor, state)
        return out

    def wrap_round(self, func: Any, args: Any, kwargs: Any) -> Any:
        """Do circular padding as one operation; torch writes its pieces into new memory, in which none can be told."""
        self.paused = True
        try:
            out = func(*args, **kwargs)
        finally:
            self.paused = False
        given = dict(zip(("input", "pad", "mode", "value"), args, strict=False)) | kwargs
        state = self.state(given["input"])
        if state is not None:
            self._follow(Call("pad_circular", func, given, out, (state,), self._label("pad_circular")))
        return out

    def _notice_write(self, call: Call, tensor: Tensor, before: Tracked | None) -> None:
        """A tensor was written into: what shares its memory is changed with it."""
        storage, after = tensor.untyped_storage(), self.state(tensor)
        if self.image is not None and self.image.untyped_storage()._cdata == storage._cdata:
            self.notes.changes_input = self.notes.changes_input or self._label(call.func.overloadpacket.__name__)
        if after is None or storage._cdata in self._written:
            return
        aliases = [one for one in self._states if one.untyped_storage()._cdata == storage._cdata and one is not tensor]
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

    def _follow(self, call: Call) -> None:
        self.notes.fan_in += call.additions
        if any(state.dimensions is None for state in call.tracked):
            self.outputs(call, call.merged)
        elif any(state.half for state in call.tracked) and call.name not in HALF_WAY:
            self.lose(call, "works on features that were reduced along one axis of the image only")
        elif self.shifts and (why := _apart(call)):
            self.lose(call, why)
        elif call.name in self.handlers:
            self.handlers[call.name](self, call)
        elif torch.Tag.pointwise in call.func.tags:
            self.pointwise(self, call)
        else:
            self.otherwise(self, call)

    def _label(self, op: str) -> str:
        running = self.notes.stack[-1] if self.notes.stack else Running("", whole=False, trusted=False, wraps=False)
        if running.name and running.whole:
            return running.name
        return f"{running.name}: {op}" if running.name else op


def _apart(call: Call) -> str | None:
    """Why the pixels of a torus can no longer be followed under shifts, or None."""
    spatial = [state for state in call.tracked if state.dimensions is not None and pixels(state.dimensions)]
    windows = call.name in COPIES or "conv" in call.name or "pool2d" in call.name
    if any(state.wrapped for state in spatial) and not windows:
        return "works on features whose border repeats the other side"
    if len({state.chosen for state in spatial}) > 1:
        return "joins features whose sampling grids were chosen apart"
    return None
