"""`python -m stn.demo`: a page where a digit is distorted by hand, as a static folder."""

import argparse
import shlex
from pathlib import Path

from stn.configuration import folder
from stn.demo.build import build


def main() -> None:
    """Build the folder and say how it is opened."""
    parser = argparse.ArgumentParser(prog="python -m stn.demo", description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("weights"), help="folder of the runs")
    parser.add_argument("--recipe", default="quick", help="of the runs that are taken")
    parser.add_argument("--seed", type=int, default=0, help="of the runs that are taken")
    parser.add_argument("--out", type=Path, default=Path("reports/demo"))
    parser.add_argument("--data-dir", type=Path, default=folder("STN_DATA_DIR", "data"))
    given = parser.parse_args()
    try:
        columns = build(given.runs, given.recipe, given.seed, given.data_dir, given.out)
    except (OSError, ValueError) as error:
        parser.exit(1, f"{type(error).__name__}: {error}\n")
    names = ", ".join(column["label"] for column in columns)
    print(f"{given.out} has the demo, with networks trained on {names}. Any server can serve it:")
    print(f"python -m http.server --bind 127.0.0.1 --directory {shlex.quote(str(given.out))}")


if __name__ == "__main__":
    main()
