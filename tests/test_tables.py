"""What commands share of tables: all of them, in the order in which they are shown."""

from pathlib import Path

from hydra import initialize_config_dir

from stn.tables import tables_of

CONF = Path(__file__).parents[1] / "conf"


def test_all_tables_are_there_the_papers_first_and_studies_last() -> None:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        pages = [table.page for table in tables_of(None)]
        chosen = [table.page for table in tables_of(["grid", "table1"])]
    files = {group: {p.stem for p in (CONF / group).glob("*.yaml")} for group in ("table", "study")}
    assert sorted(pages) == sorted(files["table"] | {f"study_{name}" for name in files["study"]})
    is_later = [not page.startswith("table") for page in pages]
    assert (pages[0], is_later) == ("table1", sorted(is_later))
    assert [page.startswith("study_") for page in pages] == sorted(p[:6] == "study_" for p in pages)
    assert chosen == ["study_grid", "table1"]
