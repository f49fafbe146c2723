"""What a configuration can build, and that nothing else in the package can run foreign code."""

import ast
import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

from stn import evaluate, train
from stn.running.building import instantiate
from stn.running.preparing import Cell

SOURCES = sorted((Path(__file__).parents[2] / "src").rglob("*.py"))


def test_what_the_package_and_torch_define_is_built() -> None:
    layer = {"_target_": "torch.nn.Linear", "in_features": 2, "out_features": 3}
    assert isinstance(instantiate(layer), torch.nn.Linear)
    built = instantiate({"_target_": "stn.transformers.ThinPlateSpline", "points": [3, 2]})
    assert built.num_params == 12


LINEAR = {"_target_": "torch.nn.Linear", "in_features": 2, "out_features": 3}
TRANSFORMER = {
    "_target_": "stn.transformers.SpatialTransformer",
    "localisation": {"_target_": "torch.nn.Identity"},
    "transform": {"_target_": "stn.transformers.Affine"},
}
MNIST = {"_target_": "stn.data.mnist.MnistDataModule", "_partial_": True}
ADAM = {"_target_": "torch.optim.AdamW", "_partial_": True}
# Hand on what they do not know to a base.
FEW = {"_target_": "stn.data.mnist.FewMnistDataModule", "_partial_": True}
WIDE = {"_target_": "stn.models.wide_kernels.WideStCnn", "_partial_": True}


@pytest.mark.parametrize(
    ("config", "key", "value"),
    [
        (LINEAR, "in_features", "two"),
        (LINEAR, "in_features", 2.5),
        (LINEAR, "bias", 1),
        (MNIST, "num_val", "abc"),
        (MNIST, "num_val", True),
        (MNIST, "data_dir", 3),
        (ADAM, "lr", "fast"),
        (TRANSFORMER, "kernel", None),
        (FEW, "once", 1),
        (FEW, "num_val", "abc"),
        (WIDE, "family", 3),
        (WIDE, "num_classes", "ten"),
    ],
)
def test_an_argument_has_the_type_of_its_annotation(config, key: str, value: object) -> None:
    instantiate(config)
    with pytest.raises(ValueError, match=rf"{config['_target_']}: {key}: .*, found {value!r}"):
        instantiate({**config, key: value})


@pytest.mark.parametrize("config", [LINEAR, TRANSFORMER, MNIST, ADAM, FEW, WIDE])
def test_what_is_no_argument_is_refused_by_name(
    config: dict[str, Any], capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    for wrap in (lambda c: c, lambda c: {"_target_": "torch.nn.Identity", "a": [{"b": c}]}):
        with pytest.raises(ValueError, match=f"^{config['_target_']}: foo: there is no such"):
            instantiate(wrap({**config, "foo": 1}))
        with pytest.raises(ValueError, match=f"^_target_: there is no {config['_target_']}x$"):
            instantiate(wrap({**config, "_target_": f"{config['_target_']}x"}))
    assert capfd.readouterr() == ("", "")
    assert not caplog.records


def test_what_a_constructor_refuses_is_one_line() -> None:
    rotate = {"_target_": "stn.data.distortions.Rotate", "max_deg": 9, "size": [0, 0]}
    with pytest.raises(ValueError, match=r"distortions\.Rotate': .*size of an image") as refused:
        instantiate({**MNIST, "distortion": rotate})
    assert "\n" not in str(refused.value)


def test_null_is_taken_where_the_annotation_is_a_protocol() -> None:
    network = {
        **{"_target_": "stn.models.mnist.StFcn", "_partial_": True},
        **{"transform": None, "in_shape": [1, 28, 28]},
    }
    assert callable(instantiate(network))


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "builtins.eval",
        "subprocess.Popen",
        "hydra.utils.get_method",
        "stn.running.cell.os.system",
        "stn.results.records.write_record",
        "stn.results.provenance._git",
        "stn.files.atomic.write_atomically",
        "stn.data.distortions._second",
        "stn.models.mnist.nn.init._no_grad_fill_",
        "stn.modelsx.f",
        "torch.nnx.f",
        "torch.nn.Linear.__init__",
        "torch.nn.functional.torch.os.system",
        "stn.files.npm.subprocess.run",
        "torch.os.system",
        "torch.load",
        "torch.hub.load",
        "stnx.f",
        7,
        None,
        "${oc.env:STN_TARGET}",
        "\\${oc.env:STN_TARGET}",
    ],
)
@pytest.mark.parametrize("wrap", [lambda c: c, lambda c: {"a": [{"b": c}]}])
def test_nothing_else_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: Any, wrap: Callable[[Any], Any]
) -> None:
    monkeypatch.setenv("STN_TARGET", "os.system")
    config = wrap({"_target_": target, "_args_": [f"touch {tmp_path}/ran"]})
    with pytest.raises(ValueError, match=r"is not built"):
        instantiate(config)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("package", ["nope", "tests.nope", "nope.tests", "", ".", "a b"])
def test_a_package_that_is_not_there_is_named(package: str) -> None:
    config = {"_target_": "torch.nn.Flatten"}
    with pytest.raises(ValueError, match=f"packages: there is no {re.escape(package)} "):
        instantiate(config, ["tests", package])
    assert isinstance(instantiate(config, ["tests", "tests.sweeps"]), torch.nn.Flatten)


def test_text_that_becomes_a_configuration_is_checked_too(tmp_path: Path) -> None:
    text = f"{{_target_: os.system, _args_: ['touch {tmp_path}/ran']}}"
    with pytest.raises(ValueError, match=r"os\.system is not built"):
        instantiate({"a": f'${{oc.create:"{text}"}}'})
    assert not (tmp_path / "ran").exists()


def test_an_override_cannot_run_a_command(
    mnist_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STN_RUNS_DIR", str(tmp_path / "runs"))
    for mode in ([], ["-m"]):
        override = "data.module._target_=os.system"
        monkeypatch.setattr(sys, "argv", ["stn.train", *mode, "logger=csv", override])
        with pytest.raises(SystemExit, match=r"ValueError: _target_: os\.system is not built"):
            train.main()


@pytest.mark.parametrize(
    ("target", "arguments"),
    [
        ("os.system", ["touch {}"]),
        ("stn.results.provenance._git", ["-c", "alias.x=!touch {}", "x"]),
    ],
)
def test_the_configuration_of_a_foreign_run_cannot_run_a_command(
    finished: Callable[..., Cell],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    target: str,
    arguments: list[str],
) -> None:
    cell = finished("model=fcn")
    copy = tmp_path / cell.run_id
    shutil.copytree(cell.folder, copy)
    path = copy / "config.yaml"
    config = OmegaConf.load(path)
    arguments = [argument.format(tmp_path / "ran") for argument in arguments]
    config.recipe.optimizer = {"_target_": target, "_args_": arguments}
    OmegaConf.save(config, path)
    monkeypatch.setattr(sys, "argv", ["stn.evaluate", f"run={copy}"])
    with pytest.raises(SystemExit, match="is not what the run was made with"):
        evaluate.main()
    record = copy / "result.json"  # which the foreigner has changed as well
    told = json.loads(record.read_text()) | {"config": OmegaConf.to_container(config)}
    record.write_text(json.dumps(told))
    with pytest.raises(SystemExit):
        evaluate.main()
    assert not (tmp_path / "ran").exists()


def calls(name: str) -> list[tuple[Path, ast.Call]]:
    """Every call of something whose dotted name ends so."""
    return [
        (path, node)
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(name)
    ]


def test_files_are_loaded_as_weights_only() -> None:
    loads = calls("torch.load") + [c for c in calls(".fit") if "ckpt_path" in ast.unparse(c[1])]
    assert len(loads) >= 2
    for path, call in loads:
        keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        assert keywords.get("weights_only") == "True", (path, ast.unparse(call))


@pytest.mark.parametrize("name", ["pickle.load", "pickle.loads", "extractall", "yaml.load", "eval"])
def test_nothing_else_that_runs_what_it_reads_is_called(name: str) -> None:
    found = [(p, c) for p, c in calls(name) if not ast.unparse(c.func).endswith(".eval")]
    assert not found


def test_configurations_are_built_in_one_place() -> None:
    assert [path.name for path, _ in calls("hydra.utils.instantiate")] == ["building.py"]
    # The second builds what lies in the package's own configuration, and nobody else's.
    importing = [p.name for p in SOURCES if "from hydra.utils import instantiate" in p.read_text()]
    assert importing == ["distorted.py"]
