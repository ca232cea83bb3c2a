"""Whether a network of learnt symmetry is what its card says: exact at its symmetric point, and free to leave it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from gcnnbench.equivariance.exactness import watch
from gcnnbench.equivariance.judgement import Judgement, judge
from gcnnbench.equivariance.precision import Tensors, in_arithmetic, slots, tensors
from gcnnbench.equivariance.random_weights import draw_weights
from gcnnbench.errors import UserError
from gcnnbench.nn.fields import Invariant
from gcnnbench.nn.groups import ActingGroup

FORM, FREEDOM, TRAINED = "drawn and made symmetric", "drawn", "given"


@dataclass(frozen=True)
class LearntSymmetry:
    """Three statements about one network at one size.

    Args:
        form: all drawn anew, then put to the symmetric point that its modules declare; must be exact.
        freedom: all drawn anew; must be approximate.
        trained: as it is: exact, or the errors with their bound.
    """

    form: Judgement
    freedom: Judgement
    trained: Judgement

    def statements(self, group: ActingGroup) -> dict[str, str]:
        """What is found of form, freedom and the network as it is, in words, with the largest error where it is one."""
        found = {"form": self.form, "freedom": self.freedom, "as given": self.trained}
        return {what: _told(judgement, group) for what, judgement in found.items()}

    def wrong(self, group: ActingGroup) -> str | None:
        """Why the claim does not hold, in words; None where it does."""
        for what, found, right in (("form", self.form, "exact"), ("freedom", self.freedom, "approximate")):
            if (verdict := found.verdict(group)) != right:
                worst = max(found.at_output(group), key=lambda one: one.error, default=None)
                return f"its {what} must be {right} and is {verdict}: {worst or found.problem}"
        return None


def _told(found: Judgement, group: ActingGroup) -> str:
    verdict = found.verdict(group)
    error = max((one.error for one in found.at_output(group)), default=0.0)
    return f"{verdict} ({error:.1e})" if verdict == "approximate" else verdict


def learnt_symmetry(network: nn.Module, images: Tensor, group: ActingGroup) -> LearntSymmetry:
    """Judge a network in the three states; it is left as it was.

    Args:
        network: has modules with `symmetric()`.
        images: at least two real images (images, channels, size, size), as the network takes them.
        group: a subgroup of p4m.

    Raises:
        UserError: no module says what its symmetric point is.
    """
    if not any(callable(getattr(module, "symmetric", None)) for module in network.modules()):
        raise UserError("no module of the network has `symmetric()`, so nothing says where its symmetry lies")
    fan_in = watch(network, images, group.elements).fan_in
    measure = partial(judge, network, images=images, group=group, fan_in=fan_in, output=Invariant())
    return LearntSymmetry(measure(FORM, _symmetric), measure(FREEDOM, draw_weights), measure(TRAINED, tensors))


@torch.no_grad()
def _symmetric(network: nn.Module, dtype: torch.dtype) -> Tensors:
    """The network's tensors drawn anew and then put to the symmetric point."""
    drawn = draw_weights(network, dtype)
    other = in_arithmetic(network, dtype)
    for name, slot in slots(other).items():
        slot.copy_(drawn[name])
    for module in other.modules():
        if callable(settle := getattr(module, "symmetric", None)):
            settle()
    return tensors(other, dtype)
