"""The figure of all studies: quotients of what is committed, row after row."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from stn.results.study import Study
from stn.results.study_figures import draw_studies, relatives
from stn.results.table import parse_table

ROOT = Path(__file__).parents[2]
HEAD = "row,column,baseline,mean,interval_low,interval_high\n"


def study() -> Study:
    content: Any = yaml.safe_load((ROOT / "conf/study/priors.yaml").read_text())
    return parse_table("priors", content, Study)


def test_a_row_is_relative_to_its_baseline_in_the_same_column(tmp_path: Path) -> None:
    path = tmp_path / "study_priors/quick/study_priors.csv"
    assert relatives(study(), path) == {}
    assert draw_studies([study()], tmp_path) is None
    path.parent.mkdir(parents=True)
    lines = ["fcn,R,,4,3,5", "affine,R,fcn,2,1,3", "affine,P,fcn,9,,", "tps,R,affine,3,,"]
    path.write_text(HEAD + "\n".join(lines))
    found = relatives(study(), path)
    assert found == {"affine": [(0.5, (0.25, 0.75))], "tps": [(1.5, None)]}
    figure = draw_studies([study()], tmp_path)
    assert figure is not None
    (axes,) = figure.axes
    labels = [tick.get_text() for tick in axes.get_yticklabels()]
    assert labels == ["PRIORS (test error)", "affine / none (FCN)", "TPS 4 x 4 / affine"]
    drawn = [[*map(float, line.get_xdata())] for line in axes.lines[1:]]
    assert drawn == [[pytest.approx(0.5)], [0.25, 0.75], [1.5]]
