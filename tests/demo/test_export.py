"""Networks as ONNX compute what they compute in PyTorch, on digits that are warped and not."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("onnxscript", reason="the exporter of ONNX is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

from stn.demo.export import onnx_model  # noqa: E402
from stn.models.mnist import Cnn, StCnn  # noqa: E402
from stn.transformers import Affine, Projective, ThinPlateSpline, Transform, sample  # noqa: E402

TOLERANCE = 1e-4
TELLS = ["probabilities", "theta", "grid", "V"]
SHAPE = (1, 30, 33)


def digit(seed: int) -> Tensor:
    U = torch.rand(1, 1, 5, 6, generator=torch.Generator().manual_seed(seed))
    return nn.functional.interpolate(U, SHAPE[1:], mode="bilinear")


def restless(network: StCnn) -> StCnn:
    """The network with a localisation that warps each image its own way."""
    regression = network.transformer.localisation.regression
    nn.init.normal_(regression.weight, std=0.3)
    return network.eval()


def session(model: Any) -> Any:
    return onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )


@pytest.mark.parametrize(
    ("transform", "larger"),
    [
        (Affine(), {}),
        (Projective(), {"output_size": (56, 60), "pool": 2}),
        (ThinPlateSpline((4, 4)), {}),
    ],
    ids=str,
)
def test_what_the_layer_did_is_told_as_pytorch_computes_it(
    transform: Transform, larger: dict[str, Any]
) -> None:
    torch.manual_seed(0)
    network = restless(StCnn(SHAPE, 10, 8, transform, **larger))
    run = session(onnx_model(network, SHAPE)).run
    for seed in (1, 2):
        U = digit(seed)
        told = dict(zip(TELLS, run(TELLS, {"U": U.numpy()}), strict=True))
        told = {name: torch.from_numpy(value) for name, value in told.items()}
        with torch.no_grad():
            probabilities, theta = network(U).softmax(1), network.transformer.theta(U)
            V = network.transformer(U)
        assert (theta - transform.identity()).abs().max() > 0.01  # it does warp
        for name, wanted in (("probabilities", probabilities), ("theta", theta), ("V", V)):
            torch.testing.assert_close(told[name], wanted, atol=TOLERANCE, rtol=0)
        torch.testing.assert_close(sample(U, told["grid"]), V, atol=TOLERANCE, rtol=0)


def test_a_network_without_a_layer_tells_probabilities() -> None:
    torch.manual_seed(0)
    network = Cnn(SHAPE, 10, 8).eval()
    (found,) = session(onnx_model(network, SHAPE)).run(None, {"U": digit(3).numpy()})
    with torch.no_grad():
        torch.testing.assert_close(torch.from_numpy(found), network(digit(3)).softmax(1))


@pytest.mark.parametrize("round_", [nn.Module.half, nn.Module.float], ids=["half", "float"])
def test_weights_of_half_precision_take_half_the_room_and_change_nothing(
    round_: Callable[[nn.Module], nn.Module],
) -> None:
    torch.manual_seed(0)
    network = round_(Cnn(SHAPE, 10, 32)).float().eval()
    model = onnx_model(network, SHAPE)
    num_bytes = 4 * sum(p.numel() for p in network.parameters())
    share = len(model.SerializeToString()) / num_bytes
    assert (share < 0.6) == (round_ is nn.Module.half), share
    onnx.checker.check_model(model, full_check=True)
    (found,) = session(model).run(None, {"U": digit(4).numpy()})
    with torch.no_grad():
        np.testing.assert_allclose(found, network(digit(4)).softmax(1).numpy(), atol=1e-6)
