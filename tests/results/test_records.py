import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from stn.results.checks import printable
from stn.results.records import (
    AT_TOP,
    MAX_CORES,
    NewerRecordError,
    Record,
    RecordError,
    read_record,
    write_record,
)

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
fuzz = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])


def as_json(record: Record) -> dict[str, Any]:
    at_top = {name: record.metrics[name] for name in AT_TOP if name in record.metrics}
    return json.loads(json.dumps({"schema": 2, **record.model_dump(), **at_top}))


def attempt(path: Path) -> tuple[Record | None, str]:
    """Read a record, or return the project's own error; any other error is a failure."""
    try:
        return read_record(path), ""
    except RecordError as error:
        return None, str(error)


def test_round_trip(tmp_path, make_record):
    metrics = {"test_error_percent": 1.25, "val_error_percent": 2, "test_digit_error_percent": 0.5}
    record = make_record(transform=None, metrics=metrics)
    path = tmp_path / "a/b/result.json"
    write_record(path, record)
    assert read_record(path) == record
    assert [file.name for file in path.parent.iterdir()] == ["result.json"]
    content = json.loads(path.read_text())
    assert content == as_json(record)
    assert (content["test_error_percent"], content["val_error_percent"]) == (1.25, 2.0)


def test_another_metric_has_no_place_at_the_top(tmp_path, make_record):
    record = make_record(metrics={"test_accuracy_percent": 82.5})
    write_record(tmp_path / "result.json", record)
    assert not {*AT_TOP} & json.loads((tmp_path / "result.json").read_text()).keys()
    assert read_record(tmp_path / "result.json") == record


@pytest.mark.parametrize("value", [1.3, None, True, "1.25", "missing"])
def test_a_number_that_stands_twice_is_the_same(tmp_path, make_record, value):
    content = as_json(make_record(1.0 if value is True else 1.25)) | {"test_error_percent": value}
    if value == "missing":
        del content["test_error_percent"]
    (tmp_path / "result.json").write_text(json.dumps(content))
    with pytest.raises(RecordError, match=r"result\.json: test_error_percent: .* not what metrics"):
        read_record(tmp_path / "result.json")


@pytest.mark.parametrize("status", ["failed", "diverged"])
def test_run_without_result_has_no_number(make_record, status):
    assert make_record(status=status).metrics == {}
    with pytest.raises(RecordError, match=f"metrics: must be empty in a {status} run"):
        make_record(status=status, metrics={"test_error_percent": 1.0})
    with pytest.raises(RecordError, match="message"):
        make_record(status=status, message=None)


@pytest.mark.parametrize("field", ["num_test", "num_params", "data_sha256"])
def test_finished_run_has_all_numbers(make_record, field):
    with pytest.raises(RecordError, match=f"{field}: must not be null"):
        make_record(**{field: None})


@pytest.mark.parametrize("metrics", [{}, {"val_error_percent": 1.0}])
def test_finished_run_was_tested(make_record, metrics):
    with pytest.raises(RecordError, match="metrics: a finished run must have one of the test set"):
        make_record(metrics=metrics)


def test_a_metric_may_be_what_its_name_allows(make_record):
    assert make_record(metrics={"test_pixels": -3.5}).metrics == {"test_pixels": -3.5}
    with pytest.raises(RecordError, match=r"metrics\.test_iou_percent: -3\.5 is not in \[0, 100\]"):
        make_record(metrics={"test_iou_percent": -3.5})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("metrics", {"test_error_percent": 100.1}),
        ("metrics", {"test_error_percent": -0.1}),
        ("metrics", {"test_error_percent": math.nan}),
        ("metrics", {"test_error_percent": math.inf}),
        ("metrics", {"test_error_percent": "1.2"}),
        ("metrics", {"test_error_percent": True}),
        ("num_test", 0),
        ("num_test", 1e4),
        ("seed", -1),
        ("seed", 2**70),
        ("steps", None),
        ("status", "running"),
        ("metrics", {"error_percent": 1.0}),
        ("metrics", {"test_a b": 1.0}),
        ("metrics", [1.0]),
        ("model", "../up"),
        ("model", "a|b"),
        ("run_id", ""),
        ("run_id", "a/b"),
        ("git_sha", "HEAD"),
        ("git_dirty", 1),
        ("data_sha256", "x" * 64),
        ("command", "two\nlines"),
        ("device", "\ud800"),
        ("config", {"lr": math.nan}),
        ("config", {"a": {"b": object()}}),
        ("config", {1: 2}),
        ("config", {"a": [{2: 3}]}),
        ("config", {"a": (1, 2)}),
        ("config", {"a": "\ud800"}),
        ("config", {"a": 10**5000}),
        ("config", []),
        ("versions", {"torch": 2}),
        ("task", None),
        ("samples", 2140 * 256 - 1),
        ("cpu_s", (MAX_CORES + 1) * 42.0),
        ("started_at", "yesterday"),
        ("started_at", "2015-06-05T12:00:00"),
        ("started_at", "2015-06-05T12:00:00+02:00"),
        ("finished_at", "2015-06-05T11:00:00Z"),
        ("finished_at", "2101-01-01T00:00:00Z"),
        ("started_at", "1970-01-01T00:00:00Z"),
        ("wall_s", -1.0),
    ],
)
def test_bad_field_is_named(make_record, field, value):
    with pytest.raises(RecordError, match=field):
        make_record(**{"run_id": "a-1", field: value})


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"{", "is not JSON"),
        (b"\xff\xfe", "is not JSON"),
        (b"[1]", "is a JSON list"),
        (b"{}", "schema: expected 2, found None"),
        (b'{"schema": 1}', "schema: expected 2, found 1"),
        (b'{"schema": 2.0}', "schema: expected 2, found 2.0"),
        (b'{"schema": 2}', "run_id: is missing"),
        (b'{"schema": NaN}', "schema: expected 2, found nan"),
        (b'{"seed": 1, "seed": 2}', "'seed': is there twice"),
        (b"[" * 100_000, "is not JSON"),
        (b'{"n": ' + b"9" * 5000 + b"}", "is not JSON"),
    ],
)
def test_foreign_file_is_named(tmp_path, content, reason):
    path = tmp_path / "result.json"
    path.write_bytes(content)
    with pytest.raises(RecordError, match=reason) as error:
        read_record(path)
    assert str(path) in str(error.value)


def test_file_that_cannot_be_read(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_record(tmp_path / "none.json")
    (tmp_path / "result.json").mkdir()
    with pytest.raises(RecordError, match=r"result\.json"):
        read_record(tmp_path / "result.json")


def test_unknown_field_is_named(tmp_path, make_record):
    path = tmp_path / "result.json"
    path.write_text(json.dumps(as_json(make_record()) | {"test_eror": 1}))
    with pytest.raises(RecordError, match="'test_eror': there is no such key"):
        read_record(path)


@pytest.mark.parametrize(("key", "value"), [("schema", 3), ("colour", "blue")])
def test_a_record_of_a_newer_version_is_told_from_a_damaged_one(tmp_path, make_record, key, value):
    path = tmp_path / "result.json"
    content = as_json(make_record()) | {key: value}
    path.write_text(json.dumps(content))
    with pytest.raises(NewerRecordError, match=rf"result\.json: .*{key}.*left alone"):
        read_record(path)
    if key != "schema":
        del content["run_id"]
        path.write_text(json.dumps(content))
        with pytest.raises(RecordError, match="run_id: is missing"):
            read_record(path)


@fuzz
@given(cut=st.integers(min_value=0, max_value=3000))
def test_truncated_file_is_never_a_record(tmp_path, make_record, cut):
    path = tmp_path / "result.json"
    whole = json.dumps(as_json(make_record()), indent=2).encode()
    path.write_bytes(whole[: min(cut, len(whole) - 1)])
    with pytest.raises(RecordError, match=r"result\.json"):
        read_record(path)


@fuzz
@given(raw=st.binary(max_size=60))
@example(raw=b'{"a":"\\ud800"}')
@example(raw=b"1e999")
def test_any_bytes_are_refused(tmp_path, raw):
    path = tmp_path / "result.json"
    path.write_bytes(raw)
    with pytest.raises(RecordError, match=r"result\.json"):
        read_record(path)


@fuzz
@given(data=st.data())
def test_any_value_in_any_field_is_refused_or_kept(tmp_path, make_record, data):
    content = as_json(make_record())
    field = data.draw(st.sampled_from(sorted(content)))
    content[field] = data.draw(anything)
    path = tmp_path / "result.json"
    path.write_text(json.dumps(content))
    record, reason = attempt(path)
    if record is None:
        assert str(path) in reason
        assert field in reason or "no number" in reason or "metrics" in (field, reason)
    else:
        if isinstance(content["message"], str):  # whose control characters are made visible
            content["message"] = printable(content["message"])
        assert as_json(record) == content


@fuzz
@given(position=st.integers(0, 2000), byte=st.integers(0, 255))
def test_one_wrong_byte_never_escapes_the_checks(tmp_path, make_record, position, byte):
    path = tmp_path / "result.json"
    raw = bytearray(json.dumps(as_json(make_record()), indent=2).encode())
    raw[position % len(raw)] = byte
    path.write_bytes(raw)
    record, reason = attempt(path)
    assert str(path) in reason or 0 <= record.metrics["test_error_percent"] <= 100


def test_write_hides_home_and_secrets(tmp_path, make_record, monkeypatch):
    monkeypatch.setenv("HOME", "/home/ada")
    record = make_record(command="python -m stn.train data_dir=/home/ada/mnist api_key=abc123")
    write_record(tmp_path / "result.json", record)
    written = read_record(tmp_path / "result.json")
    assert written.command == "python -m stn.train data_dir=~/mnist api_key=<hidden>"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"num_test": 1, "metrics": {"test_error_percent": 33.3}}, "test_error_percent: is no sh"),
        ({"config": {"recipe": {"max_steps": 2141}}}, "steps: a finished run must have"),
        ({"config": {"recipe": {"batch_size": 255}}}, "batch_size: is not what config says"),
        ({"config": {"seed": 7}}, "seed: is not what config says"),
        ({"config": {"task": {"name": "other"}}}, "task: is not what config says"),
        ({"config": {"model": {"name": "fcn"}}}, "model: is not what config says"),
        ({"config": {"model": {"transform": "tps"}}}, "transform: is not what config says"),
        ({"config": {"data": {"name": "mnist_rts"}}}, "data: is not what config says"),
        ({"config": {"recipe": {"name": "paper"}}}, "recipe: is not what config says"),
        ({"num_images": {"test": 100}}, "num_test: is not what num_images says"),
        (
            {
                "metrics": {"test_error_percent": 1.0, "val_error_percent": 33.3},
                "num_images": {"test": 10_000, "val": 5},
            },
            "val_error_percent: is no share",
        ),
        ({"finished_at": "2015-06-05T12:01:00+00:00"}, "finished_at: is later than"),
        ({"step_ms": 25.0}, "step_ms: the steps took longer than wall_s"),
    ],
)
def test_contradictions_are_not_believed(make_record, fields, reason):
    with pytest.raises(RecordError, match=reason):
        make_record(**fields)


@pytest.mark.parametrize(
    "character", ["\x00", "\x1b", "\x7f", "\x9b", "\u200b", "\u202e", "\u2066"]
)
def test_control_characters_never_pass(make_record, character):
    for fields in (
        {"device": f"a{character}b"},
        {"command": f"a{character}b"},
        {"versions": {"python": f"3{character}"}},
        {"config": {"a": [{"b": character}]}},
        {"config": {character: 1}},
    ):
        with pytest.raises(RecordError):
            make_record(**fields)
    message = make_record(status="failed", message=f"one\ntwo {character}[31m").message
    assert message == f"one\ntwo {ascii(character)[1:-1]}[31m"
