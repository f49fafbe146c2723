"""`python results/studies.py` writes docs/studies.md: all studies on a screen, from conf/study.

And docs/images/studies.png, a figure of them, from their committed renderings.
"""

from pathlib import Path

import yaml

from stn.results.study import Study, overview
from stn.results.study_figures import draw_studies
from stn.results.table import parse_table

ROOT = Path(__file__).parents[1]


STUDIES = [
    parse_table(path.stem, yaml.safe_load(path.read_text()), Study)
    for path in sorted((ROOT / "conf/study").glob("*.yaml"))
]


def document() -> str:
    """Return what docs/studies.md is to say."""
    rendered = [path.stem for path in (ROOT / "results").glob("study_*/quick/study_*.md")]
    return overview(STUDIES, rendered)


if __name__ == "__main__":
    (ROOT / "docs/studies.md").write_text(document(), encoding="utf-8")
    if (figure := draw_studies(STUDIES, ROOT / "results")) is not None:
        figure.savefig(ROOT / "docs/images/studies.png")
