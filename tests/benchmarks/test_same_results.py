import json
from pathlib import Path

import pytest
import torch

from benchmarks import same_results
from benchmarks.same_results import CELLS, ROOT, differences, same_code
from stn.results.code import code_id


def test_what_is_the_same_has_no_differences() -> None:
    one = {"train_loss at 10": "0.5", "weights 0": torch.arange(6.0).view(2, 3), "num_params": 6}
    assert differences(one, {**one, "weights 0": one["weights 0"].clone()}) == []


def test_every_difference_is_named() -> None:
    old = {"loss": "0.5", "weights 0": torch.zeros(2), "weights 1": torch.zeros(3), "gone": 1}
    new = {"loss": "0.6", "weights 0": torch.tensor([0, 1e-7]), "weights 1": torch.zeros(4)}
    assert differences(old, new) == [
        "gone: only in one",
        "loss: 0.5 and 0.6",
        "weights 0: differ by up to 1e-07",
        "weights 1: (3,) and (4,)",
    ]


def test_a_run_may_log_more_than_it_did_but_not_less() -> None:
    old = {"train_loss at 10": "0.5", "theta/angle at 10": "1", "weights 0": torch.zeros(2)}
    new = {"train_loss at 10": "0.5", "lr at 10": "0.1", "weights 0": torch.zeros(2)}
    assert differences(old, new) == []
    assert differences(new, old) == ["lr at 10: only in one"]
    assert differences(old, {**old, "weights 1": torch.zeros(2)}) == ["weights 1: only in one"]


def test_each_network_is_trained_on_r_and_rts() -> None:
    trained = {tuple(cell.split("/")[::2]) for cell in CELLS}
    for model in ("fcn", "cnn", "st_fcn", "st_cnn"):
        assert {(model, "mnist_r"), (model, "mnist_rts")} <= trained


def test_codes_of_committed_records_are_paired(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = next(iter(sorted(ROOT.glob("results/table1/quick/st_cnn-*.json"))))
    record = json.loads(path.read_text())
    now = code_id(record["config"])
    for name, code in (("ours", now), ("theirs", "0123456789ab")):
        target = tmp_path / f"results/table/{name}/a.json"
        target.parent.mkdir(parents=True)
        target.write_text(json.dumps({**record, "code": code}))
    monkeypatch.setattr(same_results, "ROOT", tmp_path)
    assert same_code(ROOT) == {}  # the same code has nothing to prove, other code proves nothing
    monkeypatch.setattr(same_results, "code_id", lambda config: "changed_____")
    assert same_code(ROOT) == {now: "changed_____"}
