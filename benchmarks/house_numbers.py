"""House numbers (Table 2): what transformers add to the CNN, and how quickly crops are drawn."""

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks import configured
from benchmarks.loading import rate
from benchmarks.report import Row, Section
from benchmarks.timing import interleave, ratio, spread, timed
from stn.data.pool import Split
from stn.data.svhn import SvhnDataModule

BATCH_SIZE = 32
NUM_DRAWN = 512
MODELS = ("svhn_cnn", "svhn_st_cnn_single", "svhn_st_cnn_multi")
DATA = ("svhn", "svhn128")
NOTE = """\
Forward and backward of the networks of Table 2 at 54 px on a batch of {batch_size}; random crops of
what is kept, as float32 without their mean, a batch at a time. Times in ms."""


class RandomNumbers(SvhnDataModule):
    """Crops of noise in place of SVHN."""

    def load(self) -> tuple[Mapping[str, Split], str]:
        """Make the pools."""
        random, side = torch.Generator().manual_seed(0), self.cut.size
        pool = torch.randint(256, (NUM_DRAWN, 3, side, side), generator=random, dtype=torch.uint8)
        digits = torch.randint(11, (NUM_DRAWN, 5), generator=random)
        return dict.fromkeys(("train", "val", "test"), Split(pool, digits)), ""


def measure(rounds: int, batch_size: int = BATCH_SIZE, width: float = 1.0) -> Section:
    """Measure networks and loader."""
    measures = {model: timed(_pass(model, batch_size, width)) for model in MODELS}
    times = interleave(measures, rounds)
    rows = []
    for model, seconds in times.items():
        values = {"ms": spread(seconds).times(1000), "/ CNN": ratio(times, model, "svhn_cnn")}
        rows.append(Row(model, f"{model}, width {width:g}", values))
    noise = "benchmarks.house_numbers.RandomNumbers"
    chosen = "model=svhn_cnn", f"recipe.batch_size={batch_size}"
    rows += [rate(data, noise, rounds, *chosen) for data in DATA]
    return Section("house_numbers", "House numbers", NOTE.format(batch_size=batch_size), rows)


def _pass(model: str, batch_size: int, width: float) -> Callable[[], Tensor]:
    """Make a function that goes forward and backward once."""
    described = configured.cell(f"model={model}", "data=svhn", f"model.network.width={width}")
    network, U = configured.network(described), configured.images(described, batch_size)
    random = torch.Generator().manual_seed(0)
    digits = torch.randint(11, (batch_size, 5), generator=random)

    def forward_and_backward() -> Tensor:
        network.zero_grad()
        loss = F.cross_entropy(network(U).transpose(1, 2), digits)
        loss.backward()
        return loss

    return forward_and_backward
