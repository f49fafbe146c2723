from benchmarks.report import Row, Section, found, to_markdown
from benchmarks.timing import Spread

SECTIONS = [
    Section(
        "networks",
        "Networks",
        "How it was measured.",
        [
            Row("cnn", "the CNN", {"ms": Spread(41.234, 40.0, 43.0)}),
            Row("fcn", "the FCN", {"ms": Spread(4.0, 3.0, 5.0), "ratio": Spread(0.5, 0.4, 0.6)}),
            Row("big", "a large one", {"ms": Spread(1234.5, 999.9, 150_000.0)}),
        ],
        left_out=["kornia, which is not installed"],
    )
]
CONDITIONS = {"processor": "some processor"}


def test_markdown_has_every_number_and_what_is_missing() -> None:
    page = to_markdown(CONDITIONS, SECTIONS)
    assert "| the CNN | 41.2 (40.0–43.0) |  |" in page
    assert "| the FCN | 4.00 (3.00–5.00) | 0.500 (0.400–0.600) |" in page
    assert "| a large one | 1,234 (1,000–150,000) |  |" in page
    assert "Left out: kornia, which is not installed." in page
    assert "- processor: some processor" in page
    assert page.endswith(".\n")


def test_all_rows_of_a_table_are_equally_wide() -> None:
    for block in to_markdown(CONDITIONS, SECTIONS).split("\n\n"):
        assert len({line.count("|") for line in block.splitlines() if line.startswith("|")}) <= 1


def test_what_was_measured_is_found_by_its_place() -> None:
    assert found(SECTIONS)["networks", "cnn", "ms"] == Spread(41.234, 40.0, 43.0)
    assert len(found(SECTIONS)) == 4
