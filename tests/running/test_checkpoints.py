from functools import partial
from pathlib import Path

import pytest
import torch

from stn.files.run_files import LAST, PREVIOUS
from stn.files.saved import load, save
from stn.running.checkpoints import NEEDED, CheckpointFiles, last_good, pass_over_strangers

STATE = dict.fromkeys(NEEDED, 0)


def state(step: int) -> dict:
    """What Lightning writes of a network with one weight, as far as it is looked at."""
    watch = {"steps": step, "samples": 8 * step, "train_s": 1.0, "wall_s": 2.0, "cpu_s": None}
    return {
        **STATE,
        "global_step": step,
        "state_dict": {"weight": torch.full((3, 2), step)},
        "optimizer_states": [
            {
                "state": {0: {"step": torch.tensor(1.0), "exp_avg": torch.zeros(3, 2)}},
                "param_groups": [{"params": [0]}],
            }
        ],
        "lr_schedulers": [{"base_lrs": [0.1]}],
        "callbacks": {"Stopwatch": watch, "MetricsFile": {}, "EMAWeightAveraging": {}},
        "loops": {"fit_loop": {}},
        "averaging_state": {},
        "current_model_state": {"weight": torch.full((3, 2), step)},
    }


def changed(part: str, **values: object) -> dict:
    """One part of the second state, with other values."""
    found = state(2)[part]
    return {part: [found[0] | values] if isinstance(found, list) else found | values}


WATCH = state(2)["callbacks"]["Stopwatch"]


@pytest.fixture
def two(tmp_path: Path) -> Path:
    """A folder where two checkpoints were written, one after the other."""
    for step in (1, 2):
        CheckpointFiles().save_checkpoint(state(step), tmp_path / "run" / LAST)
    return tmp_path / "run"


def test_the_checkpoint_before_is_kept(two: Path) -> None:
    assert {path.name for path in two.iterdir()} == {LAST, PREVIOUS}
    assert load(two / PREVIOUS)["global_step"] == 1
    path, found = last_good(two)  # type: ignore[misc]
    assert (path.name, found["global_step"]) == (LAST, 2)


def test_without_checkpoints_there_is_none(tmp_path: Path) -> None:
    assert last_good(tmp_path) is None


def test_a_file_that_would_run_code_is_damaged(tmp_path: Path) -> None:
    class Malice:
        def __reduce__(self) -> tuple:
            return Path.touch, (tmp_path / "owned",)

    torch.save({**STATE, "malice": Malice()}, tmp_path / LAST)
    assert last_good(tmp_path) is None
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("content", [b"", b"half", {"weights": 1}, [1, 2]])
def test_what_is_no_checkpoint_is_named_moved_aside_and_passed_over(
    two: Path, capsys: pytest.CaptureFixture[str], content: object
) -> None:
    if isinstance(content, bytes):
        (two / LAST).write_bytes(content)
    else:
        save(content, two / LAST)
    path, found = last_good(two)  # type: ignore[misc]
    assert (path.name, found["global_step"]) == (PREVIOUS, 1)
    assert str(two / LAST) in capsys.readouterr().err
    assert (two / f"{LAST}.damaged").exists()


def test_a_checkpoint_that_lacks_something_is_passed_over_and_stays(
    two: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def lacks(state: dict) -> str | None:
        return "the file lacks rows" if state["global_step"] == 2 else None

    path, _ = last_good(two, lacks)  # type: ignore[misc]
    assert path.name == PREVIOUS
    assert "the file lacks rows: the run goes on from the checkpoint before" in (
        capsys.readouterr().err
    )
    assert (two / LAST).exists()
    assert last_good(two, lambda state: "nothing is there") is None


def test_a_write_that_fails_leaves_both(two: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", refuse)
    with pytest.raises(OSError, match="No space"):
        CheckpointFiles().save_checkpoint(state(3), two / LAST)
    assert [load(two / name)["global_step"] for name in (LAST, PREVIOUS)] == [2, 1]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"origin": {"run_id": "other", "step": 2}}, "is of another run, 'other'"),
        ({"origin": None}, "does not say which run it is of"),
        ({"global_step": 7}, "says step 7, and was written at 2"),
        ({"state_dict": {"weight": torch.zeros(2, 3)}}, "does not fit the network"),
        ({"state_dict": {"weight": torch.full((3, 2), torch.nan)}}, "has weights that do not"),
        ({"state_dict": {}}, "does not fit the network"),
        ({"state_dict": None}, "does not fit the network"),
        ({"optimizer_states": []}, "has parts of another form"),
        ({"lr_schedulers": []}, "has parts of another form"),
        ({"callbacks": {}}, "has parts of another form"),
        ({"global_step": "2", "origin": {"run_id": "run", "step": "2"}}, "has steps that do not"),
        (changed("callbacks", Stopwatch=WATCH | {"samples": 10**6 + 1}), "has steps that do not"),
        (changed("callbacks", Stopwatch=WATCH | {"steps": 7}), "has steps that do not"),
        (changed("callbacks", Stopwatch=WATCH | {"train_s": 1e9}), "has times that do not"),
        (changed("callbacks", Stopwatch={}), "has parts of another form"),
        (changed("optimizer_states", param_groups=[{"params": [0]}] * 2), "has parameter groups"),
        (changed("optimizer_states", state={0: {"exp_avg": torch.zeros(2)}}), "has optimiser st"),
        ({"current_model_state": {}}, "has averaged weights that do not"),
        ({"loops": {}}, "has loops that do not"),
    ],
)
def test_a_stranger_is_named_and_passed_over_down_to_the_start(
    two: Path, capsys: pytest.CaptureFixture[str], change: dict, says: str
) -> None:
    network = state(0)["state_dict"]
    optimizer = partial(torch.optim.AdamW, [torch.zeros(3, 2)])
    pass_over_strangers(two, network, optimizer)
    assert capsys.readouterr().err == ""
    save(load(two / LAST) | change, two / LAST)
    pass_over_strangers(two, network, optimizer)
    assert f"{two / LAST} {says}" in capsys.readouterr().err
    assert last_good(two)[0].name == PREVIOUS  # type: ignore[index]
    assert (two / f"{LAST}.stranger").exists()
    save(load(two / PREVIOUS) | {"origin": {}}, two / PREVIOUS)
    pass_over_strangers(two, network, optimizer)
    assert last_good(two) is None
