"""A file of YAML from elsewhere is read in a moment, or refused in one line, whatever is in it."""

import ast
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

import stn
from stn.files.plain_yaml import MAX_BYTES, MAX_DEPTH, MAX_NODES, read_yaml

ROOT = Path(stn.__file__).parent
OWN = {"data/distorted.py", "demo/build.py"}  # read conf/, which is the package's

BOMB = "a0: &a0 [1, 1]\n" + "\n".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 60)
)


def written(tmp_path: Path, content: str | bytes) -> Path:
    path = tmp_path / "config.yaml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (BOMB, r"repeats a part by \*a0"),
        ("a: &a [*a]", r"repeats a part by \*a"),
        ("base: &b {x: 1}\nother: {<<: *b}", r"repeats a part by \*b"),
        ("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), f"nests deeper than {MAX_DEPTH}"),
        ("[" * 100_000, f"nests deeper than {MAX_DEPTH}"),
        ("- 1\n" * MAX_NODES, f"has more than {MAX_NODES:,} parts"),
        ("a: " + "x" * MAX_BYTES, f"longer than {MAX_BYTES:,} bytes"),
        ("a: " + "9" * 100_000, "4300 digits"),
        ("a: !!python/object/apply:os.abort []", "ConstructorError"),
        ("a: 1\na: 2", "ConstructorError"),
        (b"\xff\x00", "ReaderError"),
    ],
)
def test_what_would_grow_is_refused(tmp_path: Path, content: str | bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as refused:
        read_yaml(written(tmp_path, content))
    assert str(tmp_path / "config.yaml") in str(refused.value)
    assert "\n" not in str(refused.value)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text("ab1.e-: #&*"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab1"), inner, max_size=3),
    max_leaves=12,
)


@settings(deadline=None, max_examples=100)
@given(config=st.dictionaries(st.text("abc", min_size=1), PLAIN, min_size=1, max_size=4))
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, config: Any) -> None:
    path = written(tmp_path_factory.mktemp("written"), OmegaConf.to_yaml(config))
    assert read_yaml(path) == config


@settings(deadline=None, max_examples=200)
@given(content=st.text("ab1[]{}:,&*!<?|>-'\"\n %#$").map(str.encode) | st.binary(max_size=60))
def test_anything_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = written(tmp_path_factory.mktemp("anything"), content)
    with suppress(ValueError):
        read_yaml(path)


def test_nothing_else_reads_yaml() -> None:
    calls = [
        str(path.relative_to(ROOT))
        for path in sorted(ROOT.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.Call)
        and re.search(r"(OmegaConf|yaml)\.\w*load\w*$", ast.unparse(node.func))
    ]
    assert set(calls) == OWN | {"files/plain_yaml.py"}


def test_configurations_of_this_project_are_far_from_the_bounds() -> None:
    files = [*ROOT.parents[1].glob("weights/*/config.yaml")]
    assert files
    for path in files:
        content = path.read_bytes()
        nodes = [e for e in yaml.parse(content, yaml.SafeLoader) if isinstance(e, yaml.NodeEvent)]
        assert len(content) < MAX_BYTES / 10
        assert len(nodes) < MAX_NODES / 10
