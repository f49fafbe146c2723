"""Spatial transformers: Section 3 of the paper as a library that needs nothing but torch.

An image U (B, C, H, W) goes through three steps to the warped V (B, C, H', W')::

    theta = localisation(U)                    (B, P)          Section 3.1
    grid  = transform.grid(theta, (H', W'))    (B, H', W', 2)  Section 3.2, Eq. 1
    V     = sample(U, grid, kernel)            (B, C, H', W')  Section 3.3, Eq. 3

A volume U (B, C, D, H, W) goes the same way with a transform of volumes, `Affine3d` (Appendix A.3):
its grids are (B, D', H', W', 3).

Conventions. They hold everywhere and are not parameters.

- theta maps target to source: the grid says where in U each pixel of V is read. Content therefore
  moves the other way: a translation by tx > 0 moves it to the left.
- The grid's last axis is (x, y); x runs to the right and y downwards. Of a volume it is (x, y, z);
  z runs along the depth D, the first side.
- Coordinates are normalised: -1 and 1 are the centres of the border pixels (torch's
  `align_corners=True`), for target and source alike. One pixel is 2 / (W - 1) in x.
- A side of one pixel has its only centre at 0. In an output of one pixel, then, the centre is
  sampled; in an input of one pixel every coordinate along that side is that pixel.
- U is zero outside its pixels, as the sums of Eq. 3 over existing pixels imply. Keep the
  background of images at 0, so that this *is* background.
- A coordinate that is not finite, or `NOWHERE` and beyond, reads zero and has zero gradient.
- The identity returns U bit for bit at any size; other positions are off by rounding at most.
- Coordinates are float32 at least: theta of half precision is promoted, and V has the type of U.

Arguments are never modified. A sampling position in pixels is written x_s, y_s, as in the paper.
"""

from stn.transformers.grids import (
    NOWHERE,
    affine_grid,
    base_grid,
    outside_fraction,
    projective_grid,
    tps_basis,
    tps_grid,
)
from stn.transformers.localisation import (
    ConvLocalisation,
    FullyConnectedLocalisation,
    regression_layer,
)
from stn.transformers.outlines import control_points, outline
from stn.transformers.priors import CubicSpline, Diffeomorphic, FourCorners
from stn.transformers.samplers import KERNELS, sample
from stn.transformers.spatial_transformer import NonFiniteThetaError, SpatialTransformer
from stn.transformers.transforms import (
    Affine,
    Affine3d,
    Attention,
    PiecewiseAffine,
    Projective,
    Rotation,
    Similarity,
    ThinPlateSpline,
    Transform,
    Translation,
)
from stn.transformers.triangles import triangle_basis

__all__ = [
    "KERNELS",
    "NOWHERE",
    "Affine",
    "Affine3d",
    "Attention",
    "ConvLocalisation",
    "CubicSpline",
    "Diffeomorphic",
    "FourCorners",
    "FullyConnectedLocalisation",
    "NonFiniteThetaError",
    "PiecewiseAffine",
    "Projective",
    "Rotation",
    "Similarity",
    "SpatialTransformer",
    "ThinPlateSpline",
    "Transform",
    "Translation",
    "affine_grid",
    "base_grid",
    "control_points",
    "outline",
    "outside_fraction",
    "projective_grid",
    "regression_layer",
    "sample",
    "tps_basis",
    "tps_grid",
    "triangle_basis",
]
