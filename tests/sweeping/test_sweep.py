from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig

from stn.sweeping.sweep import sweep


def test_data_of_all_names_are_there_and_verified_before_the_first_cell(
    compose_train: Callable[..., DictConfig], mnist_dir: Path, tmp_path: Path
) -> None:
    launched: list[Any] = []

    def launch(jobs: Sequence[Any]) -> tuple[list[Any], None]:
        launched.extend(jobs)
        return [None] * len(jobs), None

    common = ["model=fcn", "recipe=smoke", f"data_dir={mnist_dir}", f"runs_dir={tmp_path}"]
    wild = [*common, "data=mnist_p", "data.module.distortion.corner_px=9"]
    with pytest.raises(SystemExit, match="cuts, folds or hides"):
        sweep([wild, [*common, "data=mnist_r"]], lambda o: compose_train(*o), launch)
    assert not launched
