from collections.abc import Callable

import pytest
import torch
from torch import nn

from stn.callbacks.progress import Stopwatch
from stn.running.preparing import Cell, build_task, build_trainer, prepare

MakeCell = Callable[..., Cell]


@pytest.mark.parametrize("fast", [True, False])
def test_a_network_is_fast_where_the_configuration_says_so(make_cell: MakeCell, fast: bool) -> None:
    network = build_task(make_cell("model=cnn", f"trainer.fast={fast}")).network
    assert (type(network.layers) is nn.Sequential) is not fast


def test_images_of_a_network_lie_in_memory_as_the_recipe_says(make_cell: MakeCell) -> None:
    cell = make_cell("model=st_cnn", "recipe.channels_last=true")
    network = build_task(cell).network
    wide = [w for w in network.parameters() if w.ndim == 4 and w.shape[1] > 1 and w.shape[2] > 1]
    assert wide
    assert all(w.is_contiguous(memory_format=torch.channels_last) for w in wide)
    plain = build_task(make_cell("model=st_cnn")).network.state_dict()
    for name, w in network.state_dict().items():
        assert torch.equal(w, plain[name])


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_a_network_multiplies_in_the_precision_of_its_recipe(
    make_cell: MakeCell, precision: str
) -> None:
    cell = make_cell("model=st_fcn", f"recipe.precision={precision}", "recipe.max_steps=2")
    cell.folder.mkdir(parents=True)
    task, data = prepare(cell)
    seen = set()
    for layer in task.network.modules():
        if isinstance(layer, nn.Linear):
            layer.register_forward_hook(
                lambda module, given, found: seen.add(found.dtype) if module.training else None
            )
    build_trainer(cell, Stopwatch(code=""), []).fit(task, data)
    assert (torch.bfloat16 in seen) is (precision == "bf16-mixed")
    assert {w.dtype for w in task.network.parameters()} == {torch.float32}
