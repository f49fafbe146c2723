import json
from pathlib import Path

from benchmarks.report import Row, Section, found, to_json, to_markdown, write
from benchmarks.targets import judge
from benchmarks.timing import Spread

SECTIONS = [
    Section(
        "networks",
        "Networks",
        "How it was measured.",
        [
            Row("cnn", "the CNN", {"ms": Spread(41.234, 40.0, 43.0)}),
            Row("fcn", "the FCN", {"ms": Spread(4.0, 3.0, 5.0), "ratio": Spread(0.5, 0.4, 0.6)}),
        ],
        left_out=["kornia, which is not installed"],
    )
]
CONDITIONS = {"processor": "some processor"}


def test_markdown_has_every_number_and_what_is_missing() -> None:
    page = to_markdown(CONDITIONS, SECTIONS, judge(found(SECTIONS)))
    assert "| the CNN | 41.2 (40.0–43.0) |  |" in page
    assert "| the FCN | 4.00 (3.00–5.00) | 0.500 (0.400–0.600) |" in page
    assert "Left out: kornia, which is not installed." in page
    assert "- processor: some processor" in page
    assert page.endswith(".\n")


def test_all_rows_of_a_table_are_equally_wide() -> None:
    page = to_markdown(CONDITIONS, SECTIONS, judge(found(SECTIONS)))
    for block in page.split("\n\n"):
        assert len({line.count("|") for line in block.splitlines() if line.startswith("|")}) <= 1


def test_json_is_found_again_at_full_precision() -> None:
    content = json.loads(to_json(CONDITIONS, SECTIONS, judge(found(SECTIONS))))
    ms = content["sections"]["networks"]["rows"]["cnn"]["values"]["ms"]
    assert Spread(**ms) == found(SECTIONS)["networks", "cnn", "ms"] == Spread(41.234, 40.0, 43.0)
    assert content["sections"]["networks"]["left_out"] == ["kornia, which is not installed"]


def test_files_are_written_into_a_new_folder(tmp_path: Path) -> None:
    write(tmp_path / "new/reports", {"a.md": "text"})
    assert (tmp_path / "new/reports/a.md").read_text() == "text"
