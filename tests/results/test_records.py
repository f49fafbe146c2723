import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from stn.results.records import Record, RecordError, read_record, run_id, write_record

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
fuzz = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])


def as_json(record: Record) -> dict[str, Any]:
    return json.loads(json.dumps(dataclasses.asdict(record)))


def attempt(path: Path) -> tuple[Record | None, str]:
    """Read a record, or return the project's own error; any other error is a failure."""
    try:
        return read_record(path), ""
    except RecordError as error:
        return None, str(error)


def test_round_trip(tmp_path, make_record):
    record = make_record(transform=None, overrides=("recipe.lr=1",), val_error_percent=1.5)
    path = tmp_path / "a/b/result.json"
    write_record(path, record)
    assert read_record(path) == record
    assert [file.name for file in path.parent.iterdir()] == ["result.json"]


@pytest.mark.parametrize("status", ["failed", "diverged"])
def test_run_without_result_has_no_number(make_record, status):
    assert make_record(status=status).test_error_percent is None
    with pytest.raises(RecordError, match=f"test_error_percent: must be null in a {status} run"):
        make_record(status=status, test_error_percent=1.0, message="loss is nan")
    with pytest.raises(RecordError, match="message"):
        make_record(status=status, message=None)


@pytest.mark.parametrize("field", ["test_error_percent", "num_test", "num_params", "data_sha256"])
def test_finished_run_has_all_numbers(make_record, field):
    with pytest.raises(RecordError, match=f"{field}: must not be null"):
        make_record(**{field: None})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("test_error_percent", 100.1),
        ("test_error_percent", -0.1),
        ("test_error_percent", math.nan),
        ("test_error_percent", math.inf),
        ("test_error_percent", "1.2"),
        ("test_error_percent", True),
        ("num_test", 0),
        ("num_test", 1e4),
        ("seed", -1),
        ("seed", 2**70),
        ("steps", None),
        ("status", "running"),
        ("schema", 2),
        ("schema", True),
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
        ("config", []),
        ("versions", {"torch": 2}),
        ("overrides", "lr=1"),
        ("started_at", "yesterday"),
        ("started_at", "2015-06-05T12:00:00"),
        ("started_at", "2015-06-05T12:00:00+02:00"),
        ("finished_at", "2015-06-05T11:00:00Z"),
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
        (b"{}", "is missing"),
        (b'{"a": NaN}', "NaN"),
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
    with pytest.raises(RecordError, match="'test_eror': is not a field"):
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
        assert field in reason or "no number" in reason
    else:
        assert as_json(record) == content


@fuzz
@given(position=st.integers(0, 2000), byte=st.integers(0, 255))
def test_one_wrong_byte_never_escapes_the_checks(tmp_path, make_record, position, byte):
    path = tmp_path / "result.json"
    raw = bytearray(json.dumps(as_json(make_record()), indent=2).encode())
    raw[position % len(raw)] = byte
    path.write_bytes(raw)
    record, reason = attempt(path)
    assert str(path) in reason or 0 <= record.test_error_percent <= 100


def test_write_hides_home_and_secrets(tmp_path, make_record, monkeypatch):
    monkeypatch.setenv("HOME", "/home/ada")
    record = make_record(command="python -m stn.train data_dir=/home/ada/mnist api_key=abc123")
    write_record(tmp_path / "result.json", record)
    written = read_record(tmp_path / "result.json")
    assert written.command == "python -m stn.train data_dir=~/mnist api_key=<hidden>"


def test_run_id_depends_on_content_only():
    one = run_id(["cnn", "mnist_r", "s0"], {"a": 1, "b": {"lr": 0.001, "x": [1, 2]}})
    same = run_id(["cnn", "mnist_r", "s0"], {"b": {"x": (1.0, 2), "lr": 1e-3}, "a": 1.0})
    other = run_id(["cnn", "mnist_r", "s0"], {"a": 1, "b": {"lr": 0.002, "x": [1, 2]}})
    assert one == same != other
    assert one.startswith("cnn-mnist_r-s0-")
    assert len(one.rsplit("-", 1)[1]) == 10


def test_run_id_is_stable():
    # hashlib.sha256(b'{"seed":0}').hexdigest()[:10]
    assert run_id(["a b/c"], {"seed": 0}) == "a_b_c-bd04888434"


@pytest.mark.parametrize("value", [math.nan, object(), Path("x")])
def test_run_id_refuses_what_json_cannot_say(value):
    with pytest.raises(ValueError, match="plain JSON"):
        run_id(["a"], {"value": value})
