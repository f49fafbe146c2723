"""Digits filled with gratings: the class is their frequency, whatever the digit."""

from pathlib import Path

import torch
from torch import Tensor

from stn.data.distortions import Rotate
from stn.data.mnist import MnistDataModule
from stn.data.textures import HIGHEST, LOWEST, TexturedMnistDataModule

ARGUMENTS = {"batch_size": 16, "num_val": 100, "seed": 3, "data_seed": 0}


def modules(folder: Path) -> tuple[TexturedMnistDataModule, MnistDataModule]:
    """With textures, and the same digits without."""
    distortion = Rotate(max_deg=90, size=(28, 28))
    both = TexturedMnistDataModule, MnistDataModule
    return tuple(kind(distortion, data_dir=folder, **ARGUMENTS) for kind in both)  # type: ignore


def of_train(module: MnistDataModule) -> Tensor:
    """Return the classes of the first training images."""
    return module.drawn("train", torch.arange(300))[1]


def test_the_class_is_the_frequency_of_what_fills_a_digit(mnist_dir: Path) -> None:
    """The wave, U / digit, found by least squares among waves of all directions and classes."""
    textured, plain = modules(mnist_dir)
    textured.setup()
    plain.setup()
    numbers = textured.order("train")[:12]
    U, classes = textured.drawn("train", numbers)
    digits, _ = plain.drawn("train", numbers)
    assert bool((digits >= U - 1e-6).all())
    y, x = torch.meshgrid(torch.arange(28.0), torch.arange(28.0), indexing="ij")
    angles = torch.linspace(0, torch.pi, 181)[:, None, None]
    along = x * angles.cos() + y * angles.sin()  # (181, 28, 28)
    for image, digit, label in zip(U, digits, classes, strict=True):
        inside = digit[0] > 0.3
        wave = (2 * image / digit.clamp(min=0.3) - 1)[0][inside]
        left: list[Tensor] = []
        for k in range(10):
            phases = 2 * torch.pi * (LOWEST + (HIGHEST - LOWEST) * k / 9) * along[:, inside]
            basis = torch.stack([phases.sin(), phases.cos()], dim=2)  # (181, N, 2)
            wanted = wave.expand(181, -1)[..., None]
            found = torch.linalg.lstsq(basis, wanted).solution
            left.append((basis @ found - wanted).square().sum(dim=(1, 2)).min())
        assert torch.stack(left).argmin() == label


def test_classes_are_drawn_once_and_gratings_anew(mnist_dir: Path) -> None:
    textured, plain = modules(mnist_dir)
    for module in (textured, plain):
        module.setup()
    labels = of_train(textured)
    assert labels.bincount(minlength=10).min() > 0
    assert (labels == of_train(plain)).float().mean() < 0.3
    again, _ = modules(mnist_dir)
    again.setup()
    assert torch.equal(of_train(again), labels)
