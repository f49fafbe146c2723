"""A transformer that undoes what is done to its input: a loss on the localisation network."""

import math

import torch
from torch import Tensor, nn

from stn.tasks.classification import CrossEntropy
from stn.transformers import SpatialTransformer, affine_grid, sample


def consistency_residual(transformer: SpatialTransformer, U: Tensor, angles: Tensor) -> Tensor:
    """How far the warp of turned images is from undoing the turn, too: mean square of entries.

    With T_beta the turn, U(T_beta x) is the turned image. Its warp theta' reads U at
    T_beta T_theta' x, which shall be T_theta x.

    Args:
        transformer: of affine warps.
        U: images (B, C, H, W), square.
        angles: in radians (B,).

    Raises:
        ValueError: the warps are not affine.
    """
    family = transformer.transform
    if not hasattr(family, "matrix"):
        raise ValueError(f"consistency is of affine warps, not of {family}")
    cos, sin, zero = torch.cos(angles), torch.sin(angles), torch.zeros_like(angles)
    beta = torch.stack([cos, -sin, zero, sin, cos, zero], dim=1).view(-1, 2, 3)
    turned = sample(U, affine_grid(beta, (U.shape[2], U.shape[3])))
    theta, of_turned = (family.matrix(transformer.theta(images)) for images in (U, turned))
    return (beta[:, :, :2] @ of_turned - theta).square().mean()


class ConsistentCrossEntropy(CrossEntropy):
    """Cross entropy, and `consistency_residual` of all spatial transformers of the images.

    Args:
        weight: of the residual.
        max_deg: images are turned by up to so many degrees, either way.
        label_smoothing: as in `CrossEntropy`.

    Raises:
        ValueError: a weight below 0.
    """

    def __init__(self, weight: float, max_deg: float, label_smoothing: float = 0.0) -> None:
        super().__init__(label_smoothing)
        if weight < 0:
            raise ValueError(f"weight must not be negative, got {weight}")
        self.weight, self.max_rad = weight, math.radians(max_deg)

    def __call__(self, network: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        """Return the loss of a batch (U, labels)."""
        loss, U = super().__call__(network, batch), batch[0]
        angles = (2 * torch.rand(len(U), device=U.device) - 1) * self.max_rad
        found = [m for m in network.modules() if isinstance(m, SpatialTransformer)]
        residuals = [consistency_residual(transformer, U, angles) for transformer in found]
        return loss + self.weight * sum(residuals, start=U.new_zeros(()))
