"""`python results/studies.py` writes docs/studies.md: all studies on a screen, from conf/study."""

from pathlib import Path

import yaml

from stn.results.study import Study, overview
from stn.results.table import parse_table

ROOT = Path(__file__).parents[1]


def document() -> str:
    """Return what docs/studies.md is to say."""
    studies = [
        parse_table(path.stem, yaml.safe_load(path.read_text()), Study)
        for path in sorted((ROOT / "conf/study").glob("*.yaml"))
    ]
    rendered = [path.stem for path in (ROOT / "results").glob("study_*/quick/study_*.md")]
    return overview(studies, rendered)


if __name__ == "__main__":
    (ROOT / "docs/studies.md").write_text(document(), encoding="utf-8")
