import csv
import io
import random
import re
from pathlib import Path

import pytest

from stn.results import render
from stn.results.comparison import compare
from stn.results.render import to_csv, to_latex, to_markdown
from tests.results.conftest import CODE

FORMATS = [to_markdown, to_csv, to_latex]
PAPER_NUMBER = re.compile(r"\d+\.\d(?!\d)")


def csv_rows(table) -> dict[tuple[str, str], dict[str, str]]:
    rows = csv.DictReader(io.StringIO(to_csv(table)))
    return {(row["row"], row["column"]): row for row in rows}


@pytest.mark.parametrize("to_text", FORMATS)
def test_twice_and_in_any_order_the_same(spec, table_records, to_text):
    shuffled = random.Random(1).sample(table_records, len(table_records))
    first = to_text(compare(spec, table_records, "quick", CODE))
    assert to_text(compare(spec, shuffled, "quick", CODE)) == first
    assert first.endswith("\n")
    assert "\n\n\n" not in first


def test_empty_table_is_not_filled_from_the_paper(spec):
    table = compare(spec, [], "quick", CODE)
    rows = csv_rows(table)
    assert len(rows) == 48
    assert all(row["mean_percent"] == "" and row["status"] == "missing" for row in rows.values())
    entries = re.findall(r" / ([^|]*) \|", to_markdown(table))
    assert entries == ["*missing*"] * 48
    assert to_latex(table).count(r"\textit{missing}") == 48


def test_numbers_agree_between_formats(spec, table_records):
    table = compare(spec, table_records, "quick", CODE)
    row = csv_rows(table)["st_fcn_affine", "TC"]
    mean, sd = float(row["mean_percent"]), float(row["sd_percent"])
    for text in (to_markdown(table), to_latex(table).replace(r"$\pm$", "±")):
        assert f"{mean:.2f} ± {sd:.2f}" in text
    assert row["paper_percent"] == "2"
    assert float(row["difference_percent"]) == pytest.approx(mean - 2.0)
    assert (row["n"], row["seeds"], row["commits"]) == ("3", "0 1 2", "c0ffee0")
    assert "2.0<sup>a</sup> / " in to_markdown(table)


def test_statistics_agree_between_formats(spec, table_records):
    table = compare(spec, table_records, "quick", CODE)
    row = csv_rows(table)["st_cnn_tps", "R"]
    number = {key: float(value) for key, value in row.items() if re.fullmatch(r"-?[\d.e-]+", value)}
    interval = f"{number['interval_low_percent']:.2f} to {number['interval_high_percent']:.2f}"
    paired = f"{number['baseline_difference_percent']:+.2f} (p = {number['baseline_p']:.2g})"
    ours = f"{number['mean_percent']:.2f} ± {number['sd_percent']:.2f}"
    latex = to_latex(table).replace(r"$\pm$", "±").replace("$-$", "-")
    markdown = to_markdown(table).replace("−", "-")
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
        assert f"{number['difference_percent']:+.2f}" in line


def test_too_few_seeds_are_said_in_every_format(spec, make_record):
    records = [make_record(seed=seed) for seed in (0, 1)]
    records += [make_record(model="st_cnn", transform="tps", seed=seed) for seed in (0, 1)]
    table = compare(spec, records, "quick", CODE)
    row = csv_rows(table)["st_cnn_tps", "R"]
    assert (row["n"], row["baseline_n"], row["interval_low_percent"], row["baseline_p"]) == (
        *("2", "2"),
        *("", ""),
    )
    for text in (to_markdown(table), to_latex(table)):
        *_, line = [x for x in text.splitlines() if "ST-CNN TPS" in x and "n too small" in x]
        assert line.count("n too small") == 2


def test_states_are_told_apart(spec, make_record):
    records = [
        make_record(status="diverged"),
        make_record(data="mnist_rts", status="failed"),
        make_record(data="mnist_p", samples=38_400_000),
        make_record(data="mnist_e", code="dead" * 3),
        make_record(data="mnist_tc", git_dirty=True),
        make_record(data="mnist", overrides=("recipe.lr=1",)),
    ]
    text = to_markdown(compare(spec, records, "quick", CODE))
    (line,) = [line for line in text.splitlines() if line.startswith("| CNN | 1.2 /")]
    assert line == (
        "| CNN | 1.2 / *diverged* | 0.8 / *failed* | 1.5 / 1.25 | 1.4 / 1.25<sup>†‡</sup>"
        " | 3.5 / 1.25<sup>†§</sup> | – / 1.25<sup>†¶</sup> |"
    )
    for legend in ("Short: trained on 1.43 %", "other code than rendered", "not committed"):
        assert legend in text
    assert "loss is nan" in text


def test_legend_only_of_marks_that_occur(spec, make_record):
    text = to_markdown(compare(spec, [make_record(samples=38_400_000)], "quick", CODE))
    assert "Short:" not in text
    assert "other code" not in text


def test_processor_time_is_shown_where_every_run_tells_it(spec, make_record):
    told, untold = make_record(cpu_s=30.0), make_record(seed=1)
    one, two = (compare(spec, records, "quick", CODE) for records in ([told], [told, untold]))
    assert "| 41 s (CPU 30 s) |" in to_markdown(one)
    assert "took 41 s (30 s of processor time) for" in to_markdown(one)
    assert csv_rows(one)["cnn", "R"]["cpu_s"] == "30"
    assert "CPU" not in to_markdown(two)
    assert csv_rows(two)["cnn", "R"]["cpu_s"] == ""


def test_text_of_records_cannot_become_markup(spec, make_record):
    evil = make_record(
        status="failed",
        message="<script> | a\n| b & 50 % \\input{x} $_^~#",
        device="a_b & <c> | `d`",
        command="x `y` | z",
    )
    table = compare(spec, [evil], "quick", CODE)
    markdown, latex = to_markdown(table), to_latex(table)
    assert "\\<script\\> \\| a \\| b" in markdown
    assert "`x 'y' | z`" in markdown
    assert "input{x}" not in latex


def test_markdown_tables_are_rectangular(spec, table_records):
    text = to_markdown(compare(spec, table_records, "quick", CODE))
    for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
        assert len(widths) == 1


def test_latex_is_balanced_and_plain(spec, table_records):
    text = to_latex(compare(spec, table_records, "quick", CODE))
    assert text.isascii()
    body = re.sub(r"\\.", "", text)
    assert body.count("{") == body.count("}")
    assert body.count("$") % 2 == 0
    begins, ends = (re.findall(rf"\\{word}{{(\w+)}}", text) for word in ("begin", "end"))
    assert sorted(begins) == sorted(ends)
    tabular = text[text.index(r"\midrule") : text.index(r"\end{tabular}")]
    for row in tabular.split("\\\\")[:8]:
        assert len(re.findall(r"(?<!\\)&", row)) == 12


def test_templates_hold_no_number_of_the_paper():
    folder = Path(render.__file__).parent / "templates"
    for template in folder.iterdir():
        text = re.sub(r"\d+(\.\d+)?(pt|em)|\.\d?f", "", template.read_text())
        assert not PAPER_NUMBER.findall(text), template.name
