import pytest
from hypothesis import given
from hypothesis import strategies as st

from stn.tasks.schedules import WarmupCosine


@given(st.integers(2, 5000), st.floats(0, 0.99))
def test_rises_to_one_then_falls_to_zero(total: int, share: float) -> None:
    factor = WarmupCosine(total, share)
    factors = [factor(step) for step in range(total + 1)]
    peak = factor.warmup_steps - 1
    assert factors[peak] == pytest.approx(1)
    assert all(0 < f <= 1 for f in factors[:peak])
    assert factors[: peak + 1] == sorted(factors[: peak + 1])
    assert factors[peak:] == sorted(factors[peak:], reverse=True)
    assert factors[total] == pytest.approx(0, abs=1e-12) or factor.warmup_steps >= total


@pytest.mark.parametrize(("total", "share"), [(0, 0.1), (10, 1.0), (10, -0.1)])
def test_bad_arguments_are_refused(total: int, share: float) -> None:
    with pytest.raises(ValueError, match="must"):
        WarmupCosine(total, share)
