import math
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from stn.data.volumes import Extruded, VolumeDataModule
from stn.running.preparing import Cell
from stn.transformers import affine_grid, sample
from tests.data.test_contract import check_contract

POOL = torch.randint(256, (40, 1, 28, 28), generator=torch.Generator().manual_seed(0)).byte()
SIZE = (46, 50, 48)
INDEX = torch.arange(12)


def solids(**changes: object) -> Extruded:
    given: dict = {"max_deg": 45, "thickness_px": 20, "block_px": 1, "size": SIZE} | changes
    return Extruded(**given)


def rotations(distort: Extruded, pose: Tensor) -> Tensor:
    """The part of a pose that turns, in voxels: (B, 3, 3)."""
    volume, body = (torch.tensor(sides) - 1 for sides in (distort.size[::-1], distort.body_px))
    return pose[:, :, :3] * body[:, None] / volume


@pytest.mark.parametrize(("block", "thickness", "size"), [(1, 20, SIZE), (2, 7, (25, 31, 26))])
def test_volumes_are_extruded_digits_sampled_where_the_pose_says(block, thickness, size) -> None:
    distort = solids(block_px=block, thickness_px=thickness, size=size)
    U = distort(POOL, INDEX, 3)
    assert U.shape == (12, 1, *size)
    digits = F.avg_pool2d(POOL[INDEX].float() / 255, block)
    extruded = digits[:, :, None].expand(-1, -1, thickness, -1, -1)
    wanted = sample(extruded, affine_grid(distort.pose(INDEX, 3), size))
    torch.testing.assert_close(U, wanted, atol=1e-4, rtol=0)


def test_they_are_turned_without_distortion_up_to_an_angle_about_each_axis() -> None:
    index = torch.arange(3000)
    turn = rotations(solids(max_deg=30), solids(max_deg=30).pose(index, 1)).mT
    torch.testing.assert_close(turn.mT @ turn, torch.eye(3).expand(3000, 3, 3), atol=1e-4, rtol=0)
    assert (torch.linalg.det(turn) > 0).all()
    about = (  # x, y and z, of a turn about them in this order
        torch.atan2(turn[:, 2, 1], turn[:, 2, 2]),
        torch.asin(-turn[:, 2, 0]),
        torch.atan2(turn[:, 1, 0], turn[:, 0, 0]),
    )
    for angle in about:
        assert angle.abs().max() <= math.radians(30.01)
        assert angle.std().item() == pytest.approx(math.radians(30) / 3**0.5, rel=0.05)
        assert angle.mean().abs() < 0.03
    still = solids(max_deg=0)
    torch.testing.assert_close(
        rotations(still, still.pose(INDEX, 1)), torch.eye(3).expand(12, 3, 3)
    )


def test_nothing_is_cut_off_and_all_places_are_taken() -> None:
    U = solids()(POOL, torch.arange(40), 5)
    ink = 20 * POOL.float().sum((1, 2, 3)) / 255
    torch.testing.assert_close(U.sum((1, 2, 3, 4)), ink, rtol=0.02, atol=0)
    for axis, side in zip((2, 3, 4), SIZE, strict=True):
        filled = U.sum([d for d in range(1, 5) if d != axis]) > 0
        first = filled.float().argmax(dim=1)
        assert first.min() <= 2
        assert (side - filled.sum(dim=1) - first).min() <= 2
        assert first.float().std() > 1.5


def test_an_upright_digit_is_its_projection() -> None:
    (U,) = solids(max_deg=0)(POOL, torch.tensor([7]), 2)
    image = U.sum(dim=1) / 20
    assert image.max() <= 1
    torch.testing.assert_close(image.sum(), POOL[7].sum() / 255, rtol=1e-4, atol=0)


def test_a_sample_is_the_same_whatever_its_batch_and_another_one_under_another_key() -> None:
    U = solids()(POOL, INDEX, 3)
    assert torch.equal(solids()(POOL, INDEX[[7, 2]], 3), U[[7, 2]])
    assert not torch.equal(solids()(POOL, INDEX, 4), U)


def module(data_dir: Path) -> VolumeDataModule:
    others = {"num_val": 100, "batch_size": 16, "seed": 3, "data_seed": 0, "data_dir": data_dir}
    return VolumeDataModule(45, 10, 2, (26, 24, 30), **others)


def test_it_says_what_stands_in_a_volume(mnist_dir: Path) -> None:
    data, numbers = module(mnist_dir), torch.tensor([4, 31, 0])
    U, _ = data.drawn("test", numbers)
    digits, poses, body_px = data.solids("test", numbers)
    assert body_px == (14, 14, 10)
    extruded = digits[:, :, None].expand(-1, -1, 10, -1, -1)
    wanted = sample(extruded, affine_grid(poses, (26, 24, 30)))
    torch.testing.assert_close(U, wanted, atol=1e-4, rtol=0)


def test_it_is_a_data_module_for_cells(make_cell: Callable[..., Cell]) -> None:
    check_contract(make_cell("data=mnist3d_half", "model=cnn3d"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"size": (1, 1, 1)}, "3 whole numbers (D, H, W) from 45 up, not (1, 1, 1)"),
        ({"size": (60, 44, 60)}, "28 x 28 x 20 voxels must be 3 whole numbers (D, H, W) from 45"),
        ({"size": (60, 60)}, "(60, 60)"),
        ({"thickness_px": 1}, "thickness_px must be from 2 up, not 1"),
        ({"block_px": 3}, "block_px must divide 28, not 3"),
        ({"block_px": 0}, "block_px must divide 28, not 0"),
    ],
)
def test_what_cannot_be_is_named(changes: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        solids(**changes)
