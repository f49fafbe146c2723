"""Are the weights of a backbone what they are said to be? A linear classifier on its vectors tells.

    python -m benchmarks.probe mobilenet_v2 efficientnet_lite0 efficientnet_lite2

The backbone stays as it is and sees the middle seven eighths (by side) of each bird of `data/cub`,
in the size that its weights were trained for (224 of 256 px, 260 of 297), or in that of `--size`.
The classifier is fitted to the training images that are not held out, with the penalty that serves
the held-out ones best; the accuracy on the test images is printed.
"""

import argparse
import os
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from stn.data.cub import CubDataModule
from stn.models.backbones import Backbone

BATCH_SIZE = 50
SEEN = 7 / 8  # of an image's side
PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1)


def main() -> None:
    """Probe the backbones that are named."""
    parser = argparse.ArgumentParser(description="Linear probes of backbones on birds.")
    parser.add_argument("backbones", nargs="+")
    parser.add_argument("--size", type=int, help="of what is seen, in px (default: its weights')")
    data_dir = Path(os.environ.get("STN_DATA_DIR", "data"))
    told = parser.parse_args()
    for name in told.backbones:
        backbone = Backbone(name, pretrained=True, data_dir=data_dir).eval()
        size = told.size or backbone.size
        share = probe(backbone, size, data_dir)
        print(f"{name}: {share:.1f} % of the test images at {size} px", flush=True)


def probe(backbone: Backbone, size: int, data_dir: Path) -> float:
    """Return the accuracy of a linear classifier on what a backbone makes of birds, in percent."""
    side = round(size / SEEN)
    data = CubDataModule(side, size, 0.1, BATCH_SIZE, seed=0, data_seed=0, data_dir=data_dir)
    data.prepare_data()
    data.setup()
    parts = {split: _vectors(backbone, data, split) for split in ("train", "val", "test")}
    sd, mean = torch.std_mean(parts["train"][0], dim=0)
    parts = {split: ((x - mean) / (sd + 1e-6), y) for split, (x, y) in parts.items()}
    fits = [fit(*parts["train"], penalty) for penalty in PENALTIES]
    best = max(fits, key=lambda weights: accuracy(weights, *parts["val"]))
    return accuracy(best, *parts["test"])


@torch.no_grad()
def _vectors(backbone: Backbone, data: CubDataModule, split: str) -> tuple[Tensor, Tensor]:
    """Return the vectors (N, C) of the images of a split as they are tested, and their classes."""
    pool, labels = data._splits[split]
    numbers = torch.arange(len(labels)).split(BATCH_SIZE)
    return torch.cat([backbone(data.draw("test", pool, n, 0)) for n in numbers]), labels


def fit(x: Tensor, y: Tensor, penalty: float) -> Tensor:
    """Return weights (classes, C) of least cross entropy and squares."""
    weights = torch.zeros(int(y.max()) + 1, x.shape[1], requires_grad=True)
    search = torch.optim.LBFGS([weights], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        search.zero_grad()
        found = F.cross_entropy(x @ weights.T, y) + penalty * weights.square().sum()
        found.backward()
        return found

    search.step(loss)
    return weights.detach()


def accuracy(weights: Tensor, x: Tensor, y: Tensor) -> float:
    """Return the share of vectors that weights give to their class, in percent."""
    return 100 * ((x @ weights.T).argmax(dim=1) == y).float().mean().item()


if __name__ == "__main__":
    main()
