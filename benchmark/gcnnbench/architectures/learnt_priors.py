"""A sequence of layers whose weights have Gaussian priors, one precision a tensor, learnt from the training images."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from gcnnbench.architectures.sequence import Network
from gcnnbench.errors import require_at_least
from gcnnbench.nn.evidence import blocks, improved, jacobians, softmax_root
from gcnnbench.nn.layers import Layers


class LearntPriors(Network):
    """The penalty is `Σ_l δ_l‖θ_l‖² / 2N` over N training images; the δ_l maximise the evidence of a few of them.

    Until the first time that they are learnt there is no penalty. A layer of two paths, one equivariant and one free,
    has a precision for each, so the evidence decides what each layer may break.
    Source: van der Ouderaa, Immer & van der Wilk 2023 (arXiv 2310.06131), with the whole curvature in the place of its
    Kronecker factors.

    Args:
        layers: as for `Network`.
        depths: as for `Network`.
        burn_in: epochs before the precisions are learnt for the first time.
        every: epochs from one time to the next.
        outputs: of how many outputs the curvature is taken, images × classes; it counts N / images times.
        steps: MacKay's steps each time.

    Raises:
        UserError: a count is not positive.
    """

    log_precision: Tensor
    images: Tensor

    def __init__(
        self,
        layers: Layers,
        *,
        depths: tuple[str, ...],
        burn_in: int,
        every: int,
        outputs: int,
        steps: int = 20,
    ) -> None:
        super().__init__(layers, depths=depths)
        require_at_least(1, burn_in=burn_in, every=every, outputs=outputs, steps=steps)
        self.burn_in, self.every, self.outputs, self.steps = burn_in, every, outputs, steps
        self.register_buffer("log_precision", torch.zeros(len(list(self.parameters()))))
        self.register_buffer("images", torch.zeros(()))

    def penalty(self) -> Tensor:
        """`Σ_l δ_l‖θ_l‖² / 2N`, 0 before the precisions are learnt."""
        squares = torch.stack([one.square().sum() for one in self.parameters()])
        share = (self.log_precision.exp() * squares).sum() / (2 * self.images).clamp_min(1)
        return torch.where(self.images > 0, share, torch.zeros_like(share))

    @torch.no_grad()
    def learn_between_epochs(self, epoch: int, batches: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Learn the precisions where it is time; nothing else changes, and nothing is drawn.

        Args:
            epoch: how many are done.
            batches: of all training images and labels, as they are tested, always in the same order.
        """
        if epoch < self.burn_in or (epoch - self.burn_in) % self.every:
            return
        few, count = list[Tensor](), 0
        for images, _ in batches:
            few.append(images)
            count += len(images)
        classes = self(few[0][:1]).shape[1]
        some = torch.cat(few)[: max(1, self.outputs // classes)]
        logits, derivatives = jacobians(self, some)
        curvature = blocks(derivatives, softmax_root(logits)) * (count / len(some))
        squares = torch.stack([one.double().square().sum() for one in self.parameters()])
        start = self.log_precision.double().exp()
        self.log_precision.copy_(improved(curvature, start, squares, self.steps).log())
        self.images.fill_(count)

    def degree(self) -> dict[str, Tensor]:
        """The precision δ_l of each tensor, by its name; all 1 before they are learnt."""
        names = (name for name, _ in self.named_parameters())
        return dict(zip(names, self.log_precision.exp(), strict=True))


def without_norms(layers: Layers) -> Layers:
    """The layers but for batch norms, behind which a prior on weights says nothing about their scale."""
    return {name: layer for name, layer in layers.items() if not name.startswith("norm")}
