"""Figures as files, each as PNG and as SVG, the same bytes for the same figure."""

import io
from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure

from stn.files.atomic import write_atomically
from stn.files.regular import leads_somewhere


def write_figure(figure: Figure, path: Path) -> list[Path]:
    """Write `<path>.png` and `<path>.svg`, whose folder is made; return them.

    Args:
        figure: to be written, at its own resolution.
        path: without an ending.

    Raises:
        OSError: a file cannot be written.
        ValueError: the folder is a link to where nothing is.
    """
    leads_somewhere(path.parent).mkdir(parents=True, exist_ok=True)
    written = []
    for ending, metadata in (("png", {"Software": None}), ("svg", {"Date": None})):
        content = io.BytesIO()
        with rc_context({"svg.hashsalt": "stn"}):
            figure.savefig(content, format=ending, dpi=figure.dpi, metadata=metadata)
        written.append(path.with_name(f"{path.name}.{ending}"))
        write_atomically(written[-1], content.getvalue())
    return written
