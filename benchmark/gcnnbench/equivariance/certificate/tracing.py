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
from torch.utils._pytree import tree_leaves

from gcnnbench.equivariance.certificate.aliases import memory_of, written_by
from gcnnbench.equivariance.certificate.axes import fit, pixels
from gcnnbench.equivariance.certificate.memory import BLANK, Memory
from gcnnbench.equivariance.certificate.modes import OperationMode, arguments_of, name_of
from gcnnbench.equivariance.certificate.tracked import Call, Finding, Obstacle, Tracked, UnknownAction

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


class Tracer(OperationMode):
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
        super().__init__()
        self.handlers, self.pointwise, self.otherwise = handlers, pointwise, otherwise
        self.turns, self.shifts, self.paused = turns, shifts, False
        self.notes = Notes()
        self.image: Tensor | None = None
        self.op = ""
        self.memory = Memory(self.add)

    # what is known of a tensor

    def state(self, tensor: Tensor) -> Tracked | None:
        """What is known of a tensor; None where it does not come from the image."""
        return self.memory.state(tensor)

    def set(self, tensor: Tensor, state: Tracked) -> None:
        """Say what is known of a tensor; of one without memory that can be followed, nothing is."""
        why = None
        if state.dimensions is not None and memory_of(tensor) is None:
            op, why = str(tensor.layout), "holds the features in memory that cannot be followed"
        elif state.dimensions is not None and not fit(state.dimensions, tensor.shape):
            op, why = self.op, "gives features of another shape than is known here"
        if why is not None:
            bit = self.add(Obstacle(self._label(op), op, why))
            state = replace(state, dimensions=None, past=state.past | bit)
        self.memory.set(tensor, state)

    def may_hold_features(self, tensor: Tensor) -> bool:
        """Whether a tensor comes from the image, or has no memory, so that it may hide one that does."""
        return self.state(tensor) is not None or memory_of(tensor) is None

    def outputs(self, call: Call, state: Tracked) -> None:
        """Say the same of every tensor that an operation puts out or writes into."""
        for tensor in tree_leaves((call.out, list(call.written))):
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

    def unseen(
        self, op: str, why: str = "hands numbers of the features to Python, which may do anything with them"
    ) -> None:
        """The features leave torch by this operation, so that nothing downstream can be followed."""
        self.notes.always |= self.add(Obstacle(self._label(op), op, why))

    def unknown_action(self, call: Call, state: Tracked, why: str) -> Tracked:
        """The state of a tensor whose action is not known from here on, unless a known layer is at work."""
        if self.trusted or state.field is None:
            return replace(state, field=None)
        return replace(state, field=None, past=state.past | self.add(UnknownAction(call.layer, call.name, why)))

    # watching

    def higher_order(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run an operator that is given functions; what it does with them cannot be followed."""
        self.unseen(func.name(), f"calls torch's {func.name()}, which chooses what to do with the features")
        return super().higher_order(func, args, kwargs)

    def operation(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run a single operation and follow what comes from the image."""
        if self.paused:
            return func(*args, **kwargs)
        found = [self.state(leaf) for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        out = func(*args, **kwargs)
        tracked = tuple(state for state in found if state is not None)
        name = name_of(func)
        if not tracked and not func._schema.is_mutable and name not in BLANK and not self.notes.always:
            return out
        arguments = arguments_of(func, args, kwargs)
        written = written_by(func, arguments)
        call = Call(name, func, arguments, out, tracked, self._label(name), written)
        if tracked:
            before = [self.state(tensor) for tensor in written]
            self._follow(call)
            for tensor, state in zip(written, before, strict=True):
                self._notice_write(call, tensor, state)
        elif self.notes.always:  # it may work on what was made of features that left torch
            self.notes.fan_in += call.additions
        for tensor in written:
            self.memory.used(tensor)
        if name in BLANK:
            self.memory.allocated(out)
        return out

    def wrap_round(self, func: Any, args: Any, kwargs: Any) -> Any:
        """Do circular padding as one operation; torch writes its pieces into new memory, in which none can be told.

        Of features that have no memory of their own it is seen piece by piece.
        """
        given = dict(zip(("input", "pad", "mode", "value"), args, strict=False)) | kwargs
        if memory_of(given["input"]) is None:
            return func(*args, **kwargs)
        self.paused = True
        try:
            out = func(*args, **kwargs)
        finally:
            self.paused = False
        state = self.state(given["input"])
        if state is not None:
            self._follow(Call("pad_circular", func, given, out, (state,), self._label("pad_circular")))
        return out

    def _notice_write(self, call: Call, tensor: Tensor, before: Tracked | None) -> None:
        if self.image is not None and self.memory.share(self.image, tensor):
            self.notes.changes_input = self.notes.changes_input or self._label(call.func.overloadpacket.__name__)
        self.memory.changed(call, tensor, before)

    def _follow(self, call: Call) -> None:
        self.op = call.name
        self.notes.fan_in += call.additions
        try:
            self._handle(call)
        except Exception as error:
            self.lose(call, f"is not understood here, please report it: {type(error).__name__}: {error}")

    def _handle(self, call: Call) -> None:
        if any(state.dimensions is None for state in call.tracked):
            self.outputs(call, call.merged)
        elif any(state.half for state in call.tracked) and call.name not in HALF_WAY:
            self.lose(call, "works on features that were reduced along one axis of the image only")
        elif self.shifts and (why := _apart(call)):
            self.lose(call, why)
        elif call.name in self.handlers:
            self.handlers[call.name](self, call)
        elif torch.Tag.pointwise in call.func.tags and "::" not in call.name:
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
