from pathlib import Path

import pytest

from benchmarks import sizes


def test_cases_have_every_side_and_no_more_numbers_than_asked() -> None:
    cases = list(sizes.cases(10_000_000))
    assert {case.side for case in cases} == set(sizes.SIDES)
    assert max(c.batch * c.channels * c.side * (c.side + 1) for c in cases) <= 10_000_000
    assert len(set(cases)) == len(cases)


def test_a_summary_names_the_worst_of_what_takes_as_long() -> None:
    short, long, worse = (sizes.Case(1, 8, side, "half") for side in (2, 60, 225))
    found = [
        sizes.Found(short, "layer", "forward", 10, 3.0),
        sizes.Found(long, "layer", "forward", 2000, 0.8),
        sizes.Found(worse, "layer", "forward", 5000, 1.2),
    ]
    assert sizes.summary(found).splitlines()[2:] == [
        "| layer | forward | < 1 ms | 1 | 3.00 | 3.00 | 1x8x2x3 to half | 20 |",
        "| layer | forward | 1 to 10 ms | 2 | 1.00 | 1.20 | 1x8x225x226 to half | 1000 |",
    ]


def test_the_command_writes_numbers_and_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sizes, "SIDES", (2, 8))
    sizes.main(["--rounds", "1", "--most-floats", "100", "--out", str(tmp_path)])
    header, *lines = (tmp_path / "sizes.csv").read_text().splitlines()
    assert header.startswith("batch,channels,side_px,output")
    assert len(lines) == 6 * len(list(sizes.cases(100)))
    assert all(float(line.split(",")[-1]) > 0 for line in lines)
    for name in ("sizes_layer.png", "sizes_sampler.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
