import re
from collections.abc import Callable

import pytest
import torch
from torch import nn

from stn.models.matching import matched, num_parameters
from stn.models.volumes import Cnn3d, Localisation3d, ProjectionCnn, StProjectionCnn
from stn.transformers import Affine3d, Transform

SHAPE = (2, 25, 30, 29)


def localisation(in_shape: tuple[int, ...], transform: Transform) -> nn.Module:
    return Localisation3d(in_shape, transform, filters=3, kernel_size=5, hidden=4, downsample=1)


def with_transformer(width: int = 3, **changes: object) -> StProjectionCnn:
    given: dict = {"output_size": None} | changes
    return StProjectionCnn(SHAPE, 10, width, 7.0, Affine3d(), localisation, **given)


def of_the_sum(width: int = 3) -> ProjectionCnn:
    return ProjectionCnn(SHAPE, 10, width, thickness=7.0)


def of_the_volume(width: int = 3, downsample: int = 1) -> Cnn3d:
    return Cnn3d(SHAPE, 10, width, kernel_size=5, downsample=downsample)


BUILDS = [with_transformer, of_the_sum, of_the_volume]


@pytest.mark.parametrize("build", BUILDS)
def test_each_gives_logits_and_learns_with_all_its_parameters(build: Callable) -> None:
    torch.manual_seed(0)
    network = build()
    U = torch.rand(4, *SHAPE)
    logits = network(U)
    assert logits.shape == (4, 10)
    if isinstance(network, StProjectionCnn):
        nn.init.normal_(network.transformer.localisation.regression.weight, std=0.1)
    network(U).pow(3).sum().backward()
    assert all(p.grad.any() for p in network.parameters())


def test_before_training_a_transformer_changes_nothing() -> None:
    plain, network = of_the_sum(), with_transformer()
    network.classifier.load_state_dict(plain.classifier.state_dict())
    U = torch.rand(3, *SHAPE)
    assert torch.equal(network(U), plain(U))


def test_the_classifier_sees_the_sum_over_depth_of_what_the_transformer_gives() -> None:
    network = with_transformer(output_size=(8, 27, 26))
    seen = []
    network.classifier.register_forward_pre_hook(lambda layer, given: seen.append(given[0]))
    U = torch.rand(3, *SHAPE)
    network(U)
    V = network.transformer(U)
    assert V.shape == (3, 2, 8, 27, 26)
    torch.testing.assert_close(7 * seen[0], V.sum(dim=2))


@pytest.mark.parametrize("build", BUILDS)
def test_they_can_be_matched_in_size(build: Callable) -> None:
    network = matched(lambda width: build(width), 60_000)
    assert abs(num_parameters(network) - 60_000) < 2_500


def test_blocks_are_averaged_first() -> None:
    coarse = Cnn3d(SHAPE, 10, 3, kernel_size=3, downsample=2)
    U = torch.rand(2, *SHAPE)
    fine = nn.functional.interpolate(nn.functional.avg_pool3d(U, 2), scale_factor=2.0)
    padded = nn.functional.pad(fine, (0, 1, 0, 0, 0, 1))  # the last row is in no block
    torch.testing.assert_close(coarse(padded), coarse(U))


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("shape", [(4, 1, 25, 30, 29), (4, 2, 25, 29, 30), (2, 25, 30, 29)])
def test_another_volume_is_answered_with_both_shapes(build: Callable, shape) -> None:
    with pytest.raises(ValueError, match=re.escape(f"(B, 2, 25, 30, 29) are wanted, got {shape}")):
        build()(torch.zeros(shape))


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda s: Cnn3d(s, 10, 3, kernel_size=5, downsample=1), "too small for two convolutions"),
        (lambda s: localisation(s, Affine3d()), "too small for two convolutions of 5 voxels"),
        (lambda s: ProjectionCnn(s, 10, 3, thickness=1.0), "(1, 1, 1) is too small"),
    ],
)
def test_volumes_of_one_voxel_are_refused(build: Callable, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        build((1, 1, 1, 1))
    with pytest.raises(ValueError, match=re.escape("4 whole numbers (C, D, H, W)")):
        build((1, 30, 30))
