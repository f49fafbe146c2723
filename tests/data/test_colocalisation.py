from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from stn.data.colocalisation import DIGIT_PX, ColocalisationDataModule
from stn.data.contract import CellData
from stn.data.mnist_source import load_mnist

SIZE = (60, 91)


def module(data_dir: Path, **changes: Any) -> ColocalisationDataModule:
    arguments = {
        **{"classes": [3], "num_images": 9, "passes": 4, "num_patches": 0, "patch_px": 6},
        **{"size": SIZE, "shift_px": 0, "num_val": 128},
        **{"batch_size": 6, "seed": 3, "data_seed": 0},
    }
    return ColocalisationDataModule(**(arguments | changes), data_dir=data_dir)


def in_boxes(U: Tensor, boxes: Tensor) -> Tensor:
    """What images (B, 1, H, W) show in boxes (B, K, 4): (B, K, 28, 28)."""
    sides = torch.tensor([U.shape[3], U.shape[2]]).repeat(2)
    corners = ((boxes + 1) / 2 * (sides - 1)).round().long()
    assert torch.equal(corners[..., 2:] - corners[..., :2], torch.full_like(corners[..., 2:], 27))
    rows = [
        torch.stack([image[0, y : y + 28, x : x + 28] for x, y, _, _ in of_image.tolist()])
        for image, of_image in zip(U, corners, strict=True)
    ]
    return torch.stack(rows)


@pytest.mark.parametrize("classes", [[3], [8, 1]])
@pytest.mark.parametrize(("split", "name"), [("test", "test"), ("val", "train")])
def test_the_boxes_hold_digits_of_the_classes_and_nothing_is_elsewhere(
    mnist_dir: Path, classes: list[int], split: str, name: str
) -> None:
    data = module(mnist_dir, classes=classes)
    U, boxes = data.drawn(split, torch.arange(9))
    assert U.shape == (9, 1, *SIZE)
    assert boxes.shape == (9, len(classes), 4)
    digits = in_boxes(U, boxes)
    torch.testing.assert_close(digits.sum((1, 2, 3)), U.sum((1, 2, 3)))
    mnist = load_mnist(mnist_dir)
    images, labels = (getattr(mnist, f"{name}_{what}") for what in ("images", "labels"))
    if split == "val":
        images, labels = images[-128:], labels[-128:]
    for place, digit in enumerate(classes):
        far = torch.cdist(digits[:, place].flatten(1), images.flatten(1).float() / 255)
        assert far.amin(dim=1).max() < 1e-2
        assert set(labels[far.argmin(dim=1)].tolist()) == {digit}
        assert len({*far.argmin(dim=1).tolist()}) > 2


def test_places_are_uniform_and_digits_do_not_overlap(mnist_dir: Path) -> None:
    data = module(mnist_dir, classes=[1, 1], size=(83, 40))
    corners = data._corners("test", torch.arange(500))
    apart = (corners[:, 0] - corners[:, 1]).abs().amax(dim=1)
    assert apart.min() >= DIGIT_PX
    alone = module(mnist_dir)._corners("test", torch.arange(3000))[:, 0]
    for axis, num in ((0, SIZE[0] - 27), (1, SIZE[1] - 27)):
        counts = alone[:, axis].bincount(minlength=num).float()
        assert len(counts) == num
        assert (counts - 3000 / num).abs().max() < 6 * (3000 / num) ** 0.5


def test_clutter_is_added_and_leaves_the_digit_where_it_is(mnist_dir: Path) -> None:
    plain, cluttered = module(mnist_dir), module(mnist_dir, num_patches=5, patch_px=9)
    (U, boxes), (V, same) = (data.drawn("test", torch.arange(9)) for data in (plain, cluttered))
    assert torch.equal(boxes, same)
    assert (V - U).min() >= 0
    assert 0 < (V != U).sum(dim=(1, 2, 3)).max() <= 5 * 81
    assert V.max() <= 1
    assert len({image.numpy().tobytes() for image in V - U}) == 9


def test_what_is_trained_on_is_what_is_tested_in_every_epoch(mnist_dir: Path) -> None:
    data = module(mnist_dir, num_patches=4)
    U, _ = data.drawn("test", torch.arange(9))
    order = data.order("train", epoch=1)
    assert len(order) == 36
    for epoch in (0, 5):
        V, labelled = data.drawn("train", order, epoch)
        assert torch.equal(V, U[order % 9])
        assert labelled.digits.shape == (36, 1, 28, 28)
    assert not torch.equal(order, data.order("train", epoch=2))
    assert data.count_images() == {"train": 9, "val": 9, "test": 9, "labelled": 512}


def test_each_seed_has_images_of_its_own(mnist_dir: Path) -> None:
    (first, _), (same, _), (other, _) = (
        module(mnist_dir, seed=seed).drawn("test", torch.arange(9)) for seed in (3, 3, 4)
    )
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_labelled_digits_are_of_the_training_images_and_out_of_the_middle(mnist_dir: Path) -> None:
    mnist = load_mnist(mnist_dir)
    images, labels = mnist.train_images[:512, 0].float() / 255, mnist.train_labels[:512]
    numbers = torch.arange(30)
    _, still = module(mnist_dir).drawn("train", numbers)
    far = torch.cdist(still.digits.flatten(1), images.flatten(1))
    assert far.amin(dim=1).max() < 1e-2
    assert torch.equal(labels[far.argmin(dim=1)], still.classes)
    _, moved = module(mnist_dir, shift_px=3).drawn("train", numbers)
    assert torch.equal(moved.classes, still.classes)
    shifts = set()
    for digit, where in zip(moved.digits[:, 0], still.digits[:, 0], strict=True):
        wide = torch.nn.functional.pad(where, [3] * 4).unfold(0, 28, 1).unfold(1, 28, 1)
        found = ((wide - digit).abs().amax(dim=(2, 3)) == 0).nonzero()
        assert len(found) > 0
        shifts.add(tuple(found[0].tolist()))
    assert len(shifts) > 10
    _, later = module(mnist_dir).drawn("train", numbers, epoch=1)
    assert not torch.equal(later.digits, still.digits)


def test_it_is_a_data_module_for_cells(mnist_dir: Path) -> None:
    data = module(mnist_dir, num_patches=2)
    assert isinstance(data, CellData)
    U, boxes = data.panel_batch(5)  # before `setup`
    assert torch.equal(U, data.drawn("test", torch.arange(5))[0])
    assert boxes.shape == (5, 1, 4)
    assert [len(batch.numbers) for batch in data.train_dataloader()] == [6] * 6
    assert [len(batch.numbers) for batch in data.test_dataloader()] == [6, 3]
    few, _ = data.drawn("val", torch.tensor([7, 2]))
    assert torch.equal(few, data.drawn("val", torch.arange(9))[0][[7, 2]])
    assert len(bytes.fromhex(data.data_sha256())) == 32


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"classes": [10]}, "classes must be some of 0 to 9"),
        ({"classes": []}, "classes must be some of 0 to 9"),
        ({"num_images": 1}, "two at least, not 1"),
        ({"passes": 0}, "passes from 1 up"),
        ({"shift_px": -1}, "shift_px from 0 up"),
        ({"patch_px": 29}, "patch_px in 1..28"),
        ({"size": (27, 84)}, "size"),
        ({"classes": [1, 2], "size": (82, 82)}, "2 digits do not fit side by side"),
    ],
)
def test_what_cannot_be_is_refused(mnist_dir: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        module(mnist_dir, **changes)


def test_a_class_with_too_few_digits_is_named(mnist_dir: Path) -> None:
    with pytest.raises(ValueError, match="class 4 has 15 digits for test, and num_images is 16"):
        module(mnist_dir, classes=[4], num_images=16, num_val=300).setup()
    with pytest.raises(ValueError, match="num_val must be in"):
        module(mnist_dir, num_val=640).setup()
