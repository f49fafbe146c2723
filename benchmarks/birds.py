"""Birds (Table 3): how quickly crops are drawn."""

from collections.abc import Mapping

import torch

from benchmarks.loading import rate
from benchmarks.report import Section
from stn.data.cub import NUM_CLASSES, CubDataModule
from stn.data.pool import Split

BATCH_SIZE = 32
NUM_DRAWN = 64
DATA = ("cub", "cub448")
NOTE = """\
Random crops and flips of what is kept, as float32, in batches of {batch_size}, of the paper's
sizes."""


class RandomBirds(CubDataModule):
    """Images of noise in place of birds."""

    def load(self) -> tuple[Mapping[str, Split], str]:
        """Make the pools."""
        random, side = torch.Generator().manual_seed(0), self.side
        pool = torch.randint(256, (NUM_DRAWN, 3, side, side), generator=random, dtype=torch.uint8)
        labels = torch.randint(NUM_CLASSES, (NUM_DRAWN,), generator=random)
        return dict.fromkeys(("train", "val", "test"), Split(pool, labels)), ""


def measure(rounds: int, batch_size: int = BATCH_SIZE) -> Section:
    """Measure the loader."""
    noise = "benchmarks.birds.RandomBirds"
    chosen = "model=cub_cnn", "recipe=paper", f"recipe.batch_size={batch_size}"
    rows = [rate(data, noise, rounds, *chosen) for data in DATA]
    return Section("birds", "Birds", NOTE.format(batch_size=batch_size), rows)
