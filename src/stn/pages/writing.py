"""Writes the page: one file, with all that it shows, and nothing in it that a record could run."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from markupsafe import Markup

from stn.drawing.tiles import evenly
from stn.files.atomic import write_atomically
from stn.pages import charts
from stn.pages.pictures import MAX_FRAMES
from stn.pages.views import View
from stn.results import wording
from stn.results.comparison import Comparison
from stn.results.render import environment
from stn.results.study import Study

MAX_BYTES = 15_000_000
FILTERS = (wording.duration, wording.interval, wording.number, wording.paired, wording.signed,
           wording.status)  # fmt: skip


@dataclass(frozen=True)
class Sheet:
    """A table of a recipe, and the views of its cells."""

    comparison: Comparison
    views: Sequence[View]

    @property
    def key(self) -> str:
        """Names it on the page."""
        return f"{self.comparison.table.name}-{self.comparison.recipe}"

    @property
    def is_study(self) -> bool:
        """Whether its table answers a question."""
        return isinstance(self.comparison.table, Study)


def write_page(
    path: Path,
    sheets: Sequence[Sheet],
    problems: Mapping[str, str],
    sources: Sequence[str],
    num_others: int,
) -> None:
    """Write the page atomically; where it became too large, with fewer pictures through training.

    Args:
        path: of the page.
        sheets: what is on it, in this order.
        problems: files that cannot be used, and why.
        sources: where records were looked for.
        num_others: how many records are in no table.
    """
    for frames in range(MAX_FRAMES, -1, -1):
        thinned = [
            replace(s, views=[replace(v, gallery=evenly(v.gallery, frames)) for v in s.views])
            for s in sheets
        ]
        page = to_html(thinned, problems, sources, num_others).encode()
        if len(page) < MAX_BYTES:
            break
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, page)


def to_html(
    sheets: Sequence[Sheet], problems: Mapping[str, str], sources: Sequence[str], num_others: int
) -> str:
    """Render the page. Its policy forbids every script but its own, and every address."""
    templates = environment("stn.pages", FILTERS, autoescape=True)
    templates.filters["marks_of"] = wording.marks
    style, script = (
        templates.loader.get_source(templates, name)[0]  # type: ignore[union-attr]
        for name in ("page.css", "page.js")
    )
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return templates.get_template("page.html.j2").render(
        sheets=sheets,
        problems=problems,
        sources=sources,
        num_others=num_others,
        marks=wording.MARKS,
        axes=charts,
        style=Markup(style),
        script=Markup(script),
        policy=f"default-src 'none'; img-src data:; style-src 'unsafe-inline';"
        f" script-src 'sha256-{digest}'",
    )
