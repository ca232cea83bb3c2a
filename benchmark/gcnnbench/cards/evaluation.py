"""What a card may say of evaluation: the acting group, the elements seen in training, the curve and the probes."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from gcnnbench.cards.augmentation import Fill
from gcnnbench.cards.base import Model, Some, broken_rule
from gcnnbench.cards.elements import ElementName, GridGroupName
from gcnnbench.cards.values import Natural

ProbeName = Literal["degree", "alignment", "subspace"]


class Curve(Model):
    """Accuracy at the angles 0, step, 2·step, … below 360 degrees, bilinear."""

    step: Annotated[int, Field(ge=1, le=360)]
    fill: Fill

    @model_validator(mode="after")
    def _step_divides_the_circle(self) -> Self:
        if 360 % self.step:
            raise broken_rule(f"step (={self.step}) must divide 360, as 10, 15 and 30 do", "step")
        return self

    @property
    def angles(self) -> tuple[int, ...]:
        """The angles in degrees."""
        return tuple(range(0, 360, self.step))


class Evaluation(Model):
    """What is measured: under which group, which of its elements training has seen, and on which fixed images."""

    group: GridGroupName
    seen: Some[ElementName]
    curve: Curve
    equivariance_images: Annotated[int, Field(ge=1, le=1_000_000)]
    auc: bool | None = None
    labels: dict[ElementName, tuple[Natural, ...]] | None = None
    """The class that each class becomes where an element moves the image, such as 6 to 9; as it is for the others.

    The curve is upright alone then: no label is known at the angles between elements.
    """
    probes: Some[ProbeName] | None = None
    """What is read from the network after every epoch and at the end (`gcnnbench.probes`)."""

    @model_validator(mode="after")
    def _labels_move_one_to_one(self) -> Self:
        for element, moved in (self.labels or {}).items():
            if sorted(moved) != list(range(len(moved))):
                rule = f"each class 0 to {len(moved) - 1} must stand once, as what some class becomes"
                raise broken_rule(rule, "labels", element)
            if element == "upright" and moved != tuple(range(len(moved))):
                raise broken_rule("upright moves no label; leave it out", "labels", element)
            if moved != tuple(range(len(moved))) and self.curve.step < 360:
                rule = f"where {element} moves labels, none is known at the angles of a curve; write step: 360"
                raise broken_rule(rule, "labels")
        return self
