"""What the configuration of a cell must be: keys, types and ranges, in one place.

What is built from a `_target_` checks its own arguments (`building`). Data sets, models, tasks and
transforms may have further keys, which their files in `conf/` read; a key that is added on the
command line and that nothing reads is refused.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    JsonValue,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from stn.files.regular import leads_somewhere
from stn.results.checks import Checked, Count, Json, Line, Name, Positive, reason
from stn.results.identity import of_cell


def _has_target(value: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(value.get("_target_"), str):
        raise ValueError("expected what has a _target_")
    return value


def _of_data(value: dict[str, Any]) -> dict[str, Any]:
    if type(seed := value.get("data_seed", 0)) is not int or seed < 0:
        raise ValueError(f"data_seed: expected a whole number from 0 up, found {seed!r}")
    return value


def _path(value: str) -> str:
    if not value.strip() or value.startswith("~") or "\0" in value:
        raise ValueError("expected a path, written out, without ~")
    leads_somewhere(Path(value))
    return value


def _folder(value: str) -> str:
    if Path(_path(value)).exists() and not Path(value).is_dir():
        raise ValueError(f"{value} is no folder")
    return value


Built = Annotated[dict[str, JsonValue], AfterValidator(_has_target)]
PathOfFile = Annotated[str, AfterValidator(_path)]
Folder = Annotated[str, AfterValidator(_folder)]
Percentage = Annotated[float, Field(ge=0, lt=1)]  # as a share


class _Open(Checked):
    """Has keys of its own besides these."""

    model_config = ConfigDict(extra="allow")


class Model(_Open):
    """A network, and what it is called."""

    name: Name
    label: Line
    transform: Name | None
    network: Built


class Data(_Open):
    """A data set: its data module, and what networks take of it."""

    name: Name
    label: Line
    module: Annotated[Built, AfterValidator(_of_data)]


class TaskSettings(_Open):
    """A loss, and what is measured."""

    name: Name
    metric: Name
    loss: Built
    evaluators: dict[Name, Built]

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.metric not in self.evaluators:
            raise ValueError(f"metric {self.metric} is none of its evaluators")
        return self


OPEN = (Model, Data, TaskSettings, _Open)


class Watch(Checked):
    """How often something is logged, measured and drawn."""

    log_every_n_steps: Positive
    val_every_n_epochs: Positive
    panels_every_n_epochs: Positive


class Averaging(Checked):
    """An exponential moving average of the weights."""

    decay: Percentage


class Recipe(Checked):
    """How long and how a network is trained."""

    name: Name
    batch_size: Positive
    max_steps: Positive
    localisation_lr_factor: Annotated[float, Field(ge=0, le=1e6)]
    label_smoothing: Percentage = 0.0  # only losses of one label an image read it
    precision: Literal["32-true", "bf16-mixed", "16-mixed"]
    channels_last: bool
    watch: Watch
    averaging: Averaging | None
    optimizer: Built
    scheduler: Built


class Trainer(Checked):
    """What trains it."""

    threads: Annotated[int, Field(ge=1, le=1024)]
    accelerator: Name
    devices: Positive
    fast: bool


class Logger(Checked):
    """Where it is logged besides the run's own folder."""

    name: Name
    loggers: list[Built]


class Settings(Checked):
    """The whole configuration of a cell, resolved."""

    model: Model
    transform: _Open
    data: Data
    task: TaskSettings
    recipe: Recipe
    trainer: Trainer
    logger: Logger
    seed: Count
    retry: Literal["failed", "diverged"] | None
    packages: list[Line]
    tune: bool
    data_dir: Folder
    runs_dir: Folder
    reports_dir: Folder
    table: dict[str, JsonValue] | None = None
    study: dict[str, JsonValue] | None = None

    @model_validator(mode="after")
    def _agree(self) -> Self:
        """Check what the settings say of each other."""
        if self.recipe.batch_size % self.trainer.devices:
            raise ValueError(
                f"recipe.batch_size {self.recipe.batch_size} is not divisible by"
                f" {self.trainer.devices} devices"
            )
        return self


class NoRecipeError(ValueError):
    """A recipe that there is, but not for this data set."""


def check(config: Mapping[str, Any], overrides: Sequence[str] = ()) -> None:
    """Refuse a configuration that no cell can have.

    Args:
        config: resolved.
        overrides: what the command added and changed, to be searched for what nothing reads.

    Raises:
        NoRecipeError: the recipe is not one for this data set.
        ValueError: a key is missing, unknown, of the wrong type or out of range; or the devices
            cannot share a batch.
    """
    recipe, data = config.get("recipe"), config.get("data")
    if isinstance(recipe, Mapping) and isinstance(data, Mapping) and "max_steps" not in recipe:
        raise NoRecipeError(f"there is no recipe {recipe.get('name')} for data={data.get('name')}")
    try:
        Settings(**config)
        TypeAdapter(Json).validate_python(of_cell(config))  # as the record will
        TypeAdapter(list[Line]).validate_python([*overrides])
    except ValidationError as error:
        raise ValueError(reason(error)) from error
    for override in overrides:
        key = override.partition("=")[0].partition("@")[0]
        if key.startswith("+") and not _is_read(config, key.lstrip("+")):
            raise ValueError(f"{key}: nothing reads this key")


def trials_dir(config: Mapping[str, Any]) -> Path:
    """Return where the folders of trials of a search are, apart from those of cells."""
    return Path(config["runs_dir"]) / "tuning"


def _is_read(config: Any, key: str) -> bool:
    """Tell whether a key that was added is one of `Settings`, or an argument of what is built."""
    part, *rest = key.split(".")
    field = Settings.model_fields.get(part)
    if not rest or field is None or field.annotation not in OPEN:
        return True  # a group, Hydra's own, or one that `Settings` knows or has refused
    if rest[0] in field.annotation.model_fields and len(rest) == 1:
        return True
    for parent in (part, *rest[:-1]):
        config = config.get(parent) if isinstance(config, Mapping) else None
        if isinstance(config, Mapping) and "_target_" in config:
            return True
    return False
