import pytest
import torch
from torch import nn

from stn.tasks.classification import CrossEntropy, ErrorPercent


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
def test_labels_are_smoothed_evenly_over_all_classes(smoothing: float) -> None:
    logits, labels = torch.randn(7, 10, dtype=torch.float64), torch.arange(7)
    wanted = (1 - smoothing) * torch.eye(10, dtype=torch.float64)[labels] + smoothing / 10
    expected = -(wanted * logits.log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(CrossEntropy(smoothing)(nn.Identity(), (logits, labels)), expected)


def test_a_share_is_a_share() -> None:
    with pytest.raises(ValueError, match=r"label_smoothing must lie in \[0, 1\], not 1.5"):
        CrossEntropy(1.5)


def test_five_answers_are_not_one() -> None:
    with pytest.raises(ValueError, match="one label an image"):
        ErrorPercent().update(torch.zeros(4, 5, 11), torch.zeros(4, 5, dtype=torch.int64))
    with pytest.raises(ValueError, match="one label an image"):
        ErrorPercent().update(torch.zeros(4, 11), torch.zeros(20, dtype=torch.int64))


@pytest.mark.parametrize("sizes", [[23], [7, 7, 7, 2], [1] * 23])
def test_the_batches_do_not_matter(sizes: list[int]) -> None:
    random = torch.Generator().manual_seed(0)
    logits = torch.randn(23, 3, generator=random)
    labels = torch.randint(3, (23,), generator=random)
    metric = ErrorPercent()
    for a, b in zip(logits.split(sizes), labels.split(sizes), strict=True):
        metric.update(a, b)
    expected = 100 * (logits.argmax(1) != labels).double().mean().item()
    assert metric.compute().item() == pytest.approx(expected, rel=1e-15)
