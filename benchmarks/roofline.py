"""Group 5: the convolutions of the CNNs against the machine's own rate of matrix products."""

from typing import NamedTuple

import torch
from torch import Tensor

from benchmarks import configured, plain
from benchmarks.report import Row, Section
from benchmarks.steps import BATCH_SIZE
from benchmarks.timing import Measure, Spread, Times, interleave, spread, timed
from stn.fast import ConvMaxPool

MATRIX_SIDE = 1536
NOTE = """\
Layers of convolution and 2x2 pooling, forward and backward at a batch of {batch_size}, against a
product of two float32 matrices of {side} x {side}. The arithmetic is that of the definition, two
operations a multiplication, for outputs that pooling keeps; a share above 1 means that the layer
does less than that, as its algorithm allows. `behind a transformer` adds the gradient of the
images. Plain is `nn.Conv2d` and `nn.MaxPool2d` in the default layout, or channels last."""


class Layer(NamedTuple):
    """A layer, its input, and whether that needs a gradient."""

    module: ConvMaxPool
    x: Tensor
    needs_gradient: bool

    @property
    def operations(self) -> float:
        """Direct arithmetic of forward and backward."""
        batch, channels, height, width = self.x.shape
        size, filters = self.module.kernel_size[0], self.module.out_channels
        rows, columns = ((side - size + 1) // 2 * 2 for side in (height, width))
        products = batch * filters * channels * size**2 * rows * columns
        return 2.0 * products * (3 if self.needs_gradient else 2)


def measure(rounds: int, batch_size: int = BATCH_SIZE, matrix_side: int = MATRIX_SIDE) -> Section:
    """Measure both layers of the CNN of R, of RTS, and of the one behind a transformer."""
    rows = []
    for side, data in ((28, "mnist_r"), (42, "mnist_rts")):
        layers = cnn_layers(data, batch_size)
        measures = {"product": _product(matrix_side)}
        for name, layer in layers.items():
            measures |= _contestants(name, layer)
        times = interleave(measures, rounds)
        rate = [2 * matrix_side**3 / seconds for seconds in times["product"]]
        rows.append(
            Row(
                f"product_{side}",
                f"matrix product, beside the {side} px layers",
                {"GFLOP/s": spread(rate).times(1e-9)},
            )
        )
        for name, layer in layers.items():
            rows.append(_row(f"{name}_{side}", f"{name}, {side} px", times, [name], [layer], rate))
        both = list(layers)[:2]
        parts = [layers[name] for name in both]
        what = f"both layers of the CNN, {side} px"
        rows.append(_row(f"cnn_{side}", what, times, both, parts, rate))
    note = NOTE.format(batch_size=batch_size, side=matrix_side)
    return Section("roofline", "Convolutions and the machine's rate", note, rows)


def cnn_layers(data: str, batch_size: int) -> dict[str, Layer]:
    """Return the layers of the CNN of a column, and its first one behind a transformer."""
    described = configured.cell("model=cnn", f"data={data}")
    first, second = (
        m for m in configured.network(described).modules() if isinstance(m, ConvMaxPool)
    )
    U = configured.images(batch_size, tuple(described.config["data"]["image_size"]))
    with torch.no_grad():
        between = torch.relu(first(U))
    return {
        "conv 9x9": Layer(first, U, False),
        "conv 7x7": Layer(second, between, True),
        "conv 9x9 behind a transformer": Layer(first, U, True),
    }


def _contestants(name: str, layer: Layer) -> dict[str, Measure]:
    """Return the measures of ours and of plain torch in both layouts."""
    plain_layer = plain.twin(torch.nn.Sequential(layer.module))
    last = plain.twin(torch.nn.Sequential(layer.module)).to(memory_format=torch.channels_last)
    x = layer.x.contiguous()
    return {
        name: _round_trip(layer.module, layer.x, layer.needs_gradient),
        f"{name}/plain": _round_trip(plain_layer, x, layer.needs_gradient),
        f"{name}/plain, channels last": _round_trip(
            last, x.contiguous(memory_format=torch.channels_last), layer.needs_gradient
        ),
    }


def _row(
    key: str, what: str, times: Times, names: list[str], layers: list[Layer], rate: list[float]
) -> Row:
    """Join what several layers took, and divide by the rate of the same round."""
    operations = sum(layer.operations for layer in layers)
    values: dict[str, Spread] = {}
    for column, suffix in (
        ("ours", ""),
        ("plain", "/plain"),
        ("channels last", "/plain, channels last"),
    ):
        seconds = [
            sum(part) for part in zip(*(times[name + suffix] for name in names), strict=True)
        ]
        share = [operations / s / r for s, r in zip(seconds, rate, strict=True)]
        prefix = "" if column == "ours" else f"{column}: "
        values[f"{prefix}ms"] = spread(seconds).times(1000)
        values[f"{prefix}share of the rate"] = spread(share)
    return Row(key, what, values)


def _round_trip(module: torch.nn.Module, x: Tensor, needs_gradient: bool) -> Measure:
    x = x.detach().requires_grad_(needs_gradient)
    wanted = [*module.parameters(), *([x] if needs_gradient else [])]
    gradient = torch.ones_like(module(x)).detach()
    return timed(lambda: torch.autograd.grad(module(x), wanted, gradient))


def _product(side: int) -> Measure:
    random = torch.Generator().manual_seed(0)
    a, b = (torch.rand(side, side, generator=random) for _ in range(2))
    out = torch.empty(side, side)
    return timed(lambda: torch.mm(a, b, out=out))
