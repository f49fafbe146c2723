import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from stn.tasks.house_numbers import (
    DigitErrorPercent,
    HouseNumberCrossEntropy,
    LengthErrorPercent,
    NumberErrorPercent,
)

numbers = st.lists(st.integers(0, 9), min_size=1, max_size=5)


def heads(*written: list[int]) -> Tensor:
    return torch.tensor([[*number, *[10] * (5 - len(number))] for number in written])


def says(digits: Tensor) -> Tensor:
    """Logits of a network that reads these digits."""
    return 3 * F.one_hot(digits, 11).float()


def measured(metric, read: Tensor, digits: Tensor) -> float:
    metric.update(says(read), digits)
    return float(metric.compute())


@given(pairs=st.lists(st.tuples(numbers, numbers), min_size=1, max_size=8))
def test_a_number_is_right_as_a_whole_or_wrong(pairs) -> None:
    read, digits = (heads(*side) for side in zip(*pairs, strict=True))
    wrong = [a != b for a, b in pairs]
    assert measured(NumberErrorPercent(), read, digits) == pytest.approx(
        100 * sum(wrong) / len(wrong)
    )
    lengths = [len(a) != len(b) for a, b in pairs]
    found = measured(LengthErrorPercent(), read, digits)
    assert found == pytest.approx(100 * sum(lengths) / len(lengths))
    places = [i >= len(a) or a[i] != b[i] for a, b in pairs for i in range(len(b))]
    found = measured(DigitErrorPercent(), read, digits)
    assert found == pytest.approx(100 * sum(places) / len(places))


def test_one_wrong_number_of_four_is_a_quarter_and_not_a_twentieth() -> None:
    digits = heads([1], [2, 3], [4, 5, 6], [7, 8, 9, 0, 1])
    read = digits.clone()
    read[3, 2] = 5
    assert measured(NumberErrorPercent(), read, digits) == 25
    assert measured(LengthErrorPercent(), read, digits) == 0
    assert measured(DigitErrorPercent(), read, digits) == pytest.approx(100 / 11)


def test_a_number_without_a_digit_and_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="has no digit"):
        measured(NumberErrorPercent(), heads([1]), heads([]))
    with pytest.raises(ValueError, match=r"\(1, 5, 11\) and \(1, 4\)"):
        NumberErrorPercent().update(says(heads([1])), heads([1])[:, :4])


def test_the_loss_is_the_sum_over_heads_and_the_mean_over_images() -> None:
    logits, digits = torch.randn(3, 5, 11), heads([1], [2, 3], [4, 5, 6, 7, 8])
    wanted = sum(F.cross_entropy(logits[:, head], digits[:, head]) for head in range(5))
    found = HouseNumberCrossEntropy()(lambda U: logits, (torch.zeros(3), digits))
    torch.testing.assert_close(found, wanted)
