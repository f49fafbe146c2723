"""A study as planned: a table that answers a question, and what was thought before it was run.

The content of `conf/study/<name>.yaml` becomes a `Study`, checked once.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, ClassVar, Self

from pydantic import AfterValidator, Field, model_validator

from stn.results.checks import Line
from stn.results.table import Table

OVERVIEW = """# Studies

What reviewers asked the authors, or the paper claims in passing, answered by experiment. A study is
a table with a question: `conf/study/<name>.yaml` has its rows, the prediction that was written
before the first run, and the verdict. `make study-<name>` runs what is missing of it and writes
`reports/study_<name>.md`; `make studies` runs all of them: {hours:g} core-hours with the recipe
`quick`, where the runs of Table 1 are there.

![What each row measures relative to its baseline, study by study](images/studies.png)

A line a row, a mark a column, from the committed records; a bar is the 95 % interval over seeds,
from three on, without the baseline's own. Left of 1 is better where errors are measured.

| study | question | verdict | core-hours |
|:-|:-|:-|-:|
"""
BUDGET = "quick"  # the recipe that studies are planned for, whose pages have the shortest name


def _one_sentence(text: str) -> str:
    if re.search(r"[.?!] ", text):
        raise ValueError("expected one sentence; what is more to say stands under `found`")
    return text


Sentence = Annotated[Line, Field(max_length=160), AfterValidator(_one_sentence)]


class Study(Table):
    """A table, its question, and its answer; see `conf/study/priors.yaml`.

    Attributes:
        question: what the table is to tell.
        said: what the paper's authors or others say of it, in our words.
        source: where they say it.
        prediction: what was expected, written before the first run.
        verdict: the answer, in a sentence; None until there are runs.
        confidence: how sure that is: high, middle or low, and of what.
        found: the numbers behind the verdict, what was predicted otherwise, and why it is as sure
            as said. Of verdict, confidence and this there are all or none.
        core_hours: estimate for all of its runs that Table 1 and other studies do not have.
        outcomes: what a run is called whose number is worse than this, the worst first.
    """

    kind: ClassVar[str] = "study"
    question: Line
    said: Line
    source: Line
    prediction: Line
    verdict: Sentence | None
    confidence: Annotated[Line, Field(max_length=70)] | None
    found: Line | None
    core_hours: float = Field(gt=0, le=12)
    outcomes: dict[Line, float] = Field(default_factory=dict)

    @property
    def page(self) -> str:
        """What the files of all recipes begin with."""
        return f"study_{self.name}"

    def file_name(self, recipe: str) -> str:
        """Return what the files of a recipe begin with."""
        return self.page if recipe == BUDGET else f"{self.page}_{recipe}"

    def outcome(self, value: float) -> str | None:
        """Return what a run with this number is called, None if nothing is wrong with it."""
        sign = self.metric.sign
        worse = (name for name, limit in self.outcomes.items() if sign * (value - limit) > 0)
        return next(worse, None)

    @model_validator(mode="after")
    def _is_judged(self) -> Self:
        """Check that a verdict comes with its reasons."""
        if len({part is None for part in (self.verdict, self.confidence, self.found)}) > 1:
            raise ValueError("verdict, confidence and found are given all or not at all")
        return self


KINDS: Mapping[str, type[Table]] = {kind.kind: kind for kind in (Table, Study)}


def overview(studies: Sequence[Study], rendered: Collection[str]) -> str:
    """Return all studies on one screen, in Markdown, for a file in `docs`.

    Args:
        studies: in any order; those with a verdict come first.
        rendered: pages that are committed, by their names.
    """
    text = OVERVIEW.format(hours=round(sum(study.core_hours for study in studies), 1))
    for study in sorted(studies, key=lambda study: (study.verdict is None, study.title)):
        title, verdict = study.title, study.verdict or "*none yet*"
        if study.page in rendered:
            title = f"[{title}](../results/{study.page}/{BUDGET}/{study.page}.md)"
        if study.confidence:
            verdict += f" *Confidence: {study.confidence}.*"
        text += f"| {title}<br>`study-{study.name}` | {study.question} | {verdict} "
        text += f"| {study.core_hours:g} |\n"
    return text
