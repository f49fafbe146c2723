"""Pictures as data addresses, and those that a run left of its training."""

import base64
import io
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from stn.callbacks.panels import read_panel
from stn.drawing.panels import aligned
from stn.drawing.tiles import evenly

MAX_FRAMES = 6  # of a gallery
QUALITY = 60  # of what is smaller so than without loss, such as photographs


@dataclass(frozen=True)
class Picture:
    """An image of the page: its address, which holds it, its size, and what it shows."""

    address: str
    width: int
    height: int
    caption: str


def encoded(image: Image.Image, caption: str) -> Picture:
    """Turn an image into WebP in an address, without loss where that is no larger."""
    found = []
    for settings in ({"lossless": True}, {"quality": QUALITY}):
        file = io.BytesIO()
        image.save(file, "WEBP", **settings)
        found.append(file.getvalue())
    text = base64.b64encode(min(found, key=len)).decode()
    return Picture(f"data:image/webp;base64,{text}", *image.size, caption)


def frames(panels: Path) -> list[Path]:
    """Return which pictures of the same images through training are shown, evenly chosen."""
    return evenly(sorted(panels.glob("step_*.png")), MAX_FRAMES)


def gallery(panels: Path) -> list[Picture]:
    """Return the pictures of the same images through training."""
    paths = frames(panels)
    pictures = aligned([read_panel(path)[:2] for path in paths]) if paths else []
    return [
        encoded(picture, f"step {int(path.stem[5:]):,}")
        for path, picture in zip(paths, pictures, strict=True)
    ]
