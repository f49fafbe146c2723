import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor, nn

from stn.callbacks.panels import TOLD
from stn.drawing.panels import STAGES
from stn.pages import pictures
from stn.pages.pictures import MAX_FRAMES, Images, encoded, evenly, gallery
from stn.transformers import Affine, ConvLocalisation, SpatialTransformer


def decoded(address: str) -> Image.Image:
    kind, _, data = address.partition(",")
    assert kind == "data:image/webp;base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))


def images(chances: Tensor, labels: Tensor, rival: Tensor | None = None) -> Images:
    """What is seen of a network that answers with such probabilities; images are plain."""
    heads = [None if p is None else p if p.ndim == 3 else p[:, None] for p in (chances, rival)]
    other = None if heads[1] is None else ("CNN", heads[1])

    def drawn(numbers: Tensor) -> list[Image.Image]:
        return [Image.new("RGB", (3, 2))] * len(numbers)

    assert heads[0] is not None
    return pictures._images(drawn, labels, heads[0], other)


def test_drawings_are_kept_exactly_and_a_picture_knows_its_size() -> None:
    drawing = Image.new("RGB", (40, 31), (255, 255, 255))
    drawing.paste((200, 30, 90), (5, 6, 17, 20))
    picture = encoded(drawing, "words")
    assert (picture.width, picture.height, picture.caption) == (40, 31, "words")
    assert np.array_equal(np.asarray(decoded(picture.address).convert("RGB")), np.asarray(drawing))


def test_of_many_pictures_some_are_shown_in_order_the_first_and_the_last_among_them(
    tmp_path: Path,
) -> None:
    steps = [0, 7, 30, 200, 999, 1500, 20_000, 123_456]
    for step in steps:
        info = PngInfo()
        box = (0, 0, 30 + step % 7, 30)  # how much is seen differs from step to step
        told = {"image": 0, "transformer": 1, "boxes": dict.fromkeys(STAGES, box)}
        info.add_text(TOLD, json.dumps({"rows": [told]}))
        Image.new("RGB", (40, 30)).save(tmp_path / f"step_{step:06d}.png", pnginfo=info)
    shown = gallery(tmp_path)
    assert len({(picture.width, picture.height) for picture in shown}) == 1
    captions = [picture.caption for picture in shown]
    assert len(captions) == MAX_FRAMES
    assert (captions[0], captions[-1]) == ("step 0", "step 123,456")
    assert captions == [f"step {step:,}" for step in steps if f"step {step:,}" in captions]
    assert gallery(tmp_path / "nothing") == []
    assert (evenly("abc", 0), evenly("abc", 1), evenly("abc", 5)) == ([], ["a"], [*"abc"])


def test_best_and_worst_images_and_what_is_taken_for_what() -> None:
    labels = torch.tensor([0, 1, 2, 0])
    chances = torch.tensor([[0.9, 0.05, 0.05], [0.7, 0.2, 0.1], [0.1, 0.1, 0.8], [0.1, 0.6, 0.3]])
    baseline = torch.tensor([[0.95, 0.03, 0.02], [0.9, 0.05, 0.05], [0.5, 0.3, 0.2], [0.4, 0.6, 0]])
    found = images(chances, labels, baseline)
    assert [picture.caption for picture in found.improved] == [
        "#2 is 2: 80 % sure of it, CNN 20 %",
        "#1 is 1: 20 % sure of it, CNN 5 %",
    ]
    assert [picture.caption for picture in found.worst][:2] == [
        "#3 is 0: taken for 1, 60 % sure",
        "#1 is 1: taken for 0, 70 % sure",
    ]
    assert found.confusion == ((1, 1, 0), (1, 0, 0), (0, 0, 1))
    assert (found.num, found.baseline, found.classes) == (4, "CNN", ("0", "1", "2"))
    assert sorted(found.mistakes) == [("0", "1", 1), ("1", "0", 1)]
    assert images(chances, labels).improved == ()


def test_a_house_number_is_found_by_all_its_digits_together() -> None:
    labels = torch.tensor([[1, 2, 10], [3, 10, 10]])
    chances = torch.zeros(2, 3, 11).scatter(2, labels[..., None], 1.0)
    chances[0, 1, 2], chances[0, 1, 7] = 0.25, 0.75
    found = images(chances, labels)
    assert found.worst[0].caption == "#0 is 12: taken for 17, 75 % sure"
    assert found.mistakes == (("2", "7", 1),)
    assert (found.classes[10], found.confusion[10][10]) == ("none", 3)


def test_of_many_classes_the_mistakes_are_listed() -> None:
    labels = torch.arange(25)
    found = images(torch.eye(25).roll(1, dims=1), labels)
    assert found.confusion == ()
    assert len(found.mistakes) == 10
    assert all((int(a) + 1) % 25 == int(b) and n == 1 for a, b, n in found.mistakes)


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

    (first, second) = pictures._drawn(Network(), torch.rand(2, 1, 29, 33))
    assert first.size == second.size
    tile = pictures.SIDE_PX + 2 * pictures.MARGIN_PX
    num_tiles = 1 + 2 * num_transformers
    gaps = (num_tiles + 1) * pictures.GAP_PX
    assert first.height == (num_tiles * tile + gaps if num_transformers else pictures.SIDE_PX)
