from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn
from torchvision.ops import box_iou

from stn.data.colocalisation import Labelled
from stn.models.colocalisation import Colocaliser, Crops
from stn.running.cell import run_cell
from stn.running.preparing import Cell
from stn.running.restoring import evaluate
from stn.tasks.colocalisation import (
    AllLocalisedPercent,
    LocalisedPercent,
    OverlapPercent,
    TripletLoss,
    overlap,
    triplets,
)


def test_the_hinge_is_the_sum_over_pairs() -> None:
    torch.manual_seed(0)
    codes, unlike = torch.randn(2, 7, 5, dtype=torch.float64)
    terms = []
    for n in range(7):
        for m in range(7):
            near = ((codes[n] - codes[m]) ** 2).sum()
            far = ((codes[n] - unlike[n]) ** 2).sum()
            terms += [max(0.0, float(near - far + 1.5))] if n != m else []
    mean, costs = triplets(codes, unlike, 1.5)
    assert mean.item() == pytest.approx(sum(terms) / 42)
    assert costs.mean().item() == pytest.approx(mean.item())
    assert 0 < sum(term == 0 for term in terms) < 42


def test_the_pull_changes_the_gradient_alone() -> None:
    torch.manual_seed(0)
    unlike = torch.randn(7, 5, dtype=torch.float64)
    values, gradients = [], []
    for pull in (0.0, 0.25, 1.0):
        torch.manual_seed(1)
        codes = torch.randn(7, 5, dtype=torch.float64, requires_grad=True)
        value, _ = triplets(codes, unlike, 1.5, pull)
        value.backward()
        values.append(value.item())
        gradients.append(codes.grad)
    assert values == pytest.approx([values[0]] * 3)
    torch.testing.assert_close(gradients[1], 0.75 * gradients[0] + 0.25 * gradients[2])
    assert not torch.allclose(gradients[0], gradients[2])


def test_overlaps_are_those_of_torchvision() -> None:
    torch.manual_seed(0)
    starts, sides = torch.rand(2, 40, 5, 2)
    boxes = torch.cat([starts - 1, starts - 1 + sides], dim=2)
    found = overlap(boxes[:, :3], boxes[:, 3:])
    for i in range(40):
        torch.testing.assert_close(found[i], box_iou(boxes[i, :3], boxes[i, 3:]))
    assert (found == 0).any()
    assert (found > 0.3).any()


def crops(*boxes: list[list[float]]) -> Crops:
    return Crops(torch.zeros(()), torch.tensor(boxes))


LEFT, RIGHT, NEAR_LEFT = [-1.0, -1, 0, 0], [0.0, 0, 1, 1], [-1.0, -0.9, 0, 0.1]
HALF = [-1.0, -1, 1, 0]  # has exactly half of the union with LEFT


def test_what_is_counted_as_localised() -> None:
    both = torch.tensor([[LEFT, RIGHT]] * 4)
    given = crops([LEFT, RIGHT], [LEFT, NEAR_LEFT], [RIGHT, NEAR_LEFT], [HALF, HALF])
    digits, images, overlaps = LocalisedPercent(), AllLocalisedPercent(), OverlapPercent()
    for metric in (digits, images, overlaps):
        metric.update(given, both)
    assert digits.compute() == 100 * 5 / 8
    assert images.compute() == 100 * 2 / 4
    near = 0.9 / 1.1
    assert overlaps.compute().item() == pytest.approx(
        100 * (2 + 1 + (near + 1) + 0.5) / 8, abs=0.01
    )


class Still(nn.Module):
    """A network whose codes are given, and whose crops are of no matter."""

    encoder_learns = False

    def __init__(self, codes: torch.Tensor, random: torch.Tensor) -> None:
        super().__init__()
        self.codes, self.random, self.step = codes, random, torch.tensor(0)
        self.likelihoods = torch.rand(codes.shape[1], len(codes), requires_grad=True)

    @property
    def done(self) -> float:
        return 1.0

    def explore(self, U: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.arange(len(self.codes)).expand(len(U), -1), self.likelihoods

    def random_crops(self, U: torch.Tensor) -> torch.Tensor:
        return torch.full((len(U),), -1)

    def measure(self, digits: torch.Tensor) -> None:
        pass

    def encode(self, V: torch.Tensor) -> torch.Tensor:
        return self.random if V[0] < 0 else self.codes[V[0]]


def test_each_transformer_has_its_loss_and_may_keep_away_from_the_others() -> None:
    torch.manual_seed(0)
    first, second, random = torch.randn(3, 6, 5)
    still: Colocaliser = Still(torch.stack([first, second]), random)  # type: ignore[assignment]
    batch = torch.zeros(6, 1, 9, 9), Labelled(torch.zeros(0), torch.zeros(0))
    alone = (triplets(first, random, 1)[0] + triplets(second, random, 1)[0]) / 2
    torch.testing.assert_close(TripletLoss()(still, batch), alone)
    apart = (triplets(first, second, 1)[0] + triplets(second, first, 1)[0]) / 2
    torch.testing.assert_close(TripletLoss(apart=True)(still, batch), (alone + apart) / 2)
    assert still.step == 2  # type: ignore[attr-defined]
    # By the score function, a place becomes more likely where its image costs less than the mean.
    TripletLoss(score=2.0)(still, batch).backward()
    costs = torch.stack([triplets(code, random, 1)[1] for code in (first, second)], dim=1)
    wanted = 2.0 * (costs - costs.mean(dim=0)) / 12
    torch.testing.assert_close(still.likelihoods.grad, wanted)


def test_the_encoder_learns_by_labelled_digits_alone() -> None:
    torch.manual_seed(0)
    network = Colocaliser((1, 40, 40), 28, 5, encoder_width=3)
    labelled = Labelled(torch.rand(8, 1, 28, 28), torch.arange(8))
    TripletLoss()(network, (torch.rand(4, 1, 40, 40), labelled)).backward()
    gradients = [p.grad.clone() for p in network.encoder.parameters()]
    assert network.transformers[0].localisation.regression.bias.grad.abs().max() > 0
    network.zero_grad()
    nn.functional.cross_entropy(network.encoder(labelled.digits), labelled.classes).backward()
    for ours, wanted in zip(gradients, network.encoder.parameters(), strict=True):
        torch.testing.assert_close(ours, wanted.grad)


def test_one_image_and_shares_out_of_order_are_refused() -> None:
    network = Colocaliser((1, 40, 40), 28, 5, encoder_width=3)
    with pytest.raises(ValueError, match="two at least, not 1"):
        TripletLoss()(network, (torch.rand(1, 1, 40, 40), Labelled(torch.rand(0), torch.rand(0))))
    for wrong in ({"pulling": (0.7, 0.3)}, {"score": -1.0}):
        with pytest.raises(ValueError, match="two shares in order, and score not negative"):
            TripletLoss(**wrong)


SMALL = ("data.module.num_images=8", "recipe.batch_size=8", "recipe.max_steps=20")
COLOCALISE = ("model=colocaliser", "data=colocalisation_tc", *SMALL)


def test_a_cell_with_the_encoder_of_another(
    make_cell: Callable[..., Cell], tmp_path: Path, mnist_dir: Path
) -> None:
    encoder = make_cell("model=cnn", "data=mnist", "recipe.max_steps=2")
    with pytest.raises(ValueError, match="is not a finished run"):
        run_cell(make_cell(*COLOCALISE, f"model.network.encoder_run={encoder.run_id}"))
    run_cell(encoder)
    cell = make_cell(*COLOCALISE, f"model.network.encoder_run={encoder.run_id}")
    assert cell.run_id != make_cell(*COLOCALISE).run_id
    record = run_cell(cell)
    assert (record.status, record.num_test, record.steps) == ("finished", 8, 20)
    assert {f"test_{name}" for name in cell.config["task"]["evaluators"]} < record.metrics.keys()
    for now, then in evaluate(cell.folder, mnist_dir).values():
        assert now == then
    assert len([*cell.folder.glob("panels/*.png")]) > 1
