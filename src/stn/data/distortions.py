"""The paper's distorted MNIST (appendix A.4), a batch at a time on any device.

A distortion maps (pool, index, key) to images. `pool` (N, 1, 28, 28) uint8 holds the digits of a
split, `index` (B,) int64 says which of them, and every random draw is a function of key and sample
only. The result is (B, 1, H, W) float32 in [0, 1] with background 0.

Conventions. A warp is described as it moves the digit, and computed as the map from the output to
the digit that `stn.transformers` wants. Lengths are pixels; a digit has the same scale in an image
of any size, and its centre goes to the image's centre unless something is said to move it.
Interpolation is bilinear.

Differs from the paper: what it leaves open is stated at each class.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Protocol

import torch
from torch import Tensor

from stn.data.quadrilaterals import quad_to_square, unfolded_share
from stn.data.randomness import integers, normal, uniform
from stn.transformers.checks import whole_numbers
from stn.transformers.fitting import spline_through
from stn.transformers.grids import affine_grid, base_grid, projective_grid, tps_basis, tps_grid
from stn.transformers.samplers import sample

DIGIT_PX = 28
SPLINES = ("to_image", "to_digit")
OVERLAPS = ("add", "patches_hide", "digit_hides")
_SQUARE = ((-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0))  # clockwise from the top left


class Distortion(Protocol):
    """What a data module needs of a distortion."""

    @property
    def size(self) -> tuple[int, ...]:
        """(H, W) of the images."""

    def __call__(self, pool: Tensor, index: Tensor, key: int) -> Tensor:
        """Draws distorted images (B, 1, *size) of the digits `pool[index]`."""


class Undistorted:
    """The digit in the middle of the image (half a pixel up and left, if the margin is odd)."""

    def __init__(self, *, size: Sequence[int]) -> None:
        self.size = _checked_size(size)

    def __call__(self, pool: Tensor, index: Tensor, key: int) -> Tensor:
        """Returns the digits themselves; nothing is drawn from `key`."""
        top, left = ((side - DIGIT_PX) // 2 for side in self.size)
        canvas = torch.zeros(len(index), 1, *self.size, device=pool.device)
        canvas[..., top : top + DIGIT_PX, left : left + DIGIT_PX] = _digits(pool, index)
        return canvas


class Warp:
    """A distortion that reads each image from its digit by a grid; subclasses draw the grid."""

    size: tuple[int, int]

    def grid(self, index: Tensor, key: int) -> Tensor:
        """Where in its digit each pixel is read: (B, H, W, 2), drawn from key and sample."""
        raise NotImplementedError

    def __call__(self, pool: Tensor, index: Tensor, key: int) -> Tensor:
        """Warps each digit by a draw of its own; rounding does not lead out of [0, 1]."""
        return sample(_digits(pool, index), self.grid(index, key)).clamp_(0, 1)


class Rotate(Warp):
    """R: rotation about the image's centre, uniform in +-max_deg."""

    centre_deg = 0.0

    def __init__(self, *, max_deg: float, size: Sequence[int]) -> None:
        self.max_deg, self.size = max_deg, _checked_size(size)

    def grid(self, index: Tensor, key: int) -> Tensor:
        """Rotates each digit by an angle of its own."""
        (turn,) = uniform(key, index, 1).T
        angle_deg = self.centre_deg + _between(-self.max_deg, self.max_deg, turn)
        centre_px = torch.zeros(len(index), 2, device=index.device)
        theta = _similarity(angle_deg, torch.ones_like(angle_deg), centre_px, self.size)
        return affine_grid(theta, self.size)


class RotateAbout(Rotate):
    """Rotation uniform in centre_deg +- max_deg: R about another pose than the upright one."""

    def __init__(self, *, max_deg: float, centre_deg: float, size: Sequence[int]) -> None:
        super().__init__(max_deg=max_deg, size=size)
        self.centre_deg = centre_deg


class RotateTranslateScale(Warp):
    """RTS: rotation uniform in +-max_deg, scale uniform in scale_range, a uniformly random place.

    Differs from the paper: how far a digit may go is not stated. Here its 28 x 28 box, scaled and
    not yet rotated, stays inside the image.
    """

    def __init__(
        self, *, max_deg: float, scale_range: Sequence[float], size: Sequence[int]
    ) -> None:
        self.max_deg, self.size = max_deg, _checked_size(size)
        self.scale_range = _checked_range(scale_range)

    def grid(self, index: Tensor, key: int) -> Tensor:
        """Rotates, scales and places each digit by draws of its own."""
        draws = uniform(key, index, 4)
        angle_deg = _between(-self.max_deg, self.max_deg, draws[:, 0])
        scale = _between(*self.scale_range, draws[:, 1])
        output_px = torch.tensor(self.size[::-1], device=index.device)  # (x, y)
        room_px = (output_px - DIGIT_PX * scale[:, None]).clamp(min=0)
        centre_px = room_px * (draws[:, 2:] - 0.5)
        theta = _similarity(angle_deg, scale, centre_px, self.size)
        return affine_grid(theta, self.size)


class ProjectiveDistortion(Warp):
    """P: scale uniform in scale_range, then four corners moved by N(0, corner_px) in x and in y.

    The corners are those of a `frame` (height, width) about the scaled digit, or the scaled digit's
    own if there is none; the homography carries them to where they move, and the digit with them.
    No view of a rectangle is a folded quadrilateral: where the triangle of a corner and its two
    neighbours would keep less than `min_area` of its area, all four moves of that image are
    shortened by the largest common factor that leaves it so much.

    Differs from the paper: whose corners move, and what it did with folded ones, is not known.
    """

    def __init__(
        self,
        *,
        scale_range: Sequence[float],
        corner_px: float,
        min_area: float,
        frame: Sequence[int] | None,
        size: Sequence[int],
    ) -> None:
        self.scale_range, self.size = _checked_range(scale_range), _checked_size(size)
        self.corner_px, self.min_area = corner_px, min_area
        self.frame = None if frame is None else _checked_size(frame)
        if not 0 < min_area < 1:
            raise ValueError(f"min_area must be between 0 and 1, got {min_area}")

    def grid(self, index: Tensor, key: int) -> Tensor:
        """Moves the corners of each image by draws of its own."""
        output_px, digit_px = _half_extents(self.size, index.device)
        theta = quad_to_square(self.corners(index, key) / output_px)
        if self.frame is not None:  # then the square is the frame, of which the digit is a part
            frame_px, _ = _half_extents(self.frame, index.device)
            digits_per_frame = frame_px / (self._scale(index, key) * digit_px)
            theta[:, :2] *= digits_per_frame[..., None]
        # Whatever is far outside is as black a little outside, and spares the sampler its search.
        return projective_grid(theta, self.size).clamp(-2, 2)

    def corners(self, index: Tensor, key: int) -> Tensor:
        """Where the corners go: (B, 4, 2), (x, y) in px from the image's centre.

        The order is clockwise from the top left.
        """
        moves = self.corner_px * normal(key, index, 8).view(-1, 4, 2)
        square = torch.tensor(_SQUARE, device=index.device)
        if self.frame is None:
            square = self._scale(index, key)[..., None] * (DIGIT_PX - 1) / 2 * square
        else:
            square = (_half_extents(self.frame, index.device)[0] * square).expand_as(moves)
        share = unfolded_share(square, moves, self.min_area)
        return square + share[:, None, None] * moves

    def _scale(self, index: Tensor, key: int) -> Tensor:
        """How large each digit is: (B, 1)."""
        return _between(*self.scale_range, uniform(_second(key), index, 1))


class ElasticDistortion(Warp):
    """E: scale uniform in scale_range, then a thin plate spline that moves a grid of points.

    The points lie regularly over the output, borders included; each moves by d of N(0, point_px) in
    x and in y. What the spline maps is `spline`:

    to_image: from digit to image. What the scaled digit has at a point c is seen at c + d exactly.
    to_digit: from image to digit. The image shows at c what the scaled digit has at c - d.

    Differs from the paper: which of the two it is, is not stated.
    """

    def __init__(
        self,
        *,
        scale_range: Sequence[float],
        points: Sequence[int],
        point_px: float,
        spline: str,
        size: Sequence[int],
    ) -> None:
        self.scale_range, self.size = _checked_range(scale_range), _checked_size(size)
        self.points, self.point_px = (int(points[0]), int(points[1])), point_px
        self.spline = spline
        if spline not in SPLINES:
            raise ValueError(f"spline must be one of {', '.join(SPLINES)}, got {spline!r}")

    def grid(self, index: Tensor, key: int) -> Tensor:
        """Moves the control points of each digit by draws of its own."""
        output_px, digit_px = _half_extents(self.size, index.device)
        points = _control_points(self.points, index.device)
        draws = normal(key, index, 2 * len(points)).view(-1, len(points), 2)
        moves = self.point_px * draws / output_px
        scale = _between(*self.scale_range, uniform(_second(key), index, 1))[..., None]
        digits_per_output = output_px / (scale * digit_px)  # (B, 1, 2)
        if self.spline == "to_image":
            grid = spline_through(points.expand_as(moves), points + moves, self.size)
            return grid * digits_per_output[:, None]
        basis = _elastic_basis(self.points, self.size, index.device)
        return tps_grid((points - moves) * digits_per_output - points, basis)


class Clutter:
    """TC: the digit at a uniformly random place, and patches of other digits at random places.

    Patches are squares of `patch_px`, cut at random places out of other digits of the pool. Where
    things overlap, `overlap` tells what is seen:

    add: the sum of their brightness, cut off at white.
    patches_hide: the later patch, and the patch rather than the digit, black pixels too.
    digit_hides: the later patch, but the digit rather than a patch, black pixels too.

    Differs from the paper: which of these it is, is not stated.
    """

    def __init__(
        self, *, num_patches: int, patch_px: int, overlap: str, size: Sequence[int]
    ) -> None:
        self.num_patches, self.patch_px, self.size = num_patches, patch_px, _checked_size(size)
        self.overlap = overlap
        if not 0 < patch_px <= DIGIT_PX:
            raise ValueError(f"patch_px must be in 1..{DIGIT_PX}, got {patch_px}")
        if overlap not in OVERLAPS:
            raise ValueError(f"overlap must be one of {', '.join(OVERLAPS)}, got {overlap!r}")

    def __call__(self, pool: Tensor, index: Tensor, key: int) -> Tensor:
        """Places each digit and its patches by draws of its own."""
        if len(pool) < 2:
            raise ValueError("clutter needs at least two digits in the pool, got one")
        height, width = self.size
        digit_at, cut_from, patch_at = self._pixels(len(pool), index, key)
        canvas = torch.zeros(len(index) * height * width, device=pool.device)
        each = len(index), self.num_patches, self.patch_px**2
        patches = zip(
            patch_at.view(each).unbind(1),
            pool.flatten()[cut_from].view(each).unbind(1),
            strict=True,
        )
        layers = [(digit_at, pool.index_select(0, index)), *patches]
        if self.overlap == "digit_hides":
            layers.append(layers.pop(0))
        # Brightness 0..255 in whole numbers: their sum is exact, so its order does not matter.
        paint = canvas.scatter_add_ if self.overlap == "add" else canvas.scatter_
        for positions, brightness in layers:
            paint(0, positions.flatten(), brightness.flatten().to(torch.float32))
        return canvas.clamp_(max=255).div_(255).view(-1, 1, height, width)

    def hidden(self, pool: Tensor, index: Tensor, key: int) -> Tensor:
        """Share of each digit's ink (B,) that is where a patch is."""
        height, width = self.size
        digit_at, _, patch_at = self._pixels(len(pool), index, key)
        has_patch = torch.zeros(len(index) * height * width, device=pool.device)
        has_patch[patch_at.flatten()] = 1
        brightness = pool.index_select(0, index).flatten(1).float()
        return (brightness * has_patch[digit_at].view_as(brightness)).sum(1) / brightness.sum(1)

    def _pixels(self, pool_size: int, index: Tensor, key: int) -> tuple[Tensor, Tensor, Tensor]:
        """Flat positions of the digits on the canvas, and of the patches in the pool and on it."""
        height, width = self.size
        digit_range = [height - DIGIT_PX + 1, width - DIGIT_PX + 1]
        cut_range = [DIGIT_PX - self.patch_px + 1] * 2
        place_range = [height - self.patch_px + 1, width - self.patch_px + 1]
        patch_range = [pool_size - 1, *cut_range, *place_range]
        draws = integers(key, index, digit_range + self.num_patches * patch_range)
        of_patches = draws[:, 2:].view(len(index), self.num_patches, 5)
        step, cut_y, cut_x, y, x = of_patches.unbind(-1)
        other = (index[:, None] + 1 + step) % pool_size  # never the digit itself
        image = torch.arange(len(index), device=index.device) * height * width
        cut = other * DIGIT_PX**2 + cut_y * DIGIT_PX + cut_x
        return (
            _window(image + draws[:, 0] * width + draws[:, 1], DIGIT_PX, width),
            _window(cut, self.patch_px, DIGIT_PX),
            _window(image[:, None] + y * width + x, self.patch_px, width),
        )


def _digits(pool: Tensor, index: Tensor) -> Tensor:
    """(B, 1, 28, 28) float32 in [0, 1]."""
    return pool.index_select(0, index).to(torch.float32).div_(255)


def _similarity(
    angle_deg: Tensor, scale: Tensor, centre_px: Tensor, size: tuple[int, int]
) -> Tensor:
    """Matrices (B, 2, 3) from output to digit, of a counter-clockwise turn, a scale and a place.

    Args:
        angle_deg: (B,).
        scale: (B,), above 1 where the digit grows.
        centre_px: (B, 2), (x, y) of the digit's centre from the output's.
        size: (H, W) of the output.
    """
    output_px, digit_px = _half_extents(size, angle_deg.device)
    angle = torch.deg2rad(angle_deg)
    cos, sin = angle.cos() / scale, angle.sin() / scale
    turn_px = torch.stack([cos, -sin, sin, cos], dim=-1).view(-1, 2, 2)  # y points down
    shift_px = -(turn_px * centre_px[:, None]).sum(dim=-1, keepdim=True)
    return torch.cat([turn_px * output_px, shift_px], dim=-1) / digit_px


def _window(first: Tensor, side: int, row_length: int) -> Tensor:
    """Flat positions in the side x side windows whose first pixels are given, flattened."""
    steps = torch.arange(side, device=first.device)
    return (first[..., None] + (steps[:, None] * row_length + steps).flatten()).flatten()


@lru_cache(maxsize=8)
def _elastic_basis(points: tuple[int, int], size: tuple[int, int], device: torch.device) -> Tensor:
    return tps_basis(_control_points(points, torch.device("cpu")), size).float().to(device)


def _between(low: float, high: float, share: Tensor) -> Tensor:
    return low + (high - low) * share


def _second(key: int) -> int:
    """Another stream: uniform and normal draws of the same key are made of the same bits."""
    return ~key


def _half_extents(size: tuple[int, int], device: torch.device) -> tuple[Tensor, float]:
    """How many pixels 1 is in normalised coordinates: (x, y) of the output, and of the digit."""
    height, width = size
    return torch.tensor([width - 1, height - 1], device=device) / 2, (DIGIT_PX - 1) / 2


def _control_points(points: tuple[int, int], device: torch.device) -> Tensor:
    """A regular grid of rows x columns over [-1, 1]^2, row by row: (K, 2), (x, y)."""
    return base_grid(points, device=device).reshape(-1, 2)


def _checked_size(size: Sequence[int]) -> tuple[int, int]:
    height, width = whole_numbers("size of an image of a digit", "(H, W)", size, least=DIGIT_PX)
    return height, width


def _checked_range(scale_range: Sequence[float]) -> tuple[float, float]:
    low, high = scale_range
    if not 0 < low <= high:
        raise ValueError(f"scales must be positive and in order, got {(low, high)}")
    return float(low), float(high)
