"""Co-localisation: crops of different images alike, and unlike the rest of them (Appendix A.2)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics import MeanMetric

from stn.data.colocalisation import Labelled
from stn.models.colocalisation import Colocaliser, Crops
from stn.tasks.classification import AccuracyPercent

RIGHT = 0.5  # of the union, that crop and digit have in common


class TripletLoss:
    """Crops of two images are to be nearer to each other than each to a random patch of its image.

    The mean over pairs n, m of max(0, |e(I_n^T) - e(I_m^T)|^2 - |e(I_n^T) - e(I_n^rand)|^2 + 1), of
    each transformer on its own; no label is looked at. An encoder that learns along has its cross
    entropy on labelled digits added, which is all that it learns by.

    Args:
        margin: 1 in the paper.
        pulling: shares of training before which the gradient of the first distance is left out, and
            after which it is whole; the paper's is always whole, where crops of nothing draw the
            others to themselves (`docs/deviations.md`).
        score: weight of the score function, by which the places of crops follow their jitter to
            where the loss is less. Not of the paper, as it is 0 there.
        apart: the crop of another transformer is to be as far as a random patch, too. Not of the
            paper.

    Raises:
        ValueError: pulling is not two shares in order, or score is negative; or a batch has no two
            images.
    """

    def __init__(
        self,
        margin: float = 1.0,
        pulling: Sequence[float] = (0.3, 0.7),
        score: float = 0.0,
        apart: bool = False,
    ) -> None:
        if not 0 <= pulling[0] < pulling[1] <= 1 or score < 0:
            raise ValueError(
                "pulling must be two shares in order, and score not negative, not"
                f" {(*pulling,)} and {score}"
            )
        self.margin, self.pulling, self.score = margin, (pulling[0], pulling[1]), score
        self.apart = apart

    def __call__(self, network: Colocaliser, batch: tuple[Tensor, Labelled]) -> Tensor:
        """Return the loss of images U (B, C, H, W), and of labelled digits."""
        U, labelled = batch
        if len(U) < 2:
            raise ValueError(f"co-localisation compares images: two at least, not {len(U)}")
        network.step += 1
        network.measure(labelled.digits)
        begin, end = self.pulling
        pull = min(1.0, max(0.0, (network.done - begin) / (end - begin)))
        crops, likelihoods = network.explore(U)
        codes = [network.encode(V) for V in crops.unbind(1)]
        with torch.no_grad():
            random = network.encode(network.random_crops(U))
        losses = []
        for i, code in enumerate(codes):
            others = codes[:i] + codes[i + 1 :] if self.apart else []
            for unlike in (random, *others):
                loss, costs = triplets(code, unlike, self.margin, pull)
                better = costs.mean() - costs
                losses.append(loss - self.score * (better * likelihoods[:, i]).mean())
        loss = torch.stack(losses).mean()
        if network.encoder_learns:
            loss = loss + F.cross_entropy(network.encoder(labelled.digits), labelled.classes)
        return loss


def triplets(
    codes: Tensor, unlike: Tensor, margin: float, pull: float = 1.0
) -> tuple[Tensor, Tensor]:
    """Return the mean hinge over all pairs of codes (B, F), each beside its own `unlike` (B, F).

    `pull` scales the gradient of the distance between the two codes, and not the distance.

    Returns:
        The mean, and what each image costs (B,), without a gradient: the mean hinge of its pairs,
        with `pull` times the distance.
    """
    squares = codes.pow(2).sum(dim=1)
    distance = (squares[:, None] + squares - 2 * codes @ codes.T).clamp(min=0)
    near = pull * distance + (1 - pull) * distance.detach()
    far = (codes - unlike).pow(2).sum(dim=1, keepdim=True)
    hinge, num = F.relu(near - far + margin), len(codes) - 1
    with torch.no_grad():
        cost = F.relu(pull * distance - far + margin)
        costs = (cost.sum(dim=1) - cost.diagonal()) / num
    return (hinge.sum() - hinge.diagonal().sum()) / (len(codes) * num), costs


def overlap(crops: Tensor, boxes: Tensor) -> Tensor:
    """Return intersection over union of crops (B, T, 4) and boxes (B, K, 4): (B, T, K)."""
    a, b = crops[:, :, None], boxes[:, None]
    sides = torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])
    common = sides.clamp(min=0).prod(dim=-1)
    areas = [(box[..., 2:] - box[..., :2]).prod(dim=-1) for box in (a, b)]
    return common / (areas[0] + areas[1] - common)


class LocalisedPercent(AccuracyPercent):
    """Share of the digits that some crop overlaps by more than half of their union, in percent."""

    def update(self, crops: Crops, boxes: Tensor) -> None:  # type: ignore[override]
        """Count the digits of a batch, boxes (B, K, 4), that no crop has found."""
        self.count(overlap(crops.boxes, boxes).amax(dim=1) <= RIGHT)


class AllLocalisedPercent(AccuracyPercent):
    """Share of the images all of whose digits are localised, in percent."""

    def update(self, crops: Crops, boxes: Tensor) -> None:  # type: ignore[override]
        """Count the images of a batch with a digit that no crop has found."""
        self.count((overlap(crops.boxes, boxes).amax(dim=1) <= RIGHT).any(dim=1))


class OverlapPercent(MeanMetric):
    """Mean intersection over union of digits and the crops that are nearest to them, in percent."""

    def update(self, crops: Crops, boxes: Tensor) -> None:  # type: ignore[override]
        """Take in the digits of a batch."""
        super().update(100 * overlap(crops.boxes, boxes).amax(dim=1))
