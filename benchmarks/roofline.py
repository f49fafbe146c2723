"""The convolutions of the CNNs against the machine's own rate of matrix products."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from benchmarks import configured
from benchmarks.report import Row, Section
from benchmarks.steps import BATCH_SIZE
from benchmarks.timing import Measure, Times, interleave, spread, timed
from stn.fast.convolution import conv_max_pool, conv_max_pool_plain

MATRIX_SIDE = 1536
NOTE = """\
Layers of convolution and 2x2 pooling, forward and backward at a batch of {batch_size}, against a
product of two float32 matrices of {side} x {side}. The arithmetic is that of the definition, two
operations a multiplication, for outputs that pooling keeps; a share above 1 means that the layer
does less than that, as its algorithm allows. `behind a transformer` adds the gradient of the
images. Plain is torch's own convolution and pooling in the default layout, or channels last."""


class Layer(NamedTuple):
    """A layer, its input, and whether that needs a gradient."""

    conv: nn.Conv2d
    x: Tensor
    needs_gradient: bool

    @property
    def operations(self) -> float:
        """Direct arithmetic of forward and backward."""
        batch, channels, height, width = self.x.shape
        size, filters = self.conv.kernel_size[0], self.conv.out_channels
        rows, columns = ((side - size + 1) // 2 * 2 for side in (height, width))
        products = batch * filters * channels * size**2 * rows * columns
        return 2.0 * products * (3 if self.needs_gradient else 2)

    def measures(self) -> dict[str, Measure]:
        """Return the measures of ours and of plain torch in both layouts."""
        assert self.conv.bias is not None
        parameters, x = [self.conv.weight, self.conv.bias], self.x.contiguous()
        last = [t.contiguous(memory_format=torch.channels_last) for t in (x, self.conv.weight)]
        return {
            "ours": self._round_trip(conv_max_pool, self.x, *parameters),
            "plain": self._round_trip(conv_max_pool_plain, x, *parameters),
            "channels last": self._round_trip(conv_max_pool_plain, *last, self.conv.bias),
        }

    def _round_trip(
        self, function: Callable[..., Tensor], x: Tensor, *parameters: Tensor
    ) -> Measure:
        x = x.detach().requires_grad_(self.needs_gradient)
        leaves = [p.detach().requires_grad_() for p in parameters]
        wanted = [*leaves, *([x] if self.needs_gradient else [])]
        gradient = torch.ones_like(function(x, *leaves)).detach()
        return timed(lambda: torch.autograd.grad(function(x, *leaves), wanted, gradient))


def measure(rounds: int, batch_size: int = BATCH_SIZE, matrix_side: int = MATRIX_SIDE) -> Section:
    """Measure both layers of the CNN of R, of RTS, and of the one behind a transformer."""
    rows = []
    for data in ("mnist_r", "mnist_rts"):
        layers = cnn_layers(data, batch_size)
        side = layers["conv 9x9"].x.shape[-1]
        measures = {"product": _product(matrix_side)}
        for name, layer in layers.items():
            measures |= {f"{name}/{way}": m for way, m in layer.measures().items()}
        times = interleave(measures, rounds)
        rate = [2 * matrix_side**3 / seconds for seconds in times["product"]]
        what = f"matrix product, beside the {side} px layers"
        rows.append(Row(f"product_{side}", what, {"GFLOP/s": spread(rate).times(1e-9)}))
        parts = {name: {name: layer} for name, layer in layers.items()}
        parts["cnn"] = dict(list(layers.items())[:2])
        for name, of_part in parts.items():
            what = f"{'both layers of the CNN' if name == 'cnn' else name}, {side} px"
            rows.append(_row(f"{name}_{side}", what, times, of_part, rate))
    note = NOTE.format(batch_size=batch_size, side=matrix_side)
    return Section("roofline", "Convolutions and the machine's rate", note, rows)


def cnn_layers(data: str, batch_size: int) -> dict[str, Layer]:
    """Return the layers of the CNN of a column, and its first one behind a transformer."""
    described = configured.cell("model=cnn", f"data={data}")
    network = configured.network(described, fast=False)
    first, _, _, second, *_ = network.layers
    U = configured.images(described, batch_size)
    with torch.no_grad():
        between = torch.relu(conv_max_pool(U, first.weight, first.bias))
    return {
        "conv 9x9": Layer(first, U, False),
        "conv 7x7": Layer(second, between, True),
        "conv 9x9 behind a transformer": Layer(first, U, True),
    }


def _row(key: str, what: str, times: Times, layers: dict[str, Layer], rate: list[float]) -> Row:
    """Join what several layers took, and divide by the rate of the same round."""
    operations = sum(layer.operations for layer in layers.values())
    values = {}
    for way in ("ours", "plain", "channels last"):
        rounds = zip(*(times[f"{name}/{way}"] for name in layers), strict=True)
        seconds = [sum(parts) for parts in rounds]
        share = [operations / s / r for s, r in zip(seconds, rate, strict=True)]
        prefix = "" if way == "ours" else f"{way}: "
        values[f"{prefix}ms"] = spread(seconds).times(1000)
        values[f"{prefix}share of the rate"] = spread(share)
    return Row(key, what, values)


def _product(side: int) -> Measure:
    random = torch.Generator().manual_seed(0)
    a, b = (torch.rand(side, side, generator=random) for _ in range(2))
    out = torch.empty(side, side)
    return timed(lambda: torch.mm(a, b, out=out))
