from pathlib import Path

import pytest
from matplotlib.figure import Figure

from stn.files.figures import write_figure


def test_a_figure_is_written_twice_with_the_same_bytes_and_tells_no_date(tmp_path: Path) -> None:
    contents = []
    for folder in ("one", "two"):
        figure = Figure(figsize=(2, 1), dpi=50)
        figure.subplots().plot([0, 1], [3, 2])
        paths = write_figure(figure, tmp_path / folder / "a.figure")
        assert [path.name for path in paths] == ["a.figure.png", "a.figure.svg"]
        contents.append([path.read_bytes() for path in paths])
    assert contents[0] == contents[1]
    assert contents[0][0].startswith(b"\x89PNG")
    assert b"<dc:date>" not in contents[0][1]


def test_a_folder_that_is_a_link_to_where_nothing_is_is_named(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    with pytest.raises(ValueError, match=r"link is a link to .*gone, where nothing is"):
        write_figure(Figure(), tmp_path / "link" / "below" / "figure")
    assert not (tmp_path / "gone").exists()
