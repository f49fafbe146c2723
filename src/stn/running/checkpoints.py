"""Checkpoints that survive: written atomically, the one before kept, damage named and passed over.

A checkpoint says whose it is and of which step: one of another run is never continued from.

Lightning's own files are written to the system's temporary folder and moved: if that is another
file system, a kill or a full disk in the midst leaves half a checkpoint in the place of a good one.
"""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pytorch_lightning.plugins.io import TorchCheckpointIO
from torch import Tensor
from torch.optim import Optimizer

from stn.files.run_files import LAST, PREVIOUS
from stn.files.saved import load, save
from stn.results.checks import shown

ORIGIN = "origin"  # the key under which a checkpoint says whose it is
NEEDED = {"state_dict", "global_step", "optimizer_states", "lr_schedulers", "callbacks", "loops"}
NEEDED |= {"pytorch-lightning_version"}
LIKE_WEIGHTS = ("exp_avg", "exp_avg_sq", "momentum_buffer")  # what optimisers keep in their shape
OF_AVERAGING = {"averaging_state", "current_model_state"}


class CheckpointFiles(TorchCheckpointIO):
    """Writes a checkpoint atomically, after the one that is there has become `previous.ckpt`."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Replace `path`; at every moment, it or the previous checkpoint is there as a whole."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        checkpoint[ORIGIN] = {"run_id": path.parent.name, "step": checkpoint["global_step"]}
        new = path.with_name(f"new-{path.name}")
        save(checkpoint, new)
        if path.exists():
            path.replace(path.with_name(PREVIOUS))
        new.replace(path)


def pass_over_strangers(
    folder: Path, network: Mapping[str, Any], optimizer: Callable[[], Optimizer]
) -> None:
    """Move aside, as `<name>.stranger`, each checkpoint that this run cannot be continued from.

    It is of another run, of another step than it says, does not fit the network or its optimiser,
    whose code has changed, or its parts do not fit each other: Lightning would stop at them, or go
    on without. Each is named on standard error; what is damaged is left to `last_good`.

    Args:
        folder: of the run.
        network: the state that the run begins with, as in a checkpoint's `state_dict`.
        optimizer: builds that of the network, as the run begins.

    Raises:
        OSError: as of `last_good`.
    """
    for path in (folder / LAST, folder / PREVIOUS):
        found = _read(path) if path.exists() else ""
        if isinstance(found, dict) and (reason := _strange(found, folder.name, network, optimizer)):
            path.replace(path.with_name(f"{path.name}.stranger"))
            print(f"{path} {reason}: moved aside and passed over", file=sys.stderr)


def _strange(
    state: dict[str, Any],
    run_id: str,
    network: Mapping[str, Any],
    optimizer: Callable[[], Optimizer],
) -> str | None:
    """Say why a whole checkpoint is not one of this run and network, if it is not."""
    origin = state.get(ORIGIN)
    if not isinstance(origin, dict):
        return "does not say which run it is of"
    if origin.get("run_id") != run_id:
        return f"is of another run, {shown(origin.get('run_id'))}"
    if origin.get("step") != state["global_step"]:
        steps = f"{shown(state['global_step'])}, and was written at {shown(origin.get('step'))}"
        return f"says step {steps}"
    if _shapes(state["state_dict"]) != _shapes(network):
        return "does not fit the network"
    try:
        parts = _parts(state, optimizer())
        part = next((name for name, fits in parts.items() if not fits), None)
    except (AttributeError, KeyError, TypeError, ValueError):
        return "has parts of another form"
    return None if part is None else f"has {part} that do not fit the rest"


def _parts(state: dict[str, Any], optimizer: Optimizer) -> dict[str, bool]:
    """Tell of the parts that Lightning takes without a look whether they fit the others."""
    (kept,), (scheduler,) = state["optimizer_states"], state["lr_schedulers"]
    groups, watch = optimizer.param_groups, state["callbacks"]["Stopwatch"]
    parameters = [parameter for group in groups for parameter in group["params"]]
    moments = [(n, s.get(name)) for n, s in kept["state"].items() for name in LIKE_WEIGHTS]
    averaged = {key for key in state["callbacks"] if key.endswith("WeightAveraging")}
    return {
        "steps": type(state["global_step"]) is int
        and watch["steps"] == state["global_step"] > 0
        and watch["samples"] > 0
        and watch["samples"] % watch["steps"] == 0,
        "times": 0 <= watch["train_s"] <= watch["wall_s"] and (watch.get("cpu_s") or 0) >= 0,
        "weights": all(value.isfinite().all() for value in state["state_dict"].values()),
        "parameter groups": [len(group["params"]) for group in kept["param_groups"]]
        == [len(group["params"]) for group in groups]
        and len(scheduler.get("base_lrs", groups)) == len(groups),
        "optimiser states": kept["state"].keys() <= {*range(len(parameters))}
        and all(
            value.shape == parameters[n].shape for n, value in moments if isinstance(value, Tensor)
        ),
        "averaged weights": not averaged
        or (
            state.keys() >= OF_AVERAGING
            and _shapes(state["current_model_state"]) == _shapes(state["state_dict"])
        ),
        "metrics": "MetricsFile" in state["callbacks"],
        "loops": "fit_loop" in state["loops"],
    }


def _shapes(state: Any) -> dict[str, Any] | None:
    if not isinstance(state, Mapping):
        return None
    return {name: getattr(value, "shape", None) for name, value in state.items()}


def last_good(
    folder: Path, lacks: Callable[[dict[str, Any]], str | None] = lambda state: None
) -> tuple[Path, dict[str, Any]] | None:
    """Return the newest checkpoint that can be gone on from, and its content; None without any.

    A damaged one is named on standard error and moved aside to `<name>.damaged`.

    Args:
        folder: of the run.
        lacks: says of a checkpoint's content what else is needed and not there; None for nothing.

    Raises:
        OSError: a checkpoint is there, and the system does not let it be read.
    """
    for path in (folder / LAST, folder / PREVIOUS):
        if path.exists():
            found = _read(path)
            if isinstance(found, dict):
                reason = lacks(found)
                if reason is None:
                    return path, found
            else:
                path.replace(path.with_name(f"{path.name}.damaged"))
                reason = f"{found}, and moved aside"
            print(
                f"{reason}: the run goes on from the checkpoint before, or from the start",
                file=sys.stderr,
            )
    return None


def _read(path: Path) -> dict[str, Any] | str:
    """Return the content of a checkpoint, or what is wrong with it."""
    try:
        state = load(path)
    except ValueError as error:
        return str(error)
    if not isinstance(state, dict) or not state.keys() >= NEEDED:
        return f"{path} is not a checkpoint of a run"
    return state
