"""What a card may say of training: optimisers, schedules of the learning rate, phases, and the recipe they make up."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from gcnnbench.cards.augmentation import Augmentation
from gcnnbench.cards.base import Epochs, Fraction, Model, RoleName, Some, broken_rule
from gcnnbench.cards.values import Positive
from gcnnbench.formatting import how_many

Rate = Annotated[float, Field(gt=0, le=1000)]
Decay = Annotated[float, Field(ge=0, le=1000)]
Factor = Annotated[float, Field(gt=0, le=1)]


class Adam(Model):
    """Adam; the weight decay is added to the gradient."""

    name: Literal["adam"]
    learning_rate: Rate
    weight_decay: Decay = 0.0


class NormBiases(Model):
    """What the optimiser does otherwise with the biases of norms."""

    learning_rate: Rate
    weight_decay: Decay


class SGD(Model):
    """Stochastic gradient descent; the weight decay is added to the gradient."""

    name: Literal["sgd"]
    learning_rate: Rate
    momentum: Fraction = 0.0
    nesterov: bool = False
    weight_decay: Decay = 0.0
    norm_biases: NormBiases | None = None

    @model_validator(mode="after")
    def _nesterov_has_momentum(self) -> Self:
        if self.nesterov and not self.momentum:
            raise broken_rule("nesterov looks ahead along a momentum of 0; give momentum, or leave it out", "nesterov")
        return self


class Constant(Model):
    """The learning rate stays as it is."""

    name: Literal["constant"]


class StepDecay(Model):
    """The learning rate is multiplied by `factor` after every `every` epochs."""

    name: Literal["step"]
    every: Epochs
    factor: Factor


class MultiStepDecay(Model):
    """The learning rate is multiplied by `factor` after each of these epochs."""

    name: Literal["multi-step"]
    epochs: Some[Epochs]
    factor: Factor

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        for index, (before, after) in enumerate(pairwise(self.epochs), start=1):
            if after < before:
                raise broken_rule(f"{after} stands after {before}; write the epochs in order", "epochs", index)
        return self


class OneCycle(Model):
    """PyTorch's OneCycleLR with its default shape; the optimiser's learning rate is the peak; stepped every batch."""

    name: Literal["one-cycle"]


class Triangular(Model):
    """The learning rate rises linearly from `start` times itself to itself over the first `rise` of all steps.

    Then it falls linearly to `end` times itself; stepped every batch.
    """

    name: Literal["triangular"]
    start: Fraction
    rise: Annotated[float, Field(gt=0, lt=1)]
    end: Fraction


Schedule = Annotated[Constant | StepDecay | MultiStepDecay | OneCycle | Triangular, Field(discriminator="name")]


class Lookahead(Model):
    """Slow weights that follow the trained ones and replace them, after every `every` steps.

    After t of T steps `s ← s + (1 − a)(w − s), w ← s` with `a = decay^every · (t/T)³`; after the last step `w ← s`.
    Running statistics count as weights. Lookahead is of Zhang et al. 2019 (arXiv 1907.08610), the growing a of
    KellerJordan/cifar10-airbench at f1c599c.
    """

    every: Positive
    decay: Fraction


class RoleRates(Model):
    """The peak learning rate and the weight decay of one role's parameters, where they differ from the optimiser's."""

    learning_rate: Rate | None = None
    weight_decay: Decay | None = None


class TrainingPhase(Model):
    """Some epochs of a recipe with an optimiser of their own; what is left out is the recipe's.

    Networks name the roles of their parameters: `degree` for what says how much symmetry there is, `free` for what
    breaks it, `weights` for the rest. Only the roles that `trains` names change, all where it is left out.
    """

    epochs: Epochs | None = None
    optimiser: Annotated[Adam | SGD, Field(discriminator="name")] | None = None
    schedule: Schedule | None = None
    roles: dict[RoleName, RoleRates] | None = None
    trains: Some[RoleName] | None = None


class Recipe(Model):
    """How a network is trained. The loss is the cross entropy of the logits plus a network's own penalty."""

    epochs: Epochs
    batch_size: Annotated[int, Field(ge=1, le=1_000_000)]
    drop_last: bool
    optimiser: Annotated[Adam | SGD, Field(discriminator="name")]
    schedule: Schedule
    label_smoothing: Annotated[float, Field(gt=0, lt=1)] | None = None
    """The share of a label that is spread evenly over all classes."""
    lookahead: Lookahead | None = None
    augmentation: Augmentation
    tested_model: Literal["best-validation", "last"]
    norm_statistics: Literal["re-estimated"] | None = None
    """`re-estimated`: the mean over one more pass of augmented training batches, before each validation or test."""
    numeric_mode: Literal["fp32", "tf32", "bf16"]
    phases: Annotated[tuple[TrainingPhase, ...], Field(min_length=1)] | None = None
    """One after another; only the last one may leave its epochs out, and has those that are left."""

    @model_validator(mode="after")
    def _the_schedule_acts_within_the_epochs(self) -> Self:
        for index, epoch in enumerate(self.schedule.epochs if isinstance(self.schedule, MultiStepDecay) else ()):
            if epoch >= self.epochs:
                rule = f"{epoch} is no epoch after which training goes on: the recipe has {self.epochs}"
                raise broken_rule(rule, "schedule", "epochs", index)
        if isinstance(self.schedule, StepDecay) and self.schedule.every > self.epochs:
            rule = (
                f"{self.schedule.every} is more than the {how_many(self.epochs, 'epoch')} of the recipe; write constant"
            )
            raise broken_rule(rule, "schedule", "every")
        return self

    @model_validator(mode="after")
    def _phases_make_up_the_epochs(self) -> Self:
        given = [phase.epochs for phase in self.phases or ()]
        for index, epochs in enumerate(given[:-1]):
            if epochs is None:
                raise broken_rule("epochs is missing; only the last phase may leave it out", "phases", index)
        said = sum(epochs or 0 for epochs in given)
        if given and (said != self.epochs if given[-1] is not None else said >= self.epochs):
            before = "" if given[-1] else " before the last"
            rule = f"the phases have {how_many(said, 'epoch')}{before}, the recipe {self.epochs}"
            raise broken_rule(rule, "phases")
        return self
