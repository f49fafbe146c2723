import base64
import io
import json
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from stn.callbacks.panels import TOLD
from stn.drawing.panels import STAGES
from stn.drawing.tiles import evenly
from stn.pages.pictures import MAX_FRAMES, encoded, gallery


def decoded(address: str) -> Image.Image:
    kind, _, data = address.partition(",")
    assert kind == "data:image/webp;base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))


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
