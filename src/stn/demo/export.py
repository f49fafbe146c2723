"""Networks of Table 1 as files of ONNX: the spatial transformer included, and what it did told."""

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from stn.models.mnist import StCnn


class Told(nn.Module):
    """A network that gives the probabilities (1, 10) of an image U (1, C, H, W).

    An `StCnn` also gives theta (1, P), the grid (1, H', W', 2) and V (1, C, H', W').
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.tells = ["probabilities"]
        if isinstance(network, StCnn):
            self.tells += ["theta", "grid", "V"]

    def forward(self, U: Tensor) -> tuple[Tensor, ...]:
        """Return what `tells` names."""
        network = self.network
        if not isinstance(network, StCnn):
            return (network(U).softmax(dim=1),)
        x = network.before(U)
        theta = network.transformer.theta(x)
        V = network.transformer.warp(x, theta)
        logits = network.classifier(network.pool(V))
        grid = network.transformer.transform.grid(theta, (V.shape[2], V.shape[3]))
        return logits.softmax(dim=1), theta, grid, V


def onnx_model(network: nn.Module, in_shape: tuple[int, int, int]) -> onnx.ModelProto:
    """Return the network as a model of ONNX, from U (1, C, H, W) to named outputs.

    Args:
        network: of Table 1; an `StCnn` also tells theta, grid and V.
        in_shape: (C, H, W) of U.
    """
    told = Told(network)
    program = torch.onnx.export(
        told.eval(),
        (torch.zeros(1, *in_shape),),
        input_names=["U"],
        output_names=told.tells,
        dynamo=True,
        verbose=False,
    )
    assert program is not None
    return halved(program.model_proto)


def halved(model: onnx.ModelProto) -> onnx.ModelProto:
    """Store in half precision what it holds exactly; nothing that is computed changes.

    Weights that were rounded to half precision take half the room; others stay as they are.
    """
    graph = model.graph
    casts = []
    for weight in graph.initializer:
        values = numpy_helper.to_array(weight)
        if values.dtype != np.float32 or values.size < 100:
            continue
        half = values.astype(np.float16)
        if np.array_equal(half.astype(np.float32), values):
            name = weight.name
            weight.CopyFrom(numpy_helper.from_array(half, f"{name}_half"))
            casts.append(
                onnx.helper.make_node("Cast", [weight.name], [name], to=onnx.TensorProto.FLOAT)
            )
    for cast in reversed(casts):
        graph.node.insert(0, cast)
    for described in [v for v in graph.value_info if v.name in {c.output[0] for c in casts}]:
        graph.value_info.remove(described)
    return model
