import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from stn.data.svhn_strokes import take_apart
from tests.svhn_files import FONTS, INK, plate


@pytest.mark.parametrize("digits", ["8", "27", "1965"])
def test_a_number_is_parted_from_what_is_behind_it(digits: str) -> None:
    image, entry, wall = plate(digits)
    background, found = take_apart(image, entry)
    kept = np.asarray(background.pixels, float)
    left, top, right, bottom = background.box
    inside = (slice(int(top), int(bottom)), slice(int(left), int(right)))
    x, y = (entry.boxes[:, :2].min(axis=0) - [left, top]).astype(int)  # what was cut off
    behind = wall[y : y + kept.shape[0], x : x + kept.shape[1]]
    assert np.abs(kept - behind)[inside].mean() < 6  # ink is 140 away
    assert np.abs(background.ink - INK).max() < 15
    assert [label for label, _ in found] == [*map(int, digits)]
    font = ImageFont.truetype(f"{FONTS}/DejaVuSans-Bold.ttf", 30)
    for label, strokes in found:
        mask = Image.new("L", strokes.shape[::-1])
        x0, y0, _, _ = font.getbbox(str(label))
        ImageDraw.Draw(mask).text((-x0, -y0), str(label), fill=255, font=font)
        assert np.abs(strokes - np.asarray(mask) / 255.0).mean() < 0.12
