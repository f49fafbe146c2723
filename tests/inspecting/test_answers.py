from types import SimpleNamespace

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from stn.inspecting import answers
from stn.inspecting.answers import Answers
from stn.transformers import Affine, ConvLocalisation, SpatialTransformer


def judged(chances: Tensor, labels: Tensor, rival: Tensor | None = None) -> Answers[str]:
    """What is seen of a network that answers with such probabilities; a picture is its caption."""
    heads = [None if p is None else p if p.ndim == 3 else p[:, None] for p in (chances, rival)]
    other = None if heads[1] is None else ("CNN", heads[1])
    assert heads[0] is not None
    return answers._judged(lambda numbers, captions: tuple(captions), labels, heads[0], other)


def test_best_and_worst_images_and_what_is_taken_for_what() -> None:
    labels = torch.tensor([0, 1, 2, 0])
    chances = torch.tensor([[0.9, 0.05, 0.05], [0.7, 0.2, 0.1], [0.1, 0.1, 0.8], [0.1, 0.6, 0.3]])
    baseline = torch.tensor([[0.95, 0.03, 0.02], [0.9, 0.05, 0.05], [0.5, 0.3, 0.2], [0.4, 0.6, 0]])
    found = judged(chances, labels, baseline)
    assert found.improved == (
        "#2 is 2: 80 % sure of it, CNN 20 %",
        "#1 is 1: 20 % sure of it, CNN 5 %",
    )
    assert found.worst[:2] == (
        "#3 is 0: taken for 1, 60 % sure",
        "#1 is 1: taken for 0, 70 % sure",
    )
    assert found.confusion == ((1, 1, 0), (1, 0, 0), (0, 0, 1))
    assert (found.num, found.baseline, found.classes) == (4, "CNN", ("0", "1", "2"))
    assert sorted(found.mistakes) == [("0", "1", 1), ("1", "0", 1)]
    assert judged(chances, labels).improved == ()


def test_a_house_number_is_found_by_all_its_digits_together() -> None:
    labels = torch.tensor([[1, 2, 10], [3, 10, 10]])
    chances = torch.zeros(2, 3, 11).scatter(2, labels[..., None], 1.0)
    chances[0, 1, 2], chances[0, 1, 7] = 0.25, 0.75
    found = judged(chances, labels)
    assert found.worst[0] == "#0 is 12: taken for 17, 75 % sure"
    assert found.mistakes == (("2", "7", 1),)
    assert (found.classes[10], found.confusion[10][10]) == ("none", 3)


def test_of_many_classes_the_mistakes_are_listed() -> None:
    labels = torch.arange(25)
    found = judged(torch.eye(25).roll(1, dims=1), labels)
    assert found.confusion == ()
    assert len(found.mistakes) == 10
    assert all((int(a) + 1) % 25 == int(b) and n == 1 for a, b, n in found.mistakes)


@pytest.mark.parametrize("targets", [(torch.zeros(2),), torch.rand(2), torch.zeros(2, 1, 3).long()])
def test_images_without_classes_are_refused(targets: object) -> None:
    data = SimpleNamespace(
        prepare_data=lambda: None,
        test_dataloader=lambda: [targets],
        on_after_batch_transfer=lambda batch, _: (torch.rand(2, 1, 29, 33), batch),
    )
    with pytest.raises(ValueError, match="pictures are of images that have classes"):
        list(answers.images_and_classes(data))


@pytest.mark.parametrize("num_transformers", [0, 1, 2])
def test_pictures_show_every_transformer_of_the_image(num_transformers: int) -> None:
    def transformer() -> SpatialTransformer:
        return SpatialTransformer(ConvLocalisation((1, 29, 33), Affine()), Affine())

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.parts = nn.ModuleList(transformer() for _ in range(num_transformers))

        def forward(self, U: Tensor) -> Tensor:
            return torch.stack([U, *(part(U) for part in self.parts)]).sum(dim=0)

    def encode(image: Image.Image, caption: str) -> tuple[str, int, int]:
        return caption, *image.size

    data = SimpleNamespace(drawn=lambda split, numbers: (torch.rand(len(numbers), 1, 29, 33), None))
    first, second = answers._drawn(Network(), data, encode, torch.arange(2), ["a", "b"])
    assert first == ("a", *second[1:])
    tile = answers.SIDE_PX + 2 * answers.MARGIN_PX
    num_tiles = 1 + 2 * num_transformers
    gaps = (num_tiles + 1) * answers.GAP_PX
    assert first[2] == (num_tiles * tile + gaps if num_transformers else answers.SIDE_PX)
    assert second[0] == "b"
