import csv
import io
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from stn.results import render
from stn.results.render import to_csv, to_latex, to_markdown, write_reports
from tests.results.conftest import comparison_of

FORMATS = [to_markdown, to_csv, to_latex]
PAPER_NUMBER = re.compile(r"\d+\.\d(?!\d)")


def csv_rows(comparison) -> dict[tuple[str, str], dict[str, str]]:
    rows = csv.DictReader(io.StringIO(to_csv(comparison)))
    return {(row["row"], row["column"]): row for row in rows}


@pytest.mark.parametrize("to_text", FORMATS)
def test_twice_and_in_any_order_the_same(table, table_records, to_text):
    shuffled = random.Random(1).sample(table_records, len(table_records))
    first = to_text(comparison_of(table, table_records))
    assert to_text(comparison_of(table, shuffled)) == first
    assert first.endswith("\n")
    assert "\n\n\n" not in first


def test_empty_table_is_not_filled_from_the_paper(table):
    comparison = comparison_of(table, [])
    rows = csv_rows(comparison)
    assert len(rows) == 48
    assert all(row["mean"] == "" and row["status"] == "missing" for row in rows.values())
    entries = re.findall(r" / ([^|]*) \|", to_markdown(comparison))
    assert entries == ["*missing*"] * 48
    assert to_latex(comparison).count(r"\textit{missing}") == 48


def test_numbers_agree_between_formats(table, table_records):
    comparison = comparison_of(table, table_records)
    row = csv_rows(comparison)["st_fcn_affine", "TC"]
    mean, sd = float(row["mean"]), float(row["sd"])
    for text in (to_markdown(comparison), to_latex(comparison).replace(r"$\pm$", "±")):
        assert f"{mean:.2f} ± {sd:.2f}" in text
    assert row["paper"] == "2"
    assert float(row["difference"]) == pytest.approx(mean - 2.0)
    assert (row["n"], row["seeds"], row["commits"]) == ("3", "0 1 2", "c0ffee0")
    assert "2.0<sup>b</sup> / " in to_markdown(comparison)


def test_statistics_agree_between_formats(table, table_records):
    comparison = comparison_of(table, table_records)
    row = csv_rows(comparison)["st_cnn_tps", "R"]
    number = {key: float(value) for key, value in row.items() if re.fullmatch(r"-?[\d.e-]+", value)}
    interval = f"{number['interval_low']:.2f} to {number['interval_high']:.2f}"
    paired = f"{number['baseline_difference']:+.2f} (p = {number['baseline_p']:.2g})"
    ours = f"{number['mean']:.2f} ± {number['sd']:.2f}"
    latex = to_latex(comparison).replace(r"$\pm$", "±").replace("$-$", "-")
    markdown = to_markdown(comparison).replace("−", "-")
    for text, bar in ((markdown, " | "), (latex, " & ")):
        (line,) = [
            found
            for found in text.splitlines()
            if found.lstrip("| ").startswith("ST-CNN TPS" + bar)
            and interval in found
            and ours in found
        ][:1]
        assert bar.join([ours, "3", interval]) in line
        assert paired in line
        assert f"{number['difference']:+.2f}" in line


def test_too_few_seeds_are_said_in_every_format(table, make_record):
    records = [make_record(seed=seed) for seed in (0, 1)]
    records += [make_record(model="st_cnn", transform="tps", seed=seed) for seed in (0, 1)]
    comparison = comparison_of(table, records)
    row = csv_rows(comparison)["st_cnn_tps", "R"]
    assert (row["n"], row["baseline_n"], row["interval_low"], row["baseline_p"]) == (
        *("2", "2"),
        *("", ""),
    )
    for text in (to_markdown(comparison), to_latex(comparison)):
        *_, line = [x for x in text.splitlines() if "ST-CNN TPS" in x and "n too small" in x]
        assert "(of images)" in line


def test_states_are_told_apart(table, make_record):
    records = [
        make_record(status="diverged"),
        make_record(data="mnist_rts", status="failed"),
        make_record(data="mnist_p", steps=150_000),
        make_record(data="mnist_e", code="dead" * 3),
        make_record(data="mnist_tc", git_dirty=True),
        make_record(data="mnist"),
    ]
    text = to_markdown(comparison_of(table, records))
    (line,) = [line for line in text.splitlines() if line.startswith("| CNN | 1.2 /")]
    assert line == (
        "| CNN | 1.2 / *diverged* | 0.8 / *failed* | 1.5 / 1.25 | 1.4 / 1.25<sup>†‡</sup>"
        " | 3.5 / 1.25<sup>†§</sup> | – / 1.25<sup>†</sup> |"
    )
    for legend in (
        "† trained on 1.43 %",
        "‡ made by other code than",
        "§ made by code with changes",
    ):
        assert legend in text.replace("<sup>", "").replace("</sup>", "")
    assert "All numbers of ours" not in text
    assert "loss is nan" in text


def test_what_all_numbers_have_in_common_is_said_once(table, make_record):
    records = [make_record(code=None), make_record(1.5, model="fcn", git_dirty=True, code=None)]
    comparison = comparison_of(table, records)
    for text in (to_markdown(comparison), to_latex(comparison)):
        said = [line for line in text.splitlines() if "All numbers of ours" in line]
        assert "trained on 1.43" in said[0]
        assert "other code than" in said[-1]
        assert text.count("trained on 1.43") == text.count("other code than") == 1
    assert "2.1 / 1.50<sup>§</sup>" in to_markdown(comparison)
    assert csv_rows(comparison)["fcn", "R"]["marks"] == "short other_code uncommitted"


def test_legend_only_of_marks_that_occur(table, make_record):
    text = to_markdown(comparison_of(table, [make_record(steps=150_000)]))
    assert "trained on" not in text
    assert "other code" not in text


def test_processor_time_is_shown_where_every_run_tells_it(table, make_record):
    told, untold = make_record(cpu_s=30.0), make_record(seed=1)
    one, two = (comparison_of(table, records) for records in ([told], [told, untold]))
    assert "| 41 s (CPU 30 s) |" in to_markdown(one)
    assert "took 41 s (30 s of processor time) for" in to_markdown(one)
    assert csv_rows(one)["cnn", "R"]["cpu_s"] == "30"
    assert "CPU" not in to_markdown(two)
    assert csv_rows(two)["cnn", "R"]["cpu_s"] == ""


def test_text_of_records_cannot_become_markup(table, make_record):
    evil = make_record(
        status="failed",
        message="<script> | a\n| b & 50 % \\input{x} $_^~#",
        device="a_b & <c> | `d`",
        command="x `y` | z",
    )
    comparison = comparison_of(table, [evil])
    markdown, latex = to_markdown(comparison), to_latex(comparison)
    assert "\\<script\\> \\| a \\| b" in markdown
    assert "`x 'y' | z`" in markdown
    assert "input{x}" not in latex


def test_markdown_tables_are_rectangular(table, table_records):
    text = to_markdown(comparison_of(table, table_records))
    for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
        assert len(widths) == 1


def test_latex_is_balanced_and_plain(table, table_records):
    text = to_latex(comparison_of(table, table_records))
    assert text.isascii()
    body = re.sub(r"\\.", "", text)
    assert body.count("{") == body.count("}")
    assert body.count("$") % 2 == 0
    begins, ends = (re.findall(rf"\\{word}{{(\w+)}}", text) for word in ("begin", "end"))
    assert sorted(begins) == sorted(ends)
    tabular = text[text.index(r"\midrule") : text.index(r"\end{tabular}")]
    for row in tabular.split("\\\\")[:8]:
        assert len(re.findall(r"(?<!\\)&", row)) == 12


@pytest.mark.parametrize("to_text", FORMATS)
def test_a_table_without_the_paper(study, make_record, to_text):
    text = to_text(comparison_of(study, [make_record(1.5), make_record(1.7, seed=1)]))
    assert "\n\n\n" not in text
    if to_text is not to_csv:
        assert "1.60" in text
        assert "aper" not in text.replace("papers", "")
        assert "baseline" not in text
    if to_text is to_markdown:
        assert "| CNN | 1.60 ± 0.14 |" in text
        assert "| CNN, slow | *missing* |" in text


def test_a_table_of_accuracy_with_a_row_of_the_paper_alone(birds, make_record):
    st = {"model": "st_cnn", "transform": "translation"}
    records = [make_record(metrics={"test_accuracy_percent": 82.5})]
    records += [make_record(metrics={"test_accuracy_percent": 83.5}, **st)]
    comparison = comparison_of(birds, records)
    markdown, latex = to_markdown(comparison), to_latex(comparison)
    for line in (
        "| Simon 2015 | 81.0 / – |",
        "| CNN | 82.3 / 82.5 |",
        "| 2xST-CNN | 83.1 / **83.5** |",
    ):
        assert line in markdown
    assert "bold the highest of its column" in markdown
    assert "ours: 2 of 2. As good as the paper's, at the digit it prints: 2 of 2." in markdown
    assert re.search(r"\| \+1\.0 \(n too small\) \| better \|", markdown)
    assert "Short" not in markdown
    assert "budget" not in markdown
    assert "trained on" not in markdown
    assert r"\textbf{83.5}" in latex
    rows = csv_rows(comparison)
    assert rows["simon", "224px"]["status"] == "paper only"
    assert rows["st", "224px"]["overrides"] == "data=mnist_r model=st_cnn transform=translation"


def test_the_papers_budget_is_a_sum_over_runs(table, make_record):
    hour_ms = 3_600_000 / 150_000  # of a step of the paper's batch
    fields = {"batch_size": 256, "wall_s": 5 * 3600.0}
    records = [make_record(seed=s, step_ms=hour_ms * h, **fields) for s, h in ((0, 2), (1, 5))]
    text = to_markdown(comparison_of(table, records))
    assert "would take 7 core-hours, the longest 5." in text
    assert "| 2.0–5.0 |" in text


def test_reports_are_called_after_table_and_recipe(table, table_records, tmp_path):
    comparison = comparison_of(table, table_records)
    paths = write_reports(comparison, tmp_path / "reports")
    names = ["table1_quick.md", "table1_quick.csv", "table1_quick.tex"]
    assert [path.name for path in paths] == names
    for path, to_text in zip(paths, FORMATS, strict=True):
        assert path.read_text(encoding="utf-8") == to_text(comparison)
    assert write_reports(comparison_of(table, []), tmp_path / "reports") == []
    assert paths[0].read_text(encoding="utf-8") == to_markdown(comparison)
    assert len(write_reports(comparison_of(table, [], "smoke"), tmp_path / "reports")) == 3
    assert len(list((tmp_path / "reports").iterdir())) == 6


def test_rendering_needs_neither_hydra_nor_matplotlib():
    program = (
        "import sys, stn.results.render, stn.results.collect, stn.sweeping.planning\n"
        "slow = {'hydra', 'torch', 'matplotlib'} & set(sys.modules)\n"
        "sys.exit(f'imported {slow}' if slow else 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_templates_hold_no_number_of_the_paper():
    folder = Path(render.__file__).parent / "templates"
    for template in folder.iterdir():
        text = re.sub(r"\d+(\.\d+)?(pt|em)|\.\d?f", "", template.read_text())
        assert not PAPER_NUMBER.findall(text), template.name


@pytest.mark.parametrize("to_text", [to_markdown, to_latex])
def test_a_last_line_is_the_mean_over_the_rows(birds, make_record, to_text):
    fields = {"metrics": {"test_accuracy_percent": 80.0}}
    records = [make_record(**fields)]
    records.append(
        make_record(
            **fields | {"metrics": {"test_accuracy_percent": 83.5}},
            model="st_cnn",
            transform="translation",
        )
    )
    assert "mean of all" not in to_text(comparison_of(birds, records))
    told = to_text(comparison_of(birds.model_copy(update={"mean": "mean of all"}), records))
    (line,) = (line for line in told.replace("\n&", " &").splitlines() if "mean of all" in line)
    assert "81.8" in line
