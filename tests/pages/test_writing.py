import re
from pathlib import Path

import pytest

from stn.pages import writing
from tests.pages.conftest import Write, spoil


def test_the_page_is_one_file_that_asks_for_nothing(page: Path) -> None:
    text = page.read_text()
    addresses = re.findall(r'(?:src|href|data|action)="([^"]*)"', text)
    assert addresses
    assert all(address.startswith(("data:image/webp;base64,", "#")) for address in addresses)
    assert "http" not in text.replace("http-equiv", "").replace("Content-Security-Policy", "")
    assert len(text) < writing.MAX_BYTES


def test_numbers_of_paper_and_ours_stand_side_by_side(page: Path) -> None:
    text = page.read_text()
    rows = re.findall(r"<tr>\s*<td data-value=.*?</tr>", text, re.DOTALL)
    cells = [re.sub(r"<[^>]+>", "", row).split() for row in rows]
    assert [row[0] for row in cells] == ["R", "R", "P", "P"]
    assert "1.2" in cells[0]
    assert cells[2][3:] == ["99.5", "–", "–", "missing"]
    assert text.count("<dialog") == 2
    assert "Digits &lt;i&gt;at an angle&lt;/i&gt;" in text


def test_a_table_that_is_not_the_papers_has_no_column_of_its_numbers(
    write: Write, trained: Path
) -> None:
    page = write(trained / "runs", tables="[ours]").read_text()
    heads = re.findall(r'<th scope="col"[^>]*><button>([^<]+)', page)
    assert heads == ["Column", "Network", "Ours ± sd (n)", "Status"]
    assert page.count("<dialog") == 2
    assert "<dt>Paper" not in page


def test_without_records_the_page_says_so(write: Write, tmp_path: Path) -> None:
    page = write(tmp_path / "nothing").read_text()
    assert "There is no record of a table's cell in" in page
    assert "No run yet" in page
    assert "<dialog" not in page


def test_a_damaged_record_is_named_and_all_others_are_shown(
    write: Write, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (path,) = runs.glob("cnn-*/result.json")
    path.write_bytes(path.read_bytes()[:100])
    page = write(runs).read_text()
    assert "Records that cannot be used" in page
    assert re.search(rf"{path.parent.name}/result.json</code>: is not JSON", page)
    assert page.count("<dialog") == 1
    assert f"cannot use {path}: is not JSON" in capsys.readouterr().out


def test_what_records_say_is_text(write: Write, runs: Path) -> None:
    spoil(runs)
    page = write(runs).read_text()
    assert page.count("<script") == 1
    assert "<img src=x" not in page
    assert page.count("&lt;img src=x onerror=hacked=") > 10


def test_a_page_that_became_too_large_has_fewer_pictures(
    write: Write, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = write(trained / "runs").read_text()
    monkeypatch.setattr(writing, "MAX_BYTES", len(whole) - 1)
    smaller = write(trained / "runs").read_text()
    assert 1 <= smaller.count("data-step=") < whole.count("data-step=")


def test_local_runs_count_before_committed_ones(write: Write, runs: Path, tmp_path: Path) -> None:
    (path,) = runs.glob("cnn-*/result.json")
    committed = tmp_path / f"committed/{path.parent.name}.json"
    committed.parent.mkdir()
    committed.write_text(path.read_text().replace('"python -m stn.train"', '"committed"'))
    assert "committed</pre>" in write(committed.parent, runs).read_text()
    # And the same records give the same page.
    assert write(runs, committed.parent).read_bytes() == write(runs).read_bytes()


@pytest.mark.parametrize(
    ("chosen", "said"),
    [({"tables": "[nothing]"}, "nothing"), ({"recipes": "[nothing]"}, "nothing")],
)
def test_a_table_or_recipe_that_there_is_not_is_named(
    write: Write, trained: Path, chosen: dict[str, str], said: str
) -> None:
    with pytest.raises(SystemExit, match=said):
        write(trained / "runs", **chosen)
