from functools import partial

import torch

from stn.models.channels import ChannelStCnn
from stn.models.mnist import StCnn
from stn.transformers import Affine, Affine3d, ConvLocalisation

ARGUMENTS = {
    "in_shape": (1, 25, 28),
    "num_classes": 4,
    "width": 5,
    "localisation": partial(ConvLocalisation, kernel_size=3, downsample=1),
    "kernel_sizes": (5, 3),
    "place": 1,
}


def weights(network: StCnn, theta: torch.Tensor) -> dict[str, torch.Tensor]:
    """The weights of a network whose transformer warps every image by theta."""
    state = network.state_dict()
    return state | {"transformer.localisation.regression.bias": theta}


def test_a_warp_of_places_alone_is_that_of_each_map() -> None:
    flat, deep = (
        StCnn(transform=Affine(), **ARGUMENTS),
        ChannelStCnn(transform=Affine3d(), **ARGUMENTS),
    )
    A = torch.tensor([[0.9, -0.2, 0.1], [0.3, 1.1, -0.2]])
    of_volume = torch.eye(3, 4)
    of_volume[:2, :2], of_volume[:2, 3] = A[:, :2], A[:, 2]
    state = weights(flat, A.flatten())
    flat.load_state_dict(state)
    name = "transformer.localisation.regression.weight"
    deep.load_state_dict(weights(flat, of_volume.flatten()) | {name: torch.zeros(12, 20)})
    U = torch.rand(3, 1, 25, 28)
    torch.testing.assert_close(deep(U), flat(U))


def test_a_shift_along_the_maps_reads_the_next_one() -> None:
    network = ChannelStCnn(transform=Affine3d(), **ARGUMENTS).eval()
    next_map = torch.eye(3, 4)
    next_map[2, 3] = 2 / 4  # of five maps from -1 to 1
    network.load_state_dict(weights(network, next_map.flatten()))
    U, seen = torch.rand(2, 1, 25, 28), {}
    network.transformer.register_forward_hook(
        lambda _, given, V: seen.update(before=given[0], after=V)
    )
    network(U)
    torch.testing.assert_close(seen["after"][:, 0, :-1], seen["before"][:, 0, 1:])
    assert (seen["after"][:, 0, -1] == 0).all()
