import pytest

from benchmarks.targets import TARGETS, Target, Verdict, judge
from benchmarks.timing import Spread

SPEED = Target("speed", ("a", "b", "c"), 150_000, at_least=True)
RATIO = Target("ratio", ("a", "b", "c"), 0.75)


@pytest.mark.parametrize(
    ("target", "measured", "shown", "reached"),
    [
        (RATIO, 0.75, "0.750", True),
        (RATIO, 0.75001, "0.751", False),
        (RATIO, 0.7499, "0.750", True),
        (SPEED, 150_000.0, "150,000", True),
        (SPEED, 149_999.9, "149,999", False),
    ],
)
def test_nothing_is_rounded_towards_its_target(
    target: Target, measured: float, shown: str, reached: bool
) -> None:
    verdict = Verdict(target, measured)
    assert verdict.reached is reached
    assert verdict.cells()[1] == shown
    assert verdict.as_dict()["measured"] == measured


def test_what_was_not_measured_is_neither_reached_nor_missed() -> None:
    verdicts = judge({})
    assert [v.target for v in verdicts] == TARGETS
    assert {v.reached for v in verdicts} == {None}
    assert {v.cells()[1] for v in verdicts} == {"not measured here"}


def test_the_median_is_judged() -> None:
    verdicts = judge({TARGETS[0].place: Spread(0.8, 0.1, 0.9)})
    assert (verdicts[0].measured, verdicts[0].reached) == (0.8, False)


def test_no_two_targets_bound_the_same() -> None:
    assert len({target.place for target in TARGETS}) == len(TARGETS)
