"""`python -m stn.evaluate run=runs/<run_id>`: the test error of a run, from its weights."""

import sys
from pathlib import Path
from typing import Any

import hydra
from omegaconf import DictConfig, OmegaConf

from stn.running.building import instantiate
from stn.running.finished import evaluate

CONF = str(Path(__file__).parents[2] / "conf")


@hydra.main(version_base="1.3", config_path=CONF, config_name="evaluate")
def main(cfg: DictConfig) -> None:
    """Recompute the test error and compare it with the record."""
    if OmegaConf.is_missing(cfg, "run"):
        sys.exit("which run? Say run=runs/<run_id>")
    try:
        outcome: dict[str, Any] = evaluate(Path(cfg.run), instantiate, cfg.data_dir)
    except (OSError, ValueError) as error:
        sys.exit(f"{type(error).__name__}: {error}")
    found, recorded = outcome["test_error_percent"], outcome["recorded_error_percent"]
    print(f"test error {found} % on {outcome['num_test']} images; the record says {recorded} %")
    if found != recorded:
        sys.exit("they differ: other weights, other data, or another machine's arithmetic")


if __name__ == "__main__":
    main()
