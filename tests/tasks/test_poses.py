import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from stn.models.taught import TaughtCnn
from stn.tasks.poses import TaughtCrossEntropy, matrices, poses, reposed
from stn.transformers import (
    Affine,
    ConvLocalisation,
    Projective,
    SpatialTransformer,
    affine_grid,
    sample,
)
from stn.transformers import base_grid as regular
from tests.transforms import Told, near_identity

SIZE = (45, 52)


def found(theta: Tensor) -> Tensor:
    U = torch.zeros(len(theta), 1, *SIZE, dtype=theta.dtype)
    return poses(SpatialTransformer(Told(theta), Affine()), U)


def turns(num: int = 40) -> Tensor:
    """Matrices (N, 2, 3) of any angle, each with a shear and scales of its own."""
    random = torch.Generator().manual_seed(0)
    A = torch.matrix_exp(0.3 * torch.randn(num, 2, 2, dtype=torch.float64, generator=random))
    angle = 6.28 * torch.rand(num, dtype=torch.float64, generator=random)
    cos, sin = angle.cos(), angle.sin()
    R = torch.stack([cos, -sin, sin, cos], dim=1).view(-1, 2, 2)
    shift = torch.randn(num, 2, 1, dtype=torch.float64, generator=random)
    return torch.cat([R @ A, shift], dim=2)


def test_a_pose_says_all_of_a_matrix() -> None:
    A = turns()
    torch.testing.assert_close(matrices(found(A.flatten(1)))[:, :2], A)


def test_a_pose_of_a_turn_has_its_angle_and_nothing_else() -> None:
    angle = torch.tensor([-2.0, 0.0, 0.7], dtype=torch.float64)
    cos, sin, zero = angle.cos(), angle.sin(), torch.zeros(3, dtype=torch.float64)
    theta = torch.stack([cos, -sin, zero, sin, cos, zero], dim=1)
    wanted = torch.stack([angle, zero + 1, zero, zero + 1, zero, zero], dim=1)
    torch.testing.assert_close(found(theta), wanted)


def test_poses_of_warps_that_are_not_affine_are_refused() -> None:
    layer = SpatialTransformer(Told(near_identity(Projective())), Projective())
    with pytest.raises(ValueError, match="poses are of affine warps"):
        poses(layer, torch.zeros(3, 1, *SIZE, dtype=torch.float64))


def smooth(num: int) -> Tensor:
    """Blobs, which sampling twice hardly changes."""
    x, y = regular(SIZE, torch.float64).unbind(dim=-1)
    return torch.exp(-8 * ((x - 0.2) ** 2 + 2 * y**2 + x * y)).expand(num, 1, *SIZE)


def test_what_is_shown_in_another_pose_is_read_from_there_as_it_was() -> None:
    before, after = found(turns(3).flatten(1)), found(turns(6)[3:].flatten(1))
    before[:, 1:4], after[:, 1:4] = torch.tensor([1, 0, 1.0]), torch.tensor([1.1, 0.1, 0.9])
    before[:, 4:], after[:, 4:] = 0, 0.1
    U = smooth(3)

    def read(images: Tensor, pose: Tensor) -> Tensor:
        return sample(images, affine_grid(matrices(pose)[:, :2], SIZE), "bicubic")

    wanted = read(U, before)
    assert (read(reposed(U, before, after), after) - wanted).abs().max() < 0.05
    assert (read(U, after) - wanted).abs().max() > 0.2
    torch.testing.assert_close(reposed(U, before, before), U)


def taught() -> TaughtCnn:
    torch.manual_seed(0)
    return TaughtCnn((1, 28, 28), 4, 3, Affine(), ConvLocalisation)


def test_images_of_one_pose_stay_as_they_are_and_both_networks_learn() -> None:
    """Before training all warps are the identity."""
    network, batch = taught(), (torch.rand(5, 1, 28, 28), torch.arange(5) % 4)
    loss = TaughtCrossEntropy(0.1)(network, batch)
    parts = [F.cross_entropy(part(batch[0]), batch[1]) for part in (network, network.teacher)]
    torch.testing.assert_close(loss, sum(parts))
    loss.backward()
    for part in (network.classifier, network.teacher.classifier):
        assert sum(p.grad.abs().sum() for p in part.parameters()) > 0
    assert network.teacher.transformer.localisation.regression.bias.grad.abs().sum() > 0
    with pytest.raises(ValueError, match="bandwidth must not be negative"):
        TaughtCrossEntropy(-0.1)


def test_images_get_the_poses_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    network, U = taught(), torch.rand(6, 1, 28, 28)
    theta = turns(6).float().flatten(1)
    network.teacher.transformer.localisation = Told(theta)
    shown = []
    handle = network.classifier.register_forward_pre_hook(lambda _, given: shown.append(given[0]))
    TaughtCrossEntropy(0.0)(network, (U, torch.arange(6) % 4))
    handle.remove()
    p = poses(network.teacher.transformer, U)
    candidates = torch.stack([reposed(U, p, other.expand(6, -1)) for other in p])  # (pose, image)
    matches = (candidates - shown[0]).abs().amax(dim=(2, 3, 4)) < 1e-6
    assert matches.any(dim=0).all()  # of each image some pose, and each pose once
    assert matches.any(dim=1).all()
