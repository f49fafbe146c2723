"""What marks a record as of other code, on a copy of the package that a test may change."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf

from stn.results import code
from stn.results.code import code_id, made_by_this_code

Id = Callable[..., str]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the package that the hash is made of; nothing is remembered of it."""
    copy = tmp_path / "stn"
    shutil.copytree(code.SOURCE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(code, "SOURCE", copy)
    forget()
    yield copy
    forget()


def forget() -> None:
    code._hash.cache_clear()
    code._definition.cache_clear()
    code._read.cache_clear()


@pytest.fixture
def id_of(compose_train: Callable[..., DictConfig]) -> Id:
    def hash_now(*overrides: str) -> str:
        forget()
        config: Any = OmegaConf.to_container(compose_train(*overrides), resolve=True)
        return code_id(config)

    return hash_now


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) >= 1, (path, old)
    path.write_text(text.replace(old, new))


def test_new_files_classes_comments_and_format_are_no_other_code(package: Path, id_of: Id) -> None:
    before = id_of("model=st_cnn", "transform=tps")
    (package / "models/svhn.py").write_text("class SvhnCnn: ...\n")
    (package / "data/svhn.py").write_text("x = 1 / 0\n")
    transforms = package / "transformers/transforms.py"
    transforms.write_text(transforms.read_text() + "\n\nclass Ninth(_AffineFamily):\n    y = 1\n")
    change(package / "transformers/samplers.py", "def sample(", "# a comment\ndef  sample(")
    change(package / "results/statistics.py", "MIN_SEEDS = 3", "MIN_SEEDS = 4")
    change(package / "callbacks/panels.py", "BINS = 32", "BINS = 33")
    task = package / "tasks/task.py"
    task.write_text(task.read_text().replace('"""Return the loss of a batch."""', '"""Loss."""'))
    assert id_of("model=st_cnn", "transform=tps") == before


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("transformers/grids.py", "HORIZON = 1e-3", "HORIZON = 1e-2"),  # a constant
        ("data/distortions.py", "DIGIT_PX = 28", "DIGIT_PX = 27"),
        ("tasks/task.py", "if not torch.isfinite(loss)", "if torch.isnan(loss)"),  # a method
        ("running/preparing.py", "num_sanity_val_steps=1", "num_sanity_val_steps=2"),
        ("data/randomness.py", "_LAST_SHIFT = 31", "_LAST_SHIFT = 30"),  # of a helper's helper
        ("tasks/schedules.py", "0.5 * (1", "0.49 * (1"),  # named in the configuration alone
    ],
)
def test_what_is_reached_is_other_code(
    package: Path, id_of: Id, file: str, old: str, new: str
) -> None:
    overrides = ("model=st_fcn", "transform=projective", "data=mnist_p")
    before = id_of(*overrides)
    change(package / file, old, new)
    assert id_of(*overrides) != before


def test_what_errors_say_and_what_is_shown_afterwards_is_no_other_code(
    package: Path, id_of: Id
) -> None:
    overrides = ("model=svhn_st_cnn_multi", "data=svhn", "transform=affine")
    before = id_of(*overrides)
    change(package / "data/image_files.py", "pixels are more than any has", "pixels are too many")
    change(
        package / "data/pool.py",
        "def count_images(self) -> dict[str, int]:",
        "def count_images(self):",
    )
    for file, place in (
        ("running/unwanted_warnings.py", '".*LeafSpec"'),
        ("data/svhn.py", "housenumbers"),
    ):
        change(package / file, place, place.upper())
    assert id_of(*overrides) == before
    change(package / "data/image_files.py", "MAX_PIXELS = 2**24", "MAX_PIXELS = 2**23")
    assert id_of(*overrides) != before


def test_only_those_that_reach_it_are_of_other_code(package: Path, id_of: Id) -> None:
    affine, spline = (("model=st_fcn", f"transform={name}") for name in ("affine", "tps"))
    before = id_of(*affine), id_of(*spline)
    change(package / "transformers/transforms.py", "least=2)", "least=3)")
    assert id_of(*affine) == before[0]
    assert id_of(*spline) != before[1]


def test_a_new_version_alone_is_no_other_code(package: Path, id_of: Id) -> None:
    before = id_of("model=st_fcn", "transform=affine")
    change(package / "__init__.py", "__version__ = ", "__version__ = '9' + ")
    assert id_of("model=st_fcn", "transform=affine") == before


def test_what_a_module_does_when_it_is_imported_counts(package: Path, id_of: Id) -> None:
    before = id_of("model=fcn")
    path = package / "data/distortions.py"
    path.write_text(path.read_text() + "\ntorch.set_default_dtype(torch.float64)\n")
    assert id_of("model=fcn") != before


def test_a_change_that_was_shown_to_change_no_result_marks_nothing(
    package: Path, monkeypatch: pytest.MonkeyPatch, compose_train: Callable[..., DictConfig]
) -> None:
    config: Any = OmegaConf.to_container(compose_train("model=fcn"), resolve=True)
    today = code_id(config)
    assert made_by_this_code(today, config)
    assert not made_by_this_code("a" * 12, config)
    assert not made_by_this_code(None, config)
    proofs = [{"codes": {"a" * 12: "b" * 12}}, {"codes": {"b" * 12: today}}]
    path = package / "same_code.json"
    path.write_text(json.dumps(proofs))
    monkeypatch.setattr(code, "SAME_CODE", path)
    assert made_by_this_code("a" * 12, config)
    assert made_by_this_code("b" * 12, config)
    assert not made_by_this_code("c" * 12, config)
