"""What commands on runs are told: each key has a type and a range, and is one that is read."""

import importlib
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from stn.configuration import CONF
from stn.running import command_settings as settings
from stn.running.command_settings import settings_of

COMMANDS = {
    "evaluate": settings.EvaluateSettings,
    "figures": settings.FiguresSettings,
    "looks": settings.LooksSettings,
    "measure": settings.MeasureSettings,
    "page": settings.PageSettings,
    "pictures": settings.PicturesSettings,
    "report": settings.ReportSettings,
    "wandb_report": settings.WandbReportSettings,
}
NEEDED = {"evaluate": ["run=a"], "looks": ["run=a"], "figures": ["run=a", "figure=1"]}
# Of each type values that are none of it.
TEXT = (5, 1.5, True, None, [], {})
WRONG: dict[str, tuple[Any, ...]] = {
    **dict.fromkeys(("source", "data_dir", "out"), (*TEXT, "", " ", "~/x", "a\0b")),
    **dict.fromkeys(("packages", "overrides"), (5, True, None, {}, "abc", [1], ["a\x1b"])),
    **dict.fromkeys(("tables", "recipes"), (5, True, {}, "abc", [1], ["../x"], [""])),
    **dict.fromkeys(("table", "study"), (5, True, [], "abc")),
    "sources": (5, True, None, {}, "runs", [], [1], ["~/x"]),
    "run": (5, 1.5, True, None, {}, [], [1], "", "~/x"),
    "export": (5, True, [], {}, "", "~/x"),
    "costs": (5, True, {}, "R", [1]),
    "baseline": (5, True, [], {}, "\x1b"),
    "num_images": (0, -1, 101, 10**30, 1.5, True, None, [], {}, "abc"),
    "image": (-1, 10**30, 1.5, True, None, [], {}, "abc"),
    "images": (0, 1, 1.5, None, [], {}, "abc"),
    "figure": (2, 1.5, True, None, [], {}, "abc"),
    "recipe": (5, True, None, [], "../x"),
    "logger": (5, True, None, [], {}, "abc"),
}


def composed(command: str) -> DictConfig:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose(command, [*NEEDED.get(command, ())])
    return OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])


def test_every_command_with_a_configuration_is_checked() -> None:
    assert {path.stem for path in CONF.glob("*.yaml")} == COMMANDS.keys() | {"train"}
    for command in COMMANDS:
        source = Path(importlib.import_module(f"stn.{command}").__file__ or "").read_text()
        assert f"settings_of(cfg, {COMMANDS[command].__name__})" in source


@pytest.mark.parametrize("command", COMMANDS)
def test_each_key_has_a_type_and_a_range(command: str) -> None:
    kind, config = COMMANDS[command], composed(command)
    settings_of(config, kind)
    assert {*config} <= kind.model_fields.keys() <= {*config, "study"}
    for key in kind.model_fields:
        for value in WRONG[key]:
            changed = DictConfig({**config, key: value})
            with pytest.raises(ValueError, match=rf"^'?{key}\b|which table") as refused:
                settings_of(changed, kind)
            assert "\n" not in str(refused.value)


@pytest.mark.parametrize("command", COMMANDS)
def test_nothing_is_left_out(command: str) -> None:
    kind, config = COMMANDS[command], composed(command)
    for key in {*config} - {"table", "study"}:
        rest = DictConfig({name: value for name, value in config.items() if name != key})
        with pytest.raises(ValueError, match=f"^{key}: is missing"):
            settings_of(rest, kind)


@pytest.fixture
def call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """Call a command in an empty folder; return what it stops with."""
    for name in ("STN_RUNS_DIR", "STN_DATA_DIR", "STN_REPORTS_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.chdir(tmp_path)

    def run(command: str, *overrides: str) -> str:
        monkeypatch.setattr(sys, "argv", [f"stn.{command}", *overrides])
        with pytest.raises(SystemExit) as stop:
            importlib.import_module(f"stn.{command}").main()
        assert capsys.readouterr().out == ""
        assert list(tmp_path.iterdir()) == []
        return str(stop.value.code)

    return run


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("+nothing=1", "'nothing': there is no such key"),
        ("nothing=1", "Could not override 'nothing'."),
        ("recipe=null", "recipe: "),
        ("table=5", "table: expected a name of conf/table, found 5"),
        ("table=nope", "In '{}': Could not find 'table/nope'; there are addition,"),
        ("table.only=[", "table.only=[: no viable alternative"),
        ("packages=5", "packages: "),
        ("data_dir='${nothing}'", "Interpolation key 'nothing' not"),
    ],
)
def test_a_mistake_is_one_line_before_any_work(
    call: Callable[..., str], command: str, override: str, said: str
) -> None:
    key = override.strip("+").partition("=")[0].partition(".")[0]
    if key != "nothing" and key not in composed(command):
        pytest.skip(f"it has no {key}")
    answer = call(command, *NEEDED.get(command, ()), override)
    assert re.sub(r"^\w+Error: ", "", answer).startswith(said.format(command))
    assert "\n" not in answer


@pytest.mark.parametrize("command", ["report", "pictures", "measure"])
def test_a_table_or_a_study_is_asked_for(call: Callable[..., str], command: str) -> None:
    assert call(command, "table=null") == "table: expected a name of conf/table, found null"


def test_weights_and_biases_without_a_logger_of_it(call: Callable[..., str]) -> None:
    assert call("wandb_report", "logger=csv") == "logger: csv sends nothing to Weights & Biases"
