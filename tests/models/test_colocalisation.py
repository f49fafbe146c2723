import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from stn.fast import accelerate
from stn.models.colocalisation import Colocaliser, SquareLocalisation
from stn.models.mnist import Cnn


def network(**changes: Any) -> Colocaliser:
    torch.manual_seed(1)
    arguments = {"crop_px": 20.0, "total_steps": 10, "encoder_width": 4}
    return Colocaliser((1, 60, 44), **(arguments | changes))


def somewhere(net: Colocaliser) -> Colocaliser:
    for layer in net.transformers:
        nn.init.normal_(layer.localisation.regression.weight)
    return net


def test_the_localisation_network_is_the_papers() -> None:
    layers = SquareLocalisation((1, 84, 84), 28)
    assert [type(layer).__name__ for layer in layers.features] == [
        *("Conv2d", "MaxPool2d", "ReLU", "Flatten", "Linear", "ReLU", "Linear", "ReLU")
    ]
    assert layers.features[0].weight.shape == (8, 1, 9, 9)
    assert layers.features[0].stride == (4, 4)
    # 5.9k parameters with three outputs; the square's size is given here.
    assert sum(p.numel() for p in layers.parameters()) == 656 + 5192 + 72 + 18


@pytest.mark.parametrize("num_transformers", [1, 3])
def test_the_boxes_are_where_crops_are_read(num_transformers: int) -> None:
    net = somewhere(network(num_transformers=num_transformers))
    # Brightness is the place: a crop's corners tell where they were read.
    x, y = torch.linspace(-1, 1, 44), torch.linspace(-1, 1, 60)
    plane = torch.stack(torch.meshgrid(y, x, indexing="ij"))[:, None]
    U = torch.rand(5, 1, 60, 44)
    found = net(U)
    assert found.V.shape == (5, num_transformers, 1, 28, 28)
    assert found.boxes.shape == (5, num_transformers, 4)
    assert found.boxes.abs().max() <= 1 + 1e-6
    for t, layer in enumerate(net.transformers):
        theta = layer.localisation(U)
        for axis, image in ((1, plane[0]), (0, plane[1])):
            read = layer.warp(image.expand(5, 1, 60, 44), theta)[:, 0]
            corners = torch.stack([read[:, 0, 0], read[:, -1, -1]], dim=1)
            torch.testing.assert_close(corners, found.boxes[:, t, axis::2], atol=1e-4, rtol=0)


def test_places_are_jittered_less_and_less_and_stay_inside() -> None:
    net = network(jitter_px=(4.0, 1.0))
    x = torch.linspace(-1, 1, 44).expand(500, 1, 60, 44)
    deviations = []
    for _ in range(5):
        V, likelihoods = net.explore(x)
        assert V.abs().max() < 1 + 1e-5
        assert likelihoods.mean().item() == pytest.approx(-1, abs=0.15)  # two normal deviates
        deviations.append(V.mean(dim=(1, 2, 3, 4)).std().item() * 43 / 2)
        net.step += 2
    assert deviations == pytest.approx([4.0, 3.2, 2.4, 1.6, 1.0], rel=0.12)
    assert net(x).boxes.std(dim=0).max() < 1e-6


def test_likely_places_are_those_before_the_jitter() -> None:
    net = network(jitter_px=(4.0, 4.0))
    (layer,) = net.transformers
    x = torch.linspace(-1, 1, 44).expand(300, 1, 60, 44)
    V, likelihoods = net.explore(x)
    likelihoods.sum().backward()
    # Places start at 0, and the regression's bias moves all of them.
    drawn = V.detach().mean(dim=(1, 2, 3, 4)).sum()
    gradient = layer.localisation.regression.bias.grad[0]
    torch.testing.assert_close(gradient * (8 / 43) ** 2, drawn, atol=1e-3, rtol=1e-3)


def test_random_crops_are_anywhere_inside() -> None:
    net = network()
    white = net.random_crops(torch.ones(400, 1, 60, 44))
    torch.testing.assert_close(white, torch.ones(400, 1, 28, 28), atol=1e-5, rtol=0)
    x = torch.linspace(-1, 1, 44).expand(400, 1, 60, 44)
    left = net.random_crops(x)[:, 0, 0, 0]
    assert left.min() < -0.98
    assert left.max() > 1 - 2 * 19 / 43 - 0.02


@pytest.mark.parametrize("fast", [False, True])
def test_each_layer_counts_alike_in_the_codes_of_digits_and_less_ink_is_a_shorter_code(
    fast: bool,
) -> None:
    net = network()
    if fast:
        accelerate(net)
    V = torch.rand(6, 1, 28, 28, requires_grad=True)
    net.measure(V)
    codes = net.encode(V)
    assert codes.shape == (6, 4 * 100 + 4 * 4 + 10)
    for part in codes.split([400, 16, 10], dim=1):
        torch.testing.assert_close(part.norm(dim=1).mean(), torch.tensor(3**-0.5))
    torch.testing.assert_close(codes[:, 416:] * net.lengths[2] * 3**0.5, net.encoder(V))
    assert net.encode(torch.zeros_like(V)).norm() < codes.norm()
    codes[:, 0].sum().backward()
    assert V.grad is not None
    assert V.grad.abs().max() > 0
    assert all(p.grad is None for p in net.encoder.parameters())
    assert all(p.requires_grad for p in net.encoder.parameters())


def write_run(folder: Path, width: int = 4, **changes: Any) -> dict[str, torch.Tensor]:
    """Write what a finished run leaves, as far as it is looked at."""
    data = {"channels": 1, "image_size": [28, 28], "num_classes": 10} | changes.pop("data", {})
    record = {"status": "finished", "model": "cnn", "data": "mnist", "config": {"data": data}}
    weights = Cnn((1, 28, 28), 10, width).state_dict()
    folder.mkdir()
    torch.save(weights, folder / "weights.pt")
    (folder / "result.json").write_text(json.dumps(record | changes))
    return weights


def test_an_encoder_of_a_run_stays_as_it_is(tmp_path: Path) -> None:
    weights = write_run(tmp_path / "cnn-mnist")
    net = network(encoder_run="cnn-mnist", runs_dir=tmp_path)
    assert not net.encoder_learns
    for name, value in net.encoder.state_dict().items():
        assert torch.equal(value, weights[name])
    assert not any(p.requires_grad for p in net.encoder.parameters())
    net.encode(torch.rand(2, 1, 28, 28))
    assert not any(p.requires_grad for p in net.encoder.parameters())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"status": "diverged"}, "is diverged, not finished"),
        ({"data": {"image_size": [42, 42]}}, r"whose images are \[1, 42, 42\] of 10 classes"),
        ({"data": {"channels": 2, "num_classes": 19}}, r"\[1, 28, 28\] of 10 classes"),
        ({"width": 5}, "not a CNN of the same width"),
        ({"config": {}}, "is not a finished run"),
        ({"weights_sha256": "0" * 64}, "is not what the run ended with"),
    ],
)
def test_a_run_that_gives_no_encoder_is_named(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    write_run(tmp_path / "other", **changes)
    with pytest.raises(ValueError, match=said) as error:
        network(encoder_run="other", runs_dir=tmp_path)
    assert str(tmp_path / "other") in str(error.value)


def test_a_run_that_is_not_there_and_damaged_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"encoder_run: .*nowhere is not a finished run"):
        network(encoder_run="nowhere", runs_dir=tmp_path)
    write_run(tmp_path / "torn")
    (tmp_path / "torn/weights.pt").write_bytes(b"half")
    with pytest.raises(ValueError, match=r"weights of .*torn cannot be read"):
        network(encoder_run="torn", runs_dir=tmp_path)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"num_transformers": 0}, "must be positive"),
        ({"total_steps": 0}, "must be positive"),
        ({"crop_px": 1.0}, "within 1 and 44 pixels"),
        ({"crop_px": 44.0}, "within 1 and 44 pixels"),
        ({"jitter_px": (1.0, 2.0)}, "positive and not grow"),
    ],
)
def test_what_cannot_be_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        network(**changes)


def test_wrong_channels_and_small_images_are_refused() -> None:
    with pytest.raises(ValueError, match="takes images of 1 channel, not of 3"):
        Colocaliser((3, 60, 44), 20, 10)
    with pytest.raises(ValueError, match="too small"):
        SquareLocalisation((1, 12, 40), 10)
