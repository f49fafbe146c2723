"""Birds in the official layout of CUB-200-2011, small and made up."""

from pathlib import Path

import numpy as np
from PIL import Image

PARTS = ("back", "beak", "belly")


def write(folder: Path, classes: int = 3, train: int = 6, test: int = 3, seed: int = 0) -> Path:
    """Write lists and images of a few classes; return the folder."""
    random = np.random.default_rng(seed)
    lists: dict[str, list[str]] = {
        name: []
        for name in (
            *("images", "image_class_labels", "train_test_split", "bounding_boxes"),
            "parts/part_locs",
        )
    }
    number = 0
    for label in range(1, classes + 1):
        for i in range(train + test):
            number += 1
            name = f"{label:03}.Bird/Bird_{i}.jpg"
            width, height = int(random.integers(40, 90)), int(random.integers(40, 90))
            path = folder / "images" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = random.integers(0, 255, (height, width, 3), dtype=np.uint8)
            pixels[..., label % 3] = 250
            Image.fromarray(pixels).save(path)
            lists["images"].append(f"{number} {name}")
            lists["image_class_labels"].append(f"{number} {label}")
            lists["train_test_split"].append(f"{number} {int(i < train)}")
            lists["bounding_boxes"].append(f"{number} 5.0 6.0 {width - 10}.0 {height - 12}.0")
            for part in range(1, len(PARTS) + 1):
                x, y, seen = (9.0 + part, 11.0 + part, 1) if (number + part) % 3 else (0.0, 0.0, 0)
                lists["parts/part_locs"].append(f"{number} {part} {x} {y} {seen}")
    (folder / "parts").mkdir()
    for name, lines in lists.items():
        (folder / f"{name}.txt").write_text("\n".join(lines) + "\n")
    parts = "".join(f"{i} {part}\n" for i, part in enumerate(PARTS, 1))
    (folder / "parts/parts.txt").write_text(parts)
    return folder
