import pytest
import torch
from torch import Tensor

from stn.data.distortions import Clutter, ProjectiveDistortion, Undistorted, Warp
from stn.data.ink import check, ink_seen, share_damaged
from stn.data.randomness import stream
from stn.transformers.grids import affine_grid

KEY = stream(0, "test")


class Affine(Warp):
    """The same matrix for all: in digit halves of 13.5 px, from an output of 33 x 41 px."""

    size = (33, 41)

    def __init__(self, a: float, b: float, shift_px: float) -> None:
        halves = [[a * 20, b * 16, -shift_px], [0, 16, 0]]  # x right by shift_px, y as it is
        self.theta = torch.tensor(halves) / 13.5

    def grid(self, index: Tensor, key: int) -> Tensor:
        return affine_grid(self.theta.expand(len(index), 2, 3), self.size)


@pytest.mark.parametrize("scale", [0.75, 1.0, 1.25])
@pytest.mark.parametrize("shear", [0.0, 0.3])
def test_ink_is_kept_whatever_its_size_and_slant(pool, scale, shear):
    upright, folded = ink_seen(Affine(1 / scale, shear, 0), pool, torch.arange(300), KEY)
    torch.testing.assert_close(upright, torch.ones(300), rtol=0, atol=0.03)
    assert not folded.any()


def test_what_leaves_the_image_is_lost(pool):
    index = torch.arange(100, 200)
    upright, folded = ink_seen(Affine(1, 0, 16.5), pool, index, KEY)
    columns = pool[100:200].sum((1, 2), dtype=torch.float32)
    expected = columns[:, :17].sum(1) + columns[:, 17]  # column 17 falls on the last one
    torch.testing.assert_close(upright, expected / columns.sum(1), rtol=0, atol=1e-4)
    assert not folded.any()
    damaged = ((1 - upright) > 0.1).float().mean().item()
    assert share_damaged(Affine(1, 0, 16.5), pool, index, KEY) == damaged == 1


def test_what_is_mirrored_counts_as_folded(pool):
    upright, folded = ink_seen(Affine(-1, 0, 0), pool, torch.arange(300), KEY)
    assert not upright.any()
    torch.testing.assert_close(folded, torch.ones(300), rtol=0, atol=1e-4)


def test_what_is_under_a_patch_is_hidden(pool):
    index = torch.arange(100, 300)
    clutter = {
        overlap: Clutter(num_patches=6, patch_px=6, overlap=overlap, size=(60, 61))
        for overlap in ("add", "patches_hide", "digit_hides")
    }
    # Of black patches only what they hide is seen, and of a pool with one digit all others are.
    one = torch.zeros_like(pool).index_copy_(0, index[:1], pool[:1])
    seen = {name: draw(one, index[:1], KEY).sum() for name, draw in clutter.items()}
    hidden = clutter["add"].hidden(one, index[:1], KEY)
    torch.testing.assert_close(seen["patches_hide"] / seen["digit_hides"], 1 - hidden[0])
    share = share_damaged(clutter["patches_hide"], pool, index, KEY)
    assert share == (clutter["add"].hidden(pool, index, KEY) > 0.1).float().mean()
    assert share > 0.1
    assert share_damaged(clutter["add"], pool, index, KEY) == 0
    with pytest.raises(ValueError, match=r"Clutter at \(60, 61\) .* hides more than 10% of"):
        check(clutter["patches_hide"], pool)


def test_a_distortion_that_damages_digits_is_refused(pool):
    arguments = {"scale_range": (0.75, 1), "corner_px": 5, "min_area": 0.1}
    with pytest.raises(ValueError, match=r"ProjectiveDistortion at \(28, 28\) cuts, .* 10% of"):
        check(ProjectiveDistortion(**arguments, frame=None, size=(28, 28)), pool)
    check(ProjectiveDistortion(**arguments, frame=(42, 42), size=(42, 42)), pool)
    check(Undistorted(size=(28, 28)), pool)
    check(Clutter(num_patches=6, patch_px=6, overlap="add", size=(60, 60)), pool)
