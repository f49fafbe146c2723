from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from stn.models.backbones import Backbone
from stn.models.cub import CubCnn, CubStCnn
from stn.tasks.classification import AccuracyPercent, CrossEntropy
from stn.tasks.task import Task
from stn.transformers import Affine, Attention, Rotation, Translation


class Small(Backbone):
    """A backbone in all but its layers."""

    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.maps = nn.Conv2d(3, 6, 5, stride=32)
        self.channels = 6
        self.register_buffer("mean", torch.full((3, 1, 1), 0.4))
        self.register_buffer("sd", torch.full((3, 1, 1), 0.2))


SMALL = {"backbone": Small, "num_classes": 7, "crop": 64}


@pytest.mark.parametrize("transform", [Translation(zoom=0.5), Attention(), Affine()])
@pytest.mark.parametrize("number", [2, 4])
def test_crops_tile_the_image_at_the_start(transform, number: int) -> None:
    network = CubStCnn(**SMALL, in_size=(96, 128), num_transformers=number, transform=transform)
    crops: list[torch.Tensor] = []
    for transformer in network.transformers:
        transformer.register_forward_hook(lambda layer, given, V: crops.append(V))
    U = torch.rand(2, 3, 96, 128)
    assert network.eval()(U).shape == (2, 7)
    rows, columns = {2: ([0.0], [-0.5, 0.5]), 4: ([-0.5, 0.5], [-0.5, 0.5])}[number]
    places = [(x, y) for y in rows for x in columns]
    for V, (x, y) in zip(crops, places, strict=True):
        A = torch.tensor([[0.5, 0, x], [0, 0.5, y]]).expand(2, 2, 3)
        grid = F.affine_grid(A, [2, 3, 64, 64], align_corners=True)
        torch.testing.assert_close(V, F.grid_sample(U, grid, align_corners=True), atol=1e-5, rtol=0)


def test_the_localisation_network_sees_the_image_halved() -> None:
    network = CubStCnn(**SMALL, in_size=(128, 128), num_transformers=2, transform=Attention())
    seen = []
    network.localisation.backbone.maps.register_forward_pre_hook(
        lambda layer, given: seen.append(given[0])
    )
    U = torch.rand(2, 3, 128, 128)
    network.eval()(U)
    backbone = network.localisation.backbone
    small = F.interpolate(U, scale_factor=0.5, mode="area")
    torch.testing.assert_close(seen[0], (small - backbone.mean) / backbone.sd)


@pytest.mark.parametrize("shared", [False, True])
def test_each_crop_has_a_stream_of_its_own_unless_they_share_one(shared: bool) -> None:
    network = CubStCnn(
        **SMALL, in_size=(64, 64), num_transformers=2, transform=Attention(), shared_streams=shared
    )
    assert len(network.streams) == (1 if shared else 2)
    crops: list[torch.Tensor] = []
    for transformer in network.transformers:
        transformer.register_forward_hook(lambda layer, given, V: crops.append(V))
    network.eval()
    found = network(torch.rand(2, 3, 64, 64))
    streams = [*network.streams] * (2 if shared else 1)
    features = [stream(V) for stream, V in zip(streams, crops, strict=True)]
    torch.testing.assert_close(found, network.classifier(torch.cat(features, dim=1)))


def test_all_that_finds_parts_learns_at_the_rate_of_localisation() -> None:
    network = CubStCnn(**SMALL, in_size=(64, 64), num_transformers=2, transform=Attention())
    task = Task(
        network,
        CrossEntropy(),
        {"accuracy_percent": AccuracyPercent()},
        partial(torch.optim.SGD, lr=0.1),
        lambda optimizer: torch.optim.lr_scheduler.ConstantLR(optimizer, 1.0),
        localisation_lr_factor=0.01,
    )
    optimizer = task.configure_optimizers()["optimizer"]
    rest, slow = optimizer.param_groups
    assert slow["initial_lr"] == pytest.approx(0.001)
    wanted = [*network.localisation.parameters()]
    wanted += [p for t in network.transformers for p in t.localisation.parameters()]
    assert {id(p) for p in slow["params"]} == {id(p) for p in wanted}
    assert len(rest["params"]) + len(wanted) == len([*network.parameters()])


@pytest.mark.parametrize(
    "changes",
    [{"num_transformers": 3}, {"transform": Rotation()}, {"transform": Translation()}],
)
def test_what_cannot_be_is_refused(changes: dict) -> None:
    arguments = {"num_transformers": 2, "transform": Attention(), "in_size": (64, 64)}
    with pytest.raises(ValueError, match=r"tile an image|crops of half the size"):
        CubStCnn(**SMALL, **(arguments | changes))


def test_the_baseline_is_a_backbone_and_a_classifier() -> None:
    network = CubCnn(Small, 7, dropout=0.3).eval()
    U = torch.rand(2, 3, 64, 64)
    torch.testing.assert_close(network(U), network.classifier(network.stream(U)))
    assert [m.p for m in network.children() if isinstance(m, nn.Dropout)] == [0.3]
