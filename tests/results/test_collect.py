import json
import shutil

from stn.results.collect import collect, export
from stn.results.records import write_record


def test_runs_of_any_depth_in_one_order(tmp_path, make_record):
    records = [make_record(seed=seed) for seed in (2, 0, 1)]
    for depth, record in enumerate(records):
        write_record(tmp_path / "sub" / ("x" * depth) / record.run_id / "result.json", record)
    found = collect(tmp_path)
    assert [record.seed for record in found.records] == [0, 1, 2]
    assert not found.problems


def test_no_folder_no_records(tmp_path):
    assert collect(tmp_path / "none").records == ()


def test_exported_records_are_a_source(tmp_path, make_record):
    records = [make_record(seed=0), make_record(seed=1), make_record(seed=2, status="failed")]
    paths = export(records, tmp_path / "results")
    assert [path.stem for path in paths] == [record.run_id for record in records[:2]]
    assert collect(tmp_path / "results").records == tuple(records[:2])
    assert collect(tmp_path).records == tuple(records[:2])


def test_what_cannot_be_read_is_named(tmp_path, make_record):
    write_record(tmp_path / make_record().run_id / "result.json", make_record())
    for name, content in (("empty", ""), ("cut", '{"schema": 1, "run'), ("foreign", '{"a": 1}')):
        (tmp_path / name).mkdir()
        (tmp_path / name / "result.json").write_text(content)
    (tmp_path / "folder/result.json").mkdir(parents=True)
    found = collect(tmp_path)
    assert len(found.records) == 1
    assert {p.parent.name for p in found.problems} == {"empty", "cut", "foreign", "folder"}
    assert all(str(tmp_path) not in why for why in found.problems.values())


def test_record_under_a_wrong_name_is_named(tmp_path, make_record):
    write_record(tmp_path / "cnn-other-0000000000.json", make_record())
    found = collect(tmp_path)
    assert not found.records
    assert "another run" in found.problems[tmp_path / "cnn-other-0000000000.json"]


def test_copies_count_once_and_contradictions_are_named(tmp_path, make_record):
    record = make_record()
    a, b, c = (tmp_path / name / record.run_id for name in "abc")
    write_record(a / "result.json", record)
    shutil.copytree(a, b)
    assert collect(tmp_path).problems == {}
    write_record(c / "result.json", make_record(9.0))
    found = collect(tmp_path)
    assert found.records == (record,)
    assert "the same run" in found.problems[c / "result.json"]


def test_copies_that_were_measured_further_are_one_with_all_metrics(tmp_path, make_record):
    error, more = {"test_error_percent": 1.25}, {"test_fooled_percent": 7.0}
    copies = [error, error | more, error | {"test_turn_deg": 3.0}]
    for name, metrics in zip("abc", copies, strict=True):
        record = make_record(metrics=metrics)
        write_record(tmp_path / name / f"{record.run_id}.json", record)
    found = collect(tmp_path)
    assert found.problems == {}
    assert [record.metrics for record in found.records] == [copies[2] | more]
    write_record(
        tmp_path / f"d/{record.run_id}.json", make_record(metrics=error | {"test_turn_deg": 4.0})
    )
    assert list(collect(tmp_path).problems) == [tmp_path / f"d/{record.run_id}.json"]


def test_a_record_in_the_folder_of_another_run_is_named_and_not_counted(tmp_path, make_record):
    path = tmp_path / make_record(seed=1).run_id / "result.json"
    write_record(path, make_record(seed=0))
    found = collect(tmp_path)
    assert not found.records
    assert "another run" in found.problems[path]


def test_other_files_of_a_run_are_left_alone(tmp_path, make_record):
    run = tmp_path / make_record().run_id
    write_record(run / "result.json", make_record())
    (run / "progress.json").write_text(json.dumps({"step": 1}))
    (run / "wandb").mkdir()
    (run / "wandb/result.json").write_text("{}")
    (run / ".result.json.1.part").write_text("{")
    assert collect(tmp_path).problems == {}
