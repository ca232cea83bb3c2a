"""A network that sees turned copies of each image: by angles of a fixed width, or of one that is learnt (Augerino)."""

from __future__ import annotations

from collections.abc import Sequence
from math import expm1, log, pi
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import log_softmax, softplus

from gcnnbench.errors import UserError
from gcnnbench.nn.fields import Field, Invariant

CIRCLE = 2 * pi


def turned(images: Tensor, radians: Tensor, black: Tensor) -> Tensor:
    """Images turned counter-clockwise about their centre, bilinear, differentiable in the angle.

    As `gcnnbench.data.rotate`, in gathers whose gradient is deterministic on a GPU, too: there PyTorch refuses that of
    `grid_sample`.

    Args:
        images: (batch, channels, height, width).
        radians: one angle, or one for each image (batch,).
        black: what stands outside, (channels,).

    Returns:
        A tensor of the same shape.
    """
    batch, channels, height, width = images.shape
    padded = black.to(images)[:, None, None].expand(batch, channels, height + 2, width + 2).contiguous()
    padded[:, :, 1:-1, 1:-1] = images
    cos, sin = (value.reshape(-1, 1, 1).to(images) for value in (radians.cos(), radians.sin()))
    across = torch.arange(width, device=images.device, dtype=images.dtype)[None, None, :] - (width - 1) / 2
    down = torch.arange(height, device=images.device, dtype=images.dtype)[None, :, None] - (height - 1) / 2
    columns = cos * across - sin * down + (width + 1) / 2
    rows = sin * across + cos * down + (height + 1) / 2
    left, top = columns.detach().floor(), rows.detach().floor()
    found = torch.zeros_like(images)
    for step_right, step_down in ((0, 0), (1, 0), (0, 1), (1, 1)):
        column = (left + step_right).clamp(0, width + 1).to(torch.int64)
        row = (top + step_down).clamp(0, height + 1).to(torch.int64)
        places = (row * (width + 2) + column).flatten(1).unsqueeze(1).expand(batch, channels, -1)
        values = padded.flatten(2).gather(2, places).view_as(images)
        share = (1 - (columns - left - step_right).abs()) * (1 - (rows - top - step_down).abs())
        found = found + values * share.unsqueeze(1)
    return found


class TurnedCopies(nn.Module):
    """Trains on images turned at random, and predicts the mean over turned copies at fixed angles.

    In training each image is turned by `u·w`, u uniform in [−½, ½] from torch's generator, and the output is that of
    the base. In evaluation it is `1/K Σ_k log_softmax(base(turn(x, a_k)))` with the angles of the midpoint rule,
    `a_k = ((k + ½)/K − ½)·w`, or `2πk/K` where w covers the circle: nothing is drawn, so predictions depend on nothing
    but the image. With K = 4, 8, 16, … copies around the circle it is invariant under quarter turns over any base.

    Args:
        base: from images to logits.
        width: w in radians, the full width of the interval.
        copies: K.
        black: the value of black in each channel of the images, which stands outside a turned one.

    Raises:
        UserError: the width is negative, there is no copy, or no channel.
    """

    depths = ()
    needs_host = True  # its black is sent to the device in each step, so a step is not recorded as a graph

    def __init__(self, base: nn.Module, *, width: float, copies: int, black: Sequence[float]) -> None:
        super().__init__()
        if width < 0 or copies < 1 or not black:
            raise UserError(
                f"width (={width}) must not be negative, copies (={copies}) must be at least 1, "
                f"and black (={tuple(black)}) needs a value for each channel"
            )
        self.base, self.copies, self.black = base, copies, tuple(black)
        self.field: Field = Invariant()
        self.fixed = width

    @property
    def width(self) -> Tensor:
        """w in radians, a scalar."""
        return torch.tensor(self.fixed, dtype=torch.float64)

    def angles(self) -> list[float]:
        """The angles of the copies in evaluation, in radians."""
        width = float(self.width.detach())
        if width >= CIRCLE:
            return [CIRCLE * k / self.copies for k in range(self.copies)]
        if not width:
            return [0.0]  # all copies are one
        return [((k + 0.5) / self.copies - 0.5) * width for k in range(self.copies)]

    def forward(self, images: Tensor) -> Tensor:
        """(batch, channels, size, size) -> (batch, classes): logits in training, else mean log-probabilities."""
        black = torch.tensor(self.black, dtype=torch.float64).to(images)
        if self.training:
            places = torch.rand(len(images), device=images.device) - 0.5
            logits: Tensor = self.base(turned(images, places * self.width, black))
            return logits
        angles = [torch.tensor(angle, dtype=torch.float64) for angle in self.angles()]
        copies = [self.base(turned(images, angle, black) if angle else images) for angle in angles]
        return torch.stack([log_softmax(logits, 1) for logits in copies]).mean(0)

    def extra_repr(self) -> str:
        """The constructor's arguments."""
        return f"width={float(self.width.detach()):.4g}, copies={self.copies}, black={self.black}"


class Augerino(TurnedCopies):
    """Turned copies whose width is learnt with the weights, `w = softplus(raw)`, and rewarded: the penalty is `−r·w`.

    The gradient reaches w through the turned images. From the cap on there is no reward.
    Source: Benton, Finzi, Izmailov & Wilson 2020 (arXiv 2010.11882), equations 3 to 6, rotations only.

    Args:
        base: from images to logits.
        width: what w starts as, in radians.
        reward: r, for each radian.
        copies: K.
        black: the value of black in each channel of the images.
        cap: the width in radians from which on there is no reward.

    Raises:
        UserError: the width is not positive, the reward is negative, there is no copy, or no channel.
    """

    roles: ClassVar = {"raw": "degree"}

    def __init__(
        self,
        base: nn.Module,
        *,
        width: float,
        reward: float,
        copies: int,
        black: Sequence[float],
        cap: float = CIRCLE,
    ) -> None:
        if width <= 0 or reward < 0:
            raise UserError(f"width (={width}) must be positive and reward (={reward}) must not be negative")
        super().__init__(base, width=width, copies=copies, black=black)
        self.reward, self.cap = reward, cap
        self.raw = nn.Parameter(torch.tensor(_inverse_softplus(width)))

    @property
    def width(self) -> Tensor:
        """w in radians, a scalar."""
        return softplus(self.raw)

    def penalty(self) -> Tensor:
        """`−r·w` below the cap, else 0."""
        width = self.width
        return torch.where(width < self.cap, -self.reward * width, torch.zeros_like(width))

    def degree(self) -> dict[str, Tensor]:
        """The width in radians."""
        return {"width": self.width}

    @torch.no_grad()
    def symmetric(self) -> None:
        """Widen to the whole circle, where the mean is invariant if the copies are a multiple of four."""
        self.raw.fill_(_inverse_softplus(CIRCLE * 1.001))


def _inverse_softplus(value: float) -> float:
    return value if value > 30 else log(expm1(value))
