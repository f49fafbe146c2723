"""What commands on runs are told: keys, types and ranges, in one place."""

from typing import Annotated, Any, Literal, Self, TypeVar

from omegaconf import DictConfig, OmegaConf
from pydantic import BeforeValidator, Field, JsonValue, ValidationError, model_validator

from stn.results.checks import Checked, Count, Line, Name, reason
from stn.running.settings import Folder, Logger, PathOfFile

Few = Annotated[int, Field(ge=1, le=100)]  # images of a picture


class OfTable(Checked):
    """What a command on a table or a study is told: which one, and how it was run."""

    table: dict[str, JsonValue] | None = None  # absent where none is chosen
    study: dict[str, JsonValue] | None = None
    recipe: dict[str, JsonValue]
    overrides: list[Line]
    source: Folder

    @model_validator(mode="after")
    def _is_of_one(self) -> Self:
        if self.table is None and self.study is None:
            raise ValueError("which table or study? Say table=<name> or study=<name>")
        return self


class ReportSettings(OfTable):
    """`python -m stn.report`."""

    out: Folder
    costs: list[Line] | None
    export: Folder | None


class MeasureSettings(OfTable):
    """`python -m stn.measure`."""

    packages: list[Line]
    data_dir: Folder


class PicturesSettings(OfTable):
    """`python -m stn.pictures`."""

    packages: list[Line]
    data_dir: Folder
    out: Folder
    baseline: Line | None
    num_images: Few


class PageSettings(Checked):
    """`python -m stn.page`."""

    sources: Annotated[list[Folder], Field(min_length=1)]
    tables: list[Name] | None
    recipes: list[Name] | None
    overrides: list[Line]
    images: bool
    packages: list[Line]
    data_dir: Folder
    out: PathOfFile


class EvaluateSettings(Checked):
    """`python -m stn.evaluate`."""

    run: Folder
    packages: list[Line]
    data_dir: Folder


class LooksSettings(EvaluateSettings):
    """`python -m stn.looks`."""

    out: Folder
    num_images: Few


class FiguresSettings(Checked):
    """`python -m stn.figures`."""

    figure: Annotated[Literal["1", "3", "training"], BeforeValidator(str)]
    run: Annotated[
        list[Folder],
        BeforeValidator(lambda run: run if isinstance(run, list) else [run]),
        Field(min_length=1),
    ]
    packages: list[Line]
    data_dir: Folder
    out: Folder
    num_images: Few
    image: Count

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if len(self.run) > 1 and self.figure != "3":
            raise ValueError("run: one folder; figure=3 takes several")
        return self


class WandbReportSettings(Checked):
    """`python -m stn.wandb_report`."""

    recipe: Name
    logger: Logger


WHICH = {"run": "run=runs/<run_id>", "figure": "figure=1, 3 or training"}
S = TypeVar("S", bound=Checked)


def settings_of(cfg: DictConfig, kind: type[S]) -> S:
    """Return what a command was told, checked.

    Raises:
        ValueError: a key is missing, unknown, of the wrong type or out of range.
    """
    if missing := sorted(str(key) for key in OmegaConf.missing_keys(cfg)):
        raise ValueError(" ".join(f"which {key}? Say {WHICH[key]}" for key in missing))
    plain: Any = OmegaConf.to_container(cfg, resolve=True)
    try:
        return kind(**plain)
    except ValidationError as error:
        raise ValueError(reason(error)) from error
