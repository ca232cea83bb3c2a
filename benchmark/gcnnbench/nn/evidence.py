"""The evidence of a network's priors: Laplace's approximation with the generalised Gauss–Newton curvature.

With a Gaussian prior of precision δ_l on each tensor θ_l of weights, up to a constant,

    log p(D | δ) ≈ log p(D | θ) − ½ Σ_l δ_l‖θ_l‖² − ½ log|I + Σ_l B_l / δ_l|,   B_l = Rᵀ J_l J_lᵀ R,

where J_l are the derivatives of all outputs by θ_l and R Rᵀ the curvature of the loss in the outputs. The determinant
is as large as there are outputs, not weights. Source: MacKay 1992 (Neural Computation 4.3, 4.5) and Immer et al. 2021
(arXiv 2104.04975), written from the formula; layer-wise with symmetry: van der Ouderaa, Immer & van der Wilk 2023
(arXiv 2310.06131).
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn


def softmax_root(logits: Tensor) -> Tensor:
    """R with `R Rᵀ = diag(p) − p pᵀ`, the curvature of the cross-entropy in logits (images, classes).

    Returns:
        (images, classes, classes).
    """
    p = logits.softmax(1)
    return torch.diag_embed(p.sqrt()) - p.unsqueeze(2) * p.sqrt().unsqueeze(1)


def jacobians(network: nn.Module, images: Tensor) -> tuple[Tensor, list[Tensor]]:
    """The outputs of each image and their derivatives by each parameter, in float64 on a copy in evaluation mode.

    Args:
        network: from (images, …) to (images, classes); looks at each image alone.
        images: (images, …).

    Returns:
        The outputs (images, classes), and for each parameter (images, classes, its number of weights).
    """
    twin = copy.deepcopy(network)
    twin.double()
    twin.eval()
    parameters = list(twin.parameters())
    outputs, rows = [], list[list[Tensor]]()
    with torch.enable_grad():
        for image in images.double().split(1):
            found = twin(image)[0]
            outputs.append(found.detach())
            for one in found:
                gradients = torch.autograd.grad(one, parameters, retain_graph=True, materialize_grads=True)
                rows.append([gradient.flatten() for gradient in gradients])
    logits = torch.stack(outputs)
    by_parameter = [torch.stack(column).unflatten(0, logits.shape) for column in zip(*rows, strict=True)]
    return logits, by_parameter


def blocks(derivatives: Sequence[Tensor], root: Tensor) -> Tensor:
    """B_l of each tensor: (images, outputs, weights) each and R (images, outputs, outputs) -> (tensors, n, n).

    n is images × outputs.
    """
    turned = [torch.einsum("ncp,nck->nkp", one, root).flatten(0, 1) for one in derivatives]
    return torch.stack([rows @ rows.T for rows in turned])


def effective_weights(curvature: Tensor, precision: Tensor) -> Tensor:
    """γ_l, how many weights of each tensor the data determines: `tr[(I + Σ B_k/δ_k)⁻¹ B_l/δ_l]`, (tensors,)."""
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(_inner(curvature, precision)))
    return (inverse * curvature).sum((1, 2)) / precision


def improved(curvature: Tensor, precision: Tensor, squares: Tensor, steps: int, largest: float = 1e8) -> Tensor:
    """δ after some of MacKay's steps `δ_l ← γ_l / ‖θ_l‖²`, held within 1/`largest` and `largest`; (tensors,)."""
    for _ in range(steps):
        gamma = effective_weights(curvature, precision)
        precision = (gamma / squares.clamp_min(1 / largest)).clamp(1 / largest, largest)
    return precision


def _inner(curvature: Tensor, precision: Tensor) -> Tensor:
    """`I + Σ B_l / δ_l`, (n, n)."""
    total = torch.einsum("lij,l->ij", curvature, 1 / precision)
    return total + torch.eye(len(total), dtype=total.dtype, device=total.device)
