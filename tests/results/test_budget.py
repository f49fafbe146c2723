from collections.abc import Callable
from pathlib import Path

import pytest

from stn.results.budget import budget, main, paper_h
from stn.results.records import Record, write_record

MakeRecord = Callable[..., Record]


def test_the_papers_schedule_costs_as_many_images(make_record: MakeRecord) -> None:
    record = make_record(step_ms=25.6, batch_size=256, wall_s=100.0)  # 0.1 ms an image
    shared = make_record(step_ms=51.2, batch_size=256, wall_s=100.0, cpu_s=50.0)
    assert paper_h(shared) == pytest.approx(paper_h(record))
    assert paper_h(record) == pytest.approx(0.1 * 150_000 * 256 / 3_600_000)
    assert paper_h(make_record(step_ms=12.8, batch_size=128)) == pytest.approx(paper_h(record))


def test_costs_are_summed_by_network_and_size(make_record: MakeRecord) -> None:
    small, large = ({"data": {"image_size": [size, size]}} for size in (28, 60))
    records = [
        make_record(config=small, step_ms=10.0, wall_s=100.0, steps=1800),
        make_record(config=small, step_ms=30.0, wall_s=300.0, steps=1800, seed=1),
        make_record(config=large, step_ms=90.0, wall_s=500.0, steps=1800),
        make_record(status="failed", test_error_percent=None, message="no", config=large),
    ]
    text = budget(records)
    assert "| cnn | 28 x 28 | 2 | 20.0 | 0.078 | 200 | 0.8 |" in text
    assert "| cnn | 60 x 60 | 1 | 90.0 | 0.352 | 500 | 3.8 |" in text
    assert "3 cells, 2 seed(s): 0.25 core-hours, of which 26 % are training steps" in text
    assert "0.12 core-hours for each seed" in text
    with pytest.raises(ValueError, match="no finished record"):
        budget([])


@pytest.mark.parametrize("arguments", [[], ["a", "b"]])
def test_the_command_says_how_it_is_used(arguments: list[str]) -> None:
    with pytest.raises(SystemExit, match=r"^usage: python -m stn\.results\.budget FOLDER$"):
        main(arguments)


def test_the_command_names_what_it_cannot_use(
    make_record: MakeRecord, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torn = tmp_path / "torn/result.json"
    torn.parent.mkdir()
    torn.write_text("{")
    with pytest.raises(SystemExit, match=r"no finished record .*; usage: python -m stn\.results"):
        main([str(tmp_path)])
    config = {"data": {"image_size": [28, 28]}}
    write_record(tmp_path / "done/result.json", make_record(config=config))
    main([str(tmp_path)])
    said = capsys.readouterr()
    assert said.err.count(f"cannot use {torn}: is not JSON") == 2
    assert "1 cells, 1 seed(s)" in said.out


@pytest.mark.parametrize(
    "fields",
    [
        {"config": {}},
        {"config": {"data": {"image_size": []}}},
        {"config": {"data": {"image_size": ["28", 28]}}},
        {"wall_s": 0.0},
        {"step_ms": None},
        {"paper_samples": None},
    ],
)
def test_a_record_that_does_not_tell_is_left_out_by_name(
    make_record: MakeRecord, tmp_path: Path, capsys: pytest.CaptureFixture[str], fields: dict
) -> None:
    config = {"data": {"image_size": [28, 28]}}
    write_record(tmp_path / "a/result.json", make_record(config=config))
    silent = make_record(**({"config": config} | fields), seed=1, run_id="cnn-x-s1-0123456789")
    write_record(tmp_path / "b/result.json", silent)
    main([str(tmp_path)])
    said = capsys.readouterr()
    assert "left out: cnn-x-s1-0123456789 does not tell what it cost" in said.err
    assert "1 cells, 1 seed(s)" in said.out
