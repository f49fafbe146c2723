"""Image files that may be damaged, or another kind than their names say."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from stn.files.regular import regular
from stn.files.verified import DataError

MAX_PIXELS = 2**24  # of an image; the largest of the official ones of SVHN has a quarter of it


@contextmanager
def opened(path: Path, kind: str) -> Iterator[Image.Image]:
    """Open an image of one kind, such as PNG.

    Raises:
        DataError: it cannot be read, is of another kind or has more pixels than any should; or the
            block has found something wrong with it and raised a ValueError. Names the file.
    """
    try:
        with Image.open(regular(path), formats=[kind]) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ValueError(f"{image.width} x {image.height} pixels are more than any has")
            yield image
    except UnidentifiedImageError as error:
        raise DataError(f"{path} is no {kind}, but {_kind(path)}") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise DataError(f"{path} is damaged: {error}") from error


def _kind(path: Path) -> str:
    """Say what an image file is instead."""
    try:
        with Image.open(regular(path)) as image:
            return f"{image.format}: convert it"
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return "no image that can be read"
