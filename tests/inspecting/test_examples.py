import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from stn.inspecting.examples import (
    MAX_CLASSES,
    Networks,
    Rivals,
    choose,
    classify,
    draw_alignment,
    draw_examples,
    find_rivals,
)
from stn.results.comparison import Comparison
from stn.results.table import parse_table
from stn.transformers import ConvLocalisation, SpatialTransformer, Translation
from tests.results.conftest import BIRDS, ROOT, comparison_of, synthetic_record

Run = tuple[str, str | None, int]
BIRDS_TABLE = parse_table("birds", BIRDS)
TABLE1 = yaml.safe_load((ROOT / "conf/table/table1.yaml").read_text())


def birds(*runs: Run, **fields: object) -> Comparison:
    records = [
        synthetic_record(
            **{"metrics": {"test_accuracy_percent": 80.0}} | fields, model=m, transform=t, seed=s
        )
        for m, t, s in runs
    ]
    return comparison_of(BIRDS_TABLE, records)


@given(
    labels=st.lists(st.integers(0, 3), max_size=30),
    num=st.integers(0, 6),
    rows=st.integers(1, 3),
    seed=st.integers(0, 99),
)
def test_chosen_are_right_shared_first_and_spread_over_classes(
    labels: list[int], num: int, rows: int, seed: int
) -> None:
    classes = torch.tensor(labels, dtype=torch.int64)
    right = torch.rand(rows, len(labels), generator=torch.Generator().manual_seed(seed)) < 0.6
    chosen = choose(classes, right, num)
    shared = right.all(dim=0)
    for own, digits in zip(right, chosen, strict=True):
        assert own[digits].all()
        assert len(digits) == len(set(digits.tolist())) == min(num, int(own.sum()))
        is_shared = shared[digits].tolist()
        assert is_shared == sorted(is_shared, reverse=True)
        first = digits[: min(len(set(classes[shared].tolist())), num)]
        assert len(set(classes[first].tolist())) == len(first)
    if shared.sum() >= num:
        assert all(torch.equal(digits, chosen[0]) for digits in chosen)


def test_digits_come_in_the_order_of_the_test_set() -> None:
    labels = torch.tensor([5, 5, 1, 5, 1, 2])
    (chosen,) = choose(labels, torch.tensor([[True, True, True, True, True, False]]), 4)
    assert chosen.tolist() == [0, 2, 1, 4]


@pytest.mark.parametrize("num", [0, 1, 501])
def test_classify_takes_any_number_of_images(num: int) -> None:
    U = torch.rand(num, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    numbers = torch.randperm(num)
    found = classify(nn.Flatten(), U.__getitem__, numbers)
    assert torch.equal(found, U.flatten(1).argmax(dim=1)[numbers])


CNN, ST = ("cnn", None), ("st_cnn", "translation")


def test_rivals_have_one_seed_the_one_that_most_have() -> None:
    table = parse_table("table1", TABLE1)
    runs: list[Run] = [("cnn", None, s) for s in (0, 1, 2)]
    runs += [("st_cnn", "affine", 0), ("st_cnn", "affine", 1), ("st_cnn", "tps", 1)]
    records = [synthetic_record(model=m, transform=t, seed=s) for m, t, s in runs]
    rivals = find_rivals(comparison_of(table, records), table.columns[0], "cnn")
    assert rivals is not None
    assert (rivals.baseline[0].key, rivals.baseline[1].seed) == ("cnn", 1)
    assert [(row.key, r.seed) for row, r in rivals.others] == [
        ("st_cnn_affine", 1),
        ("st_cnn_tps", 1),
    ]


@pytest.mark.parametrize("runs", [[], [(*CNN, 0)], [(*ST, 0)], [(*CNN, 0), (*ST, 1)]])
def test_no_rivals_without_both_sides_of_one_seed(runs: list[Run]) -> None:
    assert find_rivals(birds(*runs), BIRDS_TABLE.columns[0], "cnn") is None


def test_a_failed_run_is_no_rival() -> None:
    comparison = birds((*CNN, 0), (*ST, 0), status="failed", metrics={}, num_test=None)
    assert find_rivals(comparison, BIRDS_TABLE.columns[0], "cnn") is None


class Constant(nn.Module):
    """Answers with one class, whatever it sees."""

    def __init__(self, answer: int, num_classes: int) -> None:
        super().__init__()
        self.logits = nn.functional.one_hot(torch.tensor(answer), num_classes).float()

    def forward(self, U: Tensor) -> Tensor:
        return self.logits.expand(len(U), -1)


class Parallel(Constant):
    """Two transformers that see the image and one that sees what the first made of it."""

    def __init__(self, answer: int, num_classes: int, channels: int, size: tuple[int, int]) -> None:
        super().__init__(answer, num_classes)
        small = size[0] - 4, size[1] - 4
        self.first, self.second = (
            SpatialTransformer(
                ConvLocalisation((channels, *size), Translation()), Translation(), small
            )
            for _ in range(2)
        )
        self.after = SpatialTransformer(
            ConvLocalisation((channels, *small), Translation()), Translation()
        )

    def forward(self, U: Tensor) -> Tensor:
        self.after(self.first(U)), self.second(U)
        return super().forward(U)


def rivals_of(num: int = 1) -> Rivals:
    found = find_rivals(birds((*CNN, 0), (*ST, 0)), BIRDS_TABLE.columns[0], "cnn")
    assert found is not None
    return Rivals(found.column, found.metric, found.baseline, found.others * num)


@pytest.mark.parametrize(("channels", "num_classes"), [(1, 2), (3, 3), (2, 30)])
def test_every_transformer_that_sees_the_image_has_a_row(channels: int, num_classes: int) -> None:
    size = 37, 35
    random = torch.Generator().manual_seed(0)
    U = torch.rand(2 * num_classes, channels, *size, generator=random)
    labels = torch.arange(2 * num_classes) % num_classes
    one = Parallel(1, num_classes, channels, size)
    networks = Networks(Constant(0, num_classes), (one,), U.__getitem__, labels)
    sheet = draw_examples(rivals_of(), networks, "Birds", 2)
    assert sheet is not None
    blind = Networks(networks.baseline, (Constant(1, num_classes),), U.__getitem__, labels)
    assert draw_examples(rivals_of(), blind, "Birds", 2) is None
    both = Networks(networks.baseline, (one, one.eval()), U.__getitem__, labels)
    taller = draw_examples(rivals_of(2), both, "Birds", 2)
    assert taller is not None
    alone, heads = sheet.height, 2 * sheet.height - taller.height
    assert alone - heads == taller.height - sheet.height > 0  # two rows each
    alignment = draw_alignment(rivals_of(), networks, "Birds")
    assert alignment is not None
    assert alignment.height == 24 + int(3.8 * 32) + 3 * (112 + 12) + 24  # the input's row and two
    assert draw_alignment(rivals_of(), blind, "Birds") is None
    assert min(num_classes, MAX_CLASSES) * (112 + 12) <= alignment.width


def test_no_image_is_right_where_the_baseline_is_wrong() -> None:
    U, labels = torch.rand(4, 1, 37, 35), torch.zeros(4, dtype=torch.int64)
    networks = Networks(Constant(0, 2), (Parallel(1, 2, 1, (37, 35)),), U.__getitem__, labels)
    assert draw_examples(rivals_of(), networks, "Birds", 2) is None
