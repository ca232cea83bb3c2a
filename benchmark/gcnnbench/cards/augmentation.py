"""What a card may say of augmentation: crops, flips, quarter turns and rotations of training images."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from gcnnbench.cards.base import Model, Pixel, Size, broken_rule

Degrees = Annotated[float, Field(ge=-360, le=360)]


class UniformAngle(Model):
    """An angle in degrees, uniform in [low, high)."""

    name: Literal["uniform"]
    low: Degrees
    high: Degrees

    @model_validator(mode="after")
    def _low_is_below_high(self) -> Self:
        if not self.low < self.high:
            raise broken_rule(f"high (={self.high}) must be above low (={self.low})", "high")
        return self


class NormalAngle(Model):
    """An angle in degrees from a normal distribution."""

    name: Literal["normal"]
    mean: Degrees
    std: Annotated[float, Field(gt=0, le=360)]


class Fill(Model):
    """What stands outside the image: `value` before normalisation (0 is black) or after it (0 is the mean)."""

    value: Pixel
    scale: Literal["before-normalisation", "after-normalisation"]

    @model_validator(mode="after")
    def _a_pixel_lies_between_black_and_white(self) -> Self:
        if self.scale == "before-normalisation" and not 0 <= self.value <= 1:
            raise broken_rule(f"{self.value} must lie in [0, 1], black to white, before normalisation", "value")
        return self


class Rotation(Model):
    """Bilinear rotation about the centre by a random angle, one for a whole batch or one for each image."""

    angle: Annotated[UniformAngle | NormalAngle, Field(discriminator="name")]
    per: Literal["batch", "image"]
    fill: Fill


class Augmentation(Model):
    """Random changes of each training batch, in this order."""

    crop_padding: Size | None = None
    crop_border: Literal["reflected"] | None = None
    """What a crop brings in from outside: the image reflected at its border pixels; black where null."""
    horizontal_flip: bool | None = None
    vertical_flip: bool | None = None
    quarter_turns: bool | None = None
    rotation: Rotation | None = None
    alternating_flip: bool | None = None
    """A horizontal flip of each image in every other epoch: a random half in even ones, the other half in odd ones."""

    @model_validator(mode="after")
    def _only_crops_have_a_border(self) -> Self:
        if self.crop_border is not None and self.crop_padding is None:
            raise broken_rule("without crop_padding there is no border; leave crop_border out", "crop_border")
        return self
